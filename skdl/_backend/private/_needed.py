"""What the compiled engine needs, by name, so that it can be looked up beforehand."""

import importlib

_NEEDED = (
    ("keras", "Layer._flatten_layers"),
    ("keras", "Model._get_own_metrics"),
    ("keras", "Model._symbolic_build"),
    ("keras", "optimizers.Optimizer._use_weight_decay"),
    ("keras.src", "backend.common.global_state.get_global_attribute"),
    ("keras.src", "backend.common.global_state.set_global_attribute"),
    ("keras.src", "metrics.ALL_OBJECTS_DICT"),
    ("keras.src", "metrics.reduction_metrics.MeanMetricWrapper"),
    ("keras.src", "models.functional.Functional"),
    ("keras.src", "random.seed_generator.GLOBAL_SEED_GENERATOR"),
    ("keras.src", "random.seed_generator.python_random"),
    ("keras.src", "utils.naming.to_snake_case"),
    ("tensorflow.compiler.tf2xla.ops.gen_xla_ops", "xla_set_dynamic_dimension_size"),
    ("tensorflow.core.protobuf.config_pb2", "ConfigProto"),
    ("tensorflow.python.eager.context", "Context.function_call_options"),
    ("tensorflow.python.eager.context", "Context.op_callbacks"),
    ("tensorflow.python.eager.context", "Context.scope_name"),
    ("tensorflow.python.eager.context", "FunctionCallOptions"),
    ("tensorflow.python.eager.context", "anonymous_name"),
    ("tensorflow.python.framework.config", "is_op_determinism_enabled"),
    ("tensorflow.python.framework.func_graph", "dismantle_func_graph"),
    ("tensorflow.python.framework.op_def_registry", "get"),
    ("tensorflow.python.framework.ops", "gradient_registry._registry"),
    ("tensorflow.python.framework.random_seed", "get_seed"),
    ("tensorflow.python.ops.stateless_random_ops", "stateless_random_uniform"),
    ("tensorflow.python.util.tf_stack", "StackTraceFilter"),
)


def missing_names():
    """Return those private names that the compiled engine needs and that are not there.

    Returns
    -------
    list of str
        Names of attributes that only objects have are not looked up.
    """
    return [f"{module}.{name}" for module, name in _NEEDED if not _is_there(module, name)]


def _is_there(module, name):
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (AttributeError, ImportError):
        return False
    return True
