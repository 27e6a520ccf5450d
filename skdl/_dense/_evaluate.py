"""The forward pass without training: predictions and evaluation."""

import numpy as np

from skdl._dense._activations import ACTIVATIONS
from skdl._dense._row_losses import target_of, values_of
from skdl._dense._chain import Activation, BatchNormalization, Dense

# Elements of the input and of the widest layer for which rows are computed at a time.
_CHUNK = 2**20


def forward(state, x):
    """Return what goes into the last activation, and the output.

    Parameters
    ----------
    state : State
    x : ndarray of shape (n, n_inputs)
        Of the network's float type.

    Returns
    -------
    logits, output : ndarray of shape (n, n_units)
        The same array where the last layer is no activation.
    """
    network = state.network
    weights, moving = iter(state.views(state.weights)), iter(state.moving())
    before = x
    for layer in network.layers:
        before = x
        if isinstance(layer, Dense):
            x = x @ next(weights)
            if layer.bias:
                x += next(weights)
        elif isinstance(layer, Activation):
            x = np.empty_like(before)
            ACTIVATIONS[layer.name][0](before, x, **dict(layer.settings))
        elif isinstance(layer, BatchNormalization):
            gamma = next(weights) if layer.gamma else 1
            beta = next(weights) if layer.beta else 0
            mean, variance = next(moving), next(moving)
            scale = gamma / np.sqrt(variance + layer.epsilon)
            x = x * scale + (beta - mean * scale)
    return before if isinstance(network.layers[-1], Activation) else x, x


def rows_of(network, x):
    """Return rows as the network takes them: flat, of its float type, without a copy where they are."""
    return np.asarray(x, network.dtype).reshape(len(x), network.n_inputs)


def _chunks(network, n):
    size = max(1, _CHUNK // max(network.widths))
    return [slice(start, start + size) for start in range(0, n, size)]


def predict(state, x):
    """Return the output for each row.

    Parameters
    ----------
    state : State
    x : ndarray of shape (n, *input_shape)

    Returns
    -------
    ndarray of shape (n, n_units)
        Of the network's float type.
    """
    network = state.network
    output = np.empty((len(x), network.widths[-1]), network.dtype)
    with np.errstate(all="ignore"):
        for chunk in _chunks(network, len(x)):
            output[chunk] = forward(state, rows_of(network, x[chunk]))[1]
    return output


def evaluate(state, x, y, weight=None):
    """Return loss and metrics as ``keras.Model.evaluate`` does, whatever its batches.

    Parameters
    ----------
    state : State
    x : ndarray of shape (n, *input_shape)
    y : ndarray of shape (n,) or (n, n_units)
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    dict of str to float
        In the order of their names, as Keras's logs.
    """
    network, sums = state.network, 0
    with np.errstate(all="ignore"):
        for chunk in _chunks(network, len(x)):
            predicted = forward(state, rows_of(network, x[chunk]))
            sums = sums + sums_of(network, *predicted, y[chunk], None if weight is None else weight[chunk])
        return logs_of(network, sums, penalty(state))


def sums_of(network, logits, output, y, weight):
    """Return the sums over some rows of loss and metrics, and how much each row counts.

    Returns
    -------
    ndarray of shape (1 + n_metrics, 2)
        Weighted sum and sum of the weights; of the loss, the number of rows.
    """
    sums = np.empty((1 + len(network.metrics), 2))
    for i, loss in enumerate((network.loss, *network.metrics)):
        target = target_of(loss, y, output.shape[1], output.dtype)
        values = values_of(loss, target, logits if loss.logits else output)
        w = weight if loss.weighted else None
        # In float64, where Keras adds up in float32.
        sums[i] = np.sum(values if w is None else values * w, dtype=float), len(y) if w is None else w.sum()
    sums[0, 0] *= network.loss_weight
    sums[0, 1] = len(y)
    return sums


def logs_of(network, sums, penalty):
    """Return logs from what `sums_of` gave for all rows, and the mean penalty."""
    sums, counts = sums.T
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts != 0)
    means[0] += penalty
    logs = {"loss": float(means[0])}
    for metric, mean in zip(network.metrics, means[1:], strict=True):
        logs[metric.name] = float(np.sqrt(mean) if metric.root else mean)
    return dict(sorted(logs.items()))


def penalty_factors(state):
    """Return the factors of the penalties of each weight.

    Returns
    -------
    l1, l2 : ndarray of shape (n_weights,) or None
        None where they are zero throughout.
    """
    variables = [v for of_layer in state.network.variables for v in of_layer if v.trainable]
    sizes, dtype = [v.size for v in variables], state.weights.dtype
    factors = (
        np.repeat(np.array([getattr(v, key) for v in variables], dtype), sizes) for key in ("l1", "l2")
    )
    return tuple(f if f.any() else None for f in factors)


def penalty(state):
    """Return the sum of the penalties of the weights."""
    l1, l2 = penalty_factors(state)
    w = state.weights
    return (0.0 if l1 is None else float(l1 @ np.abs(w))) + (0.0 if l2 is None else float(l2 @ (w * w)))
