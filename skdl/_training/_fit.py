"""The training of a plan, of a Keras model or in NumPy, and what is done between its epochs."""

import functools
import math
import time
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from skdl import _dense, _engine
from skdl._arrays import LargeRows, epoch_order, without_sparse
from skdl._backend import keras, keras_is_imported, private
from skdl._training._plan import rows_at
from skdl._training._scoring import all_finite, check_monitored

# The largest step, in multiplications, for which NumPy was measured against TensorFlow on two cores. It then
# takes 0.7 to 1.5 times as long; TensorFlow takes a second or more to compile.
_LARGEST_STEP = 2**31


@dataclass
class Outcome:
    """What a training leaves besides the weights."""

    engine: str  # "numpy", "compiled" or "keras"
    reason: str | None = None  # why ``keras.Model.fit`` trained
    interrupted: bool = False  # by Ctrl-C


def train_model(model, train, held_out, plan, *, seed, hooks):
    """Train a compiled Keras model in place on encoded rows, and return the outcome."""
    check_steps(model, train.n, plan.batch_size, "rows to train on")
    if held_out is not None:
        check_steps(model, held_out.n, plan.validation_batch_size, "rows to validate on")
    first, last = (
        _engine.HookCallback([each for each in hooks if each.precedes_callbacks is precedes])
        for precedes in (True, False)
    )
    callbacks = [first, *plan.callbacks, last]
    try:
        history = _engine.train(model, train, held_out, plan, seed=seed, callbacks=callbacks)
    finally:
        # Without this, Keras would begin the next training at this epoch.
        setattr(model, private.RESTORED_EPOCH, None)
        # Without this, the user's callbacks would keep the model alive, and be pickled with it.
        for callback in plan.callbacks:
            setattr(callback, private.WATCHED_MODEL, None)
    return Outcome(history.engine, history.reason, history.interrupted)


def check_steps(model, n, size, rows):
    """Refuse ``n`` rows in steps of a size that a stateful layer does not take; ``rows`` is their name."""
    fixed = {tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()} - {None}
    if len(fixed) != 1:
        return
    (fixed,) = fixed
    layers = (each for each in _engine.all_layers(model) if getattr(each, "stateful", False))
    if (size != fixed or n % fixed) and (stateful := next(layers, None)) is not None:
        raise ValueError(
            f"The layer {stateful.name!r} keeps a state for each of {fixed} rows, so each step must have "
            f"{fixed}; got {n} {rows} in steps of {size}. Set batch_size={fixed}, and give a multiple of "
            f"{fixed} rows, or set stateful=False."
        )


def why_not_numpy(state, train, plan):
    """Return the reason not to train a dense network on encoded rows in NumPy, or None."""
    if plan.callbacks:
        return f"the callback {type(plan.callbacks[0]).__name__} is Keras's"
    further = {name for name, value in plan.fit_args.items() if value is not None}
    if further:
        return f"{min(further)} is an argument of keras.Model.fit"
    if keras_is_imported() and (keras.config.max_epochs() or keras.config.max_steps_per_epoch()):
        return "the number of epochs or steps is limited by keras.config"
    if not isinstance(train.X, np.ndarray | LargeRows) and not scipy.sparse.issparse(train.X):
        return "the encoded X is not one array"
    if plan.engine == "auto" and state.network.n_products * min(train.n, plan.batch_size) > _LARGEST_STEP:
        return "a step takes so much arithmetic that TensorFlow is faster"
    return None


