"""Optimizers, on one flat array of all weights.

Keras 3.15: ``keras/src/optimizers/<name>.py``, what they have in common in ``base_optimizer.py`` and
``keras/src/backend/tensorflow/optimizer.py``. Numbers of a step (powers of the betas, for example) are
computed in the float type of the weights, as there: ``1 - 0.999`` in float32 is off by 5e-5 of itself.

`OPTIMIZERS` gives for each name a `Rule`. Its ``step(s, lr, t, state)`` returns, for settings ``s`` and step
``t``, counted from 1, a function ``update(w, g, *slots)``. This changes the weights ``w`` and the optimizer's
arrays in place; ``g`` is the gradient.

`SCHEDULES` gives functions of the step, for learning rates that depend on it: in float32, as
``keras/src/optimizers/schedules/learning_rate_schedule.py``.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_f = np.float32


def _elapsed(step, s):
    share = _f(step) / _f(s["decay_steps"])
    return np.floor(share) if s["staircase"] else share


def _exponential(step, s):
    return _f(s["initial_learning_rate"]) * _f(s["decay_rate"]) ** _elapsed(step, s)


def _inverse_time(step, s):
    return _f(s["initial_learning_rate"]) / (1 + _f(s["decay_rate"]) * _elapsed(step, s))


def _piecewise(step, s):
    return _f(s["values"][np.searchsorted(s["boundaries"], step)])


def _polynomial(step, s):
    step, n, last = _f(step), _f(s["decay_steps"]), _f(s["end_learning_rate"])
    if s["cycle"]:
        n *= np.ceil(step / n) if step else 1
    left = 1 - min(step, n) / n
    return (_f(s["initial_learning_rate"]) - last) * left ** _f(s["power"]) + last


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
_RATE = {**_DECAY, "decay_rate": None, "staircase": False}

# A function of the step, counted from 0, and of the settings; the settings, with Keras's defaults.
SCHEDULES = {
    "ExponentialDecay": (_exponential, _RATE),
    "InverseTimeDecay": (_inverse_time, _RATE),
    "PiecewiseConstantDecay": (_piecewise, {"boundaries": None, "values": None}),
    "PolynomialDecay": (_polynomial, {**_DECAY, "end_learning_rate": 1e-4, "power": 1.0, "cycle": False}),
    "CosineDecay": (_cosine, {**_DECAY, "alpha": 0.0, "warmup_target": None, "warmup_steps": 0}),
}


class Rule(NamedTuple):
    """Settings with Keras's defaults; names of the slots, in the groups of Keras's variables; the step."""

    defaults: dict
    slots: Callable
    step: Callable


def _cast(number, one):
    """Return one of Python's numbers as ``ops.cast`` does: by way of float32."""
    return one(np.float32(number))


def _sgd(s, lr, t, state):
    momentum = _cast(s["momentum"], type(lr))

    def update(w, g, m=None):
        if m is None:
            w -= lr * g
            return
        m *= momentum
        m -= lr * g
        w += momentum * m - lr * g if s["nesterov"] else m

    return update


def _adam(s, lr, t, state):
    # Kingma and Ba 2015, in the order of the end of their section 2: epsilon is "epsilon hat".
    one = type(lr)
    power_1, power_2 = _cast(s["beta_1"], one) ** one(t), _cast(s["beta_2"], one) ** one(t)
    alpha = lr * one(math.sqrt(1 - power_2)) / (1 - power_1)

    def update(w, g, m, v, largest=None):
        # The default of many: m += (g - m) * (1 - beta_1), v += (g * g - v) * (1 - beta_2), and
        # w -= m * alpha / (sqrt(v) + epsilon), with two arrays for what is between.
        a = g - m
        a *= 1 - s["beta_1"]
        m += a
        np.multiply(g, g, out=a)
        a -= v
        a *= 1 - s["beta_2"]
        v += a
        b = np.sqrt(v if largest is None else np.maximum(largest, v, out=largest))
        b += s["epsilon"]
        np.multiply(m, alpha, out=a)
        a /= b
        w -= a

    return update


def _nadam(s, lr, t, state):
    # Dozat 2016, with the schedule of momentum of its appendix.
    one = type(lr)
    beta_1, beta_2, decay = _cast(s["beta_1"], one), _cast(s["beta_2"], one), _cast(0.96, one)
    now = beta_1 * (1 - one(0.5) * decay ** one(t))
    after = beta_1 * (1 - one(0.5) * decay ** one(t + 1))
    product = state.momentum_product = one(state.momentum_product) * now
    of_m, of_g = after / (1 - product * after), (1 - now) / (1 - product)

    def update(w, g, m, v):
        m += (g - m) * (1 - beta_1)
        v += (g * g - v) * (1 - beta_2)
        w -= (of_m * m + of_g * g) * lr / (np.sqrt(v / (1 - beta_2 ** one(t))) + s["epsilon"])

    return update


def _adamax(s, lr, t, state):
    # Kingma and Ba 2015, section 7.1, with an epsilon.
    one = type(lr)
    correction = 1 - _cast(s["beta_1"], one) ** one(t)

    def update(w, g, m, u):
        m += (g - m) * (1 - s["beta_1"])
        np.maximum(s["beta_2"] * u, np.abs(g), out=u)
        w -= lr * m / (correction * (u + s["epsilon"]))

    return update


def _adagrad(s, lr, t, state):
    def update(w, g, total):
        total += g * g
        w -= lr * g / np.sqrt(total + s["epsilon"])

    return update


