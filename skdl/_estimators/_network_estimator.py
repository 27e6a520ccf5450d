"""The base of the estimators that build their own network: `NetworkEstimator`."""

import functools
from numbers import Integral, Real

from skdl._dense import NotDense
from skdl._estimators._base import KerasEstimator
from skdl._model import check_routed_params, described_network, initial_state, sequential
from skdl._targets import fitting_metric


def layer_sizes(sizes, name):
    """Return sizes of layers, one integer or several, as a list of int. ``name`` is that of the parameter."""
    given = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if any(not isinstance(size, Integral) or size < 1 for size in given):
        raise ValueError(f"{name} must hold integers of at least 1, but is {sizes!r}.")
    return [int(size) for size in given]  # Keras refuses integers of NumPy


class NetworkEstimator(KerasEstimator):
    """Base of the estimators that build their own network. A subclass adds a signature and `_layers`.

    The output layer, ``loss="auto"`` and the encoding fit the target.
    """

    _keeps_integers = False
    _prefixes = KerasEstimator._prefixes - {"model", "compile"}
    _allows_builder_params = False

    def _layers(self, row_shape, output):
        """Return class name and arguments of each of Keras's layers.

        Parameters
        ----------
        row_shape : tuple of int
            Shape of one row, encoded.
        output : tuple (str, dict)
            The output layer, which comes last.

        Returns
        -------
        list of tuple (str, dict)
        """
        raise NotImplementedError(f"{type(self).__name__} must define _layers.")

    def _described_layers(self):
        output = self._target.output(self._loss_with_params())
        output = "Dense", {"units": output.units, "activation": output.activation}
        return self._layers(self._row_shape, output)

    def _keras_build_fn(self):
        return sequential(self._row_shape, self._described_layers())

    def _initial_state(self, seed):
        if self._is_overridden("_keras_build_fn"):
            raise NotDense(f"{type(self).__name__} has a builder of its own")
        spec, layers = self._spec(), self._described_layers()
        check_routed_params(spec.params, set(spec.defaults), self._keras_build_fn)
        form = self._target.form(self._loss_with_params(), layers[-1][1]["units"])
        fit_metric = functools.partial(fitting_metric, form=form, loss=self._encoded_loss())
        network = described_network(self._row_shape, layers, spec.compile_params, fit_metric)
        return initial_state(network, seed)

    def _encoded_loss(self):
        return self._target.loss(self.loss)

    def _loss_with_params(self):
        """Return the loss, in a tuple with its parameters if there are any, as `read_loss` takes it."""
        loss, params = self._encoded_loss(), self._params_for("loss")
        return (loss, params) if params else loss

    def _compile_params(self):
        params = {**self._all_params(), "loss": self._encoded_loss()}
        rate = params.pop("learning_rate")
        if rate is not None:
            if "optimizer__learning_rate" in params:
                raise ValueError("Both learning_rate and optimizer__learning_rate are given; give one.")
            # Keras refuses integers.
            params["optimizer__learning_rate"] = float(rate) if isinstance(rate, Real) else rate
        return params

    def _weights_named(self, name):
        """Return the weights with this name, in the order of the layers."""
        if "model_" in vars(self):
            return [each.numpy() for each in self.model_.weights if each.name == name]
        names = [each.name for of_layer in self._dense.network.variables for each in of_layer]
        return [each for each, own in zip(self._dense.get_weights(), names, strict=True) if own == name]
