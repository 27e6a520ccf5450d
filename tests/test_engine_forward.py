"""Predictions of models in which rows are not alone equal those of ``keras.Model.predict``."""

import copy

import keras
import numpy as np
import pytest
from keras import layers, ops
from sklearn.model_selection import ShuffleSplit

from skdl import KerasRegressor
from skdl._engine import _forward

X = np.random.default_rng(0).normal(size=(150, 4)).astype("float32")
Y = X.sum(axis=1)


class Centred(layers.Layer):
    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x - ops.mean(x, axis=0))


class Shifted(keras.Model):
    """Looks at the batch outside of its layers, as Keras's ``predict`` hands it over."""

    def predict_step(self, data):
        return super().predict_step(data) - ops.mean(data)


def chain(*parts):
    return keras.Sequential([keras.Input((4,)), *parts, layers.Dense(1)])


def graph(kind, hidden):
    x = keras.Input((4,))
    return kind(x, layers.Dense(1)(hidden(x)))


MODELS = {
    "a layer": lambda: chain(Centred()),
    "a layer of Keras's": lambda: chain(layers.Softmax(axis=0)),
    "an axis of a layer": lambda: graph(keras.Model, layers.UnitNormalization(axis=0)),
    "an operation": lambda: graph(keras.Model, lambda x: x - ops.mean(x, axis=0, keepdims=True)),
    "a function": lambda: chain(layers.Lambda(lambda x: x - ops.mean(x, axis=0))),
    "a subclass": Subclassed,
    "a step": lambda: graph(Shifted, lambda x: x),
}


def fit(build, n=150, **params):
    return KerasRegressor(build, loss="mse", epochs=1, random_state=0, **params).fit(X[:n], Y[:n])


@pytest.mark.parametrize("name", MODELS)
def test_steps_have_the_batch_size_of_the_estimator(name):
    net = fit(MODELS[name])
    of_fifty = net.model_.predict(X, batch_size=50, verbose=0)[:, 0]
    for batch_size in (None, 16, -1):
        net.set_params(batch_size=batch_size)
        size = 150 if batch_size == -1 else batch_size
        expected = net.model_.predict(X, batch_size=size, verbose=0)[:, 0]
        np.testing.assert_allclose(net.predict(X), expected, atol=1e-6)
        assert not np.allclose(net.predict(X), of_fifty, atol=1e-3)
        np.testing.assert_allclose(net.predict(X, batch_size=50), of_fifty, atol=1e-6)
    net.set_params(predict__batch_size=50)
    np.testing.assert_allclose(net.predict(X), of_fifty, atol=1e-6)


def test_the_batch_size_of_fit_is_that_of_the_prediction():
    net = fit(MODELS["an operation"], batch_size=64, fit__batch_size=16)
    np.testing.assert_allclose(
        net.predict(X), net.model_.predict(X, batch_size=16, verbose=0)[:, 0], atol=1e-6
    )


def stateful():
    return keras.Sequential(
        [
            keras.Input(batch_shape=(25, 4)),
            layers.Reshape((4, 1)),
            layers.LSTM(3, stateful=True, name="memory"),
            layers.Dense(1),
        ]
    )


def test_a_recurrent_layer_that_keeps_its_state():
    net = fit(stateful, batch_size=25)
    model = copy.deepcopy(net).model_
    for _ in range(2):  # the state goes on
        expected = model.predict(X, batch_size=25, verbose=0)[:, 0]
        np.testing.assert_allclose(net.predict(X), expected, atol=1e-6)


def test_rows_that_do_not_fill_the_steps_of_a_layer_with_a_state_are_refused_in_words():
    for n, batch_size in ((150, 16), (110, 25), (150, None)):
        with pytest.raises(
            ValueError, match=f"'memory' keeps a state for each of 25 rows.*got {n} rows to train"
        ):
            fit(stateful, n, batch_size=batch_size)
    with pytest.raises(ValueError, match="got 15 rows to validate on in steps of 25"):
        fit(stateful, batch_size=25, validation_split=ShuffleSplit(1, train_size=100, test_size=15))
    net = fit(stateful, batch_size=25)
    with pytest.raises(ValueError, match="got 30 rows to predict in steps of 25"):
        net.predict(X[:30])
    with pytest.raises(ValueError, match="got 50 rows to predict in steps of 10"):
        net.predict(X[:50], batch_size=10)


def test_a_pass_over_wide_rows_stays_small():
    x = np.zeros((8, 50_000), np.float32)
    model = keras.Sequential([keras.Input((50_000,)), layers.Dense(1)])
    assert _forward._block(model, x) == 128
    assert _forward._block(keras.Sequential([keras.Input((4,)), layers.Dense(1)]), X) > 1000


def test_a_fixed_batch():
    def build():
        x = keras.Input(batch_shape=(50, 4))
        return keras.Model(x, layers.Dense(1)(x - ops.mean(ops.reshape(x, (50, 4)), axis=0)))

    net = fit(build, batch_size=50)
    np.testing.assert_allclose(
        net.predict(X), net.model_.predict(X, batch_size=50, verbose=0)[:, 0], atol=1e-6
    )


def test_rows_that_are_alone_are_predicted_many_at_once(monkeypatch):
    blocks = []

    def noted(x, rows):
        blocks.append(rows.stop - rows.start)
        return take(x, rows)

    take = _forward.take
    monkeypatch.setattr(_forward, "take", noted)
    alone = {
        "dense": lambda: chain(layers.Dense(3, activation="relu"), layers.BatchNormalization()),
        "normalised": lambda: graph(
            keras.Model, lambda x: layers.Concatenate()([layers.LayerNormalization()(x), layers.Dense(2)(x)])
        ),
        "recurrent": lambda: chain(layers.Reshape((4, 1)), layers.GRU(2)),
        "attention": lambda: graph(
            keras.Model,
            lambda x: layers.Flatten()(layers.MultiHeadAttention(1, 2)(*[layers.Reshape((2, 2))(x)] * 2)),
        ),
    }
    for build in alone.values():
        net = fit(build, batch_size=8, engine="compiled")
        blocks.clear()
        net.predict(X)
        assert max(blocks) >= 128


@pytest.mark.parametrize("nest", [lambda each: each, lambda each: {"a": each}], ids=["array", "dict"])
def test_outputs_of_models_with_equal_graphs_are_nested_as_those_of_each(nest):
    def model(nest):
        x = keras.Input((4,))
        return keras.Model(x, nest(layers.Rescaling(2.0)(x)))

    _forward.forward(model(lambda each: {"b": each}), X)
    outputs = _forward.forward(model(nest), X)
    keras.tree.assert_same_structure(outputs, nest(0))
    np.testing.assert_allclose(keras.tree.flatten(outputs)[0], 2 * X)
