"""The forward pass: predictions of any number of rows by one compiled program."""

import math

import numpy as np

from skdl._arrays import leaves, n_rows, take
from skdl._backend import drawing_from, keras, private, tf
from skdl._engine._digest import alike
from skdl._engine._program import Layout, Program, programs_of, tensors, traced
from skdl._engine._rules import all_layers, unavailable

# Bounds of the rows of one pass: enough to make its overhead small, few enough to keep the memory of a
# prediction constant. Between them, what the layers put out for these rows takes about so many bytes.
_ROWS, _BYTES = (128, 2**14), 2**24


def forward(model, x, *, batch_size=None, step=None):
    """Return the outputs of a model for nested rows, as ``keras.Model.predict``, at a hundredth of its cost.

    ``batch_size`` is the number of rows of a pass. Where it is None, ``step`` is, if a row's outputs may
    depend on other rows; else a pass takes some 16 MB.
    """
    n = n_rows(x)
    block = int(batch_size or (step if step and not _treats_rows_alone(model) else None) or _block(model, x))
    predict, parts = _predict_step(model, take(x, slice(0, 1)) if n else x), []
    for start in range(0, max(n, 1), block):
        # Not the whole input at once: as a tensor it is a copy, and what is sparse is dense.
        outputs = predict(tensors(take(x, slice(start, start + block))))
        parts.append(tf.nest.map_structure(np.asarray, outputs))
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _block(model, x):
    """Return how many rows to pass at once, from the sizes of rows and of the layers' outputs."""
    numbers = 1 + sum(math.prod(each.shape[1:]) for each in leaves(x))
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
    if isinstance(part, keras.layers.InputLayer):
        return part.batch_shape[0] is None
    if isinstance(part, keras.layers.Lambda | keras.layers.Wrapper | keras.layers.EinsumDense):
        return False
    if getattr(part, "stateful", False) or 0 in np.ravel(getattr(part, "axis", -1)):
        return False
    function = getattr(part, "activation", None) or keras.activations.linear
    return all(each.__module__.startswith("keras.src.") for each in (type(part), function))


def _predict_step(model, row):
    """Return a compiled ``predict_step``, or the model's own where it can't be compiled."""

    def step_by_step(x):
        return model.predict_step((x,) if isinstance(x, list | tuple) else x)  # as Keras hands it over

    if model.run_eagerly or tf.config.functions_run_eagerly() or not model.built:
        return step_by_step
    layout = Layout(tensors(row))
    # Keras makes it once after ``compile``, and traces it at the first prediction.
    model.make_predict_function()
    kept = programs_of(model.predict_function)
    if layout.key not in kept:
        known = alike(model)

        def predict_step(*flat):
            return step_by_step(layout.nested(flat))

        def trace():
            with drawing_from(0), private.short_call_stacks():
                return Program(predict_step, layout.specs, model.variables, kind="forward")

        try:
            kept[layout.key] = traced(known and (known, layout.key), model.variables, trace)
        except Exception as error:
            # What can't be traced runs step by step, and raises there what is wrong with it.
            if isinstance(error, private.Unavailable):
                unavailable(error)
            return step_by_step
    program = kept[layout.key]
    return lambda x: program(*tf.nest.flatten(x))
