"""Steps that stand in Pipelines for what skl2onnx has no converter for."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skdl._onnx._onnx_graph import Graph
from skdl._onnx._onnx_register import add_to, joined

_SCALERS = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)
# Functions of NumPy, as steps: an operator, or an operator and a constant.
_FUNCTIONS = {
    np.exp: [("Exp",)],
    np.expm1: [("Exp",), ("Sub", 1.0)],
    np.log: [("Log",)],
    np.log1p: [("Add", 1.0), ("Log",)],
    np.sqrt: [("Sqrt",)],
    np.square: [("Pow", 2.0)],
    np.exp2: [("Mul", np.log(2.0)), ("Exp",)],
    np.negative: [("Neg",)],
    None: [],
}


class _Step(TransformerMixin, BaseEstimator):
    """A step that skl2onnx asks for its nodes by the two methods below."""

    def onnx_shape_calculator(self):
        """Return what sets the shapes of the outputs."""
        return self._set_shape

    def onnx_converter(self):
        """Return what adds the nodes."""
        return self._convert

    def _convert(self, scope, operator, container):
        graph = Graph(scope.get_unique_operator_name("skdl") + "_")
        y = self._add(graph, graph.cast(joined(graph, operator.inputs), np.float64))
        add_to(container, graph, [y], operator.outputs)


class Columns(_Step):
    """The columns of a DataFrame as one array."""

    def __init__(self, n_columns):
        self.n_columns = n_columns

    def _set_shape(self, operator):
        operator.outputs[0].type.shape = [None, self.n_columns]

    def _add(self, graph, x):
        return x


class Imputed(_Step):
    """A `SimpleImputer` of numbers, which onnxruntime has for float32 alone."""

    def __init__(self, imputer):
        self.imputer = imputer

    def _set_shape(self, operator):
        n = len(self._kept())
        if self.imputer.add_indicator:
            n += len(self.imputer.indicator_.features_)
        operator.outputs[0].type.shape = [None, n]

    def _kept(self):
        return np.flatnonzero(~np.isnan(self.imputer.statistics_))

    def _add(self, graph, x):
        imputer, missing = self.imputer, graph.add("IsNaN", x)
        y = graph.add("Gather", graph.add("Where", missing, imputer.statistics_, x), self._kept(), axis=1)
        if imputer.add_indicator:
            flags = graph.add("Gather", missing, imputer.indicator_.features_, axis=1)
            y = graph.add("Concat", y, graph.cast(flags, np.float64), axis=1)
        return y


class InverseTarget(_Step):
    """What `TransformedTargetRegressor` does to predictions."""

    def __init__(self, transformer):
        self.transformer = transformer

    def check(self):
        """Refuse a transformer that is not known here.

        Raises
        ------
        ValueError
        """
        function = getattr(self.transformer, "inverse_func", None)
        if isinstance(self.transformer, FunctionTransformer):
            if function not in _FUNCTIONS or self.transformer.inv_kw_args:
                allowed = ", ".join(f"np.{each.__name__}" for each in _FUNCTIONS if each)
                raise ValueError(
                    "TransformedTargetRegressor can't be written as ONNX with the inverse_func "
                    f"{getattr(function, '__name__', function)}; it can with {allowed}, and with scalers."
                )
        elif type(self.transformer) not in _SCALERS:
            raise ValueError(
                "TransformedTargetRegressor can't be written as ONNX with the transformer "
                f"{type(self.transformer).__name__}; it can with "
                f"{', '.join(each.__name__ for each in _SCALERS)} and functions of NumPy."
            )
        return self

    def _set_shape(self, operator):
        operator.outputs[0].type.shape = operator.inputs[0].type.shape

    def _add(self, graph, y):
        if isinstance(self.transformer, FunctionTransformer):
            for operator, *constant in _FUNCTIONS[self.transformer.inverse_func]:
                y = graph.add(operator, y, *map(np.float64, constant))
            return y
        n = self.transformer.n_features_in_
        zero, one = self.transformer.inverse_transform(np.repeat([[0.0], [1.0]], n, axis=1))
        return graph.add("Add", graph.add("Mul", y, one - zero), zero)
