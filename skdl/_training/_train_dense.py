"""The epochs of a dense network that is trained in NumPy."""

import numpy as np

from skdl import _dense
from skdl._arrays import dense_where_small, epoch_order
from skdl._backend import keras, keras_is_imported
from skdl._training._outcome import Outcome
from skdl._training._progress import Progress

# Multiplications of a step up to which NumPy is as fast as TensorFlow or faster, on two cores.
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
