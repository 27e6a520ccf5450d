"""Rows of nested arrays, for all engines and without TensorFlow."""

import math
from collections.abc import Iterable

import numpy as np
import scipy.sparse

# Bytes of a large array, as for NumPy, and the alignment by which TensorFlow shares memory.
LARGE, ALIGNMENT = 2**22, 64
# Bytes up to which sparse data become dense at once.
_DENSE = 2**28
# Bytes above which the rows of a memory map stay on the disk.
_ON_DISK = 2**30


def take(data, rows):
    """Return the rows of nested arrays; of a sparse matrix, those rows made dense."""
    if data is None:
        return None
    if scipy.sparse.issparse(data):
        return data[rows].toarray()
    if isinstance(data, dict):
        return {key: take(value, rows) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(take(value, rows) for value in data)
    return data[rows] if isinstance(data, RowsOnDisk) else rows_of(np.asarray(data), rows)


def rows_of(array, index):
    """Return rows of an array; many of them in memory that TensorFlow shares."""
    if isinstance(index, slice) or array.dtype.kind not in "fiu" or not array.dtype.isnative:
        return array[index]
    shape = (len(index), *array.shape[1:])
    if math.prod(shape) * array.itemsize < LARGE:
        return array[index]
    # With "raise" NumPy would write into a buffer first.
    return np.take(array, index, axis=0, out=aligned(shape, array.dtype), mode="clip")


class RowsOnDisk:
    """Some rows of a memory map, which are read when they are asked for."""

    def __init__(self, array, index):
        self.array, self.index = array, index
        self.shape, self.dtype, self.ndim = (len(index), *array.shape[1:]), array.dtype, array.ndim
        self.nbytes = math.prod(self.shape) * self.dtype.itemsize

    def __len__(self):
        return len(self.index)

    def __getitem__(self, rows):
        return self.array[self.index[rows]]

    def reshape(self, *shape):
        """Return the rows in another shape, without reading them."""
        row = shape[0][1:] if len(shape) == 1 else shape[1:]
        return RowsOnDisk(self.array.reshape(len(self.array), *row), self.index)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def is_on_disk(data):
    """Return whether data are a large memory map, or rows of one."""
    if isinstance(data, RowsOnDisk):
        return True
    return _is_in(data, np.memmap) and data.nbytes > _ON_DISK


def _is_in(array, kind):
    """Return whether an array, or one of those that it is a view of, is of a kind."""
    while isinstance(array, np.ndarray):
        if isinstance(array, kind):
            return True
        array = array.base
    return False


def n_rows(data):
    """Return the number of rows of nested arrays."""
    while isinstance(data, dict | list | tuple):
        data = next(iter(data.values())) if isinstance(data, dict) else data[0]
    return data.shape[0]


def float_type(data):
    """Return the type of the answers of scikit-learn's networks: float32 where all data are, else float64."""
    types = getattr(data, "dtypes", None)  # of the columns of a frame
    types = types if isinstance(types, Iterable) else [getattr(data, "dtype", None)]
    # By name, as not only NumPy has it.
    is_single = {str(each).lower().rpartition(".")[2] for each in types} == {"float32"}
    return np.dtype(np.float32 if is_single else np.float64)


def epoch_order(n, *, seed, epoch, shuffle):
    """Return the order of the rows in an epoch, the same in all engines and continued trainings."""
    order = aligned((n,), np.int32)
    order[:] = np.arange(n, dtype=np.int32)
    if shuffle:
        np.random.Generator(np.random.PCG64([seed, epoch])).shuffle(order)
    return order


def leaves(data):
    """Return the arrays in nested lists and dicts."""
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in leaves(value)]
    if isinstance(data, list | tuple):
        return [leaf for value in data for leaf in leaves(value)]
    return [data]


def without_lists(data):
    """Return nested arrays with tuples for lists, which batches of Keras may not hold."""
    if isinstance(data, dict):
        return {name: without_lists(part) for name, part in data.items()}
    return tuple(map(without_lists, data)) if isinstance(data, list | tuple) else data


class _Memory(np.ndarray):
    """Memory that skdl allocated, which a tensor may share."""


def aligned(shape, dtype):
    """Return a new array in memory that TensorFlow shares."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8).view(_Memory)
    start = -memory.ctypes.data % ALIGNMENT
    # The base of a view of a subclass is that view; for plain arrays it would be the first owner.
    return np.asarray(memory[start : start + size].view(dtype).reshape(shape))


def is_own(array):
    """Return whether the memory of an array is that of `aligned`."""
    return _is_in(array, _Memory)


def dense_where_small(data):
    """Return nested arrays with sparse matrices made dense, if they are small enough together."""
    sparse = list(filter(scipy.sparse.issparse, leaves(data)))
    if sum(dense_size(each) for each in sparse) > _DENSE:
        return data
    return take(data, slice(None)) if sparse else data


def dense_size(matrix):
    """Return the bytes of a sparse matrix as a dense array."""
    return math.prod(matrix.shape) * matrix.dtype.itemsize
