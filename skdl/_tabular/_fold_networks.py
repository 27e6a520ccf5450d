"""The tabular network in NumPy: the weights of all folds, their training, and the forward pass.

It computes what the Keras model of `skdl._tabular._ensemble` computes. Each fold is trained by itself, and
two folds at a time in two threads where a step has enough arithmetic. The arrays of one fold stay in the
cache of a processor's core.

The weights here are those that the products use. Those of the Keras model are divided by the constants of
the neural-tangent parametrisation, which then stand in the forward pass. Adam does not depend on the scale
of a gradient, so that a constant is a factor of the learning rate: the ``rate`` of a `Variable`.
"""

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skdl._dense import SCHEDULES, blas_threads, cut_subnormals, one_blas_thread
from skdl._training._fit import EpochHook

N_FREQUENCIES, N_WAVES = 16, 3  # periodic functions of a numeric feature: within, and for the network
MEMBER_RATE, BIAS_RATE = 6.0, 0.1
BETA_1, BETA_2, EPSILON = 0.9, 0.95, 1e-10  # of Adam
RISE = 0.05  # share of the steps in which the learning rate rises

# Numbers of a layer's output in a step from which on two threads are faster than one: NumPy's functions
# release the interpreter's lock, but to take it again costs some microseconds.
_THREADED = 2**16
_STEPS_OF_A_SLICE = 16  # that a thread makes for one fold before it takes the next one
_SOME_PRODUCTS = 2**20  # so that BLAS has one thread, since there are threads here
_CHUNK = 2**15  # weights that Adam changes at a time
# Numbers of a layer's output that are predicted at a time.
_PREDICTED = 2**17


class Variable(NamedTuple):
    """An array of a fold."""

    name: str
    shape: tuple
    rate: float
    decays: bool


class TabularNetwork(NamedTuple):
    """Sizes of the network of `skdl._tabular._ensemble.keras_network`, and whether it has classes."""

    n_features: int
    n_numeric: int
    n_folds: int
    n_members: int
    hidden: tuple
    n_units: int
    classify: bool

    def variables(self):
        """Return the variables of a fold, in the order of the Keras model."""
        n, found = self.n_numeric, []
        if n:
            each = 1 / math.sqrt(N_FREQUENCIES)
            found += [
                Variable("frequencies", (n, N_FREQUENCIES, 1), 1, True),
                Variable("phases", (n, N_FREQUENCIES, 1), 1, False),
                Variable("waves", (n, N_FREQUENCIES, N_WAVES), each, True),
                Variable("waves_bias", (n, N_WAVES, 1), each, False),
            ]
        n_inputs = self.n_features + n * N_WAVES
        found.append(Variable("scale", (self.n_members, 1, n_inputs), MEMBER_RATE, True))
        for i, size in enumerate(self.hidden):
            found.append(Variable(f"kernel_{i}", (n_inputs, size), 1 / math.sqrt(n_inputs), True))
            found.append(Variable(f"bias_{i}", (1, size), BIAS_RATE, False))
            n_inputs = size
        output = self.n_members, n_inputs, self.n_units
        found.append(Variable("output", output, 1 / math.sqrt(n_inputs), True))
        found.append(Variable("output_bias", (self.n_members, 1, self.n_units), BIAS_RATE, False))
        return found

    @property
    def widest(self):
        """Numbers of a row in the widest layer."""
        return max([self.n_features + self.n_numeric * N_WAVES, *self.hidden])

    @property
    def n_products(self):
        """Multiplications for one row in one network."""
        kernels = [v for v in self.variables() if v.name.startswith(("waves", "kernel", "output"))]
        return sum(v.shape[-2] * v.shape[-1] for v in kernels if "bias" not in v.name)


