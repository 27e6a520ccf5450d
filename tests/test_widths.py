"""One trace for networks that differ in the number of units of their hidden layers."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, DNNRegressor, KerasClassifier, clear_caches
from skdl._backend import keras, private, tf
from skdl._engine import _epochs, _program, _rules, _store, _widths, compilations
from skdl._engine._prepare import build
from skdl._engine._program import Layout
from skdl._engine._rules import ELEMENTWISE
from skdl._engine._traced import Graph

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X).astype("float32")
layers = keras.layers


def digest(make, *, training):
    """Return what a step of training or of prediction computes."""
    model = make()
    model.compile(model.optimizer or "sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = tf.zeros((8, 4)), tf.zeros((8,), tf.int64)
    build(model, (x, y, None), seed=0)
    assert _widths.of_any_width(model, model.variables)
    data, step = ((x, y), model.train_step) if training else ((x,), model.predict_step)
    return Graph(Layout(data).function(step).get_concrete_function()).digest([])


def network(*hidden, optimizer=None):
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, activation="softmax")])
    model.optimizer = optimizer
    return model


@pytest.mark.parametrize("training", [True, False])
def test_no_layer_or_activation_has_its_width_in_the_graph(training):
    own = [layers.Activation("tanh"), layers.Dropout(0.2, seed=0)]
    own += [layers.ReLU(), layers.LeakyReLU(), layers.ELU()]
    assert {layers.InputLayer, layers.Dense, *map(type, own)} == _widths.LAYERS

    def make(width):
        hidden = [layers.Dense(width + i, activation=a) for i, a in enumerate(ELEMENTWISE)]
        return lambda: network(*hidden, *(type(each).from_config(each.get_config()) for each in own))

    assert digest(make(5), training=training) == digest(make(40), training=training)


@pytest.mark.parametrize("optimizer", sorted(_widths.OPTIMIZERS, key=lambda cls: cls.__name__))
def test_no_optimizer_has_a_width_in_the_graph(optimizer):
    # All have the same code for decay, clipping and averages.
    how = {}
    if optimizer is keras.optimizers.AdamW:
        how = {"weight_decay": 0.01, "global_clipnorm": 1.0, "use_ema": True}

    def make(width):
        return lambda: network(layers.Dense(width, activation="relu"), optimizer=optimizer(**how))

    assert digest(make(5), training=True) == digest(make(40), training=True)


def classifier(sizes, **params):
    return DNNClassifier(sizes, epochs=3, learning_rate=0.02, random_state=0, **params)


def new_programs(fit):
    """Return what fitting and predicting compile."""
    before = compilations()
    fit().predict(X)
    return {kind: n - before[kind] for kind, n in compilations().items()}


NONE, ONE = {"training": 0, "forward": 0}, {"training": 1, "forward": 1}
STOPPING = {"early_stopping": True, "validation_split": 0.2, "n_iter_no_change": 1}


def same(one, other):
    pairs = zip(one.model_.get_weights(), other.model_.get_weights(), strict=True)
    assert all(map(np.array_equal, *zip(*pairs, strict=True)))
    pairs = zip(one.model_.optimizer.variables, other.model_.optimizer.variables, strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    assert one.history_ == other.history_
    assert np.array_equal(one.predict_proba(X), other.predict_proba(X))


def alone_and_after_other_widths(sizes, others, **params):
    """Train a network alone, and by the program of another one, to the same bits; return the second."""
    clear_caches()
    alone = classifier(sizes, **params).fit(X, Y)
    clear_caches()
    assert new_programs(lambda: classifier(others, **params).fit(X, Y)) == ONE
    after = classifier(sizes, **params)
    assert new_programs(lambda: after.fit(X, Y)) == NONE
    same(alone, after)
    return after


def training_program():
    """Return the one program of training that there is."""
    (program,) = (each for each in _store._programs.values() if isinstance(each, _epochs.TrainProgram))
    return program


@pytest.mark.parametrize(
    "params", [{"dropout": 0.3, "activation": "sigmoid"}, STOPPING], ids=["dropout", "stopping"]
)
def test_other_widths_are_trained_by_the_same_program_to_the_same_bits(params):
    after = alone_and_after_other_widths((12, 3), (7, 20), **params)
    assert [kernel.shape for kernel in after.coefs_] == [(4, 12), (12, 3), (3, 3)]


def test_a_training_that_goes_on_finds_the_program_of_other_widths():
    clear_caches()
    alone = classifier((12,), warm_start=True).fit(X, Y).fit(X, Y).partial_fit(X, Y)
    clear_caches()
    classifier((30,)).fit(X, Y)
    after = classifier((12,), warm_start=True)
    assert new_programs(lambda: after.fit(X, Y).fit(X, Y).partial_fit(X, Y))["training"] == 0
    same(alone, after)


def test_regressors_and_builders_share_programs_too():
    def chain(units):
        inputs = keras.Input((4,))
        hidden = layers.Dense(units, activation="relu")(inputs)
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.1)(hidden)))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    for make in (
        lambda units: DNNRegressor((units,), epochs=1, random_state=0),
        lambda units: KerasClassifier(chain, units=units, epochs=1, random_state=0),
    ):
        make(8).fit(X, Y).predict(X)
        assert new_programs(lambda make=make: make(21).fit(X, Y)) == NONE


@pytest.mark.parametrize("params", [{"l2_regularization": 0.01}, {"batch_norm": True}], ids=str)
def test_what_has_widths_in_its_graph_is_traced_for_each(params):
    classifier((9,), **params).fit(X, Y).predict(X)
    assert new_programs(lambda: classifier((11,), **params).fit(X, Y)) == ONE


def test_a_hidden_layer_of_one_unit_has_a_graph_of_its_own():
    classifier((9, 9)).fit(X, Y).predict(X)
    assert new_programs(lambda: classifier((9, 1)).fit(X, Y)) == ONE


def test_other_inputs_and_outputs_are_other_programs():
    classifier((9,)).fit(X, Y).predict(X)
    for x, y in [(X[:, :3], Y), (X, np.arange(len(X)) % 4)]:
        before = compilations()["training"]
        classifier((9,)).fit(x, y)
        assert compilations()["training"] == before + 1


def hidden(model):
    return _widths.of_any_width(model, model.variables)


def test_a_layer_that_is_called_twice_keeps_its_width():
    shared, inputs = layers.Dense(4, activation="relu"), keras.Input((4,))
    assert hidden(keras.Model(inputs, shared(shared(inputs)))) == []


def test_sequences_keep_their_widths():
    inputs = keras.Input((5, 4))
    assert hidden(keras.Model(inputs, layers.Dense(3)(layers.Dense(4)(inputs)))) == []


def test_large_networks_keep_their_widths():
    inputs = keras.Input((4,))
    small, large = (layers.Dense(3)(layers.Dense(units)(inputs)) for units in (10**4, 2 * 10**5))
    assert hidden(keras.Model(inputs, small))
    assert hidden(keras.Model(inputs, large)) == []


def test_with_releases_that_were_not_tested_each_width_is_traced(monkeypatch):
    monkeypatch.setattr(_widths._probe, "TESTED", set())
    classifier((9,)).fit(X, Y).predict(X)
    assert new_programs(lambda: classifier((13,)).fit(X, Y)) == ONE


# XLA, for which hidden layers are padded


@pytest.fixture
def xla(monkeypatch):
    monkeypatch.setattr(_rules, "XLA_STEPS", 1)


def trained(make, monkeypatch, *, padded):
    """Return what a training leaves, in padded variables or in the model's own."""
    with monkeypatch.context() as patched:
        if not padded:
            patched.setattr(_widths, "_MOST_WORK", -1)
        seen, lent = [], _epochs.TrainProgram.lent

        def noted(self, variables, shapes):
            seen.append(shapes != _program.shapes_of(variables))
            return lent(self, variables, shapes)

        patched.setattr(_epochs.TrainProgram, "lent", noted)
        net = make()
    assert net.engine_ == "compiled"
    assert set(seen) == {padded}
    return net


