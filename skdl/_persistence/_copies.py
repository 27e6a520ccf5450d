"""Objects that hold parts of Keras, copied and pickled as they are: attribute by attribute.

Keras copies a model by its configuration: it calls every constructor again, which needs a ``get_config`` in
every class, knows functions by name alone and leaves out the states of seed generators and metrics. Here
cloudpickle writes the attributes instead. Layers, which refer to each other in long chains, stand in a
table, so that the depth of a network is no depth of recursion.
"""

import _csv
import _thread
import functools
import gc
import io
import pickle
import sys
import types
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from skdl._backend import keras, keras_is_imported, private, tf

# Compiled functions and tensors of the last call, which the next one makes anew.
_TRANSIENT = {
    **dict.fromkeys(("train_function", "test_function", "predict_function"), type(None)),
    **{"_eval_epoch_iterator": type(None), "_losses": list, "_losses_override": list, "_loss_ids": set},
}
_TRACKER = {"stored_ids", "config"}  # the attributes of Keras's trackers
# What trackers look for among a layer's attributes, by the name of the list that they fill.
_TRACKED = {
    "variables": lambda x: isinstance(x, keras.Variable),
    "trainable_variables": lambda x: isinstance(x, keras.Variable) and x.trainable,
    "non_trainable_variables": lambda x: isinstance(x, keras.Variable) and not x.trainable,
    "metrics": lambda x: isinstance(x, keras.Metric),
    "layers": lambda x: isinstance(x, keras.Layer) and not isinstance(x, keras.Metric),
    "seed_generators": lambda x: isinstance(x, keras.random.SeedGenerator),
}
_ATOMS = {str, bytes, int, float, bool, types.NoneType}
_CONTAINERS = list | tuple | set | frozenset | dict


def packs_itself(kind):
    """Return whether objects of a class, as estimators do, copy and pickle the parts of Keras in them."""
    return getattr(kind, "_packs_itself", False)


class Flat(NamedTuple):
    """An object as `flatten` writes it."""

    # Pickles of the object and of the state of each part in the table, one after the other.
    states: bytes
    # What is not pickled but handed on: the values of variables, functions, classes, estimators.
    given: list
    # Strings and dtypes, each once by its value. Which of them are one object differs between an object and
    # its copy, and equal objects have equal pickles.
    atoms: list


def flatten(thing, *, share, enters=False):
    """Write an object with all that it holds; ``share`` for a copy that shares functions and classes with it.

    Of a pickle, functions and classes of ``__main__`` are handed on, those of other modules are pickled by
    reference, and all others (lambdas, local functions) by value. ``enters`` writes estimators too, which are
    handed on otherwise.
    """
    pickler = _Pickler(share, enters)
    pickler.write(thing, thing)
    for part in pickler.parts:  # which grows meanwhile
        pickler.part = part
        pickler.write(_state(part, pickler.parts), part)
    return Flat(pickler.stream.getvalue(), pickler.given, list(pickler.atoms))


def unflatten(flat):
    """Make the object that `flatten` wrote; it shares ``flat.given`` with the original and nothing else."""
    unpickler = _Unpickler(flat)
    with tf.init_scope():
        thing = unpickler.load()
        for position in range(sys.maxsize):  # states refer to further parts
            if position not in unpickler.parts:
                return thing
            _set_state(unpickler.parts[position], unpickler.load())


def functions_and_classes(thing):
    """Return the functions and classes that an object uses, those of estimators inside among them."""
    given = flatten(thing, share=True, enters=True).given
    return [each for each in given if isinstance(each, _BY_REFERENCE)]


def is_handle(value):
    """Whether an object is an open file or writer, as callbacks hold them."""
    return isinstance(value, io.IOBase | _csv.Writer | tf.summary.SummaryWriter)


def is_importable(obj):
    """Whether a function or class is found in its module by its name."""
    found = sys.modules.get(obj.__module__)
    for name in getattr(obj, "__qualname__", "<locals>").split("."):
        found = getattr(found, name, None)
    return found is obj


def holds_keras(value):
    """Whether an object is or holds a part of Keras that has a state. Looks at types, and at no data."""
    return keras_is_imported() and _reaches_parts(value, set())


