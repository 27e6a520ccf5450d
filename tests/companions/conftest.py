"""Networks to compare, data, and the table of what was seen.

These tests need the libraries of ``requirements.txt``: ``make companions`` installs them and runs the tests.
"""

import csv
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

from skdl import (
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    TabularClassifier,
    TabularRegressor,
)

# Searched for doctests it would be a second module of this name.
collect_ignore = ["conftest.py"]

_COMMON = {"hidden_layer_sizes": (16,), "batch_size": 32, "random_state": 0}
_SEEN = {}


def pytest_configure(config):
    """Name the marker; what other libraries warn of is theirs."""
    config.addinivalue_line(
        "markers",
        "library(name, checked, note=''): the distribution, what is compared with scikit-learn's networks, "
        "and what the guide says beside it.",
    )
    config.addinivalue_line("filterwarnings", "ignore")


def pytest_addoption(parser):
    """Add the option for the guide's table."""
    parser.addoption("--table", type=Path, help="CSV file for the guide's table of libraries")


def pytest_runtest_makereport(item, call):
    """Keep whether a test passed, for the table."""
    for marker in item.iter_markers("library"):
        passed = call.excinfo is None and _SEEN.get(item.nodeid, (True,))[0]
        _SEEN[item.nodeid] = passed, marker


def pytest_sessionfinish(session):
    """Write the table, where all tests ran and passed."""
    path = session.config.getoption("--table")
    if path is None or not _SEEN or not all(passed for passed, _ in _SEEN.values()):
        return
    rows = {}
    for _, marker in _SEEN.values():
        name, checked = marker.args
        rows.setdefault(name.lower(), []).append((name, checked, marker.kwargs.get("note", "")))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        for _, tests in sorted(rows.items()):
            name = tests[0][0]
            checked = "; ".join(each for _, each, _ in tests)
            notes = "; ".join(dict.fromkeys(note for _, _, note in tests if note))
            writer.writerow([name, version(name), checked, notes])


@pytest.fixture
def classifiers():
    """Return the control and skdl's network, unfitted, of the same size."""
    return [
        MLPClassifier(max_iter=60, learning_rate_init=0.01, **_COMMON),
        DNNClassifier(epochs=60, learning_rate=0.01, **_COMMON),
    ]


@pytest.fixture
def regressors():
    """Return the control and skdl's network, unfitted, of the same size."""
    return [
        MLPRegressor(max_iter=60, learning_rate_init=0.01, **_COMMON),
        DNNRegressor(epochs=60, learning_rate=0.01, **_COMMON),
    ]


_WRAPPED = {"optimizer": "adam", "optimizer__learning_rate": 0.01, "epochs": 40, "random_state": 0}
_TABULAR = {"hidden_layer_sizes": 16, "n_members": 2, "n_folds": 2, "epochs": 100, "random_state": 0}


@pytest.fixture
def all_classifiers(classifiers):
    """Return the control, skdl's dense network, a wrapped Keras model, and a tabular estimator."""
    wrapped = KerasClassifier(_builder("softmax"), loss="sparse_categorical_crossentropy", **_WRAPPED)
    return [*classifiers, wrapped, TabularClassifier(**_TABULAR)]


@pytest.fixture
def all_regressors(regressors):
    """Return the control, skdl's dense network, a wrapped Keras model, and a tabular estimator."""
    return [*regressors, KerasRegressor(_builder(None), loss="mse", **_WRAPPED), TabularRegressor(**_TABULAR)]


def _builder(activation):
    """Return a function of a function, as in a notebook: other processes get it by value."""

    def build(meta):
        rows = keras.Input((meta["n_features_in_"],))
        joined = keras.layers.Concatenate()([rows, keras.layers.Dense(16, "relu")(rows)])
        n = 1 if activation is None else meta["n_classes_"]
        return keras.Model(rows, keras.layers.Dense(n, activation)(joined))

    return build


@pytest.fixture(scope="session")
def iris():
    """Return three classes: 150 rows of 4 scaled features in random order, float64."""
    return _shuffled(load_iris)


@pytest.fixture(scope="session")
def cancer():
    """Return two classes: 569 rows of 30 scaled features."""
    return _shuffled(load_breast_cancer)


@pytest.fixture(scope="session")
def diabetes():
    """Return a scaled number to predict from 10 scaled features, for 442 rows."""
    X, y = _shuffled(load_diabetes)
    return X, scale(y)


def _shuffled(load):
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return scale(X)[order], y[order]
