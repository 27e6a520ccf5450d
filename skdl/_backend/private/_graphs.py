"""Private names of TensorFlow's graphs and of its context."""

import contextlib
import functools
import inspect
import sys

from skdl._backend.private._guard import guarded

# The context of the process.


@guarded
def op_determinism_enabled():
    """Whether ``tf.config.experimental.enable_op_determinism`` was called."""
    from tensorflow.python.framework.config import is_op_determinism_enabled

    return is_op_determinism_enabled()


@guarded
def watches_operations():
    """Whether something looks at each operation, as ``tf.debugging.enable_check_numerics`` does."""
    from tensorflow.python.eager import context

    return bool(context.context().op_callbacks)


@guarded
def tensorflow_has_started():
    """Whether TensorFlow has made its threads."""
    from tensorflow.python.eager import context

    return context.context()._context_handle is not None


# Graphs.


@guarded
@functools.cache
def is_stateful(operation):
    """Whether an operation has a state, by TensorFlow's own definition of it."""
    from tensorflow.python.framework import op_def_registry

    definition = op_def_registry.get(operation)
    return definition is None or definition.is_stateful


@guarded
def without_graph_optimiser(skip=True):
    """Leave out TensorFlow's graph optimiser in this thread.

    It costs a quarter of a second for each program, which small networks never repay,
    and XLA has its own.

    Returns
    -------
    context manager
    """
    if not skip:
        return contextlib.nullcontext()
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.eager import context as tf_context

    context = tf_context.context()
    config = config_pb2.ConfigProto()
    config.CopyFrom(context.config)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return _with_options(context, tf_context.FunctionCallOptions(config_proto=config))


@contextlib.contextmanager
def _with_options(context, options):
    before = context.function_call_options
    context.function_call_options = options
    try:
        yield
    finally:
        context.function_call_options = before


@guarded
def callable_part(concrete):
    """Return what runs of a concrete function: it takes arguments and captures."""
    return concrete.inference_fn


@guarded
def call(function, arguments, captures):
    """Run the result of `callable_part`."""
    return function.call_with_captures(arguments, {}, captures)


@guarded
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


@guarded
def without_reduced_gradients():
    """Take the gradients that optimizers add up out of TensorFlow's registry again.

    Keras's optimizers call ``all_reduce``, for which TensorFlow 2.21 registers a gradient at each
    trace. It never takes it back, and it holds the whole graph, some 3 MB. All other gradients
    stay: somebody's function may need them when it is traced again.

    Returns
    -------
    context manager
        For the code that traces.
    """
    from tensorflow.python.framework.ops import gradient_registry

    return _without_new(gradient_registry, gradient_registry._registry)


@contextlib.contextmanager
def _without_new(registry, entries):
    before = set(entries)
    try:
        yield
    finally:
        for name in set(entries) - before:
            if name.startswith("CustomGradient-") and _is_reduced(registry.lookup(name)):
                del entries[name]


def _is_reduced(function):
    # Two functions of TensorFlow's are around the one that it was given.
    for name in ("tape_grad_fn", "grad_fn"):
        if not inspect.isfunction(function):
            return False
        function = inspect.getclosurevars(function).nonlocals.get(name)
    return ".all_reduce." in getattr(function, "__qualname__", "")


_LIBRARIES = {"imblearn", "joblib", "keras", "numpy", "sklearn", "tensorflow", *sys.stdlib_module_names}
_LIBRARIES -= {"__main__"}


@guarded
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


@guarded
def first_rows(tensor, n):
    """Return the first rows of a tensor, in an XLA program.

    How many may differ from run to run. A slice would be compiled anew for each number of rows.
    """
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops

    return gen_xla_ops.xla_set_dynamic_dimension_size(tensor, 0, n)
