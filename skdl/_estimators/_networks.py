"""Networks without writing a builder: `DNNClassifier`, `DNNRegressor` and `CNNClassifier`."""

import functools
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions

from skdl import _typing
from skdl._dense import NotDense, initial_state
from skdl._estimators._base import KerasEstimator
from skdl._estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from skdl._estimators._shared_params import CLASS_WEIGHT, NETWORK_CONSTRAINTS, SIZES, documented
from skdl._model._build import check_routed_params
from skdl._model._compile import as_python
from skdl._model._dense_state import described_network, sequential
from skdl._targets._metrics import fitting_metric
from skdl._targets._output import check_output
from skdl._warnings import warn

if TYPE_CHECKING:
    from skdl._estimators._keras_params import RoutedParams


def layer_sizes(sizes, name):
    """Return sizes of layers, one integer or several, as a list of int. ``name`` is that of the parameter."""
    given = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if any(not isinstance(size, Integral) or size < 1 for size in given):
        raise ValueError(f"{name} must hold integers of at least 1, but is {sizes!r}.")
    return [int(size) for size in given]  # Keras refuses integers of NumPy


class NetworkEstimator(KerasEstimator):
    """Base of the estimators that build their own network. A subclass adds a signature and `_layers`.

    The output layer, ``loss="auto"`` and the encoding fit the target.
    """

    _keeps_integers = False
    _prefixes = KerasEstimator._prefixes - {"model", "compile"}
    _allows_builder_params = False

    def _layers(self, row_shape, output):
        """Return class name and arguments of each of Keras's layers, the given output layer last."""
        raise NotImplementedError(f"{type(self).__name__} must define _layers.")

    def _described_layers(self):
        output = check_output(None, self._target.kind, self._target.n, self._loss_with_params())
        output = "Dense", {"units": output.units, "activation": output.activation}
        return self._layers(self._row_shape, output)

    def _keras_build_fn(self):
        return sequential(self._row_shape, self._described_layers())

    def _initial_state(self, seed):
        if self._is_overridden("_keras_build_fn"):
            raise NotDense(f"{type(self).__name__} has a builder of its own")
        spec, layers = self._spec(), self._described_layers()
        check_routed_params(spec.params, set(spec.defaults), self._keras_build_fn)
        form = self._target.form(self._loss_with_params(), layers[-1][1]["units"])
        fit_metric = functools.partial(fitting_metric, form=form)
        network = described_network(self._row_shape, layers, spec.compile_params, fit_metric)
        return initial_state(network, seed)

    def _resolved_loss(self):
        is_auto = isinstance(self.loss, str) and self.loss == "auto"
        return self._target.default_loss if is_auto else self.loss

    def _loss_with_params(self):
        """Return the loss, in a tuple with its parameters if there are any, as `read_loss` takes it."""
        loss, params = self._resolved_loss(), self._params_for("loss")
        return (loss, params) if params else loss

    def _compile_params(self):
        params = {**self._all_params(), "loss": self._resolved_loss()}
        rate = params.pop("learning_rate")
        if rate is not None:
            if "optimizer__learning_rate" in params:
                raise ValueError("Both learning_rate and optimizer__learning_rate are given; give one.")
            # Keras refuses integers.
            params["optimizer__learning_rate"] = float(rate) if isinstance(rate, Real) else rate
        return params

    def _weights_named(self, name):
        """Return the weights with this name, in the order of the layers."""
        if "model_" in vars(self):
            return [each.numpy() for each in self.model_.weights if each.name == name]
        variables = zip(self._dense.get_weights(), self._dense.network.variables, strict=True)
        return [each for each, variable in variables if variable.name == name]


_DENSE_CONSTRAINTS = {
    **NETWORK_CONSTRAINTS,
    "batch_norm": ["boolean"],
    "l2_regularization": [Interval(Real, 0, None, closed="left")],
}
# Largest standard deviation of a target, and inverse of the smallest, without a warning.
_FAR = 100