def _reaches_parts(value, seen, through=object):
    """Whether a value is a part of Keras or refers to one, directly or through objects of some types."""
    kind = type(value)
    if issubclass(kind, _with_state()):
        return _has_standard_reduce(kind)
    if packs_itself(kind) or id(value) in seen or not isinstance(value, through):
        return False
    seen.add(id(value))
    if isinstance(value, types.FunctionType):  # not its globals
        referents = value.__defaults__, value.__kwdefaults__, vars(value), value.__closure__
    elif isinstance(value, np.ndarray):
        referents = value.ravel() if value.dtype == object else ()
    elif isinstance(value, type | types.ModuleType | types.FrameType):
        referents = ()
    else:
        referents = gc.get_referents(value)
    return any(_reaches_parts(each, seen, through) for each in referents if type(each) not in _ATOMS)


@functools.cache
def _in_table():
    return keras.Operation, keras.Metric, keras.Loss, keras.Optimizer, keras.callbacks.Callback


@functools.cache
def _with_state():
    return *_in_table(), keras.KerasTensor, keras.Variable, keras.random.SeedGenerator, tf.Variable


def _has_standard_reduce(kind):
    """Whether Keras or Python pickles a class; scikeras puts methods of its own into Keras's classes."""
    if issubclass(kind, tf.Variable):
        return True
    owners = [next(c for c in kind.__mro__ if name in vars(c)) for name in ("__reduce__", "__reduce_ex__")]
    return all(owner is object or _is_of_keras(owner) for owner in owners)


def _is_of_keras(kind):
    return str(kind.__module__).partition(".")[0] == "keras"


# Writing.

_BY_REFERENCE = types.FunctionType | types.BuiltinFunctionType | type | types.ModuleType
_CLOSURES = types.FunctionType | types.MethodType | functools.partial | types.CellType | _CONTAINERS


class _Handed(NamedTuple):
    """Stands for an object that is handed on."""

    value: Any


class _Pickler(cloudpickle.Pickler):
    """Writes objects, of which some stand in a table or are handed on."""

    def __init__(self, share, enters):
        self.stream = io.BytesIO()
        super().__init__(self.stream)
        self._share, self._enters = share, enters
        # The objects themselves, which also keeps their ids unique.
        self.parts, self.given, self._positions = [], [], {}
        self.atoms, self._roles, self.part = {}, {}, None

    def write(self, state, part):
        """Write a state of an object; tell which attribute can't be written."""
        try:
            self.dump(state)
        except Exception as error:
            named = f"{type(part).__name__}({getattr(part, 'name', '')})"
            probe = _Pickler(self._share, self._enters)
            probe.part = self.part
            for name, value in state.items() if isinstance(state, dict) else ():
                try:
                    probe.dump(value)
                except Exception as reason:
                    raise TypeError(
                        f"{named} can't be copied or pickled: its attribute {name!r} holds "
                        f"{value!r} ({reason}). Make it where it is used, or define __getstate__ and "
                        f"__setstate__ in {type(part).__name__} to leave it out and make it anew."
                    ) from error
            raise TypeError(f"{named} can't be copied or pickled: {error}") from error

    def persistent_id(self, obj):
        kind = type(obj)
        if kind not in self._roles:
            self._roles[kind] = _role(kind)
        role = self._roles[kind]
        if role == "atom":
            return self.atoms.setdefault(obj, len(self.atoms))
        if role == "part":
            return self._position(obj, self.parts), kind, isinstance(obj, keras.Function)
        if role == "handed":
            return (self._position(obj.value, self.given),)
        if role == "reference" and self._share:
            is_given = not (isinstance(obj, types.FunctionType) and _reaches_parts(obj, set(), _CLOSURES))
        elif role == "reference":
            is_given = getattr(obj, "__module__", None) == "__main__" and is_importable(obj)
        else:
            is_given = (role == "packs itself" and not self._enters) or (role == "shared" and self._share)
        return (self._position(obj, self.given),) if is_given else None

    def _position(self, obj, table):
        if id(obj) not in self._positions:
            self._positions[id(obj)] = len(table)
            table.append(obj)
        return self._positions[id(obj)]

    def reducer_override(self, obj):
        kind = type(obj)
        if self._roles[kind] == "keras":
            return _shell, (kind,), _state(obj, ()), None, None, _set_state
        if isinstance(obj, types.FunctionType):
            return _of_function(obj) if self._share else super().reducer_override(obj)
        if isinstance(obj, tf.Variable):
            names = ("trainable", "dtype", "shape", "synchronization", "aggregation")
            arguments = {"name": obj.name.partition(":")[0], **{name: getattr(obj, name) for name in names}}
            return functools.partial(tf.Variable, **arguments), (_Handed(np.array(obj.numpy())),)
        if isinstance(obj, _CONTAINERS) and not issubclass(kind, _CONTAINERS):
            return kind, (obj.__wrapped__,)  # TensorFlow's, around a dict or tuple of an attribute
        if isinstance(obj, list | set | dict) and _is_of_keras(kind):
            plain = sorted(obj, key=repr) if isinstance(obj, set) else obj.copy()
            return kind, (plain,), vars(obj)
        if isinstance(obj, tf.types.experimental.PolymorphicFunction):
            return private.untraced(obj).__reduce_ex__(4)  # as before its first call
        if isinstance(obj, tf.lookup.StaticHashTable | tf.lookup.experimental.MutableHashTable):
            return _of_table(obj)
        if isinstance(obj, tf.Tensor) and not hasattr(obj, "numpy"):
            return types.NoneType, ()  # of a trace that has ended
        if kind in (_thread.LockType, _thread.RLock):
            return _thread.RLock if kind is _thread.RLock else _thread.allocate_lock, ()
        if isinstance(obj, tf.distribute.Strategy) and not tf.distribute.has_strategy():
            return tf.distribute.get_strategy, ()
        if isinstance(self.part, keras.callbacks.Callback) and is_handle(obj):
            return types.NoneType, ()  # opened again when the training begins
        return super().reducer_override(obj)


