"""Private names behind copies, pickles and files of Keras objects."""

import functools
import warnings

from skdl._backend._start import keras, tf
from skdl._backend.private._guard import guarded

# Classes.


@guarded
def saveable_class():
    """Return the base of Keras's layers, models, losses, metrics and optimizers."""
    return keras.src.saving.keras_saveable.KerasSaveable


@guarded
def node_class():
    """Return the class of the calls of which a functional model is made."""
    return keras.src.ops.node.Node


@guarded
def function_class():
    """Return the class of graphs of operations, a base of functional models."""
    return keras.src.ops.function.Function


@guarded
def functional_class():
    """Return the class of functional models."""
    return keras.src.Functional


@guarded
def make_functional(kind):
    """Make a subclass of ``keras.Model`` one of functional models, as calling it with inputs does."""
    if not issubclass(kind, keras.src.Functional):
        keras.src.models.model.inject_functional_model_class(kind)


@guarded
def dynamic_backend_class():
    """Return the class of objects that stand for Keras's backend."""
    return keras.src.utils.backend_utils.DynamicBackend


@guarded
def backend_name(backend):
    """Return the argument with which a ``DynamicBackend`` was made."""
    return backend._backend


# Trackers: they find the variables and layers among a layer's attributes.


@guarded
def tracker_class():
    """Return the class of trackers."""
    return keras.src.utils.tracking.Tracker


def is_tracked_collection(kind):
    """Whether a class is that of a list, dict or set that tells a tracker what it gets."""
    return kind.__module__ == "keras.src.utils.tracking" and kind.__name__.startswith("Tracked")


@guarded
def lock_message(tracker):
    """Return what a locked tracker says when it gets a new variable."""
    return tracker._lock_violation_msg


@guarded
def make_tracker(config, exclusions, *, locked, message):
    """Return a tracker whose lists are filled already."""
    tracker = keras.src.utils.tracking.Tracker(config, exclusions)
    tracker.stored_ids = {name: set(map(id, store)) for name, (_, store) in config.items()}
    tracker.locked, tracker._lock_violation_msg = locked, message
    return tracker


# What is kept under the ids of objects.


@guarded
def variable_keys(optimizer):
    """Return the variables that an optimizer trains, by the key that it has for each."""
    return {optimizer._var_key(variable): variable for variable in optimizer._trainable_variables}


@guarded
def variable_key(optimizer, variable):
    """Return the key that an optimizer has for a variable."""
    return optimizer._var_key(variable)


@guarded
def undecayed(optimizer):
    """Return what ``exclude_from_weight_decay`` was told, or None: the keys of variables, and a pattern."""
    if not hasattr(optimizer, "_exclude_from_weight_decay"):
        return None
    pattern = optimizer._exclude_from_weight_decay_pattern
    return set(optimizer._exclude_from_weight_decay), None if pattern is None else pattern.pattern


@guarded
def calls_of(function):
    """Return the calls that belong to a functional model: pairs of an operation and a number."""
    operations = {id(op): op for op in function._operations}
    operations.update(
        {id(node.operation): node.operation for nodes in function._nodes_by_depth.values() for node in nodes}
    )
    calls = [(op, i) for op in operations.values() for i in range(len(op._inbound_nodes))]
    return [call for call in calls if node_key(*call) in function._nodes]


@guarded
def node_key(operation, index):
    """Return the key that a functional model has for a call of an operation."""
    return keras.src.ops.function.make_node_key(operation, index)


# Parts of TensorFlow.


@functools.cache
def traced_class():
    """Return the class of what ``tf.function`` returns."""
    return type(tf.function(print))


@guarded
def untraced(function):
    """Return a ``tf.function`` as it was before its first call."""
    return function._clone(None)


@guarded
def table_settings(table):
    """Return the default value and the name of a table of ``tf.lookup``."""
    return table._default_value, table._name


# Files.


@guarded
def seed_generators(model):
    """Return the seed generators of a model and of all its layers."""
    return [each for layer in model._flatten_layers() for each in layer._seed_generators]


def input_structure(model):
    """Return the inputs of a functional model as they are nested, or None."""
    return getattr(model, "_inputs_struct", None)


@guarded
def build_shapes(model):
    """Return the shapes with which a model was built, by the name of the argument."""
    return model._build_shapes_dict or {}


# Not guarded: these two run constructors and ``get_config`` of the user's.


def save_model(model, file):
    """Write a model in Keras's format to an open file; ``model.save`` takes paths alone."""
    with warnings.catch_warnings():
        # Keras 3.15 reads TensorFlow 2.21's tensors by np.array, which NumPy 2 deprecates.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        keras.src.saving.saving_lib.save_model(model, file)


def load_model(file, custom_objects):
    """Read what `save_model` wrote, without running code from the file."""
    return keras.src.saving.saving_lib.load_model(file, custom_objects=custom_objects, safe_mode=True)


@guarded
def is_builtin_name(name):
    """Whether Keras has a loss, metric, activation or the like of this name."""
    serialization = keras.src.saving.serialization_lib
    return any(
        serialization.api_export.get_symbol_from_name(f"keras.{module}.{name}") is not None
        for module in serialization.BUILTIN_MODULES
    )
