"""Transformers that encode a target for a Keras model and decode its outputs."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array

from skdl._backend import floatx
from skdl._targets._output import check_output, fitting_outputs


class ClassifierLabelEncoder(TransformerMixin, BaseEstimator):
    """Encode class labels as a Keras model takes them, and decode its outputs.

    The encoder of scikeras 0.13.0 has the same name and attributes. This one also

    - makes one-hot targets for two classes, and for every loss that compares one column
      per class;
    - keeps two dimensions in ``inverse_transform(..., return_proba=True)`` of one row;
    - refuses an output that fits neither the classes nor the loss.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable or None, default=None
        Loss of the model; decides between integer and one-hot targets.
    categories : "auto" or list of one ndarray, default="auto"
        All classes, where the target that is fitted may lack some of them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels; the numbers of the columns of a target of several labels.
    n_classes_ : int
    n_outputs_, n_outputs_expected_ : int
        1: number of outputs of the model.
    """

    def __init__(self, loss=None, categories="auto"):
        self.loss = loss
        self.categories = categories

    def fit(self, y):
        """Learn the classes of a target.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        ClassifierLabelEncoder

        Raises
        ------
        ValueError
            If ``y`` is no target of a classifier, or holds labels that are not among the given
            ``categories``.
        """
        classes = None if isinstance(self.categories, str) else np.asarray(self.categories[0])
        if classes is not None and not np.array_equal(classes, np.unique(classes)):
            raise ValueError(f"categories must hold sorted labels, each once; got {classes.tolist()}.")
        kind = type_of_target(y, input_name="y")
        if kind == "binary" and classes is not None:
            kind = type_of_target(classes)
        self._y_dtype, self._y_shape, self._target_type = y.dtype, y.shape, kind
        self.n_outputs_ = self.n_outputs_expected_ = 1
        self._encoding = "codes"
        if self._has_classes:
            self.classes_ = np.unique(y) if classes is None else classes
            _codes(np.ravel(y), self.classes_)
            self.n_classes_ = len(self.classes_)
            self._encoding = fitting_outputs("classes", self.n_classes_, self.loss)[0].encoding
        elif kind == "multilabel-indicator":
            if y.min() == 0 and (y.sum(axis=1) == 1).all():
                self._target_type = "multiclass-onehot"
            self.n_classes_ = y.shape[1]
            self.classes_ = np.arange(self.n_classes_)
        elif kind == "multiclass-multioutput":
            self.classes_ = self.n_classes_ = None
        else:
            raise ValueError(
                f"Unknown label type: {kind}. Give classes, or columns of 0 and 1; or write a subclass of "
                "KerasClassifier with a target_encoder of its own."
            )
        return self

    def get_metadata(self):
        """Return what `fit` learned, for attributes of the estimator and for the builder.

        Returns
        -------
        dict
        """
        names = ("classes_", "n_classes_", "n_outputs_", "n_outputs_expected_")
        return {name: getattr(self, name) for name in names}

    @property
    def _has_classes(self):
        return self._target_type in ("binary", "multiclass")

    @property
    def takes_largest(self):
        """Whether the target is one-hot, so that the largest output of a row is its class."""
        return self._target_type == "multiclass-onehot"

    def match_output(self, loss, n_units):
        """Choose integer or one-hot targets, as a loss and a model's output need them.

        Parameters
        ----------
        loss : str, keras.losses.Loss, type, callable or None
        n_units : int
            Width of the model's output.

        Raises
        ------
        ValueError
            If the output has neither one unit per class nor, for two classes and a loss
            that allows it, one unit in all.
        """
        output = check_output(n_units, "classes" if self._has_classes else "labels", self.n_classes_, loss)
        if self._has_classes:
            self._encoding = output.encoding

    def transform(self, y):
        """Encode a target.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples, 1), (n_samples, n_classes) or (n_samples, n_outputs)

        Raises
        ------
        ValueError
            If ``y`` holds labels that were not seen by `fit`.
        """
        if not self._has_classes:
            return y
        codes = _codes(np.reshape(y, -1), self.classes_)
        if self._encoding == "one-hot":
            return np.eye(self.n_classes_, dtype=floatx())[codes]
        return codes.astype(floatx()).reshape(-1, 1)

    def inverse_transform(self, y, return_proba=False):
        """Decode the outputs of a model.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_units)
            Outputs of the model.
        return_proba : bool, default=False
            Return probabilities instead of labels.

        Returns
        -------
        ndarray
            Labels in the shape and type of the fitted target, or probabilities of
            shape (n_samples, n_classes).
        """
        if self._has_classes:
            y = y.reshape(len(y), -1)
            proba = np.column_stack([1 - y, y]) if y.shape[1] == 1 else y
            return proba if return_proba else self.classes_[np.argmax(proba, axis=1)]
        if return_proba:
            return y
        if self._target_type == "multiclass-onehot":
            labels = np.eye(y.shape[-1], dtype=int)[np.argmax(y, axis=-1)]
        elif self._target_type == "multilabel-indicator":
            labels = np.around(y).astype(int)
        else:
            raise NotImplementedError(
                "The classes of several columns can't be told from outputs alone: write a target_encoder."
            )
        return labels.reshape(-1, *self._y_shape[1:])


def unseen_labels(y, classes):
    """Return the labels in ``y`` that are not in ``classes``, whatever the types of the arrays."""
    known = set(classes.tolist())
    return [label for label in np.unique(y).tolist() if label not in known]


def _codes(y, classes):
    """Return the positions of labels in sorted classes, whatever the types of the arrays."""
    unseen = unseen_labels(y, classes)
    if unseen:
        raise ValueError(
            f"y contains labels that were not among the classes of training: {unseen}; known classes: "
            f"{classes.tolist()}. With partial_fit, name all classes in the first call: "
            "partial_fit(X, y, classes=...)."
        )
    return np.searchsorted(classes, y)


class RegressorTargetEncoder(TransformerMixin, BaseEstimator):
    """Give a numeric target to a Keras model, and its outputs the shape of the target.

    The encoder of scikeras 0.13.0 has the same name and attributes. With this one

    - predictions have the floating type of the target, or that of the outputs where it is wider;
    - a single target is a column, as the model's output is: losses and metrics of the user's
      own, written as classes, would otherwise compare each prediction with all targets.

    Attributes
    ----------
    n_outputs_ : int
        Number of columns of the target.
    n_outputs_expected_ : int
        1: number of outputs of the model.
    """

    def fit(self, y):
        """Learn shape and type of a target.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        RegressorTargetEncoder
        """
        self._y_dtype, self._y_shape = y.dtype, y.shape
        self.n_outputs_, self.n_outputs_expected_ = _n_columns(y), 1
        return self

    def get_metadata(self):
        """Return what `fit` learned, for attributes of the estimator and for the builder.

        Returns
        -------
        dict
        """
        return {"n_outputs_": self.n_outputs_, "n_outputs_expected_": self.n_outputs_expected_}

    def transform(self, y):
        """Check a target and give it the model's floating type.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        ndarray of the same shape, or (n_samples, 1) for one of shape (n_samples,)

        Raises
        ------
        ValueError
            If the number of columns is not that of `fit`, or a value is too large.
        """
        if _n_columns(y) != self.n_outputs_:
            raise ValueError(
                f"y has {_n_columns(y)} columns, but {type(self).__name__} was fitted on {self.n_outputs_}."
            )
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=floatx(), input_name="y")
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def inverse_transform(self, y):
        """Give outputs the shape of the fitted target, and its floating type where it is wider.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_units)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        dtype = self._y_dtype if self._y_dtype.kind == "f" else np.float64
        return y.reshape(-1, *self._y_shape[1:]).astype(np.result_type(y, dtype), copy=False)


def _n_columns(y):
    return 1 if y.ndim == 1 else y.shape[1]


class StandardizedTargetEncoder(RegressorTargetEncoder):
    """Scale a target to mean 0 and variance 1, and clip predictions to its range."""

    def fit(self, y):
        """Learn mean, standard deviation and range of a target."""
        super().fit(y)
        columns = np.asarray(y, np.float64).reshape(len(y), -1)
        self.scaler_ = StandardScaler().fit(columns)
        self.range_ = columns.min(axis=0), columns.max(axis=0)
        return self

    def transform(self, y):
        """Return a target scaled, in two dimensions."""
        columns = np.asarray(y, np.float64).reshape(len(y), -1)
        return self.scaler_.transform(columns).astype(floatx())

    def inverse_transform(self, y):
        """Return outputs scaled back and clipped, in the shape of the target."""
        return super().inverse_transform(np.clip(self.scaler_.inverse_transform(y), *self.range_))
