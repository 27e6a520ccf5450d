"""One pass through data as one TensorFlow function, compiled once for all models with the same graph.

A traced function captures the variables of its model. Here they are handed to it at each call. So any
model whose trace has the same canonical form runs the function that was compiled first, in any number
of threads, and a model's weights are never anyone else's. A pass through data calls the model's own
steps in a loop of TensorFlow's.
"""

import collections
import copy
import math
import threading
import time
import weakref
from numbers import Integral

import numpy as np

from skdl._arrays import ALIGNMENT, LARGE, LargeRows, aligned, is_own, take
from skdl._backend import keras, private, tf
from skdl._engine._digest import Graph

# Of a function that has run, measured: graph, kernels and buffers.
_BYTES_PER_NODE = 8192
# Bytes of functions kept for further models, by this estimate.
_LIMIT = 2**25


def tensors(data):
    """Return nested arrays as nested tensors, floats in Keras's float type; `LargeRows` as they are."""
    return tf.nest.map_structure(_tensor, data)


def _tensor(array):
    if isinstance(array, LargeRows):
        return array
    array = np.asarray(array)
    dtype = keras.config.floatx() if array.dtype.kind == "f" else None
    if array.nbytes < LARGE or array.dtype.kind not in "fiu" or dtype == "bfloat16":
        return tf.convert_to_tensor(array, dtype)
    # TensorFlow 2.21 casts into one copy and copies that into memory of small pages, which
    # takes as long as some trainings. NumPy asks for large pages, and TensorFlow takes such
    # memory as it is where it is aligned.
    dtype = np.dtype(dtype or array.dtype.newbyteorder("="))
    fits = array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    if not (fits and is_own(array) and array.ctypes.data % ALIGNMENT == 0):
        copy = aligned(array.shape, dtype)
        np.copyto(copy, array, casting="same_kind")
        array = copy
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


class Layout:
    """Structure and types of nested tensors of any number of rows; equal layouts have equal keys."""

    def __init__(self, data):
        self._structure = tf.nest.map_structure(
            lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), data
        )
        self.specs = tf.nest.flatten(self._structure)
        self.key = repr(self._structure)

    def nested(self, flat):
        """Return flat tensors as nested ones."""
        return tf.nest.pack_sequence_as(self._structure, flat)


class _Store:
    """Compiled functions by the digests of their graphs, those used last; and the programs of models."""

    def __init__(self):
        self.lock, self.limit = threading.Lock(), _LIMIT
        self.functions, self.counts = collections.OrderedDict(), collections.Counter()
        self.of_alike = {}
        self.of_models = weakref.WeakKeyDictionary()

    def shared(self, digest, function, size, kind):
        """Return the function that is known under a digest, or else keep the given one."""
        with self.lock:
            if digest not in self.functions:
                self.counts[kind] += 1
                self.functions[digest] = function, size
            self.functions.move_to_end(digest)
            function, _ = self.functions[digest]
            self.drop_oldest()
            return function

    def drop_oldest(self):
        """Drop what is beyond the limit; the function used last is kept in any case."""
        total = sum(size for _, size in self.functions.values())
        while total > self.limit and len(self.functions) > 1:
            total -= self.functions.popitem(last=False)[1][1]
        alike = self.of_alike.items()
        self.of_alike = {key: known for key, known in alike if known.digest in self.functions}


_store = _Store()


