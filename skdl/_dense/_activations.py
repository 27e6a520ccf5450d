"""Activations and their derivatives.

Keras 3.15: ``keras/src/activations/activations.py`` and ``keras/src/backend/tensorflow/nn.py``. At a kink the
derivative is TensorFlow's, since inputs of exactly zero are frequent: rows of zeros, units that are all off.

`ACTIVATIONS` gives for each name two functions: ``function(z, **settings)``, and ``backward(g, z, y,
**settings)`` that returns ``g``, the gradient with respect to the values ``y``, times the derivative at
``z``.
"""

import math

import numpy as np
from scipy.special import erf


def sigmoid(z):
    """Return the logistic function."""
    return 1 / (1 + np.exp(-z))


def softplus(z):
    """Return ``log(1 + exp(z))``."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def softmax(z):
    """Return the softmax of each row."""
    y = np.exp(z - np.maximum.reduce(z, axis=1, keepdims=True))
    y /= np.add.reduce(y, axis=1, keepdims=True)
    return y


def log_softmax(z):
    """Return the logarithm of the softmax of each row."""
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _of_numbers(function, derivative):
    """Return an entry of the table for a function of one number; ``derivative(z, y)`` may use its value."""

    def backward(g, z, y, **settings):
        g *= derivative(z, y, **settings)
        return g

    return function, backward


def _softmax_backward(g, z, y):
    return y * (g - np.add.reduce(g * y, axis=1, keepdims=True))


def _log_softmax_backward(g, z, y):
    return g - np.exp(y) * np.add.reduce(g, axis=1, keepdims=True)


# TensorFlow's derivatives of elu and selu look at the sign of the value.


def _elu(z, alpha=1.0):
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _elu_derivative(z, y, alpha=1.0):
    return np.where(z > 0, 1, y + alpha) if alpha != 1 else np.where(y < 0, y + 1, 1)


# Klambauer et al. 2017, Self-Normalizing Neural Networks.
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772


def _selu_derivative(z, y):
    return np.where(y < 0, y + _SCALE * _ALPHA, _SCALE)


def _celu_derivative(z, y, alpha=1.0):
    # Of max(z, 0) + alpha * expm1(min(z, 0) / alpha): at zero both parts give theirs.
    return (z >= 0) + (z <= 0) * np.exp(np.minimum(z, 0) / alpha)


# Hendrycks and Gimpel 2016, Gaussian Error Linear Units.


def _gelu(z):
    return 0.5 * z * (1 + erf(z * math.sqrt(0.5)))


def _gelu_derivative(z, y):
    return 0.5 * (1 + erf(z * math.sqrt(0.5))) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _silu_derivative(z, y):
    return sigmoid(z) * (1 + z * (1 - sigmoid(z)))


def _mish_derivative(z, y):
    t = np.tanh(softplus(z))
    return t + z * (1 - t * t) * sigmoid(z)


def _hard_sigmoid(z):
    return np.clip(z + 3, 0, 6) / 6


def _hard_silu_derivative(z, y):
    return _hard_sigmoid(z) + z * ((z > -3) & (z < 3)) / 6


def _sparse_plus(z):
    return np.where(z <= -1, 0, np.where(z < 1, 0.25 * (z + 1) ** 2, z))


def _sparse_plus_derivative(z, y):
    return np.where(z <= -1, 0, np.where(z < 1, 0.5 * (z + 1), 1))


# TensorFlow keeps the slope in float32.


def _leaky_relu(z, negative_slope=0.2):
    return np.where(z > 0, z, z * np.float32(negative_slope))


def _leaky_relu_derivative(z, y, negative_slope=0.2):
    return np.where(z > 0, np.float32(1), np.float32(negative_slope))


ACTIVATIONS = {
    "celu": _of_numbers(lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)), _celu_derivative),
    "elu": _of_numbers(_elu, _elu_derivative),
    "exponential": _of_numbers(np.exp, lambda z, y: y),
    "gelu": _of_numbers(_gelu, _gelu_derivative),
    "hard_shrink": _of_numbers(lambda z: z * (np.abs(z) > 0.5), lambda z, y: np.abs(z) > 0.5),
    "hard_sigmoid": _of_numbers(_hard_sigmoid, lambda z, y: ((z > -3) & (z < 3)) / 6),
    "hard_silu": _of_numbers(lambda z: z * _hard_sigmoid(z), _hard_silu_derivative),
    "hard_tanh": _of_numbers(lambda z: np.clip(z, -1, 1), lambda z, y: (z >= -1) & (z <= 1)),
    "leaky_relu": _of_numbers(_leaky_relu, _leaky_relu_derivative),
    "log_sigmoid": _of_numbers(lambda z: -softplus(-z), lambda z, y: sigmoid(-z)),
    "log_softmax": (log_softmax, _log_softmax_backward),
    "mish": _of_numbers(lambda z: z * np.tanh(softplus(z)), _mish_derivative),
    "relu": _of_numbers(lambda z: np.maximum(z, 0), lambda z, y: y > 0),
    "relu6": _of_numbers(lambda z: np.clip(z, 0, 6), lambda z, y: (z > 0) & (z < 6)),
    "selu": _of_numbers(lambda z: _SCALE * _elu(z, _ALPHA), _selu_derivative),
    "sigmoid": _of_numbers(sigmoid, lambda z, y: y * (1 - y)),
    "silu": _of_numbers(lambda z: z * sigmoid(z), _silu_derivative),
    "soft_shrink": _of_numbers(lambda z: z - np.clip(z, -0.5, 0.5), lambda z, y: np.abs(z) > 0.5),
    "softmax": (softmax, _softmax_backward),
    "softplus": _of_numbers(softplus, lambda z, y: sigmoid(z)),
    "softsign": _of_numbers(lambda z: z / (1 + np.abs(z)), lambda z, y: 1 / (1 + np.abs(z)) ** 2),
    "sparse_plus": _of_numbers(_sparse_plus, _sparse_plus_derivative),
    "sparse_sigmoid": _of_numbers(lambda z: np.clip(0.5 * (z + 1), 0, 1), lambda z, y: 0.5 * (np.abs(z) < 1)),
    "squareplus": _of_numbers(lambda z: (z + np.sqrt(z * z + 4)) / 2, lambda z, y: y / np.sqrt(z * z + 4)),
    "tanh": _of_numbers(np.tanh, lambda z, y: 1 - y * y),
    "tanh_shrink": _of_numbers(lambda z: z - np.tanh(z), lambda z, y: np.tanh(z) ** 2),
}
