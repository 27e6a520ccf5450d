"""A dense network as a value, and how it is read from descriptions in Keras's words.

A class is described by its name and its configuration, as ``get_config`` of Keras 3.15 has it. Missing fields
have Keras's defaults. What is not known for certain is refused. A name says nothing about where a class or
function is from: who reads a Keras model makes sure that they are Keras's own.
"""

import copy
import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, NamedTuple

from skdl._dense._formulas import ACTIVATIONS, CROSSENTROPIES, ERRORS, LOSSES, SCORES
from skdl._dense._optimizers import COMMON, OPTIMIZERS, SCHEDULES


class NotDense(Exception):
    """A description that is not covered here, with the reason."""


class Variable(NamedTuple):
    """An array of a layer, with the factors of its penalties."""

    name: str
    shape: tuple
    start: Any  # a number, "glorot_uniform", or None where Keras makes the first values otherwise
    l1: float = 0.0
    l2: float = 0.0
    trainable: bool = True


class Layer(NamedTuple):
    """A layer: ``kind`` is "dense", "batch_normalization", "dropout", or the name of an activation."""

    kind: str
    n_inputs: int
    n_units: int
    variables: tuple
    settings: dict


class Measure(NamedTuple):
    """A loss or a metric."""

    function: str  # a name in `skdl._dense._formulas`
    name: str  # in logs
    logits: bool  # whether it takes what goes into the last layer, not the output
    sparse: bool  # whether the target has class numbers
    settings: dict
    smoothing: float = 0.0
    root: bool = False  # whether the metric is the square root of the mean


@dataclass(frozen=True)
class Network:
    """A chain of layers with loss, metrics and optimizer; made by `network_of`."""

    input_shape: tuple  # of one row; rows of more than one axis are made flat
    layers: tuple  # the activation of one of Keras's dense layers is a layer of its own
    loss: Measure
    metrics: tuple  # in Keras's order
    optimizer: str  # class name
    settings: dict  # of the optimizer
    dtype: str  # "float32" or "float64"
    described: dict = field(compare=False)  # the arguments of `network_of` that made it

    @property
    def n_units(self):
        """Columns of the output."""
        return self.layers[-1].n_units

    @property
    def variables(self):
        """The variables of all layers, in Keras's order."""
        return [variable for layer in self.layers for variable in layer.variables]

    @property
    def n_products(self):
        """Multiplications of a forward pass of one row: the number of elements of the kernels."""
        return sum(layer.n_inputs * layer.n_units for layer in self.layers if layer.kind == "dense")


def network_of(input_shape, layers, *, loss, optimizer, metrics=(), dtype="float32"):
    """Return the network of class names and configurations, or raise NotDense if anything is not covered."""
    described = copy.deepcopy(
        {
            "input_shape": tuple(input_shape),
            "layers": layers,
            "loss": loss,
            "optimizer": optimizer,
            "metrics": metrics,
            "dtype": dtype,
        }
    )
    if dtype not in ("float32", "float64"):
        raise NotDense(f"The float type is {dtype!r}.")
    layers = _layers(tuple(input_shape), layers, dtype)
    loss = _measure(loss, layers, None)
    if loss.function not in LOSSES or loss.root:
        raise NotDense(f"The loss is {loss.name}.")
    names, measures = [], []
    for metric in (_measure(each, layers, dtype) for each in metrics):
        if metric.sparse != loss.sparse or metric.name == "loss":
            raise NotDense(f"The metric {metric.name} does not fit the loss.")
        n = names.count(metric.name)  # Keras numbers equal names (``CompileMetrics.result``)
        names.append(metric.name)
        measures.append(metric._replace(name=f"{metric.name}_{n}") if n else metric)
    optimizer, settings = _optimizer(optimizer)
    return Network(tuple(input_shape), layers, loss, tuple(measures), optimizer, settings, dtype, described)


# Fields of configurations that are covered at these values alone.
_ABSENT = (
    *("activity_regularizer", "kernel_constraint", "bias_constraint", "beta_constraint", "gamma_constraint"),
    *("beta_regularizer", "gamma_regularizer", "quantization_config", "lora_rank", "lora_alpha"),
    *("max_value", "noise_shape", "ignore_class", "loss_scale_factor", "gradient_accumulation_steps"),
)
_FIXED = {
    **dict.fromkeys(_ABSENT, (None,)),
    **dict.fromkeys(("synchronized", "renorm", "amsgrad", "centered", "use_ema"), (False,)),
    "trainable": (True,),
    "threshold": (0,),
    "axis": (-1, 1),
    "data_format": (None, "channels_last"),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "reduction": ("sum_over_batch_size", "mean"),
}