class Program:
    """A traced function from tensors of some ``specs`` to nested tensors, with the variables of its model.

    ``variables`` are all that it may read or write, in an order that is the same for models that compute the
    same. ``kind`` is "training", "validation" or "forward", for `compilations`. Functions with equal digests
    compute the same. The digest is None where the function is compiled for its model alone, since it captures
    other resources or has a state of its own (``has_state``), as random operations have.
    """

    def __init__(self, function, specs, variables, *, kind):
        self.digest = None
        traced = tf.function(function, autograph=False, input_signature=specs)
        concrete = traced.get_concrete_function()
        graph, self.captures = Graph(concrete), list(concrete.captured_inputs)
        # What is captured by its handle lives as long as the program does.
        self.kept = list(concrete.graph.variables)
        self._function, self.has_state = private.runtime_function(concrete), graph.has_state
        numbers = {id(v.value.handle): i for i, v in enumerate(variables)}
        self._places = [numbers.get(id(tensor)) for tensor in self.captures]
        self.captures_own_variables = None not in self._places
        captured = [numbers.get(id(tensor), (tensor.dtype, tensor.shape)) for tensor in self.captures]
        others = [tensor.dtype for tensor in self.captures if id(tensor) not in numbers]
        if self.has_state or tf.resource in others or tf.variant in others:
            _store.counts[kind] += 1
            return
        shapes = [(tuple(v.shape), v.dtype) for v in variables]
        # The shapes of arguments, and how outputs are nested, are not in the graph.
        nested = repr(tf.nest.map_structure(lambda output: 0, concrete.structured_outputs))
        self.digest = graph.digest(kind, captured, shapes, [str(spec.shape) for spec in specs], nested)
        size = graph.n_nodes * _BYTES_PER_NODE
        self._function = _store.shared(self.digest, self._function, size, kind)

    def __call__(self, *args):
        """Return what the function computes, as nested tensors."""
        return self._function(args, {}, self.captures)

    def of(self, variables):
        """Return the program with the variables of another model, or with none where the list is empty."""
        program = copy.copy(self)
        program.kept = [variables[place].value for place in self._places if variables]
        program.captures = [variable.handle for variable in program.kept]
        return program


def programs_of(function):
    """Return a dict of the programs that are kept as long as a function of a Keras model.

    Keras makes ``train_function`` and ``predict_function`` once, and anew after ``compile``. What the
    model is changed to in between has no effect.
    """
    with _store.lock:
        return _store.of_models.setdefault(function, {})


def traced(key, variables, trace):
    """Return a program for a model: a known one of an equal key, if any, or what ``trace`` returns."""
    with _store.lock:
        known = _store.of_alike.get(key)
        if known is not None:
            _store.functions.move_to_end(known.digest)
    if known is not None:
        return known.of(variables)
    made = trace()
    with _store.lock:
        if key is not None and made.digest in _store.functions and made.captures_own_variables:
            _store.of_alike[key] = made.of([])
    return made


def compilations():
    """Return how many programs this process has compiled so far, by their kind."""
    return {kind: _store.counts[kind] for kind in ("training", "forward")}


def set_cache_limit(limit: int = _LIMIT) -> None:
    """Set how much memory compiled programs may take in this process.

    Beyond it, those that were used the longest time ago are dropped. Results do not change: a program that is
    needed again is compiled again. The programs of a model are kept besides, as long as the model lives.

    Parameters
    ----------
    limit : int, default=2**25
        In bytes. The memory of a program is estimated from the size of its graph: some
        4 MB for the training of a small network. The last program is always kept.

    Raises
    ------
    ValueError
        If it is not an integer of at least 0.

    See Also
    --------
    clear_caches : Forget all compiled programs.

    Examples
    --------
    >>> from skdl import set_cache_limit
    >>> set_cache_limit(2**28)  # 256 MB
    >>> set_cache_limit()  # the default again
    """
    if not isinstance(limit, Integral) or isinstance(limit, bool) or limit < 0:
        raise ValueError(f"limit must be a number of bytes, an integer of at least 0; got {limit!r}.")
    with _store.lock:
        _store.limit = int(limit)
        _store.drop_oldest()


def clear_caches() -> None:
    """Forget all compiled programs.

    Results do not change: the next training or prediction compiles anew.
    """
    with _store.lock:
        _store.functions.clear()
        _store.of_alike.clear()
        _store.of_models.clear()


