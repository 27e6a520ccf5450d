"""The smaller batch at the end of an epoch, and dropout, in what XLA compiles of a training."""

import threading

import numpy as np
import pytest

from skdl import _engine, clear_caches
from skdl._backend import keras, private, seeded, tf
from skdl._engine import _dropout, _epochs, _pass, _program, _rules, _store, _traced

N, D = 75, 6  # two full batches of 32, and a smaller one
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)).astype("float32")
CLASSES = rng.integers(0, 3, N)
ONE_HOT = np.eye(3, dtype="float32")[CLASSES]
T = (X[:, :1] - X[:, 1:2]).astype("float32")
W = rng.uniform(0.2, 2.0, size=N).astype("float32")
layers = keras.layers


@pytest.fixture(autouse=True)
def xla(monkeypatch):
    """Let short trainings take XLA, as long ones do."""
    monkeypatch.setattr(_rules, "XLA_STEPS", 1)


def network(*inner, loss="mse", metrics=(), n_units=1, last="linear", rate=0.01, **optimizer):
    with seeded(0):
        hidden = [layers.Dense(8, "relu"), *(make() for make in inner)]
        model = keras.Sequential([keras.Input((D,)), *hidden, layers.Dense(n_units, last)])
        model.compile(
            keras.optimizers.Adam(rate, **optimizer),
            loss,
            metrics=list(metrics),
            weighted_metrics=["mse"] if n_units < 3 else ["accuracy"],
        )
    return model


def train(model, x=X, y=T, sample_weight=None, **args):
    how = {"engine": "compiled", "epochs": 3, "batch_size": 32, "seed": 7, "shuffle": False, **args}
    return _engine.train(model, x, y, sample_weight, **how)


def by_keras(model, x=X, y=T, sample_weight=None, **args):
    with seeded(7):
        how = {"epochs": 3, "batch_size": 32, "shuffle": False, "verbose": 0, **args}
        return model.fit(x, y, sample_weight=sample_weight, validation_batch_size=32, **how)


def program():
    """Return the last training program."""
    return [each for each in _store._programs.values() if isinstance(each, _epochs.TrainProgram)][-1]


@pytest.fixture
def passes(monkeypatch):
    """Whether each traced pass through data takes smaller batches, and the operations of its steps."""
    seen, chunk = [], _pass.Pass._chunk

    def noted(self):
        seen.append((self.takes_fewer, _traced.Graph(self.parts[0]).operations))
        return chunk(self)

    monkeypatch.setattr(_pass.Pass, "_chunk", noted)
    return seen


def of_states(model):
    return [generator.state.numpy() for generator in private.seed_generators(model)]


def agree(ours, theirs, histories):
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4)
    assert all(map(np.array_equal, of_states(ours), of_states(theirs)))
    ours, theirs = (history.history for history in histories)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5, rtol=1e-4)


# The smaller batch

OF_CLASSES = {"n_units": 3, "last": "softmax"}
CASES = {
    "two classes": (
        {"loss": "binary_crossentropy", "metrics": ["accuracy", "Precision"], "last": "sigmoid"},
        {"y": (T > 0).astype("float32")},
    ),
    "categories": (
        {"loss": "categorical_crossentropy", "metrics": ["accuracy", "Recall"], **OF_CLASSES},
        {"y": ONE_HOT, "sample_weight": W},
    ),
    "focal": (
        {"loss": "categorical_focal_crossentropy", "metrics": ["categorical_crossentropy"], **OF_CLASSES},
        {"y": ONE_HOT},
    ),
    "labels": (
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **OF_CLASSES},
        {"y": CLASSES, "sample_weight": W, "validation_data": (X[:41], CLASSES[:41], W[:41])},
    ),
    "logits": (
        {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "n_units": 3},
        {"y": CLASSES, "validation_data": (X[:33], CLASSES[:33])},
    ),
    "squares": (
        {"metrics": ["mae", "RootMeanSquaredError"], "global_clipnorm": 1.0, "use_ema": True},
        {"validation_data": (X[:41], T[:41])},
    ),
    "absolute": ({"loss": "mae", "metrics": ["LogCoshError", "mape"]}, {"sample_weight": W}),
    "huber": ({"loss": "huber", "metrics": ["cosine_similarity"], "n_units": 2}, {"y": X[:, :2]}),
    "poisson": ({"loss": "poisson", "metrics": ["msle"], "last": "softplus"}, {"y": T**2}),
}
INNER = {
    "normalised": [layers.BatchNormalization, layers.LayerNormalization],
    "penalties": [
        lambda: layers.Dense(7, kernel_regularizer="l2", activity_regularizer="l2"),
        lambda: layers.Dense(7, kernel_regularizer="l1", kernel_constraint="non_neg"),
    ],
    "dropout": [lambda: layers.Dropout(0.3), lambda: layers.Dense(9, "tanh"), lambda: layers.Dropout(0.2)],
    "activations": [
        lambda name=name: layers.Dense(6, name)
        for name in "elu gelu leaky_relu mish relu6 selu sigmoid".split()
    ],
    "more activations": [
        lambda name=name: layers.Dense(6, name) for name in "silu softmax softplus softsign tanh".split()
    ],
}


