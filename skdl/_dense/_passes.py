"""Each layer forwards, with and without training, and backwards.

A function for a kind of layer returns ``forward(x, i)`` and ``backward(g)``. ``forward`` takes the layer's
input and the number of the step among those that masks were drawn for, and returns the output. ``backward``
takes the gradient with respect to the output, which it may change, writes the gradients of the layer's
weights, and returns the gradient with respect to the input.
"""

from typing import NamedTuple

import numpy as np

from skdl._dense._formulas import ACTIVATIONS
from skdl._dense._state import uniform


class _Arrays(NamedTuple):
    """What a layer has of the state, the gradient and the masks; whether no layer before it is trained."""

    weights: list
    gradients: list
    moving: list
    masks: np.ndarray | None
    ones: np.ndarray
    is_first: bool


def _dense(layer, own):
    kernel, d_kernel = own.weights[0], own.gradients[0]
    bias, d_bias = (own.weights[1], own.gradients[1]) if own.weights[1:] else (None, None)
    x = None

    def forward(inputs, i):
        nonlocal x
        x = inputs
        y = np.dot(x, kernel)
        if bias is not None:
            y += bias
        return y

    def backward(g):
        np.dot(x.T, g, out=d_kernel)
        if bias is not None:
            np.dot(own.ones[: len(g)], g, out=d_bias)
        return None if own.is_first else np.dot(g, kernel.T)

    return forward, backward


def _activation(layer, own):
    function, derivative = ACTIVATIONS[layer.kind]
    z, y = None, None

    def forward(x, i):
        nonlocal z, y
        z, y = x, function(x, **layer.settings)
        return y

    def backward(g):
        return derivative(g, z, y, **layer.settings)

    return forward, backward


def _dropout(layer, own):
    mask = None

    def forward(x, i):
        nonlocal mask
        mask = own.masks[i, : len(x)]
        return x * mask

    def backward(g):
        return g * mask

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


def _batch_normalization(layer, own):
    # Ioffe and Szegedy 2015; the moving variance is of the batch divided by n, not by n - 1.
    momentum, epsilon = layer.settings["momentum"], layer.settings["epsilon"]
    names = [variable.name for variable in layer.variables]
    gamma = own.weights[0] if "gamma" in names else 1
    beta = own.weights[-1] if "beta" in names else 0
    normal, scale = None, None

    def mean(x):
        return np.dot(own.ones[: len(x)], x) / len(x)

    def forward(x, i):
        nonlocal normal, scale
        of_batch = mean(x)
        normal = x - of_batch
        variance = mean(normal * normal)
        for moving, now in zip(own.moving, (of_batch, variance), strict=True):
            moving *= momentum
            moving += now * (1 - momentum)
        scale = 1 / np.sqrt(variance + epsilon)
        normal *= scale
        return normal * gamma + beta

    def backward(g):
        mean_g, mean_normal = mean(g), mean(g * normal)
        if "gamma" in names:
            np.multiply(mean_normal, len(g), out=own.gradients[0])
        if "beta" in names:
            np.multiply(mean_g, len(g), out=own.gradients[-1])
        return (g - mean_g - normal * mean_normal) * (scale * gamma)

    return forward, backward


_PASSES = {"dense": _dense, "dropout": _dropout, "batch_normalization": _batch_normalization}


def passes(state, gradient, masks, batch_size):
    """Return the forward and backward functions of each layer for batches of up to ``batch_size`` rows.

    ``gradient`` is where the backward functions write; ``masks`` has an array for each dropout layer. Layers
    before the first one that is trained have None for the backward function.
    """
    weights, gradients = iter(state.views(state.weights)), iter(state.views(gradient))
    moving, masks = iter(state.moving()), iter(masks)
    ones = np.ones(batch_size, gradient.dtype)
    made, is_first = [], True
    for layer in state.network.layers:
        trained = [variable for variable in layer.variables if variable.trainable]
        own = _Arrays(
            [next(weights) for _ in trained],
            [next(gradients) for _ in trained],
            [next(moving) for _ in layer.variables[len(trained) :]],
            next(masks) if layer.kind == "dropout" else None,
            ones,
            is_first,
        )
        forward, backward = _PASSES.get(layer.kind, _activation)(layer, own)
        is_first = is_first and not trained
        made.append((forward, None if is_first else backward))
    return made


def forward(state, x):
    """Return the input of the last layer and its output, without training."""
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
