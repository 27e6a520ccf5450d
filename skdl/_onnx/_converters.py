"""Converters for skl2onnx: of the estimators, of tables, and of steps and decisions that it lacks."""

import copy
import sys

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skdl._onnx._onnx_network import OPSETS, Graph, NetworkParts, add_network


def register_if_used(cls):
    """Register the converter of a class of estimators, if skl2onnx is imported."""
    if "skl2onnx" in sys.modules:
        register(cls)


def register(cls):
    """Register the converter of a class of estimators with skl2onnx, which looks it up by the exact class."""
    from skl2onnx import update_registered_converter

    flag = [True, False]
    options = {"zipmap": [*flag, "columns"], "nocl": flag, "output_class_labels": flag}
    options = options if issubclass(cls, ClassifierMixin) else None
    name = f"{cls.__module__}.{cls.__qualname__}"
    update_registered_converter(cls, name, _set_shapes, _convert, options=options)


def _set_shapes(operator):
    """Set the types and shapes of an estimator's outputs."""
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
    """Add the nodes of an estimator, a `Step` or a `Decision` to skl2onnx's container."""
    from skl2onnx import get_model_alias
    from skl2onnx.common.data_types import Int64TensorType, guess_proto_type

    graph, part = Graph(scope.get_unique_operator_name("skdl") + "_"), operator.raw_operator

    def scores(estimator, raw=False):
        """Add a classifier by its own converter; return the name of its probabilities or raw scores."""
        if raw:
            # skl2onnx's parsers read the options of the scope, its converters those of the container.
            last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
            scope.add_options(id(last), {"raw_scores": True})
            container.add_options(id(last), {"raw_scores": True})
        inner = scope.declare_local_operator(get_model_alias(type(estimator)), estimator)
        inner.inputs = operator.inputs
        inner.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
        inner.outputs.append(scope.declare_local_variable("scores", operator.outputs[1].type.__class__()))
        return graph.cast(inner.outputs[1].onnx_name, np.float64)

    if isinstance(part, Decision):
        names = part.add(graph, scores)
    elif isinstance(part, Step):
        names = [part.add(graph, graph.cast(_joined(graph, operator.inputs), np.float64))]
    else:
        parts = part._onnx_parts()
        names = add_network(graph, parts, (parts.read or _joined)(graph, operator.inputs))
    for name, variable in zip(names, operator.outputs, strict=True):
        graph.cast(name, guess_proto_type(variable.type), output=variable.onnx_name)
    container.nodes.extend(graph.nodes)
    container.initializers.extend(graph.constants)
    container.node_domain_version_pair_sets.update(OPSETS.items())


def _joined(graph, variables):
    """Return the name of one tensor of all inputs of an operator."""
    if len(variables) == 1:
        return variables[0].onnx_name
    columns = [graph.cast(each.onnx_name, np.float64) for each in variables]
    return graph.add("Concat", *columns, axis=1)


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


class Step(TransformerMixin, BaseEstimator):
    """A step of a Pipeline.

    ``add`` takes a graph and the name of all columns as one array, and returns that of the result.
    """

    def __init__(self, n_columns, add):
        self.n_columns, self.add = n_columns, add

    def _onnx_parts(self):
        return NetworkParts(None, self.n_columns, "numbers")


def imputed(imputer):
    """Return the step of a `SimpleImputer` of numbers, for which onnxruntime has float32 alone."""
    kept = np.flatnonzero(~np.isnan(imputer.statistics_))
    flagged = imputer.indicator_.features_ if imputer.add_indicator else ()

    def add(graph, x):
        missing = graph.add("IsNaN", x)
        y = graph.add("Gather", graph.add("Where", missing, imputer.statistics_, x), kept, axis=1)
        if len(flagged):
            flags = graph.add("Gather", missing, flagged, axis=1)
            y = graph.add("Concat", y, graph.cast(flags, np.float64), axis=1)
        return y

    return Step(len(kept) + len(flagged), add)


