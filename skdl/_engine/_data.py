"""Rows of nested arrays: taken, counted, ordered, and turned into tensors."""

import math

import numpy as np
import scipy.sparse

from skdl._backend import keras, tf

# In bytes: what counts as large, as for NumPy, and the alignment that TensorFlow asks for.
_LARGE, _ALIGNMENT = 2**22, 64
# Bytes up to which sparse data are made dense at once.
_DENSE = 2**28


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
    return rows_of(np.asarray(data), rows)


def dense_where_small(data):
    """Return nested arrays with their sparse matrices made dense, if all of these are small then."""
    sparse = list(filter(scipy.sparse.issparse, leaves(data)))
    if sum(_dense_size(each) for each in sparse) > _DENSE:
        return data
    return take(data, slice(None)) if sparse else data


def _dense_size(matrix):
    return math.prod(matrix.shape) * matrix.dtype.itemsize


def rows_of(array, index):
    """Return rows of an array; many of them in memory that becomes a tensor without another copy."""
    if isinstance(index, slice) or array.dtype.kind not in "fiu" or not array.dtype.isnative:
        return array[index]
    shape = (len(index), *array.shape[1:])
    if math.prod(shape) * array.itemsize < _LARGE:
        return array[index]
    # "clip" makes NumPy write right into the memory; the rows are there.
    return np.take(array, index, axis=0, out=_aligned(shape, array.dtype), mode="clip")


def n_rows(data):
    """Return the number of rows of nested arrays."""
    while isinstance(data, dict | list | tuple):
        data = next(iter(data.values())) if isinstance(data, dict) else data[0]
    return data.shape[0]


def epoch_order(n, *, seed, epoch, shuffle):
    """Return the order in which an epoch visits ``n`` rows.

    It depends on the seed and the epoch alone, not on what ran before, so that every
    path of training, and training that is continued, sees the same batches.
    """
    return epoch_orders(n, seed=seed, epochs=[epoch], shuffle=shuffle)[0]


def epoch_orders(n, *, seed, epochs, shuffle):
    """Return a row of `epoch_order` for each epoch, int32."""
    orders = _aligned((len(epochs), n), np.int32)
    for order, epoch in zip(orders, epochs, strict=True):
        order[:] = np.arange(n, dtype=np.int32)
        if shuffle:
            np.random.Generator(np.random.PCG64([seed, epoch])).shuffle(order)
    return orders


def leaves(data):
    """Return the arrays in nested lists and dicts."""
    if isinstance(data, dict):
        return [leaf for value in data.values() for leaf in leaves(value)]
    if isinstance(data, list | tuple):
        return [leaf for value in data for leaf in leaves(value)]
    return [data]


def why_not_arrays(data, name):
    """Return why nested arrays cannot become tensors as they are, or None."""
    arrays = leaves(data)
    if not arrays:
        return f"{name} holds no array"
    for array in arrays:
        if scipy.sparse.issparse(array):
            return f"{name} is sparse, and takes {_dense_size(array) / 1e9:.2g} GB as a dense array"
        if not isinstance(array, np.ndarray | tf.Tensor):
            return f"{name} holds a {type(array).__name__}, not an array"
        if np.dtype(getattr(array.dtype, "as_numpy_dtype", array.dtype)).kind not in "fiub":
            return f"{name} holds data of type {array.dtype}"
        if not array.shape:
            return f"{name} holds a scalar"
    if len({array.shape[0] for array in arrays}) > 1:
        return f"the arrays of {name} differ in their number of rows"
    return None


def tensors(data):
    """Return nested arrays as nested tensors, floats in Keras's default float type.

    Keras's own data adapters cast floats in the same way.
    """
    return tf.nest.map_structure(_tensor, data)


class _Memory(np.ndarray):
    """Memory that belongs to skdl: a tensor may share it."""


def _aligned(shape, dtype):
    """Return a new array in memory as TensorFlow asks for it."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8).view(_Memory)
    start = -memory.ctypes.data % _ALIGNMENT
    # Of a plain array NumPy would remember the first owner alone, of any subclass this one.
    return np.asarray(memory[start : start + size].view(dtype).reshape(shape))


def _is_own(array):
    while isinstance(array, np.ndarray):
        if isinstance(array, _Memory):
            return True
        array = array.base
    return False


def _tensor(array):
    array = np.asarray(array)
    dtype = keras.config.floatx() if array.dtype.kind == "f" else None
    if array.nbytes < _LARGE or array.dtype.kind not in "fiu" or dtype == "bfloat16":
        return tf.convert_to_tensor(array, dtype)
    # TensorFlow 2.21 casts into one copy and copies that into memory of small pages, which
    # takes as long as some trainings. NumPy asks for large pages, and TensorFlow takes such
    # memory as it is where it is aligned.
    dtype = np.dtype(dtype or array.dtype.newbyteorder("="))
    fits = array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    if not (fits and _is_own(array) and array.ctypes.data % _ALIGNMENT == 0):
        copy = _aligned(array.shape, dtype)
        np.copyto(copy, array, casting="same_kind")
        array = copy
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def row_spec(tensor):
    """Return the specification of a tensor with any number of rows."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)


def without_lists(data):
    """Turn nested lists of arrays into tuples, which batches of Keras's may hold."""
    if isinstance(data, dict):
        return {name: without_lists(part) for name, part in data.items()}
    return tuple(map(without_lists, data)) if isinstance(data, list | tuple) else data
