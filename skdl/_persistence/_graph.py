"""Objects that hold parts of Keras, taken apart into a flat table and put together again.

A Keras model is a graph of layers, calls, variables, losses and metrics that refer to each
other. Keras copies and pickles it by configuration: it writes down the arguments of every
layer and calls every constructor again, which needs a ``get_config`` in every class, knows
functions by name alone and leaves out the state of seed generators. Here the objects are
copied as they are, as ``copy.deepcopy`` does it for other objects: their attributes, in which
every reference to another part is replaced by its position in a table. The table keeps the
depth of recursion small, however long the chain of layers is.
"""

import _csv
import _thread
import functools
import io
import pickle
import sys
import types
from typing import NamedTuple

import cloudpickle
import numpy as np

from skdl._backend import keras, keras_is_imported, private, tf

_BY_REFERENCE = types.FunctionType | types.BuiltinFunctionType | type | types.ModuleType
# Compiled functions and tensors of the last call, which the next one makes anew.
_TRANSIENT = {
    "_eval_epoch_iterator": lambda: None,
    "train_function": lambda: None,
    "test_function": lambda: None,
    "predict_function": lambda: None,
    "_losses": list,
    "_losses_override": list,
    "_loss_ids": set,
}
# What Keras's trackers ask, by the name of the list that it fills.
_TRACKED = {
    "variables": lambda x: isinstance(x, keras.Variable),
    "trainable_variables": lambda x: isinstance(x, keras.Variable) and x.trainable,
    "non_trainable_variables": lambda x: isinstance(x, keras.Variable) and not x.trainable,
    "metrics": lambda x: isinstance(x, keras.metrics.Metric),
    "layers": lambda x: isinstance(x, keras.Layer) and not isinstance(x, keras.metrics.Metric),
    "seed_generators": lambda x: isinstance(x, keras.random.SeedGenerator),
}


@functools.cache
def _parts():
    """Return the classes of what is put into the table. All else is pickled where it is met."""
    return (
        private.saveable_class(),
        private.node_class(),
        keras.KerasTensor,
        keras.Variable,
        keras.random.SeedGenerator,
        keras.callbacks.Callback,
        tf.Variable,
    )


class PacksItself:
    """Base of the objects that copy and pickle the parts of Keras in them by themselves.

    A part may refer to such an object, as a callback does to its estimator: it is handed on.
    """


class Flat(NamedTuple):
    """An object taken apart by `flatten`.

    Attributes
    ----------
    kinds : bytes
        Pickle of a list with each part's class, or a dict of arguments for ``tf.Variable``.
    values : list of ndarray
        The values of the variables, in the order of the parts.
    given : list
        What is not copied but handed on, such as functions, classes and estimators.
    atoms : list of str and numpy.dtype
        Each once, by its value. Which of them are one object differs between an object and its
        copy, and equal objects must have equal pickles.
    states : bytes
        Pickles of the object and of each part's state, one after the other.
    """

    kinds: bytes
    values: list
    given: list
    atoms: list
    states: bytes


def flatten(thing, *, share):
    """Take an object apart.

    Parameters
    ----------
    thing : object
        A Keras model or anything that holds parts of Keras.
    share : bool
        Hand on functions and classes as they are, for a copy in this process; only functions
        that hold parts of Keras, in a closure say, are copied. Else functions and classes that
        a module can be asked for are handed on, if they are of ``__main__``, or pickled by
        reference; others (lambdas, local functions) are pickled by value.

    Returns
    -------
    Flat

    Raises
    ------
    TypeError
        If a part holds what can't be copied. The message names the part and its attribute.
    """
    return _Flattener(share).flatten(thing)


def unflatten(flat):
    """Put together what `flatten` took apart.

    Parameters
    ----------
    flat : Flat

    Returns
    -------
    object
        A copy that shares nothing with the original but ``flat.given``.
    """
    kinds = _Unflattener(flat.kinds, (), flat).load()
    values = iter(flat.values)
    with tf.init_scope():
        parts = [_shell(kind, values) for kind in kinds]
    states = _Unflattener(flat.states, parts, flat)
    thing = states.load()
    pairs = [(part, states.load()) for part in parts if not isinstance(part, tf.Variable)]
    # Optimizers last, since they ask variables for their keys.
    for part, state in sorted(pairs, key=lambda pair: isinstance(pair[0], keras.optimizers.Optimizer)):
        _set_state(part, state)
    return thing


