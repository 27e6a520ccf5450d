"""Learning rates that depend on the number of steps made, in float32.

Keras 3.15: ``keras/src/optimizers/schedules/learning_rate_schedule.py``.
"""

import math

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
