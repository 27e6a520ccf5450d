"""A quick description of models that are made of Keras's own parts alone.

Tracing a model tells for certain what it computes, and takes longer than training a small
one. For a model of Keras's own classes it can be told from what they hold. Whatever is not
known to be Keras's own, and plain, leaves the model to be traced: see `describe`.
"""

import enum
import sys
import types

import numpy as np

from skdl._backend import keras, private, tf

_OWN = ("keras", "skdl")
_PLAIN = (bytes, int, bool, type(None), type(Ellipsis), complex, np.dtype, tf.DType, tf.TensorShape)
_MOST = 20_000

# Attributes of Keras's classes that do not change what they compute, or that are described
# apart: names, records of how and from what an object was made, and caches.
_RECORDS = frozenset(
    """
    _auto_config _build_input_shape _build_shapes_dict _call_signature _called _compile_config
    _compile_loss _compile_metrics _compiled_trainable_state _distribution_strategy _eval_epoch_iterator
    _exclude_from_weight_decay _exclude_from_weight_decay_cache _exclude_from_weight_decay_pattern
    _functional _inbound_nodes _initial_epoch _initial_seed _initializer _inputs _layers _lock
    _loss_ids _loss_tracker _losses _manual_input_spec _metrics _name _nodes _nodes_by_depth _nnx_op_mapping
    _operations _operations_by_depth _outbound_nodes _output_shape _outputs _parent_path _path
    _random_seed _saved_model_arg_spec _saved_model_inputs_spec _seed_generators _self_name_based_restores
    _self_saveable_object_factories _self_setattr_tracking _self_unconditional_checkpoint_dependencies
    _self_unconditional_deferred_dependencies _self_unconditional_dependency_names _self_update_uid
    _tracked _tracker _trainable_variables_indices _value backend beta_initializer bias_initializer
    call_signature_parameters embeddings_initializer gamma_initializer history kernel_initializer loss
    moving_mean_initializer moving_variance_initializer optimizer predict_function seed stop_training
    recurrent_initializer depthwise_initializer pointwise_initializer
    test_function train_function
    """.split()
)


class NotKerasOnly(Exception):
    """What a model holds that is not certain to be Keras's own."""


def _in_own_module(thing):
    return (getattr(thing, "__module__", None) or "").partition(".")[0] in _OWN


def _is_own(thing):
    """Whether a class or function is the one of that name in Keras, or in skdl."""
    if not _in_own_module(thing):
        return False
    found = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


def _is_own_function(thing):
    if thing.__module__ and thing.__module__.startswith("tensorflow."):
        return getattr(sys.modules.get(thing.__module__), thing.__name__, None) is thing
    return _is_own(thing)


