"""What a target is: how it is checked, divided, weighted, encoded and decoded."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.base import TransformerMixin
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_array, column_or_1d

from skdl._backend import keras
from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder, unseen_labels
from skdl._targets._metrics import form_of, settle, settle_by_output
from skdl._targets._output import check_output, fitting_outputs


@dataclass(frozen=True)
class Target:
    """A target of which only the encoder knows more: that of `BaseWrapper`.

    Parameters
    ----------
    encoder : transformer
        Fitted; from ``y`` to what the model takes, and back.
    type : str
        As of `sklearn.utils.multiclass.type_of_target`.
    dtype : numpy.dtype
    ndim : int
    n : int, default=None
        Number of classes, labels or columns, as far as the encoder tells.
    """

    encoder: TransformerMixin
    type: str
    dtype: np.dtype
    ndim: int
    n: int | None = None

    kind = None  # as `fitting_outputs` calls it
    default_loss = None  # that of loss="auto"
    has_labels = False  # whether every label must be known, those of rows to validate on too

    # Before anything is learnt.

    @classmethod
    def of(cls, encoder, type, **learnt):
        """Return the target that an encoder and the type of ``y`` make."""
        return cls(encoder, type, **learnt)

    @staticmethod
    def validate(y, name, *, own_encoder=False):
        """Check ``y`` and return it as an array.

        Parameters
        ----------
        y : array-like or sparse matrix of n_samples rows
        name : str
            Class of the estimator, for messages.
        own_encoder : bool, default=False
            Whether the user has given the encoder, which decides what is allowed.
        """
        return _checked(y, name, dtype=None)

    @staticmethod
    def strata(y):
        """Return the labels that training and validation rows must have in equal shares, or None."""
        return None

    # What was learnt.

    # Encoder of skdl's that knows which outputs fit; one that is derived from it may want others.
    _encoder_kind = ()

    @property
    def knows_output(self):
        """Whether skdl, not a user's encoder, decides which outputs fit."""
        own = type(self.encoder).__module__.partition(".")[0] == "skdl"
        return own and isinstance(self.encoder, self._encoder_kind)

    def _knows(self, loss, n_units):
        """Whether it is known what the target is beside an output: also an encoder derived from skdl's."""
        if self.knows_output or not isinstance(self.encoder, self._encoder_kind):
            return self.knows_output
        return n_units in [output.units for output in fitting_outputs(self.kind, self.n, loss)]

    @property
    def has_classes(self):
        """Whether every row has one class, and skdl's own encoder knows them all."""
        return False

    def check_learnable(self, y, name, classes=None):
        """Refuse rows that nothing can be learnt from."""

    def check_known(self, y):
        """Refuse labels of validation rows that training has not."""

    def class_weights(self, y, class_weight):
        """Return one weight for each row.

        Raises
        ------
        ValueError
            If a class has a weight that is negative or not finite, or all have none.
        TypeError
            If a list holds something else than weights for each label.
        """
        given = class_weight if isinstance(class_weight, list) else [class_weight]
        for weights in given:
            if not isinstance(weights, dict | str):
                raise TypeError(
                    "class_weight as a list must hold one dict for each column of y, such as {0: 1, 1: 5}; "
                    f"got {class_weight}."
                )
            if isinstance(weights, dict) and not _are_weights(weights.values()):
                raise ValueError(
                    f"class_weight must hold finite numbers of at least 0, and one above 0; got {weights}."
                )
        return compute_sample_weight(class_weight, y)

    def loss(self, loss):
        """Return the loss that is meant: "auto" is the default one of the target."""
        return self.default_loss if isinstance(loss, str) and loss == "auto" else loss

    def output(self, loss):
        """Return the output layer that a network gets by default."""
        return check_output(None, self.kind, self.n, loss)

    def match(self, loss, shapes):
        """Refuse a model whose output does not fit, and encode as it needs.

        Parameters
        ----------
        loss : loss, or list or dict of losses
            That of the compiled model.
        shapes : list of tuple
            Shapes of the model's outputs.
        """
        if len(shapes) == 1 and self._knows(loss, shapes[0][-1]):
            self._match_units(loss, shapes[0][-1])

    def _match_units(self, loss, n_units):
        check_output(n_units, self.kind, self.n, loss)

    def settle(self, metrics, loss, shapes, names):
        """Return metrics with the values that scikit-learn has on the same rows; refuse those without.

        Parameters
        ----------
        metrics : metrics, or nested lists or dicts of them
            As ``keras.Model.compile`` takes them.
        loss : loss, or list or dict of losses
            That of the model.
        shapes : list of tuple
            Shapes of the model's outputs.
        names : list of str or None
            Of the outputs.

        Returns
        -------
        metrics, or nested lists or dicts of them
            The same objects where nothing is to be changed.

        Raises
        ------
        ValueError
            With what to use in place of a metric.
        """
        return metrics

    def form(self, loss, n_units):
        """Return what a metric must know of the target and of an output of some units."""
        return form_of(self._kind_beside(loss, n_units), self.n, loss, n_units)

    def _kind_beside(self, loss, n_units):
        """Return the kind of the target beside an output of some units, None where it is not known."""
        return self.kind if self._knows(loss, n_units) else None

    def encode(self, y):
        """Return a target as the model takes it: arrays, whatever scikit-learn's output is set to."""
        with config_context(transform_output="default"):
            return self.encoder.transform(y)

    def decode(self, outputs, **kwargs):
        """Return the outputs of the model as a target."""
        return self.encoder.inverse_transform(outputs, **kwargs)


