"""The forward pass: predictions of any number of rows by one compiled program."""

import math

import numpy as np

from skdl._arrays import n_rows, take
from skdl._backend import drawing_from, keras, private, tf
from skdl._engine import _probe
from skdl._engine._digest import alike
from skdl._engine._program import Program, programs_of, traced
from skdl._engine._rules import all_layers
from skdl._engine._tensors import Layout, tensors

# Bounds of the rows of one pass: enough to make its overhead small, few enough to keep
# the memory of a prediction constant. Between them, what the layers put out for these
# rows takes about so many bytes.
_ROWS, _BYTES = (128, 2**14), 2**24

# Layers and activations that treat each row alone when they predict.
layers = keras.layers
_ROWS_ALONE = (
    *(layers.InputLayer, layers.Dense, layers.Activation, layers.BatchNormalization, layers.Flatten),
    *(layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise),
    *(layers.Conv1D, layers.Conv2D, layers.MaxPooling1D, layers.MaxPooling2D, layers.Embedding),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.GlobalAveragePooling2D),
    *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Rescaling, layers.Reshape, layers.LayerNormalization),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Concatenate),
    *(layers.Normalization, layers.Discretization, layers.CategoryEncoding, layers.Hashing),
    *(layers.TextVectorization, layers.StringLookup, layers.IntegerLookup),
    *(layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D),
    *(layers.LSTM, layers.GRU, layers.SimpleRNN, layers.MultiHeadAttention),
)
_ELEMENTWISE = tuple(
    getattr(keras.activations, name)
    for name in "elu gelu linear mish relu relu6 selu sigmoid silu softmax softplus softsign tanh".split()
)


def forward(model, x, *, batch_size=None, step=None):
    """Return the outputs of a model for all rows of ``x``, without training behaviour.

    Parameters
    ----------
    model : keras.Model
    x : array, sparse matrix, or list or dict of arrays
    batch_size : int, default=None
        Rows of one pass; None means as many as take some 16 MB where rows are treated alone.
    step : int, default=None
        Rows of one pass where ``batch_size`` is None and a row's outputs may depend on other rows.
        None where the caller knows that they do not.

    Returns
    -------
    ndarray, or list or dict of ndarray
        As ``keras.Model.predict`` returns them, at a hundredth of its cost per call.
    """
    n = n_rows(x)
    block = int(batch_size or (step if step and not _treats_rows_alone(model) else None) or _block(model))
    predict, parts = _predict_step(model, take(x, slice(0, 1)) if n else x), []
    for start in range(0, max(n, 1), block):
        # Not the whole input at once: as a tensor it is a copy, and what is sparse is dense.
        outputs = predict(tensors(take(x, slice(start, start + block))))
        parts.append(tf.nest.map_structure(np.asarray, outputs))
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _block(model):
    """Return how many rows to pass at once, from the sizes of the layers' outputs."""
    numbers = 1
    for layer in all_layers(model):
        try:
            shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(layer.output)]
        except (AttributeError, ValueError):
            continue  # called never, or more than once
        numbers += sum(math.prod(size or 1 for size in shape[1:]) for shape in shapes)
    rows = 2 ** int(math.log2(max(1, _BYTES // (4 * numbers))))
    return min(max(rows, _ROWS[0]), _ROWS[1])


def _treats_rows_alone(model):
    """Return whether it is known, by the kinds of layers, that no row's outputs depend on other rows."""
    try:
        kinds = private.functional_classes()
    except private.Unavailable:
        return False
    return all(_row_alone(part, kinds) for part in (model, *all_layers(model)))


def _row_alone(part, kinds):
    if "call" in vars(part) or "predict_step" in vars(part):
        return False
    if isinstance(part, keras.Model):
        # A graph may have operations of ``keras.ops`` besides layers.
        operations = getattr(part, "operations", ())
        return type(part) in kinds and all(isinstance(each, keras.Layer) for each in operations)
    if isinstance(part, layers.InputLayer):
        return part.batch_shape[0] is None
    if isinstance(part, layers.RNN) and part.stateful:
        return False
    return type(part) in _ROWS_ALONE and getattr(part, "activation", None) in (None, *_ELEMENTWISE)


def _predict_step(model, row):
    """Return a compiled ``predict_step``, or the model's own where it can't be compiled."""
    eager = model.run_eagerly or tf.config.functions_run_eagerly() or not model.built
    if eager or _probe.why_unusable() is not None:
        return lambda x: model.predict_step(_as_keras(x))
    layout = Layout(tensors(row))
    # Keras makes it once after ``compile``, and traces it at the first prediction.
    model.make_predict_function()
    kept = programs_of(model.predict_function)
    if layout.key not in kept:
        known = alike(model)

        def trace():
            def predict_step(*flat):
                return model.predict_step(_as_keras(layout.nested(flat)))

            with drawing_from(0), private.short_call_stacks():
                return Program(predict_step, layout.specs, model.variables, kind="forward")

        try:
            kept[layout.key] = traced(known and (known, layout.key), model.variables, trace)
        except Exception as error:
            # What can't be traced runs step by step, and raises there what is wrong with it.
            if isinstance(error, private.Unavailable):
                _probe.unavailable(error)
            return lambda x: model.predict_step(_as_keras(x))
    program = kept[layout.key]
    return lambda x: program(*tf.nest.flatten(x))


def _as_keras(x):
    """Return features as ``keras.Model.predict`` hands them to ``predict_step``."""
    return (x,) if isinstance(x, list | tuple) else x
