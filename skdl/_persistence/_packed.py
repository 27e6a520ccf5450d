"""What of an estimator goes into copies and pickles, and, without code, into the files of `skdl.save`."""

import copy
import io
import json
import tempfile
import types
import warnings
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from skdl._backend import keras, private, seeded
from skdl._persistence._copies import (
    Flat,
    check_undecayed,
    flatten,
    functions_and_classes,
    holds_keras,
    is_handle,
    is_importable,
    packs_itself,
    unflatten,
)
from skdl._warnings import warn

# Copies.


def copied(thing, memo=None):
    """Copy an object with all parts of Keras in it, which then share no variable; ``memo`` is deepcopy's."""
    flat = flatten(thing, share=True)
    memo = {} if memo is None else memo
    given = [copy.deepcopy(each, memo) if packs_itself(type(each)) else each for each in flat.given]
    return unflatten(flat._replace(given=given))


def copies_in(params):
    """Copy together those of some parameters that hold parts of Keras."""
    with_keras = {name: value for name, value in params.items() if holds_keras(value)}
    return {**params, **copied(with_keras)} if with_keras else params


class Packed:
    """An object with parts of Keras in it, that pickles and deep-copies."""

    def __init__(self, thing):
        self.thing = thing

    def __reduce_ex__(self, protocol):
        return _unpacked, tuple(flatten(self.thing, share=False))

    def __reduce__(self):
        # skops asks whether a call of the class makes the object again. It does not: see below.
        return Packed.__new__, (Packed,)

    # What skops saves and restores, in which there is no code.

    def __getstate__(self):
        return to_plain(self.thing)

    def __setstate__(self, state):
        self.thing = from_plain(state)

    def __deepcopy__(self, memo):
        return Packed(copied(self.thing, memo))


def _unpacked(*flat):
    return Packed(unflatten(Flat(*flat)))


# Plain data, of which skops writes the attributes.


def rebuilt(data, replace):
    """Return nested dicts, lists and tuples, of their classes, with ``replace`` applied to all in them."""
    if isinstance(data, dict):
        # skops 0.16 can't load a defaultdict with keys that are no strings.
        is_plain = isinstance(data, defaultdict) and not all(isinstance(key, str) for key in data)
        again = {} if is_plain else copy.copy(data)
        for key, value in data.items():
            again[key] = rebuilt(value, replace)
        return again
    if type(data) in (list, tuple):
        return type(data)(rebuilt(value, replace) for value in data)
    return replace(data)


class _PlainPart:
    """A layer, optimizer, loss or metric: its configuration, or, with a state, Keras's file and the seeds."""

    def __init__(self, part, has_state):
        self.has_state = has_state
        if has_state:
            self.content, self.seeds = _file_of(part), [seed.numpy() for seed in _seed_states(part)]
        else:
            config = keras.saving.serialize_keras_object(part)
            config.pop("build_config", None)  # a FeatureSpace that is built from it passes for adapted
            self.content, self.seeds = json.dumps(config), []
        self.lacking, self.name = _lacking(part, getattr(part, "weights", ())), part.name

    def config(self):
        if not self.has_state:
            return json.loads(self.content)
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            return json.loads(archive.read("config.json"))

    def restored(self, known):
        if not self.has_state:
            part = keras.saving.deserialize_keras_object(self.config(), custom_objects=known, safe_mode=True)
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "model.keras")
                path.write_bytes(self.content)
                part = keras.saving.load_model(path, custom_objects=known, safe_mode=True)
            for state, value in zip(_seed_states(part), self.seeds, strict=True):
                state.assign(value)
        _add_lacking(part, self.lacking, getattr(part, "weights", ()))
        part.name = self.name  # which a FeatureSpace does not write
        return part


class _PlainCallback:
    """A callback: its class and its attributes."""

    def __init__(self, callback, state):
        self.kind, self.state = type(callback), state


