"""What an epoch is judged by: the loss, a metric of the model, or a scorer of scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import _safe_indexing

from skdl._backend import keras, private
from skdl._training._early_stopping import FiniteEarlyStopping


@dataclass(frozen=True)
class Criterion:
    """What `best_epoch_` and early stopping look at, on the validation rows.

    Parameters
    ----------
    name : str, default="loss"
        The history has it as ``val_<name>``.
    mode : {"min", "max", "auto"}, default="min"
        Whether less or more is better; "auto" asks the metric of the model.
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
            If it is a name that neither Keras nor scikit-learn knows here.
        """
        if isinstance(scoring, str):
            if scoring == "loss":
                return cls()
            metrics = _metric_names(model)
            if scoring in metrics:
                return cls(scoring, "auto")
            if scoring not in get_scorer_names():
                raise ValueError(
                    f"scoring={scoring!r} is neither 'loss', nor a metric of the model ({metrics}), nor a "
                    "scorer of scikit-learn (sklearn.metrics.get_scorer_names()). Add it to metrics, or give "
                    "a function scoring(estimator, X, y)."
                )
        scorer = check_scoring(estimator, scoring=scoring)
        function = getattr(scorer, "_score_func", scorer)
        name = scoring if isinstance(scoring, str) else getattr(function, "__name__", "score")
        return cls(name, "max", scorer)

    def greater_is_better(self, model):
        """Whether more is better."""
        if self.mode != "auto":
            return self.mode == "max"
        callback = keras.callbacks.EarlyStopping(monitor=f"val_{self.name}")
        callback.set_model(model)
        try:
            private.set_monitor_op(callback)
        except private.Unavailable:
            return self.name.endswith(("acc", "accuracy", "auc"))
        return callback.monitor_op is keras.ops.greater

    def early_stopping(self, patience):
        """Return the callback that stops by it and restores the best weights, finite ones."""
        return FiniteEarlyStopping(
            monitor=f"val_{self.name}", mode=self.mode, patience=patience, restore_best_weights=True
        )


def _metric_names(model):
    try:
        return private.compiled_metric_names(model)
    except private.Unavailable:
        return [metric.name for metric in model.metrics]  # fewer, before the model is trained


class ValidationScore(keras.callbacks.Callback):
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

    def __init__(self, criterion, estimator, X, y, positions, weight):
        super().__init__()
        self.criterion, self.estimator = criterion, estimator
        self.X, self.y = _safe_indexing(X, positions), _safe_indexing(y, positions)
        weighs = weight is not None and hasattr(criterion.scorer, "_score_func")
        self.weight = {"sample_weight": weight} if weighs else {}
        self._score()

    def _score(self) -> float:
        return float(self.criterion.scorer(self.estimator, self.X, self.y, **self.weight))

    def on_epoch_end(self, epoch, logs=None):
        """Score the rows where the epoch was validated."""
        if "val_loss" not in logs:
            return
        try:
            score = self._score()
        except ValueError:
            # They could be scored before training, but not where it diverges.
            if np.isfinite(list(logs.values())).all():
                raise
            score = np.nan
        logs[f"val_{self.criterion.name}"] = score
