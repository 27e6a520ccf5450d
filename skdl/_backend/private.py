"""The private names of Keras and TensorFlow that skdl uses, and what each is for.

Written for Keras 3.15 and TensorFlow 2.21. Nothing is looked up before it is needed, and
`skdl._engine._probe` tries out what the compiled engine needs before its first training:
where a name is missing or means something else, ``keras.Model.fit`` trains instead. No
other module may use a private name of these libraries.
"""

import contextlib
import functools
import random
import sys
import threading
from typing import NamedTuple

from skdl._backend._start import keras, tf

# Models.


def flat_layers(model, *, include_self=True):
    """Return a model and all layers in it, also those that layers of the user's hold."""
    return list(model._flatten_layers(include_self=include_self))


def is_functional(model):
    """Whether a model is made of a graph of layers, so that its shapes are known."""
    return isinstance(model, keras.Sequential | keras.src.models.functional.Functional)


def functional_classes():
    """Return the classes of models that add no behaviour to their layers."""
    return keras.Sequential, keras.src.models.functional.Functional, keras.Model


class LayerGraph(NamedTuple):
    """How the layers of a functional model are connected.

    ``nodes`` are calls of layers, in an order in which they can be made; each has an
    ``operation``, ``arguments`` and ``outputs``.
    """

    inputs: list
    nodes: list
    input_structure: object
    output_structure: object


def layer_graph(model):
    """Return the `LayerGraph` of a functional model."""
    levels = sorted(model._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in levels for node in level]
    return LayerGraph(model._inputs, nodes, model._inputs_struct, model._outputs_struct)


def functional_inside(model):
    """Return the functional model that does the work of a built Sequential."""
    return model._functional


def sublayers(layer):
    """Return the layers that a layer holds itself."""
    return list(layer._layers)


def attached_metrics(model):
    """Return the metrics that a model holds besides those given to ``compile``."""
    return list(model._metrics)


def is_cast_automatically(variable):
    """Whether a layer of lower precision sees a variable in that precision."""
    return getattr(variable, "_autocast", True)


def nests_output(model):
    """Whether a functional model with one output returns it in a list or a dict."""
    return keras.tree.is_nested(getattr(model, "_outputs_struct", None))


def compiled_parts(model):
    """Return what ``compile`` made of the loss and the metrics; either may be None."""
    return model._compile_loss, model._compile_metrics


def given_metrics(model):
    """Return the metrics as they were given to ``compile``."""
    metrics = model._compile_metrics
    return [metrics._user_metrics, metrics._user_weighted_metrics] if metrics is not None else []


def loss_tracker(model):
    """Return the metric that averages the loss; ``compile`` makes a new one each time."""
    return model._loss_tracker


def is_distributed(model):
    """Whether a model was made under a strategy that distributes it."""
    return model._distribute_strategy is not None


def restored_epoch(model):
    """Return the epoch at which a callback wants a training to go on, or None."""
    return model._initial_epoch


def build_all(model, batch):
    """Build a model, its loss, metrics and optimizer, by calling them on symbolic data."""
    model._symbolic_build(data_batch=batch)


def learning_rate_of(optimizer):
    """Return an optimizer's learning rate as it is held: a variable or a schedule."""
    return getattr(optimizer, "_learning_rate", None)


def decayed(optimizer):
    """Return which of its variables an optimizer decays; variables are left out by name."""
    if optimizer.weight_decay is None:
        return ()
    variables = optimizer._trainable_variables
    return tuple(optimizer._use_weight_decay(v) for v in variables)


def training_variables(model):
    """Return the variables that training a model reads or writes, in a fixed order.

    Returns
    -------
    list of keras.Variable
    """
    optimizer = getattr(model, "optimizer", None)
    held = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    for metric in [*model.metrics, *model._get_own_metrics()]:
        held += metric.variables
    return list({id(v): v for v in held}.values())


def snake_case(name):
    """Return the stem of the names that Keras gives to objects of a class."""
    return keras.src.utils.naming.to_snake_case(name)


