"""A traced function that runs with the variables of any model that computes the same.

A traced function captures the variables of the model that it was traced from. Here they
are handed to it anew at each call. So a program has no state, any number of threads can
run it at the same time, and a model's weights are never anyone else's.
"""

import hashlib

from skdl._backend import private, tf
from skdl._engine._data import row_spec
from skdl._engine._traced import Graph


class NotCompilable(Exception):
    """The reason why a training cannot be run as a program."""


class Layout:
    """How nested tensors with rows are put together.

    Parameters
    ----------
    data : nested tf.Tensor

    Attributes
    ----------
    structure : nested tf.TensorSpec
    specs : list of tf.TensorSpec
        The structure, flat.
    key : str
        Equal where layouts are equal.
    """

    def __init__(self, data):
        self.structure = tf.nest.map_structure(row_spec, data)
        self.specs = tf.nest.flatten(self.structure)
        self.key = repr(self.structure)

    def function(self, method):
        """Return ``method`` of the nested data as a function of the flat tensors."""

        @tf.function(autograph=False, input_signature=self.specs)
        def function(*flat):
            return method(tf.nest.pack_sequence_as(self.structure, flat))

        return function


class Compiled:
    """What programs that compute the same have in common.

    Attributes
    ----------
    function : result of `skdl.private.callable_part`
    size : int
        Bytes that it takes, roughly.
    proven : bool
        Whether it has run without an error.
    not_for_xla : bool
        Whether XLA turned out not to be able to compile it.
    block_steps : int
        How many steps of training one call was found to make in good time; 0 before.
    """

    def __init__(self, function, size):
        self.function, self.size = function, size
        self.proven, self.not_for_xla, self.block_steps = False, False, 0


class Program:
    """A loop of skdl's around functions that were traced from a model.

    A subclass makes the loop in ``_loop``. It is traced by `complete`, and not at all where a
    program with the same digest is there already.

    Parameters
    ----------
    parts : list of ConcreteFunction
        All that the loop takes from the model, in an order that is the same for all models.
    variables : list of keras.Variable
        Those of the model, likewise.
    settings : tuple
        All else that the loop depends on.
    optimise : bool
        Whether TensorFlow's graph optimiser is worth its time.

    Attributes
    ----------
    shared : bool
        Whether it may run with another model's variables: all that the parts capture are
        variables of the model, or constants, and none of their operations has a state.
    digest : bytes
        Equal for programs that compute the same.
    xla : bool
        Whether parts of it are compiled with XLA.
    compiled : Compiled or None
    captures : list of (str, int)
        What the loop captures: the position of a variable, or of another tensor. Both are
        there once the program is complete.
    """

    xla = False

    def __init__(self, parts, variables, settings, *, optimise):
        self._optimise, self._parts, self._shapes = optimise, parts, shapes_of(variables)
        self._positions = {id(v.value.handle): i for i, v in enumerate(variables)}
        # A captured tensor that is no variable's handle is a constant, of any value.
        self._given = []
        graphs, captures = [Graph(part) for part in parts], []
        for part in parts:
            captures.append([self._capture(tensor) for tensor in part.captured_inputs])
        self.shared = not (any(map(_is_handle, self._given)) or any(g.has_state() for g in graphs))
        # What is captured by its handle lives as long as the program does.
        known = set(map(id, (v.value for v in variables)))
        self._kept = [v for part in parts for v in part.graph.variables if id(v) not in known]
        kinds = [(tensor.dtype.name, str(tensor.shape)) for tensor in self._given]
        digests = [graph.digest(each) for graph, each in zip(graphs, captures, strict=True)]
        whole = digests, kinds, self._shapes, [str(v.dtype) for v in variables], settings, optimise
        self.digest = hashlib.sha256(repr(whole).encode()).digest()
        self.compiled, self.captures = None, []

    @property
    def size(self):
        """Bytes that a complete program takes, roughly."""
        return self.compiled.size

    def _capture(self, tensor):
        """Return which variable, or else which other tensor a captured one is."""
        if id(tensor) in self._positions:
            return "variable", self._positions[id(tensor)]
        for i, given in enumerate(self._given):
            if given is tensor:
                return "given", i
        self._given.append(tensor)
        return "given", len(self._given) - 1

    def _loop(self):
        """Return a tf.function with an input signature, that calls the parts."""
        raise NotImplementedError

    def complete(self):
        """Trace the loop.

        Returns
        -------
        program
            The same.
        """
        with private.without_graph_optimiser(not self._optimise):
            concrete = self._loop().get_concrete_function()
        n_given = len(self._given)
        self.captures = [self._capture(tensor) for tensor in concrete.captured_inputs]
        # Nothing but the parts may bring in what is not the model's.
        self.shared = self.shared and len(self._given) == n_given
        function = private.callable_part(concrete)
        self.compiled = Compiled(function, Graph(concrete).size)
        self._finish()
        private.dismantle(self.compiled.function)
        return self

    def adopt(self, other):
        """Run as another program does that computes the same, and is complete.

        Returns
        -------
        program
            The same.
        """
        self.compiled, self.captures = other.compiled, other.captures
        parts = self._parts
        self._finish()
        for part in parts:
            private.dismantle(private.callable_part(part))
        return self

    def _finish(self):
        """Forget what only tracing needs."""
        self._parts = self._positions = None

    def __call__(self, handles, *args):
        """Run with the handles of variables, and some arguments."""
        captures = [handles[i] if kind == "variable" else self._given[i] for kind, i in self.captures]
        with private.without_graph_optimiser(not self._optimise):
            return private.call(self.compiled.function, args, captures)


def may_use_gpu():
    """Whether variables may be on a GPU, where copies would have to be made."""
    return bool(tf.config.list_physical_devices("GPU"))


def shapes_of(variables):
    """Return the shapes of variables, a tuple of tuple."""
    return tuple(tuple(variable.shape) for variable in variables)


def _is_handle(tensor):
    return tensor.dtype in (tf.resource, tf.variant)