def _role(kind):
    """Return how objects of a type are written."""
    # "atom" and "part": in the tables of atoms and of parts. "handed": in the table of what is given to the
    # copy. "packs itself", "reference" and "shared": there too, in the cases that `persistent_id` tells.
    # "keras": where it is, with what `_state` returns. "itself": where it is, as `reducer_override` tells.
    if issubclass(kind, str | np.dtype):
        return "atom" if kind is str or issubclass(kind, np.dtype) else "itself"
    if issubclass(kind, _in_table()) and _has_standard_reduce(kind):
        return "part"
    if issubclass(kind, _BY_REFERENCE):
        return "reference"
    if kind is _Handed:
        return "handed"
    if packs_itself(kind):
        return "packs itself"
    if _is_of_keras(kind) and not issubclass(kind, _CONTAINERS) and _has_standard_reduce(kind):
        return "keras"
    return "shared" if issubclass(kind, types.CodeType | tf.distribute.Strategy) else "itself"


def _state(part, parts):
    """Return the attributes of an object of Keras's, an optimizer of models among some parts for one."""
    state = part.__getstate__()
    if not isinstance(state, dict):
        return state
    if _TRACKER <= state.keys():
        config = {n: (None if n in _TRACKED else test, store) for n, (test, store) in state["config"].items()}
        return {**state, "stored_ids": None, "config": config}
    if isinstance(part, keras.Layer):
        # Keras wraps these methods in __new__, anew for each object.
        made = ("build", "quantize")
        state = {n: v for n, v in state.items() if n not in made or not hasattr(v, "__wrapped__")}
        state.update({name: empty() for name, empty in _TRANSIENT.items() if name in state})
        # TensorFlow has lists of the same attributes besides.
        for name in [name for name in state if name.startswith("_self_unconditional_")]:
            if isinstance(state[name], dict):
                state[name] = {n: reference for n, reference in state[name].items() if n not in _TRANSIENT}
            else:
                state[name] = [reference for reference in state[name] if reference.name not in _TRANSIENT]
        if "_nodes" in state and isinstance(part, keras.Function):
            calls = [(each, i) for each in part.operations for i in range(len(private.inputs_of(each)))]
            keys = {private.call_key(*call): call for call in calls}
            state["_nodes"] = _keyed(state["_nodes"] & keys.keys(), keys)
    elif isinstance(part, keras.Optimizer):
        variables = getattr(part, private.TRAINED_VARIABLES)
        if not part.built and private.undecayed(part) is not None:
            # It may have been told which variables of a model not to decay.
            variables = [v for model in parts if isinstance(model, keras.Model) for v in model.variables]
            check_undecayed(part, variables)
        keys = {private.variable_key(part, variable): (variable, None) for variable in variables}
        state = {name: _keyed(value, keys) for name, value in state.items()}
    # A copy has them in another order: some are made with the object, before its state is set.
    return dict(sorted(state.items()))


class _Keyed(NamedTuple):
    """A dict or set with keys that Keras makes of objects: of variables, or of operations and their calls."""

    objects: list  # variables with None, or operations with the numbers of their calls
    values: list | None  # None of a set


def _keyed(value, objects):
    """Replace the keys of a dict or set by the objects that they stand for; return all else as it is."""
    if not isinstance(value, dict | set) or not value or not set(value) <= objects.keys():
        return value
    if isinstance(value, dict):
        return _Keyed([objects[key] for key in value], list(value.values()))
    # In the order of the objects, since equal sets differ in theirs.
    return _Keyed([objects[key] for key in objects if key in value], None)


