"""From an estimator's parameters to a compiled Keras model."""

import functools
import re

from skdl._backend import keras, private
from skdl._model._arguments import compile_params
from skdl._model._objects import copy_with, make
from skdl._routing import route_params
from skdl._scikeras import (
    get_loss_class_function_or_string,
    get_metric_class,
    get_optimizer_class,
    loss_name,
)


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
