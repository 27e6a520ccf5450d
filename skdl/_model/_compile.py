"""Optimizers, losses, metrics and callbacks made of parameters, and the compiled model.

Also the names of parameters: prefixes such as ``optimizer__``, and the nearest valid name for a misspelt one.
"""

import copy
import difflib
import functools
import inspect
import re

import numpy as np

from skdl._backend import keras, private
from skdl._persistence import copied, remade
from skdl._scikeras import scikeras_utils
from skdl._targets._output import read_loss

# Where a parameter ``<prefix>__<name>`` may go.
PREFIXES = frozenset(
    {"model", "compile", "fit", "predict", "score", "optimizer", "loss", "metrics", "callbacks"}
)
# Names in scikit-learn, PyTorch and older Keras, with those that may be meant: the first that is valid is.
_MEANT = {
    "max_iter": ("epochs",),
    "nb_epoch": ("epochs",),
    "n_epochs": ("epochs",),
    "max_epochs": ("epochs",),
    "solver": ("optimizer",),
    "learning_rate_init": ("learning_rate", "optimizer__learning_rate"),
    "learning_rate": ("optimizer__learning_rate",),
    "lr": ("learning_rate", "optimizer__learning_rate"),
    "momentum": ("optimizer__momentum",),
    "alpha": ("l2_regularization",),
    "validation_fraction": ("validation_split",),
    "patience": ("n_iter_no_change",),
    "criterion": ("loss",),
    "hidden_layer_sizes": ("model__hidden_layer_sizes",),
    "activation": ("model__activation",),
    "dropout": ("model__dropout",),
}
_CROSS_ENTROPY = ("crossentropy", "logloss", "nll", "nllloss")
_CROSS_ENTROPY_HINT = (
    ' The cross-entropy of three classes or more is "sparse_categorical_crossentropy", that of two classes '
    'or of several labels "binary_crossentropy".'
)


def nearest(name, valid):
    """Return " Did you mean 'epochs'?" for a misspelt name that is near a valid one, else ""."""
    for other in _MEANT.get(name, ()):
        if other.partition("__")[0] in valid:
            return f" Did you mean {other!r}?"
    as_written = {other.lower(): other for other in valid}
    near = difflib.get_close_matches(name.lower(), as_written, n=1)
    return f" Did you mean {as_written[near[0]]!r}?" if near else ""


def as_python(value):
    """Replace numbers and strings of NumPy, also in lists, tuples and dicts, since Keras refuses many."""
    if isinstance(value, np.bool_ | np.number | np.str_):
        return value.item()
    if type(value) is dict:
        replaced = {name: as_python(each) for name, each in value.items()}
        pairs = zip(replaced.values(), value.values(), strict=True)
    elif type(value) in (list, tuple):
        replaced = type(value)(map(as_python, value))
        pairs = zip(replaced, value, strict=True)
    else:
        return value
    return replaced if any(one is not other for one, other in pairs) else value


def routed_params(params, destination):
    """Return the parameters ``<destination>__<name>`` by name."""
    start = f"{destination}__"
    return {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}


def compile_params():
    """Return the names of the arguments of ``keras.Model.compile``."""
    return frozenset(inspect.signature(keras.Model.compile).parameters) - {"self"}


def compile_kwargs(params):
    """Return new arguments of ``keras.Model.compile`` for one model."""
    kwargs = {name: params[name] for name in compile_params() & set(params)}
    kwargs |= routed_params(params, "compile")
    optimizer, loss = kwargs.get("optimizer"), kwargs.get("loss")
    routed = {name: routed_params(params, name) for name in ("optimizer", "loss", "metrics")}
    if isinstance(optimizer, keras.optimizers.Optimizer):
        kwargs["optimizer"] = _copy_with(optimizer, routed["optimizer"])
    else:
        # scikeras 0.13.0 makes an optimizer, with variables, in order to ask for its class.
        def find(name):
            return _class_named(name, keras.optimizers) or type(keras.optimizers.get(name))

        kwargs["optimizer"] = _make("optimizer", optimizer, routed["optimizer"], find)
    if routed["loss"] and isinstance(loss, str):
        loss = _class_named(loss.replace("_", ""), keras.losses) or loss
    loss = _make("loss", loss, routed["loss"], scikeras_utils().get_loss_class_function_or_string)
    kwargs["loss"] = keras.tree.map_structure(_instance_of_partial, loss)
    kwargs["metrics"] = _metrics(kwargs.get("metrics"), routed["metrics"])
    if kwargs.get("weighted_metrics") is not None:
        kwargs["weighted_metrics"] = _metrics(kwargs["weighted_metrics"], {})
    return kwargs


def _class_named(name, module):
    """Return the class of a module of Keras that a name, perhaps in lower case, stands for, or None."""
    classes = {key.lower(): each for key, each in vars(module).items() if isinstance(each, type)}
    return classes.get(name.lower())


def _instance_of_partial(loss):
    """Return the loss that a partial of a class makes; any other as it is."""
    return loss() if isinstance(loss, functools.partial) and isinstance(loss.func, type) else loss


