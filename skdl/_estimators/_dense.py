"""Multilayer perceptrons: `DNNClassifier` and `DNNRegressor`."""

from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from skdl._estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from skdl._estimators._network_estimator import NetworkEstimator, layer_sizes
from skdl._estimators._shared_params import (
    CLASS_WEIGHT,
    NETWORK_CONSTRAINTS,
    NETWORK_ESTIMATOR_CONSTRAINTS,
    documented,
)
from skdl._routing import as_python
from skdl._typing import (
    Callbacks,
    ClassWeight,
    Engine,
    LearningRate,
    Loss,
    Metrics,
    Optimizer,
    RandomState,
    Scoring,
    Sizes,
    Splitter,
    Verbose,
)
from skdl._warnings import warn

if TYPE_CHECKING:
    from skdl._estimators._keras_params import RoutedParams

_DENSE_CONSTRAINTS = {
    **NETWORK_CONSTRAINTS,
    "batch_norm": ["boolean"],
    "l2_regularization": [Interval(Real, 0, None, closed="left")],
}
# Largest standard deviation of a target, and inverse of the smallest, without a warning.
_FAR = 100


def _layers(self, row_shape, output):
    """Return the layers of a multilayer perceptron; see `NetworkEstimator._layers`."""
    if len(row_shape) != 1:
        raise ValueError(
            f"Found array with dim {len(row_shape) + 1}, while dim <= 2 is required by a multilayer "
            "perceptron. Reshape it to (n_samples, n_features), or use CNNClassifier for images."
        )
    activation, rate, l2 = as_python([self.activation, self.dropout, self.l2_regularization])
    regularizer = {"class_name": "L2", "config": {"l2": l2}}
    penalty = {"kernel_regularizer": regularizer} if l2 else {}
    layers = []
    for size in layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"):
        if self.batch_norm:
            layers += [
                ("Dense", {"units": size, **penalty}),
                ("BatchNormalization", {}),
                ("Activation", {"activation": activation}),
            ]
        else:
            layers.append(("Dense", {"units": size, "activation": activation, **penalty}))
        if rate:
            layers.append(("Dropout", {"rate": rate}))
    name, arguments = output
    return [*layers, (name, {**arguments, **penalty})]


def _kernels(self: NetworkEstimator) -> list[NDArray[Any]]:
    """Kernels of the dense layers: list of ndarray of shape (n_inputs, n_units)."""
    return self._weights_named("kernel")


def _biases(self: NetworkEstimator) -> list[NDArray[Any]]:
    """Biases of the dense layers: list of ndarray of shape (n_units,)."""
    return self._weights_named("bias")


@documented
class DNNClassifier(KerasClassifierMixin, NetworkEstimator):
    """Multilayer perceptron that classifies, as a Keras model.

    Takes two classes, more classes, and multilabel targets. Scale the features first,
    for instance with ``StandardScaler`` in a pipeline.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    KerasClassifier : The same training for any Keras model.
    sklearn.neural_network.MLPClassifier : scikit-learn's own.

    Notes
    -----
    {notes}

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016,
       chapter 6.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdl import DNNClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = DNNClassifier((32,), learning_rate=0.02, epochs=20, random_state=0)
    >>> pipe = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> pipe.score(X, y) > 0.9
    True
    >>> pipe.predict_proba(X[:1]).shape
    (1, 3)
    """

    _parameter_constraints: dict = {
        **_DENSE_CONSTRAINTS,
        **NETWORK_ESTIMATOR_CONSTRAINTS,
        "class_weight": CLASS_WEIGHT,
    }

    _layers = _layers
    coefs_ = property(_kernels)
    intercepts_ = property(_biases)

    def __init__(
        self,
        hidden_layer_sizes: Sizes = (100,),
        *,
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        l2_regularization: float = 0.0,
        optimizer: Optimizer = "adam",
        learning_rate: "LearningRate | None" = None,
        loss: Loss = "auto",
        metrics: "Metrics | None" = "accuracy",
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_split: float | Splitter | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: Scoring = "loss",
        engine: Engine = "auto",
        class_weight: "ClassWeight | None" = None,
        callbacks: "Callbacks | None" = None,
        warm_start: bool = False,
        verbose: Verbose = 0,
        random_state: RandomState | None = None,
        **routed: "Unpack[RoutedParams]",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l2_regularization = l2_regularization
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.metrics = metrics
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validation_split = validation_split
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.engine = engine
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self._store_routed(routed)


@documented
class DNNRegressor(KerasRegressorMixin, NetworkEstimator):
    """Multilayer perceptron that predicts numbers, as a Keras model.

    Takes one target or several. Scale the features first, for instance with
    ``StandardScaler`` in a pipeline, and a target of large numbers with
    ``TransformedTargetRegressor``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    KerasRegressor : The same training for any Keras model.
    sklearn.neural_network.MLPRegressor : scikit-learn's own.

    Notes
    -----
    {notes}

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016,
       chapter 6.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdl import DNNRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = DNNRegressor((32,), learning_rate=0.02, epochs=20, random_state=0)
    >>> make_pipeline(StandardScaler(), reg).fit(X, y).score(X, y) > 0.4
    True
    """

    _parameter_constraints: dict = {
        **_DENSE_CONSTRAINTS,
        **NETWORK_ESTIMATOR_CONSTRAINTS,
    }

    _layers = _layers
    coefs_ = property(_kernels)
    intercepts_ = property(_biases)

    def _prepare_training(self, train, held_out, plan):
        spread = np.std(train.y, axis=0, dtype=np.float64)
        far = spread[(spread > 0) & ((spread < 1 / _FAR) | (spread > _FAR))]
        if far.size and plan.initial_epoch == 0:
            warn(
                f"The standard deviation of the target is {far[0]:.3g}, far from 1, for which a network is "
                "made: it may learn slowly, or nothing. Standardise the target by "
                "TransformedTargetRegressor(regressor, transformer=StandardScaler()), or use "
                "TabularRegressor, which does so itself.",
            )
        return super()._prepare_training(train, held_out, plan)

    def __init__(
        self,
        hidden_layer_sizes: Sizes = (100,),
        *,
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        l2_regularization: float = 0.0,
        optimizer: Optimizer = "adam",
        learning_rate: "LearningRate | None" = None,
        loss: Loss = "auto",
        metrics: "Metrics | None" = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_split: float | Splitter | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: Scoring = "loss",
        engine: Engine = "auto",
        callbacks: "Callbacks | None" = None,
        warm_start: bool = False,
        verbose: Verbose = 0,
        random_state: RandomState | None = None,
        **routed: "Unpack[RoutedParams]",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.l2_regularization = l2_regularization
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.metrics = metrics
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validation_split = validation_split
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.engine = engine
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self._store_routed(routed)
