"""Graphs of ONNX, written node by node."""

import math

import numpy as np

# All operators below mean the same in each later version.
OPSETS = {"": 18, "ai.onnx.ml": 3}


class Graph:
    """Nodes and constants of a graph, whose names all begin with a prefix."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.nodes, self.constants = [], []

    def add(self, operator, *inputs, output=None, **attributes):
        """Add a node and return the name of its output; arrays among its inputs become constants."""
        from onnx import helper

        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        name = f"{self.prefix}{operator}_{len(self.nodes)}"
        node = helper.make_node(operator, names, [output or name], name=name, **attributes)
        self.nodes.append(node)
        return node.output[0]

    def cast(self, x, dtype, output=None):
        """Return the values of ``x`` as another type, of NumPy or ONNX."""
        from onnx import helper

        to = dtype if isinstance(dtype, int) else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, to=to, output=output)

    def _constant(self, array):
        from onnx import numpy_helper

        array = np.asarray(array)
        if array.dtype.kind == "U":
            array = array.astype(object)
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def inline(self, model, x):
        """Add the graph of a model of one input and one output, and return the name of the latter."""
        graph = model.graph
        _rename(graph, f"{self.prefix}{len(self.nodes)}_")
        inside = Graph(graph.input[0].name + "_")
        inside.add("Identity", x, output=graph.input[0].name)
        inside.nodes += graph.node
        if any(_is_left_alone(node) for node in graph.node):
            return self._branch(inside.nodes, graph, x)
        self.nodes += inside.nodes
        self.constants += graph.initializer
        return graph.output[0].name

    def _branch(self, nodes, graph, x):
        """Add a graph inside of a node whose condition always holds."""
        from onnx import helper

        def branch(nodes, constants=()):
            return helper.make_graph(nodes, "branch", [], list(graph.output), list(constants))

        tensor = graph.output[0].type.tensor_type
        none = np.zeros(
            [each.dim_value for each in tensor.shape.dim], helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        )
        other = Graph(graph.name + "_")
        other.add("Identity", none, output=graph.output[0].name)
        holds = self.add("GreaterOrEqual", self.add("Shape", x, end=1), np.int64([0]))
        return self.add(
            "If",
            holds,
            then_branch=branch(nodes, graph.initializer),
            else_branch=branch(other.nodes, other.constants),
        )


def _is_left_alone(node):
    """Whether skl2onnx can't sort a node: one without an optional input, or with nodes inside."""
    return "" in node.input or any(each.HasField("g") or each.graphs for each in node.attribute)


def _rename(graph, prefix):
    """Put a prefix before all names of a graph and of those inside its nodes."""
    for node in graph.node:
        node.name = prefix + node.name
        node.input[:] = [name and prefix + name for name in node.input]
        node.output[:] = [name and prefix + name for name in node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, prefix)
    for each in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        each.name = prefix + each.name


def activation(graph, kind, z, dtype, **settings):
    """Add an activation of `skdl._dense`, and return the name of its output."""
    add, one = graph.add, np.dtype(dtype).type
    if kind in _OPERATORS:
        operator, attributes = _OPERATORS[kind]
        return add(operator, z, **attributes)
    if kind in _CLIPS:
        return add("Clip", z, *map(one, _CLIPS[kind]))
    return _FORMULAS[kind](add, z, one, **settings)


# As in `skdl._dense._activations`; Elu is 'celu' with Keras's alpha of 1.
_OPERATORS = {
    **{"celu": ("Elu", {"alpha": 1.0}), "exponential": ("Exp", {}), "relu": ("Relu", {})},
    **{"sigmoid": ("Sigmoid", {}), "softplus": ("Softplus", {}), "softsign": ("Softsign", {})},
    **{"tanh": ("Tanh", {}), "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805})},
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_shrink": ("Shrink", {"lambd": 0.5}),
    "soft_shrink": ("Shrink", {"lambd": 0.5, "bias": 0.5}),
    "softmax": ("Softmax", {"axis": -1}),
    "log_softmax": ("LogSoftmax", {"axis": -1}),
}
_CLIPS = {"relu6": (0, 6), "hard_tanh": (-1, 1)}


def _sparse_plus(add, z, one):
    curve = add("Add", z, one(1))
    curve = add("Mul", add("Mul", curve, curve), one(0.25))
    above = add("Where", add("Less", z, one(1)), curve, z)
    return add("Where", add("LessOrEqual", z, one(-1)), one(0), above)


def _gelu(add, z, one):
    share = add("Add", add("Erf", add("Mul", z, one(math.sqrt(0.5)))), one(1))
    return add("Mul", add("Mul", z, one(0.5)), share)


def _squareplus(add, z, one):
    root = add("Sqrt", add("Add", add("Mul", z, z), one(4)))
    return add("Mul", add("Add", z, root), one(0.5))


_FORMULAS = {
    "elu": lambda add, z, one, alpha=1.0: add("Elu", z, alpha=alpha),
    "gelu": _gelu,
    "hard_silu": lambda add, z, one: add("Mul", z, add("HardSigmoid", z, alpha=1 / 6, beta=0.5)),
    "leaky_relu": lambda add, z, one, negative_slope=0.2: add("LeakyRelu", z, alpha=negative_slope),
    "log_sigmoid": lambda add, z, one: add("Neg", add("Softplus", add("Neg", z))),
    "mish": lambda add, z, one: add("Mul", z, add("Tanh", add("Softplus", z))),
    "silu": lambda add, z, one: add("Mul", z, add("Sigmoid", z)),
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda add, z, one: add(
        "Clip", add("Mul", add("Add", z, one(1)), one(0.5)), one(0), one(1)
    ),
    "squareplus": _squareplus,
    "tanh_shrink": lambda add, z, one: add("Sub", z, add("Tanh", z)),
}