def _rmsprop(s, lr, t, state):
    rho, momentum = s["rho"], s["momentum"]

    def update(w, g, v, *more):
        v *= rho
        v += (1 - rho) * g * g
        variance = v
        if s["centered"]:
            mean = more[-1]
            mean *= rho
            mean += (1 - rho) * g
            variance = v - mean * mean
        change = lr * g / np.sqrt(variance + s["epsilon"])
        if momentum > 0:
            m = more[0]
            m *= momentum
            m += change
            change = m
        w -= change

    return update


def _lion(s, lr, t, state):
    # Chen et al. 2023, Symbolic discovery of optimization algorithms.
    beta_1, beta_2 = _cast(s["beta_1"], type(lr)), _cast(s["beta_2"], type(lr))

    def update(w, g, m):
        w -= lr * np.sign(beta_1 * m + (1 - beta_1) * g)
        m *= beta_2
        m += (1 - beta_2) * g

    return update


def _adam_slots(s):
    return [("momentum", "velocity"), ("velocity_hat",)][: 2 if s["amsgrad"] else 1]


def _rmsprop_slots(s):
    kept = {"velocity": True, "momentum": s["momentum"] > 0, "average_gradient": s["centered"]}
    return [(name,) for name, is_kept in kept.items() if is_kept]


_RATE = {"learning_rate": 0.001}
_BETAS = {**_RATE, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
_ADAM = {**_BETAS, "amsgrad": False}
_ADAGRAD = {**_RATE, "initial_accumulator_value": 0.1, "epsilon": 1e-7}
_RMSPROP = {**_RATE, "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}
_SGD = {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}

OPTIMIZERS = {
    "SGD": Rule(_SGD, lambda s: [("momentum",)] if s["momentum"] else [], _sgd),
    "Adam": Rule(_ADAM, _adam_slots, _adam),
    "AdamW": Rule({**_ADAM, "weight_decay": 0.004}, _adam_slots, _adam),
    "Nadam": Rule(_BETAS, lambda s: [("momentum", "velocity")], _nadam),
    "Adamax": Rule(_BETAS, lambda s: [("momentum", "norm")], _adamax),
    "Adagrad": Rule(_ADAGRAD, lambda s: [("accumulator",)], _adagrad),
    "RMSprop": Rule(_RMSPROP, _rmsprop_slots, _rmsprop),
    "Lion": Rule({**_RATE, "beta_1": 0.9, "beta_2": 0.99}, lambda s: [("momentum",)], _lion),
}

# What all optimizers have (``base_optimizer.py``).
COMMON = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "exclude_from_weight_decay": (),
}


def _clipping(s, gradient, parts):
    """Return a function that limits the gradient in place, or None."""
    if s["clipnorm"]:

        def clip():
            for part in parts:
                part *= s["clipnorm"] / max(_norm(part), s["clipnorm"])

    elif s["global_clipnorm"]:

        def clip():
            norm, limit = _norm(gradient), s["global_clipnorm"]
            np.multiply(gradient, limit * np.minimum(1 / norm, 1 / limit) + (norm - norm), out=gradient)

    elif s["clipvalue"]:

        def clip():
            np.clip(gradient, -s["clipvalue"], s["clipvalue"], out=gradient)

    else:
        return None
    return clip


def _norm(array):
    flat = array.reshape(-1)
    return np.sqrt(np.dot(flat, flat))


# So many elements of a few arrays stay in the processor's cache through a step.
_CHUNK = 65536
# Where a gradient stays zero, a momentum shrinks to subnormal numbers, with which processors are ten times as
# slow. TensorFlow sets these to zero at each operation, and this package now and then, with some room.
_STEPS_BETWEEN = 32
_ROOM = 2.0**40


def optimizer_step(state, gradient):
    """Return a function that applies the gradient, which it may change, to a state in place."""
    w, s = state.weights, state.network.settings
    one, step_of = w.dtype.type, OPTIMIZERS[state.network.optimizer].step
    clip = _clipping(s, gradient, state.views(gradient))
    decayed = [part for i, part in enumerate(state.views(w)) if i not in s["exclude_from_weight_decay"]]
    parts = [slice(start, start + _CHUNK) for start in range(0, len(w), _CHUNK)]
    chunks = [(w[part], gradient[part], *state.slots[:, part]) for part in parts]
    negligible = np.finfo(w.dtype).tiny * _ROOM

    def step():
        lr = one(state.current_learning_rate())
        if clip:
            clip()
        if s["weight_decay"] is not None:
            for part in decayed:
                part -= part * _cast(s["weight_decay"], one) * lr
        update = step_of(s, lr, state.iterations + 1, state)
        for chunk in chunks:
            update(*chunk)
        if state.iterations % _STEPS_BETWEEN == 0:
            state.slots[np.abs(state.slots) < negligible] = 0
        if s["use_ema"]:
            _average(s, state)
        state.iterations += 1

    return step


def _average(s, state):
    """Move the averages of the weights, and put them in place of the weights where it is time to."""
    share = 1 - s["ema_momentum"] if state.iterations else 1
    state.averages += (state.weights - state.averages) * share
    if s["ema_overwrite_frequency"] and (state.iterations + 1) % s["ema_overwrite_frequency"] == 0:
        state.weights[...] = state.averages


def finish_training(state):
    """Put the averages in place of the weights, if there are any, as Keras does at the end of ``fit``."""
    if state.averages is not None:
        state.weights[...] = state.averages