LAYERS = {
    "Dense": {
        "units": None,
        "activation": None,
        "use_bias": True,
        "kernel_initializer": "glorot_uniform",
        "bias_initializer": "zeros",
        "kernel_regularizer": None,
        "bias_regularizer": None,
    },
    "BatchNormalization": {
        "momentum": 0.99,
        "epsilon": 0.001,
        "center": True,
        "scale": True,
        "beta_initializer": "zeros",
        "gamma_initializer": "ones",
        "moving_mean_initializer": "zeros",
        "moving_variance_initializer": "ones",
    },
    "Activation": {"activation": None},
    "ReLU": {"negative_slope": 0.0},
    "LeakyReLU": {"negative_slope": 0.3},
    "ELU": {"alpha": 1.0},
    "Softmax": {},
    "Dropout": {"rate": None, "seed": None},
    "Flatten": {},
}


def settings_of(class_name, config, defaults):
    """Return a configuration with its defaults; refuse unknown fields and values."""
    for name, value in config.items():
        if name not in {*defaults, "name", "dtype"} and value not in _FIXED.get(name, ()):
            raise NotDense(f"{class_name} has {name}={value!r}.")
    return {name: config.get(name, default) for name, default in defaults.items()}


def _described(given):
    """Return class name and configuration of a name, of what Keras serializes, or of a pair."""
    if isinstance(given, dict):
        return given.get("class_name"), given.get("config") or {}
    return (given, {}) if isinstance(given, str) else given


def _layers(input_shape, described, dtype):
    if not input_shape or not all(isinstance(size, Integral) and size > 0 for size in input_shape):
        raise NotDense(f"The shape of a row is {input_shape}.")
    layers, width, is_flat = [], math.prod(map(int, input_shape)), len(input_shape) == 1
    for class_name, config in described:
        if class_name not in LAYERS:
            raise NotDense(f"There is a layer of class {class_name}.")
        policy = _described(config.get("dtype") or dtype)
        if policy[1].get("name", policy[0]) != dtype:
            raise NotDense(f"{class_name} has dtype={config['dtype']!r}.")
        s = settings_of(class_name, config, LAYERS[class_name])
        if class_name == "Flatten" and not layers:
            is_flat = True
        elif class_name == "Flatten" or not is_flat:
            raise NotDense("Flatten is not the first layer.")
        layers += _parts(class_name, s, width)
        width = layers[-1].n_units if layers else width
    if not any(layer.kind == "dense" for layer in layers):
        raise NotDense("There is no Dense layer.")
    if layers[-1].kind == "dropout":
        raise NotDense("Dropout is the last layer.")
    return tuple(layers)


def _parts(class_name, s, width):
    """Return the layers that one of Keras's stands for."""
    if class_name == "Flatten":
        return []
    if class_name == "Dense":
        units = int(s["units"])
        variables = [_variable("kernel", (width, units), s)]
        variables += [_variable("bias", (units,), s)] if s["use_bias"] else []
        dense = Layer("dense", width, units, tuple(variables), {})
        return [dense, *_activation(s["activation"], units)]
    if class_name == "BatchNormalization":
        names = {"gamma": s["scale"], "beta": s["center"], "moving_mean": True, "moving_variance": True}
        variables = [_variable(name, (width,), s) for name, has_it in names.items() if has_it]
        settings = {key: float(s[key]) for key in ("momentum", "epsilon")}
        return [Layer("batch_normalization", width, width, tuple(variables), settings)]
    if class_name == "Dropout":
        if not 0 <= s["rate"] < 1:
            raise NotDense(f"Dropout has rate={s['rate']!r}.")
        return [Layer("dropout", width, width, (), s)] if s["rate"] else []
    if class_name == "Activation":
        return _activation(s["activation"], width)
    if class_name == "ReLU" and not s["negative_slope"]:
        return _activation("relu", width)
    name = {"ELU": "elu", "Softmax": "softmax"}.get(class_name, "leaky_relu")
    settings = {key: float(s[key]) for key in ("alpha", "negative_slope") if key in s}
    return [Layer(name, width, width, (), settings)]


