"""Rows of nested arrays, turned into tensors."""

import numpy as np
import scipy.sparse

from skdl._arrays import ALIGNMENT, LARGE, aligned, dense_size, is_own, leaves
from skdl._backend import keras, tf


def why_not_arrays(data, name):
    """Return why nested arrays cannot become tensors as they are, or None."""
    arrays = leaves(data)
    if not arrays:
        return f"{name} holds no array"
    for array in arrays:
        if scipy.sparse.issparse(array):
            return f"{name} is sparse, and takes {dense_size(array) / 1e9:.2g} GB as a dense array"
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
    if array.nbytes < LARGE or array.dtype.kind not in "fiu" or dtype == "bfloat16":
        return tf.convert_to_tensor(array, dtype)
    # TensorFlow 2.21 casts into one copy and copies that into memory of small pages, which
    # takes as long as some trainings. NumPy asks for large pages, and TensorFlow takes such
    # memory as it is where it is aligned.
    dtype = np.dtype(dtype or array.dtype.newbyteorder("="))
    fits = array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    if not (fits and is_own(array) and array.ctypes.data % ALIGNMENT == 0):
        copy = aligned(array.shape, dtype)
        np.copyto(copy, array, casting="same_kind")
        array = copy
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def row_spec(tensor):
    """Return the specification of a tensor with any number of rows."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)
