"""What the parameters of the estimators may be."""

from numbers import Integral, Real

from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from skdl._backend import keras, keras_is_imported


class InstanceOfKeras(HasMethods):
    """An instance of a class of Keras's, which is imported only where somebody else has done so.

    Parameters
    ----------
    name : str
        As of the package, such as "optimizers.Optimizer".
    """

    def __init__(self, name):
        super().__init__("get_config")
        self.name = name

    def is_satisfied_by(self, val):
        """Return whether a value is such an instance."""
        if not keras_is_imported():
            return False
        kind = keras
        for part in self.name.split("."):
            kind = getattr(kind, part)
        return isinstance(val, kind)

    def __str__(self):
        return f"an instance of 'keras.{self.name}'"


# Names of keras.activations.
_ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish"),
    *("hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu"),
    *("sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid"),
    *("sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "threshold"),
)
_BATCH_SIZE = [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None]
SIZES = [Interval(Integral, 1, None, closed="left"), "array-like"]
CLASS_WEIGHT = [dict, list, StrOptions({"balanced"}), None]

# Parameters of training that every estimator has.
TRAINING_CONSTRAINTS = {
    "optimizer": [str, dict, callable, InstanceOfKeras("optimizers.Optimizer")],
    "metrics": [str, dict, list, tuple, callable, InstanceOfKeras("metrics.Metric"), None],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": _BATCH_SIZE,
    "shuffle": ["boolean"],
    "validation_split": [Interval(Real, 0, 1, closed="left"), HasMethods(["split", "get_n_splits"]), None],
    "early_stopping": ["boolean"],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "scoring": [str, callable],
    "engine": [StrOptions({"auto", "numpy", "compiled", "keras"})],
    "callbacks": [list, tuple, dict, callable, InstanceOfKeras("callbacks.Callback"), None],
    "warm_start": ["boolean"],
    "verbose": ["boolean", Options(Integral, {0, 1, 2}), StrOptions({"auto"})],
    "random_state": ["random_state"],
}
# Parameters of the estimators that build their network themselves.
NETWORK_CONSTRAINTS = {
    "hidden_layer_sizes": SIZES,
    "activation": [StrOptions(set(_ACTIVATIONS)), callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
}
READY_MADE_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    "loss": [str, callable, InstanceOfKeras("losses.Loss")],
    "learning_rate": [
        Interval(Real, 0, None, closed="neither"),
        InstanceOfKeras("optimizers.schedules.LearningRateSchedule"),
        None,
    ],
}
