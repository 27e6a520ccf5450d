"""The bridge from the epochs of a training to scikit-learn's callbacks."""

import functools

import scipy.sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdl._backend import keras
from skdl._persistence import copy_model
from skdl._training._rows import is_every_row


def training_rows(X, y, metadata, rows):
    """Return what a callback may ask for about the rows that are trained on.

    Parameters
    ----------
    X, y : array-like, DataFrame or sparse matrix of n_samples rows
        As the user gave them, since a callback scores an estimator that takes them so.
    metadata : dict of str to array-like of n_samples rows, or None
    rows : ndarray of int
        Positions of the rows that are trained on, in ascending order; some may be there twice.

    Returns
    -------
    dict of str to callable
        ``X``, ``y`` and ``metadata``, taken out when a callback asks, and then once.
    """

    def taken(data):
        if data is None or is_every_row(rows, _num_samples(data)):
            return data
        return _safe_indexing(data.tocsr() if scipy.sparse.issparse(data) else data, rows)

    return {
        "X": functools.cache(lambda: taken(X)),
        "y": functools.cache(lambda: taken(y)),
        "metadata": functools.cache(
            lambda: metadata and {name: taken(value) for name, value in metadata.items()}
        ),
    }


def fitted_copy(model, **attributes):
    """Return the attributes of a fitted copy of an estimator, whose model is no one else's.

    A callback may keep the copy while the training, or the next one, goes on.
    """
    return {"model_": copy_model(model), **attributes}


class EpochTasks(keras.callbacks.Callback):
    """Makes each epoch a task of the fit, on which scikit-learn's callbacks are called.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted, for the callbacks.
    context : sklearn.callback.CallbackContext
        The task of the whole fit.
    learn : callable
        From the history of the epochs so far to attributes, as `learnt_from`.
    data : dict
        Of `training_rows`.
    """

    def __init__(self, estimator, context, learn, data):
        super().__init__()
        self.estimator, self.context, self.learn, self.data = estimator, context, learn, data
        self._history = {}

    def on_epoch_begin(self, epoch, logs=None):
        """Open the task of an epoch."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, epoch, logs=None):
        """Close it, and stop the training where a callback asks for that."""
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(value)
        stop = self._task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self._attributes, **self.data
        )
        if stop:
            self.model.stop_training = True

    def _attributes(self):
        """Return what makes a copy of the estimator as if training ended here."""
        return fitted_copy(self.model, **self.learn(self._history))
