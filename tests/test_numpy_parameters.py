"""Parameters that are NumPy's numbers, as grids and samplers of searches give them."""

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skdl import CNNClassifier, DNNClassifier, KerasClassifier, TabularClassifier

X, Y = scale(load_iris().data).astype("float32"), load_iris().target
SPARSE = "sparse_categorical_crossentropy"


def build(units=4, sizes=(), options=None, use_bias=True, activation="relu"):
    options = {"rate": 0.1, **(options or {})}
    for value in (units, *sizes, *options.values(), use_bias, activation):
        assert type(value) in (int, float, bool, str), value
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(units, activation=activation, use_bias=use_bias),
            *(layers.Dense(size) for size in sizes),
            layers.Dropout(options["rate"]),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    "params",
    [
        {"units": np.arange(4, 9)[0]},
        {"units": np.uint8(4), "activation": np.array(["tanh"])[0]},
        {"sizes": [np.int64(3), np.int32(2)]},
        {"sizes": (np.int64(3),), "options": {"rate": np.float32(0.25)}},
        {"options": {"rate": np.float64(0.25)}, "use_bias": np.bool_(False)},
    ],
    ids=str,
)
def test_a_builder_gets_numbers_of_python(params):
    routed = {f"model__{name}": value for name, value in params.items()}
    clf = KerasClassifier(build, loss=SPARSE, random_state=0, **routed).fit(X, Y)
    for name, value in params.items():
        assert clf.get_params()[f"model__{name}"] is value


def test_what_is_no_number_reaches_the_builder_as_it_is():
    given = {"sizes": [1, 2], "table": np.arange(3), "nested": ({"a": [1.5]},)}
    seen = {}

    def build(sizes, table, nested, params):
        seen.update(sizes=sizes, table=table, nested=nested)
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])

    routed = {f"model__{name}": value for name, value in given.items()}
    KerasClassifier(build, loss=SPARSE, **routed).fit(X, Y)
    assert all(seen[name] is value for name, value in given.items())


def test_optimizers_losses_and_callbacks_get_numbers_of_python():
    clf = KerasClassifier(
        build,
        loss=keras.losses.SparseCategoricalCrossentropy,
        loss__from_logits=np.bool_(False),
        optimizer="sgd",
        optimizer__learning_rate=np.float32(0.125),
        optimizer__momentum=np.float32(0.5),
        optimizer__nesterov=np.bool_(True),
        callbacks=keras.callbacks.ReduceLROnPlateau,
        callbacks__patience=np.int64(3),
        callbacks__monitor=np.str_("loss"),
        epochs=np.int64(2),
        batch_size=np.int16(50),
        fit__initial_epoch=np.int64(0),
    ).fit(X, Y)
    assert float(clf.model_.optimizer.learning_rate) == 0.125
    assert clf.callbacks_[0].patience == 3


@pytest.mark.parametrize(
    "estimator",
    [
        DNNClassifier(
            np.arange(4, 6), dropout=np.float32(0.1), learning_rate=np.float32(0.01), epochs=np.int8(1)
        ),
        DNNClassifier(
            (np.int64(4),), batch_norm=np.bool_(True), batch_size=np.int64(30), optimizer=np.str_("sgd")
        ),
        CNNClassifier(
            np.int64(2),
            kernel_size=np.int64(1),
            image_shape=tuple(np.array([2, 2])),
            epochs=np.int64(1),
            batch_size=np.int64(30),
        ),
        TabularClassifier(
            np.array([8]),
            n_members=np.int64(2),
            n_folds=np.int64(2),
            epochs=np.int64(2),
            batch_size=np.int64(32),
            dropout=np.float32(0.1),
            learning_rate=np.float32(0.01),
            weight_decay=np.float32(0.01),
        ),
    ],
    ids=["dense", "dense, others", "images", "tables"],
)
def test_ready_made_networks_take_numbers_of_numpy(estimator):
    assert estimator.fit(X, Y).predict(X).shape == (150,)


def test_a_search_over_an_array_of_units():
    net = KerasClassifier(build, loss=SPARSE, random_state=0)
    search = GridSearchCV(net, {"model__units": np.arange(3, 5)}, cv=2, error_score="raise").fit(X, Y)
    assert_array_equal(search.cv_results_["param_model__units"], [3, 4])
    assert search.best_estimator_.model_.layers[0].units == search.best_params_["model__units"]