def to_plain(thing):
    """Turn an object with parts of Keras into plain data, from which `from_plain` restores it.

    The data are strings, bytes, arrays, and the user's classes and functions, by which skops tells what has
    to be trusted. What only code in the file could restore, or what comes back as another, is an error.
    """
    known, parts, used = _custom_objects(thing), {}, set()

    def plain(value):
        if not holds_keras(value):
            return value
        if id(value) not in parts:
            parts[id(value)] = part(value)
        return parts[id(value)]

    def part(value):
        if isinstance(value, keras.callbacks.Callback):
            state = {n: None if _is_made_anew(v) else v for n, v in vars(value).items()}
            return _PlainCallback(value, rebuilt(state, plain))
        if not isinstance(value, keras.Layer | keras.Metric | keras.Loss | keras.Optimizer):
            raise TypeError(
                f"{value!r} can't be saved without code, since it holds parts of Keras. Use pickle, or leave "
                "it out of the parameters."
            )
        # A layer has a vocabulary before it is built.
        words = getattr(value, "get_vocabulary", None)
        has_state = isinstance(value, keras.Layer) and bool(
            value.built or (words is not None and words(include_special_tokens=False))
        )
        if has_state:
            value = _with_fitting_optimizer(value, known)
        written = _PlainPart(value, has_state)
        names = _custom_names(written.config(), known) & known.keys()
        for name in names:
            if any(hasattr(getattr(keras, module), name) for module in _LOOKED_UP):
                _refuse_namesake(name, known[name], "one of Keras's")
            check_importable(known[name])
        used.update(names)
        check = _check_same if has_state else _check_alike
        check(value, _restored(written, known))
        return written

    return {"thing": rebuilt(thing, plain), "known": {name: known[name] for name in sorted(used)}}


def from_plain(plain):
    """Restore what `to_plain` wrote, running no code but Keras's and that in ``plain["known"]``."""
    done = {}

    def restored(value):
        if id(value) in done or not isinstance(value, _PlainPart | _PlainCallback):
            return done.get(id(value), value)
        if isinstance(value, _PlainPart):
            done[id(value)] = _restored(value, plain["known"])
        elif issubclass(value.kind, keras.callbacks.Callback):
            done[id(value)] = callback = object.__new__(value.kind)
            vars(callback).update(rebuilt(value.state, restored))
        else:
            raise ValueError(f"{value.kind!r} is no class of callbacks.")
        return done[id(value)]

    return rebuilt(plain["thing"], restored)


def _restored(written, known):
    """Restore a part of Keras with the classes and functions that are known."""
    unknown = _custom_names(written.config(), known) - known.keys()
    if unknown:
        raise ValueError(
            f"The model needs {sorted(unknown)}, which is not among its classes and functions. Use pickle, "
            "which needs no names."
        )
    # Initial values are drawn, only to be overwritten, and no one's random numbers for them.
    with seeded(0):
        return written.restored(known)


# Where Keras finds functions by their names alone.
_LOOKED_UP = ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers")


def _file_of(model):
    """Return the bytes of Keras's file of a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            with warnings.catch_warnings():
                # Keras 3.15 reads TensorFlow 2.21's tensors by np.array, which NumPy 2 deprecates.
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
                # A lookup layer is built by its first call, after it has learnt.
                warnings.filterwarnings("ignore", ".*has not yet been built", UserWarning)
                keras.saving.save_model(model, path)
        except OSError:
            raise
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise TypeError(
                f"The model {model.name!r} can't be saved by its configuration: {reason} Define "
                "get_config in its classes, or use pickle, which needs no configuration."
            ) from error
        return path.read_bytes()


def _with_fitting_optimizer(model, known):
    """Return a model, perhaps a copy, whose optimizer is built for the weights that are trained now."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or (
        optimizer.built
        and set(map(id, getattr(optimizer, private.TRAINED_VARIABLES)))
        == set(map(id, model.trainable_variables))
    ):
        return model
    copy = copied(model)
    if optimizer.built:
        warn(
            f"The model {model.name!r} was quantized, or layers were frozen or thawed, since its training. "
            "The state of its optimizer is not saved: partial_fit begins with a new one after loading.",
        )
        with keras.saving.custom_object_scope(known):
            copy.optimizer = remade(copy.optimizer, weights=copy.weights)
    copy.optimizer.build(copy.trainable_variables)
    return copy


