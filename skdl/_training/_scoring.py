"""What an epoch is judged by: the loss, a metric of the model, or a scorer of scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import _safe_indexing

from skdl._backend import keras, private
from skdl._dense import SCORES, Measure, State
from skdl._training._hooks import EpochHook
from skdl._training._outcome import several_values

# Arguments of Keras's metrics that decide whether these have one value, and what gives one.
_ONE_VALUE = {
    "average": 'average="macro", "micro" or "weighted"',
    "class_aggregation": 'class_aggregation="uniform_average"',
    "thresholds": "one threshold",
}


@dataclass(frozen=True)
class Criterion:
    """What `best_epoch_` and early stopping look at, on the validation rows.

    Parameters
    ----------
    name : str, default="loss"
        The history has it as ``val_<name>``.
    mode : {"min", "max"}, default="min"
        Whether less or more is better.
    scorer : callable, default=None
        What computes it after each epoch; None for what the training computes anyway.
    """

    name: str = "loss"
    mode: str = "min"
    scorer: Callable[..., float] | None = None

    @classmethod
    def of(cls, scoring, model, estimator):
        """Return what a parameter ``scoring`` means for a compiled model.

        Raises
        ------
        ValueError
            If it is a name that neither the history will have nor scikit-learn knows; or a metric that
            has several values, or of which nobody knows whether more is better.
        """
        if isinstance(scoring, str):
            if scoring == "loss":
                return cls()
            metrics = _metrics_by_name(model)
            if scoring in metrics:
                return cls(scoring, _mode(scoring, metrics[scoring]))
            of_outputs = [name for name in metrics if name.endswith(f"_{scoring}")]
            if scoring not in get_scorer_names() or (None in metrics.values() and of_outputs):
                raise ValueError(
                    f"scoring={scoring!r} is neither 'loss', nor a metric of the model ({list(metrics)}), "
                    "nor a scorer of scikit-learn for it (sklearn.metrics.get_scorer_names()). Add it to "
                    "metrics, or give a function scoring(estimator, X, y)."
                )
        scorer = check_scoring(estimator, scoring=scoring)
        function = getattr(scorer, "_score_func", scorer)
        name = scoring if isinstance(scoring, str) else getattr(function, "__name__", "score")
        return cls(name, "max", scorer)


def _metrics_by_name(model):
    """Return the metrics of a model by their names in the history; None for the losses of several outputs."""
    if isinstance(model, State):
        return {metric.name: metric for metric in model.network.metrics}
    try:
        given = private.given_metrics(model)
    except private.Unavailable:
        return {metric.name: metric for metric in model.metrics}  # fewer, before the model is trained
    outputs = getattr(model, "output_names", None) or []
    if len(outputs) < 2:
        outputs = [""]
    found = {f"{output}_loss": None for output in outputs if output}
    for weighted, metrics in zip(("", "weighted_"), given, strict=False):
        for output, of_output in _by_output(metrics, outputs):
            for metric in keras.tree.flatten(of_output):
                if metric is not None:
                    name = metric if isinstance(metric, str) else getattr(metric, "name", None)
                    name = name or getattr(metric, "__name__", "")
                    prefix = f"{output}_" if output else ""
                    key = f"{prefix}{name}"
                    if key in found:
                        key = f"{prefix}{weighted}{name}" if weighted else f"{key}_1"
                    found[key] = metric
    return found


def _by_output(metrics, outputs):
    if len(outputs) > 1 and isinstance(metrics, dict):
        return metrics.items()
    if len(outputs) > 1 and isinstance(metrics, list | tuple) and len(metrics) == len(outputs):
        return zip(outputs, metrics, strict=True)
    return [("", metrics)]


def _mode(scoring, metric):
    """Return whether less or more of a metric is better; refuse one that has no one answer."""
    if metric is None:
        return "min"
    if isinstance(metric, Measure):
        return "max" if metric.function in SCORES else "min"
    if isinstance(metric, str):
        if metric.lower() in ("accuracy", "acc"):
            return "max"
        metric = keras.metrics.get(metric)
    config = metric.get_config() if isinstance(metric, keras.metrics.Metric) else {}
    for argument, advice in _ONE_VALUE.items():
        value = config.get(argument, 0)
        if argument == "thresholds":
            several = np.size(value) > 1 and "curve" not in config
        else:
            several = value is None
        if several:
            raise ValueError(f"{several_values(scoring)} Give the metric {advice}.")
    direction = private.direction_of(metric)
    if direction is None:
        raise ValueError(
            f"scoring={scoring!r} is a metric of which nobody knows whether more or less is better. Give a "
            "class of keras.metrics, the name of a scorer of scikit-learn, or a function scoring(estimator, "
            "X, y), of which more is better."
        )
    return "max" if direction == "up" else "min"


class ValidationScore(EpochHook):
    """Adds the score of the validation rows to the logs of each epoch.

    Parameters
    ----------
    criterion : Criterion
        With a scorer.
    estimator : estimator
        That is fitted.
    X, y : array-like
        Validation rows, as the user gave them.
    positions : ndarray of int
        Which of these rows to score on.
    weight : ndarray or None
        Their weights, for scorers of scikit-learn.

    Raises
    ------
    ValueError
        If the rows can't be scored so: before training.
    """

    asks_estimator = True

    def __init__(self, criterion, estimator, X, y, positions, weight):
        self.criterion, self.estimator = criterion, estimator
        self.X, self.y = _safe_indexing(X, positions), _safe_indexing(y, positions)
        weighs = weight is not None and hasattr(criterion.scorer, "_score_func")
        self.weight = {"sample_weight": weight} if weighs else {}
        self._score()

    def _score(self) -> float:
        return float(self.criterion.scorer(self.estimator, self.X, self.y, **self.weight))

    def epoch_end(self, epoch, logs):
        """Score the rows where the epoch was validated."""
        if "val_loss" not in logs:
            return False
        try:
            score = self._score()
        except ValueError:
            # They could be scored before training, but not where it diverges.
            if all(np.isfinite(value).all() for value in logs.values()):
                raise
            score = np.nan
        logs[f"val_{self.criterion.name}"] = score
        return False
