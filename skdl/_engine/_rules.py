"""What the compiled engine runs, and how: decided by rule, never by luck."""

import numpy as np

from skdl._arrays import leaves
from skdl._backend import keras, private, tf
from skdl._engine._data import why_not_arrays

# On a CPU, XLA's convolutions are several times slower than TensorFlow's own; it unrolls
# or emulates what loops over time or sorts; and it makes the gradient of an embedding
# dense.
layers = keras.layers
_NOT_FOR_XLA = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D, layers.SeparableConv1D, layers.SeparableConv2D),
    *(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.RNN, layers.Bidirectional, layers.TimeDistributed, layers.Embedding, layers.MultiHeadAttention),
)

# Layers and activations that treat each row alone when they predict.
_ROWS_ALONE = (
    *(layers.InputLayer, layers.Dense, layers.Activation, layers.BatchNormalization, layers.Flatten),
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise),
    *(layers.Conv1D, layers.Conv2D, layers.MaxPooling1D, layers.MaxPooling2D, layers.Embedding),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.GlobalAveragePooling2D),
    *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Rescaling, layers.Reshape, layers.LayerNormalization),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Concatenate),
    *(layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D),
)
ELEMENTWISE = tuple(
    getattr(keras.activations, name)
    for name in "elu gelu linear mish relu relu6 selu sigmoid silu softmax softplus softsign tanh".split()
)

_OWN_LOOP = ("fit", "evaluate", "make_train_function", "make_test_function")
_BATCH_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
_TEST_HOOKS = ("on_test_begin", "on_test_end")
_DEFAULTS = {
    "validation_split": (None, 0, 0.0),
    "class_weight": (None,),
    "steps_per_epoch": (None,),
    "validation_steps": (None,),
}


def _hooks(callback, names):
    def own(name):
        plain = getattr(keras.callbacks.Callback, name)
        return name in vars(callback) or getattr(type(callback), name) is not plain

    return list(filter(own, names))


def acts_before_training(callback):
    """Whether a callback may change a model before its first step.

    Keras's own callbacks set no more than variables.
    """
    own = type(callback).__module__.partition(".")[0] in ("keras", "skdl")
    if own and type(callback) is not keras.callbacks.LambdaCallback:
        return False
    return bool(_hooks(callback, ("set_model", "on_train_begin", "on_epoch_begin")))


def _why_not_callback(callback):
    kind = type(callback)
    if kind is keras.callbacks.TerminateOnNaN:  # run inside the program
        return None
    if kind is keras.callbacks.TensorBoard:
        if private.profiles_no_batches(callback):
            return None
    hooks = _hooks(callback, _BATCH_HOOKS)
    for known in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        if isinstance(callback, known) and callback.save_freq == "epoch":
            hooks = [h for h in hooks if getattr(kind, h) is not getattr(known, h)]
    if hooks:
        return f"the callback {kind.__name__} looks at every batch ({hooks[0]})"
    hooks = _hooks(callback, _TEST_HOOKS)
    if hooks and kind is not keras.callbacks.TensorBoard:
        return f"the callback {kind.__name__} acts around the validation ({hooks[0]})"
    return None


def _why_not_model(model):
    for name in _OWN_LOOP:
        if getattr(type(model), name, None) is not getattr(keras.Model, name):
            return f"{type(model).__name__} has a {name} of its own"
    if not model.compiled:
        return "the model is not compiled"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "the model runs eagerly"
    if model.steps_per_execution != 1:
        return f"steps_per_execution is {model.steps_per_execution}"
    if private.is_distributed(model) or tf.distribute.has_strategy():
        return "the model is distributed over devices"
    if keras.distribution.distribution() is not None:
        return "a keras.distribution is set"
    if model.optimizer is None:
        return "the model has no optimizer"
    if keras.config.max_steps_per_epoch() is not None:
        return f"keras.config.max_steps_per_epoch() is {keras.config.max_steps_per_epoch()}"
    return None


def why_not(
    model,
    x,
    y,
    sample_weight=None,
    *,
    validation_data=None,
    batch_size,
    callbacks=(),
    verbose=0,
    **fit_args,
):
    """Return the reason why the compiled engine cannot run a training, or None.

    It looks at the arguments alone. What shows only when the model is traced (a metric
    that is not one number, say) is found by `train`, and told in ``History.reason``.

    Parameters
    ----------
    model, x, y, sample_weight, validation_data, batch_size, callbacks, verbose, **fit_args
        As `train` takes them.

    Returns
    -------
    str or None
    """
    reason = _why_not_model(model)
    if reason is not None:
        return reason
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        return f"batch_size is {batch_size!r}"
    for name, value in fit_args.items():
        if name in ("validation_freq", "validation_batch_size"):
            continue
        if not any(value is default or value == default for default in _DEFAULTS.get(name, ())):
            return f"fit is called with {name}={value!r}"
    parts = [(x, "x")] + [
        (part, name) for part, name in ((y, "y"), (sample_weight, "sample_weight")) if part is not None
    ]
    groups = [parts]
    if validation_data is not None:
        if not isinstance(validation_data, list | tuple) or not 1 <= len(validation_data) <= 3:
            return "validation_data is no tuple of arrays"
        names = ("validation x", "validation y", "validation sample_weight")
        groups.append(
            [(part, name) for part, name in zip(validation_data, names, strict=False) if part is not None]
        )
    for group in groups:
        for part, name in group:
            reason = why_not_arrays(part, name)
            if reason is not None:
                return reason
        rows = {name: leaves(part)[0].shape[0] for part, name in group}
        if len(set(rows.values())) > 1:
            return f"numbers of rows differ: {rows}"
        if 0 in rows.values():
            return "there are no rows"
    for callback in keras.tree.flatten(list(callbacks)):
        reason = _why_not_callback(callback)
        if reason is not None:
            return reason
    return None


def heavy(model):
    """Whether a model's arithmetic is best left to TensorFlow's own kernels on a CPU."""
    return any(isinstance(layer, _NOT_FOR_XLA) for layer in private.flat_layers(model))


def treats_rows_alone(model):
    """Whether a row's prediction can't depend on the other rows, by the kinds of the layers.

    Only of a model of which `skdl._engine._keras_only.describe` knows what it computes.
    """
    return all(map(_treats_rows_alone, private.flat_layers(model)))


def _treats_rows_alone(layer):
    if isinstance(layer, keras.Model) and private.is_functional(layer):
        # Its graph may have operations of ``keras.ops`` besides layers.
        return all(isinstance(each, keras.Layer) for each in getattr(layer, "operations", ()))
    if type(layer) not in _ROWS_ALONE:
        return False
    if isinstance(layer, layers.InputLayer):
        return layer.batch_shape[0] is None
    activation = getattr(layer, "activation", None)
    return activation is None or activation in ELEMENTWISE


def wants_xla(model, *, n_rows, batch_size):
    """Whether to compile a training with XLA: where the user compiled the model with it.

    Parameters
    ----------
    model : keras.Model
    n_rows, batch_size : int

    Returns
    -------
    bool
        False where the batches are never full (XLA would compile anew for each number of rows), and
        for layers that XLA can't compile. Whether XLA computes the same is another question, which
        the graph answers.
    """
    jit_compile = model.jit_compile and all(layer.supports_jit for layer in private.flat_layers(model))
    return bool(jit_compile) and n_rows >= batch_size
