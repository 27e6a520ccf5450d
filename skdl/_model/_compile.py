"""Optimizers, losses, metrics and callbacks made of parameters, and the compiled model."""

import copy
import functools
import inspect
import re

from skdl._backend import keras, private
from skdl._persistence import copied, remade
from skdl._routing import nearest, route_params
from skdl._scikeras import (
    get_loss_class_function_or_string,
    get_metric_class,
    get_optimizer_class,
    loss_name,
    try_to_convert_strings_to_classes,
    unflatten_params,
)

_CROSS_ENTROPY = (
    ' The cross-entropy of three classes or more is "sparse_categorical_crossentropy", that of two classes '
    'or of several labels "binary_crossentropy".'
)


def _means_cross_entropy(name):
    return name.lower().replace("_", "").replace("-", "") in ("crossentropy", "logloss", "nll", "nllloss")


def make(kind, items, params, find, names):
    """Look up names and make objects of classes, with errors that help."""
    try:
        items = try_to_convert_strings_to_classes(items, find)
    except ValueError as error:
        valid = sorted(name for name in names if not name.startswith("_"))
        given = items if isinstance(items, str) else ""
        hint = _CROSS_ENTROPY if kind == "loss" and _means_cross_entropy(given) else nearest(given, valid)
        raise ValueError(
            f"Unknown {kind} {items!r}.{hint} Give the name of one of Keras's, a class "
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


def copy_with(instance, params):
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
    return remade(instance, params)


def _metrics(items, params):
    metrics = make("metric", items, params, get_metric_class, dir(keras.metrics))

    named = {value for name, value in params.items() if name.rpartition("__")[2] == "name"}

    def settle(metric, given):
        if isinstance(given, list | tuple):
            return [settle(m, g) for m, g in zip(metric, given, strict=True)]
        if isinstance(given, dict):
            return {key: settle(metric[key], given[key]) for key in given}
        if isinstance(given, keras.metrics.Metric):
            return copy_with(given, {})
        if isinstance(metric, keras.metrics.Metric) and metric.name not in named:
            # Keras numbers the metrics of a process (auc, auc_1, ...); the keys of a
            # history must not depend on what was fitted before.
            name = re.sub(r"_\d+$", "", metric.name)
            if name.replace("_", "") == type(metric).__name__.lower():
                return copy_with(metric, {"name": name})
        return metric

    metrics = settle(metrics, items)
    return metrics if metrics is None or isinstance(metrics, list | dict) else [metrics]


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
    kwargs = route_params(params, destination="compile", pass_filter=compile_params())

    def routed(destination, strict=False):
        return route_params(params, destination=destination, pass_filter=set(), strict=strict)

    optimizer = kwargs.get("optimizer")
    if isinstance(optimizer, keras.optimizers.Optimizer):
        kwargs["optimizer"] = copy_with(optimizer, routed("optimizer"))
    else:
        kwargs["optimizer"] = make(
            "optimizer", optimizer, routed("optimizer"), get_optimizer_class, dir(keras.optimizers)
        )
    loss, of_loss = kwargs.get("loss"), routed("loss")
    if of_loss and isinstance(loss, str):
        loss = _loss_class(loss)
    kwargs["loss"] = make("loss", loss, of_loss, get_loss_class_function_or_string, dir(keras.losses))
    kwargs["loss"] = keras.tree.map_structure(_of_partial_class, kwargs["loss"])
    kwargs["metrics"] = _metrics(kwargs.get("metrics"), routed("metrics"))
    if kwargs.get("weighted_metrics") is not None:
        kwargs["weighted_metrics"] = _metrics(kwargs["weighted_metrics"], {})
    return kwargs


def _loss_class(name):
    """Return the class of Keras's loss of a name, which takes parameters; the name where there is none."""
    stem = name.replace("_", "").lower()
    classes = (each for each in vars(keras.losses).values() if isinstance(each, type))
    return next((each for each in classes if each.__name__.lower() == stem), name)


def _of_partial_class(loss):
    """Return the loss that a partial of a class makes; any other as it is."""
    return loss() if isinstance(loss, functools.partial) and isinstance(loss.func, type) else loss


def compile_model(model, spec, settle):
    """Compile a model, unless it is compiled already.

    Parameters
    ----------
    model : keras.Model
    spec : ModelSpec
    settle : callable
        From metrics and a loss to the metrics that are meant.

    Raises
    ------
    ValueError
        If there is no loss, or the model was compiled with another one than asked for; or if a metric
        has no right value.
    """
    if not model.compiled:
        kwargs = compile_kwargs(spec.compile_params)
        losses = keras.tree.flatten(kwargs.get("loss"))
        if all(loss is None for loss in losses) and type(model).train_step is keras.Model.train_step:
            raise ValueError("There is no loss: give the parameter loss, or return a compiled model.")
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                kwargs[name] = settle(kwargs[name], kwargs.get("loss"))
        model.compile(**kwargs)
    else:
        _settle_compiled(model, settle)
    asked, got = spec.params.get("loss"), model.loss
    if all(isinstance(loss, str | keras.losses.Loss | type) for loss in (asked, got)):
        if asked != spec.defaults["loss"] and loss_name(asked) != loss_name(got):
            raise ValueError(
                f"loss={asked!r}, but the model is compiled with {got!r}, and the target may not fit "
                "it. Give the same loss, or leave model.compile to the estimator."
            )


def _settle_compiled(model, settle):
    """Exchange metrics of a model that its builder has compiled."""
    try:
        given = private.given_metrics(model)
        settled = [None if each is None else settle(each, model.loss) for each in given]
        if any(a is not b for a, b in zip(*map(keras.tree.flatten, (given, settled)), strict=True)):
            private.set_given_metrics(model, *settled)
    except private.Unavailable:  # then Keras refuses those that don't fit
        pass


def make_callbacks(items, params):
    """Return the callbacks of one fit.

    Parameters
    ----------
    items : callback class or instance, or list, tuple or dict of them, or None
    params : dict
        Parameters for them, without prefix: ``{"patience": 3, "0__monitor": "loss"}``.

    Returns
    -------
    list of keras.callbacks.Callback
        Instances are those given, as in Keras; with parameters for them, copies.

    Raises
    ------
    TypeError, ValueError
        If something is no callback, or can't be made, or copied with parameters.
    """
    if items is None:
        return []
    if inspect.isclass(items):
        callback = make("callback", items, params, None, ())
    elif isinstance(items, keras.callbacks.Callback):
        callback = _copied_callback(items, params) if params else items
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
        callback = items
    if not isinstance(callback, keras.callbacks.Callback):
        raise TypeError(
            "callbacks must be a keras.callbacks.Callback, a class of them, or a list or dict of "
            f"these; got {callback!r} of type {type(callback).__name__}."
        )
    return [callback]


def acts_on_predict(callback):
    """Tell whether a callback, or a class of them, has something to do in ``keras.Model.predict``."""
    names = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_predict")]
    # What is no callback at all is left to `make_callbacks` to refuse.
    return any(_own(callback, name) is not getattr(keras.callbacks.Callback, name) for name in names)


def _own(callback, name):
    """Return a method of a callback, or of a class of them, as a function."""
    method = getattr(callback, name, None)
    return getattr(method, "__func__", method)


def _copied_callback(callback, params):
    try:
        # Not with the model that it watches elsewhere.
        copied = copy.deepcopy(callback, {id(private.watched_model(callback)): None})
    except Exception as error:
        raise TypeError(
            f"The callback {callback!r} can't be copied with the parameters {params!r} ({error}). Give its "
            "class instead of an instance, or an instance without parameters callbacks__<name>."
        ) from error
    for name, value in params.items():
        if not hasattr(copied, name):
            raise ValueError(
                f"{type(callback).__name__} has no parameter {name!r}.{nearest(name, vars(copied))}"
            )
        setattr(copied, name, value)
    return copied


def compile_params():
    """Return the names of the arguments of ``keras.Model.compile``."""
    return frozenset(inspect.signature(keras.Model.compile).parameters) - {"self"}
