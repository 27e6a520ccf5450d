"""Losses and metrics of rows, and the derivatives of the losses, as Keras 3.15 computes them.

Keras: ``keras/src/losses/losses.py``, the cross-entropies in ``keras/src/backend/tensorflow/nn.py``, and
``keras/src/metrics/accuracy_metrics.py``.

`LOSSES` gives for each name two functions of the target ``t`` and the prediction ``p``, both of shape (n, k).
``values(t, p)`` returns the loss of each row. ``gradient(t, p, g)`` writes the derivative of the sum of these
with respect to ``p`` into ``g``. Where Keras limits a number to an interval, its derivative is zero outside.
"""

import numpy as np

from skdl._dense._activations import log_softmax, sigmoid, softmax, softplus

# keras.config.epsilon()
EPSILON = 1e-7


def _mean(values):
    return values.mean(axis=1)


def _squared(t, p):
    return _mean(np.square(p - t))


def _squared_gradient(t, p, g):
    np.subtract(p, t, out=g)
    g *= 2 / p.shape[1]


def _absolute(t, p):
    return _mean(np.abs(p - t))


def _absolute_gradient(t, p, g):
    np.subtract(p, t, out=g)
    np.sign(g, out=g)
    g /= p.shape[1]


def _percentage(t, p):
    return 100 * _mean(np.abs((t - p) / np.maximum(np.abs(t), EPSILON)))


def _percentage_gradient(t, p, g):
    g[...] = np.sign(p - t) * (100 / p.shape[1]) / np.maximum(np.abs(t), EPSILON)


def _logarithm(a):
    return np.log(np.maximum(a, EPSILON) + 1)


def _squared_logarithmic(t, p):
    return _mean(np.square(_logarithm(p) - _logarithm(t)))


def _squared_logarithmic_gradient(t, p, g):
    slope = (p >= EPSILON) / (np.maximum(p, EPSILON) + 1)
    g[...] = (2 / p.shape[1]) * (_logarithm(p) - _logarithm(t)) * slope


def _huber(t, p, delta):
    error = np.abs(p - t)
    return _mean(np.where(error <= delta, 0.5 * error**2, delta * error - 0.5 * delta**2))


def _huber_gradient(t, p, g, delta):
    np.subtract(p, t, out=g)
    np.clip(g, -delta, delta, out=g)
    g /= p.shape[1]


def _log_cosh(t, p):
    error = p - t
    return _mean(error + softplus(-2 * error) - np.log(2).astype(p.dtype))


def _log_cosh_gradient(t, p, g):
    np.subtract(p, t, out=g)
    np.tanh(g, out=g)
    g /= p.shape[1]


def _poisson(t, p):
    return _mean(p - t * np.log(p + EPSILON))


def _poisson_gradient(t, p, g):
    g[...] = (1 - t / (p + EPSILON)) / p.shape[1]


def _divergence(t, p):
    t, p = np.clip(t, EPSILON, 1), np.clip(p, EPSILON, 1)
    return (t * np.log(t / p)).sum(axis=1)


def _divergence_gradient(t, p, g):
    inside = (p >= EPSILON) & (p <= 1)
    g[...] = -inside * np.clip(t, EPSILON, 1) / np.clip(p, EPSILON, 1)


def _hinge(t, p):
    return _mean(np.maximum(1 - t * p, 0))


def _hinge_gradient(t, p, g):
    g[...] = -t * (1 - t * p >= 0) / p.dtype.type(p.shape[1])


def _squared_hinge(t, p):
    return _mean(np.square(np.maximum(1 - t * p, 0)))


def _squared_hinge_gradient(t, p, g):
    g[...] = (-2 / p.shape[1]) * t * np.maximum(1 - t * p, 0)


def _categorical_hinge(t, p):
    return np.maximum(((1 - t) * p).max(axis=1) - (t * p).sum(axis=1) + 1, 0)


def _categorical_hinge_gradient(t, p, g):
    wrong = (1 - t) * p
    largest = wrong == wrong.max(axis=1, keepdims=True)
    # Where several are the largest, TensorFlow divides the gradient between them.
    share = largest / largest.sum(axis=1, keepdims=True).astype(p.dtype)
    g[...] = (share * (1 - t) - t) * (_categorical_hinge(t, p) > 0)[:, None]


def _softmax_crossentropy(t, z):
    return -(t * log_softmax(z)).sum(axis=1)


def _softmax_crossentropy_gradient(t, z, g):
    # TensorFlow takes it for granted that the target of each row has the sum 1.
    np.subtract(softmax(z), t, out=g)


