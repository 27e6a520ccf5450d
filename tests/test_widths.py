"""One trace for networks that differ in the number of units of their hidden layers."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, DNNRegressor, KerasClassifier, clear_caches
from skdl._backend import keras, tf
from skdl._engine import _widths, compilations
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


@pytest.mark.parametrize(
    "params", [{"dropout": 0.3, "activation": "sigmoid"}, STOPPING], ids=["dropout", "stopping"]
)
def test_other_widths_are_trained_by_the_same_program_to_the_same_bits(params):
    clear_caches()
    alone = classifier((12, 3), **params).fit(X, Y)
    clear_caches()
    assert new_programs(lambda: classifier((7, 20), **params).fit(X, Y)) == ONE
    after = classifier((12, 3), **params)
    assert new_programs(lambda: after.fit(X, Y)) == NONE
    assert [kernel.shape for kernel in after.coefs_] == [(4, 12), (12, 3), (3, 3)]
    same(alone, after)


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


def test_programs_for_xla_are_made_for_each_width():
    def fit(units):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(units), layers.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=True)
        return KerasClassifier(model, epochs=1, random_state=0).fit(X, Y)

    fit(5)
    assert new_programs(lambda: fit(6))["training"] == 1