def train_dense(state, train, held_out, plan, *, seed, hooks, set_network, module=_dense):
    """Train a dense network in place on encoded rows, in NumPy, and return the outcome.

    ``set_network`` gives the estimator the state: at the end, and before a hook that needs the estimator.
    ``module`` is the module with ``train_epoch`` and ``evaluate`` for the state.
    """
    x, y, weight, report = without_sparse(train.X, keep_large=True), train.y, train.weight, None
    if held_out is not None:
        validation = without_sparse(held_out.X, keep_large=True), held_out.y, held_out.weight
    if plan.verbose:
        deadline = min((hook.deadline for hook in hooks), default=math.inf)
        progress = Progress(plan, -(-train.n // plan.batch_size), deadline)
        hooks, report = [*hooks, progress], progress.report
    outcome = Outcome("numpy")
    try:
        for epoch in range(plan.initial_epoch, plan.end):
            for hook in hooks:
                hook.epoch_begin(epoch)
            order = epoch_order(x, seed=seed, epoch=epoch, shuffle=plan.shuffle)
            logs = module.train_epoch(state, x, y, weight, order, plan.batch_size, report)
            if held_out is not None and plan.validates(epoch):
                values = module.evaluate(state, *validation)
                logs |= {f"val_{name}": value for name, value in values.items()}
            if any(hook.needs_estimator for hook in hooks):
                set_network(state)
            stops = [hook.epoch_end(epoch, logs) for hook in hooks]
            if any(stops):
                break
    except KeyboardInterrupt:
        outcome.interrupted = True
    for hook in hooks:
        hook.end()
    set_network(state)
    return outcome


# What skdl does between the epochs of a training, whichever engine trains.

# Seconds between two reports of the steps that were made.
_SECONDS_BETWEEN_REPORTS = 0.5


class EpochHook:
    """Base of the hooks, which are called between the epochs of a training."""

    needs_estimator = False  # whether `epoch_end` needs the estimator to have the current weights
    deadline = math.inf  # when it ends the training, as of `time.perf_counter`
    precedes_callbacks = False  # whether it acts before the callbacks of Keras that the user gives

    def epoch_begin(self, epoch):
        """Begin an epoch."""

    def epoch_end(self, epoch, logs):
        """End an epoch, perhaps add values to its logs, and return whether to stop the training."""
        return False

    def end(self):
        """End a training that did not fail."""


class Record(EpochHook):
    """The history of a network: a value for each epoch, NaN where there is none, as without validation."""

    def __init__(self, earlier):
        self.history = {name: [*values] for name, values in earlier.items()}
        self.n_earlier = self.n_epochs = max(map(len, earlier.values()), default=0)

    def epoch_end(self, epoch, logs):
        """Record the logs."""
        for name in {**self.history, **logs}:
            self.history.setdefault(name, [np.nan] * self.n_epochs).append(logs.get(name, np.nan))
        self.n_epochs += 1
        return False


class EarlyStopping(EpochHook):
    """Stop where a value has not improved for ``patience`` epochs, and restore the best weights.

    It differs from ``keras.callbacks.EarlyStopping(restore_best_weights=True)`` in one thing: an epoch whose
    losses, value or weights are not finite is never the best. Keras may choose it: the accuracy of a network
    that predicts NaN is a finite number.
    """

    def __init__(self, network, criterion, patience):
        self.network = network  # a Keras model or the state of a network
        self.monitor, self.mode, self.patience = f"val_{criterion.name}", criterion.mode, patience
        self.best, self.best_weights, self.wait = None, None, 0

    def epoch_end(self, epoch, logs):
        """Keep the weights of the best epoch, and return whether to stop."""
        check_monitored(self.monitor, logs)
        value = logs.get(self.monitor)
        if value is None:  # an epoch without validation
            return False
        improves = np.isfinite([value, *(logs[name] for name in ("loss", "val_loss") if name in logs)]).all()
        if improves and self.best is not None:
            improves = value > self.best if self.mode == "max" else value < self.best
        if improves and all_finite(weights := self.network.get_weights()):
            self.best, self.best_weights, self.wait = value, weights, 0
            return False
        self.wait += 1
        return self.wait >= self.patience and epoch > 0

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
        self.X, self.y = rows_at(rows.X, held_out.positions), rows_at(rows.y, held_out.positions)
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
        self.fitted_attributes = fitted_attributes

    def epoch_begin(self, epoch):
        """Begin the task of an epoch."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def epoch_end(self, epoch, logs):
        """End the task, and return whether a callback stops the training."""
        return self._task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.fitted_attributes, **self.data
        )


def callback_data(data, metadata, positions):
    """Return functions that return the training rows of the user's data, for scikit-learn's callbacks."""
    values = {"X": data.X, "y": data.y, "metadata": metadata}
    return {
        name: functools.cache(functools.partial(rows_at, each, positions)) for name, each in values.items()
    }


class Progress(EpochHook):
    """Print the progress of a training in NumPy as Keras prints it."""

    def __init__(self, plan, n_steps, deadline):
        self.deadline = deadline
        self.verbose, self.last, self.n_steps = plan.verbose, plan.end, n_steps
        self.first, self._begun = plan.initial_epoch, time.perf_counter()

    def epoch_begin(self, epoch):
        """Print the number of the epoch."""
        print(f"Epoch {epoch + 1}/{self.last}")
        self._started = self._reported = time.perf_counter()

    def report(self, n_steps):
        """Print how many steps were made, at most every half second."""
        now = time.perf_counter()
        if self.verbose != 2 and now > self._reported + _SECONDS_BETWEEN_REPORTS:
            self._reported, done = now, 20 * n_steps // self.n_steps
            print(f"\r{n_steps}/{self.n_steps} {'━' * done}{'─' * (20 - done)}", end="\r", flush=True)

    def epoch_end(self, epoch, logs):
        """Print its duration, losses and metrics, and what is left if that is a second or more."""
        now = time.perf_counter()
        seconds = now - self._started
        left = (now - self._begun) / (epoch + 1 - self.first) * (self.last - epoch - 1)
        left = min(left, self.deadline - now)
        bar, sep = (" - ", " - ") if self.verbose == 2 else (f" {'━' * 20} ", " ")
        shown = {
            name: f"{value:.4f}" if abs(value) > 1e-3 else f"{value:.4e}" for name, value in logs.items()
        }
        values = "".join(f" - {name}: {value}" for name, value in shown.items())
        step = seconds / self.n_steps
        step = f"{step * 1e3:.0f}ms" if step >= 1e-3 else f"{step * 1e6:.0f}us"
        values += f" - at most {left:.0f}s left" if left >= 1 else ""
        print(f"{self.n_steps}/{self.n_steps}{bar}{seconds:.0f}s{sep}{step}/step{values}")
        return False
