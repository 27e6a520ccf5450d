"""Rows of nested arrays: taken, counted, ordered, and turned into tensors."""

import numpy as np
import scipy.sparse

from skdl._backend import keras, tf

# In bytes: what counts as large, as for NumPy, and the alignment that TensorFlow asks for.
_LARGE, _ALIGNMENT = 2**22, 64


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
    return np.asarray(data)[rows]


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
    if not shuffle:
        return np.arange(n)
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(n)


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
            return f"{name} is sparse"
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


def _tensor(array):
    array = np.asarray(array)
    dtype = keras.config.floatx() if array.dtype.kind == "f" else None
    if array.nbytes < _LARGE or array.dtype.kind not in "fiu" or dtype == "bfloat16":
        return tf.convert_to_tensor(array, dtype)
    # TensorFlow 2.21 casts into one copy and copies that into memory of small pages, which
    # takes as long as some trainings. NumPy asks for large pages, and TensorFlow takes such
    # memory as it is where it is aligned.
    dtype = np.dtype(dtype or array.dtype.newbyteorder("="))
    size = array.size * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    copy = memory[start : start + size].view(dtype).reshape(array.shape)
    np.copyto(copy, array, casting="same_kind")
    return tf.experimental.dlpack.from_dlpack(copy.__dlpack__())


def row_spec(tensor):
    """Return the specification of a tensor with any number of rows."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)


def without_lists(data):
    """Turn nested lists of arrays into tuples, which batches of Keras's may hold."""
    if isinstance(data, dict):
        return {name: without_lists(part) for name, part in data.items()}
    return tuple(map(without_lists, data)) if isinstance(data, list | tuple) else data
