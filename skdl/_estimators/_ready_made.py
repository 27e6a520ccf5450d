"""Base of the estimators that build their networks themselves."""

import inspect
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from skdl._backend import keras
from skdl._estimators._base import TRAINING_CONSTRAINTS, KerasEstimator
from skdl._estimators._classifier import KerasClassifierMixin
from skdl._targets import OneHotTarget, is_one_hot, takes_one_hot
from skdl._warnings import warn

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
        output = self._target.output(self._encoded_loss())
        names = inspect.signature(self._network).parameters
        params = {name: value for name, value in self._settings().items() if name in names}
        return self._network(self._row_shape, output.units, output.activation, **params)

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
        warn(
            f"Each row of y has exactly one 1 in {y.shape[1]} columns, as one-hot classes have, but with "
            f"loss={loss!r} the columns are independent labels: each has a sigmoid of its own. If these are "
            'classes, give y.argmax(axis=1), or loss="categorical_crossentropy".',
        )
        return super()._type_of_target(y)

    def _strata_of(self, y):
        if takes_one_hot(self.loss) and not self._has_own_encoder() and is_one_hot(y):
            return OneHotTarget.strata(y)
        return super()._strata_of(y)
