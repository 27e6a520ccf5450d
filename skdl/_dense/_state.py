"""All that training changes: weights, statistics, the optimizer's arrays, the states of random generators."""

import math
import random
from dataclasses import dataclass, replace

import numpy as np

from skdl._dense._network import Network, NotDense, network_of
from skdl._dense._optimizers import OPTIMIZERS, SCHEDULES


@dataclass
class State:
    """A network with its weights, and where its training stands."""

    network: Network
    weights: np.ndarray  # all trainable weights in Keras's order, flat
    statistics: np.ndarray  # moving means and variances in Keras's order, flat
    slots: np.ndarray  # the arrays of the optimizer, of shape (n_slots, n_weights)
    draws: np.ndarray  # for each dropout layer, a seed and how often it drew
    iterations: int  # steps made
    learning_rate: float | None  # None where it follows a schedule

    def views(self, flat):
        """Return the parts of an array of all trainable weights, in their shapes."""
        return _parts(flat, [v.shape for v in self.network.variables if v.trainable])

    def by_layer(self, flat):
        """Return the arrays of each layer by their names; of trained variables, the parts of ``flat``."""
        trained = iter(self.views(flat))
        moving = iter(_parts(self.statistics, [v.shape for v in self.network.variables if not v.trainable]))
        return [
            {v.name: next(trained if v.trainable else moving) for v in layer.variables}
            for layer in self.network.layers
        ]

    def _arrays(self):
        return [array for arrays in self.by_layer(self.weights) for array in arrays.values()]

    def get_weights(self):
        """Return copies of all weights and statistics, in the order of ``model.get_weights()``."""
        return [array.copy() for array in self._arrays()]

    def set_weights(self, weights):
        """Set all weights and statistics, in the order of ``model.get_weights()``."""
        for array, given in zip(self._arrays(), weights, strict=True):
            array[...] = given

    def _optimizer_arrays(self):
        slots, arrays = iter(self.slots), []
        for n in OPTIMIZERS[self.network.optimizer].slots(self.network.settings):
            of_slots = [self.views(next(slots)) for _ in range(n)]
            arrays += [array for of_variable in zip(*of_slots, strict=True) for array in of_variable]
        return arrays

    def optimizer_variables(self):
        """Return copies of the values of Keras's ``optimizer.variables``, in their order."""
        rate = [] if self.learning_rate is None else [self.weights.dtype.type(self.learning_rate)]
        return [np.int64(self.iterations), *rate, *(array.copy() for array in self._optimizer_arrays())]

    def set_optimizer_variables(self, values):
        """Set what `optimizer_variables` returns."""
        iterations, *values = values
        self.iterations = int(iterations)
        if self.learning_rate is not None:
            self.learning_rate = float(values.pop(0))
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


def _parts(flat, shapes):
    """Return views of consecutive parts of a flat array."""
    parts, start = [], 0
    for shape in shapes:  # np.split takes longer than a small step
        stop = start + math.prod(shape)
        parts.append(flat[start:stop].reshape(shape))
        start = stop
    return parts


def blank_state(network):
    """Return the state of a network before its first step, with zeros for weights, statistics and seeds."""
    dtype, settings = np.dtype(network.dtype), network.settings
    n_weights = sum(math.prod(v.shape) for v in network.variables if v.trainable)
    n_statistics = sum(math.prod(v.shape) for v in network.variables if not v.trainable)
    n_slots, rate = sum(OPTIMIZERS[network.optimizer].slots(settings)), settings["learning_rate"]
    return State(
        network,
        weights=np.zeros(n_weights, dtype),
        statistics=np.zeros(n_statistics, dtype),
        slots=np.zeros((n_slots, n_weights), dtype),
        draws=np.zeros((sum(layer.kind == "dropout" for layer in network.layers), 2), np.int64),
        iterations=0,
        learning_rate=float(dtype.type(rate)) if isinstance(rate, float) else None,
    )


