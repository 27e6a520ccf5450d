"""What happens between the epochs of a training, whichever engine trains."""

import functools
import time

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdl._training._rows import is_every_row
from skdl._training._scoring import check_watched


class EpochHook:
    """Acts between the epochs of a training.

    Attributes
    ----------
    network : keras.Model or skdl._dense.State
        What is trained; has ``get_weights`` and ``set_weights``.
    asks_estimator : bool
        Whether it asks the estimator for predictions or for a copy after an epoch.
    """

    network = None
    asks_estimator = False

    def begin(self, network):
        """Begin a training."""
        self.network = network

    def epoch_begin(self, epoch):
        """Act before an epoch."""

    def epoch_end(self, epoch, logs):
        """Act after an epoch, and return whether to stop the training.

        Parameters
        ----------
        epoch : int
        logs : dict of str to float
            Losses and metrics of the epoch; what is added becomes part of the history.
        """
        return False

    def end(self):
        """End the training; not called where it fails."""


class EarlyStopping(EpochHook):
    """Stops where a value has not improved for some epochs, and restores the best weights.

    As ``keras.callbacks.EarlyStopping`` with ``restore_best_weights``, but no epoch is the best
    whose losses, value or weights are not finite: the accuracy of a network that predicts NaN is
    a number.

    Parameters
    ----------
    monitor : str
        Name of the value in the history.
    greater_is_better : bool
    patience : int
        Number of epochs.
    """

    def __init__(self, monitor, greater_is_better, patience):
        self.monitor, self.greater_is_better, self.patience = monitor, greater_is_better, patience
        self.best, self.wait, self.best_epoch, self.stopped_epoch = None, 0, 0, 0
        self.best_weights = None

    def epoch_end(self, epoch, logs):
        """Keep the weights of the best epoch, and return whether to stop."""
        check_watched(self.monitor, logs)
        if self.monitor not in logs:  # an epoch without validation
            return False
        if self._improves(logs):
            self.best, self.best_epoch, self.wait = logs[self.monitor], epoch, 0
            self.best_weights = self.network.get_weights()
            return False
        self.wait += 1
        if self.wait < self.patience or epoch == 0:
            return False
        self.stopped_epoch = epoch
        return True

    def _improves(self, logs):
        watched = [logs[name] for name in ("loss", "val_loss", self.monitor) if name in logs]
        if not np.isfinite(watched).all():
            return False
        if self.best is not None:
            gain = logs[self.monitor] - self.best
            if not (gain > 0 if self.greater_is_better else gain < 0):
                return False
        return all_finite(self.network.get_weights())

    def end(self):
        """Restore the weights of the best epoch."""
        if self.best_weights is not None:
            self.network.set_weights(self.best_weights)


def all_finite(weights):
    """Whether all weights are finite numbers."""
    # As float32, since NumPy knows no bfloat16 of its own.
    return all(np.isfinite(np.asarray(each, np.float32)).all() for each in weights if each.dtype.kind in "fV")


class Progress(EpochHook):
    """Prints a line or two for each epoch.

    Parameters
    ----------
    plan : Plan
    n_steps : int
        Of an epoch.
    """

    def __init__(self, plan, n_steps):
        self.verbose, self.last, self.n_steps = plan.verbose, plan.initial_epoch + plan.epochs, n_steps

    def epoch_begin(self, epoch):
        """Print which epoch begins."""
        print(f"Epoch {epoch + 1}/{self.last}")
        self._started = time.perf_counter()

    def epoch_end(self, epoch, logs):
        """Print how long it took, and its losses and metrics."""
        seconds = time.perf_counter() - self._started
        bar, sep = (" - ", " - ") if self.verbose == 2 else (f" {'━' * 20} ", " ")
        values = "".join(f" - {name}: {value:.4g}" for name, value in logs.items())
        step = _time(seconds / self.n_steps)
        print(f"{self.n_steps}/{self.n_steps}{bar}{seconds:.0f}s{sep}{step}/step{values}")
        return False


def _time(seconds):
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


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


class ValidationScore(EpochHook):
    """Adds the score of the validation rows to the logs of each epoch.

    Parameters
    ----------
    criterion : Criterion
        With a scorer.
    estimator : estimator
        That is fitted.
    X, y : array-like
        Validation rows, as the user gave them.
    positions : ndarray of int
        Which of these rows to score on.
    weight : ndarray or None
        Their weights, for scorers of scikit-learn.

    Raises
    ------
    ValueError
        If the rows can't be scored so: before training.
    """

    asks_estimator = True

    def __init__(self, criterion, estimator, X, y, positions, weight):
        self.criterion, self.estimator = criterion, estimator
        self.X, self.y = _safe_indexing(X, positions), _safe_indexing(y, positions)
        weighs = weight is not None and hasattr(criterion.scorer, "_score_func")
        self.weight = {"sample_weight": weight} if weighs else {}
        self._score()

    def _score(self) -> float:
        return float(self.criterion.scorer(self.estimator, self.X, self.y, **self.weight))

    def epoch_end(self, epoch, logs):
        """Score the rows where the epoch was validated."""
        if "val_loss" not in logs:
            return False
        try:
            score = self._score()
        except ValueError:
            # They could be scored before training, but not where it diverges.
            if all(np.isfinite(value).all() for value in logs.values()):
                raise
            score = np.nan
        logs[f"val_{self.criterion.name}"] = score
        return False
