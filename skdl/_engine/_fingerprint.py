"""What a traced program depends on, as a hashable value.

Two models with equal fingerprints give the same program. For Keras's own classes their
configuration says all; for a user's class it is the code of the class and whatever its
instances hold; for a function its code, defaults, closure and the globals that it
names. What can't be told for certain is opaque, and its programs are not shared.
"""

import enum
import functools
import hashlib
import inspect
import re
import sys
import types
import warnings

import numpy as np
from tensorflow.python.framework.config import is_op_determinism_enabled

from skdl._backend import keras, tf

_TRUSTED = {"keras", "tensorflow", "numpy", *sys.stdlib_module_names} - {"__main__"}
_MOST = 20_000
_NAMING = ("name", "inbound_nodes", "input_layers", "output_layers")
_PLAIN = (str, bytes, int, bool, type(None), type(Ellipsis), tf.DType, tf.TensorShape, np.dtype)


class Opaque(Exception):
    """Something whose behaviour a fingerprint can't tell."""


def _trusted(thing):
    return (getattr(thing, "__module__", None) or "").split(".")[0] in _TRUSTED


@functools.cache
def _bookkeeping():
    """Return the attributes that Keras itself sets on models, layers and optimizers."""
    # Named, because naming a thing automatically counts up for the whole process.
    name = "bookkeeping"
    layer = keras.layers.Identity(name="layer")
    inputs = keras.Input((1,), name=name)
    known = (
        keras.layers.Layer(name=name),
        keras.Model(name=name),
        keras.Model(inputs, layer(inputs), name=name),
        keras.Sequential([inputs, layer], name=name),
        keras.optimizers.SGD(name=name),
    )
    names = {
        *("_compile_config", "_compile_loss", "_compile_metrics", "_compiled_trainable_state", "_kernel"),
        *("_eval_epoch_iterator", "_loss_tracker", "build", "history", "loss", "optimizer", "quantize"),
    }
    return names.union(*map(vars, known))


