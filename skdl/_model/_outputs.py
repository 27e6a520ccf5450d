"""The outputs of a model: their shapes before training, and their values for rows."""

import numpy as np

from skdl import _dense
from skdl._arrays import LargeRows, leaves, n_rows, without_sparse
from skdl._backend import check_not_forked, keras, private, seeded
from skdl._training._fit import check_steps


def check_input(model, x):
    """Refuse an encoded row ``x`` whose shape is not that of the model's input."""
    expected = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(expected, tuple) or not hasattr(x, "shape"):
        return
    shape = x.shape if len(x.shape) == len(expected) else (*x.shape, 1)
    if len(shape) != len(expected) or any(
        want is not None and want != got for want, got in zip(expected[1:], shape[1:], strict=True)
    ):
        raise ValueError(
            f"The model takes rows of shape {expected[1:]}, but X has rows of shape {x.shape[1:]}. "
            "Let the builder take meta, and size the input by meta['n_features_in_'] or "
            "meta['X_shape_'][1:]."
        )


def output_shapes(model, x, *, seed, expected=None):
    """Return the shapes of a model's outputs for one encoded row; build the model where it is not built.

    Refuse another number of outputs than ``expected``, and an output that is always 1.
    """
    from skdl import _engine  # which imports TensorFlow

    outputs = getattr(model, "outputs", None)
    if not (model.built and outputs and all(isinstance(each, keras.KerasTensor) for each in outputs)):
        with seeded(seed):
            outputs = keras.tree.flatten(_engine.forward(model, x))
    if expected is not None and expected != len(outputs):
        raise ValueError(
            f"The target needs a model with {expected} output{'s' * (expected != 1)}, but this one "
            f"has {len(outputs)}."
        )
    last = model.layers[-1] if type(model) is keras.Sequential else None
    if outputs[0].shape[-1] == 1 and getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            "The model ends in a softmax of one unit, which is 1 whatever the input. Give the last layer "
            'activation="sigmoid", or one unit for each class.'
        )
    return [output.shape for output in outputs]


def asks_keras(*, callbacks=(), steps=None, verbose=0, batch_size=None):
    """Return whether arguments of a prediction need ``keras.Model.predict``."""
    return bool(callbacks or verbose or steps is not None)


def dense_outputs(state, x):
    """Return the outputs of a dense network for an array or a sparse matrix, or a dict of one."""
    x = next(iter(x.values())) if isinstance(x, dict) else x
    return _dense.predict(state, without_sparse(x))


def predict_outputs(model, x, *, callbacks=(), batch_size=None, step=None, **args):
    """Return the outputs of a model for encoded rows.

    ``step`` is the number of rows of a step where ``batch_size`` is None and outputs may depend on it; -1
    means all rows. ``args`` are further arguments of ``keras.Model.predict``.
    """
    check_not_forked()
    batch_size, step = (n_rows(x) if size == -1 else size for size in (batch_size, step))
    check_steps(model, n_rows(x), batch_size or step or 32, "rows to predict")
    from skdl import _engine  # which imports TensorFlow

    if not asks_keras(callbacks=callbacks, **args):
        return _engine.forward(model, x, batch_size=batch_size, step=step)
    try:
        size = batch_size or step
        if isinstance(x := without_sparse(x), LargeRows):
            x, size = _engine.batches(x, size or 32), None
        return model.predict(x, **{"verbose": 0, **args}, callbacks=callbacks, batch_size=size)
    finally:
        for callback in callbacks:
            private.set_watched_model(callback, None)


def count_nan(outputs):
    """Return the number of rows with NaN in the first output that has some."""
    for output in leaves(outputs):
        if output.dtype.kind in "fV" and np.isnan(output).any():
            return int(np.isnan(output).reshape(len(output), -1).any(axis=1).sum())
    return 0


def widened(array):
    """Return an array of half precision as float32, which scikit-learn takes; any other as it is."""
    is_half = array.dtype.kind in "fV" and array.dtype.itemsize < 4
    return array.astype(np.float32) if is_half else array
