"""The forward pass: predictions, a block of rows at a time."""

import numpy as np

from skdl._backend import keras, tf
from skdl._engine._data import n_rows, take

FORWARD_ROWS = 1024


def forward(model, x, *, batch_size=None):
    """x"""
    n, size = n_rows(x), batch_size or FORWARD_ROWS
    parts = [
        tf.nest.map_structure(np.asarray, model.predict_step((take(x, slice(start, start + size)),)))
        for start in range(0, n, size)
    ]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
