"""What Keras does with a model, the compiled engine does: errors, random numbers, odd models."""

import subprocess
import sys
import threading
from pathlib import Path

import engine_training
import numpy as np
import pytest

from skdl import _engine
from skdl._backend import keras, seeded, tf

N, D = 40, 4
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)).astype("float32")
Y = rng.integers(0, 3, size=N)
T = rng.normal(size=(N, 1)).astype("float32")
layers, ops = keras.layers, keras.ops


def net(*inner, loss="mse", units=1, activation=None, optimizer="sgd", cls=keras.Sequential, **args):
    with seeded(0):
        model = cls([keras.Input((D,)), layers.Dense(3), *(make() for make in inner)])
        model.add(layers.Dense(units, activation=activation))
        model.compile(optimizer, loss=loss, **args)
    return model


def train(model, x=X, y=T, **args):
    args = {"batch_size": 16, "epochs": 2, "seed": 7, **args}
    return engine_training.train(model, x, y, **args)


def weights_after(model, **args):
    train(model, **args)
    return model.get_weights()


def same_bits(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a, b, strict=True))


# Errors


class Below(layers.Layer):
    def call(self, x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 0.5)]):
            return tf.identity(x)


class Checked(layers.Layer):
    def call(self, x):
        return tf.debugging.check_numerics(x / 0.0, "not a number")


class Looked(layers.Layer):
    """Looks rows up in a table, at places that need not be there."""

    def call(self, x):
        table = tf.constant(np.eye(3, dtype="float32"))
        return x + tf.gather(table, tf.cast(tf.abs(100 * x[:, 0]), tf.int32))