def known_metrics():
    """Return Keras's metrics by name."""
    return keras.src.metrics.ALL_OBJECTS_DICT


def mean_metric():
    """Return the class of Keras's metrics that are means of a function."""
    return keras.src.metrics.reduction_metrics.MeanMetricWrapper


# Callbacks.


def watched_model(callback):
    """Return the model that a callback belongs to, or None."""
    # A subclass that doesn't call its parent's __init__ has none yet.
    return getattr(callback, "_model", None)


def set_watched_model(callback, model):
    """Exchange the model that a callback belongs to; None lets it forget it.

    Not by ``set_model``, which a callback may extend and which expects a model.
    """
    callback._model = model


def profiles_no_batches(callback):
    """Whether a TensorBoard callback writes at the end of epochs alone."""
    quiet = callback.update_freq == "epoch" and not callback.write_steps_per_second
    return quiet and callback._start_batch == callback._stop_batch == 0


def compiled_metric_names(model):
    """Return the names of the metrics that a model is compiled with."""
    given = getattr(model._compile_metrics, "_user_metrics", None)
    metrics = [metric for metric in keras.tree.flatten(given) if metric is not None]
    return [m if isinstance(m, str) else getattr(m, "name", getattr(m, "__name__", "")) for m in metrics]


def set_monitor_op(callback):
    """Let an EarlyStopping callback find out whether more or less is better."""
    if callback.monitor_op is None:
        callback._set_monitor_op()


# Global configuration.


def op_determinism_enabled():
    """Whether ``tf.config.experimental.enable_op_determinism`` was called."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return is_op_determinism_enabled()


def watches_operations():
    """Whether something looks at each operation, as ``tf.debugging.enable_check_numerics`` does."""
    from tensorflow.python.eager import context

    return bool(context.context().op_callbacks)


def tensorflow_has_started():
    """Whether TensorFlow has made its threads."""
    from tensorflow.python.eager import context

    return context.context()._context_handle is not None


# Graphs.


@functools.cache
def is_stateful(operation):
    """Whether an operation has a state, by TensorFlow's own definition of it."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    return definition is None or definition.is_stateful


@contextlib.contextmanager
def without_graph_optimiser(skip=True):
    """Leave out TensorFlow's graph optimiser in this thread.

    It costs a quarter of a second for each program, which small networks never repay,
    and XLA has its own.
    """
    if not skip:
        yield
        return
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.eager import context as tf_context

    context = tf_context.context()
    before = context.function_call_options
    config = config_pb2.ConfigProto()
    config.CopyFrom(context.config)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    context.function_call_options = tf_context.FunctionCallOptions(config_proto=config)
    try:
        yield
    finally:
        context.function_call_options = before


def callable_part(concrete):
    """Return what runs of a concrete function: it takes arguments and captures."""
    return concrete.inference_fn


def call(function, arguments, captures):
    """Run the result of `callable_part`."""
    return function.call_with_captures(arguments, {}, captures)


def dismantle(function):
    """Take the Python graphs of a function and of those that it calls apart.

    TensorFlow's runtime has its own. Python's are full of cycles, some 3 MB for each
    program, which would also keep the runtime's until the garbage collector comes by.

    Parameters
    ----------
    function : result of `callable_part`
    """
    from tensorflow.python.framework.func_graph import dismantle_func_graph

    for called in function.children:
        dismantle(called)
    graph, function._cached_graph = function._cached_graph, None
    if graph is not None:
        dismantle_func_graph(graph)


_LIBRARIES = {"imblearn", "joblib", "keras", "numpy", "sklearn", "tensorflow", *sys.stdlib_module_names}
_LIBRARIES -= {"__main__"}


def short_call_stacks():
    """Leave libraries' files out of the call stack that TensorFlow keeps of each operation.

    For the hundreds of operations of a step TensorFlow 2.21 writes down some fifty frames
    each when it first runs the function, and never frees these 3 MB. What remains are the
    user's own code, to which an error refers, and skdl's: XLA crashes where nothing does.

    Returns
    -------
    context manager
    """
    from tensorflow.python.util import tf_stack

    class UserCode(tf_stack.StackTraceFilter):
        def get_filtered_filenames(self):
            return _library_files()

    return UserCode()


