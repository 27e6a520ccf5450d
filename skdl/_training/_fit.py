"""The training of a plan: of a Keras model, or of a dense network in NumPy."""

import contextlib
import inspect

import numpy as np

from skdl import _dense
from skdl._arrays import dense_where_small, epoch_order
from skdl._backend import keras, keras_is_imported, private
from skdl._training._hooks import Progress
from skdl._training._scoring import Outcome


def fit_model(model, train, held_out, plan, *, seed, is_plain=False, first=(), last=()):
    """Train a compiled Keras model in place.

    Parameters
    ----------
    model : keras.Model
    train : Rows
        Encoded.
    held_out : Rows or None
        Encoded, to validate on.
    plan : Plan
    seed : int
        Determines the order of the rows, and what the model draws while it is traced.
    is_plain : bool, default=False
        As of `skdl._engine.train`.
    first, last : list of EpochHook, default=()
        That act before and after the callbacks of the plan.

    Returns
    -------
    Outcome
    """
    # These import TensorFlow.
    from skdl import _engine
    from skdl._training._keras_callbacks import BackupCompanion, HookCallback

    batch_size, validation_batch_size = plan.batch_sizes(train.n)
    check_steps(model, train.n, batch_size, "rows to train on")
    if held_out is not None:
        check_steps(model, held_out.n, validation_batch_size, "rows to validate on")
    validation = {} if held_out is None else {"validation_batch_size": validation_batch_size}
    callbacks = [HookCallback(first), *plan.callbacks, HookCallback(last)]
    backup = BackupCompanion.of(plan.callbacks, plan.epoch_numbers, last)
    if backup is not None:
        callbacks = [callbacks[0], backup, *callbacks[1:], backup]
    try:
        history = _engine.train(
            model,
            train.X,
            train.y,
            train.weight,
            validation_data=None if held_out is None else held_out.as_keras(),
            batch_size=batch_size,
            epochs=plan.initial_epoch + plan.epochs,
            initial_epoch=plan.initial_epoch,
            shuffle=plan.shuffle,
            seed=seed,
            callbacks=callbacks,
            verbose=plan.verbose,
            engine=plan.engine,
            is_plain=is_plain,
            **validation,
            **plan.fit_args,
        )
    finally:
        # They are the user's, and would keep the model alive and be pickled with it.
        with contextlib.suppress(private.Unavailable):
            # Keras would begin the next training there, too.
            private.set_restored_epoch(model, None)
            for callback in plan.callbacks:
                private.set_watched_model(callback, None)
    values = history.history if backup is None else backup.whole(history.history)
    return Outcome(history.engine, history.reason, values, history.epoch, history.interrupted)


def is_one_of_many():
    """Whether joblib called, as scikit-learn's searches and ensembles do for each of their fits."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("joblib."):
            return True
        frame = frame.f_back
    return False


# Multiplications of a step up to which NumPy was measured against TensorFlow, on two cores: a step takes
# 0.7 to 1.5 times as long, without the second or more that compiling takes.
_LARGEST_STEP = 2**31
# What ``keras.Model.fit`` is told by Keras itself, and what its loop does for a model.
_HERE = frozenset({"validation_freq"})


def why_not_numpy(state, train, plan):
    """Return why a dense network is not trained in NumPy, or None.

    Parameters
    ----------
    state : skdl._dense.State
    train : Rows
        Encoded.
    plan : Plan
    """
    if plan.callbacks:
        return f"the callback {type(plan.callbacks[0]).__name__} is Keras's"
    asked = {name for name, value in plan.fit_args.items() if value is not None} - _HERE
    if asked:
        return f"{min(asked)} is an argument of keras.Model.fit"
    if keras_is_imported() and (keras.config.max_epochs() or keras.config.max_steps_per_epoch()):
        return "the number of epochs or steps is limited by keras.config"
    if not isinstance(dense_where_small(train.X), np.ndarray):
        return "X is no array, or a sparse matrix that would be large as an array"
    batch_size = min(train.n, plan.batch_sizes(train.n)[0])
    if plan.engine == "auto" and state.network.n_products * batch_size > _LARGEST_STEP:
        return "a step takes so much arithmetic that TensorFlow is faster"
    return None


def train_dense(state, train, held_out, plan, *, seed, hooks, hold):
    """Train a dense network in place.

    Parameters
    ----------
    state : skdl._dense.State
    train : Rows
        Encoded.
    held_out : Rows or None
        Encoded, to validate on.
    plan : Plan
    seed : int
        Determines the order of the rows.
    hooks : list of EpochHook
    hold : callable
        Takes the state before a hook asks the estimator for predictions.

    Returns
    -------
    Outcome
    """
    batch_size, _ = plan.batch_sizes(train.n)
    x, y, weight = dense_where_small(train.X), train.y, train.weight
    if held_out is not None:
        validation = dense_where_small(held_out.X), held_out.y, held_out.weight
    if plan.verbose:
        hooks = [*hooks, Progress(plan, n_steps=-(-train.n // batch_size))]
    outcome = Outcome("numpy")
    for hook in hooks:
        hook.begin(state)
    try:
        for index, epoch in enumerate(plan.epoch_numbers):
            for hook in hooks:
                hook.epoch_begin(epoch)
            order = epoch_order(train.n, seed=seed, epoch=epoch, shuffle=plan.shuffle)
            logs = _dense.train_epoch(state, x, y, weight, order, batch_size)
            if held_out is not None and plan.validates(index):
                values = _dense.evaluate(state, *validation)
                logs |= {f"val_{name}": value for name, value in values.items()}
            if any(hook.asks_estimator for hook in hooks):
                hold(state)
            stops = [hook.epoch_end(epoch, logs) for hook in hooks]
            outcome.add(epoch, logs)
            if any(stops):
                break
    except KeyboardInterrupt:
        outcome.interrupted = True
    _dense.finish_training(state)
    for hook in hooks:
        hook.end()
    return outcome


def check_steps(model, n, size, rows):
    """Refuse rows that a model can't take in steps of equal size, where a layer keeps a state for each.

    Parameters
    ----------
    model : keras.Model
    n : int
        Number of rows.
    size : int
        Rows of a step.
    rows : str
        What these rows are, for the message.

    Raises
    ------
    ValueError
    """
    stateful = [layer.name for layer in _layers(model) if getattr(layer, "stateful", False)]
    fixed = {tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()} - {None}
    if not stateful or len(fixed) != 1:
        return
    (fixed,) = fixed
    if size != fixed or n % fixed:
        raise ValueError(
            f"The layer {stateful[0]!r} keeps a state for each of {fixed} rows, so each step must have "
            f"{fixed}; got {n} {rows} in steps of {size}. Set batch_size={fixed}, and give a multiple of "
            f"{fixed} rows, or set stateful=False."
        )


def _layers(model):
    for layer in getattr(model, "layers", ()):
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
