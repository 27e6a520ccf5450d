"""What every classifier does beyond `KerasEstimator`: labels and probabilities."""

from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from skdl._estimators._base import KerasEstimator, validated
from skdl._targets import ClassifierLabelEncoder, DiscreteTarget, probabilities
from skdl._training import FIT_PARAMS, Rows
from skdl._typing import ArrayLike, FitArguments, MatrixLike, PredictArguments


class KerasClassifierMixin(ClassifierMixin):
    """What every classifier does; stands before `KerasEstimator` among the bases."""

    classes_: NDArray[Any]
    n_classes_: int

    _target_kind = DiscreteTarget
    _fit_arguments = FIT_PARAMS | {"class_weight"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # scikit-learn's mixin comes first and knows neither scorer nor score__ parameters.
    score = KerasEstimator.score

    @staticmethod
    def scorer(y_true: ArrayLike, y_pred: ArrayLike, **kwargs: Any) -> float:
        """Score predictions by their accuracy; override for another score.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.

        Returns
        -------
        float
        """
        return accuracy_score(y_true, y_pred, **kwargs)

    @property
    def target_encoder(self) -> Any:
        """Transformer from labels to what the model takes; override to use another.

        Its ``inverse_transform`` takes ``return_proba``, for `predict_proba`.
        """
        return ClassifierLabelEncoder(loss=self._encoded_loss())

    def _unfitted_target_encoder(self, classes):
        encoder = self.target_encoder
        if classes is not None and isinstance(encoder, ClassifierLabelEncoder):
            encoder.set_params(categories=[classes])
        return encoder

    @validated
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        **kwargs: Unpack[FitArguments],
    ) -> Self:
        """Train for one more epoch, from the weights as they are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call where its ``y``
            lacks some.
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, for a splitter as ``validation_split``, see `fit`.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to validate on, see `fit`.
        **kwargs : dict
            Arguments of ``keras.Model.fit`` for this call alone.

        Returns
        -------
        estimator
            The estimator itself, its ``history_`` one epoch longer.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and if ``classes`` differ from those of the first call, or with
            ``early_stopping``, which makes no sense for one epoch.
        """
        known = None if classes is None else np.unique(classes)
        if self.initialized_ and np.ndim(y) == 1 and self._target.has_classes:
            first = self.classes_
            if known is not None and not np.array_equal(known, first):
                raise ValueError(
                    f"classes={known.tolist()} differs from the first call to partial_fit, where it was "
                    f"{first.tolist()}."
                )
            known = first
        columns = np.shape(y)[1] if np.ndim(y) == 2 else 1
        if known is not None and columns > 1 and not np.array_equal(known, np.arange(columns)):
            raise ValueError(
                f"classes={known.tolist()} does not fit a target of {columns} columns, whose classes "
                f"or labels are the columns 0 to {columns - 1}. Leave classes out."
            )
        return self._fit_epoch(
            Rows(X, y, sample_weight),
            (X_val, y_val, sample_weight_val),
            kwargs,
            classes=known,
            groups=groups,
        )

    def _predict_raw(self, X, **kwargs):
        return probabilities(super()._predict_raw(X, **kwargs), self._trained_loss())

    def predict_proba(self, X: MatrixLike, **kwargs: Unpack[PredictArguments]) -> NDArray[Any]:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        **kwargs : dict
            Arguments of ``keras.Model.predict``, see `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; two columns for two classes. For a
            multilabel target, the probability of each label.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        ValueError
            If X is not like that of `fit`, or the model predicts NaN.
        """
        return self._target.decode(self._predict_raw(X, **kwargs), return_proba=True)

    def predict_log_proba(self, X: MatrixLike, **kwargs: Unpack[PredictArguments]) -> NDArray[Any]:
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        **kwargs : dict
            Arguments of ``keras.Model.predict``, see `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``-inf`` where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, **kwargs))
