"""The private names of Keras and TensorFlow that skdl uses, and what each is for.

Written for Keras 3.15 and TensorFlow 2.21. Nothing is looked up before it is needed. Where a name is
missing, the functions for training raise `Unavailable`, and ``keras.Model.fit`` trains. No other module may
use a private name of these libraries: the linter and a test say so.
"""

import contextlib
import functools
import importlib
import random
import sys
import threading
import weakref

from skdl._backend._start import import_keras, keras, tf

# Attributes for `getattr` with a default, and for `setattr`: nothing fails where they have other names.
DIRECTION = "_direction"  # of a metric: "up" where more is better, "down" where less is
FUNCTION_ARGUMENTS = "_fn_kwargs"  # of a loss, for its function; changes of this dict take effect
RESTORED_EPOCH = "_initial_epoch"  # of a model: where ``BackupAndRestore`` wants a training to go on, or None
TRAINED_VARIABLES = "_trainable_variables"  # of an optimizer: those that it was built for
WATCHED_MODEL = "_model"  # of a callback, which may extend `set_model` by code that expects a model


class Unavailable(Exception):
    """A private name of Keras or TensorFlow is missing."""


def _found(owner, path):
    """Return what a dotted name stands for in a module, which may be given by name, or in an object."""
    try:
        module = importlib.import_module(owner) if isinstance(owner, str) else owner
        return functools.reduce(getattr, path.split("."), module)
    except (AttributeError, ImportError) as error:
        raise Unavailable(f"there is no {path} in {owner}") from error


# The process.


def tensorflow_has_started():
    """Whether TensorFlow has made its threads, which do not survive a fork."""
    return _found("tensorflow.python.eager.context", "context")()._context_handle is not None


# Functions that are traced and run.


def runtime_function(concrete):
    """Return what runs of a traced function: it takes arguments, keywords and captured tensors.

    It is given any model's variables as captured tensors. Its Python graph, which refers to the variables
    of the model that was traced, is left to the garbage collector.
    """
    function = _found(concrete, "inference_fn")
    _without_graph(function)
    return _found(function, "call_with_captures")


def _without_graph(function):
    for called in _found(function, "children"):
        _without_graph(called)
    function._cached_graph = None


@functools.cache
def is_stateful(operation):
    """Whether an operation has a state, by TensorFlow's own definition of it."""
    definition = _found("tensorflow.python.framework.op_def_registry", "get")(operation)
    return definition is None or definition.is_stateful


def short_call_stacks():
    """Return a context that leaves libraries' files out of the call stacks that TensorFlow keeps.

    TensorFlow 2.21 never frees some fifty frames for each operation of a step, 3 MB in all. What remains is
    the user's own code, to which an error refers, and skdl's: XLA crashes where nothing does.
    """

    class UserCode(_found("tensorflow.python.util.tf_stack", "StackTraceFilter")):
        def get_filtered_filenames(self):
            return _library_files()

    return UserCode()


_LIBRARIES = {"imblearn", "joblib", "keras", "numpy", "sklearn", "tensorflow", *sys.stdlib_module_names}
_LIBRARIES -= {"__main__"}


@functools.cache
def _library_files():
    modules = [m for name, m in list(sys.modules.items()) if name.partition(".")[0] in _LIBRARIES]
    # Not by getattr, at which some modules load others.
    files = (getattr(module, "__dict__", {}).get("__file__") for module in modules)
    return frozenset(file for file in files if isinstance(file, str))


def made_by_one_kernel(next_creator, **kwargs):
    """Make a variable by the kernel of all others, for ``tf.variable_creator_scope``; it keeps its name.

    TensorFlow 2.21 has a kernel for each name of a variable, some 30 KB that are never freed, and Keras
    numbers its layers.
    """
    if not tf.executing_eagerly() or tf.distribute.has_strategy():
        return next_creator(**kwargs)
    with tf.name_scope(kwargs.get("name") or "Variable") as name:
        pass
    # With a slash, TensorFlow takes the name as it is.
    variable = next_creator(**{**kwargs, "name": "variable/"})
    variable._handle_name = f"{name.removesuffix('/')}:0"
    return variable


# Models and callbacks.


def build_all(model, batch):
    """Build a model, its loss, metrics and optimizer as ``fit`` does, by calling them on symbolic data."""
    _found(model, "_symbolic_build")(data_batch=batch)


def given_metrics(model):
    """Return the metrics as they were given to ``compile``."""
    metrics = _found(model, "_compile_metrics")
    names = ("_user_metrics", "_user_weighted_metrics")
    return [] if metrics is None else [_found(metrics, name) for name in names]


def set_given_metrics(model, metrics, weighted_metrics):
    """Exchange the metrics that were given to ``compile``; they are built anew by the next training."""
    # Not by attributes, which Keras would keep a second time.
    vars(_found(model, "_compile_metrics")).update(
        _user_metrics=metrics, _user_weighted_metrics=weighted_metrics, built=False
    )
    model.train_function = model.test_function = None


def functional_classes():
    """Return the classes of models that add no behaviour to their layers."""
    return keras.Sequential, _found("keras.src.models.functional", "Functional"), keras.Model


def inputs_of(layer):
    """Return the tensors of a functional model that a layer was called with, for each of its calls."""
    return [node.input_tensors for node in _found(layer, "_inbound_nodes")]


def profiles_no_batches(callback):
    """Whether a TensorBoard callback writes at the end of epochs alone."""
    quiet = callback.update_freq == "epoch" and not callback.write_steps_per_second
    return quiet and _found(callback, "_start_batch") == _found(callback, "_stop_batch") == 0


