"""The training of a plan: of a Keras model, or of a dense network in NumPy."""

import contextlib
import math
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse

from skdl import _dense
from skdl._arrays import LargeRows, epoch_order, without_sparse
from skdl._backend import keras, keras_is_imported, private
from skdl._training._hooks import Progress

# Multiplications of a step up to which NumPy was measured against TensorFlow, on two cores: a step takes
# 0.7 to 1.5 times as long, without the second or more that compiling takes.
_LARGEST_STEP = 2**31
# Arguments of ``keras.Model.fit`` that `train_dense` obeys.
_NUMPY_ARGS = frozenset({"validation_freq"})


@dataclass
class Outcome:
    """What a training leaves besides the weights."""

    engine: str  # "numpy", "compiled" or "keras"
    reason: str | None = None  # why ``keras.Model.fit`` trained
    history: dict = field(default_factory=dict)  # without entries for epochs that were not validated
    epochs: list = field(default_factory=list)  # numbers of the trained epochs
    interrupted: bool = False  # by Ctrl-C


def train_model(model, train, held_out, plan, *, seed, hooks, plain=None):
    """Train a compiled Keras model in place on encoded rows; for ``plain`` see `skdl._engine.train`."""
    from skdl import _engine  # which imports TensorFlow

    batch_size, validation_batch_size = plan.batch_sizes(train.n)
    check_steps(model, train.n, batch_size, "rows to train on")
    validation = None
    if held_out is not None:
        check_steps(model, held_out.n, validation_batch_size, "rows to validate on")
        validation = (held_out.X, held_out.y, held_out.weight)[: 2 + (held_out.weight is not None)]
    first, last = (
        _engine.HookCallback([each for each in hooks if each.precedes_callbacks is precedes])
        for precedes in (True, False)
    )
    try:
        history = _engine.train(
            model,
            train.X,
            train.y,
            train.weight,
            batch_size=batch_size,
            epochs=plan.initial_epoch + plan.epochs,
            initial_epoch=plan.initial_epoch,
            shuffle=plan.shuffle,
            seed=seed,
            callbacks=[first, *plan.callbacks, last],
            verbose=plan.verbose,
            engine=plan.engine,
            plain=plain,
            validation_data=validation,
            validation_batch_size=validation_batch_size,
            **plan.fit_args,
        )
    finally:
        with contextlib.suppress(private.Unavailable):
            # Else Keras would begin the next training at this epoch.
            private.set_restored_epoch(model, None)
            # Else the user's callbacks would keep the model alive, and be pickled with it.
            for callback in plan.callbacks:
                private.set_watched_model(callback, None)
    return Outcome(history.engine, history.reason, history.history, history.epoch, history.interrupted)


def check_steps(model, n, size, rows):
    """Refuse ``n`` rows in steps of a size that a stateful layer does not take; ``rows`` names them."""
    fixed = {tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()} - {None}
    if len(fixed) != 1:
        return
    from skdl import _engine  # which imports TensorFlow

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
    further = {name for name, value in plan.fit_args.items() if value is not None} - _NUMPY_ARGS
    if further:
        return f"{min(further)} is an argument of keras.Model.fit"
    if keras_is_imported() and (keras.config.max_epochs() or keras.config.max_steps_per_epoch()):
        return "the number of epochs or steps is limited by keras.config"
    if not isinstance(train.X, np.ndarray | LargeRows) and not scipy.sparse.issparse(train.X):
        return "X is no array"
    batch_size = min(train.n, plan.batch_sizes(train.n)[0])
    if plan.engine == "auto" and state.network.n_products * batch_size > _LARGEST_STEP:
        return "a step takes so much arithmetic that TensorFlow is faster"
    return None


def train_dense(state, train, held_out, plan, *, seed, hooks, set_network, functions=_dense):
    """Train a dense network in place on encoded rows, in NumPy, and return the outcome.

    ``set_network`` gives the estimator the state: at the end, and before a hook that needs the estimator.
    ``functions`` is the module with ``train_epoch`` and ``evaluate`` for the state.
    """
    batch_size, _ = plan.batch_sizes(train.n)
    x, y, weight, reports = without_sparse(train.X), train.y, train.weight, {}
    if held_out is not None:
        validation = without_sparse(held_out.X), held_out.y, held_out.weight
    if plan.verbose:
        progress = Progress(
            plan, -(-train.n // batch_size), min((h.deadline for h in hooks), default=math.inf)
        )
        hooks = [*hooks, progress]
        if functions is _dense:  # that of the folds has no blocks of steps
            reports = {"report": progress.report}
    outcome = Outcome("numpy")
    for hook in hooks:
        hook.begin(state)
    try:
        for index, epoch in enumerate(plan.epoch_numbers):
            for hook in hooks:
                hook.epoch_begin(epoch)
            order = epoch_order(x, seed=seed, epoch=epoch, shuffle=plan.shuffle)
            logs = functions.train_epoch(state, x, y, weight, order, batch_size, **reports)
            if held_out is not None and plan.validates(index):
                values = functions.evaluate(state, *validation)
                logs |= {f"val_{name}": value for name, value in values.items()}
            if any(hook.needs_estimator for hook in hooks):
                set_network(state)
            stops = [hook.epoch_end(epoch, logs) for hook in hooks]
            outcome.epochs.append(epoch)
            for name, value in logs.items():
                outcome.history.setdefault(name, []).append(value)
            if any(stops):
                break
    except KeyboardInterrupt:
        outcome.interrupted = True
    for hook in hooks:
        hook.end()
    set_network(state)
    return outcome
