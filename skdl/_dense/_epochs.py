"""Training for one epoch, evaluation and prediction, many rows at a time."""

import contextlib
import functools
import threading

import numpy as np
from threadpoolctl import ThreadpoolController

from skdl._dense._formulas import LOSSES, target_of, values_of
from skdl._dense._optimizers import optimizer_step
from skdl._dense._passes import draw_masks, forward, passes

# Numbers of rows, outputs and masks that are made for several steps at a time.
_BLOCK = 2**19
# Numbers of a layer's output that are computed at a time without training.
_CHUNK = 2**20
# Where the derivative is the output minus the target.
_SIMPLE = {("softmax_crossentropy", "softmax"), ("sigmoid_crossentropy", "sigmoid")}

# Threads that wait for each other make small products of matrices ten times as slow where others use the
# processor's cores, and the last bits of a product may depend on their number, so on ``n_jobs``. Up to the
# first number of multiplications no BLAS divides a product, and setting the number of threads takes longer
# than the step. From the second one on two threads are faster than one, on two cores.
_TINY, _LARGE = 2**14, 2**23
# The number of threads belongs to the process: the first one inside sets it, the last one puts it back.
_lock = threading.Lock()
_limits = []
_n_inside = 0

_controller = functools.cache(ThreadpoolController)


def blas_threads():
    """Return how many threads NumPy's products of matrices may have."""
    return max((each["num_threads"] for each in _controller().select(user_api="blas").info()), default=1)


@contextlib.contextmanager
def one_blas_thread(n_products):
    """Keep NumPy's products of matrices to one thread, unless a step has very few or many multiplications."""
    if not _TINY < n_products < _LARGE:
        yield
        return
    global _n_inside
    with _lock:
        if not _n_inside:
            _limits.append(_controller().limit(limits=1, user_api="blas"))
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside:
                _limits.pop().restore_original_limits()