class _Writer:
    """Describes objects; one for each model, since it numbers what it meets."""

    def __init__(self, model, variables):
        self.variables = {id(v): i for i, v in enumerate(variables)}
        self.seen = {}
        # Keras numbers the layers of a process: of such names only their place matters.
        layers = enumerate(private.flat_layers(model))
        self.names = {layer.name: f"<{i}>" for i, layer in layers if _is_numbered(layer)}

    def describe(self, thing):
        if isinstance(thing, float):
            return "float", thing.hex()
        if type(thing) is str:
            return self.names.get(thing, thing)
        if type(thing) in _PLAIN:
            return type(thing), thing
        if isinstance(thing, np.generic):
            return "scalar", thing.dtype.str, thing.tobytes()
        if id(thing) in self.seen:
            return "again", self.seen[id(thing)][0]
        if len(self.seen) > _MOST:
            raise NotKerasOnly("more objects than can be described")
        if isinstance(thing, keras.Variable):
            return self.variable(thing)
        if isinstance(thing, types.FunctionType | types.BuiltinFunctionType):
            if not _is_own_function(thing):
                raise NotKerasOnly(f"the function {thing!r}")
            return "function", thing
        if isinstance(thing, type):
            if not _is_own(thing):
                raise NotKerasOnly(f"the class {thing!r}")
            return "class", thing
        # Held, so that no other object gets the same id.
        self.seen[id(thing)] = len(self.seen), thing
        if isinstance(thing, dict):
            return "dict", tuple((self.describe(key), self.describe(value)) for key, value in thing.items())
        if isinstance(thing, list | tuple):
            cls = type(thing)
            if hasattr(thing, "_fields") and not _in_own_module(cls):
                raise NotKerasOnly(f"a {cls.__name__}")
            return isinstance(thing, tuple), tuple(map(self.describe, thing))
        if isinstance(thing, set | frozenset) and all(type(each) in (str, *_PLAIN) for each in thing):
            return "set", frozenset(thing)
        if type(thing) is np.ndarray and thing.dtype.kind in "fiub":
            return "array", thing.dtype.str, thing.shape, thing.tobytes()
        if isinstance(thing, enum.Enum) and _is_own(type(thing)):
            return type(thing), thing.name
        if isinstance(thing, keras.KerasTensor):
            return "tensor", tuple(thing.shape), thing.dtype, thing.sparse
        return self.instance(thing)

    def variable(self, variable):
        if id(variable) not in self.variables:
            raise NotKerasOnly("a variable that is not tracked")
        return "variable", self.variables[id(variable)]

    def instance(self, thing):
        cls = type(thing)
        if not _is_own(cls) or not hasattr(thing, "__dict__"):
            raise NotKerasOnly(f"a {cls.__module__}.{cls.__qualname__}")
        if isinstance(thing, keras.Layer):
            return self.layer(thing)
        return cls, self.attributes(thing)

    def attributes(self, thing):
        found = vars(thing)
        return tuple(
            (name, self.describe(found[name]))
            for name in sorted(found)
            if name not in _RECORDS and name != "name" and not self.is_wrapper(thing, name, found[name])
        )

    def is_wrapper(self, thing, name, value):
        """Whether an attribute is the method of its class, in a wrapper of Keras's."""
        if name not in ("build", "quantize") or not isinstance(thing, keras.Layer):
            return False
        method = getattr(value, "__wrapped__", None)
        if getattr(method, "__func__", None) is not getattr(type(thing), name):
            raise NotKerasOnly(f"a {name} of its own")
        return value.__code__.co_filename.endswith("layer.py")

    def layer(self, layer):
        if getattr(layer, "losses", None) and not layer.built:
            raise NotKerasOnly("losses of a layer that is not built")
        if isinstance(layer, keras.Sequential) and layer.built:
            return type(layer), self.attributes(layer), self.describe(private.functional_inside(layer))
        if private.is_functional(layer):
            return type(layer), self.attributes(layer), self.graph(private.layer_graph(layer))
        if isinstance(layer, keras.Model):
            raise NotKerasOnly("a model that is no graph of layers")
        return type(layer), self.attributes(layer), tuple(map(self.describe, private.sublayers(layer)))

    def graph(self, graph):
        """Describe how the layers of a functional model are connected."""
        place = {id(tensor): ("input", i) for i, tensor in enumerate(graph.inputs)}
        for i, node in enumerate(graph.nodes):
            for j, tensor in enumerate(node.outputs):
                place.setdefault(id(tensor), (i, j))

        def argument(thing):
            if isinstance(thing, keras.KerasTensor):
                return "from", place.get(id(thing))
            if isinstance(thing, dict):
                return "dict", tuple((key, argument(value)) for key, value in thing.items())
            if isinstance(thing, list | tuple):
                return isinstance(thing, tuple), tuple(map(argument, thing))
            return self.describe(thing)

        by_name = isinstance(graph.input_structure, dict)
        return (
            tuple(
                (
                    self.describe(node.operation),
                    argument(node.arguments.args),
                    argument(node.arguments.kwargs),
                )
                for node in graph.nodes
            ),
            argument(graph.input_structure),
            argument(graph.output_structure),
            tuple((tuple(t.shape), t.dtype, t.name if by_name else None) for t in graph.inputs),
        )


def environment():
    """Return the settings of Keras and TensorFlow that a trace depends on."""
    return (
        keras.config.floatx(),
        keras.config.epsilon(),
        keras.config.image_data_format(),
        private.op_determinism_enabled(),
        private.watches_operations(),
        keras.config.is_flash_attention_enabled(),
    )


def describe(model, names=None):
    """Describe what a model computes, where it is made of Keras's own classes alone.

    Parameters
    ----------
    model : keras.Model
        Built, and so are its loss, metrics and optimizer where there are ``names``.
    names : list of str, default=None
        Of the results of a training step; the loss, the metrics and the optimizer are
        included then. None for the forward pass alone.

    Returns
    -------
    hashable or None
        Equal for models that compute the same. None where the model has to be traced.
    """
    try:
        key = _describe(model, names)
        hash(key)
    except Exception:
        # What can't be described, for whatever reason, is traced.
        return None
    return key


def _describe(model, names):
    if private.watches_operations() or type(model) not in private.functional_classes():
        return None
    variables = model.variables if names is None else private.training_variables(model)
    writer = _Writer(model, variables)
    key = [environment(), writer.describe(model)]
    if names is not None:
        loss, metrics = private.compiled_parts(model)
        key += [
            writer.attributes(loss) if loss is not None else None,
            writer.attributes(metrics) if metrics is not None else None,
            writer.describe(private.attached_metrics(model)),
            writer.describe(model.optimizer),
            private.decayed(model.optimizer),
            writer.describe(private.loss_tracker(model)),
            len(names),
        ]
    # Otherwise the shapes follow from the input and the units of the layers.
    key.append(tuple(_of_variable(v, tuple(v.shape)) for v in variables))
    for variable in variables:
        key.append((writer.describe(variable.regularizer), writer.describe(variable.constraint)))
    key.append(tuple((type(layer), layer.trainable) for layer in private.flat_layers(model)))
    return tuple(key)


def _is_numbered(layer):
    stem = private.snake_case(type(layer).__name__)
    return layer.name == stem or layer.name.removeprefix(f"{stem}_").isdigit()


def _of_variable(variable, shape):
    if type(variable) is not keras.Variable and not _is_own(type(variable)):
        raise NotKerasOnly(f"a {type(variable).__name__}")
    return (
        shape,
        variable.dtype,
        variable.trainable,
        variable.overwrite_with_gradient,
        private.is_cast_automatically(variable),
    )
