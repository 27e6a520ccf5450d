"""Which output layer, and which encoding of the target, fits a target and a loss.

The only place that says so. The ready-made estimators ask it for their output layer, the
encoder of labels for the encoding, and the check before training for both.
"""

import functools
from typing import NamedTuple

import numpy as np
import scipy.special

from skdl._backend import keras, keras_is_imported

# By how much probabilities, and their sums, may be off. Those of float32 are off by less than 1e-5.
_ROUNDING = 1e-3
# Bases of Keras's losses, which do not say how a loss that is derived from them takes the target.
_BASES = ("Loss", "LossFunctionWrapper")
_SHORT = {
    **{"bce": "binarycrossentropy", "kld": "kldivergence", "mae": "meanabsoluteerror"},
    **{"mape": "meanabsolutepercentageerror", "mse": "meansquarederror"},
    **{"msle": "meansquaredlogarithmicerror"},
}


class Output(NamedTuple):
    """An output layer, and what the target must look like for it."""

    units: int
    activation: str
    encoding: str  # "codes", "one-hot" or "columns"


def fitting_outputs(kind, n, loss):
    """Return the output layers that fit a target and a loss.

    Parameters
    ----------
    kind : {"classes", "labels", "numbers"} or None
        One class for each row; several labels for each row, as columns of 0 and 1; numbers.
        None where nothing is known about the target.
    n : int
        Number of classes, labels or columns of numbers.
    loss : str, keras.losses.Loss, type, callable or None

    Returns
    -------
    tuple of Output
        The first is the one that a network gets by default. Empty where nothing is known, and where
        the loss takes class numbers, but the target has columns.
    """
    if kind == "numbers":
        return (Output(n, "linear", "columns"),)
    form, (_, from_logits) = _target_form(loss), read_loss(loss)

    def ending(activation):
        return "linear" if from_logits else activation

    if kind == "labels":
        if form == "codes":
            return ()
        return (Output(n, ending("softmax" if form == "one-hot" else "sigmoid"), "columns"),)
    if kind is None:
        return ()
    # A loss that skdl does not know gets integer codes, as in scikeras.
    one_per_class = Output(n, ending("softmax"), "codes" if form in ("codes", "unknown") else "one-hot")
    if n == 2 and form in ("either", "unknown"):
        return Output(1, ending("sigmoid"), "codes"), one_per_class
    return (one_per_class,)


def check_output(n_units, kind, n, loss):
    """Find the output layer that a model has among those that fit.

    Parameters
    ----------
    n_units : int or None
        Width of the model's output; None for the one that a network gets by default.
    kind, n, loss
        See `fitting_outputs`.

    Returns
    -------
    Output

    Raises
    ------
    ValueError
        If the model's output fits neither the target nor the loss.
    """
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
    """Tell whether a loss is one of Keras's that takes one column for each class.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable or None
    unknown : bool, default=False
        The answer for a loss that is not Keras's, and for None.

    Returns
    -------
    bool
    """
    form = _target_form(loss)
    return unknown if form == "unknown" else form == "one-hot"


def output_function(loss, n_units):
    """Return what turns the outputs of a model into probabilities: "sigmoid" or "softmax", or None.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable or None
    n_units : int

    Returns
    -------
    str or None
        None where the loss takes probabilities.
    """
    name, from_logits = read_loss(loss)
    if not from_logits:
        return None
    return "sigmoid" if name.startswith("binary") or n_units == 1 else "softmax"


def probabilities(outputs, loss):
    """Turn the outputs of a model into probabilities, where its loss takes logits.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_units)
    loss : str, keras.losses.Loss, type, callable or None

    Returns
    -------
    ndarray of shape (n_samples, n_units)
    """
    function = output_function(loss, outputs.shape[-1])
    if function is None:
        return outputs
    if function == "sigmoid":
        return scipy.special.expit(outputs)
    return scipy.special.softmax(outputs, axis=-1)


def check_probabilities(outputs, kind, loss):
    """Refuse outputs of a trained network that are no probabilities, beyond rounding.

    Parameters
    ----------
    outputs : ndarray of shape (n_samples, n_units)
        After `probabilities`. Rows that are not finite are left out.
    kind : {"classes", "labels"}
        Whether the columns of a row add up to one.
    loss : str, keras.losses.Loss, type, callable or None

    Raises
    ------
    ValueError
        With what to write.
    """
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
        "target_encoder of its own may return what it wants."
    )


def read_loss(loss):
    """Return the name of one of Keras's losses, and whether it takes logits.

    Parameters
    ----------
    loss : str, keras.losses.Loss, type, callable, tuple (str or type, dict) or None
        A `functools.partial` of one of Keras's is read as that one; a class, or its name, and a
        configuration as the loss that they make.

    Returns
    -------
    name : str
        Without underscores; "" for what is not Keras's.
    from_logits : bool
    """
    arguments = {}
    if isinstance(loss, functools.partial):
        loss, arguments = loss.func, loss.keywords
    elif isinstance(loss, tuple) and len(loss) == 2 and isinstance(loss[1], dict):
        loss, arguments = loss
    elif keras_is_imported() and isinstance(loss, keras.losses.Loss):
        arguments = loss.get_config()
    name = _keras_name(loss)
    return name, bool(name and arguments.get("from_logits"))


def _target_form(loss):
    """Tell in which form a loss takes the labels of a classifier.

    "one-hot" is one column for each class, also for two classes; "codes" one integer for
    each row; "either" as many columns as the model has units; "unknown" a loss that is not
    Keras's.
    """
    name, _ = read_loss(loss)
    if name.startswith("categorical") or name in ("kldivergence", "cosinesimilarity"):
        return "one-hot"
    if name.startswith("sparse"):
        return "codes"
    return "either" if name else "unknown"


def _keras_name(loss):
    """Return the name of one of Keras's own losses, or of what it is derived from, without underscores."""
    if isinstance(loss, str):
        name = loss.lower().replace("_", "")
        return _SHORT.get(name, name)
    if loss is None or not keras_is_imported():
        return ""
    if isinstance(loss, keras.losses.Loss):
        loss = type(loss)
    if isinstance(loss, type):
        of_keras = next((each for each in loss.__mro__ if each.__module__.startswith("keras.")), None)
        loss = loss if of_keras is None or of_keras.__name__ in _BASES else of_keras
        return loss.__name__.lower()
    if callable(loss) and (getattr(loss, "__module__", None) or "").startswith("keras."):
        return getattr(loss, "__name__", "").replace("_", "").lower()
    return ""
