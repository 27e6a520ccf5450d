"""The target of a fit: its checks, strata, class weights, encoding and decoding."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.base import TransformerMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from skdl._backend import keras
from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder, unseen_labels
from skdl._targets._metrics import fitting_metrics, fitting_metrics_by_output, form_of
from skdl._targets._output import check_output, fitting_outputs


@dataclass(frozen=True)
class Target:
    """A target whose form only its encoder knows, as in `BaseWrapper`."""

    encoder: TransformerMixin  # fitted
    type: str  # as of `sklearn.utils.multiclass.type_of_target`
    dtype: np.dtype
    ndim: int
    n: int | None = None  # classes, labels or columns, where the encoder counts them

    kind = None  # as of `fitting_outputs`
    default_loss = None  # for loss="auto"
    has_labels = False  # of a classifier: the encoder must see the labels of validation rows, too
    # Class of skdl's encoder for this kind.
    _encoder_class = ()

    @classmethod
    def of(cls, encoder, type, **attributes):
        """Return the target of an encoder and a type of ``y``."""
        return cls(encoder, type, **attributes)

    @staticmethod
    def validate(y, name, *, user_encoder=False):
        """Return ``y`` as an array; ``name`` is that of the estimator, ``user_encoder`` means the user's."""
        return _checked(y, name, dtype=None)

    @staticmethod
    def strata(y):
        """Return labels for a stratified split, or None."""
        return None

    @property
    def knows_output(self):
        """Whether the encoder is skdl's and each column is one output, so that `fitting_outputs` applies."""
        is_own = type(self.encoder).__module__.partition(".")[0] == "skdl"
        return is_own and isinstance(self.encoder, self._encoder_class) and self.ndim < 3

    def _kind_beside(self, loss, n_units):
        """Return the kind of the target for an output, None where only an encoder of the user's knows it."""
        if not isinstance(self.encoder, self._encoder_class):
            return None
        fitting = [each.units for each in fitting_outputs(self.kind, self.n, loss)]
        if not self.knows_output and n_units not in fitting:
            return None
        return "one-hot" if getattr(self.encoder, "takes_largest", False) else self.kind

    @property
    def has_classes(self):
        """Whether every row has one class, and the encoder, skdl's or derived from it, knows all classes."""
        return self.kind == "classes" and isinstance(self.encoder, ClassifierLabelEncoder)

    def check_rows(self, y, part, name, classes=None):
        """Refuse training rows of one class, and validation rows of others.

        ``part`` is "y" or "y_val", ``name`` that of the estimator; ``classes`` may hold more than ``y`` has.
        """

    def class_weights(self, y, class_weight):
        """Return one weight for each row; refuse weights that are negative, not finite or all zero."""
        for weights in class_weight if isinstance(class_weight, list) else [class_weight]:
            if not isinstance(weights, dict | str):
                raise TypeError(
                    "class_weight as a list must hold one dict for each column of y, such as {0: 1, 1: 5}; "
                    f"got {class_weight}."
                )
            values = weights.values() if isinstance(weights, dict) else ()
            values = [value if isinstance(value, Real) else np.nan for value in values]
            if not all(0 <= value < np.inf for value in values) or (values and not any(values)):
                raise ValueError(
                    f"class_weight must hold finite numbers of at least 0, and one above 0; got {weights}."
                )
        return compute_sample_weight(class_weight, y)

    def match(self, loss, shapes):
        """Refuse a model whose output does not fit, and choose the encoding for it."""
        if len(shapes) != 1 or self._kind_beside(loss, shapes[0][-1]) is None:
            return
        if not self.has_labels:
            check_output(shapes[0][-1], self.kind, self.n, loss)
        elif not isinstance(loss, list | dict):
            self.encoder.match_output(loss, shapes[0][-1])

    def fitting_metrics(self, metrics, loss, shapes, names):
        """Return the metrics that fit the target and a loss; refuse those without a right value."""
        n_units = [shape[-1] for shape in shapes]
        if len(n_units) > 1:
            return fitting_metrics_by_output(metrics, loss, n_units, names) if self.has_labels else metrics
        if not self.has_labels and self._kind_beside(loss, *n_units) is None:
            return metrics
        return fitting_metrics(metrics, self.form(loss, *n_units))

    def form(self, loss, n_units):
        """Return the form of the target and of an output, for `fitting_metric`."""
        return form_of(self._kind_beside(loss, n_units), self.n, loss, n_units)

    def encode(self, y):
        """Return ``y`` as the model takes it: arrays, whatever ``transform_output`` is set to."""
        with config_context(transform_output="default"):
            return self.encoder.transform(y)

    def decode(self, outputs, **kwargs):
        """Return the outputs of the model in the form of ``y``."""
        return self.encoder.inverse_transform(outputs, **kwargs)


def is_one_hot(y):
    """Return whether each row of ``y`` has exactly one 1, in two or more columns of 0 and 1."""
    y = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


