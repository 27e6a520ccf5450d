"""Keras objects as plain data without code, and back: what `skdl.save` and skops write."""

import io
import json
import types
import zipfile

import numpy as np

from skdl._backend import keras, private, seeded
from skdl._persistence._graph import (
    check_undecayed,
    flatten,
    flatten_parts,
    holds_keras,
    is_handle,
    is_importable,
    unflatten,
)
from skdl._warnings import warn


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
    for model, written in zip(writer.as_written, writer.models, strict=True):
        _check_same(model, _read_model(written, plain["known"]))
    for part, written in writer.configured:
        _check_alike(part, _read(written, [], plain["known"]))
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
        self.models, self.originals, self.as_written = [], [], []
        self.configs, self.configured = [], []
        self.known = _custom_objects(thing)

    def written(self, value):
        if isinstance(value, keras.Model) and value.built:
            return {"kind": "model", "position": self._position(value)}
        if isinstance(value, private.saveable_class()):
            variables = value.variables if isinstance(value, keras.Layer) else []
            written = {
                "kind": "config",
                "config": self._config(value),
                "variables": [v.numpy() for v in variables],
                "undecayed": _undecayed(value),
            }
            self.configured.append((value, written))
            return written
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
        written = _with_fitting_optimizer(model, self.known)
        try:
            private.save_model(written, file)
        except OSError:  # Keras writes into a temporary folder
            raise
        except Exception as error:
            raise TypeError(
                f"The model {model.name!r} can't be saved by its configuration: {_first_line(error)} Define "
                "get_config in its classes, or use pickle, which needs no configuration."
            ) from error
        self.configs.append(_config_in(file))
        self.originals.append(model)
        self.as_written.append(written)
        self.models.append(
            {
                "file": file.getvalue(),
                "seeds": [seed.numpy() for seed in _seeds(written)],
                "undecayed": _undecayed(written, written.weights),
            }
        )
        return len(self.models) - 1

    def _config(self, value):
        config = keras.saving.serialize_keras_object(value)
        self.configs.append(config)
        return json.dumps(config)


