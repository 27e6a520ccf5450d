"""Activations and their derivatives, as Keras 3.15 computes them with TensorFlow.

Keras: ``keras/src/activations/activations.py`` and ``keras/src/backend/tensorflow/nn.py``. At a kink the
derivative is TensorFlow's (``tensorflow/core/kernels/relu_op_functor.h`` for the rectifiers), since
inputs of exactly zero are frequent: rows of zeros, units that are all off.

`ACTIVATIONS` gives for each name two functions. ``forward(z, y, **settings)`` writes the values at ``z``
into ``y``. ``backward(g, z, y, **settings)`` multiplies ``g``, the gradient with respect to ``y``, by the
derivative, in place.
"""

import math

import numpy as np
from scipy.special import erf

# Klambauer et al. 2017, Self-Normalizing Neural Networks.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _relu(z, y):
    np.maximum(z, 0, out=y)


def _relu_backward(g, z, y):
    np.multiply(g, y > 0, out=g)


def _relu6(z, y):
    np.clip(z, 0, 6, out=y)


def _relu6_backward(g, z, y):
    g *= (z > 0) & (z < 6)


def _leaky_relu(z, y, negative_slope=0.2):
    np.multiply(z, negative_slope, out=y)
    np.maximum(z, y, out=y) if negative_slope <= 1 else np.copyto(y, z, where=z > 0)


def _leaky_relu_backward(g, z, y, negative_slope=0.2):
    np.multiply(g, negative_slope, out=g, where=z <= 0)


def _elu(z, y, alpha=1.0):
    np.minimum(z, 0, out=y)
    np.expm1(y, out=y)
    y *= alpha
    np.copyto(y, z, where=z > 0)


def _elu_backward(g, z, y, alpha=1.0):
    # TensorFlow's EluGrad, of the function with alpha = 1; where it is 0 the derivative is 1.
    np.multiply(g, y + alpha, out=g, where=y < 0)
    if alpha != 1:
        np.multiply(g, alpha, out=g, where=z == 0)


def _celu(z, y, alpha=1.0):
    np.add(np.maximum(z, 0), alpha * np.expm1(np.minimum(z, 0) / alpha), out=y)


def _celu_backward(g, z, y, alpha=1.0):
    # Both the maximum and the minimum give their gradient at zero: it is 2 there.
    g *= (z >= 0) + (z <= 0) * np.exp(np.minimum(z, 0) / alpha)


def _selu(z, y):
    _elu(z, y, _SELU_ALPHA)
    y *= _SELU_SCALE


def _selu_backward(g, z, y):
    negative = y < 0
    np.multiply(g, y + _SELU_SCALE * _SELU_ALPHA, out=g, where=negative)
    np.multiply(g, _SELU_SCALE, out=g, where=~negative)


def _sigmoid(z, y):
    np.negative(z, out=y)
    np.exp(y, out=y)
    y += 1
    np.reciprocal(y, out=y)


def sigmoid(z):
    """Return the logistic function of an array."""
    y = np.empty_like(z)
    _sigmoid(z, y)
    return y


def _sigmoid_backward(g, z, y):
    g *= y
    g *= 1 - y


def _tanh(z, y):
    np.tanh(z, out=y)


def _tanh_backward(g, z, y):
    g *= 1 - y * y


