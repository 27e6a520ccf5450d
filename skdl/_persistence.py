"""Keras models to bytes and back, custom code included: pickling and copying."""

import tempfile
from pathlib import Path

from skdl._backend import keras, seeded


def _is_custom(value):
    """Tell whether ``value`` is a class or function that Keras can't find by its name."""
    return hasattr(value, "__name__") and not getattr(value, "__module__", "keras").startswith("keras.")


def _flatten(items):
    if isinstance(items, dict):
        items = items.values()
    if not isinstance(items, list | tuple | set | type({}.values())):
        return [items]
    return [leaf for item in items for leaf in _flatten(item)]


def custom_objects(model):
    """Collect the user's own classes and functions that a Keras model is made of.

    Keras writes them down by name alone, so that reading needs the objects themselves.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    dict of str to class or function
    """
    parts = [model, *model._flatten_layers()]
    parts += [value for part in list(parts) for value in _flatten(list(vars(part).values()))]
    config = getattr(model, "_compile_config", None)
    if config is not None:
        parts += _flatten(list(config.config.values()))
        parts += [getattr(model, "optimizer", None), *getattr(model, "metrics", [])]
    found = {}
    for part in parts:
        wrapped = getattr(part, "fn", None) or getattr(part, "_fn", None)
        for value in (part, type(part), wrapped):
            if (callable(value) and _is_custom(value)) and not _is_plumbing(value):
                found[value.__name__] = value
    return found


def _is_plumbing(value):
    """Tell whether a class or function comes from Python or TensorFlow, not the user."""
    root = value.__module__.partition(".")[0]
    return root in ("builtins", "tensorflow", "numpy", "threading", "functools", "ml_dtypes", "_thread")


def pack_model(model):
    """Turn a Keras model into plain data.

    Parameters
    ----------
    model : keras.Model
        With its weights, compile arguments and the state of its optimizer.

    Returns
    -------
    dict
        For `unpack_model`; the user's own classes and functions are kept as such and
        pickled by reference.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        model.save(path)
        return {"keras": path.read_bytes(), "custom_objects": custom_objects(model)}


def unpack_model(packed):
    """Turn the result of `pack_model` back into a Keras model.

    Parameters
    ----------
    packed : dict

    Returns
    -------
    keras.Model
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(packed["keras"])
        # The bytes come out of a pickle, which is code already.
        return keras.saving.load_model(path, custom_objects=packed["custom_objects"], safe_mode=False)


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
        return _copied_in_memory(model) or unpack_model(pack_model(model))


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


class PackedModel:
    """A Keras model that pickles, deep-copies and pickles again, custom code included.

    Parameters
    ----------
    model : keras.Model
    """

    def __init__(self, model):
        self.model = model

    def __reduce__(self):
        return _restore, (pack_model(self.model),)

    def __deepcopy__(self, memo):
        return PackedModel(copy_model(self.model))


def _restore(packed):
    return PackedModel(unpack_model(packed))


def pack_models(value):
    """Replace the Keras models in nested lists, tuples and dicts by `PackedModel`.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
        The same object where it holds no model.
    """
    return _replace(value, keras.Model, PackedModel)


def unpack_models(value):
    """Undo `pack_models`."""
    return _replace(value, PackedModel, lambda packed: packed.model)


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
