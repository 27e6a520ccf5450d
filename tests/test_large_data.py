"""Data that are larger than memory likes: rows are read by blocks, as they are needed."""

import tracemalloc

import h5py
import keras
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict

from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, KerasRegressor, _arrays
from skdl._arrays import LargeRows, epoch_order

N = 600
rng = np.random.default_rng(0)
Y = rng.integers(0, 3, N)


class Slices:
    """An array that can be read by slices of rows alone."""

    def __init__(self, array):
        self._array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.n_read = 0

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        self.n_read += len(self._array[rows])
        return self._array[rows]


@pytest.fixture
def small_limits(monkeypatch):
    """All data count as large, and have many blocks."""
    monkeypatch.setattr(_arrays, "_LARGEST", 0)
    monkeypatch.setattr(_arrays, "_BLOCK", 60)


@pytest.fixture
def stored(tmp_path, small_limits):
    """Return a function that stores an array in a way."""
    files = []

    def store(array, kind="memory map"):
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        if kind == "slices":
            return Slices(array)
        if kind == "HDF5":
            files.append(h5py.File(path, "w"))
            chunks = (7, *array.shape[1:]) if len(array) else None
            return files[-1].create_dataset("X", data=array, chunks=chunks)
        np.save(path, array)
        return np.load(f"{path}.npy", mmap_mode="r")

    yield store
    for file in files:
        file.close()


