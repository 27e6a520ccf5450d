"""Nothing warns that a user can't act upon, and what warns points at the user's line."""

import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline as sklearn_pipeline
from sklearn.preprocessing import StandardScaler

from skdl import (
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    TabularClassifier,
    make_pipeline,
)

SCRIPT = """
import copy, pickle, sys, warnings
import keras, numpy as np
import skdl
from sklearn.base import clone

X = np.random.default_rng(0).normal(size=(40, 3))
y = (X[:, 0] > 0) * 2**60  # large numbers are classes, too


def build(meta, units=3):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1, "sigmoid")])


models = [
    skdl.DNNClassifier((3,), epochs=1, dropout=0.1, early_stopping=True),
    skdl.KerasClassifier(
        build, loss="binary_crossentropy", engine="keras", callbacks=keras.callbacks.CSVLogger(sys.argv[1])
    ),
]
for model in models:
    model.fit(X, y).predict_proba(X)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
        other.predict(X)
# As often as TensorFlow needs to complain of tracing.
for units in range(2, 8):
    models[1].set_params(model__units=units).fit(X[: 5 * units], y[: 5 * units])
skdl.save(models[0], sys.argv[2])
skdl.load(sys.argv[2]).predict(X)
skdl.clear_caches()
"""


def test_a_process_with_warnings_as_errors_stays_silent(tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        SCRIPT,
        str(tmp_path / "log.csv"),
        str(tmp_path / "model.skdl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "retracing" not in done.stderr


X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)
ONE_HOT = np.eye(3)[np.arange(40) % 3]
GROUPS = np.arange(40) // 4
DIVERGES = {"epochs": 1, "learning_rate": 1e30, "optimizer": "sgd"}


def compiled():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy")
    return model


class Mine(DNNRegressor):
    def fit(self, X, y, **kwargs):
        return super().fit(X, y, **kwargs)


def tabular(kind, **params):
    return kind(4, n_members=1, n_folds=1, epochs=1, **params)


CALLS = {
    "fit": lambda: DNNRegressor((2,), **DIVERGES).fit(X, Y),
    "partial_fit": lambda: DNNRegressor((2,), **DIVERGES).partial_fit(X, Y),
    "classes": lambda: DNNClassifier((2,), **DIVERGES).partial_fit(X, Y, classes=[0, 1]),
    "fit of a subclass": lambda: Mine((2,), **DIVERGES).fit(X, Y),
    "a scaled target": lambda: DNNRegressor((2,), epochs=1).partial_fit(X, 1e6 * Y),
    "one-hot rows": lambda: DNNClassifier((2,), epochs=1).fit(X, ONE_HOT),
    "one-hot rows, one epoch": lambda: DNNClassifier((2,), epochs=1).partial_fit(X, ONE_HOT),
    "groups": lambda: DNNClassifier((2,), epochs=1, validation_split=0.2).fit(X, Y, groups=GROUPS),
    "groups, one epoch": lambda: DNNClassifier((2,), validation_split=0.2).partial_fit(X, Y, groups=GROUPS),
    "rare classes": lambda: DNNClassifier((2,), epochs=1, validation_split=0.1).fit(X, [0, *[1] * 39]),
    "rare classes of a table": lambda: tabular(TabularClassifier, validation_split=0.01).fit(
        X, [0, *[1] * 39]
    ),
    "build_fn": lambda: KerasClassifier(build_fn=compiled, loss="binary_crossentropy").fit(X, Y),
    "unused": lambda: KerasClassifier(compiled, optimizer="sgd").initialize(X, Y),
    "unused, one epoch": lambda: KerasClassifier(compiled, optimizer="sgd").partial_fit(X, Y),
    "a pipeline": lambda: make_pipeline(StandardScaler(), DNNRegressor((2,), **DIVERGES)).fit(X, Y),
    "a pipeline with groups": lambda: make_pipeline(
        StandardScaler(),
        RandomOverSampler(random_state=0),
        DNNClassifier((2,), epochs=1, validation_split=0.2),
    ).fit(X, Y, groups=GROUPS),
    "a pipeline of scikit-learn": lambda: sklearn_pipeline(DNNRegressor((2,), **DIVERGES)).fit(X, Y),
    "a search": lambda: GridSearchCV(KerasClassifier(compiled, optimizer="sgd"), {"epochs": [1]}, cv=2).fit(
        X, Y
    ),
    "folds": lambda: cross_val_predict(KerasClassifier(compiled, optimizer="sgd"), X, Y, cv=2),
    "a transformed target": lambda: TransformedTargetRegressor(DNNRegressor((2,), **DIVERGES)).fit(X, Y),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_warning_points_at_the_line_of_the_user(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    assert found
    assert {each.filename for each in found} == {__file__}
