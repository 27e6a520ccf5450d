"""The value that decides on the best epoch, and what the history of a training shows."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring, get_scorer_names

from skdl._backend import keras, private
from skdl._dense import SCORES, Measure, State
from skdl._warnings import warn

_log = logging.getLogger("skdl")


@dataclass
class Outcome:
    """What a training leaves besides the weights.

    Parameters
    ----------
    engine : {"numpy", "compiled", "keras"}
        What trained.
    reason : str or None
        Why ``keras.Model.fit`` trained.
    history : dict of str to list of float
        Without entries for epochs that were not validated.
    epochs : list of int
        Numbers of the epochs that were trained.
    interrupted : bool
        Whether an interrupt from the keyboard ended it.
    """

    engine: str
    reason: str | None = None
    history: dict = field(default_factory=dict)
    epochs: list = field(default_factory=list)
    interrupted: bool = False

    def add(self, epoch, logs):
        """Record an epoch."""
        self.epochs.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


def learnt_from(history, before, validates, watched="loss", greater_is_better=False):
    """Return the attributes that tell of the epochs.

    Parameters
    ----------
    history : dict of str to list of float
        Of the epochs trained now, as Keras records it: without entries for epochs that
        were not validated.
    before : dict of str to list of float
        Of the epochs that they continue.
    validates : callable
        From the number of an epoch, counted from 0 in this training, to whether it was
        validated.
    watched : str, default="loss"
        Name of what decides which epoch is the best, by its values for validation rows.
    greater_is_better : bool, default=False

    Returns
    -------
    dict
        ``history_``, ``n_iter_`` and ``best_epoch_``: the epoch that is best by what is
        watched; by the training loss where there are no validation rows. An epoch whose loss
        is not finite is never the best. All lists have one length, with NaN at epochs
        without a value.

    Raises
    ------
    ValueError
        If what is watched is not there, or has several values.
    """
    n_before, n_now = (max(map(len, each.values()), default=0) for each in (before, history))
    history = {
        name: [
            *before.get(name, [np.nan] * n_before),
            *_by_epoch(history.get(name, []), n_now, validates),
        ]
        for name in {**before, **history}
    }
    check_watched(f"val_{watched}", {name: values[-1] for name, values in history.items()})
    values = history.get(f"val_{watched}")
    if values is None:
        values, greater_is_better = history.get("loss") or [np.nan], False
    losses = -np.asarray(values) if greater_is_better else np.asarray(values)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    for name in ("loss", "val_loss"):
        if name in history:
            finite[~np.isfinite(history[name])] = np.inf
    return {
        "history_": history,
        "n_iter_": max(map(len, history.values()), default=0),
        "best_epoch_": int(np.argmin(finite)),
    }


def check_watched(name, logs):
    """Refuse what decides on the best epoch, where an epoch was validated and has no one value of it.

    Parameters
    ----------
    name : str
        As "val_accuracy".
    logs : dict of str to float or ndarray
    """
    scoring = name.removeprefix("val_")
    if "val_loss" in logs and name not in logs:
        known = sorted(each.removeprefix("val_") for each in logs if each.startswith("val_"))
        raise ValueError(f"scoring={scoring!r} is not in the history, which has {known} of validation rows.")
    if np.ndim(logs.get(name)):
        raise ValueError(several_values(scoring))


def several_values(scoring):
    """Say that a metric can't decide which epoch is the best."""
    return f"scoring={scoring!r} has several values, such as one for each class; one number is wanted."


def _by_epoch(values, n_epochs, validates):
    """Put each value at its epoch."""
    if len(values) == n_epochs:
        return values
    remaining = iter(values)
    return [next(remaining, np.nan) if validates(epoch) else np.nan for epoch in range(n_epochs)]


def report(outcome, plan, name, network, history, best_epoch):
    """Log why Keras trained, and warn of a training that was interrupted or that diverged.

    Parameters
    ----------
    outcome : Outcome
    plan : Plan
    name : str
        Class of the estimator.
    network : keras.Model or skdl._dense.State
    history : dict of str to list of float
    best_epoch : int or None
        Epoch whose weights early stopping has kept.
    """
    if outcome.reason is not None and plan.engine == "auto":
        _log.info("%s trains with keras.Model.fit: %s", name, outcome.reason)
    if outcome.interrupted:
        warn(
            f"The training was interrupted after {len(outcome.epochs)} of {plan.epochs} epochs. The "
            "network is kept as it is.",
            ConvergenceWarning,
        )
    diverged = divergence(network, history)
    if best_epoch is not None and not outcome.interrupted:
        diverged = diverged or late_divergence(history, best_epoch)
    if diverged:
        # Not an error: the history shows what happened. Predicting is one.
        warn(diverged, ConvergenceWarning)


def divergence(model, history):
    """Tell in words how the weights of a model came to be no numbers; "" where they are numbers.

    Parameters
    ----------
    model : keras.Model
    history : dict of str to list of float

    Returns
    -------
    str
    """
    weights = (np.asarray(weight) for weight in model.get_weights())
    if all(np.isfinite(weight).all() for weight in weights if weight.dtype.kind in "fV"):
        return ""
    losses = history.get("loss", [])
    epoch = next((epoch for epoch, loss in enumerate(losses) if not np.isfinite(loss)), None)
    since = "" if epoch is None else f" (the loss is {losses[epoch]} from epoch {epoch} on)"
    return f"The training diverged: the network's weights are no longer finite{since}. {_ADVICE}"


def late_divergence(history, best_epoch):
    """Tell in words that a training diverged whose best weights are kept; "" where it did not.

    Parameters
    ----------
    history : dict of str to list of float
    best_epoch : int

    Returns
    -------
    str
    """
    last = {name: history[name][-1] for name in ("loss", "val_loss") if history.get(name)}
    ends = [f"{name} is {value}" for name, value in last.items() if not np.isfinite(value)]
    if not ends:
        return ""
    return (
        f"The training diverged: {' and '.join(ends)} at its end. The weights of epoch {best_epoch} are "
        f"kept, the best one. {_ADVICE}"
    )


_ADVICE = "Lower the learning rate, scale the features, or clip the gradients (optimizer__clipnorm=1.0)."


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