@functools.cache
def _library_files():
    modules = [m for name, m in list(sys.modules.items()) if name.partition(".")[0] in _LIBRARIES]
    # Not by getattr, at which some modules load others.
    files = (getattr(module, "__dict__", {}).get("__file__") for module in modules)
    return frozenset(file for file in files if isinstance(file, str))


# Variables.


def quick_variables():
    """Make TensorFlow's variables at a fifth of their cost while it is entered.

    Every variable is made by a kernel that TensorFlow 2.21 keeps under the variable's
    name. Keras numbers its layers, so each name is a new one: another kernel to be built,
    0.4 ms and some 30 KB that are never freed. Here the kernels' names are alike; the
    variables themselves have the names that they would have had.

    Returns
    -------
    context manager
    """
    return tf.variable_creator_scope(_make_variable)


def _make_variable(next_creator, **kwargs):
    from tensorflow.python.eager import context

    if not tf.executing_eagerly() or tf.distribute.has_strategy():
        return next_creator(**kwargs)
    name = f"{context.context().scope_name}{kwargs.get('name') or 'Variable'}:0"
    # With a slash, TensorFlow takes the name as it is.
    variable = next_creator(**{**kwargs, "name": "variable/"})
    variable._handle_name = name
    return variable


# Random numbers.


class _OwnRandom:
    """Stands for the module ``random`` where Keras draws seeds from it: in one thread only."""

    def __init__(self, seed):
        self._thread, self._own = threading.get_ident(), random.Random(seed)

    def __getattr__(self, name):
        return getattr(self._own if threading.get_ident() == self._thread else random, name)


@contextlib.contextmanager
def keras_seeded(seed):
    """Let Keras and TensorFlow draw from a seed in this thread; others notice nothing.

    Keras draws the seeds of layers and initialisers from Python's ``random``, and keeps a
    generator for each thread. TensorFlow's operations take a seed each, which is asked for
    in one place, when they are made. An operation that runs at once is put into a function
    of its own: its kernel would otherwise be kept, and go on where an earlier operation
    with the same seeds stopped.
    """
    from tensorflow.python.framework import random_seed
    from tensorflow.python.ops import gen_random_ops

    thread, drawn, tensorflow_seed = threading.get_ident(), random.Random(seed), random_seed.get_seed

    def get_seed(op_seed):
        if threading.get_ident() != thread:
            return tensorflow_seed(op_seed)
        # Never (0, 0), which asks for a random seed.
        return seed % 2**31, (
            drawn.randint(1, 2**31 - 1) if op_seed is None else op_seed % 2**31 or 2**31 - 1
        )

    def at_once(operation):
        @functools.wraps(operation)
        def run(*args, **kwargs):
            if threading.get_ident() != thread or not tf.executing_eagerly():
                return operation(*args, **kwargs)
            return tf.function(lambda: operation(*args, **kwargs), autograph=False)()

        return run

    replaced = [(random_seed, "get_seed", get_seed)]
    replaced += [(gen_random_ops, name, at_once(getattr(gen_random_ops, name))) for name in _WITH_SEEDS]
    replaced += [(keras.src.random.seed_generator, "python_random", _OwnRandom(seed))]
    state = keras.src.backend.common.global_state
    name = keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR
    generator = state.get_global_attribute(name)
    before = [(module, attribute, getattr(module, attribute)) for module, attribute, _ in replaced]
    for module, attribute, value in replaced:
        setattr(module, attribute, value)
    state.set_global_attribute(name, None)
    try:
        yield
    finally:
        for module, attribute, value in before:
            setattr(module, attribute, value)
        state.set_global_attribute(name, generator)


_WITH_SEEDS = (
    "multinomial",
    "parameterized_truncated_normal",
    "random_gamma",
    "random_poisson_v2",
    "random_shuffle",
    "random_standard_normal",
    "random_uniform",
    "random_uniform_int",
    "truncated_normal",
)