def _metrics(items, params):
    metrics = _make("metric", items, params, scikeras_utils().get_metric_class)
    named = {value for name, value in params.items() if name.rpartition("__")[2] == "name"}

    def own(metric, item):
        if isinstance(item, keras.metrics.Metric):
            return _copy_with(item, {})
        if isinstance(metric, keras.metrics.Metric) and metric.name not in named:
            # Keras numbers the metrics of a process: auc, auc_1, ... The keys of a history would depend on
            # earlier fits.
            name = re.sub(r"_\d+$", "", metric.name)
            if name.replace("_", "") == type(metric).__name__.lower():
                return _copy_with(metric, {"name": name})
        return metric

    metrics = keras.tree.map_structure(own, metrics, items)
    return metrics if metrics is None or isinstance(metrics, list | dict) else [metrics]


def _make(kind, items, params, find):
    """Return the objects that classes, or names that ``find`` looks up, make of parameters."""
    try:
        items = scikeras_utils().try_to_convert_strings_to_classes(items, find)
    except ValueError as error:
        module = {"loss": keras.losses, "metric": keras.metrics, "optimizer": keras.optimizers}[kind]
        valid = sorted(name for name in dir(module) if not name.startswith("_"))
        name = items if isinstance(items, str) else ""
        is_cross_entropy = kind == "loss" and re.sub("[_-]", "", name.lower()) in _CROSS_ENTROPY
        hint = _CROSS_ENTROPY_HINT if is_cross_entropy else nearest(name, valid)
        raise ValueError(
            f"Unknown {kind} {items!r}.{hint} Give the name of one of Keras's, a class "
            f"or an instance. {error}"
        ) from error
    try:
        return scikeras_utils().unflatten_params(items=items, params=params)
    except (TypeError, ValueError) as error:
        hint = ""
        if inspect.isclass(items):
            valid = set(inspect.signature(items).parameters)
            unknown = sorted(name for name in params if name.partition("__")[0] not in valid)
            if unknown:
                hint = f" {items.__name__} has no parameter {unknown[0]!r}.{nearest(unknown[0], valid)}"
        raise ValueError(
            f"The {kind} {getattr(items, '__name__', items)!r} can't be made with the parameters "
            f"{params!r}.{hint} {error}"
        ) from error


def _copy_with(instance, params):
    """Return a copy of an optimizer or metric, with some parameters changed and without a state."""
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


def compile_model(model, spec, fit_metrics):
    """Compile a model, or check one that is; ``fit_metrics(metrics, loss)`` returns those that fit."""
    if not model.compiled:
        kwargs = compile_kwargs(spec.compile_params)
        losses = keras.tree.flatten(kwargs.get("loss"))
        if all(loss is None for loss in losses) and type(model).train_step is keras.Model.train_step:
            raise ValueError("There is no loss: give the parameter loss, or return a compiled model.")
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                kwargs[name] = fit_metrics(kwargs[name], kwargs.get("loss"))
        model.compile(**kwargs)
    else:
        try:
            metrics = private.given_metrics(model)
            fitting = [None if each is None else fit_metrics(each, model.loss) for each in metrics]
            if any(a is not b for a, b in zip(*map(keras.tree.flatten, (metrics, fitting)), strict=True)):
                private.set_given_metrics(model, *fitting)
        except private.Unavailable:  # Keras refuses some of those that do not fit
            pass
    loss, compiled = spec.params.get("loss"), model.loss
    if all(isinstance(each, str | keras.losses.Loss | type) for each in (loss, compiled)):
        if loss != spec.defaults["loss"] and read_loss(loss)[0] != read_loss(compiled)[0]:
            raise ValueError(
                f"loss={loss!r}, but the model is compiled with {compiled!r}, and the target may not fit "
                "it. Give the same loss, or leave model.compile to the estimator."
            )


def make_callbacks(items, params):
    """Return the callbacks of one call as a list.

    ``params`` are for them, without prefix: ``{"patience": 3, "0__monitor": "loss"}``. Instances are not
    copied, as in Keras, unless there are parameters for them.
    """
    if items is None:
        return []
    if isinstance(items, list | tuple | dict):
        named = items.items() if isinstance(items, dict) else enumerate(items)
        common = {name: value for name, value in params.items() if "__" not in name}
        return [
            callback
            for name, item in named
            for callback in make_callbacks(item, {**common, **routed_params(params, name)})
        ]
    if inspect.isclass(items):
        items = _make("callback", items, params, None)
    elif params and isinstance(items, keras.callbacks.Callback):
        try:
            items = copy.deepcopy(items, {id(getattr(items, private.WATCHED_MODEL, None)): None})
        except Exception as error:
            raise TypeError(
                f"The callback {items!r} can't be copied with the parameters {params!r} ({error}). Give "
                "its class instead of an instance, or an instance without parameters callbacks__<name>."
            ) from error
        for name, value in params.items():
            if not hasattr(items, name):
                raise ValueError(
                    f"{type(items).__name__} has no parameter {name!r}.{nearest(name, vars(items))}"
                )
            setattr(items, name, value)
    if not isinstance(items, keras.callbacks.Callback):
        raise TypeError(
            "callbacks must be a keras.callbacks.Callback, a class of them, or a list or dict of "
            f"these; got {items!r} of type {type(items).__name__}."
        )
    return [items]
