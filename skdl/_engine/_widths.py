"""Networks that differ in the number of units of their hidden layers, which one trace serves.

A search over widths would trace each of them, which takes longer than training a small network.
Where every operation of a graph works on matrices of any size, and none has a size written into
it, a program that was traced from one network runs another one's variables as they are: it
computes the same, to the last bit, as a trace of that other network would.

XLA has all sizes in its code, so programs for XLA are made for each network.
"""

from skdl._backend import keras, private
from skdl._engine import _probe
from skdl._engine._program import is_large
from skdl._engine._rules import ELEMENTWISE

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
    if not _probe.is_tested() or is_large(variables):
        return []
    inside = private.functional_inside(model) if isinstance(model, keras.Sequential) else model
    graph = private.layer_graph(inside)
    chain = [node.operation for node in graph.nodes]
    if len(set(map(id, chain))) < len(chain) or len(model.outputs) != 1:
        return []
    if [len(tensor.shape) for tensor in graph.inputs] != [2]:
        return []
    if type(getattr(model, "optimizer", None)) not in {*OPTIMIZERS, type(None)} or not all(
        map(_is_of_any_width, chain)
    ):
        return []
    dense = [layer for layer in chain if type(layer) is keras.layers.Dense]
    # The bias of a single unit is added by another operation.
    return [layer for layer in dense[:-1] if layer.units > 1]


def _is_of_any_width(layer):
    activation = getattr(layer, "activation", None)
    return (
        type(layer) in LAYERS
        and (activation is None or activation in ELEMENTWISE)
        and getattr(layer, "activity_regularizer", None) is None
        and all(v.regularizer is None and v.constraint is None for v in layer.variables)
    )
