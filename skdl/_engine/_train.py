"""Training: compiled where it can be, Keras's ``fit`` where not."""

import contextlib

from skdl._arrays import dense_where_small
from skdl._backend import keras, private
from skdl._engine import _probe
from skdl._engine._keras_fit import keras_fit
from skdl._engine._program import NotCompilable
from skdl._engine._rules import why_not
from skdl._engine._training import Training, ended_by_an_interrupt


def train(
    model,
    x,
    y,
    sample_weight=None,
    *,
    validation_data=None,
    batch_size,
    epochs,
    initial_epoch=0,
    shuffle=True,
    seed,
    callbacks=(),
    verbose=0,
    engine="auto",
    **fit_args,
):
    """Train a compiled Keras model in place.

    Parameters
    ----------
    model : keras.Model
        Compiled. Its weights are the starting weights.
    x, y : array, sparse matrix (``x`` only), or list or dict of arrays
        Rows to train on, encoded as the model takes them.
    sample_weight : ndarray of shape (n_samples,) or None
    validation_data : tuple (x, y) or (x, y, sample_weight), or None
    batch_size : int
        Rows of one step; the last batch of an epoch may be smaller.
    epochs, initial_epoch : int
        Trains the epochs ``initial_epoch, ..., epochs - 1``.
    shuffle : bool
        Visit the rows in a new order each epoch.
    seed : int
        Determines these orders, and whatever the model draws while it is traced.
    callbacks : sequence of keras.callbacks.Callback
        For this training alone.
    verbose : {0, 1, 2}
        As in ``keras.Model.fit``.
    engine : {"auto", "compiled", "keras"}, default="auto"
        "compiled" runs whole epochs as one program, "keras" calls ``keras.Model.fit``,
        and "auto" takes the first unless `why_not` gives a reason.
    **fit_args
        Further arguments of ``keras.Model.fit``.

    Returns
    -------
    keras.callbacks.History
        With more attributes: ``engine``, "compiled" or "keras", the path that ran;
        ``reason``, a str that tells why it was not the compiled one, or None; and
        ``interrupted``, whether an interrupt from the keyboard ended it. The model is then
        left as it is.

    Raises
    ------
    ValueError
        If ``engine="compiled"`` and the compiled engine can't run this. What the user's code
        raises while it is traced passes as it is.
    """
    if engine not in ("auto", "compiled", "keras"):
        raise ValueError(f"engine must be 'auto', 'compiled' or 'keras', got {engine!r}.")
    callbacks = keras.tree.flatten(list(callbacks))
    x = dense_where_small(x)
    if validation_data is not None:
        validation_data = (dense_where_small(validation_data[0]), *validation_data[1:])
    settings = {
        "validation_data": validation_data,
        "batch_size": batch_size,
        "callbacks": callbacks,
        "verbose": verbose,
        **fit_args,
    }
    loop = {"epochs": epochs, "initial_epoch": initial_epoch, "shuffle": shuffle, "seed": seed}
    reason = "engine='keras' was asked for"
    if engine != "keras":
        history, reason, error = _train_compiled(model, x, y, sample_weight, settings, loop)
        if history is not None:
            return history
        if engine == "compiled":
            if error is not None and _is_raised_by_user(error):
                raise error
            raise ValueError(
                f"engine='compiled' can't run this training: {reason}. "
                "Set engine='auto' to train with keras.Model.fit in this case."
            )
    interrupted, before = False, getattr(model, "history", None)
    try:
        with _closed_where_it_fails(callbacks):
            history = keras_fit(model, x, y, sample_weight, **settings, **loop)
    except KeyboardInterrupt:
        history, interrupted = getattr(model, "history", None), True
        if history is before:  # before the training began
            raise
        for callback in ended_by_an_interrupt(callbacks):
            callback.on_train_end()
    history.engine, history.reason, history.interrupted = "keras", reason, interrupted
    return history


def _train_compiled(model, x, y, sample_weight, settings, loop):
    """Return the history, or why Keras has to train, and what the model raised."""
    training = None
    try:
        reason = why_not(model, x, y, sample_weight, **settings) or _probe.why_unusable()
        if reason is not None:
            return None, reason, None
        training = Training(model, x, y, sample_weight, **settings, **loop)
        with _closed_where_it_fails(settings["callbacks"]):
            history = training.run()
    except NotCompilable as error:
        return None, str(error), error.__cause__
    except private.Unavailable as error:
        if training is not None and training.has_begun:
            raise
        return None, _probe.unavailable(error), None
    history.engine, history.reason, history.interrupted = "compiled", None, training.interrupted
    return history, None, None


@contextlib.contextmanager
def _closed_where_it_fails(callbacks):
    """Close the files of Keras's own callbacks where a training fails, as they do at its end."""
    try:
        yield
    except Exception:
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.CSVLogger | keras.callbacks.TensorBoard):
                with contextlib.suppress(Exception):
                    callback.on_train_end()
        raise


def _is_raised_by_user(error):
    """Whether code of the user's raised an error, and not Keras or TensorFlow when it called them."""
    entry = error.__traceback__
    while entry.tb_next is not None:
        entry = entry.tb_next
    module = entry.tb_frame.f_globals.get("__name__", "")
    # float(tensor) and the like raise TypeError in the line that calls them.
    of_libraries = module.partition(".")[0] in ("keras", "tensorflow", "skdl")
    return not of_libraries and not isinstance(error, TypeError)