def _with_fitting_optimizer(model, known):
    """Return a model whose optimizer is built for the weights that are trained now: a copy, where needed.

    That is how Keras's format restores it. An optimizer is built by the first training, and is one for
    other weights after ``quantize``, or where layers were frozen later.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or (
        optimizer.built
        and private.variable_keys(optimizer).keys()
        == {private.variable_key(optimizer, weight) for weight in model.trainable_variables}
    ):
        return model
    copy = unflatten(flatten(model, share=True))
    if optimizer.built:
        warn(
            f"The model {model.name!r} was quantized, or layers were frozen or thawed, since its training. "
            "The state of its optimizer is not saved: partial_fit begins with a new one after loading.",
        )
        undecayed = _undecayed(copy, copy.weights)
        with keras.saving.custom_object_scope(known):
            copy.optimizer = type(optimizer).from_config(optimizer.get_config())
        _leave_undecayed(copy, undecayed, copy.weights)
    copy.optimizer.build(copy.trainable_variables)
    return copy


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


def remade(part, params=()):
    """Make an optimizer or metric anew by its configuration.

    Parameters
    ----------
    part : optimizer or metric
    params : dict of str to object, default=()
        Values of the configuration to change.

    Returns
    -------
    optimizer or metric
    """
    again = type(part).from_config({**part.get_config(), **dict(params)})
    _leave_undecayed(again, _undecayed(part))
    return again


def _optimizers(part):
    """Return the optimizer of a model, or one that is given, and those inside of it."""
    if isinstance(part, keras.Model):
        part = getattr(part, "optimizer", None)
    if not isinstance(part, keras.optimizers.Optimizer):
        return []
    inner = [*getattr(part, "optimizers", ()), getattr(part, "inner_optimizer", None)]
    return [part, *(each for optimizer in inner for each in _optimizers(optimizer))]


def _undecayed(part, weights=None):
    """Return what configurations of optimizers leave out: the weights that are not decayed.

    A list with a dict for each optimizer, or None where it decays all weights.
    """
    return [_undecayed_by(optimizer, weights) for optimizer in _optimizers(part)]


def _undecayed_by(optimizer, weights):
    told = private.undecayed(optimizer)
    if told is None:
        return None
    keys, pattern = told
    positions = {private.variable_key(optimizer, weight): i for i, weight in enumerate(weights or ())}
    if weights is None or not optimizer.built:
        check_undecayed(optimizer, positions)
    return {"pattern": pattern, "positions": sorted(positions[key] for key in keys & positions.keys())}


def _leave_undecayed(part, undecayed, weights=None):
    """Undo `_undecayed`. Files of before it have none."""
    for optimizer, told in zip(_optimizers(part), undecayed, strict=False):
        if told is not None:
            optimizer.exclude_from_weight_decay(
                [weights[position] for position in told["positions"]],
                None if told["pattern"] is None else [told["pattern"]],
            )


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
        _leave_undecayed(thing, node.get("undecayed", ()))
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
    _leave_undecayed(model, written.get("undecayed", ()), model.weights)
    return model


def _check_known(config, known):
    unknown = _custom_names(config, known) - known.keys()
    if unknown:
        raise ValueError(f"The saved model needs {sorted(unknown)}, which was not saved with it.")


def _check_same(model, restored):
    """Refuse to write a model that comes back as another, since its configuration is incomplete."""
    same = _equal(_values(model), _values(restored))
    same = same and _undecayed(model, model.weights) == _undecayed(restored, restored.weights)
    rows = _some_rows(model) if same else None
    if rows is not None:
        # Of a copy, since a call may draw numbers, and dropout may be on in it.
        outputs = [each(rows, training=False) for each in (unflatten(flatten(model, share=True)), restored)]
        same = _equal(*(list(map(np.asarray, keras.tree.flatten(each))) for each in outputs))
    if not same and any(_is_quantized(layer) for layer in _layers_of(model)):
        raise ValueError(
            f"The model {model.name!r} is quantized in a way that Keras's format does not restore as it is. "
            "Use pickle, or quantize it after loading."
        )
    if not same:
        raise ValueError(
            f"The model {model.name!r} comes back from its configuration as another: its weights or outputs "
            "differ. Let get_config of its classes return all that they were made with, or use pickle, "
            "which needs no configuration."
        )
    if model.compiled:
        for one, other in ((model.optimizer, restored.optimizer), (model.loss, restored.loss)):
            _check_alike(one, other)


def _layers_of(model):
    """Return the layers of a model, and those of models in it."""
    inner = [each for layer in model.layers if hasattr(layer, "layers") for each in _layers_of(layer)]
    return [*model.layers, *inner]


def _is_quantized(layer):
    return isinstance(layer.dtype_policy, keras.dtype_policies.QuantizedDTypePolicy)


def _check_alike(one, other):
    """Refuse to write an optimizer, loss or metric that comes back with another attribute."""
    found = _difference(one, other)
    if found is not None:
        part, name, value, restored = found
        raise ValueError(
            f"{type(part).__name__} comes back from its configuration as another: its attribute {name!r} is "
            f"{value!r}, and {restored!r} when it is loaded. Let its get_config return all that it was made "
            "with, or use pickle, which needs no configuration."
        )


# What a part may have gained by being used.
_GAINED = {"built", "_built", "_lock"}
_PLAIN = bool | int | float | str | bytes | np.generic | np.ndarray


def _difference(one, other, owner=None, name=""):
    """Find an attribute that differs: the part that has it, its name and both values; or None."""
    parts = (
        keras.optimizers.Optimizer,
        keras.optimizers.schedules.LearningRateSchedule,
        keras.losses.Loss,
        keras.metrics.Metric,
    )
    both = one, other
    if isinstance(one, parts) and type(one) is type(other):
        items = [(one, key, value, vars(other).get(key)) for key, value in vars(one).items()]
    elif isinstance(one, _PLAIN):
        return None if np.array_equal(*both) or repr(one) == repr(other) else (owner, name, *both)
    elif name.startswith("_"):  # lists and dicts of Keras's own, some by the ids of variables
        return None
    elif all(isinstance(each, list | tuple) for each in both):
        items = [(owner, name, *pair) for pair in zip(*both, strict=False)]
    elif all(isinstance(each, dict) for each in both):
        items = [(owner, name, value, other.get(key)) for key, value in one.items()]
    else:
        return None
    found = (
        _difference(value, restored, part, attribute)
        for part, attribute, value, restored in items
        if attribute not in _GAINED
    )
    return next((each for each in found if each is not None), None)


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