def cases():
    for name, (how, args) in CASES.items():
        yield pytest.param(lambda how=how: network(**how), args, id=name)
    for name, inner in INNER.items():
        yield pytest.param(lambda inner=inner: network(*inner, rate=1e-3), {}, id=name)


@pytest.mark.parametrize(("make", "args"), cases())
def test_a_smaller_batch_is_compiled_and_trains_as_by_keras(make, args, passes):
    ours, theirs = make(), make()
    clear_caches()
    agree(ours, theirs, (train(ours, **args), by_keras(theirs, **args)))
    assert program().xla
    assert not program().compiled.not_for_xla
    assert [takes_fewer for takes_fewer, _ in passes] == [True] * (1 + ("validation_data" in args))


def test_what_is_not_listed_runs_its_smaller_batch_without_xla(passes):
    def make():
        inner = [lambda: layers.Reshape((4, 2)), lambda: layers.Dense(3), layers.Flatten]
        return network(*inner)

    clear_caches()
    ours, theirs = make(), make()
    agree(ours, theirs, (train(ours), by_keras(theirs)))
    assert [takes_fewer for takes_fewer, _ in passes] == [False]


def test_no_operation_is_listed_that_these_trainings_lack(passes, monkeypatch):
    def stop(self):
        raise _program.NotCompilable("traced")

    monkeypatch.setattr(_epochs.TrainProgram, "_loop", stop)
    clear_caches()
    for case in cases():
        make, args = case.values
        train(make(), engine="auto", epochs=1, **args)
    found = set().union(*(operations for _, operations in passes))
    assert sorted(_traced._SAFE_FOR_FEWER_ROWS - found) == []


# Dropout

DROPOUT = INNER["dropout"]


@pytest.mark.parametrize("n", [96, 65, 33, 32])
def test_dropout_has_the_masks_of_keras_in_batches_of_any_number_of_rows(n):
    x, y = (np.concatenate([part, part])[:n] for part in (X, T))
    ours, theirs = network(*DROPOUT), network(*DROPOUT)
    agree(ours, theirs, (train(ours, x, y), by_keras(theirs, x, y)))
    assert program().xla
    assert len(of_states(ours)) == 2


def test_dropout_goes_on_where_it_stopped():
    ours, theirs = network(*DROPOUT), network(*DROPOUT)
    for first in (0, 2):
        histories = train(ours, epochs=first + 2, initial_epoch=first), by_keras(theirs, epochs=2)
    agree(ours, theirs, histories)


def test_dropout_stops_early_as_under_keras():
    how = {"validation_data": (X[:40], T[:40]), "epochs": 9}
    models = [network(*DROPOUT, rate=0.3) for _ in range(2)]
    stops = [
        {"callbacks": [keras.callbacks.EarlyStopping(patience=1, restore_best_weights=True)]} for _ in models
    ]
    histories = train(models[0], **how, **stops[0]), by_keras(models[1], **how, **stops[1])
    assert len(histories[0].epoch) < 9
    agree(*models, histories)


