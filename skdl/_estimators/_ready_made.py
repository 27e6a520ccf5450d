"""Base of the estimators that build their networks themselves."""

import copy
import functools
import inspect
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skdl import _engine
from skdl._backend import keras, seeded
from skdl._estimators._base import TRAINING_CONSTRAINTS, KerasEstimator
from skdl._estimators._classifier import KerasClassifierMixin
from skdl._model import ModelSpec, build, compile_model, layer_sizes
from skdl._targets import OneHotTarget, is_one_hot, takes_one_hot

_ACTIVATIONS = {name for name, value in vars(keras.activations).items() if callable(value)} - {
    *("get", "serialize", "deserialize")
}
SIZES = [Interval(Integral, 1, None, closed="left"), "array-like"]
NETWORK_CONSTRAINTS = {
    "hidden_layer_sizes": SIZES,
    "activation": [StrOptions(_ACTIVATIONS), callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}
READY_MADE_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    "loss": [str, callable, keras.losses.Loss],
    "learning_rate": [
        Interval(Real, 0, None, closed="neither"),
        keras.optimizers.schedules.LearningRateSchedule,
        None,
    ],
}


# Parameters that the network and its compiling do not depend on.
_OF_TRAINING = frozenset(TRAINING_CONSTRAINTS) - {"optimizer", "metrics"} | {"class_weight"}


def _of_network(params):
    return {name: value for name, value in params.items() if name not in _OF_TRAINING}


def _is_plain(value):
    """Whether a parameter tells by its value all that it means."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | np.bool_ | np.integer | np.floating)


class ReadyMade(KerasEstimator):
    """An estimator that builds its network itself: a subclass adds a signature and a network.

    The output layer, ``loss="auto"`` and the encoding fit the target.
    """

    # Function that builds the network of an input shape, the units and the activation of the
    # output layer, and those parameters of the estimator that it names.
    _network = None
    _keeps_integers = False
    _prefixes = KerasEstimator._prefixes - {"model", "compile"}
    _takes_others = False

    def _keras_build_fn(self):
        return self._network_builder(self._settings())()

    def _network_builder(self, settings):
        """Return a function without arguments that builds the network, and needs no estimator for it."""
        output = self._target.output(self._encoded_loss())
        names = inspect.signature(self._network).parameters
        params = {name: value for name, value in settings.items() if name in names}
        return functools.partial(self._network, self._row_shape, output.units, output.activation, **params)

    def _defer(self, plan, seed):
        if type(self).__module__.partition(".")[0] != "skdl" or not plan.is_plain:
            return None
        params, to_compile = map(_of_network, (self._settings(), self._compile_params()))
        try:
            sizes = tuple(layer_sizes(params["hidden_layer_sizes"], "hidden_layer_sizes"))
        except ValueError:  # the network says so, too
            return None
        rate = params["learning_rate"]
        others = sorted((name, params[name]) for name in {*params} - {"hidden_layer_sizes", "learning_rate"})
        if not all(map(_is_plain, [rate, others])):
            return None
        # Whoever changes the estimator later, or a list that it was given, does not change this network.
        params, to_compile = copy.deepcopy(({**params, "hidden_layer_sizes": sizes}, to_compile))
        spec = ModelSpec(type(self).__name__, params, self._spec().defaults, to_compile)
        builder = self._network_builder(params)

        def make():
            with seeded(seed, user_code=False):
                model = build(spec, builder, {})
            compile_model(model, spec)
            return model

        kind = type(self), self._network, repr(others), repr(builder.args), repr(to_compile["loss"])
        rate = None if rate is None else float(rate)
        return _engine.defer(kind, sizes=sizes, rate=rate, seed=seed, make=make)

    def _encoded_loss(self):
        return self._target.loss(self.loss)

    def _compile_params(self):
        params = {**self._settings(), "loss": self._encoded_loss()}
        rate = params.pop("learning_rate")
        if rate is not None:
            if "optimizer__learning_rate" in params:
                raise ValueError("Both learning_rate and optimizer__learning_rate are given; give one.")
            # Keras takes no integers.
            params["optimizer__learning_rate"] = float(rate) if isinstance(rate, Real) else rate
        return params


class ReadyMadeClassifier(KerasClassifierMixin, ReadyMade):
    """A classifier that builds its network itself: one-hot rows are classes where the loss says so."""

    def _type_of_target(self, y):
        if self._has_own_encoder() or not is_one_hot(y):
            return super()._type_of_target(y)
        if takes_one_hot(self.loss):
            return OneHotTarget.name
        loss = getattr(self.loss, "__name__", self.loss)
        warnings.warn(
            f"Each row of y has exactly one 1 in {y.shape[1]} columns, as one-hot classes have, but with "
            f"loss={loss!r} the columns are independent labels: each has a sigmoid of its own. If these are "
            'classes, give y.argmax(axis=1), or loss="categorical_crossentropy".',
            UserWarning,
            stacklevel=6,
        )
        return super()._type_of_target(y)

    def _strata_of(self, y):
        if takes_one_hot(self.loss) and not self._has_own_encoder() and is_one_hot(y):
            return OneHotTarget.strata(y)
        return super()._strata_of(y)
