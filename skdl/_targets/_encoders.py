"""Transformers from a target to what a Keras model takes, and back."""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils.validation import check_array

from skdl._backend import keras
from skdl._scikeras import transformers
from skdl._targets._output import check_output, fitting_outputs


class ClassifierLabelEncoder(transformers.ClassifierLabelEncoder):
    """Encode class labels as a Keras model takes them, and decode its outputs.

    Derived from the encoder of scikeras 0.13.0, with these mends:

    - one-hot targets for two classes too, and for every loss that compares one column
      per class (scikeras knew categorical cross-entropy for three classes or more, and
      trained on a broadcast of wrong shape for the others);
    - ``inverse_transform(..., return_proba=True)`` keeps two dimensions for one row;
    - an output that neither fits the classes nor the loss is refused.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable or None, default=None
        Loss of the model; decides between integer and one-hot targets.
    categories : "auto" or list of one ndarray, default="auto"
        All classes, where the target that is fitted may lack some of them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted class labels.
    n_classes_ : int
    """

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
            If ``y`` holds labels that are not among the given ``categories``.
        """
        given = not isinstance(self.categories, str) and y.ndim == 1
        if given:
            y = _in_type_of(self.categories[0], y)
        loss, self.loss = self.loss, None  # integer codes for now, see match_output
        try:
            super().fit(y)
        finally:
            self.loss = loss
        if given:
            self.classes_ = self.categories[0]  # of strings, scikit-learn makes objects
        self._encoding = "codes"
        if self._has_classes:
            self._encode_as(fitting_outputs("classes", self.n_classes_, loss)[0].encoding)
        return self

    @property
    def _has_classes(self):
        return self._target_type in ("binary", "multiclass")

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
            self._encode_as(output.encoding)

    def _encode_as(self, encoding):
        """Encode labels as "codes" or "one-hot" from here on."""
        if encoding == self._encoding:
            return
        self._encoding = encoding
        dtype = np.dtype(keras.config.floatx())
        encoder = (
            OneHotEncoder(categories=[self.classes_], sparse_output=False, dtype=dtype)
            if encoding == "one-hot"
            else OrdinalEncoder(categories=[self.classes_], dtype=dtype)
        )
        self._final_encoder = make_pipeline(transformers.TargetReshaper(), encoder).fit(self.classes_)

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
        return super().transform(_in_type_of(self.classes_, y) if self._has_classes else y)

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
        return super().inverse_transform(y)


def unseen_labels(y, classes):
    """Return the labels that are not among some classes.

    Parameters
    ----------
    y, classes : ndarray of one dimension
        Of any types: numbers are compared by value, and a number is no string.

    Returns
    -------
    list
    """
    known = set(classes.tolist())
    return [label for label in np.unique(y).tolist() if label not in known]


def _in_type_of(classes, y):
    """Return labels in the type of the sorted classes; scikit-learn's encoders cast classes to theirs."""
    unseen = unseen_labels(y, classes)
    if unseen:
        raise ValueError(
            f"y contains labels that were not among the classes of training: {unseen}; known classes: "
            f"{classes.tolist()}. With partial_fit, name all classes in the first call: "
            "partial_fit(X, y, classes=...)."
        )
    return y if y.dtype == classes.dtype else classes[np.searchsorted(classes, y)]


class RegressorTargetEncoder(transformers.RegressorTargetEncoder):
    """Hand a numeric target on to a Keras model, and shape its outputs alike.

    Derived from the encoder of scikeras 0.13.0, with these mends:

    - predictions have the floating type of the target, as it promised;
    - a single target is a column, as the model's output is: losses and metrics of one's
      own, written as classes, compared each prediction with all targets.
    """

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
        y = super().transform(y)
        y = check_array(y, ensure_2d=False, allow_nd=True, dtype=keras.config.floatx(), input_name="y")
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def inverse_transform(self, y):
        """Give outputs the shape and the floating type of the fitted target.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_units)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        dtype = self._y_dtype if self._y_dtype.kind == "f" else np.float64
        return super().inverse_transform(y).astype(dtype, copy=False)


class StandardizedTargetEncoder(RegressorTargetEncoder):
    """Hand on a numeric target with mean 0 and variance 1, and keep predictions in its range."""

    def fit(self, y):
        """Learn mean, standard deviation and range of a target.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        StandardizedTargetEncoder
        """
        super().fit(y)
        columns = np.asarray(y, np.float64).reshape(len(y), -1)
        self.scaler_ = StandardScaler().fit(columns)
        self.range_ = columns.min(axis=0), columns.max(axis=0)
        return self

    def transform(self, y):
        """Standardise a target.

        Parameters
        ----------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
        """
        columns = np.asarray(y, np.float64).reshape(len(y), -1)
        return self.scaler_.transform(columns).astype(keras.config.floatx())

    def inverse_transform(self, y):
        """Scale outputs back, and clip them to the range of the fitted target.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return super().inverse_transform(np.clip(self.scaler_.inverse_transform(y), *self.range_))
