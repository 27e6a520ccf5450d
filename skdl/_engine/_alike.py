"""Models that compute the same, told by their configurations before they are traced.

To trace a model takes 0.3 to 2 s. For models that skdl builds from numbers and names alone, the
configuration says all that a trace depends on. Models of users are traced each, since their
configurations do not tell what users changed about them.
"""

import weakref

from skdl._backend import keras

_methods_when_built = weakref.WeakKeyDictionary()


def note_plain(model, is_plain):
    """Note whether skdl has just built a model from numbers and names alone, and nobody else had it since."""
    _methods_when_built.pop(model, None)
    if is_plain:
        _methods_when_built[model] = _own_methods(model)


def alike(model):
    """Return a key that is equal for models that compute the same, or None where this is not known."""
    if _methods_when_built.get(model) != _own_methods(model):
        return None
    config = model.get_config()
    layers = [layer["config"]["name"] for layer in config["layers"]]
    numbers = {name: i for i, name in enumerate((model.name, model.optimizer.name, *layers))}
    everywhere = keras.config.floatx(), keras.config.epsilon()
    return repr((_without_values((config, model.get_compile_config()), numbers), everywhere))


def _own_methods(model):
    """Return which methods of a model and its layers are attributes of the object, not of its class."""
    parts = (model, *model.layers)
    return [
        (i, name, id(value))
        for i, part in enumerate(parts)
        for name, value in vars(part).items()
        if callable(getattr(type(part), name, None))
    ]


def _without_values(part, numbers):
    """Return a configuration without what is the value of a variable, and with numbers in place of names."""
    if isinstance(part, dict):
        kept = {k: v for k, v in part.items() if k != "seed" and not k.endswith("_initializer")}
        if isinstance(kept.get("learning_rate"), float):
            del kept["learning_rate"]
        return {key: _without_values(value, numbers) for key, value in kept.items()}
    if isinstance(part, list | tuple):
        return [_without_values(each, numbers) for each in part]
    return numbers.get(part, part) if isinstance(part, str) else part
