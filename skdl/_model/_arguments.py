"""Arguments of Keras's methods that nobody takes, refused with the nearest name."""

import inspect

from skdl._backend import keras
from skdl._routing import PREFIXES, accepts_kwargs, nearest
from skdl._training import FIT_PARAMS
from skdl._typing import PredictArguments

PREDICT_PARAMS = frozenset(PredictArguments.__annotations__)
_ARGUMENTS = {"fit": FIT_PARAMS, "predict": PREDICT_PARAMS}


def check_arguments(method, given, valid):
    """Refuse keyword arguments that a method of Keras does not take.

    Parameters
    ----------
    method : str
    given, valid : collection of str

    Raises
    ------
    TypeError
        With the nearest valid name.
    """
    unknown = set(given) - valid
    if unknown:
        name = min(unknown)
        raise TypeError(f"{method} got an unexpected argument {name!r}.{nearest(name, valid)}")


def compile_params():
    """Return the names of the arguments of ``keras.Model.compile``."""
    return frozenset(inspect.signature(keras.Model.compile).parameters) - {"self"}


def check_routed_params(params, own_names, builder):
    """Refuse routed parameters that nobody takes.

    Parameters
    ----------
    params : dict
        As of ``get_params(deep=False)``.
    own_names : collection of str
        Names in the estimator's signature.
    builder : callable
        Function that builds the model.

    Raises
    ------
    ValueError
        With the nearest name that would be taken.
    """
    taken_by_builder = {
        name for name, p in inspect.signature(builder).parameters.items() if p.kind != p.VAR_KEYWORD
    }
    for name in params:
        if name in own_names:
            continue
        prefix, routed, rest = name.partition("__")
        if not routed or prefix not in PREFIXES:
            valid, rest = taken_by_builder | set(own_names), name
            ok = not routed and (name in taken_by_builder or accepts_kwargs(builder))
        elif prefix == "model":
            valid, ok = taken_by_builder, rest in taken_by_builder or accepts_kwargs(builder)
        elif prefix in ("fit", "compile", "predict"):
            valid = compile_params() if prefix == "compile" else _ARGUMENTS[prefix]
            ok = rest.partition("__")[0] in valid
        else:
            continue
        if not ok:
            raise ValueError(
                f"Invalid parameter {name!r}: it is taken neither by the estimator nor by what it is "
                f"meant for.{nearest(rest, valid)} Valid names there: {sorted(valid)}."
            )
