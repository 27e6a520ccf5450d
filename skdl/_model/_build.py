"""A Keras model built by a function, which gets the parameters that it asks for."""

import functools
import inspect
import weakref
from dataclasses import dataclass

import numpy as np

from skdl._backend import keras, tf
from skdl._model._compile import compile_kwargs, compile_params
from skdl._persistence import copied, copies_in
from skdl._routing import PREFIXES, accepts_kwargs, has_param, nearest, route_params
from skdl._training import FIT_PARAMS
from skdl._typing import PredictArguments
from skdl._warnings import warn


@dataclass(frozen=True)
class ModelSpec:
    """What a model is built and compiled by.

    Parameters
    ----------
    estimator : str
        Name of the estimator's class, for messages.
    params : dict
        All parameters, as of ``get_params(deep=False)``.
    defaults : dict
        Default of every parameter in the signature.
    compile_params : dict
        Parameters of compiling: ``params``, where the estimator leaves nothing to be decided.
    """

    estimator: str
    params: dict
    defaults: dict
    compile_params: dict


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


def find_builder(estimator, own, model=None, build_fn=None):
    """Return the function that builds the model.

    Parameters
    ----------
    estimator : str
        Name of the estimator's class, for messages.
    own : callable or None
        Method ``_keras_build_fn`` of the estimator.
    model, build_fn : callable, keras.Model or None
        Parameters of the estimator.

    Returns
    -------
    callable

    Raises
    ------
    ValueError, TypeError
        If there is none, or more than one, or it can't be called.
    """
    if build_fn is not None:
        if model is not None:
            raise ValueError("Both model and build_fn are given; give model alone.")
        warn("build_fn is called model now, as in scikeras; use model=.", FutureWarning)
        model = build_fn
    if model is None:
        if own is None:
            raise ValueError(
                "model=None, but there is nothing to build: give a function that returns a "
                "keras.Model, or a keras.Model, or define _keras_build_fn in a subclass."
            )
        return own
    if own is not None:
        raise ValueError(
            f"{estimator} defines _keras_build_fn and was given model={model!r} too; leave one of them out."
        )
    if isinstance(model, keras.Model):
        return functools.partial(_given, model)
    if not callable(model):
        raise TypeError(
            f"model must be a function that returns a keras.Model, or a keras.Model; got {model!r}."
        )
    return model


def runs_user_code(spec, builder):
    """Whether building a model may call what is neither Keras's nor skdl's."""
    own = (getattr(builder, "__module__", None) or "").partition(".")[0] == "skdl"
    return not own or any(map(callable, spec.params.values()))


def is_plain(spec, builder):
    """Return whether skdl builds a model from numbers and names alone, without an object of the user's."""
    return not runs_user_code(spec, builder) and _holds_no_object(spec.params)


def _holds_no_object(value):
    if isinstance(value, dict):
        return all(map(_holds_no_object, (*value.keys(), *value.values())))
    if isinstance(value, list | tuple):
        return all(map(_holds_no_object, value))
    return value is None or isinstance(value, str | bool | int | float | np.number)


def build(spec, builder, meta):
    """Call a builder with what it asks for.

    Parameters
    ----------
    spec : ModelSpec
    builder : callable
    meta : dict
        What was learnt from the data, for a builder that takes ``meta``.

    Returns
    -------
    keras.Model

    Raises
    ------
    TypeError
        If the builder returns anything but a model.
    ValueError
        If there are parameters that nobody takes.
    """
    own_names = set(spec.defaults)
    check_routed_params(spec.params, own_names, builder)
    kwargs = route_params(
        spec.params, destination="model", pass_filter=set(spec.params) - own_names, strict=True
    )
    kwargs = copies_in(kwargs)

    def wants(name):
        return has_param(builder, name) or accepts_kwargs(builder)

    if wants("meta"):
        kwargs["meta"] = meta
    if wants("params"):
        kwargs["params"] = copies_in(spec.params)
    if wants("compile_kwargs"):
        kwargs["compile_kwargs"] = compile_kwargs(spec.compile_params)
    new = []

    def noted(next_creator, **arguments):
        new.append(next_creator(**arguments))
        return new[-1]

    with tf.variable_creator_scope(noted):
        model = builder(**kwargs)
    if not isinstance(model, keras.Model):
        name = getattr(builder, "__name__", repr(builder))
        raise TypeError(
            f"The builder {name!r} must return a keras.Model, but returned {model!r} of type "
            f"{type(model).__name__}. Does it end with 'return model'?"
        )
    if getattr(builder, "func", None) is not _given:
        model = _own(model, set(map(id, new)), builder)
    if model.compiled and "compile_kwargs" not in kwargs and "params" not in kwargs:
        _warn_of_unused(spec)
    return model


def _given(model):
    return model


# Models that a builder returned without variables, which their training then makes.
_unbuilt = weakref.WeakSet()


def _own(model, new, builder):
    """Return a model that is no one else's: a copy where a builder returns what was there before.

    Parameters
    ----------
    model : keras.Model
    new : set of int
        Ids of the variables that were made in this call of the builder.
    builder : callable

    Raises
    ------
    ValueError
        If it was returned before, without variables, and was trained since.
    """
    if model in _unbuilt:
        name = getattr(builder, "__name__", repr(builder))
        raise ValueError(
            f"The builder {name!r} returned the model {model.name!r} before, and it was trained since. Make "
            "a new model in each call, or give the model itself as model=."
        )
    if any(id(variable.value) not in new for variable in model.variables):
        return copied(model)
    if not model.variables:
        _unbuilt.add(model)
    return model


def _warn_of_unused(spec):
    """Say which compile arguments a model that is compiled already leaves unused."""
    unused = [
        name
        for name, value in spec.params.items()
        if (name in ("optimizer", "metrics") and value != spec.defaults[name])
        or name.startswith(("optimizer__", "loss__", "metrics__", "compile__"))
    ]
    if unused:
        warn(
            f"The model is compiled already, so these parameters of {spec.estimator} have no "
            f"effect: {unused}. Leave out model.compile in the builder, or let it take compile_kwargs.",
        )
