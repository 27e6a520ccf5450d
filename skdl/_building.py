"""From an estimator's parameters to a compiled Keras model and its callbacks."""

import copy
import inspect
import re
import warnings

from skdl._backend import keras
from skdl._persistence import copied, copies_in
from skdl._routing import PREFIXES, nearest
from skdl._scikeras import (
    accepts_kwargs,
    get_loss_class_function_or_string,
    get_metric_class,
    get_optimizer_class,
    has_param,
    loss_name,
    route_params,
    try_to_convert_strings_to_classes,
    unflatten_params,
)

# What ``keras.Model.compile`` and ``fit`` take, less what the estimators give them: weights
# are a matter of the estimators' own ``sample_weight`` and ``class_weight``.
COMPILE_PARAMS = frozenset(inspect.signature(keras.Model.compile).parameters) - {"self"}
FIT_PARAMS = frozenset(inspect.signature(keras.Model.fit).parameters) - {
    *("self", "x", "y", "sample_weight", "class_weight")
}
PREDICT_PARAMS = frozenset({"batch_size", "verbose", "steps", "callbacks"})


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
            valid = {"fit": FIT_PARAMS, "compile": COMPILE_PARAMS, "predict": PREDICT_PARAMS}[prefix]
            ok = rest.partition("__")[0] in valid
        else:
            continue
        if not ok:
            raise ValueError(
                f"Invalid parameter {name!r}: it is taken neither by the estimator nor by what it is "
                f"meant for.{nearest(rest, valid)} Valid names there: {sorted(valid)}."
            )


def _made(kind, items, params, find, names):
    """Look up names and make objects of classes, with errors that help."""
    try:
        items = try_to_convert_strings_to_classes(items, find)
    except ValueError as error:
        valid = sorted(name for name in names if not name.startswith("_"))
        given = items if isinstance(items, str) else ""
        raise ValueError(
            f"Unknown {kind} {items!r}.{nearest(given, valid)} Give the name of one of Keras's, a class "
            f"or an instance. {error}"
        ) from error
    try:
        return unflatten_params(items=items, params=params)
    except (TypeError, ValueError) as error:
        hint = ""
        if inspect.isclass(items):
            valid = _parameters(items)
            unknown = sorted(name for name in params if name.partition("__")[0] not in valid)
            if unknown:
                hint = f" {items.__name__} has no parameter {unknown[0]!r}.{nearest(unknown[0], valid)}"
        raise ValueError(
            f"The {kind} {getattr(items, '__name__', items)!r} can't be made with the parameters "
            f"{params!r}.{hint} {error}"
        ) from error


def _parameters(cls):
    """Return the names that a class and its parents take in ``__init__``."""
    return {
        name
        for klass in cls.__mro__
        if "__init__" in vars(klass) and klass is not object
        for name, parameter in inspect.signature(klass.__init__).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    } - {"self"}


def _fresh(instance, params):
    """Copy an optimizer or metric for one model, with some of its parameters changed."""
    if not params and not getattr(instance, "built", False):
        return copied(instance)
    config = instance.get_config()
    unknown = set(params) - set(config)
    if unknown:
        name = min(unknown)
        raise ValueError(
            f"{type(instance).__name__} has no parameter {name!r}.{nearest(name, config)} "
            f"It has: {sorted(config)}."
        )
    return type(instance).from_config({**config, **params})


def _metrics(items, params):
    made = _made("metric", items, params, get_metric_class, dir(keras.metrics))

    named = {value for name, value in params.items() if name.rpartition("__")[2] == "name"}

    def settle(metric, given):
        if isinstance(given, list | tuple):
            return [settle(m, g) for m, g in zip(metric, given, strict=True)]
        if isinstance(given, dict):
            return {key: settle(metric[key], given[key]) for key in given}
        if isinstance(given, keras.metrics.Metric):
            return _fresh(given, {})
        if isinstance(metric, keras.metrics.Metric) and metric.name not in named:
            # Keras numbers the metrics of a process (auc, auc_1, ...); the keys of a
            # history must not depend on what was fitted before.
            name = keras.src.utils.naming.to_snake_case(type(metric).__name__)
            if re.fullmatch(rf"{name}_\d+", metric.name):
                return _fresh(metric, {"name": name})
        return metric

    made = settle(made, items)
    return made if made is None or isinstance(made, list | dict) else [made]


