"""Memory maps that are larger than memory likes: rows are read as they are needed."""

import tracemalloc

import keras
import numpy as np
import pytest
from sklearn.model_selection import cross_val_predict

from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, _arrays

N = 600
rng = np.random.default_rng(0)
Y = rng.integers(0, 3, N)


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    """Return a function that writes an array as a memory map, which counts as large."""
    monkeypatch.setattr(_arrays, "_ON_DISK", 0)

    def write(array):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode="r")

    return write


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize(
    "params", [{}, {"validation_split": 0.2}, {"early_stopping": True, "scoring": "accuracy"}], ids=str
)
def test_a_dense_network_is_that_of_the_array(on_disk, dtype, params):
    X = (rng.random((N, 6)) * 200).astype(dtype)
    network = DNNClassifier((5,), epochs=2, random_state=0, **params)
    expected = network.fit(X, Y)
    proba, history = expected.predict_proba(X), expected.history_
    of_map = network.fit(on_disk(X), Y)
    assert of_map.engine_ == "numpy"
    np.testing.assert_array_equal(of_map.predict_proba(on_disk(X)), proba)
    assert of_map.history_ == history


def test_other_networks_are_trained_a_batch_at_a_time(on_disk):
    X = rng.random((60, 8, 8)).astype("float32")
    params = {"filters": (2,), "hidden_layer_sizes": (), "validation_split": 0.2, "random_state": 0}
    of_map = CNNClassifier(**params).fit(on_disk(X), Y[:60])
    assert (of_map.engine_, of_map.engine_reason_[:17]) == ("keras", "x is a memory map")
    of_array = CNNClassifier(**params).fit(X, Y[:60])
    np.testing.assert_allclose(of_map.predict_proba(X), of_array.predict_proba(X), rtol=1e-4)

    def build():
        flat = [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
        return keras.Sequential(flat)

    wrapped = KerasClassifier(build, loss="sparse_categorical_crossentropy", random_state=0)
    expected = wrapped.fit(X, Y[:60]).predict_proba(X)
    np.testing.assert_allclose(wrapped.fit(on_disk(X), Y[:60]).predict_proba(X), expected, rtol=1e-5)


def test_rows_that_are_held_out_stay_on_the_disk(on_disk):
    X = on_disk(rng.random((20_000, 100)).astype("float32"))
    y = rng.random(len(X))
    network = DNNRegressor((4,), epochs=1, batch_size=1_000, validation_split=0.3, random_state=0)
    network.fit(X[:2_000], y[:2_000])
    tracemalloc.start()
    try:
        network.fit(X, y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < X.nbytes


def test_splits_of_scikit_learn_take_memory_maps(on_disk):
    X = rng.random((N, 6)).astype("float32")
    network = DNNClassifier((5,), epochs=1, random_state=0)
    np.testing.assert_array_equal(cross_val_predict(network, on_disk(X), Y), cross_val_predict(network, X, Y))


def test_missing_numbers_are_found(on_disk):
    X = rng.random((N, 6))
    X[-1, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        DNNClassifier((5,), epochs=1).fit(on_disk(X), Y)
