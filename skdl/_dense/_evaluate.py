"""The forward pass without training: predictions and evaluation."""

import numpy as np

from skdl._dense._activations import ACTIVATIONS
from skdl._dense._one_thread import one_blas_thread
from skdl._dense._row_losses import target_of, values_of

# Numbers of a layer's output that are computed at a time.
_CHUNK = 2**20


def predict(state, x):
    """Return the output for each row.

    Parameters
    ----------
    state : State
    x : ndarray of shape (n, *input_shape)

    Returns
    -------
    ndarray of shape (n, n_units)
        Of the network's float type. The last bits of a row may depend on the rows beside it, as in any BLAS.
    """
    network = state.network
    output = np.empty((len(x), network.n_units), state.weights.dtype)
    with np.errstate(all="ignore"), one_blas_thread(len(x) * network.n_products):
        for chunk in _chunks(network, len(x)):
            output[chunk] = _forward(state, rows_of(network, x[chunk]))[1]
    return output


@np.errstate(all="ignore")
def evaluate(state, x, y, weight=None):
    """Return loss and metrics as ``keras.Model.evaluate`` does; its batches make no difference.

    Parameters
    ----------
    state : State
    x : ndarray of shape (n, *input_shape)
    y : ndarray of shape (n,) or (n, n_units)
        Class numbers where the loss takes these.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    dict of str to float
        In the order of their names, as Keras's logs.
    """
    sums = 0
    with one_blas_thread(len(x) * state.network.n_products):
        for chunk in _chunks(state.network, len(x)):
            weights = None if weight is None else weight[chunk]
            outputs = _forward(state, rows_of(state.network, x[chunk]))
            sums = sums + sums_of(state.network, *outputs, y[chunk], weights)
    weights = state.views(state.weights)
    penalties = [
        v.l1 * np.abs(weights[i]).sum() + v.l2 * np.vdot(weights[i], weights[i]) for i, v in penalised(state)
    ]
    return logs_of(state.network, sums, sum(penalties))


def _chunks(network, n):
    size = max(1, _CHUNK // max(max(layer.n_inputs, layer.n_units) for layer in network.layers))
    return [slice(start, start + size) for start in range(0, n, size)]


def rows_of(network, x):
    """Return rows as the first layer takes them: flat, of the network's float type."""
    return np.asarray(x, network.dtype, order="C").reshape(len(x), network.layers[0].n_inputs)


def _forward(state, x):
    """Return the input of the last layer and its output."""
    weights, moving = iter(state.views(state.weights)), iter(state.moving())
    for layer in state.network.layers:
        before = x
        arrays = {v.name: next(weights if v.trainable else moving) for v in layer.variables}
        if layer.kind == "dense":
            x = x @ arrays["kernel"]
            x += arrays.get("bias", 0)
        elif layer.kind == "batch_normalization":
            scale = arrays.get("gamma", 1) / np.sqrt(arrays["moving_variance"] + layer.settings["epsilon"])
            x = x * scale + (arrays.get("beta", 0) - arrays["moving_mean"] * scale)
        elif layer.kind != "dropout":
            x = ACTIVATIONS[layer.kind][0](x, **layer.settings)
    return before, x


def sums_of(network, logits, output, y, weight):
    """Return the weighted sums of loss and metrics over some rows, and the sums of the weights.

    ``logits`` is what goes into the last layer. The loss counts each row once, whatever its weight. Sums
    are in float64, where Keras adds up in float32.
    """
    sums = []
    for measure in (network.loss, *network.metrics):
        t = target_of(measure, y, output.shape[1], output.dtype)
        values = values_of(measure, t, logits if measure.logits else output)
        if weight is None or not measure.weighted:
            sums.append((values.sum(dtype=float), len(y)))
        else:
            sums.append(((values * weight).sum(dtype=float), weight.sum(dtype=float)))
    sums[0] = sums[0][0] * network.loss_weight, len(y)
    return np.array(sums)


def logs_of(network, sums, penalty):
    """Return logs from what `sums_of` gave for all rows, and the mean penalty of the steps."""
    loss, *means = np.divide(*sums.T, out=np.zeros(len(sums)), where=sums[:, 1] != 0)
    logs = {"loss": float(loss + penalty)}
    for metric, mean in zip(network.metrics, means, strict=True):
        logs[metric.name] = float(np.sqrt(mean) if metric.root else mean)
    return dict(sorted(logs.items()))


def penalised(state):
    """Return the variables that have penalties, with their positions among those that are trained."""
    trained = [v for layer in state.network.layers for v in layer.variables if v.trainable]
    return [(i, v) for i, v in enumerate(trained) if v.l1 or v.l2]