def flatten_parts(thing):
    """Return the parts of Keras in an object, and the functions and classes that they use.

    Parameters
    ----------
    thing : object

    Returns
    -------
    parts, given : list of object
    """
    flattener = _Collector(share=True)
    flattener.flatten(thing)
    return flattener.parts, flattener.given


def is_handle(value):
    """Tell whether an object is an open file or writer, as callbacks hold them."""
    return isinstance(value, io.IOBase | _csv.Writer | tf.summary.SummaryWriter)


def holds_keras(value):
    """Tell whether an object is or holds a part of Keras that has state.

    Looks at the types of what it refers to, and at no data.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return keras_is_imported() and _reaches_parts(value, _references, set())


# Taking apart.


class _Flattener(cloudpickle.Pickler):
    """Writes objects, in which parts are replaced by their positions in a table."""

    _enters = False  # into objects that pack themselves

    def __init__(self, share):
        self.stream = io.BytesIO()
        super().__init__(self.stream)
        self._share = share
        # The objects themselves, which also keeps their ids unique.
        self.parts, self.given, self.positions = [], [], {}
        self.atoms = {}  # with their positions
        self._roles = {}  # by type
        self._globals = set()  # ids of the dicts of globals of functions
        self._of_callback = False

    def flatten(self, thing):
        self._dump(thing, thing)
        kinds, values = [], []
        for part in self.parts:  # which grows meanwhile
            if isinstance(part, tf.Variable):
                kinds.append(_arguments(part))
                values.append(np.array(part.numpy()))
            else:
                self._of_callback = isinstance(part, keras.callbacks.Callback)
                self._dump(_state(part, self.parts), part)
                kinds.append(_kind(part))
        # Read before the states, hence in a stream of their own.
        of_kinds = _Flattener(self._share)
        of_kinds.given, of_kinds.positions, of_kinds.atoms = self.given, self.positions, self.atoms
        of_kinds.dump(kinds)
        return Flat(of_kinds.stream.getvalue(), values, self.given, list(self.atoms), self.stream.getvalue())

    def _dump(self, state, part):
        try:
            self.dump(state)
        except Exception as error:
            self._refuse(state, part, error)

    def _refuse(self, state, part, error):
        """Raise an error that names the attribute which can't be written."""
        for name, value in state.items() if isinstance(state, dict) else ():
            try:
                _Flattener(self._share).dump(value)
            except Exception as reason:
                raise TypeError(
                    f"{_described(part)} can't be copied or pickled: its attribute {name!r} holds "
                    f"{value!r} ({reason}). Make it where it is used, or define __getstate__ and "
                    f"__setstate__ in {type(part).__name__} to leave it out and make it anew."
                ) from error
        raise TypeError(f"{_described(part)} can't be copied or pickled: {error}") from error

    def persistent_id(self, obj):
        kind = type(obj)
        if kind is str:
            return self.atoms.setdefault(obj, len(self.atoms))
        if kind not in self._roles:
            self._roles[kind] = _role(kind)
        role = self._roles[kind]
        if role == "atom":
            return self.atoms.setdefault(obj, len(self.atoms))
        if role == "part":
            return True, self._position(obj, self.parts)
        if (
            (role == "given" and not self._enters)
            or (role == "reference" and self._is_given(obj))
            or (role == "shared" and self._share)
            or (kind is dict and id(obj) in self._globals)
        ):
            return False, self._position(obj, self.given)
        return None

    def _position(self, obj, table):
        if id(obj) not in self.positions:
            self.positions[id(obj)] = len(table)
            table.append(obj)
        return self.positions[id(obj)]

    def _is_given(self, obj):
        if self._share:
            return not (isinstance(obj, types.FunctionType) and _reaches_parts(obj, _captured, set()))
        return getattr(obj, "__module__", None) == "__main__" and is_importable(obj)

    def reducer_override(self, obj):
        kind = type(obj)
        if kind is private.tracker_class():
            return _tracker, _of_tracker(obj)
        if kind is private.dynamic_backend_class():
            return kind, (private.backend_name(obj),)
        if private.is_tracked_collection(kind):
            plain = dict(obj) if isinstance(obj, dict) else _in_order(obj)
            return _tracked, (kind, plain, obj.tracker)
        if isinstance(obj, dict) and not issubclass(kind, dict):
            return kind, (obj.__wrapped__,)  # TensorFlow's, around a dict of an attribute
        if self._share and isinstance(obj, types.FunctionType):
            self._globals.add(id(obj.__globals__))
            return _of_function(obj)
        if kind is private.traced_class():
            return private.untraced(obj).__reduce_ex__(4)  # as before its first call
        if isinstance(obj, tf.lookup.StaticHashTable):
            return _static_table, _of_table(obj)
        if isinstance(obj, tf.lookup.experimental.MutableHashTable):
            return _mutable_table, _of_table(obj)
        if isinstance(obj, tf.Tensor) and not hasattr(obj, "numpy"):
            return types.NoneType, ()  # of a trace that has ended
        if kind is _thread.LockType:
            return _thread.allocate_lock, ()
        if kind is _thread.RLock:
            return _thread.RLock, ()
        if isinstance(obj, tf.distribute.Strategy) and not tf.distribute.has_strategy():
            return tf.distribute.get_strategy, ()
        if self._of_callback and is_handle(obj):
            return types.NoneType, ()  # opened again when the training begins
        return super().reducer_override(obj)


