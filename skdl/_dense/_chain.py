"""A dense network as a value: what is computed, without the weights."""

import math
from dataclasses import dataclass
from typing import NamedTuple


class NotDense(Exception):
    """A description that this folder does not cover, with the reason in one sentence."""


class Initializer(NamedTuple):
    """How a variable starts: ``kind`` "constant" or "uniform", or "unknown" with a class name as scale."""

    kind: str
    scale: object
    mode: str | None = None
    seed: int | None = None


class Variable(NamedTuple):
    """One array of a layer, with the factors of its penalties."""

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


class Parameter(NamedTuple):
    """What a layer says about one of its arrays, before its shape is known."""

    initializer: Initializer
    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Dense:
    """``x @ kernel + bias``; without a bias where ``bias`` is None."""

    units: int
    kernel: Parameter
    bias: Parameter | None

    def variables(self, n_inputs):
        """Return the layer's variables in Keras's order."""
        shapes = {"kernel": (n_inputs, self.units), "bias": (self.units,)}
        given = {"kernel": self.kernel, "bias": self.bias}
        return tuple(Variable(name, shapes[name], *of) for name, of in given.items() if of)


@dataclass(frozen=True)
class Activation:
    """A function of `skdl._dense._activations`, with values for its parameters."""

    name: str
    settings: tuple = ()

    def variables(self, n_inputs):
        """Return the layer's variables: none."""
        return ()


@dataclass(frozen=True)
class Dropout:
    """Zeros in a share ``rate`` of the numbers, in training alone."""

    rate: float
    seed: int | None = None

    def variables(self, n_inputs):
        """Return the layer's variables: none."""
        return ()


@dataclass(frozen=True)
class BatchNormalization:
    """Columns of mean zero and variance one, times ``gamma``, plus ``beta``."""

    momentum: float
    epsilon: float
    gamma: Parameter | None
    beta: Parameter | None
    moving_mean: Parameter
    moving_variance: Parameter

    def variables(self, n_inputs):
        """Return the layer's variables in Keras's order."""
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        given = [(name, getattr(self, name)) for name in names]
        return tuple(
            Variable(name, (n_inputs,), *of, trainable=name in ("gamma", "beta")) for name, of in given if of
        )


class Loss(NamedTuple):
    """A loss or a metric.

    ``function`` names one of `skdl._dense._row_losses`. With ``logits`` it takes what goes into the last
    activation, otherwise the output. With ``sparse`` the target has class numbers.
    """

    function: str
    name: str
    logits: bool = False
    sparse: bool = False
    settings: tuple = ()
    smoothing: float = 0.0
    weighted: bool = True
    root: bool = False


class Optimizer(NamedTuple):
    """An optimizer of `skdl._dense._optimizers` by its class name, and all its settings as pairs."""

    name: str
    settings: tuple

    def __getitem__(self, key):
        return dict(self.settings)[key] if isinstance(key, str) else tuple.__getitem__(self, key)


@dataclass(frozen=True)
class Network:
    """A chain of layers with loss, metrics and optimizer; made by `network_of`.

    Parameters
    ----------
    input_shape : tuple of int
        Of one row. Rows of more than one axis are made flat.
    layers : tuple of Dense, Activation, Dropout or BatchNormalization
    loss : Loss
    loss_weight : float
    metrics : tuple of Loss
        In Keras's order, under the names that logs give them.
    optimizer : Optimizer
    dtype : {"float32", "float64"}
    """

    input_shape: tuple
    layers: tuple
    loss: Loss
    loss_weight: float
    metrics: tuple
    optimizer: Optimizer
    dtype: str

    @property
    def n_inputs(self):
        """Columns of the rows when they are flat."""
        return math.prod(self.input_shape)

    @property
    def widths(self):
        """Columns of the input of each layer, and of the output."""
        widths = [self.n_inputs]
        for layer in self.layers:
            widths.append(layer.units if isinstance(layer, Dense) else widths[-1])
        return tuple(widths)

    @property
    def variables(self):
        """The variables of each layer, as a tuple of tuples."""
        return tuple(
            layer.variables(width) for layer, width in zip(self.layers, self.widths[:-1], strict=True)
        )

    @property
    def n_products(self):
        """Multiplications of a forward pass of one row: the number of elements of the kernels."""
        return sum(v.size for of_layer in self.variables for v in of_layer if v.name == "kernel")
