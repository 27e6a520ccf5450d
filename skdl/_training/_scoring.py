"""The value that decides on the best epoch, and what the history of a training shows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names

from skdl._backend import keras, private
from skdl._dense import SCORES, Measure, State
from skdl._warnings import warn

_log = logging.getLogger("skdl")

# Arguments by which a metric of Keras has several values, and what makes it one.
_ONE_VALUE = {
    "average": 'average="macro", "micro" or "weighted"',
    "class_aggregation": 'class_aggregation="uniform_average"',
    "thresholds": "one threshold",
}
_ADVICE = "Lower the learning rate, scale the features, or clip the gradients (optimizer__clipnorm=1.0)."


@dataclass(frozen=True)
class Criterion:
    """What `best_epoch_` and early stopping compare, computed on the validation rows."""

    name: str = "loss"  # the history has it as ``val_<name>``
    mode: str = "min"  # or "max", where more is better
    scorer: Callable[..., float] | None = None  # computes it after each epoch; None for loss and metrics

    @classmethod
    def of(cls, scoring, model, estimator):
        """Return the criterion of a parameter ``scoring`` for a compiled model; refuse unknown names."""
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
        compiled = private.given_metrics(model)
    except private.Unavailable:
        return {metric.name: metric for metric in model.metrics}  # fewer, before the model is trained
    outputs = getattr(model, "output_names", None) or []
    if len(outputs) < 2:
        outputs = [""]
    found = {f"{output}_loss": None for output in outputs if output}
    for weighted, metrics in zip(("", "weighted_"), compiled, strict=False):
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
    """Return "max" where more of a metric is better, else "min"; refuse a metric of several values."""
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
            raise ValueError(f"{_several_values(scoring)} Give the metric {advice}.")
    direction = getattr(metric, private.DIRECTION, None)
    if direction is None:
        raise ValueError(
            f"scoring={scoring!r} is a metric that does not say whether more or less is better. Give a "
            "class of keras.metrics, the name of a scorer of scikit-learn, or a function scoring(estimator, "
            "X, y), of which more is better."
        )
    return "max" if direction == "up" else "min"


def check_monitored(name, logs):
    """Refuse a monitored value, such as "val_accuracy", that a validated epoch lacks or that is an array."""
    scoring = name.removeprefix("val_")
    if "val_loss" in logs and name not in logs:
        known = sorted(each.removeprefix("val_") for each in logs if each.startswith("val_"))
        raise ValueError(f"scoring={scoring!r} is not in the history, which has {known} of validation rows.")
    if np.ndim(logs.get(name)):
        raise ValueError(_several_values(scoring))


def _several_values(scoring):
    return f"scoring={scoring!r} has several values, such as one for each class; it must have one."


def history_attributes(history, criterion):
    """Return `history_`, `n_iter_` and `best_epoch_` for the history of a `Record`.

    Without validation rows the training loss decides. An epoch whose loss is not finite is never the best.
    """
    monitored, mode = f"val_{criterion.name}", criterion.mode
    check_monitored(monitored, {name: values[-1] for name, values in history.items()})
    values = history.get(monitored)
    if values is None:
        values, mode = history.get("loss") or [np.nan], "min"
    losses = -np.asarray(values) if mode == "max" else np.asarray(values)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    for name in ("loss", "val_loss"):
        if name in history:
            finite[~np.isfinite(history[name])] = np.inf
    return {
        "history_": {name: [*values] for name, values in history.items()},
        "n_iter_": max(map(len, history.values()), default=0),
        "best_epoch_": int(np.argmin(finite)),
    }


def all_finite(weights):
    """Return whether all weights are finite."""
    floats = (np.asarray(each) for each in weights if each.dtype.kind in "fV")
    # NumPy has no bfloat16 of its own.
    return all(np.isfinite(each if each.dtype.kind == "f" else each.astype("f4")).all() for each in floats)


def divergence_message(network, history, best_epoch=None):
    """Return a message about a training that diverged, or ""; weights of a ``best_epoch`` were restored."""
    if not all_finite(network.get_weights()):
        losses = history.get("loss", [])
        epoch = next((epoch for epoch, loss in enumerate(losses) if not np.isfinite(loss)), None)
        since = "" if epoch is None else f" (the loss is {losses[epoch]} from epoch {epoch} on)"
        return f"The training diverged: the network's weights are no longer finite{since}. {_ADVICE}"
    if best_epoch is None:
        return ""
    last = {name: history[name][-1] for name in ("loss", "val_loss") if history.get(name)}
    ends = [f"{name} is {value}" for name, value in last.items() if not np.isfinite(value)]
    if not ends:
        return ""
    return (
        f"The training diverged: {' and '.join(ends)} at its end. The weights of epoch {best_epoch} are "
        f"kept, the best one. {_ADVICE}"
    )


def report(outcome, plan, record, name, network, best_epoch):
    """Log why Keras trained; raise KeyboardInterrupt or warn where training was interrupted or diverged."""
    if outcome.reason is not None and plan.engine == "auto":
        _log.info("%s trains with keras.Model.fit: %s", name, outcome.reason)
    if outcome.interrupted:
        # As in Keras. A search that fits this estimator ends, too.
        raise KeyboardInterrupt(
            f"The training was interrupted after {record.n_epochs - record.n_earlier} of {plan.epochs} "
            "epochs. The network is kept as it is."
        )
    message = divergence_message(network, record.history, None if plan.patience is None else best_epoch)
    if message:
        # No error, since the history shows what happened. `predict` raises one.
        warn(message, ConvergenceWarning)