def agree(make, monkeypatch):
    padded, plain = (trained(make, monkeypatch, padded=padded) for padded in (True, False))
    pairs = zip(padded.model_.get_weights(), plain.model_.get_weights(), strict=True)
    assert all(a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5) for a, b in pairs)
    pairs = zip(padded.model_.optimizer.variables, plain.model_.optimizer.variables, strict=True)
    assert all(np.allclose(a, b, rtol=0, atol=1e-5) for a, b in pairs)
    assert padded.history_.keys() == plain.history_.keys()
    for name in padded.history_:
        np.testing.assert_allclose(padded.history_[name], plain.history_[name], atol=1e-5)


ACTIVATIONS = sorted(
    (each for each in _widths.ZERO_AT_ZERO if not isinstance(each, type)), key=lambda each: each.__name__
)


@pytest.mark.parametrize("first", [0, 3, 6])
def test_padded_networks_train_as_they_are(first, xla, monkeypatch):
    assert len(ACTIVATIONS) == 10
    own = [layers.ReLU(max_value=6), layers.LeakyReLU(), layers.ELU()]

    def network(activations):
        hidden = [layers.Dense(9 + 5 * i, each) for i, each in enumerate(activations)]
        hidden.append(own[first // 3])
        model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    how = {"activations": ACTIVATIONS[first : first + 4], "epochs": 5, "random_state": 0}
    agree(lambda: KerasClassifier(network, **how).fit(X, Y), monkeypatch)


@pytest.mark.parametrize("optimizer", sorted(_widths.ZERO_STATES, key=lambda cls: cls.__name__))
def test_padded_networks_train_as_they_are_under(optimizer, xla, monkeypatch):
    how = {}
    if optimizer is keras.optimizers.AdamW:
        how = {"weight_decay": 0.01, "global_clipnorm": 1.0, "use_ema": True, "amsgrad": True}
    if optimizer in (keras.optimizers.SGD, keras.optimizers.RMSprop):
        how = {"momentum": 0.9}

    def fit():
        net = DNNClassifier((10, 20), epochs=3, optimizer=optimizer(0.01, **how), random_state=0)
        return net.fit(X, Y)

    agree(fit, monkeypatch)


@pytest.mark.parametrize(
    "params",
    [{}, STOPPING, {"class_weight": "balanced"}, {"dropout": 0.3}],
    ids=["plain", "stopping", "class_weight", "dropout"],
)
def test_padded_networks_are_weighted_stopped_and_go_on_as_they_are(params, xla, monkeypatch):
    weights = np.linspace(0.5, 2, len(X))

    def fit():
        net = classifier((20, 10), warm_start=True, **params).fit(X, Y, sample_weight=weights)
        return net.fit(X, Y) if params is STOPPING else net.fit(X, Y).partial_fit(X, Y)

    agree(fit, monkeypatch)


def test_what_is_left_of_a_padded_training_is_the_network(xla, monkeypatch):
    net = trained(lambda: classifier((10, 5), **STOPPING).fit(X, Y), monkeypatch, padded=True)
    assert [kernel.shape for kernel in net.coefs_] == [(4, 10), (10, 5), (5, 3)]
    assert [bias.shape for bias in net.intercepts_] == [(10,), (5,), (3,)]
    assert net.model_.layers[0].units == 10
    assert {v.shape for v in net.model_.optimizer.variables[2:4]} == {(4, 10)}
    again = pickle.loads(pickle.dumps(net))
    same(net, again)
    assert np.array_equal(net.model_.predict(X, verbose=0), again.model_.predict(X, verbose=0))


def test_one_xla_program_serves_the_widths_up_to_a_power_of_two(xla):
    alone_and_after_other_widths((12, 70), (64, 128))
    assert [shapes[0] for shapes in training_program().compiled.proven] == [(4, 64)]


def test_one_trace_serves_the_widths_that_xla_compiles_as_they_are(xla):
    alone_and_after_other_widths((12, 30), (7, 17), activation="sigmoid", batch_size=20)
    program = training_program()
    assert {shapes[0] for shapes in program.compiled.proven} == {(4, 7), (4, 12)}
    # The cache counts both.
    both = program.size
    program.compiled.proven.pop()
    assert both == 2 * program.size


def network_of(*hidden, optimizer="adam"):
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(3)])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    build(model, (tf.zeros((8, 4)), tf.zeros((8,), tf.int64), None), seed=0)
    return model


