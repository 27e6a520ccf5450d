"""One layer, forwards and backwards, for batches of one size.

Each function below makes the buffers of its layer and returns ``forward(x, i)`` and ``backward(g)``.
``forward`` takes the layer's input and the number of the step in its block, and returns the output. ``backward`` takes
the gradient with respect to the output, which it may change, writes the gradients of the layer's weights,
and returns the gradient with respect to the input. Arrays that are returned are used again at the next step.
"""

from typing import NamedTuple

import numpy as np

from skdl._dense import _chain
from skdl._dense._activations import ACTIVATIONS
from skdl._dense._random import uniform


class _Own(NamedTuple):
    """The arrays of one layer: views of those of the state, of the gradient, and of the drawn masks."""

    weights: list
    gradients: list
    statistics: list
    masks: np.ndarray | None
    dtype: np.dtype
    is_first: bool


def _dense(layer, n, n_inputs, own):
    kernel, d_kernel = own.weights[0], own.gradients[0]
    bias, d_bias = (own.weights[1], own.gradients[1]) if layer.bias else (None, None)
    y = np.empty((n, layer.units), own.dtype)
    dx = None if own.is_first else np.empty((n, n_inputs), own.dtype)
    ones = np.ones(n, own.dtype)
    x = None

    def forward(inputs, i):
        nonlocal x
        x = inputs
        np.dot(x, kernel, out=y)
        return y if bias is None else np.add(y, bias, out=y)

    def backward(g):
        np.dot(x.T, g, out=d_kernel)
        if bias is not None:
            np.dot(ones, g, out=d_bias)
        return None if dx is None else np.dot(g, kernel.T, out=dx)

    return forward, backward


def _activation(layer, n, n_inputs, own):
    function, derivative = ACTIVATIONS[layer.name]
    settings = dict(layer.settings)
    y = np.empty((n, n_inputs), own.dtype)
    z = None

    def forward(inputs, i):
        nonlocal z
        z = inputs
        function(z, y, **settings)
        return y

    def backward(g):
        derivative(g, z, y, **settings)
        return g

    return forward, backward


def _dropout(layer, n, n_inputs, own):
    y = np.empty((n, n_inputs), own.dtype)
    mask = None

    def forward(x, i):
        nonlocal mask
        mask = own.masks[i, :n]
        return np.multiply(x, mask, out=y)

    def backward(g):
        return np.multiply(g, mask, out=g)

    return forward, backward


def draw_masks(masks, layer, draw, n_steps):
    """Write the masks of the next steps of a dropout layer, as TensorFlow's ``stateless_dropout`` draws them.

    The numbers of a smaller batch are the first ones of a full batch.

    Parameters
    ----------
    masks : ndarray of shape (n_steps or more, batch_size, n_units)
    layer : Dropout
    draw : ndarray of shape (2,)
        State of the layer's seed generator.
    n_steps : int
    """
    _, batch_size, n_units = masks.shape
    one = masks.dtype.type
    seeds = draw + np.array([[0, 1]]) * np.arange(n_steps)[:, None]
    numbers = uniform(seeds, batch_size * n_units, masks.dtype).reshape(n_steps, batch_size, n_units)
    np.multiply(numbers >= one(layer.rate), one(1 / (1 - layer.rate)), out=masks[:n_steps])


def _batch_normalization(layer, n, n_inputs, own):
    # Ioffe and Szegedy 2015; the moving variance is that of the batch, divided by n and not by n - 1.
    moving_mean, moving_variance = own.statistics
    gamma = own.weights[0] if layer.gamma else None
    beta = own.weights[-1] if layer.beta else None
    share = np.full(n, 1 / n, own.dtype)
    ones = np.ones(n, own.dtype)
    normal, y, a = np.empty((3, n, n_inputs), own.dtype)
    scale = None

    def forward(x, i):
        nonlocal scale
        mean = np.dot(share, x)
        np.subtract(x, mean, out=normal)
        np.multiply(normal, normal, out=a)
        variance = np.dot(share, a)
        for moving, now in ((moving_mean, mean), (moving_variance, variance)):
            moving *= layer.momentum
            moving += now * (1 - layer.momentum)
        scale = 1 / np.sqrt(variance + layer.epsilon)
        np.multiply(normal, scale, out=normal)
        np.copyto(y, normal) if gamma is None else np.multiply(normal, gamma, out=y)
        return y if beta is None else np.add(y, beta, out=y)

    def backward(g):
        np.multiply(g, normal, out=a)
        sum_g, sum_a = np.dot(ones, g), np.dot(ones, a)
        if gamma is not None:
            own.gradients[0][...] = sum_a
        if beta is not None:
            own.gradients[-1][...] = sum_g
        g -= sum_g / n
        np.multiply(normal, sum_a / n, out=a)
        g -= a
        g *= scale if gamma is None else scale * gamma
        return g

    return forward, backward


_PASSES = {
    _chain.Dense: _dense,
    _chain.Activation: _activation,
    _chain.Dropout: _dropout,
    _chain.BatchNormalization: _batch_normalization,
}


def passes(state, gradient, masks, n):
    """Return the forward and backward functions of each layer for batches of ``n`` rows.

    Parameters
    ----------
    state : State
    gradient : ndarray of shape (n_weights,)
        Where the backward functions write the gradient.
    masks : list of ndarray of shape (n_steps, batch_size, n_units)
        Of each dropout layer.
    n : int

    Returns
    -------
    list of (callable, callable)
        Layers before the first one with weights have no backward function.
    """
    network = state.network
    weights, gradients = iter(state.views(state.weights)), iter(state.views(gradient))
    statistics, masks = iter(state.moving()), iter(masks)
    made, is_first = [], True
    for layer, variables, width in zip(network.layers, network.variables, network.widths, strict=False):
        n_trainable = sum(v.trainable for v in variables)
        own = _Own(
            weights=[next(weights) for _ in range(n_trainable)],
            gradients=[next(gradients) for _ in range(n_trainable)],
            statistics=[next(statistics) for _ in variables[n_trainable:]],
            masks=next(masks) if isinstance(layer, _chain.Dropout) else None,
            dtype=state.weights.dtype,
            is_first=is_first,
        )
        forward, backward = _PASSES[type(layer)](layer, n, width, own)
        is_first = is_first and not n_trainable
        made.append((forward, None if is_first else backward))
    return made
