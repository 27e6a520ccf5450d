"""A Keras model built by a function, which gets the parameters that it takes; and its outputs for rows."""

import inspect
import json
import weakref
from dataclasses import dataclass

import numpy as np

from skdl import _dense, _engine
from skdl._arrays import LargeRows, leaves, n_rows, without_sparse
from skdl._backend import check_not_forked, keras, private, seeded, tf
from skdl._model._compile import PREFIXES, compile_kwargs, compile_params, nearest, routed_params
from skdl._persistence import copied, copies_in
from skdl._training._fit import check_steps
from skdl._training._plan import FIT_PARAMS
from skdl._typing import PredictArguments
from skdl._warnings import warn

PREDICT_PARAMS = frozenset(PredictArguments.__annotations__)
# Models that a builder returned without variables. Their training makes the variables.
_unbuilt = weakref.WeakSet()


@dataclass(frozen=True)
class ModelSpec:
    """The parameters that a model is built and compiled by."""

    estimator: str  # name of the class, for messages
    params: dict  # as of ``get_params(deep=False)``
    defaults: dict  # of every parameter in the signature
    compile_params: dict  # `params` with what the target decides


def check_arguments(method, names, valid):
    """Refuse keyword arguments that a method does not take, with the nearest valid name."""
    unknown = set(names) - valid
    if unknown:
        name = min(unknown)
        raise TypeError(f"{method} got an unexpected argument {name!r}.{nearest(name, valid)}")


def _accepts_kwargs(function):
    """Return whether a function takes keyword arguments of any name."""
    return any(each.kind is each.VAR_KEYWORD for each in inspect.signature(function).parameters.values())


def check_routed_params(params, own_names, builder):
    """Refuse parameters that neither the estimator, its builder nor a method of Keras takes."""
    builder_names = {n for n, p in inspect.signature(builder).parameters.items() if p.kind != p.VAR_KEYWORD}
    for name in params:
        prefix, routed, rest = name.partition("__")
        if name in own_names:
            continue
        if not routed or prefix not in PREFIXES:
            valid, rest = builder_names | set(own_names), name
            is_taken = not routed and (name in builder_names or _accepts_kwargs(builder))
        elif prefix == "model":
            valid, is_taken = builder_names, rest in builder_names or _accepts_kwargs(builder)
        elif prefix in ("fit", "compile", "predict"):
            valid = {"fit": FIT_PARAMS, "predict": PREDICT_PARAMS}.get(prefix) or compile_params()
            is_taken = rest.partition("__")[0] in valid
        else:
            continue
        if not is_taken:
            raise ValueError(
                f"Invalid parameter {name!r}: neither the estimator nor the function or method that it is "
                f"routed to takes it.{nearest(rest, valid)} Valid names there: {sorted(valid)}."
            )


def find_builder(estimator, method, model=None, build_fn=None):
    """Return the function that builds the model: a parameter, or ``_keras_build_fn`` of the estimator."""
    if build_fn is not None:
        if model is not None:
            raise ValueError("Both model and build_fn are given; give model alone.")
        warn("build_fn is called model now, as in scikeras; use model=.", FutureWarning)
        model = build_fn
    if model is None:
        if method is None:
            raise ValueError(
                "model=None, but there is nothing to build: give a function that returns a "
                "keras.Model, or a keras.Model, or define _keras_build_fn in a subclass."
            )
        return method
    if method is not None:
        raise ValueError(
            f"{estimator} defines _keras_build_fn and was given model={model!r} too; leave one of them out."
        )
    if isinstance(model, keras.Model):
        return lambda: model
    if not callable(model):
        raise TypeError(
            f"model must be a function that returns a keras.Model, or a keras.Model; got {model!r}."
        )
    return model


def runs_user_code(spec, builder):
    """Return whether building a model may call functions that are neither Keras's nor skdl's."""
    is_own = (getattr(builder, "__module__", None) or "").partition(".")[0] == "skdl"
    return not is_own or any(map(callable, spec.params.values()))


def numbers_and_names(spec, builder):
    """Return the parameters of loss and metrics if skdl builds a model from numbers and names, else None."""
    try:
        json.dumps(spec.params)
    except TypeError:  # objects of the user's take part
        return None
    if runs_user_code(spec, builder):
        return None
    return sorted((k, repr(v)) for k, v in spec.params.items() if k.startswith(("loss__", "metrics__")))


def build(spec, builder, meta):
    """Return the model that a builder returns for the parameters that it takes, and for what is learned."""
    own_names = set(spec.defaults)
    check_routed_params(spec.params, own_names, builder)
    kwargs = {name: value for name, value in spec.params.items() if name not in own_names}
    kwargs |= routed_params(spec.params, "model")
    kwargs = copies_in({name: value for name, value in kwargs.items() if "__" not in name})
    offered = {
        "meta": lambda: meta,
        "params": lambda: copies_in(spec.params),
        "compile_kwargs": lambda: compile_kwargs(spec.compile_params),
    }
    taken = offered if _accepts_kwargs(builder) else inspect.signature(builder).parameters
    kwargs |= {name: value() for name, value in offered.items() if name in taken}
    new = []

    def creator(next_creator, **arguments):
        new.append(next_creator(**arguments))
        return new[-1]

    with tf.variable_creator_scope(creator):
        model = builder(**kwargs)
    name = getattr(builder, "__name__", repr(builder))
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"The builder {name!r} must return a keras.Model, but returned {model!r} of type "
            f"{type(model).__name__}. Does it end with 'return model'?"
        )
    if not any(model is spec.params.get(parameter) for parameter in ("model", "build_fn")):
        model = _unshared(model, set(map(id, new)), name)
    if model.compiled and not {"compile_kwargs", "params"} & kwargs.keys():
        _warn_of_unused_params(spec)
    return model


