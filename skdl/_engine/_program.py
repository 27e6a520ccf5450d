"""A traced function that runs with the variables of any model that computes the same.

A traced function captures the variables of the model that it was traced from. Here they
are handed to it anew at each call. So a program has no state, any number of threads can
run it at the same time, and a model's weights are never anyone else's.
"""

import contextlib
import functools
import hashlib
import math

from skdl._backend import private, tf
from skdl._engine._data import row_spec
from skdl._engine._traced import Graph

# In bytes: variables of other shapes than the traced ones are copied at each call, which must not
# take long.
_LARGE = 2**22


def is_large(shapes):
    """Whether variables of some shapes are too large to be copied at each call of a program.

    Parameters
    ----------
    shapes : tuple of tuple

    Returns
    -------
    bool
    """
    return sum(4 * math.prod(shape) for shape in shapes) > _LARGE


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

    def with_numbers(self, n):
        """Return the specs, and those of the random numbers of some dropout layers."""
        return [*self.specs, *[tf.TensorSpec((None, None), tf.float32)] * n]

    def function(self, method, n_numbers=0):
        """Return ``method`` of the nested data as a function of the flat tensors.

        Parameters
        ----------
        method : callable
        n_numbers : int, default=0
            How many dropout layers take their random numbers from further arguments.
        """

        @tf.function(autograph=False, input_signature=self.with_numbers(n_numbers))
        def function(*flat):
            flat, numbers = flat[: len(self.specs)], list(flat[len(self.specs) :])
            with private.numbers_of_dropout(numbers) if numbers else contextlib.nullcontext():
                result = method(tf.nest.pack_sequence_as(self.structure, flat))
            if numbers:
                raise NotCompilable("a dropout layer draws no random numbers")
            return result

        return function


class Compiled:
    """What programs that compute the same have in common.

    Attributes
    ----------
    function : result of `skdl.private.callable_part`
    size : int
        Bytes that it takes, roughly.
    proven : set of tuple
        Shapes of the variables with which it has run without an error.
    not_for_xla : bool
        Whether XLA turned out not to be able to compile it.
    shapes : tuple of tuple
        Of the variables for which TensorFlow makes the kernels.
    block_steps : int
        How many steps of training one call was found to make in good time; 0 before.
    """

    def __init__(self, function, size, shapes):
        self.function, self.size, self.shapes = function, size, shapes
        self.proven, self.not_for_xla, self.block_steps = set(), False, 0


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
        self._writes = any(g.writes() for g in graphs)
        # What is captured by its handle lives as long as the program does.
        known = set(map(id, (v.value for v in variables)))
        self._kept = [v for part in parts for v in part.graph.variables if id(v) not in known]
        kinds = [(tensor.dtype.name, str(tensor.shape)) for tensor in self._given]
        digests = [graph.digest(each) for graph, each in zip(graphs, captures, strict=True)]
        # Sizes that have a meaning are in the graphs.
        shapes = self._shapes if is_large(self._shapes) else [len(shape) for shape in self._shapes]
        whole = digests, kinds, shapes, [str(v.dtype) for v in variables], settings, optimise
        self.digest = hashlib.sha256(repr(whole).encode()).digest()
        self.compiled, self.captures = None, []

    @property
    def size(self):
        """Bytes that a complete program takes, roughly. XLA compiles it for each shape."""
        return self.compiled.size * (max(1, len(self.compiled.proven)) if self.xla else 1)

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
        self.compiled = Compiled(function, Graph(concrete).size, self._shapes)
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
        """Run with the handles of variables, see `lent` and `handles`, and some arguments."""
        captures = [handles[i] if kind == "variable" else self._given[i] for kind, i in self.captures]
        with private.without_graph_optimiser(not self._optimise):
            return private.call(self.compiled.function, args, captures)

    @contextlib.contextmanager
    def lent(self, variables, shapes=None):
        """Lend the variables of a model, in the order of the traced one's.

        Variables of other shapes than the traced ones are handed in by copies that do not tell
        their shapes: TensorFlow makes no kernels anew for these.

        Parameters
        ----------
        variables : list of keras.Variable
        shapes : tuple of tuple, default=None
            Those that the copies get, at least as large; what is added is zero.

        Yields
        ------
        list of tf.Tensor
            Handles to run with.
        """
        values, own = [v.value for v in variables], shapes_of(variables)
        shapes = shapes or own
        in_place = self._as_traced(own, shapes) or (shapes == own and may_use_gpu())
        if in_place or not self.shared:
            yield [value.handle for value in values]
            return
        # Single numbers have one shape in all models.
        copied = [i for i, shape in enumerate(own) if shape]
        copies = private.new_handles(
            [value_of(values[i].handle, values[i].dtype, shapes[i]) for i in copied],
            told=[False] * len(copied),
        )
        handles = [value.handle for value in values]
        for i, copy in zip(copied, copies, strict=True):
            handles[i] = copy
        try:
            yield handles
        finally:
            for i in copied if self._writes else ():
                after = value_of(handles[i], values[i].dtype, own[i])
                tf.raw_ops.AssignVariableOp(resource=values[i].handle, value=after)

    def _as_traced(self, own, shapes):
        """Whether variables of some shapes, handed in with others, tell what the traced ones tell."""
        return shapes == own == self.compiled.shapes

    def handles(self, values, shapes=None):
        """Return handles to run with: of new variables, which no model has.

        Parameters
        ----------
        values : list of tf.Tensor
        shapes : tuple of tuple, default=None
            As for `lent`.

        Returns
        -------
        list of tf.Tensor
        """
        own = tuple(tuple(value.shape) for value in values)
        shapes = shapes or own
        told = self._as_traced(own, shapes)
        return private.new_handles(
            [resized(value, shape) for value, shape in zip(values, shapes, strict=True)],
            told=[told or not shape for shape in shapes],
        )


def may_use_gpu():
    """Whether variables may be on a GPU, where copies would have to be made."""
    return bool(tf.config.list_physical_devices("GPU"))


def shapes_of(variables):
    """Return the shapes of variables, a tuple of tuple."""
    return tuple(tuple(variable.shape) for variable in variables)


def resized(tensor, shape):
    """Return a tensor with zeros added at the end of its axes, or with what is there taken away."""
    before = tuple(tensor.shape)
    if before == shape:
        return tensor
    if sum(before) < sum(shape):
        added = tuple((0, after - n) for n, after in zip(before, shape, strict=True))
        return tf.raw_ops.Pad(input=tensor, paddings=_constant(added))
    return tf.raw_ops.Slice(input=tensor, begin=_constant((0,) * len(shape)), size=_constant(shape))


@functools.lru_cache
def _constant(numbers):
    return tf.constant(numbers)


def value_of(handle, dtype, shape):
    """Return the value of a variable, `resized` to a shape."""
    return resized(tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype), shape)


def _is_handle(tensor):
    return tensor.dtype in (tf.resource, tf.variant)
