"""The outputs of a model for rows."""

import numpy as np

from skdl import _engine
from skdl._backend import keras, private


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
    batch_size, step = (_engine.n_rows(x) if size == -1 else size for size in (batch_size, step))
    if callbacks or args.get("verbose") or args.get("steps") is not None:
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
    return _engine.forward(model, x, batch_size=batch_size, step=step)


def count_nan(outputs):
    """Return the number of rows whose outputs are no numbers, for the first output that has some."""
    for output in keras.tree.flatten(outputs):
        if output.dtype.kind in "fV" and np.isnan(output).any():
            return int(np.isnan(output).reshape(len(output), -1).any(axis=1).sum())
    return 0