@pytest.mark.parametrize("kind", ["memory map", "HDF5", "slices"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize(
    "params", [{}, {"validation_split": 0.2}, {"early_stopping": True, "scoring": "roc_auc_ovr"}], ids=str
)
def test_a_dense_network_is_that_of_the_array(stored, kind, dtype, params):
    X = (rng.random((N, 6)) * 200).astype(dtype)
    network = DNNClassifier((5,), epochs=2, random_state=0, **params)
    expected = network.fit(X, Y)
    proba, history = expected.predict_proba(X), expected.history_
    large = stored(X, kind)
    of_large = network.fit(large, Y)
    assert of_large.engine_ == "numpy"
    np.testing.assert_array_equal(of_large.predict_proba(large), proba)
    assert of_large.history_ == history
    assert of_large.score(large, Y) == of_large.score(X, Y)


@pytest.mark.parametrize(("engine", "kind"), [("compiled", "memory map"), ("keras", "HDF5")])
def test_other_networks_are_those_of_the_array(stored, kind, engine):
    X = rng.random((N, 6, 6))
    params = {"filters": (2,), "hidden_layer_sizes": (), "validation_split": 0.2, "random_state": 0}
    large = stored(X, kind)
    network = CNNClassifier(**params, epochs=2, batch_size=100, engine=engine)
    of_large = clone(network).fit(large, Y)
    assert of_large.engine_ == engine
    of_array = network.fit(X, Y)
    np.testing.assert_allclose(of_large.predict_proba(large), of_array.predict_proba(X), rtol=1e-5)
    np.testing.assert_allclose(of_large.history_["val_loss"], of_array.history_["val_loss"], rtol=1e-5)
    by_keras = of_large.predict_proba(large, verbose=2)
    np.testing.assert_allclose(by_keras, of_array.predict_proba(X), rtol=1e-5)


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
def test_a_sparse_matrix_gives_what_its_dense_array_gives(small_limits, form):
    X = rng.random((N, 20)) * (rng.random((N, 20)) < 0.1)
    X = X.astype("float32")
    dense = DNNClassifier((5,), validation_split=0.2, epochs=2, random_state=0).fit(X, Y)
    sparse = DNNClassifier((5,), validation_split=0.2, epochs=2, random_state=0).fit(form(X), Y)
    assert sparse.engine_ == "numpy"
    # Products of sparse matrices add up in another order.
    np.testing.assert_allclose(sparse.history_["val_loss"], dense.history_["val_loss"], rtol=1e-5)
    np.testing.assert_allclose(sparse.predict_proba(form(X)), dense.predict_proba(X), rtol=1e-5)
    compiled = clone(sparse).set_params(engine="compiled").fit(form(X), Y)
    np.testing.assert_allclose(compiled.predict_proba(form(X)), dense.predict_proba(X), rtol=1e-4)


def test_a_sparse_matrix_is_made_dense_where_the_first_layer_does_not_only_multiply(small_limits):
    def build():
        parts = [keras.layers.BatchNormalization(), keras.layers.Dense(3, "softmax")]
        return keras.Sequential([keras.Input((20,)), *parts])

    X = (rng.random((N, 20)) * (rng.random((N, 20)) < 0.1)).astype("float32")
    network = KerasClassifier(build, loss="sparse_categorical_crossentropy", random_state=0)
    of_array = clone(network).fit(X, Y).predict_proba(X)
    sparse = network.fit(scipy.sparse.csr_array(X), Y)
    assert sparse.engine_ == "numpy"
    np.testing.assert_array_equal(sparse.predict_proba(scipy.sparse.csr_array(X)), of_array)


def test_large_data_are_shuffled_by_blocks_of_consecutive_rows(small_limits, monkeypatch):
    monkeypatch.setattr(_arrays, "_TOGETHER", 4)
    X = np.empty((N, 6))  # blocks of 10 rows, of which 4 are shuffled together
    order = epoch_order(X, seed=0, epoch=0, shuffle=True)
    np.testing.assert_array_equal(np.sort(order), np.arange(N))
    blocks = [set(order[start : start + 40] // 10) for start in range(0, N, 40)]
    assert [len(each) for each in blocks] == [4] * 15
    assert np.abs(np.diff(order)).max() > 40
    np.testing.assert_array_equal(epoch_order(X, seed=0, epoch=0, shuffle=False), np.arange(N))


@pytest.mark.parametrize("validation_split", [None, 0.3])
def test_each_row_is_read_once_in_an_epoch(small_limits, validation_split):
    X = Slices(rng.random((N, 6)).astype("float32"))
    network = DNNRegressor((4,), epochs=1, validation_split=validation_split, random_state=0)
    network.fit(X, Y)
    n_read, X.n_read = X.n_read, 0
    network.set_params(epochs=11).fit(X, Y)
    per_epoch = (X.n_read - n_read) / 10
    assert per_epoch <= (N if validation_split is None else 3 * N)


def test_small_data_of_other_libraries_become_arrays():
    X = rng.random((N, 6)).astype("float32")
    network = DNNClassifier((5,), random_state=0)
    of_slices = network.fit(Slices(X), Y).predict_proba(Slices(X))
    np.testing.assert_array_equal(of_slices, network.fit(X, Y).predict_proba(X))


def test_layers_learn_from_large_data_block_by_block(stored):
    def build():
        chain = [keras.Input((6,)), keras.layers.Normalization(), keras.layers.Dense(1)]
        return keras.Sequential(chain)

    X = 5 + rng.random((N, 6))
    fitted = KerasRegressor(build, loss="mse", random_state=0).fit(stored(X, "HDF5"), Y)
    np.testing.assert_allclose(np.ravel(fitted.model_.layers[0].mean), X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(fitted.model_.layers[0].variance), X.var(axis=0), rtol=1e-3)


def test_rows_that_are_held_out_stay_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(_arrays, "_LARGEST", 10_000)
    monkeypatch.setattr(_arrays, "_BLOCK", 10_000)
    np.save(tmp_path / "X.npy", rng.random((20_000, 100)).astype("float32"))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
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


def test_a_further_row_takes_few_bytes(monkeypatch):
    monkeypatch.setattr(_arrays, "_LARGEST", 0)
    monkeypatch.setattr(_arrays, "_BLOCK", 10_000)
    network = DNNClassifier((2,), epochs=1, batch_size=2_000, validation_split=0.1, random_state=0)

    def peak(n):
        X, y = Slices(np.zeros((n, 2), "float32")), rng.integers(0, 2, n)
        tracemalloc.start()
        try:
            network.fit(X, y)
            return tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    peak(100_000)
    assert (peak(600_000) - peak(300_000)) / 300_000 < 30


def test_splits_of_scikit_learn_take_memory_maps_and_hdf5(stored):
    X = rng.random((N, 6)).astype("float32")
    network = DNNClassifier((5,), epochs=1, random_state=0)
    expected = cross_val_predict(network, X, Y)
    for kind in ("memory map", "HDF5"):
        np.testing.assert_array_equal(cross_val_predict(network, stored(X, kind), Y), expected)


def test_chunks_in_turn_give_the_network_of_the_whole(stored):
    X = stored(rng.random((N, 6)).astype("float32"), "HDF5")
    for make in (DNNClassifier, wrapped):
        network = make(epochs=1, shuffle=False, random_state=0)
        whole = network.fit(X, Y).predict_proba(X)
        chunks = make(epochs=1, shuffle=False, random_state=0)
        for start in range(0, N, 96):  # a multiple of the batch size
            chunks.partial_fit(X[start : start + 96], Y[start : start + 96], classes=[0, 1, 2])
        np.testing.assert_allclose(chunks.predict_proba(X), whole, rtol=1e-5)


def wrapped(**params):
    def build():
        x = keras.Input((6,))
        h = keras.layers.Dense(4, "relu")(x)
        return keras.Model(x, keras.layers.Dense(3, "softmax")(keras.layers.Concatenate()([x, h])))

    return KerasClassifier(build, loss="sparse_categorical_crossentropy", **params)


@pytest.mark.parametrize("kind", ["memory map", "HDF5", "slices"])
def test_what_no_network_takes_is_refused_in_the_words_for_arrays(stored, kind):
    X = rng.random((N, 6))
    X[-1, 0] = np.nan
    with pytest.raises(ValueError, match="DNNClassifier does not accept missing values"):
        DNNClassifier((5,)).fit(stored(X, kind), Y)
    fitted = DNNClassifier((5,), random_state=0).fit(stored(X[:-1], kind), Y[:-1])
    with pytest.raises(ValueError, match="X has 5 features, but DNNClassifier is expecting 6 features"):
        fitted.predict(stored(X[:-1, 1:], kind))
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        fitted.predict(stored(X[:0], kind))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted.fit(stored(X[:-1], kind), Y)


def test_rows_of_large_data_are_those_of_the_array(small_limits):
    array = rng.random((N, 2, 3))
    rows = LargeRows(Slices(array)).take(np.arange(1, N, 3)).reshape(-1, 6)
    expected = array[1::3].reshape(-1, 6)
    positions = rng.integers(0, len(expected), 50)
    np.testing.assert_array_equal(rows[positions], expected[positions])
    np.testing.assert_array_equal(rows[7:90], expected[7:90])
    np.testing.assert_array_equal(np.concatenate(list(rows.blocks())), expected)
    np.testing.assert_array_equal(np.asarray(rows, "float32"), expected.astype("float32"))