def initial_state(network, seed):
    """Return the state of a network that Keras has just built under a seed; raise NotDense where it can't."""
    state, draw, weights, draws = blank_state(network), random.Random(seed), [], []

    def next_seed():
        return draw.randint(1, 10**9)  # as make_default_seed in keras/src/random/seed_generator.py

    for layer in network.layers:
        for variable in layer.variables:
            start, shape, dtype = variable.start, variable.shape, state.weights.dtype
            if start is None:
                raise NotDense(f"Keras draws the first values of a {variable.name}.")
            if start == "glorot_uniform":
                # keras/src/initializers/random_initializers.py: compute_fans and VarianceScaling. TensorFlow
                # makes float32 of Python's numbers before it casts them.
                fan = (shape[0] + shape[-1]) / 2
                limit = dtype.type(np.float32(np.sqrt(3 * (1.0 / max(1.0, fan)))))
                numbers = uniform(np.array([(next_seed(), 0)], np.int64), math.prod(shape), dtype)
                start = (numbers * (limit + limit) - limit).reshape(shape)
            weights.append(start)
        if layer.kind == "dropout":
            own = layer.settings["seed"]
            draws.append((next_seed() if own is None else own, 0))
    state.set_weights(weights)
    state.draws[...] = np.reshape(draws, (-1, 2))
    return state


# Random numbers: ``tf.random.stateless_uniform`` to the bit. Philox 4x32 with ten rounds: Salmon et al. 2011,
# Parallel random numbers: as easy as 1, 2, 3. TensorFlow 2.21 makes key and counter from a seed in
# ``tensorflow/core/kernels/stateless_random_ops_v2.cc``, and floats from bits in
# ``tensorflow/core/lib/random/random_distributions_utils.h``.
_FACTORS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)[:, None, None]
_KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)[:, None, None]
_SCRAMBLE = np.array([0x3EC8F720, 0x02461E29], np.uint64)[:, None, None]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def _philox(even, odd, key):
    """Encrypt counters in place, of shape (2, streams, blocks): words 0 and 2, and words 1 and 3."""
    products = np.empty_like(even)
    for _ in range(10):
        np.multiply(even, _FACTORS, out=products)
        np.bitwise_xor(odd, key, out=even)
        np.right_shift(products[::-1], _HALF, out=odd)
        np.bitwise_xor(even, odd, out=even)
        np.bitwise_and(products[::-1], _LOW, out=odd)
        key = (key + _KEY_STEPS) & _LOW


def _words(seeds, n):
    """Return the first ``n`` words of 32 bits for each seed, of shape (len(seeds), n)."""
    even = np.mod(seeds, 2**31 - 2).astype(np.uint64).T[:, :, None]
    odd = np.zeros_like(even)
    _philox(even, odd, _SCRAMBLE)
    key, n_blocks = np.concatenate([even[:1], odd[:1]]), -(-n // 4)
    counters = np.empty((2, 2, len(seeds), n_blocks), np.uint64)
    counters[0, 0], counters[1, 0] = np.arange(n_blocks, dtype=np.uint64), 0
    counters[0, 1], counters[1, 1] = even[1], odd[1]
    _philox(*counters, key)
    words = np.empty((len(seeds), n_blocks, 2, 2), np.uint32)
    for i, j in np.ndindex(2, 2):
        words[:, :, i, j] = counters[j, i]
    return words.reshape(len(seeds), -1)[:, :n]


def uniform(seeds, n, dtype):
    """Return the first ``n`` numbers in [0, 1) for each seed.

    ``seeds`` are pairs of int64: states of Keras's seed generators, or ``(s, 0)`` for an integer seed ``s``.
    """
    if np.dtype(dtype) == np.float32:
        bits = _words(seeds, n) & np.uint32(0x7FFFFF)
        bits |= np.uint32(0x3F800000)
        return bits.view(np.float32) - np.float32(1)
    words = _words(seeds, 2 * n).astype(np.uint64)
    bits = (words[:, 0::2] & np.uint64(0xFFFFF)) << _HALF | words[:, 1::2] | np.uint64(0x3FF << 52)
    return bits.view(np.float64) - 1.0
