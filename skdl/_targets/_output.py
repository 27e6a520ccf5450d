"""The output layer and the encoding of the target that fit a target and a loss.

The ready-made estimators, the encoder of labels and the check before training all ask `fitting_outputs`.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.special

from skdl._backend import keras, keras_is_imported

# Short names that Keras gives to losses and metrics.
SHORT_NAMES = {
    "bce": "BinaryCrossentropy",
    "kld": "KLDivergence",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
}
# Tolerance for probabilities and their sums. Those of float32 are off by less than 1e-5.
_ROUNDING = 1e-3
# Bases of Keras's losses. A loss derived from them may take any target.
_BASES = ("Loss", "LossFunctionWrapper")


class Output(NamedTuple):
    """An output layer, and the encoding of the target for it."""

    units: int
    activation: str
    encoding: str  # "codes", "one-hot" or "columns"


def fitting_outputs(kind, n, loss):
    """Return the output layers that fit a target and a loss; the first is the default.

    ``kind`` is "classes" (one for each row), "labels" (columns of 0 and 1), "numbers" or None (unknown), and
    ``n`` the number of classes, labels or columns. There is none for an unknown target, and for columns with
    a loss of class numbers.
    """
    if kind == "numbers":
        return (Output(n, "linear", "columns"),)
    if kind is None:
        return ()
    form = _target_form(loss)
    sigmoid, softmax = ("linear", "linear") if read_loss(loss)[1] else ("sigmoid", "softmax")
    if kind == "labels":
        output = Output(n, softmax if form == "one-hot" else sigmoid, "columns")
        return () if form == "codes" else (output,)
    # A loss of the user's own gets integer codes, as in scikeras.
    one_per_class = Output(n, softmax, "codes" if form in ("codes", "unknown") else "one-hot")
    if n == 2 and form in ("either", "unknown"):
        return Output(1, sigmoid, "codes"), one_per_class
    return (one_per_class,)


def check_output(n_units, kind, n, loss):
    """Return the fitting output of this many units, or the default one for None; refuse other numbers."""
    fitting = fitting_outputs(kind, n, loss)
    if not fitting:
        raise ValueError(
            f"loss={getattr(loss, '__name__', loss)!r} takes one class number for each row, but y has {n} "
            "columns. If each row has exactly one 1, give y.argmax(axis=1), or "
            'loss="categorical_crossentropy"; for several labels give loss="binary_crossentropy".'
        )
    for output in fitting:
        if n_units in (output.units, None):
            return output
    units = f"The model's output has {n_units} unit{'s' * (n_units != 1)}"
    way_out = "A subclass with a target_encoder of its own may have another width."
    if kind == "classes":
        allowed = f"{n} units" + (", or one sigmoid unit" if fitting[0].units == 1 else "")
        raise ValueError(
            f"{units}, but {n} classes with loss={getattr(loss, '__name__', loss)!r} need {allowed}. "
            f"Change the model's last layer, or the loss. {way_out}"
        )
    columns = f"column{'s' * (n != 1)}"
    raise ValueError(
        f"{units}, but the target has {n} {columns}. End the model with a layer of {n} "
        f"unit{'s' * (n != 1)}. {way_out}"
    )


def takes_one_hot(loss, unknown=False):
    """Return whether a loss of Keras takes one column for each class; ``unknown`` for other losses."""
    form = _target_form(loss)
    return unknown if form == "unknown" else form == "one-hot"


def output_function(loss, n_units):
    """Return the function that makes probabilities of logits, "sigmoid" or "softmax"; None without logits."""
    name, from_logits = read_loss(loss)
    if not from_logits:
        return None
    return "sigmoid" if name.startswith("binary") or n_units == 1 else "softmax"


def probabilities(outputs, loss):
    """Return the outputs of a model, an array of two dimensions, as probabilities."""
    function = output_function(loss, outputs.shape[-1])
    if function is None:
        return outputs
    return scipy.special.expit(outputs) if function == "sigmoid" else scipy.special.softmax(outputs, axis=-1)


def check_probabilities(outputs, kind, loss):
    """Refuse outputs that are no probabilities, beyond rounding; skip rows that are not finite."""
    outputs = outputs[np.isfinite(outputs).all(axis=1)]
    if not outputs.size:
        return
    sigmoid = kind == "labels" or outputs.shape[1] == 1
    low, high = outputs.min(), outputs.max()
    found = None
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        found = f"they are between {low:.3g} and {high:.3g}"
    elif not sigmoid:
        sums = outputs.sum(axis=1)
        if max(1 - sums.min(), sums.max() - 1) > _ROUNDING:
            found = f"those of a row add up to between {sums.min():.3g} and {sums.max():.3g}"
    if found is None:
        return
    form = "Binary" if sigmoid else "Categorical" if _target_form(loss) == "one-hot" else "SparseCategorical"
    raise ValueError(
        f"The outputs of the trained model are no probabilities: {found}. End the model with "
        f'activation="{"sigmoid" if sigmoid else "softmax"}"; or, where the loss takes logits, give '
        f"loss=keras.losses.{form}Crossentropy(from_logits=True), which says so. A subclass with a "
        "target_encoder of its own may return other outputs."
    )


def read_loss(loss):
    """Return the name of a loss of Keras, in lower case without underscores, and whether it takes logits.

    The name is "" for a loss that is not Keras's, and that of its base in Keras for one derived from it. A
    `functools.partial` of a loss of Keras is read as that loss, and a tuple as a class or its name, and
    arguments.
    """
    arguments = {}
    if isinstance(loss, functools.partial):
        loss, arguments = loss.func, loss.keywords
    elif isinstance(loss, tuple) and len(loss) == 2 and isinstance(loss[1], dict):
        loss, arguments = loss
    elif keras_is_imported() and isinstance(loss, keras.losses.Loss):
        arguments = loss.get_config()
    name = ""
    if isinstance(loss, str):
        name = loss.lower().replace("_", "")
        name = SHORT_NAMES.get(name, name).lower()
    elif loss is not None and keras_is_imported():
        cls = type(loss) if isinstance(loss, keras.losses.Loss) else loss
        if isinstance(cls, type):
            base = next((each for each in cls.__mro__ if each.__module__.startswith("keras.")), None)
            name = (cls if base is None or base.__name__ in _BASES else base).__name__.lower()
        elif callable(loss) and (getattr(loss, "__module__", None) or "").startswith("keras."):
            name = getattr(loss, "__name__", "").replace("_", "").lower()
    return name, bool(name and arguments.get("from_logits"))


def _target_form(loss):
    """Return how a loss takes the labels of a classifier.

    "one-hot" is one column for each class, also for two classes; "codes" one integer for each row; "either"
    as many columns as the model has units; "unknown" a loss that is not Keras's.
    """
    name, _ = read_loss(loss)
    if name.startswith("categorical") or name in ("kldivergence", "cosinesimilarity"):
        return "one-hot"
    if name.startswith("sparse"):
        return "codes"
    return "either" if name else "unknown"