# Numbers of large data that are read for one call of a program.
_READ = 2**21
# Seconds of one call of a program, so that it can be interrupted from the keyboard. The first call makes
# few steps, and each further one at most eight times as many as the one before. The result is the same.
_SECONDS, _FIRST_STEPS, _FASTER = 0.5, 8, 8


class Pass(Program):
    """One pass through data, a batch at a time, by a method of a model: "train_step" or "test_step"."""

    def __init__(self, model, method, layout, variables):
        call = getattr(model, method)

        # As Keras makes it: by XLA where the user compiled with ``jit_compile=True``, and on a GPU by itself.
        @tf.function(autograph=False, input_signature=layout.specs, jit_compile=model.jit_compile or None)
        def step(*flat):
            data = layout.nested(flat)
            if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
                return call(data)
            # Keras's optimizers then do not add their gradients up over replicas, of which there is one.
            # TensorFlow 2.21 registers a gradient for this sum at each trace, and keeps the graph for ever.
            return tf.distribute.get_replica_context().merge_call(lambda _: call(data))

        logs = step.get_concrete_function().structured_outputs
        # Keras takes the logs of the last step, unless the metrics of the model have their names.
        metrics = model.get_metrics_result()
        self._takes_metrics = not isinstance(logs, dict) or set(logs) == set(metrics)
        last = [] if self._takes_metrics else tf.nest.flatten(logs)
        self._names = None if self._takes_metrics else tf.nest.map_structure(lambda _: 0, logs)

        def loop(order, size, *flat):
            def body(i, last):
                rows = order[i * size : (i + 1) * size]
                logs = step(*(tf.gather(tensor, rows) for tensor in flat))
                return i + 1, tf.nest.flatten(logs) if last else []

            return tf.while_loop(
                lambda i, _: i * size < tf.size(order),
                body,
                (tf.constant(0), [tf.zeros([n or 0 for n in each.shape], each.dtype) for each in last]),
                shape_invariants=(tf.TensorShape(()), [each.shape for each in last]),
                parallel_iterations=1,
            )

        specs = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32), *layout.specs]
        kind = "training" if method == "train_step" else "validation"
        super().__init__(loop, specs, variables, kind=kind)
        self._most_steps = _FIRST_STEPS

    def run(self, order, batch_size, data, report=None):
        """Visit rows of data in some order; return how many steps were made, and the last one's logs."""
        flat, visited, n_steps, last = tf.nest.flatten(data), 0, 0, None
        width = sum(math.prod(each.row_shape) for each in flat if isinstance(each, LargeRows))
        most_steps = max(1, _READ // (width * batch_size)) if width else len(order)
        while visited < len(order):
            started = time.perf_counter()
            part = order[visited : visited + min(self._most_steps, most_steps) * batch_size]
            rows, which = flat, part
            if width:
                rows, which = tensors(take(flat, part)), np.arange(len(part), dtype=np.int32)
            made, last = self(tensors(which), tf.constant(batch_size), *rows)
            made = int(made)  # waits for it
            seconds = time.perf_counter() - started
            in_time = int(made * _SECONDS / max(seconds, 1e-6))
            self._most_steps = min(max(in_time, 1), _FASTER * self._most_steps)
            visited, n_steps = visited + len(part), n_steps + made
            if report is not None:
                report(n_steps)
        return n_steps, last

    def logs(self, model, last):
        """Return the logs of a pass as Keras has them, from those of its last step."""
        if self._takes_metrics:
            return dict(model.get_metrics_result())
        return tf.nest.pack_sequence_as(self._names, last)


def training_variables(model):
    """Return the variables that training a model reads or writes, in a fixed order."""
    optimizer = getattr(model, "optimizer", None)
    of_optimizer = optimizer.variables if optimizer is not None else []
    return list({id(v): v for v in (*model.variables, *of_optimizer, *model.metrics_variables)}.values())
