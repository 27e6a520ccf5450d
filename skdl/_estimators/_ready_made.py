"""Base of the estimators that build their networks themselves."""

import functools
import inspect
from numbers import Real

from skdl._dense import NotDense
from skdl._estimators._base import KerasEstimator
from skdl._estimators._mixins import KerasClassifierMixin
from skdl._model import (
    check_routed_params,
    described_network,
    initial_state,
    sequential,
)
from skdl._routing import as_python
from skdl._targets import meant


class ReadyMade(KerasEstimator):
    """An estimator that builds its network itself: a subclass adds a signature and the layers.

    The output layer, ``loss="auto"`` and the encoding fit the target.
    """

    # Function that describes the layers for an input shape, the units and the activation of the
    # output layer, and those parameters of the estimator that it names.
    _layers = None
    _keeps_integers = False
    _prefixes = KerasEstimator._prefixes - {"model", "compile"}
    _takes_others = False

    def _keras_build_fn(self):
        return sequential(self._row_shape, self._described_layers())

    def _described_layers(self):
        output = self._target.output(self._whole_loss())
        names = inspect.signature(self._layers).parameters
        params = as_python({name: value for name, value in self._settings().items() if name in names})
        return self._layers(self._row_shape, output.units, output.activation, **params)

    def _initial_state(self, seed):
        if next(cls for cls in type(self).__mro__ if "_keras_build_fn" in vars(cls)) is not ReadyMade:
            raise NotDense(f"{type(self).__name__} has a builder of its own")
        spec, layers = self._spec(), self._described_layers()
        check_routed_params(spec.params, set(spec.defaults), self._keras_build_fn)
        loss = self._encoded_loss()
        form = self._target.form(self._whole_loss(), layers[-1][1]["units"])
        settle = functools.partial(meant, form=form, loss=loss)
        network = described_network(self._row_shape, layers, spec.compile_params, settle)
        return initial_state(network, seed)

    def _weights_named(self, name):
        """Return the weights of this name of the dense layers, of both kinds of network."""
        if "model_" in vars(self):
            return [each.numpy() for each in self.model_.weights if each.name == name]
        names = [each.name for of_layer in self._dense.network.variables for each in of_layer]
        return [each for each, own in zip(self._dense.get_weights(), names, strict=True) if own == name]

    def _encoded_loss(self):
        return self._target.loss(self.loss)

    def _whole_loss(self):
        """Return the loss with its parameters, such as ``loss__from_logits``, as `read_loss` takes it."""
        loss, arguments = self._encoded_loss(), self._routed_to("loss")
        return (loss, arguments) if arguments else loss

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
    """A classifier that builds its network itself."""