class Divided(layers.Layer):
    def call(self, x):
        return x + tf.cast(tf.ones(tf.shape(x), tf.int32) // tf.cast(0 * x, tf.int32), x.dtype)


@pytest.mark.parametrize("layer", [Below, Checked, Looked, Divided])
def test_an_error_of_an_operation_is_raised(layer):
    with pytest.raises(tf.errors.InvalidArgumentError):
        train(net(layer))


@pytest.mark.parametrize("label", [-1, 3, 2**20])
@pytest.mark.parametrize("where", ["train", "validation"])
def test_labels_out_of_range_are_an_error(label, where):
    model = net(loss="sparse_categorical_crossentropy", units=3, activation="softmax")
    bad = Y.copy()
    bad[5] = label
    y, y_val = (bad, Y) if where == "train" else (Y, bad)
    with pytest.raises(tf.errors.InvalidArgumentError, match="label"):
        train(model, y=y, validation_data=(X, y_val))


def test_an_error_in_the_last_batch_changes_no_later_training():
    def dropped(n=N):
        model = net(
            lambda: layers.Dropout(0.5, seed=1),
            loss="sparse_categorical_crossentropy",
            units=3,
            activation="softmax",
        )
        return weights_after(model, x=X[:n], y=Y[:n])

    expected = dropped()
    model = net(lambda: layers.Dropout(0.5, seed=1), Below)
    with pytest.raises(tf.errors.InvalidArgumentError):
        train(model)
    assert same_bits(dropped(), expected)


# Random numbers


class Drawn(layers.Layer):
    """Draws from NumPy while it is traced."""

    def call(self, x):
        return x + np.random.normal()


class Noisy(layers.Layer):
    """Draws from an operation with a state."""

    def call(self, x, training=False):
        return x + tf.random.normal(tf.shape(x)) if training else x


class Dropped(layers.Layer):
    def call(self, x, training=False):
        return tf.nn.dropout(x, 0.5) if training else x


class Sampled(layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(20, shape[-1]))
        self.b = self.add_weight(shape=(20,))

    def call(self, x, training=False):
        if training:
            labels = tf.zeros((tf.shape(x)[0], 1), tf.int64)
            loss = tf.nn.sampled_softmax_loss(self.w, self.b, labels, x, 5, 20)
            self.add_loss(tf.reduce_mean(loss))
        return x


RANDOM = [Drawn, Noisy, Dropped, Sampled]


@pytest.mark.parametrize("layer", RANDOM)
def test_the_seed_decides_what_a_model_draws(layer):
    first, again, other = (weights_after(net(layer), seed=seed) for seed in (1, 1, 2))
    assert same_bits(first, again)
    assert not same_bits(first, other)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_no_models_noise_depends_on_another_model(engine):
    def in_turn(between):
        model = net(Noisy, Dropped)
        for epoch in range(2):
            train(model, epochs=epoch + 1, initial_epoch=epoch, engine=engine)
            between()
        return model.get_weights()

    alone, other = in_turn(lambda: None), net(Noisy, Dropped)
    assert same_bits(alone, in_turn(lambda: train(other, engine=engine)))
    assert same_bits(alone, in_turn(_engine.clear_caches))
    assert same_bits(alone, in_turn(lambda: train(net(lambda: layers.Dense(2)), engine=engine)))


def test_noise_goes_on_where_training_goes_on():
    class Recorded(layers.Layer):
        def build(self, shape):
            self.seen = self.add_weight(shape=(), trainable=False)

        def call(self, x, training=False):
            if training:
                self.seen.assign(tf.random.uniform(()))
            return x

    model, seen = net(Recorded), []
    for epoch in range(3):
        train(model, epochs=epoch + 1, initial_epoch=epoch)
        seen.append(float(model.layers[1].seen))
    assert len(set(seen)) == 3


def test_the_users_own_random_operations_go_on():
    def drawn(between):
        tf.random.set_seed(3)
        first = tf.random.uniform((), seed=5).numpy()
        between()
        return first, tf.random.uniform((), seed=5).numpy(), tf.random.uniform(()).numpy()

    def busy():
        train(net(Noisy, Drawn))
        _engine.clear_caches()

    assert drawn(busy) == drawn(lambda: None)


def test_a_builder_that_draws_from_tensorflow_repeats():
    def built(seed):
        with seeded(seed):
            return [tf.random.normal((3,)).numpy(), tf.random.uniform((3,), seed=4).numpy()]

    assert same_bits(built(1), built(1))
    assert not same_bits(built(1), built(2))


def test_other_threads_draw_what_they_would_have_drawn():
    tf.random.set_seed(11)
    expected = [tf.random.uniform(()).numpy() for _ in range(3)]
    tf.random.set_seed(11)
    drawn = []
    thread = threading.Thread(target=lambda: drawn.extend(tf.random.uniform(()).numpy() for _ in range(3)))
    with seeded(5, user_code=False):
        before = np.random.get_state()[2]
        thread.start()
        thread.join()
        keras.layers.Dense(2).build((None, 3))
        assert np.random.get_state()[2] == before
    assert drawn == expected


# Models of many kinds


class AcrossRows(layers.Layer):
    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


@pytest.mark.parametrize(
    "make",
    [AcrossRows, lambda: layers.Softmax(axis=0), lambda: layers.UnitNormalization(axis=0)],
    ids=["mean", "softmax", "unit normalisation"],
)
def test_predictions_of_models_that_look_across_rows(make):
    model = net(make)
    for n in (2, 5, 33):
        np.testing.assert_allclose(_engine.forward(model, X[:n]), model.predict_on_batch(X[:n]), rtol=1e-6)


class Held(layers.Layer):
    """Has no get_config, and takes an array."""

    def __init__(self, array):
        super().__init__()
        self.array = array

    def call(self, x):
        return x * self.array


def late_name():
    if False:
        later = 1.0
    return lambda x: x if np.pi > 3 else later * x


@pytest.mark.parametrize(
    "make",
    [lambda: Held(np.arange(3.0, dtype="float32")), lambda: layers.Lambda(late_name())],
    ids=["no get_config", "a name that is not set"],
)
def test_layers_of_the_users_train_and_predict(make):
    ours, theirs = net(make), net(make)
    assert train(ours).engine == "compiled"
    train(theirs, engine="keras")
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(_engine.forward(ours, X), ours.predict_on_batch(X), rtol=1e-5)


class Autoencoder(keras.Model):
    """Has no target."""

    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2)
        self.outer = layers.Dense(D)
        self.tracker = keras.metrics.Mean(name="loss")

    def call(self, x):
        return self.outer(self.inner(x))

    def train_step(self, data):
        (x,) = data if isinstance(data, tuple) else (data,)
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(x - self(x, training=True)))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}


def test_a_model_without_a_target():
    results = []
    for engine in ("auto", "keras"):
        with seeded(0):
            model = Autoencoder()
            model.compile("adam")
        history = train(model, y=None, engine=engine)
        results.append([*model.get_weights(), history.history["loss"]])
    assert len(results[0]) == 5
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