def is_padded(model, n_rows=100):
    variables = private.training_variables(model)
    own = _program.shapes_of(variables)
    return _widths.padded_shapes(model, variables, own, n_rows=n_rows) != own


@pytest.mark.parametrize(
    "model",
    [
        lambda: network_of(layers.Dense(9, "sigmoid")),
        lambda: network_of(layers.Dense(9, "softplus")),
        lambda: network_of(layers.Dense(9), layers.ReLU(negative_slope=0.1, threshold=0.5)),
        lambda: network_of(layers.Dense(9), layers.BatchNormalization()),
        lambda: network_of(layers.Dense(9, kernel_regularizer="l2")),
        lambda: network_of(layers.Dense(9), optimizer="ftrl"),
        lambda: network_of(layers.Dense(9), optimizer="adafactor"),
        lambda: network_of(layers.Dense(9), optimizer=keras.optimizers.Adam(epsilon=0.0)),
        lambda: network_of(layers.Dense(64), layers.Dense(128)),
    ],
    ids="sigmoid softplus threshold normalised penalty ftrl adafactor epsilon exact".split(),
)
def test_what_is_not_padded(model):
    assert not is_padded(model())


def test_trainings_with_something_to_do_after_each_epoch_are_not_padded(xla):
    clear_caches()
    seen = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    classifier((9, 5), callbacks=seen).fit(X, Y)
    program = training_program()
    assert program.xla
    assert [shapes[0] for shapes in program.compiled.proven] == [(4, 9)]


def test_long_trainings_are_not_padded():
    model = network_of(layers.Dense(9))
    assert is_padded(model)
    assert not is_padded(model, n_rows=10**8)


def test_adapters_of_low_rank_are_not_padded():
    model = network_of(layers.Dense(9))
    model.layers[0].enable_lora(2)
    model.compile("adam", "mse")
    build(model, (tf.zeros((8, 4)), tf.zeros((8, 3)), None), seed=0)
    assert not is_padded(model)


def test_networks_without_biases_are_padded():
    assert is_padded(network_of(layers.Dense(9, use_bias=False), optimizer=keras.optimizers.SGD(0.1)))
