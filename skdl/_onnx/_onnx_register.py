"""What skl2onnx is told of an estimator, and what the estimator tells of itself."""

import sys

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from skdl._backend import keras
from skdl._dense import NotDense
from skdl._onnx._onnx_graph import OPSETS, Graph
from skdl._onnx._onnx_network import NetworkParts, add_network, output_units
from skdl._persistence import copy_model
from skdl._targets import output_function

# What a subclass of the user's may override, and ONNX can't hold.
_METHODS = ("predict", "predict_proba", "target_encoder", "feature_encoder")


class ConvertsToOnnx:
    """Mixin of the estimators that `to_onnx` and skl2onnx convert."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "skl2onnx" in sys.modules:
            register(cls)

    def _onnx_parts(self):
        """Return what is predicted and how, as values.

        Raises
        ------
        ValueError
            If it can't be written as ONNX.
        """
        check_is_fitted(self)
        for name in _METHODS:
            own = getattr(type(self), name, None)
            own = getattr(own, "fget", own)
            if own is not None and not own.__module__.startswith("skdl."):
                raise ValueError(
                    f"{type(self).__name__} can't be written as ONNX: its {name} is code of its own. Use "
                    "pickle or joblib, or write what it does as a step of a Pipeline that skl2onnx converts."
                )
        return self._network_parts()

    def _network_parts(self):
        """Return the `NetworkParts`, where nothing of the estimator is code of the user's."""
        try:
            network = self._current_state()
        except NotDense:
            network = self.model_
            if not getattr(network, "inputs", None):  # of a class of its own
                rows = keras.Input(self._row_shape, dtype=self.X_dtype_.name)
                network = keras.Model(rows, copy_model(network)(rows))
            if len(network.inputs) != 1 or len(network.outputs) != 1:
                raise ValueError(
                    f"{type(self).__name__} can't be written as ONNX: its model has {len(network.inputs)} "
                    f"inputs and {len(network.outputs)} outputs. Export the model itself: "
                    'model_.export(path, format="onnx").'
                ) from None
        n = output_units(network)
        if not is_classifier(self):
            return NetworkParts(network, n, "numbers")
        function = output_function(self._trained_loss(), n)
        decoded = self._target.decode(np.zeros((1, n), np.float32))
        if decoded.ndim == 1:
            return NetworkParts(network, len(self.classes_), "classes", self.classes_, function)
        return NetworkParts(network, n, "one-hot" if decoded.any() else "labels", None, function)


def register(cls):
    """Register a converter with skl2onnx, which looks for them by exact classes.

    Parameters
    ----------
    cls : type
        Of an estimator with `ConvertsToOnnx`.
    """
    from skl2onnx import update_registered_converter

    options = {
        "zipmap": [True, False, "columns"],
        "nocl": [True, False],
        "output_class_labels": [True, False],
    }
    update_registered_converter(
        cls,
        f"Skdl{cls.__name__}",
        _set_shapes,
        _convert,
        options=options if hasattr(cls, "predict_proba") else None,
    )


def _set_shapes(operator):
    """Set types and shapes of the outputs of an estimator."""
    from skl2onnx.common import data_types

    parts = operator.raw_operator._onnx_parts()
    operator.outputs[-1].type.shape = [None, parts.n_outputs]
    if parts.kind == "classes":
        of_kind = {"b": "BooleanTensorType", "f": "DoubleTensorType", "i": "Int64TensorType"}
        name = of_kind.get(parts.classes.dtype.kind.replace("u", "i"), "StringTensorType")
        operator.outputs[0].set_type(getattr(data_types, name)([None]))
    elif parts.kind != "numbers":
        operator.outputs[0].set_type(data_types.Int64TensorType([None, parts.n_outputs]))


def _convert(scope, operator, container):
    """Add the nodes of an estimator to skl2onnx's container."""
    graph = Graph(scope.get_unique_operator_name("skdl") + "_")
    parts = operator.raw_operator._onnx_parts()
    x = (parts.read or joined)(graph, operator.inputs)
    add_to(container, graph, add_network(graph, parts, x), operator.outputs)


def joined(graph, variables):
    """Return the name of one tensor of all inputs of an operator."""
    if len(variables) == 1:
        return variables[0].onnx_name
    columns = [graph.cast(each.onnx_name, np.float64) for each in variables]
    return graph.add("Concat", *columns, axis=1)


def add_to(container, graph, names, outputs):
    """Add a graph to skl2onnx's container.

    Parameters
    ----------
    container : skl2onnx.common._container.ModelComponentContainer
    graph : Graph
    names : list of str
        Its outputs.
    outputs : list of skl2onnx.common._topology.Variable
        The operator's, of which name and type are used.
    """
    from skl2onnx.common.data_types import guess_proto_type

    for name, variable in zip(names, outputs, strict=True):
        graph.cast(name, guess_proto_type(variable.type), output=variable.onnx_name)
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)
    container.node_domain_version_pair_sets.update(OPSETS.items())
