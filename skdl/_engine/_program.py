"""A function that was traced from a model, and is compiled once for all models with the same graph.

A traced function captures the variables of its model. Here they are handed to it at each call. So any
model whose trace has the same canonical form runs the function that was compiled first, in any number
of threads, and a model's weights are never anyone else's.
"""

import collections
import threading
import weakref
from numbers import Integral

from skdl._backend import private, tf
from skdl._engine._digest import Graph

# Of a function that has run, measured: graph, kernels and buffers.
_BYTES_PER_NODE = 8192
# Bytes of functions kept for further models, by this estimate.
_LIMIT = 2**25


class _Store:
    """Compiled functions by the digests of their graphs, those used last; and the programs of models."""

    def __init__(self):
        self.lock, self.limit = threading.Lock(), _LIMIT
        self.functions, self.counts = collections.OrderedDict(), collections.Counter()
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


_store = _Store()


class Program:
    """A traced function with the variables of its model.

    Parameters
    ----------
    function : callable
        From tensors to nested tensors.
    specs : list of tf.TensorSpec
        Of its arguments.
    variables : list of keras.Variable
        All that it may read or write, in an order that is the same for models that compute the same.
    kind : {"training", "validation", "forward"}
        What is counted by `compilations`.

    Attributes
    ----------
    has_state : bool
        Whether the function has a state of its own, as random operations have. It is then compiled for
        its model alone.
    """

    def __init__(self, function, specs, variables, *, kind):
        traced = tf.function(function, autograph=False, input_signature=specs)
        concrete = traced.get_concrete_function()
        graph, self._captures = Graph(concrete), list(concrete.captured_inputs)
        # What is captured by its handle lives as long as the program does.
        self._kept = list(concrete.graph.variables)
        self._function, self.has_state = private.runtime_function(concrete), graph.has_state
        places = {id(v.value.handle): i for i, v in enumerate(variables)}
        captured = [places.get(id(tensor), (tensor.dtype, tensor.shape)) for tensor in self._captures]
        others = [tensor.dtype for tensor in self._captures if id(tensor) not in places]
        if self.has_state or tf.resource in others or tf.variant in others:
            _store.counts[kind] += 1
            return
        shapes = [(tuple(v.shape), v.dtype) for v in variables]
        digest = graph.digest(kind, captured, shapes)
        self._function = _store.shared(digest, self._function, graph.n_nodes * _BYTES_PER_NODE, kind)

    def __call__(self, *args):
        """Return what the function computes, as nested tensors."""
        return self._function(args, {}, self._captures)


def programs_of(function):
    """Return a dict of the programs that are kept as long as a function of a Keras model.

    Keras makes ``train_function`` and ``predict_function`` once, and anew after ``compile``. What the
    model is changed to in between has no effect.
    """
    with _store.lock:
        return _store.of_models.setdefault(function, {})


def compilations():
    """Return how many programs this process has compiled so far, by their kind."""
    return {kind: _store.counts[kind] for kind in ("training", "forward")}


def set_cache_limit(limit: int = _LIMIT) -> None:
    """Set how much memory compiled programs may take in this process.

    Beyond it, those that were used the longest time ago are dropped. Results do not change:
    a program that is needed again is compiled again. The programs of a model are kept besides,
    as long as the model lives.

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
        _store.of_models.clear()
