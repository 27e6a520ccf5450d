"""Names of parameters: prefixes such as ``optimizer__``, and the nearest valid name for a misspelt one."""

import difflib
import inspect

import numpy as np

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
        return replaced if any(replaced[name] is not each for name, each in value.items()) else value
    if type(value) in (list, tuple):
        replaced = type(value)(map(as_python, value))
        return (
            replaced if any(one is not other for one, other in zip(replaced, value, strict=True)) else value
        )
    return value


def route_params(params, *, destination, pass_filter, strict=False):
    """Return the parameters ``<destination>__<name>`` by name, and those without prefix in ``pass_filter``.

    ``strict`` leaves out ``<destination>__<name>__<name>``.
    """
    start = f"{destination}__"
    plain = {name: value for name, value in params.items() if "__" not in name and name in pass_filter}
    routed = {name[len(start) :]: value for name, value in params.items() if name.startswith(start)}
    return plain | {name: value for name, value in routed.items() if not (strict and "__" in name)}


def has_param(function, name):
    """Return whether a function has a parameter with a name, which can be given by keyword."""
    parameter = inspect.signature(function).parameters.get(name)
    return parameter is not None and parameter.kind in (
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    )


def accepts_kwargs(function):
    """Return whether a function takes keyword arguments of any name."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())
