"""From descriptions in Keras's words to a `Network`; what is not known for certain is refused.

A class is described by its name and its configuration, as ``get_config`` of Keras 3.15 has it. Missing fields
have Keras's defaults. A name says nothing about where a class or function is from: who reads a Keras model makes
sure that they are Keras's own.
"""

from numbers import Integral, Real

from skdl._dense._activations import ACTIVATIONS
from skdl._dense._chain import (
    Activation,
    BatchNormalization,
    Dense,
    Dropout,
    Initializer,
    Loss,
    Network,
    NotDense,
    Optimizer,
    Parameter,
)
from skdl._dense._optimizers import COMMON, OPTIMIZERS
from skdl._dense._schedules import SCHEDULES


def network_of(
    input_shape,
    layers,
    *,
    loss,
    optimizer,
    metrics=(),
    weighted_metrics=(),
    loss_weights=None,
    dtype="float32",
):
    """Return the network that Keras's words describe.

    Parameters
    ----------
    input_shape : tuple of int
        Of one row.
    layers : list of (str, dict)
        Class name and configuration of each layer, in order.
    loss, optimizer : (str, dict)
        A loss may be named by its function. An optimizer's configuration may have
        ``exclude_from_weight_decay``: the positions of trainable variables.
    metrics, weighted_metrics : list of (str, dict), default=()
    loss_weights : float or None, default=None
    dtype : {"float32", "float64"}, default="float32"
        Of Keras, and of all layers.

    Returns
    -------
    Network

    Raises
    ------
    NotDense
        If anything is not covered.
    """
    if dtype not in ("float32", "float64"):
        raise NotDense(f"The float type is {dtype!r}.")
    input_shape = tuple(input_shape)
    if not input_shape or not all(isinstance(size, Integral) and size > 0 for size in input_shape):
        raise NotDense(f"The shape of a row is {input_shape}.")
    layers = _layers(input_shape, layers, dtype)
    ends_in = layers[-1].name if isinstance(layers[-1], Activation) else None
    loss = _loss(loss, ends_in)
    metrics = _metrics(metrics, weighted_metrics, loss, ends_in, dtype)
    behind = isinstance(layers[-1], Dropout) and len(layers) > 1 and getattr(layers[-2], "name", None)
    if behind in ("softmax", "sigmoid") and any("crossentropy" in m.function for m in (loss, *metrics)):
        raise NotDense("A cross-entropy follows on Dropout behind softmax or sigmoid.")
    if not (loss_weights is None or isinstance(loss_weights, Real)):
        raise NotDense(f"loss_weights is {loss_weights!r}.")
    loss_weight = 1.0 if loss_weights is None else float(loss_weights)
    return Network(input_shape, layers, loss, loss_weight, metrics, _optimizer(optimizer), dtype)


def _settings(what, config, defaults, fixed=None):
    """Return a configuration with its defaults; refuse unknown fields and other values than the fixed ones.

    ``fixed`` has for fields that are not covered the values that change nothing.
    """
    fixed = fixed or {}
    for field, value in config.items():
        if field in fixed:
            if value not in fixed[field]:
                raise NotDense(f"{what} has {field}={value!r}.")
        elif field not in defaults and field != "name":
            raise NotDense(f"{what} has the setting {field!r}.")
    return {**defaults, **{k: v for k, v in config.items() if k in defaults}}


def _described(given):
    """Return class name and configuration of what Keras serializes, or of a pair, or of a name."""
    if isinstance(given, str):
        return given, {}
    if isinstance(given, dict):
        return given.get("class_name"), given.get("config") or {}
    return tuple(given)


# Layers

_LAYER_FIXED = {"trainable": (True,), "activity_regularizer": (None,)}

