"""What an estimator holds: parameters, with those that its signature does not name, and the network."""

import contextlib
import functools
import inspect
import sys
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skdl import _engine
from skdl._backend import check_not_forked
from skdl._dense import NotDense
from skdl._model._build import ModelSpec
from skdl._model._compile import PREFIXES, as_python, make_callbacks, nearest, routed_params
from skdl._model._dense_state import keras_model, read_state, write_state
from skdl._onnx import NetworkParts, functional_model, network_parts, output_units, register_if_used
from skdl._persistence import Packed, copied, copies_in, holds_keras
from skdl._training._plan import FIT_PARAMS, TRAINING_PARAMS

SEEDS = np.iinfo(np.int32).max
# What scikit-learn keeps on an estimator during a fit. A copy for a callback can be fitted itself.
_RUNNING_FIT = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown"}

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _Copied:
    """A parameter that `sklearn.base.clone` takes as its own copy."""

    def __init__(self, copy):
        self._copy = copy

    def __sklearn_clone__(self):
        return self._copy


class EstimatorState(BaseEstimator):
    """Parameters and network of an estimator, and how they are read, set, copied and pickled.

    Routed parameters, such as ``optimizer__learning_rate``, are stored in the dict ``_routed_params``.
    ``get_params``, ``set_params``, ``clone``, the repr and attribute access treat them like any other.
    """

    # Copies and pickles of an object that refers to an estimator leave the estimator to its own methods.
    _packs_itself = True
    # Allowed prefixes of routed parameters.
    _prefixes = PREFIXES
    # Whether parameters without a known prefix are allowed, as arguments of the user's builder.
    _allows_builder_params = True
    # Attributes that users of Keras look for, and what to use instead.
    _alternatives = {
        "history": "the history of a fitted estimator is history_",
        "evaluate": "call score(X, y), or a metric of scikit-learn",
        "save": "save an estimator by skdl.save(estimator, path), its Keras model alone by model_.save(path)",
        "compile": "an estimator compiles its model in fit, by the parameters optimizer, loss and metrics",
        **{
            use.removesuffix("()"): f"the Keras model of a fitted estimator is model_: use model_.{use}"
            for use in "layers summary() get_weights() set_weights() save_weights() load_weights()".split()
        },
    }

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register_if_used(cls)
        # inspect.signature would show __new__, and no parameters that __init__ passes on by **kwargs.
        own = inspect.signature(cls.__init__).parameters
        shown = [
            each if name in own else each.replace(kind=each.KEYWORD_ONLY)
            for name, each in cls._init_parameters().items()
        ]
        if cls._allows_builder_params:
            shown += [each for each in own.values() if each.kind is each.VAR_KEYWORD]
        cls.__signature__ = inspect.Signature(shown)

    def __new__(cls, *args, **kwargs):
        # A subclass written for scikeras may name routed parameters in its signature without storing them.
        self = super().__new__(cls)
        vars(self)["_routed_params"] = {name: value for name, value in kwargs.items() if "__" in name}
        return self

    @classmethod
    @functools.cache
    def _init_parameters(cls, *, include_fixed=False):
        """Return the parameters of ``__init__`` by name, inherited ones included.

        ``include_fixed`` adds those that a subclass sets itself and leaves out of its signature.
        """
        found = {}
        for klass in cls.__mro__:
            if "__init__" not in vars(klass):
                continue
            parameters = list(inspect.signature(klass.__init__).parameters.values())[1:]
            for parameter in parameters:
                if parameter.kind in _KEYWORDS:
                    found.setdefault(parameter.name, parameter)
            if not include_fixed and all(each.kind is not each.VAR_KEYWORD for each in parameters):
                break
        return found

    @classmethod
    def _get_param_names(cls):
        return sorted(cls._init_parameters())

    @classmethod
    def _is_routed(cls, name):
        return "__" in name and name.partition("__")[0] in cls._prefixes

    def _nearest(self, name, valid):
        """Return a sentence that names the valid parameter nearest to a misspelt one, or ""."""
        prefix, routed, rest = name.partition("__")
        misspelt = routed and prefix not in PREFIXES
        return nearest(name, {*valid, *(f"{each}__{rest}" for each in self._prefixes if misspelt)})

    @classmethod
    def _is_overridden(cls, *names):
        """Return whether a subclass outside skdl defines one of these methods or properties."""
        found = [getattr(cls, name, None) for name in names]
        found = [getattr(each, "fget", each) for each in found if each is not None]
        return not all(each.__module__.startswith("skdl.") for each in found)

    def _store_routed(self, params):
        """Store routed parameters; raise TypeError for any other, as Python does."""
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
            Parameters of the signature, or routed ones such as ``optimizer__learning_rate``. A name that is
            neither raises ValueError, which names the nearest valid one.

        Returns
        -------
        estimator
        """
        routed = vars(self).setdefault("_routed_params", {})
        own = set(self._get_param_names())
        plain = {}
        for name, value in params.items():
            # First, since a subclass may name optimizer__learning_rate in its signature, and scikit-learn
            # would look for a parameter of the parameter optimizer.
            if name in routed or self._is_routed(name):
                continue
            if name not in own and name.partition("__")[0] not in own:
                valid = sorted(own | set(routed))
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}."
                    f"{self._nearest(name, valid)} Valid parameters are: {valid}, and routed ones that start "
                    f"with {', '.join(sorted(prefix + '__' for prefix in self._prefixes))}."
                )
            plain[name] = value
        routed.update({name: value for name, value in params.items() if name not in plain})
        super().set_params(**plain)
        return self

    def __getattr__(self, name):
        if name == "model_" and "_dense" in vars(self):
            # The Keras model of a dense network is made on first use, and takes its place.
            model = self._make_keras_model()
            vars(self).pop("_dense", None)
            return vars(self).setdefault("model_", model)
        routed = vars(self).get("_routed_params", {})
        if name in routed:
            return routed[name]
        if "__" in name and not name.startswith("__"):
            parameter = self._init_parameters().get(name)
            if parameter is not None:
                return parameter.default
        static = next((vars(cls)[name] for cls in type(self).__mro__ if name in vars(cls)), None)
        if hasattr(type(static), "__get__"):
            # A property raised an AttributeError, which Python replaces by this call. Raise its own again.
            return static.__get__(self, type(self))
        instead = self._alternatives.get(name)
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r}{f'; {instead}' if instead else ''}"
        )

    def __setattr__(self, name, value):
        if name in vars(self).get("_routed_params", {}) or self._is_routed(name):
            vars(self).setdefault("_routed_params", {})[name] = value
        else:
            super().__setattr__(name, value)

    # Clones, copies and pickles.

    def __sklearn_clone__(self):
        # Keras's parts have a deepcopy by configuration, so they are copied before scikit-learn does it.
        params = self.get_params(deep=False)
        copies = copies_in({n: v for n, v in params.items() if not hasattr(v, "__sklearn_clone__")})
        stand_in = object.__new__(type(self))
        vars(stand_in).update(vars(self), _routed_params=dict(self._routed_params))
        for name, value in copies.items():
            if value is not params[name]:
                setattr(stand_in, name, _Copied(value))
        return BaseEstimator.__sklearn_clone__(stand_in)

    def __getstate__(self):
        state = {name: each for name, each in super().__getstate__().items() if name not in _RUNNING_FIT}
        # Together, since they may share parts: a callback has the model that it watched.
        packed = {name: value for name, value in state.items() if holds_keras(value)}
        rest = {name: value for name, value in state.items() if name not in packed}
        return {**rest, "_packed": Packed(packed)} if packed else state

    def __setstate__(self, state):
        state = dict(state)
        packed = state.pop("_packed", None)
        super().__setstate__(state | packed.thing if packed else state)

    # ONNX.

    def _onnx_parts(self):
        """Return the `NetworkParts`; raise ValueError where code of the user's makes the prediction."""
        check_is_fitted(self)
        for name in ("predict", "predict_proba", "target_encoder", "feature_encoder"):
            if self._is_overridden(name):
                raise ValueError(
                    f"{type(self).__name__} can't be written as ONNX: its {name} is code of its own. Use "
                    "pickle or joblib, or write what it does as a step of a Pipeline that skl2onnx converts."
                )
        return self._network_parts()

    def _network_parts(self):
        try:
            network = self._dense_network()
        except NotDense:
            name = type(self).__name__
            network = functional_model(self.model_, self._row_shape, self.X_dtype_.name, name)
        if is_classifier(self):
            return network_parts(network, self._target, self._trained_loss(), vars(self).get("classes_"))
        return NetworkParts(network, output_units(network), "numbers")

    # What is made of the parameters.

    def _all_params(self):
        """Return all parameters, with those that a subclass sets and leaves out of its signature."""
        fixed = {name: value for name, value in vars(self).items() if name in self._parameter_constraints}
        return {**fixed, **self.get_params(deep=False)}

    def _params_for(self, destination):
        """Return the parameters ``<destination>__<name>`` by name."""
        return routed_params(self._all_params(), destination)

    def _compile_params(self):
        """Return the parameters by which the model is compiled."""
        return self._all_params()

    def _spec(self, train=None):
        """Return what a model is built by, perhaps for rows to train on."""
        return ModelSpec(
            type(self).__name__,
            as_python(self._all_params()),
            {name: each.default for name, each in self._init_parameters(include_fixed=True).items()},
            as_python(self._compile_params()),
        )

    def _fit_settings(self, arguments):
        """Return the settings of a training: arguments of `fit`, else ``fit__<name>``, else parameters."""
        params = self._all_params()
        own = {name: params[name] for name in TRAINING_PARAMS if name in params}
        routed = {name: value for name, value in self._params_for("fit").items() if name in FIT_PARAMS}
        return as_python({**own, **routed, **arguments})

    def _make_callbacks(self, *parameters, given=None):
        """Return the callbacks of one call, from parameters and from those given to the call."""
        params = self._all_params()
        callbacks = make_callbacks(given, {})
        for name in reversed(parameters):
            callbacks = make_callbacks(params.get(name), as_python(self._params_for(name))) + callbacks
        return callbacks

    def _draw_seeds(self, n):
        """Draw ``n`` seeds from ``random_state``, which advances if it is a generator."""
        return [int(seed) for seed in check_random_state(self.random_state).randint(SEEDS, size=n)]

    def _draw_seed(self):
        return self._draw_seeds(1)[0]

    # The network: a Keras model, or the state of a dense network that is trained without Keras.

    @property
    def initialized_(self) -> bool:
        """Whether there is a model, so that `predict` can be called."""
        return not vars(self).keys().isdisjoint({"model_", "_dense"})

    def __sklearn_is_fitted__(self):
        return self.initialized_

    @property
    def _network(self):
        """The Keras model if there is one, else the dense network."""
        return self.model_ if "model_" in vars(self) else self._dense

    def _make_keras_model(self):
        """Return the Keras model of the dense network."""
        return keras_model(self._dense, seed=self._seed)

    def _copied_network(self):
        """Return the attribute that holds the network, with a copy of it."""
        if "model_" in vars(self):
            return {"model_": copied(self.model_)}
        return {"_dense": self._dense.copy()}

    def _dense_network(self, n_columns=1):
        """Return the network as a dense one, or raise NotDense. ``n_columns`` are those of the target."""
        if "model_" not in vars(self):
            return self._dense
        check_not_forked()
        return read_state(self.model_, n_columns)

    def _keep_network(self, state, model):
        """Keep a trained dense network: in the Keras model that it was read from, if any."""
        if model is not None:
            write_state(state, model)
        else:
            vars(self).pop("model_", None)  # a callback may have asked for it
            self._dense = state

    def _trained_loss(self):
        """Return the loss that the network is compiled with, or None."""
        if "model_" not in vars(self):
            return self._dense.network.described["loss"]
        return self.model_.loss if self.model_.compiled else None

    @property
    def current_epoch(self) -> int:
        """Number of epochs recorded in ``history_``."""
        return len(next(iter(self._history().values()), []))

    def _history(self):
        return vars(self).get("history_", {})

    @contextlib.contextmanager
    def _restored_on_error(self, *, trains_model=False):
        """Return a context that restores the attributes where a fit fails, and the model that it trains."""
        before = {name: dict(each) if isinstance(each, dict) else each for name, each in vars(self).items()}
        try:
            with contextlib.ExitStack() as stack:
                if mlflow := sys.modules.get("mlflow.utils.autologging_utils"):
                    # Its autologging, if it is on, ignores the encoders that are fitted.
                    stack.enter_context(mlflow.disable_autologging())
                if trains_model and "model_" in before:  # of a dense network, a copy is trained
                    check_not_forked()
                    stack.enter_context(_engine.rolled_back_where_it_fails(self.model_))
                yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
