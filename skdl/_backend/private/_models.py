"""Private names of Keras's models, layers, optimizers, metrics and callbacks."""

from typing import NamedTuple

from skdl._backend._start import keras
from skdl._backend.private._guard import guarded


@guarded
def flat_layers(model, *, include_self=True):
    """Return a model and all layers in it, also those that layers of the user's hold."""
    return list(model._flatten_layers(include_self=include_self))


@guarded
def is_functional(model):
    """Whether a model is made of a graph of layers, so that its shapes are known."""
    return isinstance(model, keras.Sequential | keras.src.models.functional.Functional)


@guarded
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

    @property
    def operations(self):
        """What is called: the operations of the nodes."""
        return [node.operation for node in self.nodes]


@guarded
def layer_graph(model):
    """Return the `LayerGraph` of a functional model, or of the one that a built Sequential holds."""
    model = model._functional if isinstance(model, keras.Sequential) else model
    levels = sorted(model._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in levels for node in level]
    return LayerGraph(model._inputs, nodes, model._inputs_struct, model._outputs_struct)


@guarded
def functional_inside(model):
    """Return the functional model that does the work of a built Sequential."""
    return model._functional


@guarded
def sublayers(layer):
    """Return the layers that a layer holds itself."""
    return list(layer._layers)


@guarded
def attached_metrics(model):
    """Return the metrics that a model holds besides those given to ``compile``."""
    return list(model._metrics)


@guarded
def is_cast_automatically(variable):
    """Whether a layer of lower precision sees a variable in that precision."""
    return getattr(variable, "_autocast", True)


@guarded
def nests_output(model):
    """Whether a functional model with one output returns it in a list or a dict."""
    return keras.tree.is_nested(getattr(model, "_outputs_struct", None))


@guarded
def compiled_parts(model):
    """Return what ``compile`` made of the loss and the metrics; either may be None."""
    return model._compile_loss, model._compile_metrics


@guarded
def given_metrics(model):
    """Return the metrics as they were given to ``compile``."""
    metrics = model._compile_metrics
    return [metrics._user_metrics, metrics._user_weighted_metrics] if metrics is not None else []


@guarded
def set_given_metrics(model, metrics, weighted_metrics):
    """Exchange the metrics that were given to ``compile``; they are built anew by the next training."""
    # Not by attributes, which Keras would keep a second time.
    vars(model._compile_metrics).update(
        _user_metrics=metrics, _user_weighted_metrics=weighted_metrics, built=False
    )
    model.train_function = model.test_function = None


@guarded
def loss_tracker(model):
    """Return the metric that averages the loss; ``compile`` makes a new one each time."""
    return model._loss_tracker


@guarded
def is_distributed(model):
    """Whether a model was made under a strategy that distributes it."""
    return model._distribute_strategy is not None


@guarded
def restored_epoch(model):
    """Return the epoch at which a callback wants a training to go on, or None."""
    return model._initial_epoch


@guarded
def set_restored_epoch(model, epoch):
    """Set the epoch at which a training goes on; None for where it is told to begin."""
    model._initial_epoch = epoch


def build_all(model, batch):
    """Build a model, its loss, metrics and optimizer, by calling them on symbolic data.

    Not guarded: it runs the model.
    """
    model._symbolic_build(data_batch=batch)


@guarded
def learning_rate_of(optimizer):
    """Return an optimizer's learning rate as it is held: a variable or a schedule."""
    return getattr(optimizer, "_learning_rate", None)


@guarded
def decayed(optimizer):
    """Return which of its variables an optimizer decays; variables are left out by name."""
    if optimizer.weight_decay is None:
        return ()
    variables = optimizer._trainable_variables
    return tuple(optimizer._use_weight_decay(v) for v in variables)


@guarded
def training_variables(model):
    """Return the variables that training a model reads or writes, in a fixed order.

    Returns
    -------
    list of keras.Variable
    """
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer is not None else ())]
    for metric in [*model.metrics, *model._get_own_metrics()]:
        variables += metric.variables
    return list({id(v): v for v in variables}.values())


@guarded
def snake_case(name):
    """Return the stem of the names that Keras gives to objects of a class."""
    return keras.src.utils.naming.to_snake_case(name)


@guarded
def known_metrics():
    """Return Keras's metrics by name."""
    return keras.src.metrics.ALL_OBJECTS_DICT


@guarded
def mean_metric():
    """Return the class of Keras's metrics that are means of a function."""
    return keras.src.metrics.reduction_metrics.MeanMetricWrapper


# Callbacks.


@guarded
def watched_model(callback):
    """Return the model that a callback belongs to, or None."""
    # A subclass that doesn't call its parent's __init__ has none yet.
    return getattr(callback, "_model", None)


@guarded
def set_watched_model(callback, model):
    """Exchange the model that a callback belongs to; None lets it forget it.

    Not by ``set_model``, which a callback may extend and which expects a model.
    """
    callback._model = model


@guarded
def profiles_no_batches(callback):
    """Whether a TensorBoard callback writes at the end of epochs alone."""
    quiet = callback.update_freq == "epoch" and not callback.write_steps_per_second
    return quiet and callback._start_batch == callback._stop_batch == 0


@guarded
def direction_of(metric):
    """Return "up" where more of a metric is better, "down" where less is, None where it says nothing."""
    return getattr(metric, "_direction", None)
