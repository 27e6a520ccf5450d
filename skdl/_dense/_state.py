"""All that training changes: weights, statistics, the optimizer's arrays, the states of random generators."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skdl._dense._network import Network, NotDense, network_of
from skdl._dense._optimizers import OPTIMIZERS, SCHEDULES
from skdl._dense._random import uniform


@dataclass
class State:
    """A network with its weights, and where its training stands.

    Parameters
    ----------
    network : Network
    weights : ndarray of shape (n_weights,)
        All trainable weights in Keras's order, flat.
    statistics : ndarray
        Moving means and variances in Keras's order, flat.
    slots : ndarray of shape (n_slots, n_weights)
        The arrays of the optimizer.
    averages : ndarray of shape (n_weights,) or None
        Of the weights, where the optimizer has ``use_ema``.
    draws : ndarray of int64 of shape (n_dropout, 2)
        State of each dropout layer's seed generator: a seed, and how often it drew.
    iterations : int
        Steps made.
    learning_rate : float or None
        None where it follows a schedule.
    momentum_product : float
        Of Nadam.
    """

    network: Network
    weights: np.ndarray
    statistics: np.ndarray
    slots: np.ndarray
    averages: np.ndarray | None
    draws: np.ndarray
    iterations: int
    learning_rate: float | None
    momentum_product: float = 1.0

    def views(self, flat):
        """Return the parts of an array of all trainable weights, in their shapes."""
        return _parts(flat, [v.shape for v in _variables(self.network) if v.trainable])

    def moving(self):
        """Return views of the moving means and variances."""
        return _parts(self.statistics, [v.shape for v in _variables(self.network) if not v.trainable])

    def _arrays(self):
        trained, moving = iter(self.views(self.weights)), iter(self.moving())
        return [next(trained if v.trainable else moving) for v in _variables(self.network)]

    def get_weights(self):
        """Return copies of all weights and statistics, in the order of ``model.get_weights()``."""
        return [array.copy() for array in self._arrays()]

    def set_weights(self, weights):
        """Set all weights and statistics, in the order of ``model.get_weights()``."""
        for array, given in zip(self._arrays(), weights, strict=True):
            array[...] = given

    def _optimizer_arrays(self):
        arrays = [] if self.averages is None else self.views(self.averages)
        slots = iter(self.slots)
        for group in _slots(self.network):
            of_slots = [self.views(next(slots)) for _ in group]
            arrays += [array for of_variable in zip(*of_slots, strict=True) for array in of_variable]
        return arrays

    def optimizer_variables(self):
        """Return copies of the values of Keras's ``optimizer.variables``, in their order."""
        rate = [] if self.learning_rate is None else [self.weights.dtype.type(self.learning_rate)]
        last = [self.weights.dtype.type(self.momentum_product)] if self.network.optimizer == "Nadam" else []
        return [np.int64(self.iterations), *rate, *(a.copy() for a in self._optimizer_arrays()), *last]

    def set_optimizer_variables(self, values):
        """Set what `optimizer_variables` returns."""
        iterations, *values = values
        self.iterations = int(iterations)
        if self.learning_rate is not None:
            self.learning_rate = float(values.pop(0))
        if self.network.optimizer == "Nadam":
            self.momentum_product = float(values.pop())
        for array, given in zip(self._optimizer_arrays(), values, strict=True):
            array[...] = given

    def current_learning_rate(self):
        """Return the learning rate of the next step."""
        if self.learning_rate is not None:
            return self.learning_rate
        name, settings = self.network.settings["learning_rate"]
        return SCHEDULES[name][0](self.iterations, settings)

    def copy(self):
        """Return a copy that shares no array."""
        arrays = {name: value.copy() for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def __getstate__(self):
        # joblib hashes the strides of arrays, and an empty one has others where it comes from a pickle.
        empty = {name: np.empty(a.shape, a.dtype) for name, a in vars(self).items() if np.size(a) == 0}
        # Not the network itself, of which each release may have other parts.
        return {**vars(self), **empty, "network": self.network.described}

    def __setstate__(self, state):
        vars(self).update(state, network=network_of(**state["network"]))


def _variables(network):
    return [variable for layer in network.layers for variable in layer.variables]


def _slots(network):
    return OPTIMIZERS[network.optimizer].slots(network.settings)


def _parts(flat, shapes):
    """Return views of consecutive parts of a flat array."""
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(flat[start:stop].reshape(shape))
        start = stop
    return parts


def blank_state(network):
    """Return the state of a network before its first step, with zeros for weights, statistics and seeds."""
    dtype, settings = np.dtype(network.dtype), network.settings
    n_weights = sum(v.size for v in _variables(network) if v.trainable)
    n_statistics = sum(v.size for v in _variables(network)) - n_weights
    n_slots, start = sum(map(len, _slots(network))), settings.get("initial_accumulator_value", 0)
    rate = settings["learning_rate"]
    return State(
        network,
        weights=np.zeros(n_weights, dtype),
        statistics=np.zeros(n_statistics, dtype),
        slots=np.full((n_slots, n_weights), np.float32(start), dtype),
        averages=np.zeros(n_weights, dtype) if settings["use_ema"] else None,
        draws=np.zeros((sum(layer.kind == "dropout" for layer in network.layers), 2), np.int64),
        iterations=0,
        learning_rate=float(dtype.type(rate)) if isinstance(rate, float) else None,
    )


def n_seeds(network):
    """Return how many seeds `initial_state` takes."""
    initializers = [v.initializer for v in _variables(network) if v.initializer.kind == "uniform"]
    dropouts = [layer.settings["seed"] for layer in network.layers if layer.kind == "dropout"]
    return [*(i.seed for i in initializers), *dropouts].count(None)


def initial_state(network, seeds=()):
    """Return the state of a network that Keras has just built.

    Parameters
    ----------
    network : Network
    seeds : sequence of int, default=()
        One for each initialiser that draws and each dropout layer, in the order of the layers, without
        those that have a seed of their own. Keras draws these from Python's global generator.

    Returns
    -------
    State

    Raises
    ------
    NotDense
        If an initialiser draws what is not drawn here.
    """
    if len(seeds) != n_seeds(network):
        raise ValueError(f"The network takes {n_seeds(network)} seeds, but {len(seeds)} were given.")
    state, seeds = blank_state(network), iter(seeds)
    weights, draws = [], []
    for layer in network.layers:
        weights += [_initial_values(v, seeds, state.weights.dtype) for v in layer.variables]
        if layer.kind == "dropout":
            seed = layer.settings["seed"]
            draws.append((next(seeds) if seed is None else seed, 0))
    state.set_weights(weights)
    state.draws[...] = np.reshape(draws, (-1, 2))
    return state


def _initial_values(variable, seeds, dtype):
    """Return the first values of a variable, as Keras's initialisers make them."""
    kind, scale, mode, seed = variable.initializer
    if kind == "unknown":
        raise NotDense(f"The initializer {scale} is drawn by Keras.")
    if kind == "constant":
        return np.full(variable.shape, np.float32(scale), dtype)
    if mode is None:
        low, high = scale
    else:
        # keras/src/initializers/random_initializers.py: compute_fans and VarianceScaling.
        fans = variable.shape[0], variable.shape[-1]
        fan = {"fan_in": fans[0], "fan_out": fans[1], "fan_avg": sum(fans) / 2}[mode]
        high = np.sqrt(3 * (scale / max(1.0, fan)))
        low = -high
    # TensorFlow makes float32 of Python's numbers before it casts them.
    low, high = dtype.type(np.float32(low)), dtype.type(np.float32(high))
    seed = next(seeds) if seed is None else seed
    numbers = uniform(np.array([(seed, 0)], np.int64), variable.size, dtype)
    return (numbers * (high - low) + low).reshape(variable.shape)