class _Collector(_Flattener):
    _enters = True


def _role(kind):
    """Tell how objects of a type are written."""
    if issubclass(kind, _parts()) and _is_written_here(kind):
        return "part"
    if issubclass(kind, _BY_REFERENCE):
        return "reference"
    if issubclass(kind, np.dtype):
        return "atom"
    if issubclass(kind, PacksItself):
        return "given"
    return "shared" if issubclass(kind, types.CodeType | tf.distribute.Strategy) else "itself"


def _is_written_here(kind):
    """Tell whether a part's class leaves it to Keras or to Python how it is pickled.

    What counts is the class that has the method: scikeras 0.13.0 puts its own into Keras's
    classes, for the whole process, where a user imports it.
    """
    if issubclass(kind, tf.Variable):
        return True
    owners = (
        next(cls for cls in kind.__mro__ if name in vars(cls)) for name in ("__reduce__", "__reduce_ex__")
    )
    return all(owner is object or owner.__module__.partition(".")[0] == "keras" for owner in owners)


def _arguments(variable):
    return {
        "trainable": variable.trainable,
        "name": variable.name.partition(":")[0],
        "dtype": variable.dtype,
        "shape": variable.shape,
        "synchronization": variable.synchronization,
        "aggregation": variable.aggregation,
    }


def _state(part, parts):
    """Return the attributes of a part that make up its state; models among the others know variables."""
    state = part.__getstate__()
    if not isinstance(state, dict):
        return state
    if isinstance(part, keras.Layer):
        # Keras wraps these methods in __new__, anew for each object.
        state = {name: value for name, value in state.items() if not _is_wrapper(name, value)}
        state.update({name: empty() for name, empty in _TRANSIENT.items() if name in state})
        # TensorFlow has lists of the same attributes besides.
        for name, kept in (
            (
                "_self_unconditional_checkpoint_dependencies",
                lambda refs: [r for r in refs if r.name not in _TRANSIENT],
            ),
            (
                "_self_unconditional_dependency_names",
                lambda refs: {n: r for n, r in refs.items() if n not in _TRANSIENT},
            ),
        ):
            if name in state:
                state[name] = kept(state[name])
        if isinstance(part, private.function_class()) and "_nodes" in state:
            state["_nodes"] = _ByOperation(private.calls_of(part))
    elif isinstance(part, keras.optimizers.Optimizer):
        variables = _variables(part, parts)
        state = {name: _by_variable(value, variables) for name, value in state.items()}
    # A copy has them in another order: some are made with the object, before its state is set.
    return dict(sorted(state.items()))


