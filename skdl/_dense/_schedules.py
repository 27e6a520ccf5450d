"""Learning rates that depend on the number of steps made.

Keras 3.15: ``keras/src/optimizers/schedules/learning_rate_schedule.py``, in float32 as there.
"""

import math

import numpy as np

_f = np.float32


def _exponential(step, s):
    p = _f(step) / _f(s["decay_steps"])
    return _f(s["initial_learning_rate"]) * _f(s["decay_rate"]) ** (np.floor(p) if s["staircase"] else p)


def _piecewise(step, s):
    return _f(s["values"][int(np.searchsorted(s["boundaries"], step))])


def _polynomial(step, s):
    first, last, n = _f(s["initial_learning_rate"]), _f(s["end_learning_rate"]), _f(s["decay_steps"])
    step = _f(step)
    if s["cycle"]:
        n *= np.ceil(step / n) if step else _f(1)
    else:
        step = min(step, n)
    return (first - last) * (1 - step / n) ** _f(s["power"]) + last


def _inverse_time(step, s):
    p = _f(step) / _f(s["decay_steps"])
    return _f(s["initial_learning_rate"]) / (1 + _f(s["decay_rate"]) * (np.floor(p) if s["staircase"] else p))


def _cosine(step, s):
    first, n, step = _f(s["initial_learning_rate"]), _f(s["decay_steps"]), _f(step)
    if s["warmup_target"] is not None:
        warm, target = _f(s["warmup_steps"]), _f(s["warmup_target"])
        if step < warm:
            return (target - first) * (step / warm) + first
        first, step = target, step - warm
    decayed = _f(0.5) * (1 + np.cos(_f(math.pi) * (min(step, n) / n)))
    return first * (_f(1 - s["alpha"]) * decayed + _f(s["alpha"]))


# A function of the step, counted from 0, and of the settings; Keras's defaults, None for what has none.
SCHEDULES = {
    "ExponentialDecay": (
        _exponential,
        {"initial_learning_rate": None, "decay_steps": None, "decay_rate": None, "staircase": False},
    ),
    "PiecewiseConstantDecay": (_piecewise, {"boundaries": None, "values": None}),
    "PolynomialDecay": (
        _polynomial,
        {
            "initial_learning_rate": None,
            "decay_steps": None,
            "end_learning_rate": 0.0001,
            "power": 1.0,
            "cycle": False,
        },
    ),
    "InverseTimeDecay": (
        _inverse_time,
        {"initial_learning_rate": None, "decay_steps": None, "decay_rate": None, "staircase": False},
    ),
    "CosineDecay": (
        _cosine,
        {
            "initial_learning_rate": None,
            "decay_steps": None,
            "alpha": 0.0,
            "warmup_target": None,
            "warmup_steps": 0,
        },
    ),
}


def scheduled_rate(schedule, step):
    """Return the learning rate of a step.

    Parameters
    ----------
    schedule : tuple of (str, tuple of pairs)
    step : int
        Number of steps made before.
    """
    name, settings = schedule
    return SCHEDULES[name][0](step, dict(settings))