def check_undecayed(optimizer, variables):
    """Raise TypeError if an optimizer leaves out of weight decay what is not among some variables."""
    keys, _ = private.undecayed(optimizer) or ((), None)
    if not set(keys) <= {private.variable_key(optimizer, variable) for variable in variables}:
        raise TypeError(
            f"The optimizer {optimizer.name!r} excludes variables from weight decay that a copy or a file of "
            "it does not have, since they belong to another model. Name them instead: "
            "exclude_from_weight_decay(var_names=[...])."
        )


# Reading.


class _Unpickler(pickle.Unpickler):
    def __init__(self, flat):
        super().__init__(io.BytesIO(flat.states))
        self.parts, self._flat = {}, flat

    def persistent_load(self, pid):
        if isinstance(pid, int):
            return self._flat.atoms[pid]
        position, *kind = pid
        if not kind:
            return self._flat.given[position]
        if position not in self.parts:
            self.parts[position] = _shell(*kind)
        return self.parts[position]


def _shell(kind, is_functional=False):
    """Make an object of Keras's without its state."""
    if is_functional and not issubclass(kind, keras.Function):
        # Keras gives the user's class another base when the first object is made of inputs and outputs.
        x = keras.Input((), name="x")
        keras.Model.__init__(keras.Layer.__new__(kind), x, x, name="x")
    if issubclass(kind, keras.Operation):
        return (keras.Layer if issubclass(kind, keras.Layer) else keras.Operation).__new__(kind)
    return object.__new__(kind)


def _set_state(part, state):
    if hasattr(type(part), "__setstate__"):
        part.__setstate__(state)
        return
    state, slots = state if isinstance(state, tuple) else (state or {}, {})
    if _TRACKER <= state.keys():
        config = state["config"]
        state["stored_ids"] = {name: set(map(id, store)) for name, (_, store) in config.items()}
        state["config"] = {n: (_TRACKED.get(n, test), store) for n, (test, store) in config.items()}
    for name, value in state.items():
        if isinstance(value, _Keyed):
            keys = [
                private.variable_key(part, each) if call is None else private.call_key(each, call)
                for each, call in value.objects
            ]
            value = set(keys) if value.values is None else dict(zip(keys, value.values, strict=True))
        vars(part)[name] = value
    for name, value in slots.items():
        object.__setattr__(part, name, value)


# Functions and tables: what they are made of, and how they are made of it.


def _of_function(function):
    """Reduce a function for a copy with the same code and globals."""
    names = ("__defaults__", "__kwdefaults__", "__qualname__", "__module__", "__doc__", "__annotations__")
    attributes = {name: getattr(function, name) for name in names}
    cells = function.__closure__ or ()
    filled = [gc.get_referents(cell) for cell in cells]  # none in a cell that is empty
    empty = tuple(types.CellType() for _ in cells)
    args = function.__code__, _Handed(function.__globals__), function.__name__, None, empty
    return types.FunctionType, args, (attributes, vars(function), filled), None, None, _set_function


def _set_function(function, state):
    attributes, own, filled = state
    for name, value in attributes.items():
        setattr(function, name, value)
    vars(function).update(own)
    for cell, contents in zip(function.__closure__ or (), filled, strict=True):
        if contents:
            (cell.cell_contents,) = contents


def _of_table(table):
    is_static = isinstance(table, tf.lookup.StaticHashTable)
    if is_static and not int(table.size()):  # that of a layer that has not learnt from data is not filled yet
        return _table, (is_static, [], [], table.key_dtype, table.value_dtype, None)
    keys, values = (part.numpy() for part in table.export())
    order = np.argsort(keys)  # a copy of the table may have another one
    absent = b"".join(keys) + b"+" if table.key_dtype == tf.string else max(keys, default=0) + 1
    default = np.array(table.lookup(tf.constant(absent, table.key_dtype)))
    return _table, (is_static, keys[order], values[order], table.key_dtype, table.value_dtype, default)


def _table(is_static, keys, values, key_dtype, value_dtype, default):
    if not is_static:
        table = tf.lookup.experimental.MutableHashTable(key_dtype, value_dtype, default)
        table.insert(keys, values)
        return table
    initializer = tf.lookup.KeyValueTensorInitializer(keys, values, key_dtype, value_dtype)
    if default is None:
        initializer.initialize = lambda table: None
        default = "" if value_dtype == tf.string else 0
    return tf.lookup.StaticHashTable(initializer, default)
