"""One layer, forwards and backwards, for batches of one size.

Each function below makes the buffers of its layer and returns ``forward(x, i)`` and ``backward(g)``.
``forward`` takes the layer's input and the number of the step among those that masks were drawn for, and
returns the output. ``backward`` takes the gradient with respect to the output, which it may change, writes
the gradients of the layer's weights, and returns the gradient with respect to the input. What they return
is used again at the next step.
"""

from typing import NamedTuple

import numpy as np

from skdl._dense._activations import ACTIVATIONS
from skdl._dense._random import uniform


class _Arrays(NamedTuple):
    """What a layer has of the state, the gradient and the masks; whether no layer before it is trained."""

    weights: list
    gradients: list
    moving: list
    masks: np.ndarray | None
    is_first: bool


def _dense(layer, n, dtype, own):
    kernel, d_kernel = own.weights[0], own.gradients[0]
    bias, d_bias = (own.weights[1], own.gradients[1]) if own.weights[1:] else (None, None)
    y = np.empty((n, layer.n_units), dtype)
    dx = None if own.is_first else np.empty((n, layer.n_inputs), dtype)
    ones = np.ones(n, dtype)
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


def _activation(layer, n, dtype, own):
    function, derivative = ACTIVATIONS[layer.kind]
    y = np.empty((n, layer.n_units), dtype)
    z = None

    def forward(x, i):
        nonlocal z
        z = x
        function(z, y, **layer.settings)
        return y

    def backward(g):
        derivative(g, z, y, **layer.settings)
        return g

    return forward, backward


def _dropout(layer, n, dtype, own):
    y = np.empty((n, layer.n_units), dtype)
    mask = None

    def forward(x, i):
        nonlocal mask
        mask = own.masks[i, :n]
        return np.multiply(x, mask, out=y)

    def backward(g):
        return np.multiply(g, mask, out=g)

    return forward, backward


# So many random numbers are made in the processor's cache.
_AT_ONCE = 2**16


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


def _batch_normalization(layer, n, dtype, own):
    # Ioffe and Szegedy 2015; the moving variance is of the batch divided by n, not by n - 1.
    momentum, epsilon = layer.settings["momentum"], layer.settings["epsilon"]
    names = [variable.name for variable in layer.variables]
    gamma = own.weights[0] if "gamma" in names else None
    beta = own.weights[-1] if "beta" in names else None
    normal, y, a = np.empty((3, n, layer.n_units), dtype)
    ones = np.ones(n, dtype)
    scale = None

    def forward(x, i):
        nonlocal scale
        mean = np.dot(ones, x) / n
        np.subtract(x, mean, out=normal)
        np.multiply(normal, normal, out=a)
        variance = np.dot(ones, a) / n
        for moving, now in zip(own.moving, (mean, variance), strict=True):
            moving *= momentum
            moving += now * (1 - momentum)
        scale = 1 / np.sqrt(variance + epsilon)
        np.multiply(normal, scale, out=normal)
        np.multiply(normal, 1 if gamma is None else gamma, out=y)
        return y if beta is None else np.add(y, beta, out=y)

    def backward(g):
        np.multiply(g, normal, out=a)
        sum_a, sum_g = np.dot(ones, a), np.dot(ones, g)
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


_PASSES = {"dense": _dense, "dropout": _dropout, "batch_normalization": _batch_normalization}


def passes(state, gradient, masks, n):
    """Return the forward and backward functions of each layer for batches of ``n`` rows.

    ``gradient`` is where the backward functions write; ``masks`` has an array for each dropout layer. Layers
    before the first one that is trained have None for the backward function.
    """
    weights, gradients = iter(state.views(state.weights)), iter(state.views(gradient))
    moving, masks = iter(state.moving()), iter(masks)
    made, is_first = [], True
    for layer in state.network.layers:
        trained = [variable for variable in layer.variables if variable.trainable]
        own = _Arrays(
            [next(weights) for _ in trained],
            [next(gradients) for _ in trained],
            [next(moving) for _ in layer.variables[len(trained) :]],
            next(masks) if layer.kind == "dropout" else None,
            is_first,
        )
        forward, backward = _PASSES.get(layer.kind, _activation)(layer, n, state.weights.dtype, own)
        is_first = is_first and not trained
        made.append((forward, None if is_first else backward))
    return made
