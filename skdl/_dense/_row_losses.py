"""Losses and metrics of rows, and the derivatives of the losses.

Keras 3.15: ``keras/src/losses/losses.py``, the cross-entropies in ``keras/src/backend/tensorflow/nn.py``, and
``keras/src/metrics/accuracy_metrics.py``. Names are those of Keras's functions, and "softmax_crossentropy"
and "sigmoid_crossentropy" for cross-entropies of logits.

`LOSSES` gives for each name two functions of target ``t`` and prediction ``p``, both of shape (n, k).
``values(t, p)`` returns the loss of each row, and ``gradient(t, p)`` the derivative of the sum of these with
respect to ``p``. Where Keras limits a number to an interval, its derivative is zero outside.
"""

import numpy as np

from skdl._dense._activations import log_softmax, sigmoid, softmax, softplus

# keras.config.epsilon()
EPSILON = 1e-7


def _mean(value, slope):
    """Return an entry of the table for the mean over the columns of a value with a derivative."""

    def values(t, p, **settings):
        return value(t, p, **settings).mean(axis=1)

    def gradient(t, p, **settings):
        return slope(t, p, **settings) / p.dtype.type(p.shape[1])

    return values, gradient


def _log1(a):
    return np.log(np.maximum(a, EPSILON) + 1)


def _squared_log_slope(t, p):
    return 2 * (_log1(p) - _log1(t)) * (p >= EPSILON) / (np.maximum(p, EPSILON) + 1)


def _huber(t, p, delta):
    error = np.abs(p - t)
    return np.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2)


def _log_cosh(t, p):
    return (p - t) + softplus(-2 * (p - t)) - np.log(2).astype(p.dtype)


def _clipped(p):
    """Return probabilities within Keras's interval, and which of them were."""
    return np.clip(p, EPSILON, 1 - EPSILON), (p >= EPSILON) & (p <= 1 - EPSILON)


def _binary_crossentropy(t, p):
    q, _ = _clipped(p)
    return -t * np.log(q) - (1 - t) * np.log(1 - q)


def _binary_crossentropy_slope(t, p):
    q, inside = _clipped(p)
    return inside * ((1 - t) / (1 - q) - t / q)


def _softmax_crossentropy(t, z):
    return -(t * log_softmax(z)).sum(axis=1)


def _softmax_crossentropy_gradient(t, z):
    # TensorFlow takes it for granted that the target of each row has the sum 1.
    return softmax(z) - t


def _categorical_crossentropy(t, p):
    return -(t * np.log(_clipped(p / p.sum(axis=1, keepdims=True))[0])).sum(axis=1)


def _categorical_crossentropy_gradient(t, p):
    total = p.sum(axis=1, keepdims=True)
    q, inside = _clipped(p / total)
    slope = -t / q * inside
    return (slope - (slope * p / total).sum(axis=1, keepdims=True)) / total


def _class_crossentropy(t, p):
    return _softmax_crossentropy(t, np.log(_clipped(p)[0]))


def _class_crossentropy_gradient(t, p):
    q, inside = _clipped(p)
    return (softmax(np.log(q)) - t) * inside / q


def _divergence(t, p):
    t, p = np.clip(t, EPSILON, 1), np.clip(p, EPSILON, 1)
    return (t * np.log(t / p)).sum(axis=1)


def _divergence_gradient(t, p):
    return -np.clip(t, EPSILON, 1) / np.clip(p, EPSILON, 1) * ((p >= EPSILON) & (p <= 1))


def _margin(t, p):
    return ((1 - t) * p).max(axis=1) - (t * p).sum(axis=1) + 1


def _categorical_hinge_gradient(t, p):
    wrong = (1 - t) * p
    largest = wrong == wrong.max(axis=1, keepdims=True)
    # Where several are the largest, TensorFlow divides the gradient between them.
    share = largest / largest.sum(axis=1, keepdims=True, dtype=p.dtype)
    return (share * (1 - t) - t) * (_margin(t, p) >= 0)[:, None]


# Cross-entropies of what goes into a softmax or sigmoid.
OF_LOGITS = ("softmax_crossentropy", "sigmoid_crossentropy")

LOSSES = {
    "mean_squared_error": _mean(lambda t, p: np.square(p - t), lambda t, p: 2 * (p - t)),
    "mean_absolute_error": _mean(lambda t, p: np.abs(p - t), lambda t, p: np.sign(p - t)),
    "mean_absolute_percentage_error": _mean(
        lambda t, p: 100 * np.abs(t - p) / np.maximum(np.abs(t), EPSILON),
        lambda t, p: 100 * np.sign(p - t) / np.maximum(np.abs(t), EPSILON),
    ),
    "mean_squared_logarithmic_error": _mean(lambda t, p: np.square(_log1(p) - _log1(t)), _squared_log_slope),
    "huber": _mean(_huber, lambda t, p, delta: np.clip(p - t, -delta, delta)),
    "log_cosh": _mean(_log_cosh, lambda t, p: np.tanh(p - t)),
    "poisson": _mean(lambda t, p: p - t * np.log(p + EPSILON), lambda t, p: 1 - t / (p + EPSILON)),
    "hinge": _mean(lambda t, p: np.maximum(1 - t * p, 0), lambda t, p: -t * (1 - t * p >= 0)),
    "squared_hinge": _mean(
        lambda t, p: np.square(np.maximum(1 - t * p, 0)), lambda t, p: -2 * t * np.maximum(1 - t * p, 0)
    ),
    "categorical_hinge": (lambda t, p: np.maximum(_margin(t, p), 0), _categorical_hinge_gradient),
    "kl_divergence": (_divergence, _divergence_gradient),
    "binary_crossentropy": _mean(_binary_crossentropy, _binary_crossentropy_slope),
    "categorical_crossentropy": (_categorical_crossentropy, _categorical_crossentropy_gradient),
    "sparse_categorical_crossentropy": (_class_crossentropy, _class_crossentropy_gradient),
    "sigmoid_crossentropy": _mean(lambda t, z: softplus(z) - t * z, lambda t, z: sigmoid(z) - t),
    "softmax_crossentropy": (_softmax_crossentropy, _softmax_crossentropy_gradient),
}


# What is a metric alone, and better where it is larger.
SCORES = {
    "binary_accuracy": lambda t, p, threshold: ((p > threshold) == t).mean(axis=1),
    "categorical_accuracy": lambda t, p: t.argmax(axis=1) == p.argmax(axis=1),
    "sparse_categorical_accuracy": lambda t, p: t == p.argmax(axis=1),
    # skdl's own, see skdl/_targets/_subset_accuracy.py.
    "subset_accuracy": lambda t, p, threshold: ((p > threshold) == t).all(axis=1),
}


def values_of(measure, t, p):
    """Return the value of a loss or metric for each row; the target as `target_of` makes it."""
    values = SCORES.get(measure.function) or LOSSES[measure.function][0]
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
        of_two = measure.function in ("binary_crossentropy", "sigmoid_crossentropy")
        t = t * (1 - measure.smoothing) + measure.smoothing * (0.5 if of_two else 1 / n_units)
    if measure.function in ("hinge", "squared_hinge") and ((t == 0) | (t == 1)).all():
        t = 2 * t - 1
    return t
