"""Parameters that several estimators have: allowed values, and texts for the docstrings."""

import inspect
import re
from numbers import Integral, Real

from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

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
    "optimizer": [str, dict, callable, HasMethods(["get_config", "apply"])],
    "metrics": [str, dict, list, tuple, callable, None],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "batch_size": _BATCH_SIZE,
    "shuffle": ["boolean"],
    "validation_split": [Interval(Real, 0, 1, closed="left"), HasMethods(["split", "get_n_splits"]), None],
    "early_stopping": ["boolean"],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "scoring": [str, callable],
    "engine": [StrOptions({"auto", "numpy", "compiled", "keras"})],
    "callbacks": [list, tuple, dict, callable, HasMethods(["on_epoch_end", "set_model"]), None],
    "warm_start": ["boolean"],
    "verbose": ["boolean", Options(Integral, {0, 1, 2}), StrOptions({"auto"})],
    "random_state": ["random_state"],
}
# Parameters of the estimators that build their network themselves.
NETWORK_CONSTRAINTS = {
    **TRAINING_CONSTRAINTS,
    "hidden_layer_sizes": SIZES,
    "activation": [StrOptions(set(_ACTIVATIONS)), callable],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "loss": [str, callable],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), callable, None],
}

_SPLIT = """float in [0, 1), splitter or None
        Share of the rows held out to validate on, {}; or a splitter of
        scikit-learn, such as ``GroupShuffleSplit(1)`` with ``groups`` in `fit`, whose
        last split is used. None means 0.1 if ``early_stopping``, else none."""
# Name -> type and description, for every kind of estimator.
_TEXTS = {
    "model": """callable, keras.Model or None
        Function that returns a Keras model, or a model, which is copied for every fit and whose weights
        are the starting weights. The function may take any of ``meta`` (what was learnt from the data,
        e.g. ``meta["n_features_in_"]``), ``compile_kwargs`` (arguments for ``keras.Model.compile``) and
        ``params`` (all parameters), besides its own parameters, given as ``model__<name>``. None where a
        subclass defines ``_keras_build_fn``.""",
    "build_fn": """callable
        Former name of ``model``.""",
    "warm_start": """bool
        Continue from the weights of the last fit instead of building a new model.""",
    "random_state": """int, RandomState instance or None
        Seeds initial weights, dropout, shuffling and the validation split. With an int,
        fits are repeatable to the bit on a CPU; nothing global is seeded.""",
    "optimizer": """str, keras.optimizers.Optimizer or class
        Its further parameters are given as ``optimizer__<name>``.""",
    "learning_rate": """float, LearningRateSchedule or None
        Learning rate of the optimizer; None means the default of the optimizer itself (0.001 for "adam").""",
    "metrics": """str, callable, keras.metrics.Metric, class, or list or dict of them
        Recorded in ``history_``, besides the loss.""",
    "batch_size": """int or None
        Rows of one step of training; None means 32, -1 all rows at once. Also of a prediction, where
        the model looks across rows.""",
    "validation_batch_size": """int or None
        Rows of one step of validation; None means ``batch_size``.""",
    "verbose": """{0, 1, 2} or bool
        As in ``keras.Model.fit``.""",
    "callbacks": """keras.callbacks.Callback, class, or list or dict of them
        An instance is the one that is called, as in Keras, and `sklearn.base.clone` copies
        it; a class makes a new one for every fit. ``callbacks__<name>`` sets parameters of
        those made, and of copies of instances.""",
    "shuffle": """bool
        Take the rows in a new order in each epoch.""",
    "run_eagerly": """bool
        Run the model's Python step by step, for debugging.""",
    "epochs": """int
        Passes over the rows.""",
    "early_stopping": """bool
        Stop when the score of the validation rows has not improved for
        ``n_iter_no_change`` epochs, and keep the weights of the best epoch.""",
    "scoring": """str or callable
        The criterion of early stopping and ``best_epoch_``, on the validation rows: "loss",
        the name of one of ``metrics``, the name of a scorer of scikit-learn such as
        "roc_auc", or a scorer or function ``scoring(estimator, X, y)``, for which higher is
        better. A score that Keras does not compute is computed after each epoch, and is
        in ``history_`` as ``val_<name>``.""",
    "n_iter_no_change": """int
        Epochs without improvement before training stops early.""",
    "engine": """{"auto", "numpy", "compiled", "keras"}
        How to train: dense networks in NumPy, whole epochs as one compiled program, or
        ``keras.Model.fit``, a step at a time. "auto" takes the first of them that can;
        "numpy" and "compiled" raise an error where they can't.""",
    "inputs": """dict of str to str or list of str, or None
        The columns of a DataFrame that each input of the model gets, by its name. Other inputs
        get the column of their name. None takes numbers alone as one array.""",
    "adapt": """bool
        Whether preprocessing layers of the model that have not learnt yet (``Normalization``,
        ``TextVectorization``, ``StringLookup``, ``IntegerLookup``, ``Discretization``), and each
        ``keras.utils.FeatureSpace`` among the parameters of the builder, are adapted to the rows to
        train on, before each training of a new model.""",
    "validation_split": _SPLIT.format("shuffled"),
    "class_weight": """dict, "balanced", list of dict or None
        Weights of the classes, keyed by label; multiplied with ``sample_weight``.""",
    "hidden_layer_sizes": """int or array-like of int
        Units of each hidden layer; an empty tuple gives a linear model.""",
    "activation": """str or callable
        Activation of the hidden layers, by Keras's name.""",
    "dropout": """float in [0, 1)
        Share of the units of each hidden layer that is dropped in a step of training.""",
    "batch_norm": """bool
        Normalise between the linear part and the activation of each hidden layer.""",
    "l2_regularization": """float
        Adds ``l2_regularization * sum(w ** 2)`` over all kernels to the loss.""",
    "kwargs": """dict
        Parameters of the builder, and routed ones: ``model__``, ``compile__``,
        ``optimizer__``, ``loss__``, ``metrics__``, ``callbacks__``, ``fit__``,
        ``predict__`` and ``score__`` followed by a name.""",
    "notes": """Notes
    -----
    Parameters of the optimizer, the loss, the metrics and the callbacks, and of `fit`, `predict`
    and `score`, are given as ``optimizer__<name>``, ``loss__<name>``, ``metrics__<name>``,
    ``callbacks__<name>``, ``fit__<name>``, ``predict__<name>`` and ``score__<name>``. They
    are parameters like any other, and can be searched.""",
}
FIT_ATTRIBUTES = """n_iter_ : int
        Number of epochs trained.
    engine_ : {"numpy", "compiled", "keras"}
        What trained the last fit.
    engine_reason_ : str or None
        Why ``keras.Model.fit`` trained; None where it did not.
    callbacks_ : list of keras.callbacks.Callback
        The callbacks of the last fit.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where ``X`` had names that are strings."""
