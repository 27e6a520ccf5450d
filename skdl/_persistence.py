"""Keras models, losses, metrics and optimizers to plain data and back, for pickles and copies."""

import tempfile
import types
from pathlib import Path

from skdl._backend import keras

_PACKED_KINDS = keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer


def _is_custom(value):
    """Tell whether ``value`` is a class or function that Keras can't find by its name."""
    return hasattr(value, "__name__") and not getattr(value, "__module__", "keras").startswith("keras.")


def _flatten(items):
    if isinstance(items, dict):
        items = items.values()
    if not isinstance(items, list | tuple | set | type({}.values())):
        return [items]
    return [leaf for item in items for leaf in _flatten(item)]


def custom_objects(thing):
    """Collect the user's own classes and functions that a Keras object is made of.

    Keras writes them down by name alone, so that reading needs the objects themselves.

    Parameters
    ----------
    thing : keras.Model, keras.losses.Loss, keras.metrics.Metric or keras.optimizers.Optimizer

    Returns
    -------
    dict of str to class or function

    Raises
    ------
    ValueError
        If two functions have one name, so that Keras would take one for the other.
    """
    parts = [thing, *(thing._flatten_layers() if isinstance(thing, keras.Layer) else ())]
    parts += [value for part in list(parts) for value in _flatten(list(vars(part).values()))]
    config = getattr(thing, "_compile_config", None)
    if config is not None:
        parts += _flatten(list(config.config.values()))
        parts += [getattr(thing, "optimizer", None), *getattr(thing, "metrics", [])]
    found = {}
    for part in parts:
        wrapped = getattr(part, "fn", None) or getattr(part, "_fn", None)
        for value in (part, type(part), wrapped):
            if (callable(value) and _is_custom(value)) and not _is_plumbing(value):
                before = found.setdefault(value.__name__, value)
                if before is not value and isinstance(value, types.FunctionType):
                    _refuse_namesake(before, value)
    return found


def _refuse_namesake(one, other):
    if one.__name__ != "<lambda>":  # of which Keras writes down the code
        raise ValueError(
            f"Two functions of this model have the name {one.__name__!r}: {one.__qualname__} of "
            f"{one.__module__} and {other.__qualname__} of {other.__module__}. Keras tells functions "
            "apart by name, so a copy would take one for the other. Set the __name__ of one of them to "
            "another."
        )


def _is_plumbing(value):
    """Tell whether a class or function comes from Python or TensorFlow, not the user."""
    root = value.__module__.partition(".")[0]
    return root in ("builtins", "tensorflow", "numpy", "threading", "functools", "ml_dtypes", "_thread")


def pack(thing):
    """Turn a Keras object into plain data.

    Parameters
    ----------
    thing : keras.Model, keras.losses.Loss, keras.metrics.Metric or keras.optimizers.Optimizer
        A model with its weights, compile arguments and the state of its optimizer;
        anything else as it was made, without state.

    Returns
    -------
    dict
        For `unpack`; the user's own classes and functions are kept as such and pickled
        by reference.
    """
    packed = {"custom_objects": custom_objects(thing)}
    if isinstance(thing, keras.Model) and thing.built:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            thing.save(path)
            return {**packed, "keras": path.read_bytes()}
    return {**packed, "config": keras.saving.serialize_keras_object(thing)}


def unpack(packed):
    """Turn the result of `pack` back into a Keras object.

    Parameters
    ----------
    packed : dict

    Returns
    -------
    keras.Model, keras.losses.Loss, keras.metrics.Metric or keras.optimizers.Optimizer
    """
    # What is packed comes out of a pickle, which is code already, hence no safe mode.
    args = {"custom_objects": packed["custom_objects"], "safe_mode": False}
    if "config" in packed:
        return keras.saving.deserialize_keras_object(packed["config"], **args)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(packed["keras"])
        return keras.saving.load_model(path, **args)


def copy_model(model):
    """Copy a Keras model with its weights, compile arguments and optimizer state.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    keras.Model
    """
    return unpack(pack(model))


class Packed:
    """A Keras object that pickles, deep-copies and pickles again, custom code included.

    Parameters
    ----------
    thing : keras.Model, keras.losses.Loss, keras.metrics.Metric or keras.optimizers.Optimizer
    """

    def __init__(self, thing):
        self.thing = thing

    def __reduce__(self):
        return _restore, (pack(self.thing),)

    def __deepcopy__(self, memo):
        return _restore(pack(self.thing))


def _restore(packed):
    return Packed(unpack(packed))


def pack_all(value):
    """Replace the Keras objects in nested lists, tuples and dicts by `Packed`.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        The same object where it holds none.
    """
    return _replace(value, _PACKED_KINDS, Packed)


def unpack_all(value):
    """Undo `pack_all`."""
    return _replace(value, Packed, lambda packed: packed.thing)


def known_in(values):
    """Make Keras find the user's own classes and functions among objects, while it is entered.

    Parameters
    ----------
    values : list
        Keras objects, and anything else, in nested lists, tuples and dicts.

    Returns
    -------
    context manager
    """
    found = {}
    for value in _flatten(values):
        if isinstance(value, _PACKED_KINDS):
            found.update(custom_objects(value))
    return keras.saving.custom_object_scope(found)


def _replace(value, kind, replacement):
    if isinstance(value, kind):
        return replacement(value)
    if type(value) in (list, tuple):
        items = [_replace(item, kind, replacement) for item in value]
        changed = any(new is not old for new, old in zip(items, value, strict=True))
        return type(value)(items) if changed else value
    if type(value) is dict:
        items = {key: _replace(item, kind, replacement) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    return value
