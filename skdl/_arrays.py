"""Rows of nested arrays, for all engines and without TensorFlow."""

import itertools
import math
import mmap
from collections.abc import Iterable

import numpy as np
import scipy.sparse

# Bytes of a large array, as for NumPy, and the alignment by which TensorFlow shares memory.
LARGE, ALIGNMENT = 2**22, 64
# Numbers above which data stay where they are: 200 MB in float32.
_LARGEST = 50_000_000
# Numbers of a block of consecutive rows, and how many blocks are shuffled together.
_BLOCK, _TOGETHER = 2**18, 16


def mapped(function, data):
    """Return nested dicts, lists and tuples with a function applied to what is in them."""
    if isinstance(data, dict):
        return {key: mapped(function, value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        values = [mapped(function, value) for value in data]
        return tuple(values) if isinstance(data, tuple) else values
    return function(data)


def take(data, rows):
    """Return the rows of nested arrays; of a sparse matrix, those rows made dense."""

    def taken(array):
        if array is None or isinstance(array, LargeRows):
            return array if array is None else array[rows]
        return array[rows].toarray() if scipy.sparse.issparse(array) else rows_of(np.asarray(array), rows)

    return mapped(taken, data)


def rows_of(array, index):
    """Return rows of an array; many of them in memory that TensorFlow shares."""
    if isinstance(index, slice) or array.dtype.kind not in "fiu" or not array.dtype.isnative:
        return array[index]
    shape = (len(index), *array.shape[1:])
    if math.prod(shape) * array.itemsize < LARGE:
        return array[index]
    # With "raise" NumPy would write into a buffer first.
    return np.take(array, index, axis=0, out=aligned(shape, array.dtype), mode="clip")


class LargeRows:
    """Rows, at ascending positions, of a large array: read by blocks, or made dense, when they are asked for.

    The array has ``shape``, ``dtype`` and slices of rows: a memory map, an HDF5 dataset, a sparse matrix.
    """

    def __init__(self, array, index=None, row_shape=None):
        self.array, self.index = array, index  # None for all rows
        self.row_shape = tuple(array.shape[1:] if row_shape is None else row_shape)
        n = array.shape[0] if index is None else len(index)
        self.shape, self.dtype = (n, *self.row_shape), array.dtype
        self.ndim, self.size = len(self.shape), math.prod(self.shape)
        is_read_only = isinstance(array, np.ndarray) and not array.flags.writeable
        self._map = _origin(array, mmap.mmap) if is_read_only and hasattr(mmap, "MADV_DONTNEED") else None
        self._block, self._kept = max(1, _BLOCK // math.prod(self.row_shape)), {}

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return rows in a slice, or at positions in any order, as an array."""
        if scipy.sparse.issparse(self.array):
            part = self.array[rows if self.index is None else self.index[rows]]
            return part.toarray(out=aligned(part.shape, self.dtype))
        if isinstance(rows, slice):
            return self._read(rows)
        rows = np.asarray(rows)
        result, numbers = aligned((len(rows), *self.row_shape), self.dtype), rows // self._block
        for number in np.unique(numbers):
            if number not in self._kept:  # a block is kept for as long as `epoch_order` visits its rows
                if len(self._kept) == 2 * _TOGETHER:
                    del self._kept[next(iter(self._kept))]
                self._kept[number] = self._read(slice(number * self._block, (number + 1) * self._block))
            chosen = numbers == number
            result[chosen] = self._kept[number][rows[chosen] - number * self._block]
        return result

    def _read(self, rows):
        index = np.arange(*rows.indices(len(self))) if self.index is None else self.index[rows]
        rows = aligned((len(index), *self.row_shape), self.dtype)
        starts = np.flatnonzero(np.diff(index // self._block, prepend=-1))
        for start, stop in itertools.pairwise([*starts, len(index)]):
            part = np.asarray(self.array[index[start] : index[stop - 1] + 1])
            rows[start:stop] = part[index[start:stop] - index[start]].reshape(-1, *self.row_shape)
        if self._map is not None:  # else the pages that were read would count as memory of this process
            self._map.madvise(mmap.MADV_DONTNEED)
        return rows

    def take(self, index):
        """Return the rows at ascending positions, without reading them."""
        index = index if self.index is None else self.index[index]
        return LargeRows(self.array, index, self.row_shape)

    def reshape(self, *shape):
        """Return the rows in another shape, without reading them."""
        return LargeRows(self.array, self.index, shape[0][1:] if len(shape) == 1 else shape[1:])

    def blocks(self):
        """Return an iterator over all rows, block by block."""
        return (self[start : start + self._block] for start in range(0, max(len(self), 1), self._block))

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


def large_rows(X):
    """Return large memory maps, HDF5 datasets and the like as `LargeRows`, small HDF5 datasets as arrays."""
    is_map = isinstance(X, np.ndarray) and X.size > _LARGEST and _origin(X, np.memmap) is not None
    if isinstance(X, LargeRows) or (isinstance(X, np.ndarray) and not is_map):
        return X
    dtype = getattr(X, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.kind not in "fiub" or scipy.sparse.issparse(X):
        return X
    has_rows = hasattr(X, "__getitem__") and len(getattr(X, "shape", ())) > 1
    return in_memory_where_small(LargeRows(X)) if has_rows else X


def in_memory_where_small(X):
    """Return `LargeRows` as an array if they are small, all else as it is."""
    return X[:] if isinstance(X, LargeRows) and X.size <= _LARGEST else X


def _origin(array, kind):
    """Return an array, or the first object behind it of which it is a view, of a kind; None without one."""
    while array is not None and not isinstance(array, kind):
        array = array.base if isinstance(array, np.ndarray) else None
    return array


def n_rows(data):
    """Return the number of rows of nested arrays."""
    return leaves(data)[0].shape[0]


def float_type(data):
    """Return the type of the answers of scikit-learn's networks: float32 where all data are, else float64."""
    types = getattr(data, "dtypes", None)  # of the columns of a frame
    types = types if isinstance(types, Iterable) else [getattr(data, "dtype", None)]
    # By name, as not only NumPy has it.
    is_single = {str(each).lower().rpartition(".")[2] for each in types} == {"float32"}
    return np.dtype(np.float32 if is_single else np.float64)


def epoch_order(data, *, seed, epoch, shuffle):
    """Return the order of the rows of features in an epoch, the same in all engines and continued trainings.

    Of large data, blocks of rows come in random order, and the rows of some blocks are shuffled at a time.
    """
    n, width = n_rows(data), sum(math.prod(each.shape[1:]) for each in leaves(data))
    block = max(1, _BLOCK // width if n * width > _LARGEST else n)
    order, rng = aligned((n,), np.int32), np.random.Generator(np.random.PCG64([seed, epoch]))
    starts, filled = np.arange(0, n, block), 0
    for start in rng.permutation(starts) if shuffle else starts:
        stop = min(start + block, n)
        order[filled : filled + stop - start] = np.arange(start, stop, dtype=np.int32)
        filled += stop - start
    if shuffle:
        for start in range(0, n, block * _TOGETHER):
            rng.shuffle(order[start : start + block * _TOGETHER])
    return order


def leaves(data):
    """Return the arrays in nested lists and dicts."""
    found = []
    mapped(found.append, data)
    return found


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
    return _origin(array, _Memory) is not None


def without_sparse(data, *, keep_large=False):
    """Return nested arrays with sparse matrices as arrays, or as `LargeRows` where these would be large.

    With ``keep_large`` these stay as they are, for a caller that multiplies their rows.
    """

    def dense(each):
        if not scipy.sparse.issparse(each):
            return each
        rows = in_memory_where_small(LargeRows(each))
        return each if keep_large and isinstance(rows, LargeRows) else rows

    return mapped(dense, data)
