"""Activations, losses and metrics of rows, and their derivatives.

Keras 3.15: ``keras/src/activations/activations.py``, ``keras/src/losses/losses.py``,
``keras/src/metrics/accuracy_metrics.py``, and ``keras/src/backend/tensorflow/nn.py``. At a kink the
derivative is TensorFlow's, since inputs of exactly zero are frequent: rows of zeros, units that are all off.

`ACTIVATIONS` gives for each name ``function(z, **settings)`` and ``backward(g, z, y, **settings)``, which
returns the gradient ``g`` with respect to the values ``y`` times the derivative at ``z``.

`LOSSES` gives for each name two functions of target ``t`` and prediction ``p``, both of shape (n, k):
``values(t, p)`` returns the loss of each row, and ``gradient(t, p)`` the derivative of their sum with
respect to ``p``. "softmax_crossentropy" and "sigmoid_crossentropy" are cross-entropies of logits. `ERRORS`
and `SCORES` are metrics alone.
"""

import math

import numpy as np
from scipy.special import huber, ndtr

# keras.config.epsilon()
EPSILON = 1e-7


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
    """Return an activation of single numbers; ``derivative(z, y)`` may use its value."""

    def backward(g, z, y, **settings):
        g *= derivative(z, y, **settings)
        return g

    return function, backward


def _elu(z, alpha=1.0):
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _slope_of_leaky_relu(z, y, negative_slope=0.2):
    return np.where(z > 0, np.float32(1), np.float32(negative_slope))  # TensorFlow keeps it in float32


# Klambauer et al. 2017, Self-Normalizing Neural Networks.
_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772

ACTIVATIONS = {
    "elu": _of_numbers(_elu, lambda z, y, alpha=1.0: np.where(z > 0, 1, y + alpha)),
    # Hendrycks and Gimpel 2016, Gaussian Error Linear Units.
    "gelu": _of_numbers(
        lambda z: z * ndtr(z),
        lambda z, y: ndtr(z) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi),
    ),
    "hard_sigmoid": _of_numbers(lambda z: np.clip(z + 3, 0, 6) / 6, lambda z, y: ((z > -3) & (z < 3)) / 6),
    "leaky_relu": _of_numbers(
        lambda z, **settings: z * _slope_of_leaky_relu(z, None, **settings), _slope_of_leaky_relu
    ),
    "relu": _of_numbers(lambda z: np.maximum(z, 0), lambda z, y: y > 0),
    "selu": _of_numbers(
        lambda z: _SCALE * _elu(z, _ALPHA), lambda z, y: np.where(y < 0, y + _SCALE * _ALPHA, _SCALE)
    ),
    "sigmoid": _of_numbers(sigmoid, lambda z, y: y * (1 - y)),
    "silu": _of_numbers(lambda z: z * sigmoid(z), lambda z, y: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "softmax": (softmax, lambda g, z, y: y * (g - np.add.reduce(g * y, axis=1, keepdims=True))),
    "softplus": _of_numbers(softplus, lambda z, y: sigmoid(z)),
    "tanh": _of_numbers(np.tanh, lambda z, y: 1 - y * y),
}


def _mean(value, slope):
    """Return a loss that is the mean over the columns of a value with a derivative."""

    def values(t, p, **settings):
        return value(t, p, **settings).mean(axis=1)

    def gradient(t, p, **settings):
        return slope(t, p, **settings) / p.dtype.type(p.shape[1])

    return values, gradient


LOSSES = {
    "mean_squared_error": _mean(lambda t, p: np.square(p - t), lambda t, p: 2 * (p - t)),
    "mean_absolute_error": _mean(lambda t, p: np.abs(p - t), lambda t, p: np.sign(p - t)),
    "huber": _mean(
        lambda t, p, delta: huber(delta, p - t), lambda t, p, delta: np.clip(p - t, -delta, delta)
    ),
    "sigmoid_crossentropy": _mean(lambda t, z: softplus(z) - t * z, lambda t, z: sigmoid(z) - t),
    # TensorFlow takes it for granted that the target of each row has the sum 1.
    "softmax_crossentropy": (lambda t, z: -(t * log_softmax(z)).sum(axis=1), lambda t, z: softmax(z) - t),
}
# What Keras's cross-entropies compute of what goes into softmax or sigmoid.
CROSSENTROPIES = {
    "binary_crossentropy": "sigmoid_crossentropy",
    "categorical_crossentropy": "softmax_crossentropy",
    "sparse_categorical_crossentropy": "softmax_crossentropy",
}

# Metrics alone, better where they are smaller.
ERRORS = {
    "mean_absolute_percentage_error": lambda t, p: np.mean(
        100 * np.abs(t - p) / np.maximum(np.abs(t), EPSILON), axis=1
    ),
    "poisson": lambda t, p: np.mean(p - t * np.log(p + EPSILON), axis=1),
}
# Metrics alone, better where they are larger.
SCORES = {
    "binary_accuracy": lambda t, p, threshold: ((p > threshold) == t).mean(axis=1),
    "categorical_accuracy": lambda t, p: t.argmax(axis=1) == p.argmax(axis=1),
    "sparse_categorical_accuracy": lambda t, p: t == p.argmax(axis=1),
    # skdl's own, see skdl/_targets/_subset_accuracy.py.
    "subset_accuracy": lambda t, p, threshold: ((p > threshold) == t).all(axis=1),
}


def values_of(measure, t, p):
    """Return the value of a loss or metric for each row; the target as `target_of` makes it."""
    values = (SCORES | ERRORS).get(measure.function) or LOSSES[measure.function][0]
    return values(t, p, **measure.settings)


def target_of(measure, y, n_units, dtype):
    """Return the target as a loss or metric takes it: of shape (n, n_units), or class numbers."""
    if measure.function == "sparse_categorical_accuracy":
        return y.reshape(-1)
    if measure.sparse:
        t = np.zeros((len(y), n_units), dtype)
        classes = y.reshape(-1).astype(np.intp)
        if len(y) and not 0 <= classes.min() <= classes.max() < n_units:
            raise ValueError(
                f"The target has class numbers from {classes.min()} to {classes.max()}, but the network has "
                f"{n_units} units, for the classes 0 to {n_units - 1}."
            )
        t[np.arange(len(y)), classes] = 1
    else:
        t = y.reshape(len(y), n_units).astype(dtype, copy=False)
    if measure.smoothing:
        n_classes = 2 if measure.function == "sigmoid_crossentropy" else n_units
        t = t * (1 - measure.smoothing) + measure.smoothing * (1 / n_classes)
    return t
