"""Optimizers, losses, metrics and callbacks: made of names and classes, or copied."""

import inspect

from skdl._persistence import copied, remade
from skdl._routing import nearest
from skdl._scikeras import try_to_convert_strings_to_classes, unflatten_params

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
