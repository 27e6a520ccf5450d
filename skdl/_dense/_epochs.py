"""Training for one epoch, evaluation and prediction, many rows at a time."""

import contextlib
import functools
import threading

import numpy as np
import scipy.sparse
from threadpoolctl import ThreadpoolController

from skdl._dense._formulas import ACTIVATIONS, LOSSES, target_of, values_of
from skdl._dense._optimizers import optimizer_step
from skdl._dense._state import uniform

# Numbers of rows, outputs and masks that are made for several steps at a time.
_BLOCK = 2**19
# Numbers of a layer's output that are computed at a time without training.
_CHUNK = 2**20
# So many random numbers are made in the processor's cache.
_AT_ONCE = 2**16

# Threads that wait for each other make small products of matrices ten times as slow where others use the
# processor's cores, and the last bits of a product may depend on their number, so on ``n_jobs``. Up to the
# first number of multiplications no BLAS divides a product, and setting the number of threads takes longer
# than the step. From the second one on two threads are faster than one, on two cores.
_TINY, _LARGE = 2**14, 2**23
# The number of threads belongs to the process: the first one inside sets it, the last one puts it back.
_lock = threading.Lock()
_before = []
_n_inside = 0

_libraries = functools.cache(lambda: ThreadpoolController().select(user_api="blas").lib_controllers)


def blas_threads():
    """Return how many threads NumPy's products of matrices may have."""
    return max((library.num_threads for library in _libraries()), default=1)


def _set_blas_threads(numbers):
    for library, number in zip(_libraries(), numbers, strict=True):
        # Since threadpoolctl 3.8 a thread can't set it while another one that has done so lives.
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(number)
        release(force=True)


@contextlib.contextmanager
def one_blas_thread(n_products):
    """Keep NumPy's products of matrices to one thread, unless a step has very few or many multiplications."""
    if not _TINY < n_products < _LARGE:
        yield
        return
    global _n_inside
    with _lock:
        if not _n_inside:
            _before[:] = [library.num_threads for library in _libraries()]
            _set_blas_threads([1] * len(_before))
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside:
                _set_blas_threads(_before)


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
    with one_blas_thread(batch_size * _n_products(network, x)):
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
    # Of a cross-entropy behind its own activation the derivative is the output minus the target.
    is_simple = loss.logits and loss.function == f"{last.kind}_crossentropy"
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


def _penalty_step(state, gradient):
    """Return a function that adds the gradient of the penalties, and returns their sum."""
    trained = [variable for variable in state.network.variables if variable.trainable]
    parts = zip(trained, state.views(state.weights), state.views(gradient), strict=True)
    penalised = [(variable, w, g) for variable, w, g in parts if variable.l1 or variable.l2]

    def step():
        total = 0.0
        for variable, w, g in penalised:
            penalty = variable.l2 * np.vdot(w, w)
            g += (2 * variable.l2) * w
            if variable.l1:
                penalty += variable.l1 * np.abs(w).sum()
                g += variable.l1 * np.sign(w)
            total += penalty
        return float(total)

    return step


@np.errstate(all="ignore")
def predict(state, x):
    """Return the output for each row; its last bits may depend on the rows beside it, as in any BLAS."""
    outputs = np.empty((x.shape[0], state.network.n_units), state.weights.dtype)
    for chunk, _, output in _forward(state, x):
        outputs[chunk] = output
    return outputs


@np.errstate(all="ignore")
def evaluate(state, x, y, weight=None):
    """Return loss and metrics as ``keras.Model.evaluate`` does; its batches make no difference."""
    sums = 0
    for chunk, logits, output in _forward(state, x):
        weights = None if weight is None else weight[chunk]
        sums = sums + _sums(state.network, logits, output, y[chunk], weights)
    penalty = _penalty_step(state, np.zeros_like(state.weights))()
    return _logs(state.network, sums, penalty)