def _in_order(items):
    """Return a list of items, those of a set in the order of their values where they have one."""
    try:
        return sorted(items) if isinstance(items, set) else list(items)
    except TypeError:
        return list(items)


def _is_wrapper(name, value):
    return name in ("build", "quantize") and hasattr(value, "__wrapped__")


class _ByVariable(NamedTuple):
    """A dict of an optimizer whose keys are the ids of variables."""

    items: list


class _Variables(NamedTuple):
    """A set of an optimizer that holds the ids of variables."""

    variables: list


def _variables(optimizer, parts):
    """Return the variables that an optimizer refers to, by the key that it has for each."""
    variables = private.variable_keys(optimizer)
    if optimizer.built or private.undecayed(optimizer) is None:
        return variables
    # It may have been told which variables of a model not to decay.
    models = [part for part in parts if isinstance(part, keras.Model)]
    variables.update({private.variable_key(optimizer, v): v for model in models for v in model.variables})
    check_undecayed(optimizer, variables)
    return variables


def check_undecayed(optimizer, variables):
    """Refuse an optimizer that excludes from weight decay what is not among some variables.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
    variables : dict
        By the key that the optimizer has for each.

    Raises
    ------
    TypeError
    """
    keys, _ = private.undecayed(optimizer) or ((), None)
    if not set(keys) <= variables.keys():
        raise TypeError(
            f"{_described(optimizer)} excludes variables from weight decay that a copy or a file of it does "
            "not have, since they belong to another model. Name them instead: "
            "exclude_from_weight_decay(var_names=[...])."
        )


def _by_variable(value, variables):
    if not isinstance(value, dict | set) or not value or not set(value) <= variables.keys():
        return value
    if isinstance(value, set):
        return _Variables([variable for key, variable in variables.items() if key in value])
    return _ByVariable([(variables[key], item) for key, item in value.items()])


class _ByOperation(NamedTuple):
    """The calls that belong to a functional model, which Keras writes with the ids of operations."""

    calls: list


def _described(part):
    name = getattr(part, "name", None)
    kind = "layer" if isinstance(part, keras.Layer) and not isinstance(part, keras.Model) else "object"
    kind = "model" if isinstance(part, keras.Model) else kind
    named = f" {name!r}" if isinstance(name, str) else ""
    return f"The {kind}{named} of class {type(part).__name__}"


def is_importable(obj):
    """Tell whether a function or class is found in its module by its name."""
    found = sys.modules.get(obj.__module__)
    for name in getattr(obj, "__qualname__", "<locals>").split("."):
        found = getattr(found, name, None)
    return found is obj


def _reaches_parts(value, references, seen):
    """Tell whether a value is a part of Keras, or refers to one, directly or through others."""
    kind = type(value)
    if issubclass(kind, _parts()):
        return _is_written_here(kind)
    if issubclass(kind, PacksItself) or id(value) in seen:
        return False
    seen.add(id(value))
    return any(_reaches_parts(each, references, seen) for each in references(value))


def _captured(value):
    """Return what a function or a container refers to."""
    if isinstance(value, types.FunctionType):
        filled = [cell.cell_contents for cell in value.__closure__ or () if not _is_empty(cell)]
        return [value.__defaults__, value.__kwdefaults__, vars(value), *filled]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set | frozenset) else ()


def _references(value):
    """Return what an object refers to: as `_captured`, and by its attributes."""
    if isinstance(value, type | types.ModuleType | str | bytes | int | float):
        return ()
    if isinstance(value, np.ndarray):
        return value.ravel() if value.dtype == object else ()
    slots = {name for cls in type(value).__mro__ for name in _names_of(vars(cls).get("__slots__", ()))}
    attributes = getattr(value, "__dict__", {}).values()
    return [*_captured(value), *attributes, *(getattr(value, name, None) for name in slots)]


