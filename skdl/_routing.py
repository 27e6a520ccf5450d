"""Parameters beyond those of the signature: ``optimizer__learning_rate`` and its like."""

import difflib
import functools
import inspect
from typing import Any, Self

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


class RoutedParamsMixin:
    """Estimator with parameters that are not in the signature of its ``__init__``.

    They are stored in one private dict and appear in ``get_params``, ``set_params``,
    ``clone``, the repr and as attributes like any other parameter.
    """

    # What a routed parameter may start with.
    _prefixes = PREFIXES
    # Attributes that users of Keras look for, and what to write instead.
    _instead_of: dict = {}

    # Whether it may have parameters besides those of the signature and routed ones.
    _takes_others = True

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # That of __new__ says nothing, and that of __init__ not what is passed up.
        own = list(inspect.signature(cls.__init__).parameters.values())[1:]
        others = [each for each in own if each.kind is each.VAR_KEYWORD]
        own = [each for each in own if each not in others]
        known = {each.name for each in own}
        passed_up = [
            each.replace(kind=each.KEYWORD_ONLY)
            for name, each in cls._init_signature().items()
            if name not in known
        ]
        cls.__signature__ = inspect.Signature(own + passed_up + (others if cls._takes_others else []))

    def __new__(cls, *args, **kwargs):
        # Here and not in __init__, since subclasses written for scikeras name routed
        # parameters in their signature without storing them.
        self = super().__new__(cls)
        vars(self)["_routed_params"] = {name: value for name, value in kwargs.items() if "__" in name}
        return self

    @classmethod
    @functools.cache
    def _init_signature(cls, *, settled=False):
        """Return the keyword parameters of ``__init__``, those passed up included.

        With ``settled`` also those that a subclass leaves out, because it sets them itself.
        """
        found = {}
        for klass in cls.__mro__:
            if "__init__" not in vars(klass):
                continue
            parameters = list(inspect.signature(klass.__init__).parameters.values())[1:]
            kinds = {parameter.kind for parameter in parameters}
            for parameter in parameters:
                if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                    found.setdefault(parameter.name, parameter)
            if inspect.Parameter.VAR_KEYWORD not in kinds and not settled:
                break
        return found

    @classmethod
    def _get_param_names(cls):
        return sorted(cls._init_signature())

    @classmethod
    def _is_routed(cls, name):
        return "__" in name and name.partition("__")[0] in cls._prefixes

    @classmethod
    def _nearest(cls, name, valid):
        """Say which parameter is meant by a misspelt one, a misspelt prefix included."""
        prefix, routed, rest = name.partition("__")
        prefixes = (
            {f"{each}__{rest}" for each in cls._prefixes} if routed and prefix not in PREFIXES else set()
        )
        return nearest(name, {*valid, *prefixes})

    def _hint(self, name, valid):
        """Say what to write instead of a parameter that there is not."""
        return self._nearest(name, valid)

    def _take_routed(self, params):
        """Keep routed parameters, and refuse all others, as Python refuses arguments.

        Raises
        ------
        TypeError
            With the nearest valid name.
        """
        for name in params:
            if not self._is_routed(name):
                raise TypeError(
                    f"{type(self).__name__}() got an unexpected keyword argument {name!r}."
                    f"{self._nearest(name, self._get_param_names())}"
                )
        self._routed_params.update(params)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of this estimator, routed ones included.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of contained estimators.

        Returns
        -------
        dict
        """
        return {**super().get_params(deep=deep), **vars(self).get("_routed_params", {})}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator.

        Parameters
        ----------
        **params : dict
            Parameters of the signature, or routed ones such as
            ``optimizer__learning_rate`` or ``model__units``.

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            If a name is neither; the message names the nearest valid one.
        """
        routed = vars(self).setdefault("_routed_params", {})
        own = set(self._get_param_names())
        for name in params:
            known = name in own or name in routed or self._is_routed(name)
            if not known and name.partition("__")[0] not in own:
                valid = sorted(own | set(routed))
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}."
                    f"{self._hint(name, valid)} Valid parameters are: {valid}, and routed ones that start "
                    f"with {', '.join(sorted(prefix + '__' for prefix in self._prefixes))}."
                )
        plain = {}
        for name, value in params.items():
            # A subclass may name optimizer__learning_rate in its signature; scikit-learn
            # would look for a parameter of the parameter optimizer.
            if name in routed or self._is_routed(name):
                routed[name] = value
            else:
                plain[name] = value
        super().set_params(**plain)
        return self

    def __getattr__(self, name):
        routed = vars(self).get("_routed_params", {})
        if name in routed:
            return routed[name]
        if "__" in name and not name.startswith("__"):
            parameter = self._init_signature().get(name)
            if parameter is not None:
                return parameter.default
        static = next((vars(cls)[name] for cls in type(self).__mro__ if name in vars(cls)), None)
        if hasattr(type(static), "__get__"):
            # A property or its like raised an AttributeError. It raises it once more, with its own words.
            return static.__get__(self, type(self))
        instead = self._instead_of.get(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}{f'; {instead}' if instead else ''}"
        )

    def __setattr__(self, name, value):
        if name in vars(self).get("_routed_params", {}) or self._is_routed(name):
            vars(self).setdefault("_routed_params", {})[name] = value
        else:
            super().__setattr__(name, value)