# Random numbers.


class _Drawing(threading.local):
    """What Keras and TensorFlow draw from in a thread; ``of_keras`` is None where they draw as ever."""

    of_graph, of_keras, of_operations = None, None, None

    def seed(self, seed):
        self.of_graph = seed % 2**31
        self.of_keras, self.of_operations = random.Random(seed), random.Random(seed)


class _PythonRandom:
    """Stands for the module ``random`` where Keras draws the seeds of layers and initialisers."""

    def __getattr__(self, name):
        return getattr(_drawing.of_keras or random, name)


_drawing, _replacing = _Drawing(), threading.Lock()
_n_seeded, _originals = 0, []


@contextlib.contextmanager
def keras_seeded(seed):
    """Let Keras and TensorFlow draw from a seed in this thread; yield the function that seeds them.

    Keras draws the seeds of layers and initialisers from Python's ``random``, and keeps a generator for
    each thread. TensorFlow's operations take a seed each, when they are made. An operation that runs at once
    is put into a function of its own: its kernel would otherwise be kept, and go on where an earlier one
    with the same seeds stopped. Graphs that are traced meanwhile are freed when nothing uses them, see
    `_register_gradient`.
    """
    import_keras()  # quietly, before any module of TensorFlow's
    state = "keras.src.backend.common.global_state"
    names = (
        _found("keras.src.random.seed_generator", "GLOBAL_SEED_GENERATOR"),
        _found("keras.src.utils.rng_utils", "GLOBAL_RANDOM_SEED"),
    )
    get, put = _found(state, "get_global_attribute"), _found(state, "set_global_attribute")
    with _names_replaced():
        drawn_from, of_keras = dict(vars(_drawing)), {name: get(name) for name in names}
        _drawing.seed(seed)
        put(names[0], None)
        try:
            yield _drawing.seed
        finally:
            vars(_drawing).clear()
            vars(_drawing).update(drawn_from)
            for name, value in of_keras.items():
                put(name, value)


@contextlib.contextmanager
def _names_replaced():
    """Replace functions of Keras and TensorFlow as long as any thread is in here."""
    global _n_seeded
    with _replacing:
        if not _n_seeded:
            _originals[:] = [(module, name, _found(module, name)) for module, name, _ in _REPLACED]
            for (module, name, original), (*_, new) in zip(_originals, _REPLACED, strict=True):
                new = functools.partial(new, original) if callable(new) else new
                setattr(sys.modules[module], name, new)
        _n_seeded += 1
    try:
        yield
    finally:
        with _replacing:
            _n_seeded -= 1
            if not _n_seeded:
                for module, name, original in _originals:
                    setattr(sys.modules[module], name, original)


def _get_seed(original, op_seed):
    if _drawing.of_keras is None:
        return original(op_seed)
    # Never (0, 0), which asks for a random seed.
    largest = 2**31 - 1
    drawn = _drawing.of_operations.randint(1, largest) if op_seed is None else op_seed % 2**31 or largest
    return _drawing.of_graph, drawn


def _at_once(operation, *args, **kwargs):
    if _drawing.of_keras is None or not tf.executing_eagerly():
        return operation(*args, **kwargs)
    return tf.function(lambda: operation(*args, **kwargs), autograph=False)()


def _register_gradient(original, operation):
    """Register a gradient that lives as long as the graph in which it is used.

    TensorFlow 2.21 has a registry of the gradients of single operations, as those of ``silu`` and of the
    sums of Keras's optimizers, and never removes one. Each refers to its graph, some 5 MB of a training.
    """
    if _drawing.of_keras is None or not operation.startswith("CustomGradient-"):
        return original(operation)

    def register(gradient):
        graph, held = tf.compat.v1.get_default_graph(), weakref.ref(gradient)
        graph._gradients_of_skdl = [*getattr(graph, "_gradients_of_skdl", []), gradient]
        original(operation)(lambda *args: held()(*args))
        return gradient

    return register


# Operations that run at once with a state of their own.
_WITH_SEEDS = (
    *("multinomial", "parameterized_truncated_normal", "random_gamma", "random_poisson_v2"),
    *("random_shuffle", "random_standard_normal", "random_uniform", "random_uniform_int", "truncated_normal"),
)
# What is replaced by what: functions by those that get the original as their first argument.
_REPLACED = (
    ("tensorflow.python.framework.random_seed", "get_seed", _get_seed),
    *(("tensorflow.python.ops.gen_random_ops", name, _at_once) for name in _WITH_SEEDS),
    ("keras.src.random.seed_generator", "python_random", _PythonRandom()),
    ("tensorflow.python.framework.ops", "RegisterGradient", _register_gradient),
)


# Copies, pickles and files.


def variable_key(optimizer, variable):
    """Return the key that an optimizer has for a variable."""
    return optimizer._var_key(variable)


def call_key(operation, number):
    """Return the key that a functional model has for a call of one of its operations."""
    return _found("keras.src.ops.function", "make_node_key")(operation, number)


def undecayed(optimizer):
    """Return what ``exclude_from_weight_decay`` was told, or None: the keys of variables, and a pattern."""
    if not hasattr(optimizer, "_exclude_from_weight_decay"):
        return None
    pattern = optimizer._exclude_from_weight_decay_pattern
    return set(optimizer._exclude_from_weight_decay), None if pattern is None else pattern.pattern


def untraced(function):
    """Return a ``tf.function`` as it was before its first call."""
    return function._clone(None)
