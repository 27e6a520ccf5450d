"""Keras objects as plain data without code, and back: what `skdl.save` and skops write."""

import io
import json
import types
import zipfile

import numpy as np

from skdl._backend import keras, private, seeded
from skdl._persistence._graph import (
    flatten,
    flatten_parts,
    holds_keras,
    is_handle,
    is_importable,
    unflatten,
)


def to_plain(thing):
    """Turn an object that holds parts of Keras into plain data.

    Parameters
    ----------
    thing : dict of str to object
        Models, layers, losses, metrics, optimizers and callbacks, also in lists and dicts.

    Returns
    -------
    dict
        Of strings, bytes, arrays, and the user's classes and functions, by which skops tells
        what has to be trusted. For `from_plain`.

    Raises
    ------
    TypeError, ValueError
        If there is something that can be restored by running code from the file alone, or that
        comes back from its configuration as another.
    """
    writer = _Writer(thing)
    plain = {"tree": writer.written(thing), "models": writer.models}
    used = set().union(*(_custom_names(config, writer.known) for config in writer.configs))
    missing = used - writer.known.keys()
    if missing:
        raise TypeError(f"The classes or functions {sorted(missing)} of this model can't be found by name.")
    for name in used:
        if private.is_builtin_name(name):
            _refuse_namesake(name, writer.known[name], "one of Keras's")
        check_importable(writer.known[name])
    plain["known"] = {name: writer.known[name] for name in sorted(used)}
    for model, written in zip(writer.originals, writer.models, strict=True):
        _check_same(model, _read_model(written, plain["known"]))
    return plain


def from_plain(plain):
    """Restore what `to_plain` wrote, running no code but Keras's and that in ``plain["known"]``.

    Parameters
    ----------
    plain : dict

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError
        If it needs a class that is not in ``plain["known"]``.
    """
    models = [_read_model(written, plain["known"]) for written in plain["models"]]
    return _read(plain["tree"], models, plain["known"])


class _Writer:
    def __init__(self, thing):
        self.models, self.originals, self.configs = [], [], []
        self.known = _custom_objects(thing)

    def written(self, value):
        if isinstance(value, keras.Model) and value.built:
            return {"kind": "model", "position": self._position(value)}
        if isinstance(value, private.saveable_class()):
            variables = value.variables if isinstance(value, keras.Layer) else []
            return {
                "kind": "config",
                "config": self._config(value),
                "variables": [v.numpy() for v in variables],
            }
        if isinstance(value, keras.callbacks.Callback):
            state = {
                name: self.written(None if _is_made_anew(attribute) else attribute)
                for name, attribute in vars(value).items()
            }
            return {"kind": "callback", "class": type(value), "state": state}
        if isinstance(value, dict):
            return {"kind": "dict", "items": {key: self.written(item) for key, item in value.items()}}
        if type(value) in (list, tuple):
            return {"kind": type(value).__name__, "items": [self.written(item) for item in value]}
        if holds_keras(value):
            raise TypeError(
                f"{value!r} can't be saved without code, since it holds parts of Keras. Use pickle, or leave "
                "it out of the parameters."
            )
        return {"kind": "value", "value": value}

    def _position(self, model):
        for position, known in enumerate(self.originals):
            if known is model:
                return position
        file = io.BytesIO()
        try:
            private.save_model(model, file)
        except OSError:  # Keras writes into a temporary folder
            raise
        except Exception as error:
            raise TypeError(
                f"The model {model.name!r} can't be saved by its configuration: {_first_line(error)} Define "
                "get_config in its classes, or use pickle, which needs no configuration."
            ) from error
        self.configs.append(_config_in(file))
        self.originals.append(model)
        self.models.append({"file": file.getvalue(), "seeds": [seed.numpy() for seed in _seeds(model)]})
        return len(self.models) - 1

    def _config(self, value):
        config = keras.saving.serialize_keras_object(value)
        self.configs.append(config)
        return json.dumps(config)


def check_importable(value):
    """Refuse a function or class that can't be found by its name when a file is loaded.

    Parameters
    ----------
    value : callable

    Raises
    ------
    TypeError
    """
    if not is_importable(value) and not isinstance(value, types.BuiltinFunctionType):
        raise TypeError(
            f"{value!r} can't be saved: it is defined in a function, or is a lambda. Define it in a module, "
            "or use pickle or joblib."
        )


def _is_made_anew(attribute):
    """Tell whether Keras's callbacks make an attribute when a training begins."""
    module = getattr(attribute, "__module__", None) or ""
    return is_handle(attribute) or (isinstance(attribute, types.FunctionType) and module.startswith("keras."))


def _seeds(model):
    """Return the states of a model's seed generators, which Keras's format leaves out."""
    return [generator.state for generator in private.seed_generators(model)]


def _custom_objects(thing):
    """Collect the user's own classes and functions, which Keras's format has by name alone."""
    parts, given = flatten_parts(thing)
    known = {}
    for value in [*map(type, parts), *given]:
        module = getattr(value, "__module__", None) or ""
        if not callable(value) or module.partition(".")[0] in ("", "keras", "tensorflow", "builtins"):
            continue
        name = keras.saving.get_registered_name(value)
        if known.setdefault(name, value) is not value:
            _refuse_namesake(name, known[name], value)
    return known


