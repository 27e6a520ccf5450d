"""Trains Keras models by the engine alone, for the tests of it."""

from skdl import _engine
from skdl._training._plan import Plan, Rows


def settings(x, y, sample_weight=None, *, validation_data=None, callbacks=(), seed=0, **args):
    """Return arguments as those of ``keras.Model.fit`` as the engine takes them."""
    plan_args = {name: args.pop(name) for name in list(args) if name in Plan.__dataclass_fields__}
    plan_args["epochs"] = plan_args.get("epochs", 1) - plan_args.get("initial_epoch", 0)
    plan = Plan(**plan_args, fit_args=args).for_rows(None)
    validation = None if validation_data is None else Rows(*validation_data)
    return Rows(x, y, sample_weight), validation, plan, seed, list(callbacks)


def train(model, x, y, sample_weight=None, **args):
    """Train a compiled model, and return its history."""
    rows, validation, plan, seed, callbacks = settings(x, y, sample_weight, **args)
    return _engine.train(model, rows, validation, plan, seed=seed, callbacks=callbacks)


def why_not(model, x, y, **args):
    """Return the reason why Keras's fit trains, or None."""
    rows, _, plan, _, callbacks = settings(x, y, **args)
    return _engine.why_not(model, (rows.X, rows.y, rows.weight), None, plan, callbacks)