def remade(part, params=(), weights=()):
    """Make an optimizer or metric anew by its configuration, with some values of it changed."""
    again = type(part).from_config({**part.get_config(), **dict(params)})
    _add_lacking(again, _lacking(part, weights), weights)
    return again


def _optimizers(part):
    """Return the optimizer of a model, or one that is given, and those inside of it."""
    part = getattr(part, "optimizer", None) if isinstance(part, keras.Model) else part
    if not isinstance(part, keras.Optimizer):
        return []
    inner = [*getattr(part, "optimizers", ()), getattr(part, "inner_optimizer", None)]
    return [part, *(each for optimizer in inner for each in _optimizers(optimizer))]


def _losses(part):
    """Return the losses of Keras's in a model, or a loss that is given."""
    part = getattr(part, "loss", None) if isinstance(part, keras.Model) else part
    return [each for each in keras.tree.flatten(part) if isinstance(each, keras.Loss)]


def _lacking(part, weights):
    """Return what the configurations in Keras 3.15 leave out of optimizers and losses."""
    undecayed, plain = [], (bool, int, float, str)
    for optimizer in _optimizers(part):
        keys, pattern = private.undecayed(optimizer) or ((), None)
        if not weights or not optimizer.built:
            check_undecayed(optimizer, weights)
        keyed = (private.variable_key(optimizer, weight) for weight in weights)
        undecayed.append((pattern, [position for position, key in enumerate(keyed) if key in keys]))
    arguments = (getattr(loss, private.FUNCTION_ARGUMENTS, {}) for loss in _losses(part))
    return {
        "undecayed": undecayed,
        # Such as the delta of Huber.
        "arguments": [{n: v for n, v in each.items() if isinstance(v, plain)} for each in arguments],
    }


def _add_lacking(part, lacking, weights):
    """Undo `_lacking`."""
    for optimizer, (pattern, positions) in zip(_optimizers(part), lacking["undecayed"], strict=False):
        if pattern or positions:
            left_out = [weights[position] for position in positions]
            optimizer.exclude_from_weight_decay(left_out, [pattern] if pattern else None)
    for loss, arguments in zip(_losses(part), lacking["arguments"], strict=False):
        getattr(loss, private.FUNCTION_ARGUMENTS, {}).update(arguments)


def check_importable(value):
    """Raise TypeError for a function or class that can't be found by its name when a file is loaded."""
    if isinstance(value, types.FunctionType | type) and not is_importable(value):
        raise TypeError(
            f"{value!r} can't be saved: it is defined in a function, or is a lambda. Define it in a module, "
            "or use pickle or joblib."
        )


def _is_made_anew(attribute):
    """Whether Keras's callbacks make an attribute when a training begins."""
    module = getattr(attribute, "__module__", None) or ""
    return is_handle(attribute) or (isinstance(attribute, types.FunctionType) and module.startswith("keras."))


def _seed_states(model):
    """Return the states of a model's seed generators, which Keras's format leaves out."""
    weights = set(map(id, model.weights))
    return [variable for variable in model.variables if id(variable) not in weights]


# The user's classes and functions, which Keras's format has by name alone.


def _custom_objects(thing):
    known = {}
    for value in functions_and_classes(thing):
        module = getattr(value, "__module__", None) or ""
        if not callable(value) or module.partition(".")[0] in ("", "keras", "tensorflow", "builtins"):
            continue
        name = keras.saving.get_registered_name(value)
        if known.setdefault(name, value) is not value:
            _refuse_namesake(name, repr(known[name]), repr(value))
    return known


def _refuse_namesake(name, one, other):
    raise ValueError(
        f"Two parts of this model have the name {name!r}: {one} and {other}. Keras's format tells them apart "
        "by name, so one would be taken for the other. Rename one of them, or use pickle."
    )


