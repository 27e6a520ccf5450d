"""The training of one epoch."""

import numpy as np

from skdl._dense._evaluate import logs_of, penalised, rows_of, sums_of
from skdl._dense._one_thread import one_blas_thread
from skdl._dense._optimizers import optimizer_step
from skdl._dense._passes import draw_masks, passes
from skdl._dense._row_losses import LOSSES, target_of

# Numbers of rows, outputs and masks that are made for several steps at a time.
_BLOCK = 2**19


@np.errstate(all="ignore")
def train_epoch(state, x, y, weight, order, batch_size):
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

    Returns
    -------
    dict of str to float
        Loss and metrics of the steps made, each before its step, in the order of their names, as Keras's
        logs.
    """
    network, dtype, n_units = state.network, state.weights.dtype, state.network.layers[-1].n_units
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
            inputs, targets = rows_of(network, x[rows]), y[rows]
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
            sums = sums + sums_of(network, logits[:n], output[:n], targets, weights)
    return logs_of(network, sums, penalties / sums[0, 1])


# Where the derivative is the output minus the target.
_SIMPLE = {("softmax_crossentropy", "softmax"), ("sigmoid_crossentropy", "sigmoid")}


def _gradient_step(state, gradient, masks, batch_size):
    """Return a function that writes the gradient of a batch.

    It returns the input of the last layer and the output.
    """
    network, last = state.network, state.network.layers[-1]
    loss = network.loss
    layers = passes(state, gradient, masks, batch_size)
    forwards = [forward for forward, _ in layers]
    backwards = [backward for _, backward in reversed(layers) if backward]
    backwards = backwards[1:] if loss.logits else backwards
    is_simple = loss.logits and (loss.function, last.kind) in _SIMPLE
    differentiate = LOSSES[loss.function][1]
    scale = network.loss_weight
    if is_simple and loss.function == "sigmoid_crossentropy":
        scale /= last.n_units

    def step(x, t, weights, i):
        for forward in forwards:
            before, x = x, forward(x, i)
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
    weights, gradients = state.views(state.weights), state.views(gradient)
    parts = [(v, weights[i], gradients[i]) for i, v in penalised(state)]

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
