"""What skdl does between the epochs of a training, whichever engine trains."""

import functools
import math
import time

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdl._arrays import LargeRows, large_rows
from skdl._training._plan import is_every_row
from skdl._training._scoring import all_finite, check_monitored

# Seconds between two reports of the steps that were made.
_EACH = 0.5


class EpochHook:
    """Base of the hooks, which are called between the epochs of a training."""

    network = None  # in training; has ``get_weights`` and ``set_weights``
    needs_estimator = False  # whether `epoch_end` needs the estimator to have the current weights
    deadline = math.inf  # when it ends the training, as of `time.perf_counter`
    precedes_callbacks = False  # whether it acts before the callbacks of Keras that the user gives

    def begin(self, network):
        """Begin a training."""
        self.network = network

    def epoch_begin(self, epoch):
        """Begin an epoch."""

    def epoch_end(self, epoch, logs):
        """End an epoch, perhaps add values to its logs, and return whether to stop the training."""
        return False

    def end(self):
        """End a training that did not fail."""


class EarlyStopping(EpochHook):
    """Stop where a value has not improved for ``patience`` epochs, and restore the best weights.

    It differs from ``keras.callbacks.EarlyStopping(restore_best_weights=True)`` in one thing: an epoch whose
    losses, value or weights are not finite is never the best. Keras may choose it: the accuracy of a network
    that predicts NaN is a finite number.
    """

    def __init__(self, criterion, patience):
        self.monitor, self.mode, self.patience = f"val_{criterion.name}", criterion.mode, patience
        self.best, self.best_weights, self.wait = None, None, 0

    def epoch_end(self, epoch, logs):
        """Keep the weights of the best epoch, and return whether to stop."""
        check_monitored(self.monitor, logs)
        if self.monitor not in logs:  # an epoch without validation
            return False
        if self._improves(logs):
            self.best, self.best_weights, self.wait = logs[self.monitor], self.network.get_weights(), 0
            return False
        self.wait += 1
        return self.wait >= self.patience and epoch > 0

    def _improves(self, logs):
        values = [logs[name] for name in ("loss", "val_loss", self.monitor) if name in logs]
        if not np.isfinite(values).all():
            return False
        if self.best is not None:
            gain = logs[self.monitor] - self.best
            if not (gain > 0 if self.mode == "max" else gain < 0):
                return False
        return all_finite(self.network.get_weights())

    def end(self):
        """Restore the weights of the best epoch."""
        if self.best_weights is not None:
            self.network.set_weights(self.best_weights)


class ValidationScore(EpochHook):
    """Add the score of the validation rows to the logs of each validated epoch.

    ``rows`` are the user's data and ``held_out`` the validation rows among them. An error of the scorer is
    raised before training.
    """

    needs_estimator = True
    precedes_callbacks = True

    def __init__(self, criterion, estimator, rows, held_out):
        self.criterion, self.estimator = criterion, estimator
        self.X, self.y = (_taken(each, held_out.where()) for each in (rows.X, rows.y))
        takes_weight = held_out.weight is not None and hasattr(criterion.scorer, "_score_func")
        self.weight = {"sample_weight": held_out.weight} if takes_weight else {}
        self._score()

    def _score(self):
        return float(self.criterion.scorer(self.estimator, self.X, self.y, **self.weight))

    def epoch_end(self, epoch, logs):
        """Score the rows."""
        if "val_loss" not in logs:
            return False
        try:
            score = self._score()
        except ValueError:
            # A network that has diverged predicts NaN, which most scorers refuse.
            if all(np.isfinite(value).all() for value in logs.values()):
                raise
            score = np.nan
        logs[f"val_{self.criterion.name}"] = score
        return False


class EpochTasks(EpochHook):
    """Make each epoch a task of the fit ``context``, for which scikit-learn's callbacks are called."""

    needs_estimator = True

    def __init__(self, estimator, context, fitted_attributes, data):
        self.estimator, self.context, self.data = estimator, context, data
        self.fitted_attributes, self._history = fitted_attributes, {}

    def epoch_begin(self, epoch):
        """Begin the task of an epoch."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def epoch_end(self, epoch, logs):
        """End it, and return whether a callback stops the training."""
        for name, value in logs.items():
            self._history.setdefault(name, []).append(value)
        return self._task.call_on_fit_task_end(
            estimator=self.estimator,
            reconstruction_attributes=lambda: self.fitted_attributes(self._history),
            **self.data,
        )


def _taken(data, rows):
    """Return rows of the user's data."""
    data = large_rows(data)
    if isinstance(data, LargeRows):
        return data.take(rows)
    return _safe_indexing(data.tocsr() if scipy.sparse.issparse(data) else data, rows)


def callback_data(X, y, metadata, rows):
    """Return functions that return the training rows of the user's data, for scikit-learn's callbacks."""

    def taken(data):
        if data is None or is_every_row(rows, _num_samples(data)):
            return data
        return _taken(data, rows)

    return {
        "X": functools.cache(lambda: taken(X)),
        "y": functools.cache(lambda: taken(y)),
        "metadata": functools.cache(
            lambda: metadata and {name: taken(value) for name, value in metadata.items()}
        ),
    }


class Progress(EpochHook):
    """Print the progress of a training in NumPy as Keras prints it."""

    def __init__(self, plan, n_steps, deadline):
        self.deadline = deadline
        self.verbose, self.last, self.n_steps = plan.verbose, plan.initial_epoch + plan.epochs, n_steps
        self.first, self._begun = plan.initial_epoch, time.perf_counter()

    def epoch_begin(self, epoch):
        """Print the number of the epoch."""
        print(f"Epoch {epoch + 1}/{self.last}")
        self._started = self._reported = time.perf_counter()

    def report(self, n_steps):
        """Print how many steps were made, each half a second."""
        now = time.perf_counter()
        if self.verbose != 2 and now > self._reported + _EACH:
            self._reported, done = now, 20 * n_steps // self.n_steps
            print(f"\r{n_steps}/{self.n_steps} {'━' * done}{'─' * (20 - done)}", end="\r", flush=True)

    def epoch_end(self, epoch, logs):
        """Print its duration, losses and metrics, and what is left if that is a second or more."""
        now = time.perf_counter()
        seconds = now - self._started
        left = (now - self._begun) / (epoch + 1 - self.first) * (self.last - epoch - 1)
        left = min(left, self.deadline - now)
        bar, sep = (" - ", " - ") if self.verbose == 2 else (f" {'━' * 20} ", " ")
        values = "".join(f" - {name}: {value:.4g}" for name, value in logs.items())
        step = seconds / self.n_steps
        step = f"{step * 1e3:.0f}ms" if step >= 1e-3 else f"{step * 1e6:.0f}us"
        values += f" - at most {left:.0f}s left" if left >= 1 else ""
        print(f"{self.n_steps}/{self.n_steps}{bar}{seconds:.0f}s{sep}{step}/step{values}")
        return False
