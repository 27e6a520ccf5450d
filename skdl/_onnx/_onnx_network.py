"""One network as a graph: from encoded rows to labels and probabilities, or to numbers."""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skdl._backend import keras
from skdl._dense import State
from skdl._onnx._onnx_graph import OPSETS, activation


class NetworkParts(NamedTuple):
    """What a fitted estimator computes.

    Parameters
    ----------
    network : skdl._dense.State or keras.Model
        Of one input and one output.
    n_outputs : int or None
        Columns of what is predicted.
    kind : {"classes", "one-hot", "labels", "numbers"}
        One class for each row, given by its label or one-hot; labels of 0 and 1; numbers.
    classes : ndarray, default=None
        Their labels.
    output_function : {"sigmoid", "softmax"}, default=None
        What turns the output into probabilities.
    read : callable, default=None
        From a graph and skl2onnx's variables to the name of the network's input. By default the variables are
        columns of numbers.
    finish : callable, default=None
        From a graph and the name of the network's output to that of what is decoded.
    """

    network: Any
    n_outputs: int | None
    kind: str
    classes: np.ndarray | None = None
    output_function: str | None = None
    read: Callable | None = None
    finish: Callable | None = None


def add_network(graph, parts, x):
    """Add a network and what decodes its output.

    Parameters
    ----------
    graph : Graph
    parts : NetworkParts
    x : str
        Name of the rows.

    Returns
    -------
    list of str
        Names of labels and probabilities, or of the numbers.
    """
    add_output = _add_dense if isinstance(parts.network, State) else _add_keras_model
    y = add_output(graph, parts.network, x)
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
    if output_units(parts.network) == 1:
        y = graph.add("Concat", graph.add("Sub", np.ones(1, output_dtype(parts.network)), y), y, axis=1)
    best = graph.add("ArgMax", y, axis=1, keepdims=0)
    return [graph.add("Gather", parts.classes, best, axis=0), y]


def output_units(network):
    """Return the number of columns of the output of a network."""
    return network.network.n_units if isinstance(network, State) else network.output_shape[-1]


def output_dtype(network):
    """Return the floating type of the output of a network."""
    return network.network.dtype if isinstance(network, State) else network.outputs[0].dtype


def _add_dense(graph, state, x):
    dtype = state.network.dtype
    x = graph.cast(x, dtype)
    if len(state.network.input_shape) > 1:
        x = graph.add("Flatten", x, axis=1)
    values = iter(state.get_weights())
    for layer in state.network.layers:
        arrays = {variable.name: next(values) for variable in layer.variables}
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


def _add_keras_model(graph, model, x):
    return graph.inline(exported(model), graph.cast(x, model.inputs[0].dtype))


def exported(model):
    """Return a Keras model as an ONNX model, made by tf2onnx."""
    import onnx

    with tempfile.TemporaryDirectory() as folder, _names_for_tf2onnx():
        path = Path(folder) / "network.onnx"
        rows = [keras.InputSpec(dtype=each.dtype, shape=each.shape) for each in model.inputs]
        model.export(path, format="onnx", verbose=False, opset_version=OPSETS[""], input_signature=rows)
        return onnx.load(path)


@contextlib.contextmanager
def _names_for_tf2onnx():
    """Give NumPy the name that Keras 3.15 sets for tf2onnx, and take it away again."""
    missing = "object" not in vars(np)  # NumPy warns where it is asked for it
    if missing:
        np.object = object
    try:
        yield
    finally:
        if missing:
            del np.object
