"""Nested arrays as nested tensors, and how these are put together."""

import numpy as np

from skdl._arrays import ALIGNMENT, LARGE, LargeRows, aligned, is_own
from skdl._backend import keras, tf


def tensors(data):
    """Return nested arrays as nested tensors, floats in Keras's default float type; `LargeRows` as they are.

    Keras's own data adapters cast floats in the same way.
    """
    return tf.nest.map_structure(_tensor, data)


def _tensor(array):
    if isinstance(array, LargeRows):
        return array
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


def packed(x, y, sample_weight):
    """Return data as Keras's ``train_step`` takes them."""
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else (x,)


class Layout:
    """How nested tensors with any number of rows are put together; ``key`` is equal where layouts are."""

    def __init__(self, data):
        self._structure = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), data
        )
        self.specs = tf.nest.flatten(self._structure)
        self.key = repr(self._structure)

    def nested(self, flat):
        """Return flat tensors as nested ones."""
        return tf.nest.pack_sequence_as(self._structure, flat)
