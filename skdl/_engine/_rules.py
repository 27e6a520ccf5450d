"""Rules that tell, from the arguments alone, whether the compiled engine can run a training."""

import threading

import numpy as np

from skdl._arrays import LargeRows, leaves
from skdl._backend import keras, private, tf
from skdl._warnings import warn

_OWN_LOOP = ("fit", "evaluate", "make_train_function", "make_test_function")
_BATCH_HOOKS = (
    *("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    *("on_test_batch_begin", "on_test_batch_end"),
)


def why_not(model, data, validation, plan, callbacks):
    """Return the reason why the compiled engine cannot run a training, or None.

    ``data`` and ``validation``, which may be None, are what ``train_step`` and ``test_step`` take.
    """
    reason = _why_not_model(model)
    if reason is not None:
        return reason
    if not isinstance(plan.batch_size, int | np.integer) or plan.batch_size < 1:
        return f"batch_size is {plan.batch_size!r}"
    for name, value in plan.fit_args.items():
        if value is not None:
            return f"fit is called with {name}={value!r}"
    reason = _why_not_data(data) or (validation and _why_not_data(validation, "validation "))
    return reason or next(filter(None, map(_why_not_callback, callbacks)), None)


def _why_not_model(model):
    for name in _OWN_LOOP:
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name):
            return f"{type(model).__name__} has a {name} of its own"
    if not model.compiled:
        return "the model is not compiled"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "the model runs eagerly"
    if model.steps_per_execution != 1:
        return f"steps_per_execution is {model.steps_per_execution}"
    if model.distribute_strategy is not tf.distribute.get_strategy() or tf.distribute.has_strategy():
        return "the model is distributed over devices"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set"
    if model.optimizer is None:
        return "the model has no optimizer"
    for limit in (keras.config.max_epochs, keras.config.max_steps_per_epoch):
        if limit() is not None:
            return f"keras.config.{limit.__name__}() is {limit()}"
    return None


def _why_not_data(data, kind=""):
    """Return why nested arrays cannot become tensors as they are, or None."""
    rows = {}
    for name, part in zip(("x", "y", "sample_weight"), data, strict=False):
        name = f"{kind}{name}"
        for array in [] if part is None else leaves(part):
            if not isinstance(array, np.ndarray | tf.Tensor | LargeRows):
                return f"{name} holds a {type(array).__name__}, not an array"
            if np.dtype(getattr(array.dtype, "as_numpy_dtype", array.dtype)).kind not in "fiubO":
                return f"{name} holds data of type {array.dtype}"
            rows.setdefault(tuple(array.shape[:1]), name)
    if len(rows) > 1:
        return f"numbers of rows differ: {rows}"
    return None if all(n and n[0] for n in rows) else "there are no rows"


def _why_not_callback(callback):
    kind = type(callback)
    if kind is keras.callbacks.TerminateOnNaN:  # run inside the program
        return None
    if kind is keras.callbacks.TensorBoard and private.profiles_no_batches(callback):
        return None
    hooks = _hooks(callback, _BATCH_HOOKS)
    for known in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        if isinstance(callback, known) and callback.save_freq == "epoch":
            hooks = [hook for hook in hooks if getattr(kind, hook) is not getattr(known, hook)]
    return f"the callback {kind.__name__} looks at every batch ({hooks[0]})" if hooks else None


def _hooks(callback, names):
    """Return those of some methods that a callback has of its own."""
    kind, plain = type(callback), keras.callbacks.Callback
    return [
        name for name in names if name in vars(callback) or getattr(kind, name) is not getattr(plain, name)
    ]


def acts_before_training(callback):
    """Whether a callback may change a model before its first step; Keras's own set no more than variables."""
    if _is_own(callback) and type(callback) is not keras.callbacks.LambdaCallback:
        return False
    return bool(_hooks(callback, ("set_model", "on_train_begin", "on_epoch_begin")))


def runs_user_code(model):
    """Whether a model, its layers, optimizer or loss are of classes that are not Keras's or skdl's."""
    loss = model.loss if callable(model.loss) else None
    parts = [part for part in (model, model.optimizer, loss, *all_layers(model)) if part is not None]
    return any(isinstance(part, keras.layers.Lambda) or not _is_own(part) for part in parts)


def _is_own(part):
    return (getattr(part, "__module__", None) or "").partition(".")[0] in ("keras", "skdl")


def all_layers(model):
    """Return the layers of a model, and those of the models among them."""
    return [
        part
        for layer in model.layers
        for part in (layer, *(all_layers(layer) if isinstance(layer, keras.Model) else ()))
    ]


_telling, _told = threading.Lock(), False


def unavailable(error):
    """Return why Keras trains where a private name of it or of TensorFlow is missing; warn the first time."""
    global _told
    versions = f"Keras {keras.version()} and TensorFlow {tf.__version__}"
    reason = f"the compiled engine does not work with {versions} ({error})"
    with _telling:
        is_first, _told = not _told, True
    if is_first:
        warn(
            f"{reason[0].upper()}{reason[1:]}, so keras.Model.fit trains, which gives the same results more "
            "slowly. Install Keras 3.15.* with TensorFlow 2.21.*, or a newer version of skdl.",
        )
    return reason
