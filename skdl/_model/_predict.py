"""The outputs of a model for rows."""

import numpy as np
import scipy.sparse

from skdl import _dense
from skdl._arrays import dense_where_small, leaves, n_rows, take
from skdl._backend import check_not_forked, private
from skdl._training import check_steps

# Of a sparse matrix that are made dense at a time.
_ROWS = 2**10


def asks_keras(*, callbacks=(), steps=None, verbose=0, batch_size=None):
    """Whether ``keras.Model.predict`` itself is asked for, to call something or to show progress."""
    return bool(callbacks or verbose or steps is not None)


def dense_outputs(state, x):
    """Return the outputs of a dense network.

    Parameters
    ----------
    state : skdl._dense.State
    x : array or sparse matrix of n_samples rows

    Returns
    -------
    ndarray of shape (n_samples, n_units)
    """
    x = dense_where_small(x)
    if not scipy.sparse.issparse(x):
        return _dense.predict(state, x)
    starts = range(0, n_rows(x), _ROWS)
    return np.concatenate([_dense.predict(state, take(x, slice(i, i + _ROWS))) for i in starts])


def predict_outputs(model, x, *, callbacks=(), batch_size=None, step=None, **args):
    """Return the outputs of a model.

    Parameters
    ----------
    model : keras.Model
    x : array or sparse matrix of n_samples rows, or nested lists or dicts of them
    callbacks : list of keras.callbacks.Callback, default=()
    batch_size : int, default=None
        Rows of a step; -1 means all rows.
    step : int, default=None
        The same, where ``batch_size`` is not given and it matters how many rows a step has.
    **args
        Further arguments of ``keras.Model.predict``, which makes the pass where there are
        callbacks, progress to show, or steps to count.

    Returns
    -------
    ndarray, or nested lists or dicts of them
    """
    check_not_forked()
    batch_size, step = (n_rows(x) if size == -1 else size for size in (batch_size, step))
    check_steps(model, n_rows(x), batch_size or step or 32, "rows to predict")
    if asks_keras(callbacks=callbacks, **args):
        # In the middle of a training, where a scorer predicts, they belong to the training.
        before = [(private.watched_model(each), getattr(each, "params", None)) for each in callbacks]
        try:
            return model.predict(
                x, **{"verbose": 0, **args}, callbacks=callbacks, batch_size=batch_size or step
            )
        finally:
            for callback, (watched, params) in zip(callbacks, before, strict=True):
                private.set_watched_model(callback, watched)
                callback.params = params
    from skdl import _engine  # which imports TensorFlow

    return _engine.forward(model, x, batch_size=batch_size, step=step)


def count_nan(outputs):
    """Return the number of rows whose outputs are no numbers, for the first output that has some."""
    for output in leaves(outputs):
        if output.dtype.kind in "fV" and np.isnan(output).any():
            return int(np.isnan(output).reshape(len(output), -1).any(axis=1).sum())
    return 0


def widened(array):
    """Return an array of half precision as float32, which scikit-learn takes; any other as it is."""
    is_half = array.dtype.kind in "fV" and array.dtype.itemsize < 4
    return array.astype(np.float32) if is_half else array
