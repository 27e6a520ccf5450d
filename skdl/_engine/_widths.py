"""Networks that differ in the number of units of their hidden layers, which one trace serves.

A search over widths would trace each of them, which takes longer than training a small network.
Where every operation of a graph works on matrices of any size, and none has a size written into
it, a program that was traced from one network runs another one's variables as they are: it
computes the same, to the last bit, as a trace of that other network would.

XLA has all sizes in its code, and compiles a program anew for each. But a network is a corner of
a wider one: where all weights of a unit are zero, and its activation is zero at zero, so are all
their gradients, and the unit stays out of the computation. So hidden layers are trained in a few
sizes, padded by such units.
"""

import math

from skdl._backend import keras, private
from skdl._engine import _probe
from skdl._engine._program import is_large, may_use_gpu, shapes_of
from skdl._engine._rules import ELEMENTWISE, work

# The tests compare the graphs of networks of different widths for all of these. Left out is what
# has a size in its graph: penalties on weights and batch normalisation, whose gradients TensorFlow
# shapes by constants, and what nobody has looked at.
LAYERS = frozenset(
    {
        *(keras.layers.InputLayer, keras.layers.Dense, keras.layers.Activation, keras.layers.Dropout),
        *(keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU),
    }
)
OPTIMIZERS = frozenset(
    getattr(keras.optimizers, name)
    for name in "Adadelta Adagrad Adam Adamax AdamW Ftrl Lion Nadam RMSprop SGD".split()
)
# Activations and layers that are zero at zero, and optimizers whose state may be zero throughout.
ZERO_AT_ZERO = frozenset(
    {
        *ELEMENTWISE,
        *(keras.layers.InputLayer, keras.layers.Dropout),
        *(keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU),
    }
) - {keras.activations.sigmoid, keras.activations.softmax, keras.activations.softplus}
ZERO_STATES = OPTIMIZERS - {keras.optimizers.Ftrl}
# The least number of units, and the most work that padding may add to a training, in floating-point
# operations: a few tenths of a second, which are less than XLA takes to compile.
_LEAST_UNITS, _MOST_WORK = 64, 2**32


def of_any_width(model, variables):
    """Return the hidden layers of a network whose graph is the same for all their sizes.

    Parameters
    ----------
    model : keras.Sequential or functional keras.Model
        Built.
    variables : list of keras.Variable
        All that a program reads or writes.

    Returns
    -------
    list of keras.layers.Dense
        All but the last dense layer of a chain of layers. Empty where the size of a layer has a
        part in the graph, or where that is not known, and for large networks.
    """
    if not _probe.is_tested() or is_large(shapes_of(variables)):
        return []
    graph = private.layer_graph(model)
    chain = graph.operations
    if len(set(map(id, chain))) < len(chain) or len(model.outputs) != 1:
        return []
    if [len(tensor.shape) for tensor in graph.inputs] != [2]:
        return []
    if type(getattr(model, "optimizer", None)) not in {*OPTIMIZERS, type(None)} or not all(
        map(_is_of_any_width, chain)
    ):
        return []
    # The bias of a single unit is added by another operation.
    return [layer for layer in dense_layers(chain)[:-1] if layer.units > 1]


def dense_layers(chain):
    """Return the dense layers of a chain of layers."""
    return [layer for layer in chain if type(layer) is keras.layers.Dense]


def _is_of_any_width(layer):
    activation = getattr(layer, "activation", None)
    return (
        type(layer) in LAYERS
        and (activation is None or activation in ELEMENTWISE)
        and getattr(layer, "activity_regularizer", None) is None
        and all(v.regularizer is None and v.constraint is None for v in layer.variables)
    )


def padded_shapes(model, variables, own, *, n_rows):
    """Return the shapes in which the variables of a network are trained by an XLA program.

    The numbers of units of hidden layers are powers of two, so that few programs serve all
    widths. They follow from the network and the training alone.

    Parameters
    ----------
    model : keras.Sequential or functional keras.Model
        Of which `skdl._engine._keras_only.describe` knows what it computes. Built, as is its
        optimizer.
    variables : list of keras.Variable
        All that the program reads or writes.
    own : tuple of tuple
        Their shapes in the network that is trained; the model may be one of other widths.
    n_rows : int
        Rows that the training visits in all its epochs.

    Returns
    -------
    tuple of tuple
        Those of the variables as they are, where a unit of zeros would not stay one, and where
        the training is so long that the additional work would not pay.
    """
    hidden, places = of_any_width(model, variables), _places(variables)
    chain = private.layer_graph(model).operations if hidden else []
    if not chain or may_use_gpu() or not _stay_zero(chain, model.optimizer):
        return own
    shapes, added, n_in = {}, 0, None
    for layer in dense_layers(chain):
        kernel, *bias = layer.variables
        kernel_shape = own[places[id(kernel)]]
        n_in, n_out = n_in or kernel_shape[0], kernel_shape[1]
        if layer in hidden:
            n_out = max(_LEAST_UNITS, 2 ** (n_out - 1).bit_length())
        shapes[id(kernel)] = n_in, n_out
        shapes.update({id(variable): (n_out,) for variable in bias})
        added += n_in * n_out - math.prod(kernel_shape)
        n_in = n_out
    if work(added, n_rows) > _MOST_WORK:
        return own
    shapes.update({id(slot): shapes[id(variable)] for slot, variable in private.slots(model.optimizer)})
    return tuple(shapes.get(id(variable), shape) for variable, shape in zip(variables, own, strict=True))


def units(layers, model, variables, shapes):
    """Return how many units layers put out, in a network whose variables have some shapes.

    Parameters
    ----------
    layers : list of keras.Layer
    model : keras.Model
    variables : list of keras.Variable
        All that the program reads or writes.
    shapes : tuple of tuple

    Returns
    -------
    list of int
    """
    own = [layer.output.shape[-1] for layer in layers]
    if shapes == shapes_of(variables):
        return own
    # Other shapes are those of a chain of layers.
    places, size, found = _places(variables), None, {}
    for layer in private.layer_graph(model).operations:
        size = shapes[places[id(layer.kernel)]][1] if type(layer) is keras.layers.Dense else size
        found[id(layer)] = size
    return [found.get(id(layer)) or n for n, layer in zip(own, layers, strict=True)]


def _places(variables):
    return {id(variable): i for i, variable in enumerate(variables)}


def _stay_zero(chain, optimizer):
    """Whether units whose weights are zero put out zero, and keep their weights in training."""
    last = chain.index(dense_layers(chain)[-1])
    return (
        type(optimizer) in ZERO_STATES
        and getattr(optimizer, "epsilon", 1) > 0
        and all(getattr(layer, "activation", type(layer)) in ZERO_AT_ZERO for layer in chain[:last])
        and not any(getattr(layer, "threshold", 0) for layer in chain[:last])
        # With adapters of low rank there are more.
        and all(len(layer.variables) <= 1 + layer.use_bias for layer in dense_layers(chain))
    )
