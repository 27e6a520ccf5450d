"""Mixins of the classifiers and of the regressors."""

from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score

from skdl._arrays import float_type, n_rows, take
from skdl._backend import keras
from skdl._estimators._base import KerasEstimator, validated
from skdl._model._build import widened
from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder
from skdl._targets._output import check_probabilities, probabilities, read_loss, takes_one_hot
from skdl._targets._target import DiscreteTarget, NumberTarget, OneHotTarget, is_one_hot
from skdl._training._plan import FIT_PARAMS, Rows
from skdl._typing import ArrayLike, FitArguments, MatrixLike, PredictArguments
from skdl._warnings import warn

# Number of rows by whose outputs a trained model is checked.
_CHECKED_ROWS = 256


class KerasClassifierMixin(ClassifierMixin):
    """Labels and probabilities of all classifiers; stands before `KerasEstimator` in the bases."""

    classes_: NDArray[Any]
    n_classes_: int

    _target_kind = DiscreteTarget
    _fit_arguments = FIT_PARAMS | {"class_weight"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # The mixin of scikit-learn, which comes first, ignores `scorer` and the parameters score__<name>.
    score = KerasEstimator.score
    scorer = staticmethod(accuracy_score)

    @property
    def target_encoder(self) -> Any:
        """Transformer from labels to what the model takes; override to use another.

        Its ``inverse_transform`` takes ``return_proba``, for `predict_proba`.
        """
        return ClassifierLabelEncoder(loss=self._resolved_loss())

    def _one_hot_is_classes(self):
        """Return whether the loss takes one-hot rows as classes, not as independent labels."""
        return takes_one_hot(self.loss)

    def _type_of_target(self, y):
        if self._is_overridden("target_encoder") or not is_one_hot(y):
            return super()._type_of_target(y)
        if self._one_hot_is_classes():
            return OneHotTarget.name
        loss = getattr(self.loss, "__name__", self.loss)
        warn(
            f"Each row of y has exactly one 1 in {y.shape[1]} columns, as one-hot classes have, but with "
            f"loss={loss!r} the columns are independent labels: each has a sigmoid of its own. If these are "
            'classes, give y.argmax(axis=1), or loss="categorical_crossentropy".',
        )
        return super()._type_of_target(y)

    def _strata_of(self, y):
        if self._one_hot_is_classes() and not self._is_overridden("target_encoder") and is_one_hot(y):
            return OneHotTarget.strata(y)
        return super()._strata_of(y)

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
        X, y : array-like
            Rows to train on and their target, as for `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call where its ``y`` lacks some.
        sample_weight, groups, X_val, y_val, sample_weight_val : array-like, default=None
            As for `fit`.
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
        columns = np.shape(y)[1] if np.ndim(y) == 2 else 1
        if self.initialized_ and columns == 1 and self._target.has_classes:
            first = self.classes_
            if known is not None and not np.array_equal(known, first):
                raise ValueError(
                    f"classes={known.tolist()} differs from the first call to partial_fit, where it was "
                    f"{first.tolist()}."
                )
            known = first
        if known is not None and columns > 1 and not np.array_equal(known, np.arange(columns)):
            raise ValueError(
                f"classes={known.tolist()} does not fit a target of {columns} columns, whose classes "
                f"or labels are the columns 0 to {columns - 1}. Leave classes out."
            )
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit_epoch(Rows(X, y, sample_weight), given, kwargs, classes=known, groups=groups)

    def _predict_raw(self, X, **kwargs):
        return self._probabilities(super()._predict_raw(X, **kwargs))

    def _probabilities(self, outputs):
        """Return outputs of the network, which may be logits, as probabilities with 32 bits or more."""
        if not isinstance(outputs, np.ndarray):  # several, for an encoder of the user's
            return keras.tree.map_structure(widened, outputs)
        proba = probabilities(widened(outputs), self._trained_loss())
        # In half precision, the probabilities of a row add up to one only roughly.
        return proba if proba.dtype == outputs.dtype else self._retyped(proba, proba.dtype)

    def _retyped(self, proba, dtype):
        """Return probabilities in another type, in which those of a row of classes add up to one."""
        proba = proba.astype(dtype)
        if proba.ndim == 2 and proba.shape[1] > 1 and self._returns_probabilities() and self._in_rows():
            proba /= np.einsum("ij->i", proba)[:, None]  # twice as fast as sum
        return proba

    def _returns_probabilities(self):
        """Return whether skdl decodes the outputs, and so takes them for probabilities."""
        return self._target.knows_output and not self._is_overridden("predict", "predict_proba")

    def _in_rows(self):
        """Return whether the outputs for a row add up to one, unless there is one unit."""
        target = self._target
        # Sigmoids that are trained on one-hot rows have independent outputs.
        by_sigmoids = target.ndim == 2 and read_loss(self._trained_loss())[0].startswith("binary")
        return target.kind == "classes" and not by_sigmoids

    def _check_trained(self, x):
        """Raise ValueError if the outputs for some of the rows trained on are no probabilities."""
        if not self._returns_probabilities():
            return
        if hasattr(type(self), "_keras_build_fn") and not self._is_overridden("_keras_build_fn"):
            return
        loss, in_rows = self._trained_loss(), self._in_rows()
        name, from_logits = read_loss(loss)
        if from_logits and not name.startswith("binary"):
            return
        step, n = self._prediction_batch_size(), n_rows(x)
        rows = n if step == -1 else min(n, -(-_CHECKED_ROWS // step) * step)
        outputs = self._probabilities(self._outputs(take(x, np.linspace(0, n - 1, rows).astype(int))))
        check_probabilities(outputs.reshape(rows, -1), "classes" if in_rows else "labels", loss)

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
            multilabel target, the probability of each label. Of float64, or float32 where X
            is of float32, as those of `sklearn.neural_network.MLPClassifier`.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        ValueError
            If X is not like that of `fit`, or the model predicts NaN.
        """
        outputs, dtype = self._predict_raw(X, **kwargs), float_type(X)
        if isinstance(outputs, np.ndarray) and outputs.dtype.kind == "f" and outputs.dtype != dtype:
            outputs = self._retyped(outputs, dtype)
        return self._target.decode(outputs, return_proba=True)

    def predict_log_proba(self, X: MatrixLike, **kwargs: Unpack[PredictArguments]) -> NDArray[Any]:
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X, **kwargs : array-like or sparse matrix, dict
            As for `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``-inf`` where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, **kwargs))


class KerasRegressorMixin(RegressorMixin):
    """Score and encoder of all regressors; stands before `KerasEstimator` in the bases."""

    n_outputs_: int

    _target_kind = NumberTarget

    # The mixin of scikit-learn, which comes first, ignores `scorer` and the parameters score__<name>.
    score = KerasEstimator.score
    scorer = staticmethod(r2_score)

    @property
    def target_encoder(self) -> Any:
        """Transformer from ``y`` to what the model takes; override to use another."""
        return RegressorTargetEncoder()

    def _predict_raw(self, X, **kwargs):
        """Return outputs of the type of X, as scikit-learn's networks do; several as they are."""
        outputs = super()._predict_raw(X, **kwargs)
        return outputs.astype(float_type(X), copy=False) if isinstance(outputs, np.ndarray) else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