def _unshared(model, new, builder):
    """Return a builder's model, or a copy where the builder did not make its variables in this call."""
    if model in _unbuilt:
        raise ValueError(
            f"The builder {builder!r} returned the model {model.name!r} before, and it was trained since. "
            "Make a new model in each call, or give the model itself as model=."
        )
    if any(id(variable.value) not in new for variable in model.variables):
        return copied(model)
    if not model.variables:
        _unbuilt.add(model)
    return model


def _warn_of_unused_params(spec):
    """Warn of parameters for ``compile`` that have no effect, since the builder compiled the model."""
    unused = [
        name
        for name, value in spec.params.items()
        if (name in ("optimizer", "metrics") and value != spec.defaults[name])
        or name.startswith(("optimizer__", "loss__", "metrics__", "compile__"))
    ]
    if unused:
        warn(
            f"The model is compiled already, so these parameters of {spec.estimator} have no "
            f"effect: {unused}. Leave out model.compile in the builder, or let it take compile_kwargs.",
        )


# The outputs of a model: their shapes before training, and their values for rows.


def check_input(model, x):
    """Refuse an encoded row ``x`` whose shape is not that of the model's input."""
    expected = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(expected, tuple) or not hasattr(x, "shape"):
        return
    shape = x.shape if len(x.shape) == len(expected) else (*x.shape, 1)
    sizes = zip(expected[1:], shape[1:], strict=False)
    if len(shape) != len(expected) or any(want not in (None, size) for want, size in sizes):
        raise ValueError(
            f"The model takes rows of shape {expected[1:]}, but X has rows of shape {x.shape[1:]}. "
            "Let the builder take meta, and size the input by meta['n_features_in_'] or "
            "meta['X_shape_'][1:]."
        )


def output_shapes(model, x, *, seed, expected=None):
    """Return the shapes of a model's outputs for one encoded row; build the model where it is not built.

    Refuse another number of outputs than ``expected``, and an output that is always 1.
    """
    outputs = getattr(model, "outputs", None)
    if not (model.built and outputs and all(isinstance(each, keras.KerasTensor) for each in outputs)):
        with seeded(seed):
            outputs = keras.tree.flatten(_engine.forward(model, x))
    if expected is not None and expected != len(outputs):
        raise ValueError(
            f"The target needs a model with {expected} output{'s' * (expected != 1)}, but this one "
            f"has {len(outputs)}."
        )
    last = model.layers[-1] if type(model) is keras.Sequential else None
    if outputs[0].shape[-1] == 1 and getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            "The model ends in a softmax of one unit, which is 1 whatever the input. Give the last layer "
            'activation="sigmoid", or one unit for each class.'
        )
    return [output.shape for output in outputs]


def asks_keras(*, callbacks=(), steps=None, verbose=0, batch_size=None):
    """Return whether arguments of a prediction need ``keras.Model.predict``."""
    return bool(callbacks or verbose or steps is not None)


def dense_outputs(state, x):
    """Return the outputs of a dense network for an array or a sparse matrix, or a dict of one."""
    x = next(iter(x.values())) if isinstance(x, dict) else x
    return _dense.predict(state, without_sparse(x, keep_large=True))


def predict_outputs(model, x, *, callbacks=(), batch_size=None, step=None, **args):
    """Return the outputs of a model for encoded rows.

    ``step`` is the number of rows of a step where ``batch_size`` is None and outputs may depend on it; -1
    means all rows. ``args`` are further arguments of ``keras.Model.predict``.
    """
    check_not_forked()
    batch_size, step = (n_rows(x) if size == -1 else size for size in (batch_size, step))
    check_steps(model, n_rows(x), batch_size or step or 32, "rows to predict")
    if not asks_keras(callbacks=callbacks, **args):
        return _engine.forward(model, x, batch_size=batch_size, step=step)
    try:
        size = batch_size or step
        if isinstance(x := without_sparse(x), LargeRows):
            x, size = _engine.batches(x, size or 32), None
        return model.predict(x, **{"verbose": 0, **args}, callbacks=callbacks, batch_size=size)
    finally:
        for callback in callbacks:
            setattr(callback, private.WATCHED_MODEL, None)


def count_nan(outputs):
    """Return the number of rows with NaN in the first output that has some."""
    for output in leaves(outputs):
        if output.dtype.kind in "fV" and np.isnan(output).any():
            return int(np.isnan(output).reshape(len(output), -1).any(axis=1).sum())
    return 0


def widened(array):
    """Return an array of half precision as float32, which scikit-learn takes; any other as it is."""
    is_half = array.dtype.kind in "fV" and array.dtype.itemsize < 4
    return array.astype(np.float32) if is_half else array
