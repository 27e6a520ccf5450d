"""An estimator that did not change hashes as before: joblib.Memory does not compute once more."""

import copy
import json
import os
import pickle
import subprocess
import sys

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdl import (
    CNNClassifier,
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    TabularClassifier,
    TabularRegressor,
)

X, Y = scale(load_iris().data).astype("float32"), load_iris().target
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 0, "a", None), flag=X[:, 1] > 0)


class Own(layers.Layer):
    def __init__(self):
        super().__init__()
        self.names, self.options = {"alpha", "beta", "gamma"}, {"scale": 2.0, 3: [1, 2]}
        self.dense = layers.Dense(4, activation="relu")

    def call(self, x):
        return self.dense(x) * self.options["scale"]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.own, self.out = Own(), layers.Dense(3, activation="softmax")

    def call(self, x):
        return self.out(self.own(x))


def functional(meta):
    x = keras.Input((meta["n_features_in_"],))
    hidden = layers.Dropout(0.1)(layers.Dense(4, activation="relu")(layers.BatchNormalization()(x)))
    steps = layers.LSTM(2)(layers.Reshape((4, 1))(x))
    return keras.Model(x, layers.Dense(1)(layers.Concatenate()([hidden, steps])))


def with_table(meta):
    x = keras.Input((meta["n_features_in_"],), dtype="int64")
    counted = layers.IntegerLookup(vocabulary=[1, 4, 2, 3, 0], output_mode="count")(x)
    return keras.Model(x, layers.Dense(1)(counted))


SMALL = {"hidden_layer_sizes": 8, "n_members": 2, "n_folds": 2, "epochs": 1, "random_state": 0}
ESTIMATORS = {
    "dense": DNNClassifier((4,), epochs=1, dropout=0.1, batch_norm=True, random_state=0),
    "stopped early": DNNRegressor((4,), epochs=2, early_stopping=True, random_state=0),
    "images": CNNClassifier(2, image_shape=(2, 2), epochs=1, random_state=0),
    "subclassed": KerasClassifier(Subclassed, loss="sparse_categorical_crossentropy", random_state=0),
    "functional": KerasRegressor(
        functional,
        loss=keras.losses.Huber(),
        optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
        metrics=["mae", keras.metrics.MeanSquaredError()],
        callbacks=[keras.callbacks.ReduceLROnPlateau("loss")],
        random_state=0,
    ),
    "by Keras's fit": KerasRegressor(functional, loss="mse", engine="keras", random_state=0),
    "a lookup table": KerasRegressor(with_table, loss="mse", random_state=0),
    "numbers": TabularClassifier(**SMALL),
    "a table": TabularRegressor(**SMALL),
    "pipeline": make_pipeline(StandardScaler(), DNNClassifier((4,), epochs=1, random_state=0)),
}


@pytest.fixture(scope="module")
def fitted():
    """Each estimator, fitted, and the rows that it predicts."""
    found = {}
    for name, estimator in ESTIMATORS.items():
        rows = {"a table": TABLE, "a lookup table": np.abs(X).astype(int)}.get(name, X)
        found[name] = copy.deepcopy(estimator).fit(rows, Y), rows
    return found


@pytest.mark.parametrize("name", ESTIMATORS)
def test_copies_and_pickles_hash_as_the_original(fitted, name, tmp_path):
    estimator, rows = fitted[name]
    expected = joblib.hash(estimator)
    estimator.predict(rows)
    assert joblib.hash(estimator) == expected
    again = pickle.loads(pickle.dumps(estimator))
    assert joblib.hash(again) == expected
    again.predict(rows)
    assert joblib.hash(pickle.loads(pickle.dumps(again))) == expected
    assert joblib.hash(copy.deepcopy(estimator)) == expected
    joblib.dump(estimator, tmp_path / "net.joblib")
    assert joblib.hash(joblib.load(tmp_path / "net.joblib")) == expected


@pytest.mark.parametrize("name", ["dense", "functional", "a table"])
def test_what_changed_hashes_otherwise(fitted, name):
    estimator, _ = fitted[name]
    changed = copy.deepcopy(estimator)
    weights = changed.model_.get_weights()
    changed.model_.set_weights([weights[0] + 1, *weights[1:]])
    assert joblib.hash(changed) != joblib.hash(estimator)


@pytest.mark.filterwarnings("ignore:Persisting input arguments took")  # on a busy machine
@pytest.mark.parametrize("name", ["dense", "subclassed", "functional", "numbers"])
def test_memory_knows_an_estimator_that_came_from_a_pickle(fitted, name, tmp_path):
    estimator, rows = fitted[name]
    calls = []

    def count(estimator, rows):
        calls.append(len(rows))

    counted = joblib.Memory(tmp_path, verbose=0).cache(count)
    for each in (estimator, pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        counted(each, rows)
    assert calls == [150]


def test_estimators_hash_the_same_in_another_process(fitted, tmp_path):
    estimators = {name: estimator for name, (estimator, _) in fitted.items()}
    (tmp_path / "estimators.pkl").write_bytes(pickle.dumps(estimators))
    code = (
        "import joblib, json, pickle, sys; found = pickle.load(open(sys.argv[1], 'rb'));"
        "print(json.dumps({name: joblib.hash(each) for name, each in found.items()}))"
    )
    path = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "estimators.pkl"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: joblib.hash(each) for name, each in estimators.items()}