def _refuse_namesake(name, *values):
    one, other = (value if isinstance(value, str) else repr(value) for value in values)
    raise ValueError(
        f"Two parts of this model have the name {name!r}: {one} and {other}. Keras's format tells them apart "
        "by name, so one would be taken for the other. Rename one of them, or use pickle."
    )


def _first_line(error):
    return str(error).strip().partition("\n")[0]


def _config_in(file):
    with zipfile.ZipFile(file) as archive:
        return json.loads(archive.read("config.json"))


def _custom_names(config, known):
    """Return the names by which a configuration refers to what is not Keras's."""
    if isinstance(config, list):
        return set().union(*(_custom_names(each, known) for each in config))
    if not isinstance(config, dict):
        return set()
    names = set().union(*(_custom_names(each, known) for each in config.values()))
    kind, registered = config.get("class_name"), config.get("registered_name")
    if kind == "__lambda__":
        raise TypeError("A lambda can't be saved without code. Use a function of a module, or pickle.")
    if kind == "function":
        # Functions of Keras are written alike.
        is_own = registered != "function" or config["config"] in known
        return names | ({config["config"]} if is_own and isinstance(config["config"], str) else set())
    is_own = registered and not (config.get("module") or "").startswith("keras.")
    return names | ({registered} if is_own else set())


def _read(node, models, known):
    kind = node["kind"]
    if kind == "model":
        return models[node["position"]]
    if kind == "value":
        return node["value"]
    if kind == "config":
        config = json.loads(node["config"])
        _check_known(config, known)
        with seeded(0):
            thing = keras.saving.deserialize_keras_object(config, custom_objects=known, safe_mode=True)
        for variable, value in zip(getattr(thing, "variables", ()), node["variables"], strict=False):
            variable.assign(value)
        return thing
    if kind == "callback":
        if not issubclass(node["class"], keras.callbacks.Callback):
            raise ValueError(f"{node['class']!r} is no class of callbacks.")
        callback = object.__new__(node["class"])
        vars(callback).update({name: _read(item, models, known) for name, item in node["state"].items()})
        return callback
    if kind == "dict":
        return {key: _read(item, models, known) for key, item in node["items"].items()}
    items = [_read(item, models, known) for item in node["items"]]
    return tuple(items) if kind == "tuple" else items


def _read_model(written, known):
    file = io.BytesIO(written["file"])
    _check_known(_config_in(file), known)
    # Initial values are drawn, only to be overwritten, and no one's random numbers for them.
    with seeded(0):
        model = private.load_model(file, known)
    for state, value in zip(_seeds(model), written["seeds"], strict=True):
        state.assign(value)
    return model


def _check_known(config, known):
    unknown = _custom_names(config, known) - known.keys()
    if unknown:
        raise ValueError(f"The saved model needs {sorted(unknown)}, which was not saved with it.")


def _check_same(model, restored):
    """Refuse to write a model that comes back as another, since its configuration is incomplete."""
    same = _equal(_values(model), _values(restored))
    rows = _some_rows(model) if same else None
    if rows is not None:
        # Of a copy, since a call may draw numbers, and dropout may be on in it.
        outputs = [each(rows, training=False) for each in (unflatten(flatten(model, share=True)), restored)]
        same = _equal(*(list(map(np.asarray, keras.tree.flatten(each))) for each in outputs))
    if not same:
        raise ValueError(
            f"The model {model.name!r} comes back from its configuration as another: its weights or outputs "
            "differ. Let get_config of its classes return all that they were made with, or use pickle, "
            "which needs no configuration."
        )


def _equal(ones, others):
    return len(ones) == len(others) and all(
        one.shape == other.shape
        and one.dtype == other.dtype
        and (np.allclose(one, other, equal_nan=True) if one.dtype.kind == "f" else np.array_equal(one, other))
        for one, other in zip(ones, others, strict=True)
    )


def _some_rows(model):
    """Make two rows of input; None where the model does not say what it takes, or takes strings."""
    inputs = private.input_structure(model)
    inputs = getattr(model, "inputs", None) if inputs is None else inputs
    if inputs is None:
        shapes = list(private.build_shapes(model).values())
        if len(shapes) != 1 or not isinstance(shapes[0], tuple):
            return None
        inputs = keras.KerasTensor(shapes[0])
    if any(keras.backend.standardize_dtype(each.dtype) == "string" for each in keras.tree.flatten(inputs)):
        return None
    rng = np.random.default_rng(0)
    rows = keras.tree.map_structure(
        lambda each: rng.uniform(size=[2, *(3 if n is None else n for n in each.shape[1:])]).astype(
            each.dtype
        ),
        inputs,
    )
    return rows[0] if isinstance(rows, list) and len(rows) == 1 else rows


def _values(model):
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *_seeds(model), *(optimizer.variables if optimizer is not None else [])]
    return [variable.numpy() for variable in variables]