class DiscreteTarget(Target):
    """The target of a classifier: several labels for each row, as columns of 0 and 1, if not derived."""

    kind = "labels"
    default_loss = "binary_crossentropy"
    has_labels = True
    _encoder_class = ClassifierLabelEncoder

    @classmethod
    def of(cls, encoder, type, **attributes):
        """Return a `ClassTarget`, a `OneHotTarget`, or for several labels or unknown types this class."""
        classes = {"binary": ClassTarget, "multiclass": ClassTarget, OneHotTarget.name: OneHotTarget}
        return classes.get(type, cls)(encoder, type, **attributes)

    @staticmethod
    def validate(y, name, *, user_encoder=False):
        """Return ``y`` as an array; a column becomes one-dimensional."""
        y = _checked(y, name, dtype=None)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not user_encoder:
            if y.ndim > 2:
                raise ValueError(
                    f"Found y with dim {y.ndim} and shape {y.shape}. {name} expects dim <= 2: one class for "
                    "each row, or a column of 0 and 1 for each label. Reshape it, such as "
                    "y.reshape(len(y), -1) for labels, or write a subclass of KerasClassifier with a "
                    "target_encoder of its own."
                )
            check_classification_targets(y)
            if type_of_target(y) == "multiclass-multioutput":
                raise ValueError(
                    f"y has {y.shape[1]} columns with several classes each (multiclass-multioutput), but "
                    f"{name} predicts one class, or labels of 0 and 1. Fit one classifier for each column by "
                    "sklearn.multioutput.MultiOutputClassifier, or write a subclass of KerasClassifier with "
                    "a target_encoder and a model of several outputs."
                )
        return y

    @staticmethod
    def strata(y):
        """Return ``y`` where it has one class for each row."""
        return y if type_of_target(y) in ("binary", "multiclass") else None


class ClassTarget(DiscreteTarget):
    """One class for each row."""

    kind = "classes"

    @property
    def default_loss(self):
        """Cross-entropy, by the number of classes."""
        return "sparse_categorical_crossentropy" if self.type == "multiclass" else "binary_crossentropy"

    def check_rows(self, y, part, name, classes=None):
        """Refuse training rows of one class, and validation rows of others."""
        if not self.has_classes:
            return
        if part == "y_val":
            unseen = unseen_labels(y, self.encoder.classes_)
            if unseen:
                raise ValueError(
                    f"y_val contains labels that y does not: {unseen}; classes of y: "
                    f"{self.encoder.classes_.tolist()}. Validate on rows of these classes only."
                )
            return
        classes = np.unique(y if classes is None else classes).tolist()
        if len(classes) < 2:
            raise ValueError(
                f"{name} needs rows of at least 2 classes, but the data contains only one "
                f"class: {classes[0]!r}. With partial_fit, name all classes: classes=[...]."
            )

    def class_weights(self, y, class_weight):
        """Return one weight for each row, by its class."""
        if isinstance(class_weight, dict) and self.has_classes:
            classes = self.encoder.classes_.tolist()
            unknown = [label for label in class_weight if label not in set(classes)]
            if unknown:
                raise ValueError(
                    f"class_weight has labels that y does not: {unknown}; classes of y: {classes}."
                )
        return super().class_weights(y, class_weight)


class OneHotTarget(ClassTarget):
    """One class for each row, as one-hot rows: the columns are the classes."""

    name = "multiclass-onehot"  # scikit-learn has none for it

    @staticmethod
    def strata(y):
        """Return the class of each row."""
        return np.asarray((y if scipy.sparse.issparse(y) else np.asarray(y)).argmax(axis=1)).ravel()

    def check_rows(self, y, part, name, classes=None):
        """Refuse rows that are not one-hot."""
        if y.shape[1] != self.n or not is_one_hot(y):
            raise ValueError(
                f"{part} must be one-hot, as y of the first fit: {self.n} columns, with exactly one 1 in "
                f"each row; got the shape {y.shape}."
            )

    def class_weights(self, y, class_weight):
        """Return one weight for each row, by its column."""
        return super().class_weights(self.strata(y), class_weight)

    def decode(self, outputs, **kwargs):
        """Return one-hot rows of the type of ``y``, or probabilities."""
        decoded = super().decode(outputs, **kwargs)
        return decoded if kwargs.get("return_proba") else decoded.astype(self.dtype)


class NumberTarget(Target):
    """The target of a regressor."""

    kind = "numbers"
    default_loss = "mean_squared_error"
    _encoder_class = RegressorTargetEncoder

    @staticmethod
    def validate(y, name, *, user_encoder=False):
        """Return ``y`` as an array of numbers."""
        kind = "f" if scipy.sparse.issparse(y) else np.asarray(y).dtype.kind
        if kind in "Mm":
            raise ValueError(
                f"{name} predicts numbers, but y holds dates or times ({np.asarray(y).dtype}). Turn them "
                "into numbers first, such as days since a start."
            )
        y = _checked(y, name, dtype=keras.config.floatx() if kind in "OUS" else None)
        if y.ndim > 2 and not user_encoder:
            raise ValueError(
                f"Found y with dim {y.ndim}. {name} expects dim <= 2: reshape it to (n_samples,) or "
                "(n_samples, n_outputs), or give a target_encoder of your own."
            )
        return y


def _checked(y, name, dtype):
    if scipy.sparse.issparse(y):
        y = y.toarray()
    return check_array(y, ensure_2d=False, allow_nd=True, dtype=dtype, input_name="y", estimator=name)