@documented
class DNNClassifier(KerasClassifierMixin, NetworkEstimator):
    """Multilayer perceptron that classifies, as a Keras model.

    Takes two classes, more classes, and multilabel targets. Scale the features first,
    for instance with ``StandardScaler`` in a pipeline.

    Parameters
    ----------
    {parameters}

    {attributes}

    See Also
    --------
    KerasClassifier : The same training for any Keras model.
    sklearn.neural_network.MLPClassifier : scikit-learn's own.

    {notes}

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016, chapter 6.

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

    _parameter_constraints: dict = {**_DENSE_CONSTRAINTS, "class_weight": CLASS_WEIGHT}

    def _layers(self, row_shape, output):
        """Return dense layers, with dropout and batch normalisation; see `NetworkEstimator._layers`."""
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

    @property
    def coefs_(self) -> list[NDArray[Any]]:
        """Kernels of the dense layers: list of ndarray of shape (n_inputs, n_units)."""
        return self._weights_named("kernel")

    @property
    def intercepts_(self) -> list[NDArray[Any]]:
        """Biases of the dense layers: list of ndarray of shape (n_units,)."""
        return self._weights_named("bias")

    def __init__(
        self,
        hidden_layer_sizes: _typing.Sizes = (100,),
        *,
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        l2_regularization: float = 0.0,
        optimizer: _typing.Optimizer = "adam",
        learning_rate: "_typing.LearningRate | None" = None,
        loss: _typing.Loss = "auto",
        metrics: "_typing.Metrics | None" = "accuracy",
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_split: float | _typing.Splitter | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: _typing.Scoring = "loss",
        engine: _typing.Engine = "auto",
        class_weight: "_typing.ClassWeight | None" = None,
        callbacks: "_typing.Callbacks | None" = None,
        warm_start: bool = False,
        verbose: _typing.Verbose = 0,
        random_state: _typing.RandomState | None = None,
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

    Takes one target or several. Scale the features first, for instance with ``StandardScaler`` in a pipeline,
    and a target of large numbers with ``TransformedTargetRegressor``.

    Parameters
    ----------
    {parameters}

    {attributes}

    See Also
    --------
    KerasRegressor : The same training for any Keras model.
    sklearn.neural_network.MLPRegressor : scikit-learn's own.

    {notes}

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016, chapter 6.

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

    _parameter_constraints: dict = _DENSE_CONSTRAINTS

    _layers = DNNClassifier._layers
    coefs_ = DNNClassifier.coefs_
    intercepts_ = DNNClassifier.intercepts_

    def _encode(self, train, held_out, plan):
        train, held_out, plan = super()._encode(train, held_out, plan)
        spread = np.std(train.y, axis=0, dtype=np.float64)
        far = spread[(spread > 0) & ((spread < 1 / _FAR) | (spread > _FAR))]
        if far.size and plan.initial_epoch == 0:
            warn(
                f"The standard deviation of the target is {far[0]:.3g}, far from 1, for which a network is "
                "made: it may learn slowly, or nothing. Standardise the target by "
                "TransformedTargetRegressor(regressor, transformer=StandardScaler()), or use "
                "TabularRegressor, which does so itself.",
            )
        return train, held_out, plan

    def __init__(
        self,
        hidden_layer_sizes: _typing.Sizes = (100,),
        *,
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        l2_regularization: float = 0.0,
        optimizer: _typing.Optimizer = "adam",
        learning_rate: "_typing.LearningRate | None" = None,
        loss: _typing.Loss = "auto",
        metrics: "_typing.Metrics | None" = None,
        epochs: int = 100,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_split: float | _typing.Splitter | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: _typing.Scoring = "loss",
        engine: _typing.Engine = "auto",
        callbacks: "_typing.Callbacks | None" = None,
        warm_start: bool = False,
        verbose: _typing.Verbose = 0,
        random_state: _typing.RandomState | None = None,
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


class _ImageReshaper(TransformerMixin, BaseEstimator):
    """Give images, or rows that are flattened images, the shape (height, width, channels)."""

    def __init__(self, image_shape=None):
        self.image_shape = image_shape

    def fit(self, X, y=None):
        if X.ndim == 2 and self.image_shape is None:
            raise ValueError(
                f"X has rows of {X.shape[1]} numbers, and nothing says how they make an image: give "
                "image_shape=(height, width) or (height, width, channels), or give X as "
                "(n_samples, height, width)."
            )
        shape = X.shape[1:] if self.image_shape is None else tuple(self.image_shape)
        try:
            shape = np.empty(X.shape[1:], dtype=bool).reshape(shape).shape
        except ValueError as error:
            raise ValueError(
                f"image_shape={self.image_shape!r} does not fit rows of shape {X.shape[1:]}: {error}."
            ) from error
        if len(shape) not in (2, 3):
            raise ValueError(
                f"Images have the shape (height, width) or (height, width, channels), but X has rows of "
                f"shape {X.shape[1:]} and image_shape is {self.image_shape!r}."
            )
        self.shape_ = shape if len(shape) == 3 else (*shape, 1)
        return self

    def transform(self, X):
        X = X.toarray() if hasattr(X, "toarray") else X
        return X.reshape(len(X), *self.shape_)


@documented
class CNNClassifier(KerasClassifierMixin, NetworkEstimator):
    """Convolutional network that classifies images, as a Keras model.

    Takes images as an array of shape (n_samples, height, width) or (n_samples, height, width, channels), or
    as flattened rows with ``image_shape``, so that it may stand behind a ``MinMaxScaler`` in a pipeline.
    Pixels are taken as they come: scale them to [0, 1] first.

    Parameters
    ----------
    filters : int or array-like of int, default=(32, 64)
        Filters of each block of convolution, activation and max-pooling.
    kernel_size : int, pair of int, or list of these, default=3
        Height and width of the kernels, in pixels; a list has one entry per block.
    pool_size : int, pair of int, list of these, or None, default=2
        Height and width over which the maximum is taken, in pixels; None for no pooling.
    padding : {"same", "valid"}, default="same"
        Whether a convolution keeps the image's size.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each dense layer behind the blocks.
    activation : str or callable, default="relu"
        Of the convolutions and the dense layers, by Keras's name.
    dropout : float in [0, 1), default=0.0
        Share of the units dropped before the dense layers and behind each of them.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of flattened rows; one entry may be
        -1 and is then worked out. None where X comes as images.
    {parameters}

    {attributes}

    See Also
    --------
    KerasClassifier : The same training for any Keras model.

    {notes}

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
       to document recognition", Proceedings of the IEEE 86(11), 1998.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdl import CNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = CNNClassifier((8,), image_shape=(8, 8), epochs=4, learning_rate=0.01, random_state=0)
    >>> clf.fit(X / 16, y).score(X / 16, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **NETWORK_CONSTRAINTS,
        "class_weight": CLASS_WEIGHT,
        "filters": SIZES,
        "kernel_size": SIZES,
        "pool_size": [*SIZES, None],
        "padding": [StrOptions({"same", "valid"})],
        "image_shape": [tuple, list, None],
    }

    def __init__(
        self,
        filters: _typing.Sizes = (32, 64),
        *,
        kernel_size: int | Sequence[Any] = 3,
        pool_size: int | Sequence[Any] | None = 2,
        padding: Literal["same", "valid"] = "same",
        hidden_layer_sizes: _typing.Sizes = (100,),
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        image_shape: Sequence[int] | None = None,
        optimizer: _typing.Optimizer = "adam",
        learning_rate: "_typing.LearningRate | None" = None,
        loss: _typing.Loss = "auto",
        metrics: "_typing.Metrics | None" = "accuracy",
        epochs: int = 10,
        batch_size: int | None = 32,
        shuffle: bool = True,
        validation_split: float | _typing.Splitter | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: _typing.Scoring = "loss",
        engine: _typing.Engine = "auto",
        class_weight: "_typing.ClassWeight | None" = None,
        callbacks: "_typing.Callbacks | None" = None,
        warm_start: bool = False,
        verbose: _typing.Verbose = 0,
        random_state: _typing.RandomState | None = None,
        **routed: "Unpack[RoutedParams]",
    ) -> None:
        self.filters = filters
        self.kernel_size = kernel_size
        self.pool_size = pool_size
        self.padding = padding
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.image_shape = image_shape
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

    @property
    def feature_encoder(self):
        """Transformer from ``X`` to images of shape (height, width, channels)."""
        return _ImageReshaper(self.image_shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _layers(self, row_shape, output):
        """Return blocks of convolution and pooling, then dense layers; see `NetworkEstimator._layers`."""
        activation, rate, padding = as_python([self.activation, self.dropout, self.padding])
        dropout = [("Dropout", {"rate": rate})] if rate else []
        filters, size, layers = layer_sizes(self.filters, "filters"), row_shape[:2], []
        for i, n in enumerate(filters):
            # A list has one entry for each block.
            kernel, pool = (
                as_python(each[i] if isinstance(each, list) else each)
                for each in (self.kernel_size, self.pool_size)
            )
            convolution = {"filters": n, "kernel_size": kernel, "padding": padding, "activation": activation}
            layers.append(("Conv2D", convolution))
            if pool is not None and pool not in (1, (1, 1)):
                layers.append(("MaxPooling2D", {"pool_size": pool}))
            size = [
                (length - (k - 1 if padding == "valid" else 0)) // p
                for length, k, p in zip(size, _pair(kernel), _pair(pool or 1), strict=True)
            ]
            if min(size) < 1:
                raise ValueError(
                    f"Images of shape {tuple(row_shape)} are too small for {len(filters)} blocks: nothing is "
                    f"left of them after block {i + 1}, with kernel_size={kernel}, pool_size={pool} and "
                    f"padding={padding!r}. Give fewer filters, or a smaller pool_size (None for no pooling)."
                )
        layers += [("Flatten", {}), *dropout]
        for units in layer_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"):
            layers += [("Dense", {"units": units, "activation": activation}), *dropout]
        return [*layers, output]


def _pair(size):
    return (size, size) if isinstance(size, Integral) else tuple(size)