def inverse_target(transformer):
    """Return the inverse transformation of `TransformedTargetRegressor` as a step."""
    function = getattr(transformer, "inverse_func", None)
    of_function = type(transformer) is FunctionTransformer
    known = function in _FUNCTIONS and not transformer.inv_kw_args if of_function else False
    if not known and type(transformer) not in _SCALERS:
        given = f"inverse_func {getattr(function, '__name__', function)}"
        raise ValueError(
            "TransformedTargetRegressor can't be written as ONNX with the "
            f"{given if of_function else type(transformer).__name__}; it can with the transformers "
            f"{', '.join(each.__name__ for each in _SCALERS)}, and with the inverse_func "
            f"{', '.join(f'np.{each.__name__}' for each in _FUNCTIONS if each)}."
        )

    n_columns = transformer.n_features_in_

    def add(graph, y):
        if of_function:
            for operator, *constant in _FUNCTIONS[function]:
                y = graph.add(operator, y, *map(np.float64, constant))
            return y
        zero, one = transformer.inverse_transform(np.repeat([[0.0], [1.0]], n_columns, axis=1))
        return graph.add("Add", graph.add("Mul", y, one - zero), zero)

    return Step(n_columns, add)


# Larger numbers are read as this one, as `TableReader` reads them.
_LARGEST = 1e300


def tabular_parts(network, n_outputs, reader, encoder, neighbors, *, classes=None, scaler=None, limits=None):
    """Return the `NetworkParts` of a tabular estimator; ``scaler`` and ``limits`` are those of numbers."""
    rows = []

    def read(graph, variables):
        categorical = np.flatnonzero(reader.is_categorical_)
        _, numbers, numeric = encoder.columns_.transformers_[0]
        columns = []
        if len(numeric):
            columns += _add_numbers(graph, _columns(graph, variables, np.array(numeric)), numbers)
        if len(categorical):
            columns.append(_add_categories(graph, variables, categorical, reader, encoder))
        x = graph.add("Concat", *(graph.cast(each, np.float32) for each in columns), axis=1)
        folds = graph.add("Unsqueeze", x, [1])
        rows.append(graph.add("Tile", folds, np.int64([1, encoder.n_folds, 1])))
        return rows[-1]

    def finish(graph, y):
        if neighbors is not None:
            y = _add_neighbors(graph, rows[-1], y, neighbors)
        # The average over the folds, of the shape (n_samples, n_folds, 1, n_units).
        y = graph.cast(graph.add("Squeeze", y, [2]), np.float64)
        if scaler is None:  # logarithms of probabilities
            y = graph.add("ReduceMean", graph.add("Exp", y), [1], keepdims=0)
            return graph.add("Div", y, graph.add("ReduceSum", y, [1], keepdims=1))
        y = graph.add("ReduceMean", y, [1], keepdims=0)
        y = graph.add("Add", graph.add("Mul", y, scaler.scale_), scaler.mean_)
        return graph.add("Min", graph.add("Max", y, limits[0]), limits[1])

    kind = "numbers" if classes is None else "classes"
    return NetworkParts(network, n_outputs, kind, classes, read=read, finish=finish)


def _columns(graph, variables, places):
    """Return the name of some columns as one array of numbers."""
    if len(variables) == 1:
        return graph.cast(graph.add("Gather", variables[0].onnx_name, places, axis=1), np.float64)
    return graph.add("Concat", *(graph.cast(variables[i].onnx_name, np.float64) for i in places), axis=1)


def _add_numbers(graph, x, numbers):
    """Impute, scale and bend numbers, flag missing ones, and add minor components."""
    imputer = numbers.imputer_
    missing = graph.add("IsNaN", x)
    x = graph.add("Where", missing, imputer.statistics_, x)
    x = graph.add("Clip", x, -_LARGEST, _LARGEST)
    z = graph.add("Sub", graph.add("Mul", x, numbers.scale_), numbers.center_ * numbers.scale_)
    parts = [_add_bent(graph, graph.add("Clip", z, -1e6, 1e6))]
    if imputer.add_indicator:
        parts.append(graph.add("Gather", missing, imputer.indicator_.features_, axis=1))
    if numbers.components_.shape[1]:
        z = graph.add("Sub", graph.cast(parts[0], np.float64), numbers.mean_)
        parts.append(_add_bent(graph, graph.add("MatMul", z, numbers.components_)))
    return parts


