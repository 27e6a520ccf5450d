"""The forward pass: predictions of any number of rows by one compiled program."""

import math

import numpy as np

from skdl._arrays import n_rows, take
from skdl._backend import keras, private, tf
from skdl._engine import _keras_only, _probe, _store
from skdl._engine._data import tensors
from skdl._engine._program import Layout, Program
from skdl._engine._rules import heavy, treats_rows_alone

# Bounds of the rows of one pass: enough to make its overhead small, few enough to keep
# the memory of a prediction constant. Between them, what the layers put out for these
# rows takes about so many bytes.
_ROWS, _BYTES = (128, 2**14), 2**24

# Fewer rows are padded to this number or to its double, and so on. A row's prediction
# then hardly depends on how many others there are: TensorFlow's matrix products round
# differently for different numbers of rows.
_LEAST_ROWS = 32

# Bytes of the rows of one call of a program.
_CALL_BYTES = 2**25


class ForwardProgram(Program):
    """``predict_step`` for any number of rows, a block at a time.

    Parameters
    ----------
    model : keras.Model
    layout : Layout
        Of the input.
    block : int
        Rows of one pass.
    pad : bool
        Fill the last block up to a few sizes. Only where no row looks at others.
    """

    def __init__(self, model, layout, *, block, pad):
        self._layout, self._block, self._pad = layout, block, pad
        self._step = layout.function(lambda x: model.predict_step(_packed(x)))
        step = self._step.get_concrete_function()
        self.structure = tf.nest.map_structure(lambda _: 0, step.structured_outputs)
        self._outputs = tf.nest.flatten(step.structured_outputs)
        if any(o.shape.rank in (None, 0) or o.shape[0] is not None for o in self._outputs):
            raise ValueError("predict_step does not return a row for each row")
        settings = layout.key, block, pad, [(o.dtype.name, str(o.shape)) for o in self._outputs]
        super().__init__([step], model.variables, settings, optimise=heavy(model))

    def _loop(self):
        step, block, outputs = self._step, self._block, self._outputs

        @tf.function(autograph=False, input_signature=self._layout.specs)
        def forward(*flat):
            n = tf.shape(flat[0])[0]

            def one(start, parts):
                rows = [t[start : start + block] for t in flat]
                m = tf.shape(rows[0])[0]
                if self._pad:
                    size = tf.constant(_LEAST_ROWS)
                    size = tf.while_loop(lambda s: s < m, lambda s: (s * 2,), (size,))[0]
                    size = tf.minimum(size, tf.maximum(block, m))
                    rows = [tf.pad(r, [[0, size - m]] + [[0, 0]] * (r.shape.rank - 1)) for r in rows]
                done = tf.nest.flatten(step(*rows))
                i = start // block
                return start + block, [p.write(i, d[:m]) for p, d in zip(parts, done, strict=True)]

            parts = [
                tf.TensorArray(o.dtype, -(-n // block), element_shape=o.shape, infer_shape=False)
                for o in outputs
            ]
            _, parts = tf.while_loop(
                lambda start, _: start < n, one, (tf.constant(0), parts), parallel_iterations=1
            )
            return [part.concat() for part in parts]

        return forward

    def _finish(self):
        super()._finish()
        self._step = self._outputs = None


def _packed(x):
    """Return features as ``keras.Model.predict`` hands them to ``predict_step``."""
    return (x,) if isinstance(x, list | tuple) else x


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
    try:
        block = int(batch_size or (not _treats_rows_alone(model) and step) or _block(model))
        first = tensors(take(x, slice(0, 1))) if n else None
        program = _find(model, first, block) if n else None
        if program is not None:
            return _run(program, [v.value.handle for v in model.variables], x, n, block, first)
    except private.Unavailable as error:
        _probe.unavailable(error)
        block = int(batch_size or step or _ROWS[0])
    parts = [
        tf.nest.map_structure(np.asarray, model.predict_step(_packed(take(x, slice(start, start + block)))))
        for start in range(0, max(n, 1), block)
    ]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _run(program, handles, x, n, block, first):
    # Not the whole input at once: as a tensor it is a copy, and what is sparse is dense.
    row_bytes = sum(t.dtype.size * t.shape.num_elements() for t in tf.nest.flatten(first))
    many = max(1, _CALL_BYTES // (block * max(row_bytes, 1))) * block
    parts = []
    for start in range(0, n, many):
        data = tensors(take(x, slice(start, start + many)))
        parts.append([output.numpy() for output in program(handles, *tf.nest.flatten(data))])
    flat = [np.concatenate(each) if len(each) > 1 else each[0] for each in zip(*parts, strict=True)]
    return tf.nest.pack_sequence_as(program.structure, flat)


def _treats_rows_alone(model):
    """Return whether it is known that a row's outputs don't depend on other rows."""
    kept, place = _store.of_model(model), (tuple(map(id, model.variables)), _keras_only.environment())
    if place not in kept:
        kept[place] = _keras_only.describe(model) is not None and treats_rows_alone(model)
    return kept[place]


def _block(model):
    """Return how many rows to pass at once, from the sizes of the layers' outputs."""
    numbers = 1
    for layer in private.flat_layers(model, include_self=False):
        try:
            shapes = [tuple(tensor.shape) for tensor in keras.tree.flatten(layer.output)]
        except (AttributeError, ValueError):
            continue  # called never, or more than once
        numbers += sum(math.prod(size or 1 for size in shape[1:]) for shape in shapes)
    rows = 2 ** int(math.log2(max(1, _BYTES // (4 * numbers))))
    return min(max(rows, _ROWS[0]), _ROWS[1])


def _find(model, first, block):
    """Return the program for a model, or None where it is best called eagerly."""
    if model.run_eagerly or tf.config.functions_run_eagerly() or not model.built:
        return None
    if _probe.why_unusable() is not None:
        return None
    layout = Layout(first)
    # The program of a model is kept as long as the model, as Keras keeps its own.
    kept, variables = _store.of_model(model), tuple(map(id, model.variables))
    place = layout.key, block, variables, _keras_only.environment()
    if place in kept:
        return kept[place]
    described = _keras_only.describe(model)
    key = described and ("forward", described, layout.key, block)
    pad = _treats_rows_alone(model)
    try:
        program = _store.find(
            key, lambda: ForwardProgram(model, layout, block=block, pad=pad), kind="forward", seed=0
        )
    except private.Unavailable:
        raise
    except Exception:
        # Whatever can't be traced runs eagerly, and raises there what is wrong with it.
        program = None
    kept[place] = program
    return program
