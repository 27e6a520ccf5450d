"""A plan, carried out by the engine."""

import contextlib
import inspect

from skdl import _engine
from skdl._backend import private


def fit_model(model, train, held_out, plan, *, seed, first=(), last=()):
    """Train a compiled model in place.

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
    first, last : list of keras.callbacks.Callback, default=()
        Callbacks before and after those of the plan.

    Returns
    -------
    keras.callbacks.History
        With attributes ``engine``, ``reason`` and ``interrupted``.

    Raises
    ------
    KeyboardInterrupt
        Where one of many fits is interrupted, as in a search. A fit of its own ends instead.
    """
    batch_size, validation_batch_size = plan.batch_sizes(train.n)
    validation = {} if held_out is None else {"validation_batch_size": validation_batch_size}
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
            callbacks=[*first, *plan.callbacks, *last],
            verbose=plan.verbose,
            engine=plan.engine,
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
    if history.interrupted and _is_one_of_many():
        raise KeyboardInterrupt
    return history


def _is_one_of_many():
    """Whether joblib called, as scikit-learn's searches and ensembles do for each of their fits."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("joblib."):
            return True
        frame = frame.f_back
    return False
