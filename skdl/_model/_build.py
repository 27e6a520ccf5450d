"""A Keras model built by a function, which gets the parameters that it takes."""

import functools
import inspect
import json
import weakref
from dataclasses import dataclass

from skdl._backend import keras, tf
from skdl._model._compile import PREFIXES, compile_kwargs, compile_params, nearest, routed_params
from skdl._persistence import copied, copies_in
from skdl._training._plan import FIT_PARAMS
from skdl._typing import PredictArguments
from skdl._warnings import warn

PREDICT_PARAMS = frozenset(PredictArguments.__annotations__)
# Models that a builder returned without variables. Their training makes the variables.
_unbuilt = weakref.WeakSet()


@dataclass(frozen=True)
class ModelSpec:
    """The parameters that a model is built and compiled by."""

    estimator: str  # name of the class, for messages
    params: dict  # as of ``get_params(deep=False)``
    defaults: dict  # of every parameter in the signature
    compile_params: dict  # `params` with what the target decides


def check_arguments(method, names, valid):
    """Refuse keyword arguments that a method does not take, with the nearest valid name."""
    unknown = set(names) - valid
    if unknown:
        name = min(unknown)
        raise TypeError(f"{method} got an unexpected argument {name!r}.{nearest(name, valid)}")


def _accepts_kwargs(function):
    """Return whether a function takes keyword arguments of any name."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())


def check_routed_params(params, own_names, builder):
    """Refuse parameters that neither the estimator, its builder nor a method of Keras takes."""
    builder_names = {
        name for name, p in inspect.signature(builder).parameters.items() if p.kind != p.VAR_KEYWORD
    }
    for name in params:
        if name in own_names:
            continue
        prefix, routed, rest = name.partition("__")
        if not routed or prefix not in PREFIXES:
            valid, rest = builder_names | set(own_names), name
            is_taken = not routed and (name in builder_names or _accepts_kwargs(builder))
        elif prefix == "model":
            valid, is_taken = builder_names, rest in builder_names or _accepts_kwargs(builder)
        elif prefix in ("fit", "compile", "predict"):
            valid = {"fit": FIT_PARAMS, "predict": PREDICT_PARAMS}.get(prefix) or compile_params()
            is_taken = rest.partition("__")[0] in valid
        else:
            continue
        if not is_taken:
            raise ValueError(
                f"Invalid parameter {name!r}: neither the estimator nor the function or method that it is "
                f"routed to takes it.{nearest(rest, valid)} Valid names there: {sorted(valid)}."
            )


def find_builder(estimator, method, model=None, build_fn=None):
    """Return the function that builds the model.

    ``method`` is ``_keras_build_fn`` of the estimator or None, ``model`` and ``build_fn`` are parameters.
    """
    if build_fn is not None:
        if model is not None:
            raise ValueError("Both model and build_fn are given; give model alone.")
        warn("build_fn is called model now, as in scikeras; use model=.", FutureWarning)
        model = build_fn
    if model is None:
        if method is None:
            raise ValueError(
                "model=None, but there is nothing to build: give a function that returns a "
                "keras.Model, or a keras.Model, or define _keras_build_fn in a subclass."
            )
        return method
    if method is not None:
        raise ValueError(
            f"{estimator} defines _keras_build_fn and was given model={model!r} too; leave one of them out."
        )
    if isinstance(model, keras.Model):
        return functools.partial(_returned, model)
    if not callable(model):
        raise TypeError(
            f"model must be a function that returns a keras.Model, or a keras.Model; got {model!r}."
        )
    return model


def _returned(model):
    return model


def runs_user_code(spec, builder):
    """Return whether building a model may call functions that are neither Keras's nor skdl's."""
    is_own = (getattr(builder, "__module__", None) or "").partition(".")[0] == "skdl"
    return not is_own or any(map(callable, spec.params.values()))


def plain_params(spec, builder):
    """Return the parameters of loss and metrics where skdl builds a model from numbers and names, else None.

    Keras's configurations of losses and metrics lack some of them.
    """
    try:
        json.dumps(spec.params)
    except TypeError:  # objects of the user's take part
        return None
    if runs_user_code(spec, builder):
        return None
    return sorted((k, repr(v)) for k, v in spec.params.items() if k.startswith(("loss__", "metrics__")))


def build(spec, builder, meta):
    """Return the model that a builder returns for the parameters that it takes.

    ``meta`` is what the estimator has learned from the data.
    """
    own_names = set(spec.defaults)
    check_routed_params(spec.params, own_names, builder)
    kwargs = {name: value for name, value in spec.params.items() if name not in own_names}
    kwargs |= routed_params(spec.params, "model")
    kwargs = copies_in({name: value for name, value in kwargs.items() if "__" not in name})
    offered = {
        "meta": lambda: meta,
        "params": lambda: copies_in(spec.params),
        "compile_kwargs": lambda: compile_kwargs(spec.compile_params),
    }
    builder_names = inspect.signature(builder).parameters
    taken = [name for name in offered if name in builder_names or _accepts_kwargs(builder)]
    kwargs |= {name: offered[name]() for name in taken}
    new = []

    def creator(next_creator, **arguments):
        new.append(next_creator(**arguments))
        return new[-1]

    with tf.variable_creator_scope(creator):
        model = builder(**kwargs)
    name = getattr(builder, "__name__", repr(builder))
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"The builder {name!r} must return a keras.Model, but returned {model!r} of type "
            f"{type(model).__name__}. Does it end with 'return model'?"
        )
    if getattr(builder, "func", None) is not _returned:
        model = _unshared(model, set(map(id, new)), name)
    if model.compiled and not {"compile_kwargs", "params"} & kwargs.keys():
        _warn_of_unused_params(spec)
    return model


def _unshared(model, new, builder):
    """Return a builder's model, or a copy where the builder did not make its variables in this call."""
    if model in _unbuilt:
        raise ValueError(
            f"The builder {builder!r} returned the model {model.name!r} before, and it was trained since. "
            "Make a new model in each call, or give the model itself as model=."
        )
    if any(id(variable.value) not in new for variable in model.variables):
        return copied(model)
    if not model.variables:
        _unbuilt.add(model)
    return model


def _warn_of_unused_params(spec):
    """Warn of parameters for ``compile`` that have no effect, since the builder compiled the model."""
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