LAYERS = {
    "Dense": (
        {
            "units": None,
            "activation": None,
            "use_bias": True,
            "kernel_initializer": "glorot_uniform",
            "bias_initializer": "zeros",
            "kernel_regularizer": None,
            "bias_regularizer": None,
        },
        {
            "kernel_constraint": (None,),
            "bias_constraint": (None,),
            "lora_rank": (None,),
            "lora_alpha": (None,),
            "quantization_config": (None,),
        },
    ),
    "Activation": ({"activation": None}, {}),
    "ReLU": ({"max_value": None, "negative_slope": 0.0}, {"threshold": (0,)}),
    "LeakyReLU": ({"negative_slope": 0.3}, {}),
    "ELU": ({"alpha": 1.0}, {}),
    "Softmax": ({}, {"axis": (-1,)}),
    "Dropout": ({"rate": None, "seed": None}, {"noise_shape": (None,)}),
    "Flatten": ({}, {"data_format": (None, "channels_last")}),
    "BatchNormalization": (
        {
            "momentum": 0.99,
            "epsilon": 0.001,
            "center": True,
            "scale": True,
            "beta_initializer": "zeros",
            "gamma_initializer": "ones",
            "moving_mean_initializer": "zeros",
            "moving_variance_initializer": "ones",
            "beta_regularizer": None,
            "gamma_regularizer": None,
        },
        {
            "axis": (-1, 1),
            "beta_constraint": (None,),
            "gamma_constraint": (None,),
            "synchronized": (False,),
            "renorm": (False,),
            "renorm_clipping": (None, {}),
            "renorm_momentum": (0.99,),
        },
    ),
    "InputLayer": ({}, {}),
}


def _layers(input_shape, described, dtype):
    """Return the layers of a network; activations of dense layers are layers of their own."""
    layers, flat = [], len(input_shape) == 1
    for class_name, config in described:
        if class_name not in LAYERS:
            raise NotDense(f"There is a layer of class {class_name}.")
        if class_name == "InputLayer":
            continue
        defaults, fixed = LAYERS[class_name]
        own = {field: value for field, value in config.items() if field != "dtype"}
        s = _settings(class_name, own, defaults, {**_LAYER_FIXED, **fixed})
        if "dtype" in config and _float_type(config["dtype"]) not in (None, dtype):
            raise NotDense(f"{class_name} has dtype={config['dtype']!r}.")
        if class_name == "Flatten":
            if layers:
                raise NotDense("Flatten follows on another layer.")
            flat = True
        elif not flat:
            raise NotDense(f"{class_name} comes before Flatten.")
        else:
            layers += _layer(class_name, s)
    if not any(isinstance(layer, Dense) for layer in layers):
        raise NotDense("There is no Dense layer.")
    return tuple(layers)


def _float_type(policy):
    if isinstance(policy, dict) and policy.get("class_name") == "DTypePolicy":
        return policy["config"].get("name")
    return policy if policy is None or isinstance(policy, str) else repr(policy)


def _layer(class_name, s):
    """Return the layers that one of Keras's stands for: none, one or two."""
    if class_name == "Dense":
        kernel = _parameter(s["kernel_initializer"], s["kernel_regularizer"])
        bias = _parameter(s["bias_initializer"], s["bias_regularizer"]) if s["use_bias"] else None
        return [Dense(int(s["units"]), kernel, bias), *_activation(s["activation"])]
    if class_name == "Activation":
        return _activation(s["activation"])
    if class_name == "ReLU":
        most, slope = s["max_value"], s["negative_slope"]
        if most is not None and (slope or most != 6):
            raise NotDense(f"ReLU has max_value={most!r}.")
        if slope:
            return [Activation("leaky_relu", (("negative_slope", float(slope)),))]
        return [Activation("relu" if most is None else "relu6")]
    if class_name == "LeakyReLU":
        return [Activation("leaky_relu", (("negative_slope", float(s["negative_slope"])),))]
    if class_name == "ELU":
        return [Activation("elu", (("alpha", float(s["alpha"])),))]
    if class_name == "Softmax":
        return [Activation("softmax")]
    if class_name == "Dropout":
        if not (isinstance(s["rate"], Real) and 0 <= s["rate"] < 1):
            raise NotDense(f"Dropout has rate={s['rate']!r}.")
        return [Dropout(float(s["rate"]), s["seed"])] if s["rate"] else []
    return [
        BatchNormalization(
            float(s["momentum"]),
            float(s["epsilon"]),
            gamma=_parameter(s["gamma_initializer"], s["gamma_regularizer"]) if s["scale"] else None,
            beta=_parameter(s["beta_initializer"], s["beta_regularizer"]) if s["center"] else None,
            moving_mean=_parameter(s["moving_mean_initializer"], None),
            moving_variance=_parameter(s["moving_variance_initializer"], None),
        )
    ]