def softplus(z):
    """Return ``log(1 + exp(z))`` of an array."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def _softplus(z, y):
    y[...] = softplus(z)


def _softplus_backward(g, z, y):
    g *= sigmoid(z)


def _log_sigmoid(z, y):
    np.negative(softplus(-z), out=y)


def _log_sigmoid_backward(g, z, y):
    g *= sigmoid(-z)


def _softsign(z, y):
    np.divide(z, 1 + np.abs(z), out=y)


def _softsign_backward(g, z, y):
    g /= (1 + np.abs(z)) ** 2


def _silu(z, y):
    _sigmoid(z, y)
    y *= z


def _silu_backward(g, z, y):
    s = sigmoid(z)
    g *= s * (1 + z * (1 - s))


def _gelu(z, y, approximate=False):
    y[...] = 0.5 * z * (1 + (np.tanh(_gelu_inner(z)) if approximate else erf(z * math.sqrt(0.5))))


def _gelu_inner(z):
    """Hendrycks and Gimpel 2016, Gaussian Error Linear Units: the argument of the approximation."""
    return math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)


def _gelu_backward(g, z, y, approximate=False):
    if approximate:
        t = np.tanh(_gelu_inner(z))
        g *= 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z * z)
    else:
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        g *= 0.5 * (1 + erf(z * math.sqrt(0.5))) + z * density


def _mish(z, y):
    np.multiply(z, np.tanh(softplus(z)), out=y)


def _mish_backward(g, z, y):
    t = np.tanh(softplus(z))
    g *= t + z * (1 - t * t) * sigmoid(z)


def _exponential(z, y):
    np.exp(z, out=y)


def _exponential_backward(g, z, y):
    g *= y


def _hard_sigmoid(z, y):
    np.clip(z + 3, 0, 6, out=y)
    y /= 6


def _hard_sigmoid_backward(g, z, y):
    g *= ((z > -3) & (z < 3)) / z.dtype.type(6)


def _hard_silu(z, y):
    _hard_sigmoid(z, y)
    y *= z


def _hard_silu_backward(g, z, y):
    g *= np.clip(z + 3, 0, 6) / 6 + z * ((z > -3) & (z < 3)) / 6


def _hard_tanh(z, y):
    np.clip(z, -1, 1, out=y)


def _hard_tanh_backward(g, z, y):
    g *= (z >= -1) & (z <= 1)


def _soft_shrink(z, y, threshold=0.5):
    y[...] = np.where(z > threshold, z - threshold, np.where(z < -threshold, z + threshold, 0))


def _shrink_backward(g, z, y, threshold=0.5):
    g *= np.abs(z) > threshold


def _hard_shrink(z, y, threshold=0.5):
    np.multiply(z, np.abs(z) > threshold, out=y)


def _tanh_shrink(z, y):
    np.subtract(z, np.tanh(z), out=y)


def _tanh_shrink_backward(g, z, y):
    g *= np.tanh(z) ** 2


def _sparse_plus(z, y):
    y[...] = np.where(z <= -1, 0, np.where(z < 1, 0.25 * (z + 1) ** 2, z))


def _sparse_plus_backward(g, z, y):
    g *= np.where(z <= -1, 0, np.where(z < 1, 0.5 * (z + 1), 1)).astype(z.dtype)


def _sparse_sigmoid(z, y):
    np.clip(0.5 * (z + 1), 0, 1, out=y)


def _sparse_sigmoid_backward(g, z, y):
    g *= 0.5 * ((z > -1) & (z < 1)).astype(z.dtype)


def _squareplus(z, y, b=4):
    np.add(z, np.sqrt(z * z + b), out=y)
    y /= 2


def _squareplus_backward(g, z, y, b=4):
    g *= 0.5 * (1 + z / np.sqrt(z * z + b))


def _softmax(z, y):
    np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True), out=y)
    np.exp(y, out=y)
    np.divide(y, np.add.reduce(y, axis=1, keepdims=True), out=y)


def softmax(z):
    """Return the softmax of each row."""
    y = np.empty_like(z)
    _softmax(z, y)
    return y


def _softmax_backward(g, z, y):
    np.multiply(y, g - np.add.reduce(g * y, axis=1, keepdims=True), out=g)


def log_softmax(z):
    """Return the logarithm of the softmax of each row."""
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _log_softmax(z, y):
    y[...] = log_softmax(z)


def _log_softmax_backward(g, z, y):
    g -= np.exp(y) * g.sum(axis=1, keepdims=True)


ACTIVATIONS = {
    "celu": (_celu, _celu_backward),
    "elu": (_elu, _elu_backward),
    "exponential": (_exponential, _exponential_backward),
    "gelu": (_gelu, _gelu_backward),
    "hard_shrink": (_hard_shrink, _shrink_backward),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_backward),
    "hard_silu": (_hard_silu, _hard_silu_backward),
    "hard_tanh": (_hard_tanh, _hard_tanh_backward),
    "leaky_relu": (_leaky_relu, _leaky_relu_backward),
    "log_sigmoid": (_log_sigmoid, _log_sigmoid_backward),
    "log_softmax": (_log_softmax, _log_softmax_backward),
    "mish": (_mish, _mish_backward),
    "relu": (_relu, _relu_backward),
    "relu6": (_relu6, _relu6_backward),
    "selu": (_selu, _selu_backward),
    "sigmoid": (_sigmoid, _sigmoid_backward),
    "silu": (_silu, _silu_backward),
    "soft_shrink": (_soft_shrink, _shrink_backward),
    "softmax": (_softmax, _softmax_backward),
    "softplus": (_softplus, _softplus_backward),
    "softsign": (_softsign, _softsign_backward),
    "sparse_plus": (_sparse_plus, _sparse_plus_backward),
    "sparse_sigmoid": (_sparse_sigmoid, _sparse_sigmoid_backward),
    "squareplus": (_squareplus, _squareplus_backward),
    "tanh": (_tanh, _tanh_backward),
    "tanh_shrink": (_tanh_shrink, _tanh_shrink_backward),
}
