"""Keras callbacks of one call: instances as they are given, and those made of classes."""

import copy
import inspect

from skdl._backend import keras, private
from skdl._model._objects import make
from skdl._routing import nearest, route_params


def make_callbacks(items, params):
    """Return the callbacks of one fit.

    Parameters
    ----------
    items : callback class or instance, or list, tuple or dict of them, or None
    params : dict
        Parameters for them, without prefix: ``{"patience": 3, "0__monitor": "loss"}``.

    Returns
    -------
    list of keras.callbacks.Callback
        Instances are those given, as in Keras; with parameters for them, copies.

    Raises
    ------
    TypeError, ValueError
        If something is no callback, or can't be made, or copied with parameters.
    """
    if items is None:
        return []
    if inspect.isclass(items):
        callback = make("callback", items, params, None, ())
    elif isinstance(items, keras.callbacks.Callback):
        callback = _copied_callback(items, params) if params else items
    elif isinstance(items, list | tuple | dict):
        named = items.items() if isinstance(items, dict) else enumerate(items)
        common = {name: value for name, value in params.items() if "__" not in name}
        return [
            callback
            for name, item in named
            for callback in make_callbacks(
                item, {**common, **route_params(params, destination=str(name), pass_filter=set())}
            )
        ]
    else:
        callback = items
    if not isinstance(callback, keras.callbacks.Callback):
        raise TypeError(
            "callbacks must be a keras.callbacks.Callback, a class of them, or a list or dict of "
            f"these; got {callback!r} of type {type(callback).__name__}."
        )
    return [callback]


def acts_on_predict(callback):
    """Tell whether a callback, or a class of them, has something to do in ``keras.Model.predict``."""
    names = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_predict")]
    # What is no callback at all is left to `make_callbacks` to refuse.
    return any(_own(callback, name) is not getattr(keras.callbacks.Callback, name) for name in names)


def _own(callback, name):
    """Return a method of a callback, or of a class of them, as a function."""
    method = getattr(callback, name, None)
    return getattr(method, "__func__", method)


def _copied_callback(callback, params):
    try:
        # Not with the model that it watches elsewhere.
        copied = copy.deepcopy(callback, {id(private.watched_model(callback)): None})
    except Exception as error:
        raise TypeError(
            f"The callback {callback!r} can't be copied with the parameters {params!r} ({error}). Give its "
            "class instead of an instance, or an instance without parameters callbacks__<name>."
        ) from error
    for name, value in params.items():
        if not hasattr(copied, name):
            raise ValueError(
                f"{type(callback).__name__} has no parameter {name!r}.{nearest(name, vars(copied))}"
            )
        setattr(copied, name, value)
    return copied
