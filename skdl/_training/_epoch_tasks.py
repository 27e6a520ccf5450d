"""The bridge from the epochs of a training to scikit-learn's callbacks."""

import functools

import scipy.sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdl._training._hooks import EpochHook
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


class EpochTasks(EpochHook):
    """Makes each epoch a task of the fit, on which scikit-learn's callbacks are called.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted, for the callbacks.
    context : sklearn.callback.CallbackContext
        The task of the whole fit.
    fitted : callable
        From the history of the epochs so far to the attributes of a copy of the estimator, as if
        training ended here. What they hold is no one else's: a callback may keep the copy.
    data : dict
        Of `training_rows`.
    """

    asks_estimator = True

    def __init__(self, estimator, context, fitted, data):
        self.estimator, self.context, self.fitted, self.data = estimator, context, fitted, data
        self._history = {}

    def epoch_begin(self, epoch):
        """Open the task of an epoch."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def epoch_end(self, epoch, logs):
        """Close it, and return whether a callback asks to stop the training."""
        for name, value in logs.items():
            self._history.setdefault(name, []).append(value)
        return self._task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted(self._history),
            **self.data,
        )
