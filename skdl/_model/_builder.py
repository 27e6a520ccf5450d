"""A model built by a function, which gets the parameters that it asks for."""

import functools
import weakref

from skdl._backend import keras, tf
from skdl._model._arguments import check_routed_params
from skdl._model._compile import compile_kwargs
from skdl._persistence import copied, copies_in
from skdl._routing import accepts_kwargs, has_param, route_params
from skdl._warnings import warn


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