def _custom_names(config, known):
    """Return the names by which a configuration refers to what is not Keras's."""
    if isinstance(config, list):
        return set().union(*(_custom_names(each, known) for each in config))
    if not isinstance(config, dict):
        return set()
    names, registered = _custom_names(list(config.values()), known), config.get("registered_name")
    if config.get("class_name") == "__lambda__":
        raise TypeError("A lambda can't be saved without code. Use a function of a module, or pickle.")
    if config.get("class_name") == "function":
        name = config["config"]
        is_own = registered != "function" or name in known  # functions of Keras are written alike
    else:
        name = registered
        is_own = not (config.get("module") or "").startswith("keras.")
    if is_own and name and isinstance(name, str):
        names.add(name)
    return names


# Whether a configuration restores what it was written for.


def _check_same(model, restored):
    """Refuse to write a model that comes back as another."""
    same = _equal(_variables(model), _variables(restored))
    same = same and _lacking(model, model.weights) == _lacking(restored, restored.weights)
    rows = _some_rows(model) if same else None
    if rows is not None:
        # Of a copy, since a call may draw numbers, and dropout may be on in it.
        same = _equal(copied(model)(rows, training=False), restored(rows, training=False))
    if not same:
        raise ValueError(
            f"The model {model.name!r} comes back from its configuration as another: its weights or outputs "
            "differ. Let get_config of its classes return all that they were made with, or use pickle, "
            "which needs no configuration."
        )
    if getattr(model, "compiled", False):
        for pair in zip(*(keras.tree.flatten([m.optimizer, m.loss]) for m in (model, restored)), strict=True):
            if hasattr(pair[0], "get_config"):
                _check_alike(*pair)


def _variables(model):
    optimizer = getattr(model, "optimizer", None)
    return model.variables + ([] if optimizer is None else optimizer.variables)


def _equal(one, other):
    """Return whether nested tensors agree, numbers but for rounding."""
    ones, others = ([np.asarray(each) for each in keras.tree.flatten(nested)] for nested in (one, other))
    if [(each.shape, each.dtype) for each in ones] != [(each.shape, each.dtype) for each in others]:
        return False
    return all(
        np.allclose(*pair, equal_nan=True) if pair[0].dtype.kind == "f" else np.array_equal(*pair)
        for pair in zip(ones, others, strict=True)
    )


def _some_rows(model):
    """Return two rows of input, or None where the model does not say what it takes, or takes strings."""
    inputs = model.input if isinstance(model, keras.Function) else getattr(model, "inputs", None)
    if inputs is None:
        shape = (model.get_build_config() or {}).get("input_shape")
        inputs = keras.KerasTensor(shape) if isinstance(shape, tuple) else None
    if inputs is None or any(each.dtype == "string" for each in keras.tree.flatten(inputs)):
        return None
    rng = np.random.default_rng(0)

    def drawn(each):
        return rng.uniform(size=[2, *(3 if n is None else n for n in each.shape[1:])]).astype(each.dtype)

    rows = keras.tree.map_structure(drawn, inputs)
    return rows[0] if isinstance(rows, list) and len(rows) == 1 else rows


def _check_alike(one, other):
    """Refuse to write an optimizer, loss or metric that comes back with another attribute."""
    for name, value in vars(one).items():
        again = vars(other).get(name)
        if hasattr(value, "get_config") and type(value) is type(again):
            _check_alike(value, again)
        leaves, others = [] if name.startswith("_") else keras.tree.flatten(value), keras.tree.flatten(again)
        differ = (
            not np.array_equal(*pair) and repr(pair[0]) != repr(pair[1])
            for pair in zip(leaves, others, strict=False)
            if isinstance(pair[0], bool | int | float | str | bytes | np.generic | np.ndarray)
        )
        if name != "built" and any(differ):  # it may have been built by being used
            raise ValueError(
                f"{type(one).__name__} comes back from its configuration as another: its attribute {name!r} "
                f"is {value!r}, and {again!r} when it is loaded. Let its get_config return all that it was "
                "made with, or use pickle, which needs no configuration."
            )