_SAME_ACTIVATION = {"swish": "silu", "hard_swish": "hard_silu"}


def _activation(name):
    if name is None or name == "linear":
        return []
    name = _SAME_ACTIVATION.get(name, name) if isinstance(name, str) else repr(name)
    if name not in ACTIVATIONS:
        raise NotDense(f"There is the activation {name}.")
    return [Activation(name)]


def _parameter(initializer, regularizer):
    """Return what is known of a variable."""
    l1, l2 = 0.0, 0.0
    if regularizer is not None:
        class_name, config = _described(regularizer)
        defaults = {
            "L1": {"l1": 0.01},
            "L2": {"l2": 0.01},
            "L1L2": {"l1": 0.0, "l2": 0.0},
        }.get({"l1": "L1", "l2": "L2", "l1_l2": "L1L2"}.get(class_name, class_name))
        if defaults is None:
            raise NotDense(f"There is the regularizer {class_name}.")
        s = _settings(class_name, config, defaults)
        l1, l2 = float(s.get("l1", 0.0)), float(s.get("l2", 0.0))
    return Parameter(_initializer(initializer), l1, l2)


_SCALED = {
    "GlorotUniform": (1.0, "fan_avg"),
    "HeUniform": (2.0, "fan_in"),
    "LecunUniform": (1.0, "fan_in"),
}


def _initializer(given):
    """Return an initialiser; what is not drawn here is unknown, since weights may come from elsewhere."""
    class_name, config = _described(given)
    if not isinstance(class_name, str):
        return Initializer("unknown", repr(class_name))
    name = "".join(part[:1].upper() + part[1:] for part in class_name.split("_"))
    seed = config.get("seed")
    known = seed is None or isinstance(seed, Integral)
    if config.get("input_axes") is not None or config.get("output_axes") is not None:
        known = False
    if name in ("Zeros", "Ones"):
        return Initializer("constant", float(name == "Ones"))
    if name == "Constant" and isinstance(config.get("value", 0.0), Real):
        return Initializer("constant", float(config.get("value", 0.0)))
    if name in _SCALED and known:
        return Initializer("uniform", *_SCALED[name], seed)
    if name == "RandomUniform" and known:
        limits = float(config.get("minval", -0.05)), float(config.get("maxval", 0.05))
        return Initializer("uniform", limits, None, seed)
    if name == "VarianceScaling" and config.get("distribution") == "uniform" and known:
        return Initializer("uniform", float(config.get("scale", 1.0)), config.get("mode", "fan_in"), seed)
    return Initializer("unknown", name)


# Losses and metrics

# Keras's functions by our names, with the parameters that they have here.
_FUNCTIONS = {
    "mean_squared_error": "squared",
    "mean_absolute_error": "absolute",
    "mean_absolute_percentage_error": "percentage",
    "mean_squared_logarithmic_error": "squared_logarithmic",
    "huber": "huber",
    "log_cosh": "log_cosh",
    "poisson": "poisson",
    "kl_divergence": "divergence",
    "hinge": "hinge",
    "squared_hinge": "squared_hinge",
    "categorical_hinge": "categorical_hinge",
    "binary_crossentropy": "binary_crossentropy",
    "categorical_crossentropy": "categorical_crossentropy",
    "sparse_categorical_crossentropy": "class_crossentropy",
    "binary_accuracy": "same_side",
    "categorical_accuracy": "same_class",
    "sparse_categorical_accuracy": "same_class",
}
_CROSSENTROPY = {"from_logits": False, "label_smoothing": 0.0}
_PARAMETERS = {
    "huber": {"delta": None},
    "binary_crossentropy": _CROSSENTROPY,
    "categorical_crossentropy": _CROSSENTROPY,
    "sparse_categorical_crossentropy": {"from_logits": False},
    "binary_accuracy": {"threshold": 0.5},
}
_CLASSES = {
    "MeanSquaredError": "mean_squared_error",
    "RootMeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Huber": "huber",
    "LogCosh": "log_cosh",
    "LogCoshError": "log_cosh",
    "Poisson": "poisson",
    "KLDivergence": "kl_divergence",
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "BinaryCrossentropy": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "BinaryAccuracy": "binary_accuracy",
    "CategoricalAccuracy": "categorical_accuracy",
    "SparseCategoricalAccuracy": "sparse_categorical_accuracy",
}
_METRICS_ALONE = {"RootMeanSquaredError", "LogCoshError"}