def compile_kwargs(params):
    """Make the arguments of ``keras.Model.compile``.

    Parameters
    ----------
    params : dict
        As of ``get_params(deep=False)``.

    Returns
    -------
    dict
        Fresh objects, for one model.

    Raises
    ------
    ValueError
        If a name is unknown or an object can't be made.
    """
    kwargs = route_params(params, destination="compile", pass_filter=COMPILE_PARAMS)

    def routed(destination, strict=False):
        return route_params(params, destination=destination, pass_filter=set(), strict=strict)

    optimizer = kwargs.get("optimizer")
    if isinstance(optimizer, keras.optimizers.Optimizer):
        kwargs["optimizer"] = _fresh(optimizer, routed("optimizer"))
    else:
        kwargs["optimizer"] = _made(
            "optimizer", optimizer, routed("optimizer"), get_optimizer_class, dir(keras.optimizers)
        )
    kwargs["loss"] = _made(
        "loss", kwargs.get("loss"), routed("loss"), get_loss_class_function_or_string, dir(keras.losses)
    )
    kwargs["metrics"] = _metrics(kwargs.get("metrics"), routed("metrics"))
    if kwargs.get("weighted_metrics") is not None:
        kwargs["weighted_metrics"] = _metrics(kwargs["weighted_metrics"], {})
    return kwargs


def builder_of(estimator):
    """Return the function that builds an estimator's model.

    Parameters
    ----------
    estimator : estimator
        With parameters ``model`` and ``build_fn``, or a method ``_keras_build_fn``.

    Returns
    -------
    callable

    Raises
    ------
    ValueError, TypeError
        If there is none, or more than one, or it can't be called.
    """
    model, build_fn = getattr(estimator, "model", None), getattr(estimator, "build_fn", None)
    if build_fn is not None:
        if model is not None:
            raise ValueError("Both model and build_fn are given; give model alone.")
        warnings.warn(
            "build_fn is called model now, as in scikeras; use model=.", FutureWarning, stacklevel=2
        )
        model = build_fn
    own = getattr(estimator, "_keras_build_fn", None)
    if model is None:
        if own is None:
            raise ValueError(
                "model=None, but there is nothing to build: give a function that returns a "
                "keras.Model, or a keras.Model, or define _keras_build_fn in a subclass."
            )
        return own
    if own is not None:
        raise ValueError(
            f"{type(estimator).__name__} defines _keras_build_fn and was given model={model!r} too; "
            "leave one of them out."
        )
    if isinstance(model, keras.Model):
        return lambda: model
    if not callable(model):
        raise TypeError(
            f"model must be a function that returns a keras.Model, or a keras.Model; got {model!r}."
        )
    return model


def build_model(estimator, meta):
    """Call an estimator's builder with what it asks for.

    Parameters
    ----------
    estimator : estimator
    meta : dict
        Attributes learnt from the data, for a builder that takes ``meta``.

    Returns
    -------
    keras.Model

    Raises
    ------
    TypeError
        If the builder returns anything but a model.
    """
    builder = builder_of(estimator)
    params = estimator.get_params(deep=False)
    own_names = set(estimator._get_param_names())
    check_routed_params(params, own_names, builder)
    kwargs = route_params(params, destination="model", pass_filter=set(params) - own_names, strict=True)
    kwargs = copies_in(kwargs)

    def wants(name):
        return has_param(builder, name) or accepts_kwargs(builder)

    if wants("meta"):
        kwargs["meta"] = meta
    if wants("params"):
        kwargs["params"] = copies_in(params)
    if wants("compile_kwargs"):
        kwargs["compile_kwargs"] = estimator._get_compile_kwargs()
    model = builder(**kwargs)
    if not isinstance(model, keras.Model):
        name = getattr(builder, "__name__", repr(builder))
        raise TypeError(
            f"The builder {name!r} must return a keras.Model, but returned {model!r} of type "
            f"{type(model).__name__}. Does it end with 'return model'?"
        )
    if model.compiled and "compile_kwargs" not in kwargs and "params" not in kwargs:
        _warn_of_unused(estimator, params)
    return model


