"""A traced function that runs with the variables of any model that computes the same.

A traced function captures the variables of the model that it was traced from. Here they
are handed to it anew at each call. So a program has no state, any number of threads can
run it at the same time, and a model's weights are never anyone else's.
"""

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
    proven : bool
        Whether it has run without an error.
    not_for_xla : bool
        Whether XLA turned out not to be able to compile it.
    """

    def __init__(self, function):
        self.function, self.proven, self.not_for_xla = function, False, False


class Program:
    """What was traced from a model.

    Parameters
    ----------
    function : tf.function
        With an input signature.
    variables : list of keras.Variable
        Those of the model, in an order that is the same for all models alike.
    optimise : bool
        Whether TensorFlow's graph optimiser is worth its time.

    Attributes
    ----------
    shared : bool
        Whether it may run with another model's variables: all that it captures are
        variables of the model, or constants, and none of its operations has a state.
    digest : bytes
        Equal for programs that compute the same; with ``optimise``.
    size : int
        Bytes that it takes, roughly.
    compiled : Compiled
    """

    def __init__(self, function, variables, *, optimise):
        self._optimise = optimise
        with private.without_graph_optimiser(not optimise):
            concrete = function.get_concrete_function()
        position = {id(v.value.handle): i for i, v in enumerate(variables)}
        # A captured tensor that is no variable's handle is a constant, of any value.
        self._captures = [position.get(id(c), c) for c in concrete.captured_inputs]
        foreign = [c for c in self._captures if not isinstance(c, int)]
        graph = Graph(concrete)
        self.shared = not any(map(_is_handle, foreign)) and not graph.has_state()
        self.digest, self.size = graph.digest(list(map(_kind, self._captures))), graph.size
        # What is captured by its handle lives as long as the program does.
        known = set(map(id, (v.value for v in variables)))
        self._kept = [v for v in concrete.graph.variables if id(v) not in known]
        self.compiled = Compiled(private.callable_part(concrete))
        private.dismantle(self.compiled.function)

    def adopt(self, other):
        """Run as another program does that computes the same, and is compiled already."""
        self.compiled = other.compiled

    def __call__(self, variables, *args):
        """Run with the variables of a model, in the order of the traced one's."""
        captures = [variables[c].value.handle if isinstance(c, int) else c for c in self._captures]
        with private.without_graph_optimiser(not self._optimise):
            return private.call(self.compiled.function, args, captures)


def _is_handle(tensor):
    return tensor.dtype in (tf.resource, tf.variant)


def _kind(capture):
    return capture if isinstance(capture, int) else (capture.dtype.name, str(capture.shape))