def test_an_epoch_in_parts_and_more_steps_than_a_launch_has_draw_the_same(monkeypatch):
    def run(steps):
        clear_caches()
        monkeypatch.setattr(_pass, "MORE_STEPS", steps)
        model = network(*DROPOUT)
        train(model, batch_size=4)
        return model.get_weights()

    for a, b in zip(run(32), run(3), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_one_program_serves_rates_of_learning_and_seeds_but_no_other_rate_of_dropout():
    def fit(rate, seed):
        before = _engine.compilations()["training"]
        train(network(lambda: layers.Dropout(rate, seed=seed)))
        return _engine.compilations()["training"] - before

    clear_caches()
    assert [fit(0.1, 1), fit(0.1, 2), fit(0.4, 1)] == [1, 0, 1]


class Noisy(layers.Layer):
    """Draws from the generator of a dropout layer that it holds, as Keras's layers do."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dropout(0.2, seed=1)

    def call(self, x, training=False):
        return self.inner(x, training=training)


def shared():
    inputs, twice = keras.Input((D,)), layers.Dropout(0.2, seed=1)
    return keras.Model(inputs, layers.Dense(1)(twice(layers.Dense(4)(twice(inputs)))))


def functional(*inner):
    inputs = x = keras.Input((D,))
    for each in inner:
        x = each(x)
    return keras.Model(inputs, layers.Dense(1)(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda: functional(layers.GaussianNoise(0.1, seed=1)),
        lambda: functional(layers.Dropout(0.2, seed=1), layers.GaussianDropout(0.1, seed=1)),
        lambda: functional(layers.Dropout(0.2, noise_shape=(None, 1), seed=1)),
        lambda: functional(layers.Reshape((3, 2)), layers.Dropout(0.2, seed=1), layers.Flatten()),
        lambda: functional(layers.Dropout(0.2, seed=1, dtype="float64")),
        lambda: functional(keras.Sequential([layers.Dropout(0.2, seed=1)])),
        lambda: functional(Noisy()),
        shared,
    ],
    ids="noise both noise_shape sequence float64 nested own twice".split(),
)
def test_what_cannot_be_drawn_beforehand_is_trained_without_xla(make):
    models = []
    for _ in range(2):
        with seeded(0):
            models.append(make())
            models[-1].compile("sgd", "mse")
    assert _dropout.drawing_layers(models[0]) is None
    clear_caches()
    agree(*models, (train(models[0]), by_keras(models[1])))
    assert not program().xla


def test_dropout_next_to_a_layer_of_the_users_is_trained_without_xla():
    class Doubled(layers.Layer):
        def call(self, x):
            return 2 * keras.random.dropout(x, 0.5, seed=3)

    ours, theirs = (network(*DROPOUT, Doubled) for _ in range(2))
    history = train(ours)
    agree(ours, theirs, (history, by_keras(theirs)))
    assert not program().xla


def test_random_numbers_of_a_layer_of_the_users_are_those_of_keras():
    class Noisier(layers.Layer):
        def call(self, x):
            return x + keras.random.normal(tf.shape(x), seed=3)

    ours, theirs = (network(Noisier) for _ in range(2))
    agree(ours, theirs, (train(ours), by_keras(theirs)))
    assert not program().xla


def test_a_layer_that_drops_nothing_draws_nothing():
    assert _dropout.drawing_layers(network(lambda: layers.Dropout(0.0))) == []


def test_other_threads_draw_their_own_numbers_while_a_model_is_traced():
    def dropped():
        return tf.nn.experimental.stateless_dropout(tf.ones((8, 8)), 0.5, seed=(1, 2)).numpy()

    expected, found, numbers = dropped(), [], [tf.zeros((8, 8))]
    with private.numbers_of_dropout(numbers):
        thread = threading.Thread(target=lambda: found.append(dropped()))
        thread.start()
        thread.join()
        assert len(numbers) == 1
        assert not dropped().any()
    assert np.array_equal(found[0], expected)