def _loss(described, ends_in):
    class_name, config = described
    if class_name in _METRICS_ALONE or "accuracy" in class_name.lower():
        raise NotDense(f"The loss is {class_name}.")
    return _measure(
        "loss", class_name, config, ends_in, {"reduction": ("sum_over_batch_size", "mean"), "dtype": (None,)}
    )


def _measure(kind, class_name, config, ends_in, fixed):
    """Return a loss or metric of the output of a network that ends in an activation."""
    function = _CLASSES.get(class_name, class_name)
    if function not in _FUNCTIONS:
        raise NotDense(f"The {kind} is {class_name}.")
    fixed = {**fixed, "axis": (-1,), "ignore_class": (None,)}
    s = _settings(class_name, config, _PARAMETERS.get(function, {}), fixed)
    sparse, name = function.startswith("sparse"), _FUNCTIONS[function]
    smoothing, from_logits = s.pop("label_smoothing", 0.0), s.pop("from_logits", False)
    logits = "crossentropy" in function and ends_in in ("softmax", "sigmoid")
    if function == "huber" and s["delta"] is None:
        raise NotDense("The configuration of Huber does not tell its delta, and none was added.")
    if logits and from_logits:
        raise NotDense(f"{class_name} has from_logits=True behind {ends_in}.")
    if logits or from_logits:
        name = "sigmoid_crossentropy" if function == "binary_crossentropy" else "softmax_crossentropy"
    return Loss(
        name,
        config.get("name", function),
        logits=logits,
        sparse=sparse,
        settings=tuple((key, float(value)) for key, value in s.items()),
        smoothing=float(smoothing),
        root=class_name == "RootMeanSquaredError",
    )


def _metrics(plain, weighted, loss, ends_in, dtype):
    """Return the metrics under the names that ``CompileMetrics.result`` gives (``keras/src/trainers``)."""
    metrics, names = [], {"loss": 1}
    for weigh, given in ((False, plain), (True, weighted)):
        for class_name, config in given:
            metric = _measure("metric", class_name, config, ends_in, {"dtype": (None, dtype)})
            if metric.sparse != loss.sparse:
                raise NotDense(f"The metric {class_name} takes another target than the loss.")
            if metric.name == "loss":
                raise NotDense("A metric is named 'loss'.")
            name = metric.name
            if weigh and name in names:
                name = f"weighted_{name}"
            n_before = names.get(name, 0)
            names[name] = n_before + 1
            name = f"{name}_{n_before}" if n_before else name
            metrics.append(metric._replace(name=name, weighted=weigh))
    return tuple(metrics)


# Optimizers


def _optimizer(described):
    class_name, config = described
    if class_name not in OPTIMIZERS:
        raise NotDense(f"The optimizer is {class_name}.")
    fixed = {"loss_scale_factor": (None,), "gradient_accumulation_steps": (None,)}
    s = _settings(class_name, config, {**COMMON, **OPTIMIZERS[class_name].defaults}, fixed)
    for key in ("clipnorm", "global_clipnorm", "clipvalue"):
        s[key] = float(s[key]) if s[key] and s[key] > 0 else None
    rate = s["learning_rate"]
    s["learning_rate"] = float(rate) if isinstance(rate, Real) else _schedule(rate)
    s["exclude_from_weight_decay"] = tuple(s["exclude_from_weight_decay"])
    return Optimizer(class_name, tuple(s.items()))


def _schedule(given):
    class_name, config = _described(given)
    if class_name not in SCHEDULES:
        raise NotDense(f"The learning rate is {given!r}.")
    s = _settings(class_name, config, SCHEDULES[class_name][1])
    if class_name == "PiecewiseConstantDecay":
        s = {"boundaries": tuple(map(int, s["boundaries"])), "values": tuple(map(float, s["values"]))}
    return class_name, tuple(s.items())
