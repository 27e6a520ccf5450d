"""Which models compute the same: told by what was traced, or by what skdl built them from.

What a trace depends on is in its graph: operations, attributes, constants, and which variable of the
model each captured tensor is. Functions whose graphs have equal canonical forms compute the same.

To trace a model takes 0.3 to 2 s. For models that skdl builds from numbers and names alone, the
configuration says all that a trace depends on. Models of users are traced each, since their
configurations do not tell what users changed about them.
"""

import hashlib
import weakref

from skdl._backend import keras, private

# Attributes that name things or keep records, and mean nothing to the operation.
_RECORDS = frozenset(
    """
    _backward_function_name _forward_function_name _gradient_op_type _user_specified_name
    backward_function_name forward_function_name
    """.split()
)
# Operations with a state that is all in the variables that a function captures.
_STATE_IN_VARIABLES = frozenset(
    """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp Assert Case If ReadVariableOp ResourceGather
    ResourceGatherNd ResourceScatterAdd ResourceScatterUpdate StatefulPartitionedCall VariableShape While
    """.split()
)


class Graph:
    """The graph of a traced function, and those of the functions that it calls.

    ``has_state`` tells whether it has a state besides the variables that it captures. A call of Python is
    one, since it sees the objects of the model that was traced.
    """

    def __init__(self, concrete):
        self._main = concrete.function_def
        library = concrete.graph.as_graph_def().library.function
        self._library = {function.signature.name: function for function in library}
        operations = [node.op for function in (self._main, *library) for node in function.node_def]
        self.n_nodes = len(operations)
        kinds = set(operations) - self._library.keys() - _STATE_IN_VARIABLES
        self.has_state = any(kind == "PyFuncStateless" or private.is_stateful(kind) for kind in kinds)

    def digest(self, *more):
        """Return a short value that is equal for functions that compute the same, and for equal ``more``."""
        self._numbers, self._written = {}, []
        self._write(self._main)
        return hashlib.sha256(repr((more, self._written)).encode()).digest()

    def _write(self, function):
        """Write a function down with numbers in place of names."""
        signature = function.signature
        names = {arg.name: f"a{i}" for i, arg in enumerate(signature.input_arg)}
        names.update({node.name: f"n{i}" for i, node in enumerate(function.node_def)})
        nodes = []
        for node in function.node_def:
            data = [_renamed(name, names) for name in node.input if not name.startswith("^")]
            # Their order has no meaning.
            control = sorted(_renamed(name, names) for name in node.input if name.startswith("^"))
            attributes = self._attributes(node.attr, names)
            nodes.append((node.op, self._called(node.op), node.device, data, control, attributes))
        self._written.append(
            (
                [arg.type for arg in signature.input_arg],
                [arg.type for arg in signature.output_arg],
                nodes,
                [_renamed(function.ret[arg.name], names) for arg in signature.output_arg],
                sorted(_renamed(name, names) for name in function.control_ret.values()),
                self._attributes(function.attr, names),
            )
        )

    def _attributes(self, attributes, names):
        return [(key, self._value(attributes[key], names)) for key in sorted(set(attributes) - _RECORDS)]

    def _value(self, value, names):
        kind = value.WhichOneof("value")
        if kind == "func":
            return self._called(value.func.name), self._attributes(value.func.attr, names)
        if kind == "list" and value.list.func:
            return [(self._called(f.name), self._attributes(f.attr, names)) for f in value.list.func]
        if kind == "list" and value.list.s:
            # Where an operation is to be placed is told by the name of another one.
            return [names.get(text.removeprefix(b"loc:@").decode("latin1"), text) for text in value.list.s]
        return value.SerializeToString(deterministic=True)

    def _called(self, name):
        """Return the number of a function of the library, which is written down once."""
        if name not in self._library:
            return None
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            self._write(self._library[name])
        return self._numbers[name]


def _renamed(name, names):
    caret = "^" if name.startswith("^") else ""
    node, _, rest = name.removeprefix("^").partition(":")
    return f"{caret}{names.get(node, node)}:{rest}"


_when_built = weakref.WeakKeyDictionary()


def note_origin(model, params):
    """Note that skdl has just built a model of numbers and names alone, or any other with None.

    ``params`` are those of its loss and its metrics, which configurations do not tell.
    """
    _when_built.pop(model, None)
    if params is not None:
        _when_built[model] = params, _own_functions(model)


def alike(model):
    """Return a key that is equal for models that compute the same, or None where this is not known."""
    params, functions = _when_built.get(model, (None, None))
    if params is None or functions != _own_functions(model):
        return None
    config = model.get_config()
    layers = [layer["config"]["name"] for layer in config["layers"]]
    numbers = {name: i for i, name in enumerate((model.name, model.optimizer.name, *layers))}
    everywhere = keras.config.floatx(), keras.config.epsilon()
    return repr((_without_values((config, model.get_compile_config()), numbers), params, everywhere))


def _own_functions(model):
    """Return which functions a model and its layers have as attributes, such as activations.

    A configuration has the names of functions alone. Of those of the model itself, which Keras sets, only
    methods count.
    """
    found = []
    for part in (model, *model.layers):
        for name, value in vars(part).items():
            is_method = callable(getattr(type(part), name, None))
            if is_method or (part is not model and callable(value)):
                found.append((id(part), name, id(value)))
    return found


def _without_values(part, numbers):
    """Return a configuration without what is the value of a variable, and with numbers in place of names."""
    if isinstance(part, dict):
        kept = {k: v for k, v in part.items() if k != "seed" and not k.endswith("_initializer")}
        if isinstance(kept.get("learning_rate"), float):
            del kept["learning_rate"]
        return {key: _without_values(value, numbers) for key, value in kept.items()}
    if isinstance(part, list | tuple):
        return [_without_values(each, numbers) for each in part]
    return numbers.get(part, part) if isinstance(part, str) else part
