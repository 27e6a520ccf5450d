"""A plan, carried out by one of the engines."""

import contextlib
import inspect

from skdl._backend import private
from skdl._training._outcome import Outcome
from skdl._training._steps import check_steps


def fit_model(model, train, held_out, plan, *, seed, first=(), last=()):
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
    first, last : list of EpochHook, default=()
        That act before and after the callbacks of the plan.

    Returns
    -------
    Outcome
    """
    # These import TensorFlow.
    from skdl import _engine
    from skdl._training._backup import BackupCompanion
    from skdl._training._hook_callback import HookCallback

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