def _are_weights(values):
    values = list(values)
    if not all(isinstance(value, Real) for value in values):
        return False
    return all(0 <= value < np.inf for value in values) and (not values or any(values))


def is_one_hot(y):
    """Tell whether every row has exactly one 1, in two columns or more of 0 and 1.

    Parameters
    ----------
    y : array-like or sparse matrix of n_samples rows

    Returns
    -------
    bool
    """
    y = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all())


class DiscreteTarget(Target):
    """The target of a classifier."""

    has_labels = True
    _encoder_kind = ClassifierLabelEncoder

    @classmethod
    def of(cls, encoder, type, **learnt):
        """Return a `ClassTarget`, a `OneHotTarget` or a `LabelsTarget`."""
        kinds = {"binary": ClassTarget, "multiclass": ClassTarget, OneHotTarget.name: OneHotTarget}
        return kinds.get(type, LabelsTarget)(encoder, type, **learnt)

    @staticmethod
    def validate(y, name, *, own_encoder=False):
        """Check ``y`` and return it as an array; a column becomes one-dimensional."""
        y = _checked(y, name, dtype=None)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not own_encoder:
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

    def _match_units(self, loss, n_units):
        if not isinstance(loss, list | dict):
            self.encoder.match_output(loss, n_units)

    def _kind_beside(self, loss, n_units):
        kind = super()._kind_beside(loss, n_units)
        return "one-hot" if kind is not None and self.encoder.takes_largest else kind

    def settle(self, metrics, loss, shapes, names):
        """Return metrics that have the values of scikit-learn, see `Target.settle`."""
        if len(shapes) > 1:
            return settle_by_output(metrics, loss, [shape[-1] for shape in shapes], names)
        return settle(metrics, self.form(loss, shapes[0][-1]), loss)


