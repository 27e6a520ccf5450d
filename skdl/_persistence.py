"""Keras models, losses, metrics and optimizers to plain data and back, for pickles and copies."""

import tempfile
import types
from pathlib import Path

from skdl._backend import keras, seeded

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
        If two functions or classes have one name, so that Keras would take one for the other.
    """
    parts = [thing, *(thing._flatten_layers() if isinstance(thing, keras.Layer) else ())]
    parts += [value for part in list(parts) for value in _flatten(list(vars(part).values()))]
    config = getattr(thing, "_compile_config", None)
    if config is not None:
        parts += _flatten(list(config.config.values()))
        parts += [getattr(thing, "optimizer", None), *getattr(thing, "metrics", [])]
    # Keras looks among its own activations first.
    found, named = {}, dict(keras.src.activations.ALL_OBJECTS_DICT)
    for part in parts:
        wrapped = getattr(part, "fn", None) or getattr(part, "_fn", None)
        for value in (part, type(part), wrapped):
            if callable(value) and _is_written_by_name(value):
                name = keras.saving.get_registered_name(value)
                if named.setdefault(name, value) is not value:
                    _refuse_namesake(name, named[name], value)
            if callable(value) and _is_custom(value) and not _is_plumbing(value):
                found[keras.saving.get_registered_name(value)] = value
    return found


def _is_written_by_name(value):
    """Tell whether Keras writes down a function or class by name; of lambdas it writes the code."""
    if isinstance(value, types.FunctionType):
        return value.__name__ != "<lambda>" and _is_custom(value)
    return isinstance(value, type) and issubclass(value, (keras.Layer, *_PACKED_KINDS)) and _is_custom(value)


def _refuse_namesake(name, *values):
    one, other = (f"{value.__qualname__} of {value.__module__}" for value in values)
    raise ValueError(
        f"Two parts of this model have the name {name!r}: {one} and {other}. Keras tells them apart by name, "
        "so a copy would take one for the other. Give one of them another __name__."
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
    # Initial values are drawn, only to be overwritten, and no one's random numbers for them.
    with seeded(0):
        return _copied_in_memory(model) or unpack(pack(model))


def _copied_in_memory(model):
    """Return a copy without a detour through a file, which takes five times as long.

    None where the state of the model may be more than its variables.
    """
    if not (model.built and all(map(_is_all_variables, model._flatten_layers()))):
        return None
    config = keras.saving.serialize_keras_object(model)
    copied = keras.saving.deserialize_keras_object(
        config, custom_objects=custom_objects(model), safe_mode=False
    )
    before, after = list(model.variables), list(copied.variables)
    if getattr(model, "optimizer", None) is not None and model.optimizer.built:
        before, after = before + model.optimizer.variables, after + copied.optimizer.variables
    if [variable.shape for variable in before] != [variable.shape for variable in after]:
        return None
    for old, new in zip(before, after, strict=True):
        new.assign(old)
    return copied


def _is_all_variables(layer):
    """Tell whether a layer is made by its configuration and its variables."""
    kind = type(layer)
    if kind.__module__.startswith("keras."):
        # Layers of preprocessing have tables and statistics besides.
        return ".preprocessing." not in kind.__module__
    return not isinstance(layer, keras.Model) and all(
        getattr(kind, name) is getattr(keras.Layer, name)
        for name in ("save_own_variables", "load_own_variables", "save_assets", "load_assets")
    )


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
