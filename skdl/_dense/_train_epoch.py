"""The training of one epoch."""

import numpy as np

from skdl._dense._evaluate import logs_of, penalty_factors, rows_of, sums_of
from skdl._dense._passes import draw_masks, passes
from skdl._dense._row_losses import LOSSES, target_of
from skdl._dense._chain import Activation, Dropout
from skdl._dense._optimizers import optimizer_step

# Numbers of the rows, the outputs and the masks that are made for several steps at a time.
_BLOCK = 2**18


def train_epoch(state, x, y, weight, order, batch_size, *, should_stop=None):
    """Train for one epoch.

    Parameters
    ----------
    state : State
        Is changed in place.
    x : ndarray of shape (n, *input_shape)
    y : ndarray of shape (n,) or (n, n_units)
        Class numbers where the loss takes these.
    weight : ndarray of shape (n,) or None
        Of the rows.
    order : ndarray of int of shape (n_visited,)
        Rows in the order in which they are visited. The last batch has what is left.
    batch_size : int
    should_stop : callable () -> bool, default=None
        Asked before each step but the first.

    Returns
    -------
    dict of str to float
        Loss and metrics of the steps made, each before its step, in the order of Keras's logs: by name.
    """
    network, dtype = state.network, state.weights.dtype
    n_units, batch_size = network.widths[-1], min(batch_size, len(order))
    block = batch_size * _steps_in_block(network, batch_size, len(order))

    gradient = np.empty_like(state.weights)
    dropouts = [
        (layer, w)
        for layer, w in zip(network.layers, network.widths, strict=False)
        if isinstance(layer, Dropout)
    ]
    masks = [np.empty((block // batch_size, batch_size, w), dtype) for _, w in dropouts]
    sizes = {batch_size, len(order) % batch_size or batch_size}
    steps = {n: _gradient_step(state, gradient, masks, n) for n in sizes}
    penalize, optimize = _penalty_step(state, gradient), optimizer_step(state, gradient)
    logits, outputs = np.empty((2, block, n_units), dtype)

    sums, penalties, stopped = 0, 0.0, False
    with np.errstate(all="ignore"):
        for first in range(0, len(order), block):
            # What can be done for many steps at a time.
            rows = order[first : first + block]
            inputs, targets = rows_of(network, x[rows]), y[rows]
            t = target_of(network.loss, targets, n_units, dtype)
            weights = None if weight is None else weight[rows].astype(dtype)
            n_steps = -(-len(rows) // batch_size)
            for i, (layer, _) in enumerate(dropouts):
                draw_masks(masks[i], layer, state.draws[i], n_steps)

            done = 0
            for i, start in enumerate(range(0, len(rows), batch_size)):
                batch = slice(start, min(start + batch_size, len(rows)))
                n = batch.stop - start
                steps[n](
                    i,
                    inputs[batch],
                    t[batch],
                    None if weights is None else weights[batch],
                    logits[batch],
                    outputs[batch],
                )
                if penalize:
                    penalties += n * penalize()
                optimize()
                done = batch.stop
                if should_stop and should_stop():
                    stopped = True
                    break

            state.draws[:, 1] += i + 1
            w = None if weights is None else weights[:done]
            sums = sums + sums_of(network, logits[:done], outputs[:done], targets[:done], w)
            if stopped:
                break
        return logs_of(network, sums, penalties / sums[0, 1])


def _steps_in_block(network, batch_size, n_rows):
    """Return how many steps are prepared at a time, so that memory stays bounded."""
    numbers = sum(
        w for layer, w in zip(network.layers, network.widths, strict=False) if isinstance(layer, Dropout)
    )
    numbers += network.n_inputs + network.widths[-1]
    return int(np.clip(_BLOCK // (numbers * batch_size), 1, -(-n_rows // batch_size)))


def _gradient_step(state, gradient, masks, n):
    """Return a function that writes the gradient of a batch of ``n`` rows, and the outputs."""
    network = state.network
    layers = passes(state, gradient, masks, n)
    forwards = [forward for forward, _ in layers]
    last = layers[-1] if isinstance(network.layers[-1], Activation) else None
    backwards = [backward for _, backward in reversed(layers) if backward]
    if last and network.loss.logits:
        backwards = backwards[1:]
    differentiate = LOSSES[network.loss.function][1]
    settings = dict(network.loss.settings)
    # The softmax of the logits is there already.
    fused = last and network.loss.logits and _FUSED.get(network.loss.function) == network.layers[-1].name
    mean = state.weights.dtype.type(network.loss_weight / n)
    if fused and network.loss.function == "sigmoid_crossentropy":
        mean /= network.widths[-1]
    g = np.empty((n, network.widths[-1]), state.weights.dtype)

    def step(i, x, t, weights, logits, output):
        a = z = x
        for forward in forwards:
            z, a = a, forward(a, i)
        if last is None:
            z = a
        logits[...] = z
        output[...] = a
        if fused:
            np.subtract(a, t, out=g)
        else:
            differentiate(t, z if network.loss.logits else a, g, **settings)
        d = np.multiply(g, mean, out=g)
        if weights is not None:
            d *= weights[:, None]
        for backward in backwards:
            d = backward(d)

    return step


# Where the derivative is the output minus the target, divided by the number of labels.
_FUSED = {"softmax_crossentropy": "softmax", "sigmoid_crossentropy": "sigmoid"}


def _penalty_step(state, gradient):
    """Return a function that adds the gradient of the penalties and returns their sum; None without any."""
    l1, l2 = penalty_factors(state)
    if l1 is None and l2 is None:
        return None
    w, a = state.weights, np.empty_like(state.weights)

    def step():
        total = 0.0
        if l1 is not None:
            np.sign(w, out=a)
            np.multiply(a, l1, out=a)
            total += np.dot(a, w)
            np.add(gradient, a, out=gradient)
        if l2 is not None:
            np.multiply(w, l2, out=a)
            total += np.dot(a, w)
            np.add(a, a, out=a)
            np.add(gradient, a, out=gradient)
        return float(total)

    return step
