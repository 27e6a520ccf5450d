"""Optimizers, on one flat array of all weights, and schedules of the learning rate.

Keras 3.15: ``keras/src/optimizers/<name>.py``, what they have in common in ``base_optimizer.py`` and
``keras/src/backend/tensorflow/optimizer.py``; ``keras/src/optimizers/schedules/learning_rate_schedule.py``.
Numbers of a step (powers of the betas, for example) are computed in the float type of the weights, as there:
``1 - 0.999`` in float32 is off by 5e-5 of itself.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_f = np.float32


def _exponential(step, s):
    share = _f(step) / _f(s["decay_steps"])
    share = np.floor(share) if s["staircase"] else share
    return _f(s["initial_learning_rate"]) * _f(s["decay_rate"]) ** share


def _cosine(step, s):
    first, n, step = _f(s["initial_learning_rate"]), _f(s["decay_steps"]), _f(step)
    if s["warmup_target"] is not None:
        target, n_warm = _f(s["warmup_target"]), _f(s["warmup_steps"])
        if step < n_warm:
            return (target - first) * (step / n_warm) + first
        first, step = target, step - n_warm
    decayed = _f(0.5) * (1 + np.cos(_f(math.pi) * (min(step, n) / n)))
    return first * (_f(1 - s["alpha"]) * decayed + _f(s["alpha"]))


_DECAY = {"initial_learning_rate": None, "decay_steps": None}

# A function of the step, counted from 0, and of the settings; the settings, with Keras's defaults.
SCHEDULES = {
    "ExponentialDecay": (_exponential, {**_DECAY, "decay_rate": None, "staircase": False}),
    "CosineDecay": (_cosine, {**_DECAY, "alpha": 0.0, "warmup_target": None, "warmup_steps": 0}),
}


class Rule(NamedTuple):
    """An optimizer.

    ``slots(settings)`` returns the numbers of arrays in each group of Keras's variables.
    ``step(settings, learning_rate, t)`` returns for step ``t``, counted from 1, a function
    ``update(w, g, *slots)`` that changes weights and slots in place, given the gradient ``g``.
    """

    defaults: dict  # Keras's
    slots: Callable
    step: Callable


def _cast(number, one):
    """Return one of Python's numbers as ``ops.cast`` does: by way of float32."""
    return one(np.float32(number))


def _sgd(s, lr, t):
    momentum = _cast(s["momentum"], type(lr))

    def update(w, g, m=None):
        if m is None:
            w -= lr * g
            return
        m *= momentum
        m -= lr * g
        w += momentum * m - lr * g if s["nesterov"] else m

    return update


def _adam(s, lr, t):
    # Kingma and Ba 2015, in the order of the end of their section 2: epsilon is "epsilon hat".
    one = type(lr)
    power_1, power_2 = _cast(s["beta_1"], one) ** one(t), _cast(s["beta_2"], one) ** one(t)
    alpha = lr * one(math.sqrt(1 - power_2)) / (1 - power_1)

    def update(w, g, m, v):
        # m += (g - m) * (1 - beta_1), v += (g * g - v) * (1 - beta_2), and
        # w -= m * alpha / (sqrt(v) + epsilon), with two arrays for what is between.
        a = g - m
        a *= 1 - s["beta_1"]
        m += a
        np.multiply(g, g, out=a)
        a -= v
        a *= 1 - s["beta_2"]
        v += a
        b = np.sqrt(v)
        b += s["epsilon"]
        np.multiply(m, alpha, out=a)
        a /= b
        w -= a

    return update


def _rmsprop(s, lr, t):
    rho, momentum = s["rho"], s["momentum"]

    def update(w, g, v, m=None):
        v *= rho
        v += (1 - rho) * g * g
        change = lr * g / np.sqrt(v + s["epsilon"])
        if m is not None:
            m *= momentum
            m += change
            change = m
        w -= change

    return update


_BETAS = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_RMSPROP = {"learning_rate": 0.001, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7}
_SGD = {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}

OPTIMIZERS = {
    "SGD": Rule(_SGD, lambda s: [1] if s["momentum"] else [], _sgd),
    "Adam": Rule(_BETAS, lambda s: [2], _adam),
    "AdamW": Rule({**_BETAS, "weight_decay": 0.004}, lambda s: [2], _adam),
    "RMSprop": Rule(_RMSPROP, lambda s: [1, 1] if s["momentum"] > 0 else [1], _rmsprop),
}

# What all optimizers have (``base_optimizer.py``). Those of averages have no effect without ``use_ema``.
COMMON = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
}


def _clip(s, gradient, parts):
    """Limit a gradient in place; ``parts`` are those of the variables."""
    if s["clipnorm"]:
        for part in parts:
            part *= s["clipnorm"] / max(np.linalg.norm(part), s["clipnorm"])
    elif s["global_clipnorm"]:
        norm, limit = np.linalg.norm(gradient), s["global_clipnorm"]
        np.multiply(gradient, limit * np.minimum(1 / norm, 1 / limit) + (norm - norm), out=gradient)
    elif s["clipvalue"]:
        np.clip(gradient, -s["clipvalue"], s["clipvalue"], out=gradient)


# So many elements of a few arrays stay in the processor's cache through a step.
_CHUNK = 65536


def cut_subnormals(slots, step):
    """Set the smallest numbers of an optimizer's arrays to zero, at each 32nd step.

    Where a gradient stays zero, a momentum shrinks to subnormal numbers, with which processors are ten times
    as slow. TensorFlow sets these to zero at each operation; here there is some room.
    """
    if step % 32 == 0:
        slots[np.abs(slots) < np.finfo(slots.dtype).tiny * 2.0**40] = 0


def optimizer_step(state, gradient):
    """Return a function that applies the gradient, which it may change, to a state in place."""
    w, s = state.weights, state.network.settings
    one, step_of = w.dtype.type, OPTIMIZERS[state.network.optimizer].step
    of_variables = state.views(gradient)
    parts = [slice(start, start + _CHUNK) for start in range(0, len(w), _CHUNK)]
    chunks = [(w[part], gradient[part], *state.slots[:, part]) for part in parts]

    def step():
        lr = one(state.current_learning_rate())
        _clip(s, gradient, of_variables)
        if s["weight_decay"] is not None:
            np.subtract(w, w * _cast(s["weight_decay"], one) * lr, out=w)
        update = step_of(s, lr, state.iterations + 1)
        for chunk in chunks:
            update(*chunk)
        cut_subnormals(state.slots, state.iterations)
        state.iterations += 1

    return step