def _activation(name, width):
    if name in (None, "linear"):
        return []
    name = "silu" if name == "swish" else name
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise NotDense("There is an activation that is not covered.")
    return [Layer(name, width, width, (), {})]


def _variable(name, shape, s):
    """Return a variable of a layer with settings ``s``."""
    class_name, config = _described(s[f"{name}_initializer"])
    initializer = str(class_name).lower().replace("_", "")
    start = {"zeros": 0.0, "ones": 1.0}.get(initializer)
    if initializer == "glorotuniform" and config.get("seed") is None:
        start = "glorot_uniform"
    penalties, regularizer = {}, s.get(f"{name}_regularizer")
    if regularizer is not None:
        class_name, config = _described(regularizer)
        known = {"L1": {"l1": 0.01}, "L2": {"l2": 0.01}, "L1L2": {"l1": 0.0, "l2": 0.0}}
        class_name = {"l1": "L1", "l2": "L2", "l1_l2": "L1L2"}.get(class_name, class_name)
        if class_name not in known:
            raise NotDense(f"There is the regularizer {class_name}.")
        penalties = settings_of(class_name, config, known[class_name])
    l1, l2 = (float(penalties.get(each, 0)) for each in ("l1", "l2"))
    return Variable(name, shape, start, l1, l2, trainable=not name.startswith("moving"))


# Classes of losses and metrics, and the functions that they stand for.
MEASURES = {
    name.title().replace("_", ""): name
    for name in (*LOSSES, *CROSSENTROPIES, *ERRORS, *SCORES)
    if name not in CROSSENTROPIES.values()
}
MEASURES |= {"RootMeanSquaredError": "mean_squared_error"}
_PARAMETERS = {
    "huber": {"delta": 1.0},
    "binary_crossentropy": {"from_logits": False, "label_smoothing": 0.0},
    "categorical_crossentropy": {"from_logits": False, "label_smoothing": 0.0},
    "sparse_categorical_crossentropy": {"from_logits": False},
    "binary_accuracy": {"threshold": 0.5},
    "subset_accuracy": {"threshold": 0.5},
}


def _measure(described, layers, dtype):
    """Return a loss, or, with a float type, a metric."""
    class_name, config = described
    function = MEASURES.get(class_name, class_name)
    if function not in MEASURES.values():
        raise NotDense(f"There is the loss or metric {class_name}.")
    if function == "huber" and "reduction" in config and "delta" not in config:
        raise NotDense("Keras's configuration of Huber does not tell its delta.")
    if config.get("dtype", dtype) not in (None, dtype):
        raise NotDense(f"{class_name} has another dtype.")
    s = settings_of(class_name, config, _PARAMETERS.get(function, {}))
    smoothing, from_logits = s.pop("label_smoothing", 0), s.pop("from_logits", False)
    # Keras goes back behind softmax and sigmoid (``_get_logits`` in keras/src/backend/tensorflow/nn.py).
    logits = function in CROSSENTROPIES and layers[-1].kind in ("softmax", "sigmoid")
    if function in CROSSENTROPIES and logits == from_logits:
        raise NotDense(f"{class_name} has from_logits={from_logits} behind {layers[-1].kind}.")
    return Measure(
        CROSSENTROPIES.get(function, function),
        config.get("name") or function,
        logits=logits,
        sparse=function.startswith("sparse"),
        settings={key: float(value) for key, value in s.items()},
        smoothing=float(smoothing),
        root=class_name == "RootMeanSquaredError",
    )


def _optimizer(described):
    """Return class name and settings of an optimizer."""
    class_name, config = described
    if class_name not in OPTIMIZERS:
        raise NotDense(f"The optimizer is {class_name}.")
    s = settings_of(class_name, config, {**COMMON, **OPTIMIZERS[class_name].defaults})
    for key in ("clipnorm", "global_clipnorm", "clipvalue"):
        s[key] = float(s[key]) if s[key] and s[key] > 0 else None
    rate = s["learning_rate"]
    if isinstance(rate, Real):
        s["learning_rate"] = float(rate)
    else:
        name, config = _described(rate)
        if name not in SCHEDULES:
            raise NotDense(f"The learning rate is {rate!r}.")
        s["learning_rate"] = name, settings_of(name, config, SCHEDULES[name][1])
    return class_name, s