class ClassTarget(DiscreteTarget):
    """One class for each row."""

    kind = "classes"

    @property
    def has_classes(self):
        """Whether an encoder of skdl's, or derived from it, knows all classes."""
        return isinstance(self.encoder, ClassifierLabelEncoder)

    @property
    def default_loss(self):
        """Cross-entropy, by the number of classes."""
        return "sparse_categorical_crossentropy" if self.type == "multiclass" else "binary_crossentropy"

    def check_learnable(self, y, name, classes=None):
        """Refuse rows of one class.

        Parameters
        ----------
        y : ndarray of shape (n_samples,)
        name : str
            Class of the estimator, for messages.
        classes : ndarray, default=None
            All classes, where ``y`` may lack some.
        """
        if not self.has_classes:
            return
        classes = np.unique(y) if classes is None else classes
        if len(classes) < 2:
            raise ValueError(
                f"{name} needs rows of at least 2 classes, but the data contains only one "
                f"class: {classes[0]!r}. With partial_fit, name all classes: classes=[...]."
            )

    def check_known(self, y):
        """Refuse labels of validation rows that training has not."""
        if not self.has_classes:
            return
        unseen = unseen_labels(y, self.encoder.classes_)
        if unseen:
            raise ValueError(
                f"y_val contains labels that y does not: {unseen}; classes of y: "
                f"{self.encoder.classes_.tolist()}. Validate on rows of these classes only."
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
    """One class for each row, given as one-hot rows; the columns tell which classes there are."""

    name = "multiclass-onehot"  # scikit-learn has none for it

    @staticmethod
    def strata(y):
        """Return the column of the 1 in each row."""
        return np.asarray(y.argmax(axis=1) if scipy.sparse.issparse(y) else np.argmax(y, axis=1)).ravel()

    def check_learnable(self, y, name, classes=None):
        """Refuse rows that are not one-hot."""
        self._check_rows(y, "y")

    def check_known(self, y):
        """Refuse validation rows that are not one-hot."""
        self._check_rows(y, "y_val")

    def _check_rows(self, y, name):
        if y.shape[1] != self.n or not is_one_hot(y):
            raise ValueError(
                f"{name} must be one-hot, as y of the first fit: {self.n} columns, with exactly one 1 in "
                f"each row; got the shape {y.shape}."
            )

    def class_weights(self, y, class_weight):
        """Return one weight for each row, by its column."""
        return super().class_weights(self.strata(y), class_weight)

    def decode(self, outputs, **kwargs):
        """Return one-hot rows of the type of ``y``, or probabilities."""
        decoded = super().decode(outputs, **kwargs)
        return decoded if kwargs.get("return_proba") else decoded.astype(self.dtype)


class LabelsTarget(DiscreteTarget):
    """Several labels for each row, as columns of 0 and 1; or whatever a user's encoder takes."""

    kind = "labels"
    default_loss = "binary_crossentropy"


class NumberTarget(Target):
    """The target of a regressor."""

    kind = "numbers"
    default_loss = "mean_squared_error"
    _encoder_kind = RegressorTargetEncoder

    @staticmethod
    def validate(y, name, *, own_encoder=False):
        """Check ``y`` and return it as an array of numbers."""
        kind = "f" if scipy.sparse.issparse(y) else np.asarray(y).dtype.kind
        if kind in "Mm":
            raise ValueError(
                f"{name} predicts numbers, but y holds dates or times ({np.asarray(y).dtype}). Turn them "
                "into numbers first, such as days since a start."
            )
        y = _checked(y, name, dtype=keras.config.floatx() if kind in "OUS" else None)
        if y.ndim > 2 and not own_encoder:
            raise ValueError(
                f"Found y with dim {y.ndim}. {name} expects dim <= 2: reshape it to (n_samples,) or "
                "(n_samples, n_outputs), or give a target_encoder of your own."
            )
        return y

    @property
    def knows_output(self):
        """Whether skdl's own encoder is at work, and one column is one output."""
        return super().knows_output and self.ndim < 3

    def settle(self, metrics, loss, shapes, names):
        """Return metrics of numbers, and refuse those of classes, see `Target.settle`."""
        if len(shapes) > 1 or not self._knows(loss, shapes[0][-1]):
            return metrics
        return settle(metrics, self.form(loss, shapes[0][-1]), loss)


def _checked(y, name, dtype):
    if scipy.sparse.issparse(y):
        y = y.toarray()
    return check_array(y, ensure_2d=False, allow_nd=True, dtype=dtype, input_name="y", estimator=name)


def learnt_by(encoder) -> dict[str, Any]:
    """Return what an encoder has learnt, for attributes and builders."""
    return getattr(encoder, "get_metadata", dict)()
