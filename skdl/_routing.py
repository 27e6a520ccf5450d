"""Names of parameters: prefixes such as ``optimizer__``, and the nearest valid name for a misspelt one."""

import difflib
import inspect

import numpy as np

# Where a parameter ``<prefix>__<name>`` may go.
PREFIXES = frozenset(
    {"model", "compile", "fit", "predict", "score", "optimizer", "loss", "metrics", "callbacks"}
)
# Names of scikit-learn's and PyTorch's networks and of older Keras, with those that are meant,
# the first of them that an estimator has.
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
    """Say which valid name is meant by a misspelt one.

    Parameters
    ----------
    name : str
    valid : iterable of str

    Returns
    -------
    str
        " Did you mean 'epochs'?", or "" where nothing is near.
    """
    for other in _MEANT.get(name, ()):
        if other.partition("__")[0] in valid:
            return f" Did you mean {other!r}?"
    as_written = {other.lower(): other for other in valid}
    near = difflib.get_close_matches(name.lower(), as_written, n=1)
    return f" Did you mean {as_written[near[0]]!r}?" if near else ""


def as_python(value):
    """Return Python's own numbers and strings for NumPy's, which Keras refuses in many places.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        With those in lists, tuples and dicts replaced too. All else is the object itself.
    """
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
    """Return the parameters of one destination, without their prefix.

    Parameters
    ----------
    params : dict of str to object
    destination : str
        Prefix, without the two underscores.
    pass_filter : collection of str
        Names without prefix that are handed on, too.
    strict : bool, default=False
        Leave out what is routed further, as ``<destination>__<name>__<name>``.

    Returns
    -------
    dict of str to object
    """
    start = f"{destination}__"
    plain = {name: value for name, value in params.items() if "__" not in name and name in pass_filter}
    routed = {name[len(start) :]: value for name, value in params.items() if name.startswith(start)}
    return plain | {name: value for name, value in routed.items() if not (strict and "__" in name)}


def has_param(function, name):
    """Whether a function has a parameter of this name, for a keyword argument."""
    parameter = inspect.signature(function).parameters.get(name)
    return parameter is not None and parameter.kind in (
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    )


def accepts_kwargs(function):
    """Whether a function takes keyword arguments of any name."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())
