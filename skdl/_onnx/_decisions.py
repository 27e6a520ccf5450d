"""Calibration and thresholds around a classifier, as scikit-learn computes them.

skl2onnx takes the nearest threshold of an isotonic calibration, has no temperature scaling, and forgets the
threshold of `TunedThresholdClassifierCV`.
"""

import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from skdl._onnx._converters import add_to
from skdl._onnx._onnx_network import Graph, NetworkParts


class _Decision(ClassifierMixin, BaseEstimator):
    """A fitted classifier around others, with its own converter."""

    def _onnx_parts(self):
        return NetworkParts(None, len(self.classes_), "classes", self.classes_)


class Calibrated(_Decision):
    """A `CalibratedClassifierCV`, as its pairs of a classifier and calibrators."""

    def __init__(self, pairs, classes):
        self.pairs, self.classes_ = pairs, classes

    def add(self, graph, scores):
        """Add the average of the calibrated classifiers; ``scores`` adds what a classifier predicts."""
        shares = [_add_pair(graph, pair, scores) for pair in self.pairs]
        y = graph.add("Div", graph.add("Sum", *shares), np.float64(len(shares)))
        return [graph.add("Gather", self.classes_, graph.add("ArgMax", y, axis=1, keepdims=0)), y]


def _add_pair(graph, pair, scores):
    """Add the probabilities by one classifier and its calibrators."""
    decides = hasattr(pair.estimator, "decision_function")  # else it has probabilities
    y = scores(pair.estimator, raw=decides)
    if pair.method == "temperature":
        y = y if decides else graph.add("Log", graph.add("Add", y, np.float64(1e-12)))
        return graph.add("Softmax", graph.add("Mul", y, np.float64(pair.calibrators[0].beta_)), axis=1)
    add = _add_sigmoid if pair.method == "sigmoid" else _add_isotonic
    n = len(pair.classes)
    places = np.searchsorted(pair.classes, pair.estimator.classes_)
    columns = [graph.add("Mul", graph.add("Gather", y, [0], axis=1), np.float64(0))] * n
    for k, (place, calibrator) in enumerate(zip(places, pair.calibrators, strict=False)):
        # Of two classes, the second one has the only calibrator.
        score = graph.add("Gather", y, [k + (len(places) == 2)], axis=1)
        columns[place + (n == 2)] = add(graph, calibrator, score)
    if n == 2:
        return graph.add("Concat", graph.add("Sub", np.float64(1), columns[1]), columns[1], axis=1)
    y = graph.add("Concat", *columns, axis=1)
    total = graph.add("ReduceSum", y, np.int64([1]), keepdims=1)
    none = graph.add("Equal", total, np.float64(0))
    return graph.add("Where", none, np.float64(1 / n), graph.add("Div", y, total))


def _add_sigmoid(graph, calibrator, score):
    line = graph.add("Add", graph.add("Mul", score, np.float64(-calibrator.a_)), np.float64(-calibrator.b_))
    return graph.add("Sigmoid", line)


def _add_isotonic(graph, calibrator, score):
    """Add `np.interp` between the thresholds."""
    x, y = (np.float64(each) for each in (calibrator.X_thresholds_, calibrator.y_thresholds_))
    score = graph.add("Max", score, x[0])
    passed = graph.cast(graph.add("GreaterOrEqual", score, x), np.int64)
    last = graph.add("Sub", graph.add("ReduceSum", passed, np.int64([1]), keepdims=1), np.int64(1))
    slope = graph.add("Gather", np.append(np.diff(y) / np.diff(x), 0.0), last)
    run = graph.add("Sub", score, graph.add("Gather", x, last))
    return graph.add("Add", graph.add("Mul", slope, run), graph.add("Gather", y, last))


class Thresholded(_Decision):
    """A `FixedThresholdClassifier` or `TunedThresholdClassifierCV` around a classifier with probabilities."""

    def __init__(self, classifier, estimator):
        self.classifier, self.estimator, self.classes_ = classifier, estimator, classifier.classes_

    def add(self, graph, scores):
        """Add the decision; ``scores`` adds what a classifier predicts."""
        asked = copy.copy(self.classifier)
        asked.estimator_ = _Certain(self.classes_)
        labels = asked.predict(np.array([[-np.inf], [np.inf]]))  # below the threshold, and above
        threshold = getattr(asked, "best_threshold_", getattr(asked, "threshold", "auto"))
        y = scores(self.estimator)
        of_label = graph.add("Gather", y, np.flatnonzero(self.classes_ == labels[1]), axis=1)
        above = graph.add("GreaterOrEqual", of_label, np.float64(0.5 if threshold == "auto" else threshold))
        place = graph.cast(graph.add("Squeeze", above, np.int64([1])), np.int64)
        return [graph.add("Gather", labels, place), y]


class _Certain(ClassifierMixin, BaseEstimator):
    """Predicts its one feature for both classes."""

    def __init__(self, classes):
        self.classes_ = classes

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.repeat(X, 2, axis=1)


def convert_decision(scope, operator, container):
    """Add the nodes of a decision to skl2onnx's container."""
    from skl2onnx import get_model_alias
    from skl2onnx.common.data_types import Int64TensorType

    graph = Graph(scope.get_unique_operator_name("skdl") + "_")

    def scores(estimator, raw=False):
        """Have skl2onnx convert a classifier, and return the name of its probabilities or raw scores."""
        if raw:
            last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
            scope.add_options(id(last), {"raw_scores": True})
            container.add_options(id(last), {"raw_scores": True})
        inner = scope.declare_local_operator(get_model_alias(type(estimator)), estimator)
        inner.inputs = operator.inputs
        inner.outputs.append(scope.declare_local_variable("label", Int64TensorType()))
        inner.outputs.append(scope.declare_local_variable("scores", operator.outputs[1].type.__class__()))
        return graph.cast(inner.outputs[1].onnx_name, np.float64)

    add_to(container, graph, operator.raw_operator.add(graph, scores), operator.outputs)
