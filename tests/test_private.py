"""Private names of Keras and TensorFlow may go: skdl trains without them."""

import inspect
import random
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

import skdl
from skdl import KerasRegressor
from skdl._backend import keras, private, seeded
from skdl._engine import _rules

SOURCES = Path(skdl.__file__).parent
X = np.linspace(-1, 1, 16).reshape(8, 2)
Y = X @ [1.0, -1.0]
DEFINED = inspect.getmembers(private, lambda each: getattr(each, "__module__", None) == private.__name__)
ALL = [name for name, each in DEFINED if callable(each) and not isinstance(each, type) and name[0] != "_"]
USED = {path: set(re.findall(r"private\.(\w+)", path.read_text())) for path in SOURCES.rglob("*.py")}
OF_FILES = {name for name in ALL if all("_persistence" in path.parts for path in USED if name in USED[path])}
# Looks no name up.
NEVER_MISSING = {"made_by_one_kernel"}
FUNCTIONS = [name for name in ALL if name not in OF_FILES | NEVER_MISSING]
# Without these the engine trains as ever: seeds, metrics, processes.
NOT_NEEDED = {"keras_seeded", "set_given_metrics", "tensorflow_has_started"}


class Own(keras.layers.Layer):
    """So that the network is none that NumPy trains."""

    def call(self, inputs):
        return 2 * inputs


def build():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "relu"), Own(), keras.layers.Dense(1)])


def network(**params):
    params = {"loss": "mse", "epochs": 1, "batch_size": 4, "random_state": 0, **params}
    return KerasRegressor(build, **params)


@pytest.fixture(autouse=True)
def unknown(monkeypatch):
    """As in a new process."""
    monkeypatch.setattr(_rules, "_told", False)
    skdl.clear_caches()
    yield
    skdl.clear_caches()


@pytest.fixture(scope="module")
def expected():
    return network().fit(X, Y).predict(X)


def take_away(monkeypatch, name):
    def gone(*args, **kwargs):
        raise private.Unavailable("there is no tensorflow.python.gone")

    monkeypatch.setattr(private, name, gone)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_a_private_name_a_network_trains_and_predicts_as_with_it(name, monkeypatch, expected):
    take_away(monkeypatch, name)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        trained = network().fit(X, Y)
        predicted = trained.predict(X)
    assert len(raised) <= 1
    assert all("so keras.Model.fit trains" in str(warning.message) for warning in raised)
    if trained.engine_ == "keras":
        assert "the compiled engine does not work with Keras 3" in trained.engine_reason_
        assert len(raised) == 1
    if name in NOT_NEEDED:
        assert trained.engine_ == "compiled"
    if name == "keras_seeded":  # other random numbers
        assert np.isfinite(predicted).all()
    else:
        np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)


def test_without_the_private_names_behind_copies_and_files_a_network_trains(monkeypatch, expected):
    for name in OF_FILES:
        take_away(monkeypatch, name)
    trained = network().fit(X, Y)
    assert trained.engine_ == "compiled"
    np.testing.assert_array_equal(trained.predict(X), expected)


@pytest.mark.parametrize("name", ["runtime_function", "build_all", "keras_seeded"])
def test_without_a_private_name_a_search_works(name, monkeypatch):
    take_away(monkeypatch, name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*keras.Model.fit trains", UserWarning)
        search = GridSearchCV(network(), {"optimizer__learning_rate": [0.1]}, cv=2, error_score="raise").fit(
            X, Y
        )
    assert np.isfinite(search.predict(X)).all()


def fitted_twice():
    network().fit(X, Y).predict(X)
    return network().fit(X, Y)


def test_where_a_name_is_missing_keras_trains_with_one_warning(monkeypatch):
    take_away(monkeypatch, "runtime_function")
    with pytest.warns(UserWarning, match=r"with Keras 3\.\d+.* and TensorFlow 2\.\d+") as raised:
        first = fitted_twice()
    assert len(raised) == 1
    assert first.engine_ == "keras"
    assert "tensorflow.python.gone" in first.engine_reason_
    with pytest.raises(ValueError, match="can't run this training: the compiled engine does not work"):
        network(engine="compiled").fit(X, Y)


def test_errors_of_the_users_code_are_no_missing_names():
    class Own(keras.Sequential):
        def build(self, shape):
            raise AttributeError("mine")

    model = Own([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(RuntimeError, match="mine"):
        private.build_all(model, (X, Y))
    with pytest.raises(private.Unavailable, match="there is no _symbolic_build"):
        private.build_all(object(), (X, Y))


def test_without_private_names_seeds_leave_the_global_states_of_python_and_numpy(monkeypatch):
    take_away(monkeypatch, "keras_seeded")
    before = random.getstate(), np.random.get_state()[1].tolist()
    drawn = []
    for _ in range(2):
        with seeded(7):
            drawn.append((random.random(), np.random.rand(), float(keras.random.normal(()))))
    assert drawn[0] == drawn[1]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