@np.errstate(all="ignore")
def train_epoch(state, x, y, weight, order, batch_size, report=None):
    """Train a state in place for one epoch, and return loss and metrics as Keras's logs.

    ``y`` has class numbers where the loss takes these, ``weight`` a number for each row or is None, ``order``
    has the rows as they are visited. Loss and metrics are those before each step. ``report``, if any,
    is called with the number of steps made, from time to time.
    """
    network, dtype, n_units = state.network, state.weights.dtype, state.network.n_units
    dropouts = [layer for layer in network.layers if layer.kind == "dropout"]
    batch_size = min(batch_size, len(order))
    numbers_of_step = batch_size * (network.layers[0].n_inputs + n_units + sum(d.n_units for d in dropouts))
    n_steps = min(max(1, _BLOCK // numbers_of_step), -(-len(order) // batch_size))
    block = n_steps * batch_size

    gradient = np.empty_like(state.weights)
    masks = [np.empty((n_steps, batch_size, layer.n_units), dtype) for layer in dropouts]
    gradient_step = _gradient_step(state, gradient, masks, batch_size)
    penalty_step, apply_gradient = _penalty_step(state, gradient), optimizer_step(state, gradient)
    logits, output = np.empty((2, block, n_units), dtype)

    sums, penalties = 0, 0.0
    with one_blas_thread(batch_size * network.n_products):
        for first in range(0, len(order), block):
            # What can be done for several steps at a time is: rows, masks, and the metrics after.
            rows = order[first : first + block]
            inputs, targets = _rows_of(network, x[rows]), y[rows]
            t = target_of(network.loss, targets, n_units, dtype)
            weights = None if weight is None else weight[rows].astype(dtype)
            for layer, draw, mask in zip(dropouts, state.draws, masks, strict=True):
                draw_masks(mask, layer.settings["rate"], draw, -(-len(rows) // batch_size))

            for i, start in enumerate(range(0, len(rows), batch_size)):
                batch = slice(start, min(start + batch_size, len(rows)))
                n = batch.stop - start
                w = None if weights is None else weights[batch]
                logits[batch], output[batch] = gradient_step(inputs[batch], t[batch], w, i)
                penalties += n * penalty_step()
                apply_gradient()
                state.draws[:, 1] += 1

            n = len(rows)
            sums = sums + _sums(network, logits[:n], output[:n], targets, weights)
            if report is not None:
                report(-(-(first + n) // batch_size))
    return _logs(network, sums, penalties / sums[0, 1])


def _gradient_step(state, gradient, masks, batch_size):
    """Return a function that writes a gradient, and returns input and output of the last layer."""
    network, last = state.network, state.network.layers[-1]
    loss = network.loss
    layers = passes(state, gradient, masks, batch_size)
    forwards = [each for each, _ in layers]
    backwards = [backward for _, backward in reversed(layers) if backward]
    backwards = backwards[1:] if loss.logits else backwards
    is_simple = loss.logits and (loss.function, last.kind) in _SIMPLE
    differentiate = LOSSES[loss.function][1]
    scale = 1 / last.n_units if is_simple and loss.function == "sigmoid_crossentropy" else 1.0

    def step(x, t, weights, i):
        for each in forwards:
            before, x = x, each(x, i)
        g = x - t if is_simple else differentiate(t, before if loss.logits else x, **loss.settings)
        g *= scale / len(g)
        if weights is not None:
            g *= weights[:, None]
        for backward in backwards:
            g = backward(g)
        return (x if last.kind == "dense" else before), x

    return step


def _penalised(state):
    """Return the variables that have penalties, with their positions among those that are trained."""
    trained = [v for v in state.network.variables if v.trainable]
    return [(i, v) for i, v in enumerate(trained) if v.l1 or v.l2]


def _penalty_step(state, gradient):
    """Return a function that adds the gradient of the penalties, and returns their sum."""
    weights, gradients = state.views(state.weights), state.views(gradient)
    parts = [(v, weights[i], gradients[i]) for i, v in _penalised(state)]

    def step():
        total = 0.0
        for variable, w, g in parts:
            total += variable.l2 * np.vdot(w, w)
            g += (2 * variable.l2) * w
            if variable.l1:
                total += variable.l1 * np.abs(w).sum()
                g += variable.l1 * np.sign(w)
        return float(total)

    return step


def predict(state, x):
    """Return the output for each row; its last bits may depend on the rows beside it, as in any BLAS."""
    network = state.network
    output = np.empty((len(x), network.n_units), state.weights.dtype)
    with np.errstate(all="ignore"), one_blas_thread(len(x) * network.n_products):
        for chunk in _chunks(network, len(x)):
            output[chunk] = forward(state, _rows_of(network, x[chunk]))[1]
    return output


@np.errstate(all="ignore")
def evaluate(state, x, y, weight=None):
    """Return loss and metrics as ``keras.Model.evaluate`` does; its batches make no difference."""
    sums = 0
    with one_blas_thread(len(x) * state.network.n_products):
        for chunk in _chunks(state.network, len(x)):
            weights = None if weight is None else weight[chunk]
            outputs = forward(state, _rows_of(state.network, x[chunk]))
            sums = sums + _sums(state.network, *outputs, y[chunk], weights)
    weights = state.views(state.weights)
    penalties = [
        v.l1 * np.abs(weights[i]).sum() + v.l2 * np.vdot(weights[i], weights[i]) for i, v in _penalised(state)
    ]
    return _logs(state.network, sums, sum(penalties))


def _chunks(network, n):
    size = max(1, _CHUNK // max(max(layer.n_inputs, layer.n_units) for layer in network.layers))
    return [slice(start, start + size) for start in range(0, n, size)]


def _rows_of(network, x):
    """Return rows as the first layer takes them: flat, of the network's float type."""
    return np.asarray(x, network.dtype, order="C").reshape(len(x), network.layers[0].n_inputs)


def _sums(network, logits, output, y, weight):
    """Return the sums of loss and metrics over some rows, and the numbers of rows.

    ``logits`` is what goes into the last layer. The weights multiply the loss alone, and it counts each row
    once. Sums are in float64, where Keras adds up in float32.
    """
    sums = []
    for measure in (network.loss, *network.metrics):
        t = target_of(measure, y, output.shape[1], output.dtype)
        values = values_of(measure, t, logits if measure.logits else output)
        if measure is network.loss and weight is not None:
            values = values * weight
        sums.append((values.sum(dtype=float), len(y)))
    return np.array(sums)


def _logs(network, sums, penalty):
    """Return logs from what `_sums` gave for all rows, and the mean penalty of the steps."""
    loss, *means = np.divide(*sums.T, out=np.zeros(len(sums)), where=sums[:, 1] != 0)
    logs = {"loss": float(loss + penalty)}
    for metric, mean in zip(network.metrics, means, strict=True):
        logs[metric.name] = float(np.sqrt(mean) if metric.root else mean)
    return dict(sorted(logs.items()))