def _add_bent(graph, z):
    """Add what bends numbers towards -3 or 3 far from 0, as float32."""
    third = graph.add("Div", z, 3.0)
    root = graph.add("Sqrt", graph.add("Add", graph.add("Mul", third, third), 1.0))
    return graph.cast(graph.add("Div", z, root), np.float32)


def _add_categories(graph, variables, places, reader, encoder):
    """Add the change by each category to the columns of a row without known categories."""
    from skl2onnx.common.data_types import StringTensorType

    codes = np.full((1, len(reader.is_categorical_)), np.nan)
    codes[:, ~reader.is_categorical_] = 0
    first = encoder.columns_.output_indices_["categorical"].start
    without_known = encoder.transform(codes)[0, 0, first:]
    total = without_known
    for place, known in zip(places, reader.categories_.categories_, strict=True):
        known = [each for each in known if isinstance(each, str)]
        rows = np.repeat(codes, len(known) + 1, axis=0)
        rows[:-1, place] = np.arange(len(known))
        changes = encoder.transform(rows)[:, 0, first:] - without_known
        variable = variables[place if len(variables) > 1 else 0]
        if isinstance(variable.type, StringTensorType):
            number = graph.add(
                "LabelEncoder",
                graph.add("Flatten", variable.onnx_name, axis=1),
                domain="ai.onnx.ml",
                keys_strings=known,
                values_int64s=list(range(len(known))),
                default_int64=len(known),
            )
            part = graph.add("Gather", changes, graph.add("Squeeze", number, [1]), axis=0)
        else:
            # A category of a numeric column is the text of a number or a flag.
            values = np.array([float({"True": 1, "False": 0}.get(each, each)) for each in known])
            same = graph.add("Equal", _columns(graph, variables, [place]), values)
            part = graph.add("MatMul", graph.cast(same, np.float32), changes[:-1])
        total = graph.add("Add", total, part)
    return total


def _add_neighbors(graph, x, y, neighbors):
    """Add the share of similar rows in the output ``y`` of a tabular network for encoded rows ``x``.

    ``x`` has the shape (n_samples, n_folds, n_features). The squared length of a row is left out of its
    distances, since the weights of its neighbors do not depend on it.
    """
    add, rows = graph.add, neighbors.rows.astype(float)
    x = graph.cast(add("Gather", x, 0, axis=1), np.float64)
    near = add("Sub", add("MatMul", x, 2 * rows.T), np.square(rows).sum(axis=1))
    n_neighbors = np.int64([neighbors.finder.n_neighbors])
    near, positions = add("TopK", near, n_neighbors, n_outputs=2)
    weight = add("Softmax", add("Div", near, np.float64(neighbors.width)), axis=1)
    weight = add("Mul", weight, add("Gather", neighbors.weight, positions))
    weight = add("Div", weight, add("ReduceSum", weight, [1], keepdims=1))
    targets = add("Gather", neighbors.targets, positions, axis=0)
    mean = add("MatMul", add("Unsqueeze", weight, [1]), targets)
    mean = add("Mul", add("Unsqueeze", mean, [1]), np.float64(neighbors.share))
    y = graph.cast(y, np.float64)
    if neighbors.n_classes is not None:
        y = add("Exp", y)
    y = add("Add", add("Mul", y, np.float64(1 - neighbors.share)), mean)
    return y if neighbors.n_classes is None else add("Log", add("Max", y, 1e-30))


# Calibration and thresholds around a classifier, as scikit-learn computes them: skl2onnx takes the nearest
# threshold of an isotonic calibration, has no temperature scaling, and forgets the threshold of
# `TunedThresholdClassifierCV`.


class Decision(ClassifierMixin, BaseEstimator):
    """A fitted classifier around others.

    ``add`` takes a graph and a function that adds a classifier and returns the name of its probabilities. It
    returns the names of labels and probabilities.
    """

    def __init__(self, classes, add):
        self.classes_, self.add = classes, add

    def _onnx_parts(self):
        return NetworkParts(None, len(self.classes_), "classes", self.classes_)