def _names_of(slots):
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_empty(cell):
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _of_function(function):
    """Reduce a function to what it is made of, for a copy with the same code and globals."""
    state = {
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
        "__dict__": vars(function),
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__annotations__": function.__annotations__,
    }
    cells = function.__closure__ or ()
    filled = {i: cell.cell_contents for i, cell in enumerate(cells) if not _is_empty(cell)}
    args = function.__code__, function.__globals__, function.__name__, len(cells)
    return _function, args, (state, filled), None, None, _set_function


def _of_tracker(tracker):
    lists = {name: store for name, (_, store) in tracker.config.items()}
    asked = {name: test for name, (test, _) in tracker.config.items() if name not in _TRACKED}
    return lists, asked, tracker.locked, private.lock_message(tracker), tracker.exclusions


def _of_table(table):
    keys, entries = (part.numpy() for part in table.export())
    order = np.argsort(keys)  # a copy of the table may have another one
    default, name = private.table_settings(table)
    return keys[order], entries[order], table.key_dtype, table.value_dtype, np.array(default), name


# Putting together.


class _Unflattener(pickle.Unpickler):
    def __init__(self, stream, parts, flat):
        super().__init__(io.BytesIO(stream))
        self._parts, self._flat = parts, flat

    def persistent_load(self, pid):
        if isinstance(pid, int):
            return self._flat.atoms[pid]
        is_part, position = pid
        return (self._parts if is_part else self._flat.given)[position]


def _kind(part):
    kind = type(part)
    # Keras makes a subclass of Model one of Functional when the first is made of inputs and outputs.
    return (kind, "functional") if isinstance(part, private.functional_class()) else kind


def _shell(kind, values):
    """Make a part without its state."""
    if isinstance(kind, dict):
        return tf.Variable(next(values), **kind)
    if isinstance(kind, tuple):
        kind, _ = kind
        private.make_functional(kind)
    if issubclass(kind, keras.Layer):
        return keras.Layer.__new__(kind)
    if issubclass(kind, keras.Operation):
        return keras.Operation.__new__(kind)
    return object.__new__(kind)


def _set_state(part, state):
    if hasattr(type(part), "__setstate__"):
        part.__setstate__(state)
        return
    slots = {}
    if isinstance(state, tuple):
        state, slots = state
    for name, value in (state or {}).items():
        if isinstance(value, _ByVariable):
            value = {private.variable_key(part, variable): item for variable, item in value.items}
        elif isinstance(value, _Variables):
            value = {private.variable_key(part, variable) for variable in value.variables}
        elif isinstance(value, _ByOperation):
            value = {private.node_key(*call) for call in value.calls}
        vars(part)[name] = value
    for name, value in slots.items():
        object.__setattr__(part, name, value)


def _tracker(lists, asked, locked, message, exclusions):
    config = {name: (asked.get(name) or _TRACKED[name], store) for name, store in lists.items()}
    return private.make_tracker(config, exclusions, locked=locked, message=message)


def _tracked(kind, items, tracker):
    tracked = kind()
    if isinstance(tracked, list):
        list.extend(tracked, items)
    else:
        tracked.update(items)
    tracked.tracker = tracker
    return tracked


def _function(code, function_globals, name, n_cells):
    closure = tuple(types.CellType() for _ in range(n_cells))
    return types.FunctionType(code, function_globals, name, None, closure or None)


def _set_function(function, state):
    attributes, filled = state
    vars(function).update(attributes.pop("__dict__"))
    for name, value in attributes.items():
        setattr(function, name, value)
    for i, value in filled.items():
        function.__closure__[i].cell_contents = value


def _static_table(keys, values, key_dtype, value_dtype, default, name):
    initializer = tf.lookup.KeyValueTensorInitializer(keys, values, key_dtype, value_dtype)
    return tf.lookup.StaticHashTable(initializer, default, name=name)


def _mutable_table(keys, values, key_dtype, value_dtype, default, name):
    table = tf.lookup.experimental.MutableHashTable(key_dtype, value_dtype, default, name=name)
    table.insert(keys, values)
    return table