_ATTRIBUTES = f"""model_ : keras.Model
        The trained model.
    history_ : dict of str to list of float
        Loss and metrics of every epoch, under Keras's names; NaN where there is no value,
        as in epochs without validation.
    best_epoch_ : int
        Epoch, counted from 0, that is best by ``scoring`` (by the training loss where
        there are no validation rows). With ``early_stopping`` the model has its weights.
    {FIT_ATTRIBUTES}
    target_encoder_, feature_encoder_ : transformer
        From ``y`` and ``X`` to what the model takes, and back.
    X_shape_, X_dtype_ : tuple of int, numpy.dtype
        Shape and type of ``X`` in `fit`.
    target_type_, y_dtype_, y_ndim_ : str, numpy.dtype, int
        Kind, type and number of dimensions of ``y`` in `fit`."""

# What differs between the kinds; "attributes" come before those that all kinds have.
_KINDS = {
    ClassifierMixin: {
        "loss": """str, callable, keras.losses.Loss or class
        "auto" means binary cross-entropy for two classes and for several labels, sparse
        categorical cross-entropy for more classes. The output layer and the encoding of
        the target follow the loss. With "categorical_crossentropy", one-hot rows as ``y``
        are classes, and predicted as such rows.""",
        "validation_split": _SPLIT.format("shuffled and stratified"),
        "attributes": """classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_classes_ : int
        Number of classes, or of labels for a multilabel target.
    """,
    },
    RegressorMixin: {
        "loss": """str, callable, keras.losses.Loss or class
        "auto" means the mean squared error.""",
        "attributes": """n_outputs_ : int
        Number of targets.
    """,
    },
    object: {"attributes": ""},
}


def documented(cls, texts=None):
    """Complete the docstring of a class.

    ``{parameters}`` becomes the parameters of the signature, in its order: each with its entry above that
    line if there is one, else with the text shared by the estimators. Any other ``{name}`` on a line of its
    own becomes the text of that name: of ``texts``, which a few estimators share, or of this module.
    """
    of_kind = next(texts for kind, texts in _KINDS.items() if issubclass(cls, kind))
    attributes = f"Attributes\n    ----------\n    {of_kind['attributes']}{_ATTRIBUTES}"
    texts = {**_TEXTS, **of_kind, "attributes": attributes, **(texts or {})}
    before, own, after = re.fullmatch(
        r"(.*?-{10}\n)(.*?) {4}\{parameters\}\n(.*)", cls.__doc__, re.DOTALL
    ).groups()
    own = {re.match(r"\W*(\w+)", entry)[1]: entry for entry in re.split(r"^(?= {4}\S)", own, flags=re.M)[1:]}
    entries = []
    for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
        if name not in texts or name in own:
            entries += [own[name]] if name in own else []
            continue
        kind, _, description = texts[name].partition("\n")
        default = parameter.default
        default = f'"{default}"' if isinstance(default, str) else repr(default)
        variable = parameter.kind is parameter.VAR_KEYWORD
        head = f"**{name} : {kind}" if variable else f"{name} : {kind}, default={default}"
        entries.append(f"    {head}\n{description}\n")
    after = re.sub(r"(?<=\n {4})\{(\w+)\}(?=\n)", lambda match: texts[match[1]], after)
    cls.__doc__ = before + "".join(entries) + after
    return cls