def calibrated(pairs, classes):
    """Return the decision of a `CalibratedClassifierCV` with these pairs of a classifier and calibrators."""

    def add(graph, scores):
        shares = [_add_pair(graph, pair, scores) for pair in pairs]
        y = graph.add("Div", graph.add("Sum", *shares), np.float64(len(shares)))
        return [graph.add("Gather", classes, graph.add("ArgMax", y, axis=1, keepdims=0)), y]

    return Decision(classes, add)


def _add_pair(graph, pair, scores):
    """Add the probabilities by one classifier and its calibrators."""
    decides = hasattr(pair.estimator, "decision_function")  # else it has probabilities
    y = scores(pair.estimator, raw=decides)
    if pair.method == "temperature":
        y = y if decides else graph.add("Log", graph.add("Add", y, 1e-12))
        return graph.add("Softmax", graph.add("Mul", y, np.float64(pair.calibrators[0].beta_)), axis=1)
    n = len(pair.classes)
    places = np.searchsorted(pair.classes, pair.estimator.classes_)
    columns = [graph.add("Mul", graph.add("Gather", y, [0], axis=1), 0.0)] * n
    for k, (place, calibrator) in enumerate(zip(places, pair.calibrators, strict=False)):
        # Of two classes, the second one has the only calibrator.
        score = graph.add("Gather", y, [k + (len(places) == 2)], axis=1)
        if pair.method == "sigmoid":
            slope = graph.add("Mul", score, np.float64(-calibrator.a_))
            column = graph.add("Sigmoid", graph.add("Add", slope, np.float64(-calibrator.b_)))
        else:
            column = _add_isotonic(graph, calibrator, score)
        columns[place + (n == 2)] = column
    if n == 2:
        return graph.add("Concat", graph.add("Sub", 1.0, columns[1]), columns[1], axis=1)
    y = graph.add("Concat", *columns, axis=1)
    total = graph.add("ReduceSum", y, [1], keepdims=1)
    is_zero = graph.add("Equal", total, 0.0)
    return graph.add("Where", is_zero, 1 / n, graph.add("Div", y, total))


def _add_isotonic(graph, calibrator, score):
    """Add `np.interp` between the thresholds."""
    x, y = (np.float64(each) for each in (calibrator.X_thresholds_, calibrator.y_thresholds_))
    score = graph.add("Max", score, x[0])
    passed = graph.cast(graph.add("GreaterOrEqual", score, x), np.int64)
    last = graph.add("Sub", graph.add("ReduceSum", passed, [1], keepdims=1), np.int64(1))
    slope = graph.add("Gather", np.append(np.diff(y) / np.diff(x), 0.0), last)
    run = graph.add("Sub", score, graph.add("Gather", x, last))
    return graph.add("Add", graph.add("Mul", slope, run), graph.add("Gather", y, last))


def thresholded(classifier, estimator):
    """Return the decision of a `FixedThresholdClassifier` or `TunedThresholdClassifierCV`.

    ``estimator`` is the classifier inside, with probabilities, as skl2onnx can convert it.
    """
    classes = classifier.classes_
    threshold = getattr(classifier, "best_threshold_", getattr(classifier, "threshold", "auto"))
    even, labels = copy.copy(classifier), []
    even.estimator_ = DummyClassifier(strategy="uniform").fit(classes, classes)  # probabilities of 0.5
    for each in (1, 0):
        even.threshold = even.best_threshold_ = each
        labels.append(even.predict(classes[:1])[0])  # below the threshold, and above

    def add(graph, scores):
        y = scores(estimator)
        of_label = graph.add("Gather", y, np.flatnonzero(classes == labels[1]), axis=1)
        above = graph.add("GreaterOrEqual", of_label, np.float64(0.5 if threshold == "auto" else threshold))
        place = graph.cast(graph.add("Squeeze", above, [1]), np.int64)
        return [graph.add("Gather", np.array(labels), place), y]

    return Decision(classes, add)