def _warn_of_unused(estimator, params):
    """Say which compile arguments a model that is compiled already leaves unused."""
    signature = estimator._init_signature()
    unused = [
        name
        for name, value in params.items()
        if (name in ("optimizer", "metrics") and value != signature[name].default)
        or name.startswith(("optimizer__", "loss__", "metrics__", "compile__"))
    ]
    if unused:
        warnings.warn(
            f"The model is compiled already, so these parameters of {type(estimator).__name__} have no "
            f"effect: {unused}. Leave out model.compile in the builder, or let it take compile_kwargs.",
            UserWarning,
            stacklevel=2,
        )


def compile_model(model, estimator):
    """Compile a model, unless it is compiled already.

    Parameters
    ----------
    model : keras.Model
    estimator : estimator

    Raises
    ------
    ValueError
        If there is no loss, or the model was compiled with another one than asked for.
    """
    if not model.compiled:
        kwargs = estimator._get_compile_kwargs()
        if kwargs.get("loss") is None and type(model).train_step is keras.Model.train_step:
            raise ValueError("There is no loss: give the parameter loss, or return a compiled model.")
        model.compile(**kwargs)
    asked, got = getattr(estimator, "loss", None), model.loss
    if all(isinstance(loss, str | keras.losses.Loss | type) for loss in (asked, got)):
        default = estimator._init_signature()["loss"].default
        if asked != default and loss_name(asked) != loss_name(got):
            raise ValueError(
                f"loss={asked!r}, but the model is compiled with {got!r}, and the target may not fit "
                "it. Give the same loss, or leave model.compile to the estimator."
            )


def make_callbacks(items, params):
    """Make the callbacks of one fit.

    Parameters
    ----------
    items : callback class or instance, or list, tuple or dict of them, or None
    params : dict
        Parameters for them, without prefix: ``{"patience": 3, "0__monitor": "loss"}``.

    Returns
    -------
    list of keras.callbacks.Callback
        Instances are copied.

    Raises
    ------
    TypeError, ValueError
        If something is no callback, or can't be made or copied.
    """
    if items is None:
        return []
    if inspect.isclass(items):
        made = _made("callback", items, params, None, ())
    elif isinstance(items, keras.callbacks.Callback):
        made = _copied_callback(items, params)
    elif isinstance(items, list | tuple | dict):
        named = items.items() if isinstance(items, dict) else enumerate(items)
        common = {name: value for name, value in params.items() if "__" not in name}
        return [
            callback
            for name, item in named
            for callback in make_callbacks(
                item, {**common, **route_params(params, destination=str(name), pass_filter=set())}
            )
        ]
    else:
        made = items
    if not isinstance(made, keras.callbacks.Callback):
        raise TypeError(
            "callbacks must be a keras.callbacks.Callback, a class of them, or a list or dict of "
            f"these; got {made!r} of type {type(made).__name__}."
        )
    return [made]


def acts_on_predict(callback):
    """Tell whether a callback, or a class of them, has something to do in ``keras.Model.predict``."""
    names = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_predict")]
    # What is no callback at all is left to `make_callbacks` to refuse.
    return not all(keras.src.utils.is_default(getattr(callback, name, None)) for name in names)


def _copied_callback(callback, params):
    try:
        # Not with the model that it watched in an earlier fit.
        # A subclass that doesn't call its parent's __init__ has no _model yet.
        copied = copy.deepcopy(callback, {id(getattr(callback, "_model", None)): None})
    except Exception as error:
        raise TypeError(
            f"The callback {callback!r} can't be copied for this fit ({error}). Give its class, with "
            "its parameters as callbacks__<name>, instead of an instance."
        ) from error
    for name, value in params.items():
        if not hasattr(copied, name):
            raise ValueError(
                f"{type(callback).__name__} has no parameter {name!r}.{nearest(name, vars(copied))}"
            )
        setattr(copied, name, value)
    return copied