def _forward(state, x):
    """Yield slices of rows with the input of the last layer and its output, without training."""
    network, n, layers = state.network, x.shape[0], state.by_layer(state.weights)
    size = max(1, _CHUNK // max(max(layer.n_inputs, layer.n_units) for layer in network.layers))
    with one_blas_thread(n * _n_products(network, x)):
        for start in range(0, n, size):
            chunk = slice(start, start + size)
            output = _rows_of(network, x[chunk])
            for layer, arrays in zip(network.layers, layers, strict=True):
                before = output
                if layer.kind == "dense":
                    output = output @ arrays["kernel"]
                    output += arrays.get("bias", 0)
                elif layer.kind == "batch_normalization":
                    variance, epsilon = arrays["moving_variance"], layer.settings["epsilon"]
                    scale = arrays.get("gamma", 1) / np.sqrt(variance + epsilon)
                    output = output * scale + (arrays.get("beta", 0) - arrays["moving_mean"] * scale)
                elif layer.kind != "dropout":
                    output = ACTIVATIONS[layer.kind][0](output, **layer.settings)
            yield chunk, before, output


def _n_products(network, x):
    """Return the multiplications of a row by BLAS, which does not multiply sparse matrices."""
    first = network.layers[0]
    by_scipy = first.n_inputs * first.n_units if _is_multiplied(network, x) else 0
    return network.n_products - by_scipy


def _is_multiplied(network, x):
    """Return whether rows stay sparse, since the first layer only multiplies them."""
    return scipy.sparse.issparse(x) and network.layers[0].kind == "dense"


def _rows_of(network, x):
    """Return rows as the first layer takes them: flat, of the network's float type."""
    if _is_multiplied(network, x):
        return x.astype(network.dtype)
    x = x.toarray() if scipy.sparse.issparse(x) else x
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


# Each layer forwards, with and without training, and backwards. A function for a kind of layer returns
# ``forward(x, i)`` and ``backward(g)``. ``forward`` takes the layer's input and the number of the step among
# those that masks were drawn for, and returns the output. ``backward`` takes the gradient with respect to the
# output, which it may change, writes the gradients of the layer's weights, and returns the gradient with
# respect to the input.


def _dense(weights, gradients, ones, is_first):
    kernel, bias = weights["kernel"], weights.get("bias")
    x = None

    def forward(inputs, i):
        nonlocal x
        x = inputs
        y = x @ kernel if scipy.sparse.issparse(x) else np.dot(x, kernel)
        if bias is not None:
            y += bias
        return y

    def backward(g):
        if scipy.sparse.issparse(x):
            gradients["kernel"][...] = x.T @ g
        else:
            np.dot(x.T, g, out=gradients["kernel"])
        if bias is not None:
            np.dot(ones[: len(g)], g, out=gradients["bias"])
        return None if is_first else np.dot(g, kernel.T)

    return forward, backward


def _activation(layer):
    function, derivative = ACTIVATIONS[layer.kind]
    z, y = None, None

    def forward(x, i):
        nonlocal z, y
        z, y = x, function(x, **layer.settings)
        return y

    def backward(g):
        return derivative(g, z, y, **layer.settings)

    return forward, backward


def _dropout(masks):
    mask = None

    def forward(x, i):
        nonlocal mask
        mask = masks[i, : len(x)]
        return x * mask

    def backward(g):
        return g * mask

    return forward, backward


def draw_masks(masks, rate, draw, n_steps):
    """Write the masks of a dropout layer's next steps, of shape (n_steps or more, batch_size, n_units).

    ``draw`` is the state of its seed generator. As TensorFlow's ``stateless_dropout`` draws them; the numbers
    of a smaller batch are the first ones of a full batch.
    """
    _, batch_size, n_units = masks.shape
    one, at_once = masks.dtype.type, max(1, _AT_ONCE // (batch_size * n_units))
    for first in range(0, n_steps, at_once):
        part = masks[first : min(first + at_once, n_steps)]
        seeds = draw + [(0, first + i) for i in range(len(part))]
        numbers = uniform(seeds, batch_size * n_units, masks.dtype)
        np.multiply(numbers.reshape(part.shape) >= one(rate), one(1 / (1 - rate)), out=part)


def _batch_normalization(settings, weights, gradients, ones):
    # Ioffe and Szegedy 2015; the moving variance is of the batch divided by n, not by n - 1.
    momentum, epsilon = settings["momentum"], settings["epsilon"]
    gamma, beta = weights.get("gamma", 1), weights.get("beta", 0)
    statistics = weights["moving_mean"], weights["moving_variance"]
    normal, scale = None, None

    def mean(x):
        return np.dot(ones[: len(x)], x) / len(x)

    def forward(x, i):
        nonlocal normal, scale
        of_batch = mean(x)
        normal = x - of_batch
        variance = mean(normal * normal)
        for moving, now in zip(statistics, (of_batch, variance), strict=True):
            moving *= momentum
            moving += now * (1 - momentum)
        scale = 1 / np.sqrt(variance + epsilon)
        normal *= scale
        return normal * gamma + beta

    def backward(g):
        mean_g, mean_normal = mean(g), mean(g * normal)
        if "gamma" in gradients:
            np.multiply(mean_normal, len(g), out=gradients["gamma"])
        if "beta" in gradients:
            np.multiply(mean_g, len(g), out=gradients["beta"])
        return (g - mean_g - normal * mean_normal) * (scale * gamma)

    return forward, backward


def passes(state, gradient, masks, batch_size):
    """Return the forward and backward functions of each layer for batches of up to ``batch_size`` rows.

    ``gradient`` is where the backward functions write; ``masks`` has an array for each dropout layer. Layers
    before the first one that is trained have None for the backward function.
    """
    ones, masks, made, is_first = np.ones(batch_size, gradient.dtype), iter(masks), [], True
    layers, by_layer = state.network.layers, state.by_layer
    for layer, weights, gradients in zip(layers, by_layer(state.weights), by_layer(gradient), strict=True):
        if layer.kind == "dense":
            forward, backward = _dense(weights, gradients, ones, is_first)
        elif layer.kind == "batch_normalization":
            forward, backward = _batch_normalization(layer.settings, weights, gradients, ones)
        elif layer.kind == "dropout":
            forward, backward = _dropout(next(masks))
        else:
            forward, backward = _activation(layer)
        is_first = is_first and not any(variable.trainable for variable in layer.variables)
        made.append((forward, None if is_first else backward))
    return made
