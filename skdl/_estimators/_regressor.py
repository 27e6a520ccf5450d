"""What every regressor does beyond `KerasEstimator`."""

from typing import Any

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from skdl._estimators._base import KerasEstimator
from skdl._targets import NumberTarget, RegressorTargetEncoder
from skdl._typing import ArrayLike


class KerasRegressorMixin(RegressorMixin):
    """What every regressor does; stands before `KerasEstimator` among the bases."""

    n_outputs_: int

    _target_kind = NumberTarget

    # scikit-learn's mixin comes first and knows neither scorer nor score__ parameters.
    score = KerasEstimator.score

    @staticmethod
    def scorer(y_true: ArrayLike, y_pred: ArrayLike, **kwargs: Any) -> float:
        """Score predictions by R squared; override for another score.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.

        Returns
        -------
        float
        """
        return r2_score(y_true, y_pred, **kwargs)

    @property
    def target_encoder(self) -> Any:
        """Transformer from ``y`` to what the model takes; override to use another."""
        return RegressorTargetEncoder()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
