"""Keras's ``EarlyStopping``, evaluated inside a compiled program."""

from typing import NamedTuple

import numpy as np

from skdl._backend import keras, private, tf


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
    return Rule(
        tf.constant(names.index(callback.monitor), tf.int32),
        tf.constant(callback.monitor_op is keras.ops.greater),
        tf.constant(callback.min_delta, tf.float64),
        # A patience may be infinite, and 2^31 epochs is as long.
        tf.constant(int(min(callback.patience, 2**31 - 1)), tf.int32),
        tf.constant(np.nan if callback.baseline is None else callback.baseline, tf.float64),
        tf.constant(int(callback.start_from_epoch), tf.int32),
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