def _sigmoid_crossentropy(t, z):
    return _mean(softplus(z) - t * z)


def _sigmoid_crossentropy_gradient(t, z, g):
    np.subtract(sigmoid(z), t, out=g)
    g /= z.shape[1]


def _clipped(p):
    """Return probabilities within Keras's interval, and which of them were."""
    return np.clip(p, EPSILON, 1 - EPSILON), (p >= EPSILON) & (p <= 1 - EPSILON)


def _binary_crossentropy(t, p):
    q, _ = _clipped(p)
    return -_mean(t * np.log(q) + (1 - t) * np.log(1 - q))


def _binary_crossentropy_gradient(t, p, g):
    q, inside = _clipped(p)
    g[...] = inside * ((1 - t) / (1 - q) - t / q) / p.shape[1]


def _categorical_crossentropy(t, p):
    q, _ = _clipped(p / p.sum(axis=1, keepdims=True))
    return -(t * np.log(q)).sum(axis=1)


def _categorical_crossentropy_gradient(t, p, g):
    total = p.sum(axis=1, keepdims=True)
    share = p / total
    q, inside = _clipped(share)
    slope = -inside * t / q
    g[...] = (slope - (slope * share).sum(axis=1, keepdims=True)) / total


def _class_crossentropy(t, p):
    q, _ = _clipped(p)
    return _softmax_crossentropy(t, np.log(q))


def _class_crossentropy_gradient(t, p, g):
    q, inside = _clipped(p)
    _softmax_crossentropy_gradient(t, np.log(q), g)
    g *= inside / q


LOSSES = {
    "absolute": (_absolute, _absolute_gradient),
    "binary_crossentropy": (_binary_crossentropy, _binary_crossentropy_gradient),
    "categorical_crossentropy": (_categorical_crossentropy, _categorical_crossentropy_gradient),
    "categorical_hinge": (_categorical_hinge, _categorical_hinge_gradient),
    "class_crossentropy": (_class_crossentropy, _class_crossentropy_gradient),
    "divergence": (_divergence, _divergence_gradient),
    "hinge": (_hinge, _hinge_gradient),
    "huber": (_huber, _huber_gradient),
    "log_cosh": (_log_cosh, _log_cosh_gradient),
    "percentage": (_percentage, _percentage_gradient),
    "poisson": (_poisson, _poisson_gradient),
    "sigmoid_crossentropy": (_sigmoid_crossentropy, _sigmoid_crossentropy_gradient),
    "softmax_crossentropy": (_softmax_crossentropy, _softmax_crossentropy_gradient),
    "squared": (_squared, _squared_gradient),
    "squared_hinge": (_squared_hinge, _squared_hinge_gradient),
    "squared_logarithmic": (_squared_logarithmic, _squared_logarithmic_gradient),
}


def _same_class(t, p):
    return t.argmax(axis=1) == p.argmax(axis=1)


def _same_side(t, p, threshold):
    return _mean((p > threshold) == t)


# What is a metric alone: a value for each row.
SCORES = {"same_class": _same_class, "same_side": _same_side}


def values_of(loss, t, p):
    """Return the value of a loss or metric for each row.

    Parameters
    ----------
    loss : skdl._dense._chain.Loss
    t, p : ndarray of shape (n, k)
        The target as `target_of` makes it, and the prediction.

    Returns
    -------
    ndarray of shape (n,)
    """
    values = SCORES.get(loss.function) or LOSSES[loss.function][0]
    return values(t, p, **dict(loss.settings))


def target_of(loss, y, n_units, dtype):
    """Return the target of some rows as a loss or metric takes it.

    Parameters
    ----------
    loss : skdl._dense._chain.Loss
    y : ndarray of shape (n,) or (n, n_units)
    n_units : int
        Of the output.
    dtype : dtype

    Returns
    -------
    ndarray of shape (n, n_units)
        Indicators where the loss takes class numbers; smoothed where it smooths labels.
    """
    if loss.sparse:
        t = np.zeros((len(y), n_units), dtype)
        t[np.arange(len(y)), y.reshape(-1).astype(np.intp)] = 1
    else:
        t = y.reshape(len(y), n_units).astype(dtype, copy=False)
    if loss.smoothing:
        share = 0.5 if loss.function in ("sigmoid_crossentropy", "binary_crossentropy") else 1 / n_units
        t = t * (1 - loss.smoothing) + loss.smoothing * share
    if loss.function in ("hinge", "squared_hinge") and np.isin(t, (0, 1)).all():
        t = 2 * t - 1
    return t
