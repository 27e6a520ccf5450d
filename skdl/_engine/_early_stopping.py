"""Keras's ``EarlyStopping``, evaluated inside a compiled program."""

from typing import NamedTuple

import numpy as np

from skdl._backend import keras, private, tf


class FiniteEarlyStopping(keras.callbacks.EarlyStopping):
    """Stops early, and takes no epoch as the best whose loss or weights are not finite.

    Keras takes the first epoch whatever its value, and looks at the value of ``monitor`` alone:
    the accuracy of a network that predicts NaN is a number.
    """

    def on_epoch_end(self, epoch, logs=None):
        """Take an epoch that diverged as one without improvement."""
        values = [value for name, value in (logs or {}).items() if self.watches(name)]
        if np.isfinite(values).all() and _all_finite(self.model.weights):
            super().on_epoch_end(epoch, logs)
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def watches(self, name):
        """Whether the value of this name must be finite in an epoch that is the best."""
        return name in ("loss", "val_loss", self.monitor)


class Stopping(NamedTuple):
    """The state of an ``EarlyStopping`` callback, as tensors.

    The names are those of the callback's attributes. ``weights`` are those of the best
    epoch, in the order of ``model.weights``; empty where they need not be restored.
    """

    best: tf.Tensor
    has_best: tf.Tensor
    wait: tf.Tensor
    best_epoch: tf.Tensor
    stopped_epoch: tf.Tensor
    weights: tuple


class Rule(NamedTuple):
    """When to stop: arguments of a program, so that changing them recompiles nothing."""

    monitor: tf.Tensor  # column of the history
    greater: tf.Tensor  # whether more is better
    min_delta: tf.Tensor  # with Keras's sign
    patience: tf.Tensor
    baseline: tf.Tensor  # NaN where there is none
    start_from_epoch: tf.Tensor
    finite: tf.Tensor  # columns that must be finite in the best epoch, as its weights; or none


STATE_SPECS = (
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.bool),
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((), tf.int32),
)
RULE_SPECS = Rule(
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((), tf.bool),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((), tf.float64),
    tf.TensorSpec((), tf.int32),
    tf.TensorSpec((None,), tf.int32),
)


def rule(callback, names):
    """Return the rule of an ``EarlyStopping`` callback that belongs to a model.

    Parameters
    ----------
    callback : keras.callbacks.EarlyStopping
    names : list of str
        Columns of the history; holds ``callback.monitor``.
    """
    private.set_monitor_op(callback)
    finite = []
    if isinstance(callback, FiniteEarlyStopping):
        finite = [column for column, name in enumerate(names) if callback.watches(name)]
    return Rule(
        tf.constant(names.index(callback.monitor), tf.int32),
        tf.constant(callback.monitor_op is keras.ops.greater),
        tf.constant(callback.min_delta, tf.float64),
        # A patience may be infinite, and 2^31 epochs is as long.
        tf.constant(int(min(callback.patience, 2**31 - 1)), tf.int32),
        tf.constant(np.nan if callback.baseline is None else callback.baseline, tf.float64),
        tf.constant(int(callback.start_from_epoch), tf.int32),
        tf.constant(finite, tf.int32),
    )


def start(callback, model):
    """Return the state in which a callback begins a training."""
    return Stopping(
        tf.constant(np.nan, tf.float64),
        tf.constant(False),
        tf.constant(0),
        tf.constant(0),
        tf.constant(0),
        tuple(w.value.read_value() for w in model.weights) if callback.restore_best_weights else (),
    )


def _all_finite(weights):
    values = [w.value for w in weights if w.value.dtype.is_floating]
    return tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(value)) for value in values)])


def update(state, rule, epoch, logs, weights):
    """Return the state after an epoch, and whether to stop: ``on_epoch_end``, as a graph.

    Parameters
    ----------
    state : Stopping
    rule : Rule
    epoch : tf.Tensor of shape ()
    logs : tf.Tensor of shape (n_columns,)
    weights : list of keras.Variable
        Of the model, now.
    """
    current = logs[rule.monitor]

    def improves_on(reference):
        # Keras subtracts Python floats, and compares in its default float type.
        a = tf.cast(current - rule.min_delta, keras.config.floatx())
        b = tf.cast(reference, keras.config.floatx())
        return tf.where(rule.greater, a > b, a < b)

    watched = epoch >= rule.start_from_epoch
    improved = watched & (~state.has_best | improves_on(state.best))
    improved &= tf.reduce_all(tf.math.is_finite(tf.gather(logs, rule.finite)))
    improved = tf.cond(improved & (tf.size(rule.finite) > 0), lambda: _all_finite(weights), lambda: improved)
    wait = state.wait + tf.cast(watched, tf.int32)
    beats_baseline = tf.math.is_nan(rule.baseline) | improves_on(rule.baseline)
    stop = watched & ~improved & (wait >= rule.patience) & (epoch > 0)
    best = (
        tf.cond(
            improved,
            lambda: tuple(tf.identity(w.value) for w in weights),
            lambda: tuple(tf.identity(w) for w in state.weights),
        )
        if state.weights
        else ()
    )
    return Stopping(
        tf.where(improved, current, state.best),
        state.has_best | improved,
        tf.where(improved & beats_baseline, 0, wait),
        tf.where(improved, epoch, state.best_epoch),
        tf.where(stop, epoch, state.stopped_epoch),
        best,
    ), stop


def finish(callback, state, stop):
    """Leave a callback as its own ``on_epoch_end`` would have left it."""
    if state.has_best:
        callback.best = float(state.best)
        callback.best_weights = [w.numpy() for w in state.weights] or None
    callback.wait = int(state.wait)
    callback.best_epoch = int(state.best_epoch)
    callback.stopped_epoch = int(state.stopped_epoch)
    if stop:
        callback.model.stop_training = True