class _Writer:
    """Describes objects; one for each fingerprint, since it numbers what it meets."""

    def __init__(self, names):
        self.names = names
        self.naming = False
        self.met = {}
        self.user_code = False

    def describe(self, thing):
        if isinstance(thing, str):
            return self.names.get(thing, thing) if self.naming else thing
        if isinstance(thing, _PLAIN):
            return type(thing), thing
        if isinstance(thing, float):
            return "float", thing.hex()
        if isinstance(thing, enum.Enum):
            return type(thing), thing.name
        if isinstance(thing, np.generic):
            return "scalar", thing.dtype.str, thing.tobytes()
        if isinstance(thing, tuple):
            return "tuple", tuple(map(self.describe, thing))
        if id(thing) in self.met:
            return "again", self.met[id(thing)][0]
        if len(self.met) > _MOST:
            raise Opaque("more objects than can be described")
        # Held, so that no other object gets the same id.
        self.met[id(thing)] = len(self.met), thing
        if isinstance(thing, np.ndarray | tf.Tensor) and not isinstance(thing, keras.Variable):
            return self.array(thing)
        if isinstance(thing, dict):
            if thing.get("class_name") == "__lambda__":
                return "lambda"  # described by `custom`; its bytes differ from time to time
            # The order may matter, as that of the layers does.
            return "dict", tuple((key, self.entry(key, value)) for key, value in thing.items())
        if isinstance(thing, list):
            return "list", tuple(map(self.describe, thing))
        if isinstance(thing, set | frozenset) and all(isinstance(each, _PLAIN) for each in thing):
            return "set", frozenset(thing)
        if isinstance(thing, type):
            return self.class_(thing)
        if isinstance(thing, functools.partial):
            return "partial", *map(self.describe, (thing.func, thing.args, thing.keywords))
        if isinstance(thing, types.MethodType):
            return "method", self.describe(thing.__func__), self.describe(thing.__self__)
        if isinstance(thing, types.FunctionType):
            return self.function(thing)
        if isinstance(thing, types.BuiltinFunctionType | types.ModuleType | np.ufunc):
            return "builtin", thing
        if isinstance(thing, keras.Variable):
            return "variable", tuple(thing.shape), thing.dtype, thing.trainable
        if isinstance(thing, keras.Layer):
            return self.layer(thing)
        if isinstance(thing, keras.optimizers.Optimizer):
            return self.optimizer(thing)
        if isinstance(thing, keras.KerasTensor):
            return "keras tensor", tuple(thing.shape), thing.dtype
        return self.instance(thing)

    def entry(self, key, value):
        """Describe the value of a key; some keys of a configuration lead to names of layers."""
        naming, self.naming = self.naming, self.naming or key in _NAMING
        try:
            return self.describe(value)
        finally:
            self.naming = naming

    def array(self, thing):
        if not isinstance(thing, np.ndarray) and not hasattr(thing, "numpy"):
            raise Opaque("a symbolic tensor")
        array = np.asarray(thing)
        if array.dtype.kind not in "fiub":
            raise Opaque(f"an array of {array.dtype}")
        return type(thing), array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()

    def class_(self, cls):
        if _trusted(cls):
            return "class", cls
        self.user_code = True
        code = [
            (name, self.describe(inspect.unwrap(_bare(value))))
            for base in cls.__mro__
            if not _trusted(base)
            for name, value in vars(base).items()
            if not name.startswith("__") or isinstance(value, types.FunctionType)
            if not isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType)
            if name != "_abc_impl"
        ]
        return "class", cls, tuple(code)

    def function(self, function):
        if _trusted(function):
            return "function", function
        self.user_code = True
        code = function.__code__
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        return (
            "function",
            code,
            self.describe(function.__defaults__),
            self.describe(function.__kwdefaults__),
            tuple(map(self.describe, cells)),
            tuple(
                (name, self.describe(function.__globals__[name]))
                for name in sorted(_names(code))
                if name in function.__globals__
            ),
        )

    def held(self, thing, known=frozenset()):
        """Describe what an instance holds, apart from what is Keras's bookkeeping."""
        if not hasattr(thing, "__dict__"):
            raise Opaque(f"a {type(thing).__name__}")
        return tuple(
            (name, self.describe(value))
            for name, value in vars(thing).items()
            if name not in known and name not in ("name", "_name")
        )

    def instance(self, thing):
        cls = type(thing)
        if _trusted(cls) and not cls.__module__.startswith("keras"):
            raise Opaque(f"a {cls.__name__}")
        # A name is a column of the history, which is read from each model unless Keras
        # numbered it.
        name = getattr(thing, "name", None)
        if isinstance(name, str) and _automatic(name, cls):
            name = None
        skip = {"_tracker", "_metrics", "_variables", "_lock", "_dtype_policy", "_auto_config"}
        return "instance", self.class_(cls), name, self.held(thing, skip)

    def layer(self, layer):
        config, known = (), _bookkeeping()
        if _trusted(type(layer)) or isinstance(layer, keras.src.models.functional.Functional):
            config = self.config(layer)
        if _trusted(type(layer)):
            # A configuration names functions and classes of a user, but not what they do.
            parts = tuple(self.custom(value) for name, value in vars(layer).items() if name not in known)
            children = tuple(self.describe(child) for child in layer._layers)
            return "layer", type(layer), config, parts, children
        return (
            "layer",
            self.class_(type(layer)),
            config,
            layer.trainable,
            layer.dtype_policy.name,
            tuple(map(self.describe, layer._layers)),
            tuple(map(self.describe, layer.variables)),
            self.held(layer, known),
        )

    def config(self, layer):
        if not any(_lambdas(each) for each in layer._flatten_layers()):
            return self.describe(layer.get_config())
        with warnings.catch_warnings():
            # That they can't be reloaded safely is of no matter here.
            warnings.filterwarnings("ignore", ".*`lambda`")
            return self.describe(layer.get_config())

    def custom(self, value):
        """Describe an attribute of one of Keras's layers where it is not Keras's own."""
        if isinstance(value, tf.Tensor) and not isinstance(value, keras.Variable):
            return self.describe(value)
        if isinstance(value, types.FunctionType | functools.partial | np.ndarray):
            return None if _trusted(value) else self.describe(value)
        if isinstance(value, types.MethodType):
            return None if _trusted(value.__func__) else self.describe(value)
        if isinstance(value, keras.Layer | keras.Variable) or _trusted(type(value)):
            return None
        return self.describe(value)

    def optimizer(self, optimizer):
        rate = getattr(optimizer, "_learning_rate", None)
        rate = "variable" if isinstance(rate, keras.Variable) else self.describe(rate)
        decayed = ()
        if optimizer.weight_decay is not None:
            decayed = tuple(map(optimizer._use_weight_decay, _values(optimizer._trainable_variables)))
        if _trusted(type(optimizer)):
            config = {k: v for k, v in optimizer.get_config().items() if k not in ("name", "learning_rate")}
            inner = getattr(optimizer, "inner_optimizer", None)
            if inner is not None:
                config["inner_optimizer"] = inner
            return "optimizer", type(optimizer), rate, decayed, self.describe(config)
        config = {
            k: getattr(optimizer, k)
            for k in ("clipnorm", "global_clipnorm", "clipvalue", "use_ema", "ema_momentum")
            + ("ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps", "weight_decay")
        }
        held = self.held(optimizer, _bookkeeping() | set(config))
        return "optimizer", self.class_(type(optimizer)), rate, decayed, self.describe(config), held