@dataclass
class TabularState:
    """The weights of all folds, and where their training stands."""

    network: TabularNetwork
    weights: np.ndarray  # of float32, of shape (n_folds, n_weights)
    slots: np.ndarray | None = None  # Adam's sums, of shape (2, n_folds, n_weights); None but in a training
    iterations: int = 0  # steps made
    learning_rate: float = 0.0
    n_steps: int | None = None  # along which the learning rate rises and falls; None where a hook sets it
    weight_decay: float = 0.0

    @classmethod
    def initial(cls, network, random_state):
        """Return a state before the training, with weights drawn for each fold."""
        n_weights = sum(math.prod(variable.shape) for variable in network.variables())
        state = cls(network, np.zeros((network.n_folds, n_weights), np.float32))
        for fold in state.weights:
            for variable, part in zip(network.variables(), state.parts(fold).values(), strict=True):
                name, rate, shape = variable.name, variable.rate, variable.shape
                if name == "frequencies":
                    part[...] = random_state.normal(0, 0.1, shape)
                elif name == "phases":
                    part[...] = random_state.uniform(-math.pi, math.pi, shape)
                elif name.startswith("waves"):
                    part[...] = random_state.uniform(-rate, rate, shape)
                elif not name.startswith("output"):  # which is zero
                    part[...] = random_state.normal(0, rate if name.startswith("kernel") else 1, shape)
        return state

    def __getstate__(self):
        # Values that `skdl.save` writes without code; a training is over when an estimator is saved.
        return {**vars(self), "network": tuple(self.network), "slots": None}

    def __setstate__(self, state):
        vars(self).update(state, network=TabularNetwork(*state["network"]))

    def copy(self):
        """Return a copy that shares no array, without Adam's sums."""
        return replace(self, weights=self.weights.copy(), slots=None)

    def parts(self, array):
        """Return views of the variables in an array whose last axis has the weights of a fold, by name."""
        found, start = {}, 0
        for variable in self.network.variables():
            stop = start + math.prod(variable.shape)
            found[variable.name] = array[..., start:stop].reshape(*array.shape[:-1], *variable.shape)
            start = stop
        return found

    def get_weights(self):
        """Return the weights of the Keras model, in its order."""
        parts = zip(self.network.variables(), self.parts(self.weights).values(), strict=True)
        return [part / np.float32(variable.rate) for variable, part in parts]

    def set_weights(self, weights):
        """Set the weights to those of the Keras model."""
        parts = self.parts(self.weights).values()
        for variable, part, given in zip(self.network.variables(), parts, weights, strict=True):
            part[...] = given * np.float32(variable.rate)

    def schedule(self):
        """Return the arguments of Keras's ``CosineDecay``, or None where a hook sets the learning rate."""
        if self.n_steps is None:
            return None
        rise = math.ceil(self.n_steps * RISE)
        return {
            "initial_learning_rate": 0.0,
            "decay_steps": max(1, self.n_steps - rise),
            "warmup_target": float(self.learning_rate),
            "warmup_steps": rise,
        }

    def current_learning_rate(self):
        """Return the learning rate of the next step."""
        settings = self.schedule()
        if settings is None:
            return self.learning_rate
        function, defaults = SCHEDULES["CosineDecay"]
        return float(function(self.iterations, {**defaults, **settings}))


def train_epoch(state, x, y, weight, order, batch_size, report=None):
    """Train all folds in place for one epoch, and return the mean loss of all networks.

    ``x`` has the shape (n_rows, n_folds, n_features), ``y`` has class numbers of shape (n_rows, n_folds), or
    numbers of shape (n_rows, n_folds, n_units). ``weight``, of shape (n_rows, n_folds), has mean 1 in each
    fold. ``order`` has the rows as they are visited. ``report``, if any, is called with the number of steps
    made by a fold in the mean, from time to time.
    """
    if state.slots is None:
        state.slots = np.zeros((2, *state.weights.shape), np.float32)
    first, rates = state.iterations, []
    for _ in range(0, len(order), batch_size):
        rates.append(state.current_learning_rate())
        state.iterations += 1
    losses, n_done = np.zeros(state.network.n_folds), np.zeros(state.network.n_folds, int)

    def train(fold):
        passes = {}
        adam = _Adam(state, fold)
        for i, rate in enumerate(rates):
            rows = order[i * batch_size : (i + 1) * batch_size]
            if len(rows) not in passes:
                passes[len(rows)] = _Pass(state, fold, len(rows), adam.gradient)
            step = passes[len(rows)]
            step.forward(x[rows, fold])
            losses[fold] += step.differentiate(y[rows, fold], weight[rows, fold])
            step.backward()
            adam.step(rate, first + i + 1)
            if i % _STEPS_OF_A_SLICE == _STEPS_OF_A_SLICE - 1:
                n_done[fold] = i + 1
                if report is not None:
                    report(int(n_done.mean()))
                yield

    _in_threads(state.network, batch_size, train)
    return {"loss": float(losses.mean() / len(order))}


