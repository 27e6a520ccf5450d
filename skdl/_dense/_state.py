"""All that training changes: weights, statistics, the optimizer's arrays, the states of random generators."""

import copy
from dataclasses import dataclass

import numpy as np

from skdl._dense._chain import Dropout, Network, NotDense
from skdl._dense._optimizers import OPTIMIZERS
from skdl._dense._random import uniform
from skdl._dense._schedules import scheduled_rate


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
        """Return the parts of a flat array of all trainable weights, in their shapes."""
        return _parts(flat, [v.shape for v in self._variables() if v.trainable])

    def moving(self):
        """Return views of the moving means and variances."""
        return _parts(self.statistics, [v.shape for v in self._variables() if not v.trainable])

    def _variables(self):
        return [v for of_layer in self.network.variables for v in of_layer]

    def _arrays(self):
        """Return views of all weights and statistics, in the order of ``model.get_weights()``."""
        trainable, moving = iter(self.views(self.weights)), iter(self.moving())
        return [next(trainable if v.trainable else moving) for v in self._variables()]

    def get_weights(self):
        """Return copies of all weights and statistics, in the order of ``model.get_weights()``."""
        return [array.copy() for array in self._arrays()]

    def set_weights(self, weights):
        """Set all weights and statistics, in the order of ``model.get_weights()``."""
        for array, given in zip(self._arrays(), weights, strict=True):
            array[...] = given

    def optimizer_variables(self):
        """Return copies of the values of Keras's ``optimizer.variables``, in their order."""
        values = [np.array(self.iterations, np.int64)]
        if self.learning_rate is not None:
            values.append(np.array(self.learning_rate, self.weights.dtype))
        values += [array.copy() for array in self._optimizer_arrays()]
        if self.network.optimizer.name == "Nadam":
            values.append(np.array(self.momentum_product, self.weights.dtype))
        return values

    def set_optimizer_variables(self, values):
        """Set what `optimizer_variables` returns."""
        values = list(values)
        self.iterations = int(values.pop(0))
        if self.learning_rate is not None:
            self.learning_rate = float(values.pop(0))
        if self.network.optimizer.name == "Nadam":
            self.momentum_product = float(values.pop())
        for array, given in zip(self._optimizer_arrays(), values, strict=True):
            array[...] = given

    def _optimizer_arrays(self):
        """Return views of averages and slots in Keras's order."""
        arrays = list(self.views(self.averages)) if self.averages is not None else []
        slots = iter(self.slots)
        for group in _slots(self.network.optimizer):
            parts = [self.views(next(slots)) for _ in group]
            arrays += [part for of_variable in zip(*parts, strict=True) for part in of_variable]
        return arrays

    def current_learning_rate(self):
        """Return the learning rate of the next step."""
        if self.learning_rate is not None:
            return self.learning_rate
        return scheduled_rate(self.network.optimizer["learning_rate"], self.iterations)

    def copy(self):
        """Return a copy that shares no array."""
        return copy.deepcopy(self)


def _parts(flat, shapes):
    """Return views of consecutive parts of a flat array."""
    parts, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        parts.append(flat[start : start + size].reshape(shape))
        start += size
    return parts


def _slots(optimizer):
    return OPTIMIZERS[optimizer.name].slots(dict(optimizer.settings))


def n_seeds(network):
    """Return how many seeds `initial_state` takes."""
    return len(list(_unseeded(network)))


def _unseeded(network):
    for layer, variables in zip(network.layers, network.variables, strict=True):
        yield from (v for v in variables if v.initializer.kind == "uniform" and v.initializer.seed is None)
        if isinstance(layer, Dropout) and layer.seed is None:
            yield layer


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
    dtype = np.dtype(network.dtype)
    if len(seeds) != n_seeds(network):
        raise ValueError(f"The network takes {n_seeds(network)} seeds, but {len(seeds)} were given.")
    seeds = iter(seeds)
    drawn, draws = [], []
    for layer, variables in zip(network.layers, network.variables, strict=True):
        for variable in variables:
            drawn.append((variable, _initial_values(variable, seeds, dtype)))
        if isinstance(layer, Dropout):
            draws.append((next(seeds) if layer.seed is None else layer.seed, 0))
    state = blank_state(network)
    state.set_weights([values for _, values in drawn])
    state.draws[...] = np.array(draws, np.int64).reshape(-1, 2)
    return state


def blank_state(network):
    """Return the state of a network before its first step, with zeros for weights, statistics and seeds."""
    dtype = np.dtype(network.dtype)
    variables = [v for of_layer in network.variables for v in of_layer]
    n_weights = sum(v.size for v in variables if v.trainable)
    optimizer = network.optimizer
    settings = dict(optimizer.settings)
    n_slots = sum(map(len, _slots(optimizer)))
    rate = settings["learning_rate"]
    return State(
        network,
        weights=np.zeros(n_weights, dtype),
        statistics=np.zeros(sum(v.size for v in variables if not v.trainable), dtype),
        slots=np.full((n_slots, n_weights), settings.get("initial_accumulator_value", 0.0), dtype),
        averages=np.zeros(n_weights, dtype) if settings["use_ema"] else None,
        draws=np.zeros((sum(isinstance(layer, Dropout) for layer in network.layers), 2), np.int64),
        iterations=0,
        learning_rate=None if isinstance(rate, tuple) else float(dtype.type(rate)),
    )


def _initial_values(variable, seeds, dtype):
    """Return the first values of a variable, as Keras's initialisers make them."""
    kind, scale, mode, seed = variable.initializer
    if kind == "constant":
        return np.full(variable.shape, scale, dtype)
    if kind == "unknown":
        raise NotDense(f"The initializer {scale} is drawn by Keras.")
    seed = next(seeds) if seed is None else seed
    if mode is None:
        low, high = scale
    else:
        # keras/src/initializers/random_initializers.py: compute_fans and VarianceScaling.
        fan_in, fan_out = variable.shape[0], variable.shape[-1]
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        high = np.sqrt(3 * (scale / max(1.0, fan)))
        low = -high
    low, high = dtype.type(low), dtype.type(high)
    numbers = uniform(np.array([(seed, 0)], np.int64), variable.size, dtype)
    return (numbers * (high - low) + low).reshape(variable.shape)