def _lambdas(layer):
    """Whether a layer holds functions without a name, of which Keras warns."""
    values = vars(layer).values()
    return any(isinstance(v, types.FunctionType) and v.__name__ == "<lambda>" for v in values)


def _bare(value):
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, property):
        return (value.fget, value.fset)
    return value


def _values(variables):
    return [v.value if isinstance(v, keras.Variable) else v for v in variables]


def _names(code):
    """Return the names that code, and the functions defined in it, may look up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _automatic(name, cls):
    stem = keras.src.utils.naming.to_snake_case(cls.__name__)
    return re.fullmatch(rf"{re.escape(stem)}(_\d+)?", name) is not None


def _automatic_names(model):
    """Map names that Keras numbered to ones that do not depend on what was built before."""
    names = {}
    for layer in model._flatten_layers():
        if _automatic(layer.name, type(layer)):
            names.setdefault(layer.name, f"<{len(names)}>")
    return names


def fingerprint(model, *, compiled):
    """Return what the programs of a model depend on.

    Parameters
    ----------
    model : keras.Model
        Built.
    compiled : bool
        Include the loss, the metrics and the optimizer.

    Returns
    -------
    key : tuple
        Hashable.
    user_code : bool
        Whether some of what it describes is not Keras's own.

    Raises
    ------
    Opaque
        If the model holds something that can't be described.
    """
    writer = _Writer(_automatic_names(model))
    key = [
        keras.config.floatx(),
        keras.config.backend(),
        is_op_determinism_enabled(),
        writer.layer(model),
        tuple((tuple(v.shape), v.dtype, v.trainable, _constrained(v)) for v in model.variables),
        tuple(layer.trainable for layer in model._flatten_layers()),
    ]
    if compiled:
        loss, metrics = model._compile_loss, model._compile_metrics
        key += [
            writer.describe(loss and [loss._user_loss, loss._user_loss_weights]),
            writer.describe(metrics and [metrics._user_metrics, metrics._user_weighted_metrics]),
            writer.describe(list(model._metrics)),
            writer.describe(model.optimizer),
        ]
        if not _trusted(type(model)):
            # Logs of its own may be named after outputs, whatever these are called.
            names = getattr(model, "output_names", None) or ()
            key.append((*names, *(metric.name for metric in model.metrics)))
    key = tuple(key)
    try:
        hash(key)
    except TypeError as error:
        raise Opaque(str(error)) from error
    return key, writer.user_code


def _constrained(variable):
    return variable.regularizer is not None, variable.constraint is not None