def predict(state, x):
    """Return the outputs, averaged over the members, as the Keras model does.

    They have the shape (n_rows, n_folds, 1, n_units) for rows ``x`` of shape (n_rows, n_folds, n_features).
    """
    network = state.network
    outputs = np.empty((len(x), network.n_folds, 1, network.n_units), np.float32)
    size = max(1, min(len(x), _PREDICTED // (network.n_members * network.widest)))

    def compute(fold):
        step = _Pass(state, fold, size)
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            if len(x) - start < size:
                step = _Pass(state, fold, len(x) - start)
            y = step.forward(x[rows, fold])
            if network.classify:
                largest = _log_softmax(y).max(axis=0)  # subtracted, so that no probability becomes 0
                outputs[rows, fold, 0] = np.log(np.exp(y - largest).mean(axis=0)) + largest
            else:
                outputs[rows, fold, 0] = y.mean(axis=0)
            yield

    _in_threads(network, size, compute)
    return outputs


def evaluate(state, x, y, weight):
    """Return the loss of the averages of the members, for arrays as in `train_epoch`."""
    outputs = predict(state, x)[:, :, 0]
    if state.network.classify:
        losses = -np.take_along_axis(outputs, y.astype(int)[..., None], axis=-1)[..., 0]
    else:
        losses = np.square(outputs - y).mean(axis=-1)
    return {"loss": float((losses * weight).mean(dtype=float))}


def _in_threads(network, n_rows, task):
    """Run the generators ``task(fold)`` to their ends, in as many threads as BLAS may have, if that pays."""
    n_threads = 1
    if n_rows * network.n_members * network.widest >= _THREADED:
        n_threads = min(blas_threads(), network.n_folds)
    waiting = deque(task(fold) for fold in range(network.n_folds))
    errors = []

    def work():
        with np.errstate(all="ignore"):  # a setting of the thread
            while not errors:
                try:
                    running = waiting.popleft()
                except IndexError:
                    return
                try:
                    if next(running, "ended") is None:  # a slice has ended
                        waiting.append(running)
                except BaseException as error:
                    errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(n_threads - 1)]
    with one_blas_thread(_SOME_PRODUCTS):
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


def _log_softmax(z):
    """Change ``z`` in place to the logarithm of its softmax over the last axis."""
    z -= z.max(axis=-1, keepdims=True)
    z -= np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return z


class _Pass:
    """One fold, forwards and backwards, for a number of rows; its arrays are used again by each step."""

    def __init__(self, state, fold, n_rows, gradient=None):
        def empty(*shape):
            return np.empty(shape, np.float32)

        sizes = self.sizes = state.network
        self.n_rows, self.w = n_rows, state.parts(state.weights[fold])
        self.kernels = [self.w[f"kernel_{i}"] for i in range(len(sizes.hidden))]
        n, members = sizes.n_numeric, sizes.n_members
        n_inputs, n_flat = sizes.n_features + n * N_WAVES, members * n_rows
        # The rows of all members go through one product.
        self.features, self.scaled = empty(n_rows, n_inputs), empty(members, n_rows, n_inputs)
        self.sigmoids, self.hidden = ([empty(n_flat, size) for size in sizes.hidden] for _ in range(2))
        self.output = empty(members, n_rows, sizes.n_units)
        self.numbers, self.angles = empty(n, n_rows), empty(n, N_FREQUENCIES, n_rows)
        self.cosines = np.empty_like(self.angles)
        if gradient is not None:
            self.g = state.parts(gradient)
            self.d_hidden = [empty(n_flat, size) for size in sizes.hidden]
            spare = {size: empty(n_flat, size) for size in sizes.hidden}
            self.spare = [spare[size] for size in sizes.hidden]
            self.ones = np.ones((n_flat, 1), np.float32)
            self.d_waves = empty(n, N_WAVES, n_rows)

    def forward(self, x):
        """Return outputs of shape (n_members, n_rows, n_units); logits for classes."""
        w, n, n_features = self.w, self.sizes.n_numeric, self.sizes.n_features
        self.features[:, :n_features] = x
        if n:
            np.multiply(x[:, :n].T, np.float32(2 * math.pi), out=self.numbers)
            np.multiply(self.numbers[:, None], w["frequencies"], out=self.angles)
            self.angles += w["phases"]
            np.cos(self.angles, out=self.cosines)
            waves = np.matmul(w["waves"].transpose(0, 2, 1), self.cosines)
            waves += w["waves_bias"]
            self.features[:, n_features:] = waves.reshape(n * N_WAVES, self.n_rows).T
        np.multiply(self.features, w["scale"], out=self.scaled)
        h = self.scaled.reshape(self.sizes.n_members * self.n_rows, -1)
        for i, (s, a) in enumerate(zip(self.sigmoids, self.hidden, strict=True)):
            np.matmul(h, self.kernels[i], out=a)
            a += w[f"bias_{i}"]
            np.negative(a, out=s)
            np.exp(s, out=s)
            s += 1
            np.reciprocal(s, out=s)
            a *= s  # silu
            h = a
        np.matmul(h.reshape(self.sizes.n_members, self.n_rows, -1), w["output"], out=self.output)
        self.output += w["output_bias"]
        return self.output

    def differentiate(self, y, weight):
        """Replace the outputs by the gradient of the mean loss, and return the sum of the losses."""
        out, (n_members, n_rows, n_units) = self.output, self.output.shape
        if self.sizes.classify:
            hit = slice(None), np.arange(n_rows), y.astype(int)
            _log_softmax(out)
            losses = -out[hit]
            np.exp(out, out=out)
            out[hit] -= 1
        else:
            out -= y
            losses = np.square(out).mean(axis=-1)
            out *= np.float32(2 / n_units)
        out *= (weight / np.float32(n_rows * n_members))[:, None]
        return float((losses * weight).sum(dtype=float)) / n_members

    def backward(self):
        """Write the gradient of all weights."""
        w, g, n_members = self.w, self.g, self.sizes.n_members
        d, last = self.output, self.hidden[-1] if self.hidden else self.scaled
        h = last.reshape(n_members, self.n_rows, -1)
        np.matmul(h.transpose(0, 2, 1), d, out=g["output"])
        d.sum(axis=1, keepdims=True, out=g["output_bias"])
        np.matmul(
            d,
            w["output"].transpose(0, 2, 1),
            out=(self.d_hidden[-1] if self.d_hidden else h).reshape(h.shape),
        )
        flat = self.scaled.reshape(n_members * self.n_rows, -1)
        inputs, d_inputs = [flat, *self.hidden[:-1]], [flat, *self.d_hidden[:-1]]
        for i in reversed(range(len(self.hidden))):
            d, s, a = self.d_hidden[i], self.sigmoids[i], self.hidden[i]
            # The derivative of silu, s + a (1 - s), in the array of s. That of a is used no more.
            np.subtract(1, s, out=self.spare[i])
            self.spare[i] *= a
            s += self.spare[i]
            d *= s
            np.matmul(inputs[i].T, d, out=g[f"kernel_{i}"])
            np.matmul(self.ones.T, d, out=g[f"bias_{i}"])
            np.matmul(d, self.kernels[i].T, out=d_inputs[i])
        d_scaled = self.scaled  # `flat` is a view of it, so that it now holds its gradient
        np.einsum("mri,ri->mi", d_scaled, self.features, out=g["scale"][:, 0])
        if self.sizes.n_numeric:
            d, ones = d_scaled[:, :, self.sizes.n_features :], self.ones[: self.n_rows]
            d *= w["scale"][:, :, self.sizes.n_features :]
            self.d_waves.reshape(-1, self.n_rows)[...] = d.sum(axis=0).T
            np.matmul(self.cosines, self.d_waves.transpose(0, 2, 1), out=g["waves"])
            np.matmul(self.d_waves, ones, out=g["waves_bias"])
            d_angles = np.matmul(w["waves"], self.d_waves, out=self.cosines)
            d_angles *= np.sin(self.angles, out=self.angles)
            np.matmul(d_angles, -ones, out=g["phases"])
            np.matmul(d_angles, -self.numbers[:, :, None], out=g["frequencies"])


class _Adam:
    """Adam with weight decay, of one fold. The factors ``1 - beta`` of its sums are in the size of a step."""

    def __init__(self, state, fold):
        w, self.slots = state.weights[fold], state.slots[:, fold]
        self.gradient, (sums, squares) = np.zeros_like(w), self.slots
        variables, parts = state.network.variables(), state.parts(w).values()
        rates = np.concatenate([np.full(math.prod(v.shape), v.rate, np.float32) for v in variables])
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(w), _CHUNK)]
        arrays, change = (w, self.gradient, sums, squares, rates), np.empty(_CHUNK, np.float32)
        self.chunks = [(*(each[c] for each in arrays), change[: len(w[c])]) for c in chunks]
        self.weight_decay = np.float32(state.weight_decay)
        self.decaying = [part for v, part in zip(variables, parts, strict=True) if v.decays]

    def step(self, rate, t):
        """Change the weights by the gradient, for the ``t``-th time."""
        correction = math.sqrt((1 - BETA_2**t) / (1 - BETA_2)) * (1 - BETA_1) / (1 - BETA_1**t)
        alpha, beta_1, beta_2 = np.float32(rate * correction), np.float32(BETA_1), np.float32(BETA_2)
        epsilon = np.float32(EPSILON / math.sqrt(1 - BETA_2))
        for part in self.decaying:
            part *= 1 - np.float32(rate) * self.weight_decay
        for w, g, sums, squares, rates, change in self.chunks:
            sums *= beta_1
            sums += g
            squares *= beta_2
            squares += np.multiply(g, g, out=g)
            np.sqrt(squares, out=change)
            change += epsilon
            np.divide(sums, change, out=change)
            change *= rates
            change *= alpha
            w -= change
        cut_subnormals(self.slots, t)


class TimeLimit(EpochHook):
    """End the training by a deadline or after ``epochs``; the learning rate falls from the given one to zero.

    It acts between epochs, and one epoch is always trained.
    """

    def __init__(self, network, learning_rate, epochs, deadline):
        self.optimizer = getattr(network, "optimizer", network)  # of a Keras model, or a state
        self.learning_rate, self.epochs, self.deadline = learning_rate, epochs, deadline
        self.first = None

    def epoch_begin(self, epoch):
        """Set the learning rate by the epochs trained or the time gone, whichever is further."""
        self.begun = time.perf_counter()
        if self.first is None:
            self.first = self.begun
        gone = (self.begun - self.first) / max(self.deadline - self.first, 1e-9)
        progress = min(max((epoch + 0.5) / self.epochs, gone), 1.0)
        self.optimizer.learning_rate = self.learning_rate * min(
            progress / RISE, 0.5 * (1 + math.cos(math.pi * progress))
        )

    def epoch_end(self, epoch, logs):
        """Return whether another epoch would end too late."""
        now = time.perf_counter()
        return now + (now - self.begun) > self.deadline
