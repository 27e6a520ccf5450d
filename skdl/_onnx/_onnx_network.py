"""One network as an ONNX graph: from encoded rows to labels and probabilities, or to numbers."""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skdl import _engine
from skdl._backend import keras
from skdl._dense import State
from skdl._persistence import copied
from skdl._targets._output import output_function

# The operators below are the same in each later version.
OPSETS = {"": 18, "ai.onnx.ml": 3}


class Graph:
    """Nodes and constants of a graph, whose names all begin with a prefix."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.nodes, self.constants = [], []

    def add(self, operator, *inputs, output=None, n_outputs=1, **attributes):
        """Add a node and return the name of its output, or names; arrays as inputs become constants."""
        from onnx import helper, numpy_helper

        names = []
        for each in inputs:
            names.append(each if isinstance(each, str) else f"{self.prefix}constant_{len(self.constants)}")
            if not isinstance(each, str):
                array = np.asarray(each)
                array = array.astype(object) if array.dtype.kind == "U" else array
                self.constants.append(numpy_helper.from_array(array, names[-1]))
        name = f"{self.prefix}{operator}_{len(self.nodes)}"
        outputs = [output or name, *(f"{name}_{i}" for i in range(1, n_outputs))]
        self.nodes.append(helper.make_node(operator, names, outputs, name=name, **attributes))
        return outputs if n_outputs > 1 else outputs[0]

    def cast(self, x, dtype, output=None):
        """Cast ``x`` to a type of NumPy or ONNX."""
        from onnx import helper

        to = dtype if isinstance(dtype, int) else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, to=to, output=output)

    def inline(self, model, x):
        """Add the graph of a model with one input and one output, and return the name of the output."""
        from onnx import compose, helper, numpy_helper

        graph = compose.add_prefix_graph(model.graph, f"{self.prefix}{len(self.nodes)}_")
        (start,), (end,) = graph.input, graph.output
        nodes = [helper.make_node("Identity", [x], [start.name], name=f"{start.name}_given"), *graph.node]
        # skl2onnx can't sort nodes that lack an optional input, or that have nodes inside.
        attributes = [each for node in nodes for each in node.attribute]
        inside = any(each.HasField("g") or each.graphs for each in attributes)
        if not inside and not any("" in node.input for node in nodes):
            self.nodes += nodes
            self.constants += graph.initializer
            return end.name
        # So they are the branch of an If node whose condition always holds.
        branch = helper.make_graph(nodes, "network", [], [end], list(graph.initializer))
        kind = end.type.tensor_type
        zeros = np.zeros(
            [each.dim_value for each in kind.shape.dim], helper.tensor_dtype_to_np_dtype(kind.elem_type)
        )
        constant = helper.make_node("Constant", [], [end.name], value=numpy_helper.from_array(zeros))
        other = helper.make_graph([constant], "none", [], [end])
        holds = self.add("GreaterOrEqual", self.add("Shape", x, end=1), [0])
        return self.add("If", holds, then_branch=branch, else_branch=other)


def activation(graph, kind, z, dtype, **settings):
    """Add an activation of `skdl._dense`, and return the name of its output."""
    add, one = graph.add, np.dtype(dtype).type
    if kind == "gelu":
        share = add("Add", add("Erf", add("Mul", z, one(math.sqrt(0.5)))), one(1))
        return add("Mul", add("Mul", z, one(0.5)), share)
    if kind == "sigmoid":  # onnxruntime's Sigmoid is off by 1e-7, and 0 below -18
        return add("Div", one(1), add("Add", one(1), add("Exp", add("Neg", z))))
    if kind == "silu":
        return add("Mul", z, add("Sigmoid", z))
    operator, attributes = _OPERATORS[kind]
    for value in settings.values():  # of elu and leaky_relu
        attributes = {"alpha": value}
    return add(operator, z, **attributes)


# As in `skdl._dense._formulas`.
_OPERATORS = {
    "elu": ("Elu", {"alpha": 1.0}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "relu": ("Relu", {}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "softmax": ("Softmax", {"axis": -1}),
    "softplus": ("Softplus", {}),
    "tanh": ("Tanh", {}),
}


class NetworkParts(NamedTuple):
    """What a fitted estimator computes, as values."""

    network: Any  # State or keras.Model, with one input and one output
    n_outputs: int | None  # columns of the prediction
    kind: str  # "classes", "one-hot", "labels" or "numbers"
    classes: np.ndarray | None = None  # for "classes"
    output_function: str | None = None  # "sigmoid" or "softmax", makes probabilities of the output
    # Returns for a graph and variables of skl2onnx the name of the input; None for columns of numbers.
    read: Callable | None = None
    # Returns for a graph and the name of the network's output that of the output to decode.
    finish: Callable | None = None


def network_parts(network, target, loss, classes):
    """Return the `NetworkParts` of a classifier. ``classes`` is None for several labels."""
    n = output_units(network)
    function = output_function(loss, n)
    decoded = target.decode(np.zeros((1, n), np.float32))
    if decoded.ndim == 1:
        return NetworkParts(network, len(classes), "classes", classes, function)
    return NetworkParts(network, n, "one-hot" if decoded.any() else "labels", None, function)


def functional_model(model, row_shape, dtype, estimator):
    """Return a Keras model with one input and one output; a subclass of ``keras.Model`` is called for it."""
    if not getattr(model, "inputs", None):
        rows = keras.Input(row_shape, dtype=dtype)
        model = keras.Model(rows, copied(model)(rows))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"{estimator} can't be written as ONNX: its model has {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs. Export the model itself: "
            'model_.export(path, format="onnx").'
        )
    return model


def add_network(graph, parts, x):
    """Add a network and the decoding of its output; return the names of the results."""
    network = parts.network
    if isinstance(network, State):
        dtype, y = network.network.dtype, _add_dense(graph, network, x)
    else:
        dtype = network.outputs[0].dtype
        y = graph.inline(_exported(network), graph.cast(x, network.inputs[0].dtype))
    if parts.finish is not None:
        y = parts.finish(graph, y)
    if parts.kind == "numbers":
        return [y]
    if parts.output_function is not None:
        y = activation(graph, parts.output_function, y, np.float32)
    if parts.kind == "labels":
        return [graph.cast(graph.add("Round", y), np.int64), y]
    y = graph.add("Flatten", y, axis=1)
    if parts.kind == "one-hot":
        best = graph.add("ArgMax", y, axis=1, keepdims=1)
        return [graph.cast(graph.add("Equal", best, np.arange(parts.n_outputs)), np.int64), y]
    if output_units(network) == 1:
        y = graph.add("Concat", graph.add("Sub", np.ones(1, dtype), y), y, axis=1)
    best = graph.add("ArgMax", y, axis=1, keepdims=0)
    return [graph.add("Gather", parts.classes, best, axis=0), y]


def output_units(network):
    """Return the number of columns of the output of a network."""
    return network.network.n_units if isinstance(network, State) else network.output_shape[-1]


def _add_dense(graph, state, x):
    dtype = state.network.dtype
    x = graph.cast(x, dtype)
    if len(state.network.input_shape) > 1:
        x = graph.add("Flatten", x, axis=1)
    for layer, arrays in zip(state.network.layers, state.by_layer(state.weights), strict=True):
        if layer.kind == "dense":
            x = graph.add("MatMul", x, arrays["kernel"])
            if "bias" in arrays:
                x = graph.add("Add", x, arrays["bias"])
        elif layer.kind == "batch_normalization":
            scale = arrays.get("gamma", 1) / np.sqrt(arrays["moving_variance"] + layer.settings["epsilon"])
            shift = arrays.get("beta", 0) - arrays["moving_mean"] * scale
            x = graph.add("Add", graph.add("Mul", x, scale.astype(dtype)), shift.astype(dtype))
        elif layer.kind != "dropout":
            x = activation(graph, layer.kind, x, dtype, **layer.settings)
    return x


def _exported(model):
    """Return a Keras model as an ONNX model, made by tf2onnx."""
    import onnx

    if any(isinstance(each, keras.layers.Normalization) for each in _engine.all_layers(model)):
        # Their tensors would be inputs of the graph, where arrays are its constants.
        model = copied(model)
        for layer in _engine.all_layers(model):
            if isinstance(layer, keras.layers.Normalization):
                layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    # Keras 3.15 sets ``np.object`` for tf2onnx, after a look that would warn, and leaves it there.
    missing = "object" not in vars(np)
    if missing:
        np.object = object
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            rows = [keras.InputSpec(dtype=each.dtype, shape=each.shape) for each in model.inputs]
            model.export(path, format="onnx", verbose=False, opset_version=OPSETS[""], input_signature=rows)
            return onnx.load(path)
    finally:
        if missing:
            del np.object
