"""What skdl uses of scikeras, and what it mends in it.

The only module that imports scikeras (0.13.0, the last release). It hands on the
routing of parameters, the lookup of losses and metrics and the target encoders; each
mend says what was wrong.
"""

import sys

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.utils.validation import check_array

from skdl._backend import keras


def _import_scikeras():
    """Import scikeras without what its import does to Keras.

    scikeras replaces the ``__reduce__`` of Keras's models, losses, metrics and
    optimizers for the whole process. Whoever imports it first wants that; a user of
    skdl never asked for it.
    """
    patched = {
        keras.Model: ("__reduce__", "__deepcopy__"),
        keras.losses.Loss: ("__reduce__",),
        keras.metrics.Metric: ("__reduce__",),
        keras.optimizers.Optimizer: ("__reduce__",),
    }
    imported_by_user = "scikeras" in sys.modules
    before = {cls: {name: vars(cls).get(name) for name in names} for cls, names in patched.items()}
    import scikeras

    if not imported_by_user:
        for cls, methods in before.items():
            for name, method in methods.items():
                if method is not None:
                    setattr(cls, name, method)
                elif name in vars(cls):
                    delattr(cls, name)
    return scikeras


_import_scikeras()

from scikeras._utils import (  # noqa: E402
    accepts_kwargs,
    get_loss_class_function_or_string,
    get_metric_class,
    get_optimizer_class,
    has_param,
    route_params,
    try_to_convert_strings_to_classes,
    unflatten_params,
)
from scikeras.utils import loss_name  # noqa: E402
from scikeras.utils import transformers as _transformers  # noqa: E402

__all__ = [
    "ClassifierLabelEncoder",
    "RegressorTargetEncoder",
    "accepts_kwargs",
    "get_loss_class_function_or_string",
    "get_metric_class",
    "get_optimizer_class",
    "has_param",
    "loss_name",
    "route_params",
    "target_format",
    "try_to_convert_strings_to_classes",
    "unflatten_params",
]


def _known_loss(loss):
    """Return the name of one of Keras's own losses without underscores, else ""."""
    if not isinstance(loss, str | keras.losses.Loss | type) and not (
        callable(loss) and getattr(loss, "__module__", "").startswith("keras.")
    ):
        return ""
    try:
        return loss_name(loss).replace("_", "")
    except ValueError:  # no name of Keras's: refused where the model is compiled
        return ""


def target_format(loss):
    """Tell in which form a loss wants the labels of a classifier.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable or None

    Returns
    -------
    {"one-hot", "codes", "either", "unknown"}
        One column per class, even for two classes; one integer code per row; as many
        columns as the model has units; or not known, since the loss is not Keras's.
    """
    name = _known_loss(loss)
    if name.startswith("categorical") or name in ("kldivergence", "cosinesimilarity"):
        return "one-hot"
    if name.startswith("sparse"):
        return "codes"
    return "either" if name else "unknown"


class ClassifierLabelEncoder(_transformers.ClassifierLabelEncoder):
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
        """
        loss, self.loss = self.loss, None  # integer codes for now, see match_output
        try:
            super().fit(y)
        finally:
            self.loss = loss
        self._one_hot = False
        if self._has_classes:
            self.match_output(loss, 1 if self.n_classes_ == 2 else self.n_classes_, check=False)
        return self

    @property
    def _has_classes(self):
        return self._target_type in ("binary", "multiclass")

    def match_output(self, loss, n_units, check=True):
        """Choose integer or one-hot targets, as a loss and a model's output need them.

        Parameters
        ----------
        loss : str, keras.losses.Loss, type, callable or None
        n_units : int
            Width of the model's output.
        check : bool, default=True
            Refuse an output that does not fit.

        Raises
        ------
        ValueError
            If the output has neither one unit per class nor, for two classes and a loss
            that allows it, one unit in all.
        """
        if not self._has_classes:
            if check and self._target_type != "multiclass-multioutput" and n_units != self.n_classes_:
                raise ValueError(
                    f"The model's output has {n_units} units, but the target has {self.n_classes_} "
                    f"columns. End the model with a layer of {self.n_classes_} units."
                )
            return
        wanted = target_format(loss)
        one_unit_fits = self.n_classes_ == 2 and wanted in ("either", "unknown")
        if check and n_units != self.n_classes_ and not (n_units == 1 and one_unit_fits):
            allowed = f"{self.n_classes_} units" + (", or one sigmoid unit" if one_unit_fits else "")
            raise ValueError(
                f"The model's output has {n_units} unit{'s' * (n_units != 1)}, but {self.n_classes_} "
                f"classes with loss={getattr(loss, '__name__', loss)!r} need {allowed}. "
                "Change the model's last layer, or the loss."
            )
        # A loss that skdl does not know gets integer codes, as in scikeras.
        self._one_hot = wanted == "one-hot" or (wanted == "either" and n_units == self.n_classes_)
        dtype = np.dtype(keras.config.floatx())
        encoder = (
            OneHotEncoder(categories=[self.classes_], sparse_output=False, dtype=dtype)
            if self._one_hot
            else OrdinalEncoder(categories=[self.classes_], dtype=dtype)
        )
        self._final_encoder = make_pipeline(_transformers.TargetReshaper(), encoder).fit(self.classes_)

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
        if self._has_classes:
            unseen = np.setdiff1d(y, self.classes_)
            if unseen.size:
                raise ValueError(
                    f"y contains labels that were not among the classes of training: {unseen.tolist()}; "
                    f"known classes: {self.classes_.tolist()}. With partial_fit, name all classes in "
                    "the first call: partial_fit(X, y, classes=...)."
                )
        return super().transform(y)

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


class RegressorTargetEncoder(_transformers.RegressorTargetEncoder):
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
