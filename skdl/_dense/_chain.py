"""A dense network as a value: what is computed, without the weights."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple


class NotDense(Exception):
    """A description that is not covered here, with the reason."""


class Initializer(NamedTuple):
    """How a variable starts.

    ``kind`` is "constant" (``scale`` is the number), "uniform" (``scale`` is a pair of limits, or that of
    Keras's ``VarianceScaling`` with ``mode``), or "unknown" (``scale`` is the name of what Keras draws).
    """

    kind: str
    scale: object
    mode: str | None = None
    seed: int | None = None


class Variable(NamedTuple):
    """An array of a layer, with the factors of its penalties."""

    name: str
    shape: tuple
    initializer: Initializer
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True

    @property
    def size(self):
        """Number of elements."""
        return math.prod(self.shape)


class Layer(NamedTuple):
    """A layer: ``kind`` is "dense", "batch_normalization", "dropout", or the name of an activation."""

    kind: str
    n_inputs: int
    n_units: int
    variables: tuple
    settings: dict


class Measure(NamedTuple):
    """A loss or a metric.

    ``function`` is a name in `skdl._dense._row_losses`. With ``logits`` it takes what goes into the last
    layer, otherwise the output. With ``sparse`` the target has class numbers. With ``root`` the metric is the
    square root of the mean.
    """

    function: str
    name: str
    logits: bool
    sparse: bool
    settings: dict
    smoothing: float = 0.0
    weighted: bool = True
    root: bool = False


@dataclass(frozen=True)
class Network:
    """A chain of layers with loss, metrics and optimizer; made by `network_of`.

    Parameters
    ----------
    input_shape : tuple of int
        Of one row. Rows of more than one axis are made flat.
    layers : tuple of Layer
        The activation of one of Keras's dense layers is a layer of its own.
    loss : Measure
    loss_weight : float
    metrics : tuple of Measure
        In Keras's order, under the names that logs give them.
    optimizer : str
        Class name.
    settings : dict
        All settings of the optimizer.
    dtype : {"float32", "float64"}
    described : dict
        The arguments of `network_of` that made it.
    """

    input_shape: tuple
    layers: tuple
    loss: Measure
    loss_weight: float
    metrics: tuple
    optimizer: str
    settings: dict
    dtype: str
    described: dict = field(compare=False)

    @property
    def n_units(self):
        """Columns of the output."""
        return self.layers[-1].n_units

    @property
    def variables(self):
        """The variables of each layer, as a tuple of tuples."""
        return tuple(layer.variables for layer in self.layers)

    @property
    def n_products(self):
        """Multiplications of a forward pass of one row: the number of elements of the kernels."""
        return sum(layer.n_inputs * layer.n_units for layer in self.layers if layer.kind == "dense")