class Adversarial(keras.Model):
    """Has two networks and two optimizers."""

    def __init__(self):
        super().__init__()
        self.generator, self.critic = layers.Dense(D), layers.Dense(1)
        self.other = keras.optimizers.SGD(0.1)

    def call(self, x):
        return self.critic(self.generator(x))

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape(persistent=True) as tape:
            judged = self.critic(self.generator(x))
            loss = ops.mean(judged) + ops.mean(ops.square(x - self.generator(x)))
        for part, optimizer in ((self.generator, self.optimizer), (self.critic, self.other)):
            gradients = tape.gradient(loss, part.trainable_weights)
            optimizer.apply_gradients(zip(gradients, part.trainable_weights, strict=True))
        return {"loss": loss}


def test_a_model_with_two_optimizers():
    results = []
    for engine in ("auto", "keras", "auto"):
        with seeded(0):
            model = Adversarial()
            model.compile("sgd")
            model(X[:1])
        train(model, engine=engine)
        results.append(model.get_weights())
    for a, b in zip(results[0], results[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert same_bits(results[0], results[2])


class Stop(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_train_begin(self, logs=None):
        self.model.stop_training = self.at == "train"

    def on_epoch_begin(self, epoch, logs=None):
        if self.at == "epoch" and epoch == 1:
            self.model.stop_training = True


@pytest.mark.parametrize("at", ["train", "epoch"])
def test_a_training_that_is_stopped_before_an_epoch(at):
    results = []
    for engine in ("compiled", "keras"):
        model = net()
        history = train(model, callbacks=[Stop(at)], epochs=4, engine=engine)
        results.append([history.epoch, *model.get_weights(), history.history["loss"]])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_limit_of_the_steps_of_an_epoch_holds(shuffle):
    model, limited = net(), net()
    before = keras.config.max_steps_per_epoch()
    keras.config.set_max_steps_per_epoch(1)
    try:
        with pytest.warns(UserWarning, match="Limiting steps_per_epoch"):
            history = train(limited, epochs=3, shuffle=shuffle)
    finally:
        keras.config.set_max_steps_per_epoch(before)
    assert "max_steps_per_epoch" in history.reason
    assert history.epoch == [0, 1, 2]
    train(model, epochs=1, shuffle=shuffle)  # Keras goes on where the last epoch has stopped
    for a, b in zip(limited.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_checks_of_numbers_that_are_switched_on_are_made():
    code = """
import numpy as np, sys
import tensorflow as tf
import engine_training
from skdl import _engine
from skdl._backend import keras
def fit(scale):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    engine_training.train(model, np.ones((4, 2)) * scale, np.ones(4), batch_size=4, epochs=1, seed=0)
    return _engine.forward(model, np.ones((2, 2)))
fit(1.0)
tf.debugging.enable_check_numerics()
print(fit(1.0).shape)
try:
    fit(np.inf)
except tf.errors.InvalidArgumentError as error:
    print("raised", "NaN" in str(error) or "Inf" in str(error))
"""
    here = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=here)
    assert done.stdout.split("\n")[:2] == ["(2, 1)", "raised True"], done.stderr


# What is shared


def compiled_by(run):
    before = _engine.compilations()["training"]
    run()
    return _engine.compilations()["training"] - before


class Scaled(layers.Layer):
    def __init__(self, by, places=slice(0, 3)):
        super().__init__()
        self.by, self.places, self.initializer = by, places, keras.initializers.Ones()

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer=self.initializer)

    def call(self, x):
        return (self.by * self.w * x)[:, self.places]


def test_one_program_serves_models_of_the_users_that_compute_the_same():
    _engine.clear_caches()

    def search(by):
        for rate, seed, epochs in ((0.1, 1, 1), (0.2, 1, 1), (0.1, 2, 1), (0.1, 1, 2)):
            optimizer = keras.optimizers.Adam(rate)
            train(net(lambda: Scaled(by), optimizer=optimizer), seed=seed, epochs=epochs)

    assert compiled_by(lambda: search(1.0)) == 1
    assert compiled_by(lambda: search(2.0)) == 1


def test_one_program_serves_all_seeds_of_dropout():
    _engine.clear_caches()
    assert compiled_by(lambda: [train(net(lambda s=s: layers.Dropout(0.2, seed=s))) for s in (1, 2)]) == 1


def test_one_program_serves_functional_models_with_operations():
    def fit():
        x = keras.Input((D,))
        h = layers.Dense(D)(x) + 2 * x
        model = keras.Model(x, layers.Dense(1)(ops.relu(h)[:, :3]))
        model.compile("sgd", "mse")
        train(model)

    _engine.clear_caches()
    assert compiled_by(lambda: [fit() for _ in range(3)]) == 1
