"""Convolutional networks: `CNNClassifier`."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions

from skdl._estimators._mixins import KerasClassifierMixin
from skdl._estimators._network_estimator import NetworkEstimator, layer_sizes
from skdl._estimators._shared_params import (
    CLASS_WEIGHT,
    NETWORK_CONSTRAINTS,
    NETWORK_ESTIMATOR_CONSTRAINTS,
    SIZES,
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

if TYPE_CHECKING:
    from skdl._estimators._keras_params import RoutedParams


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

    Takes images as an array of shape (n_samples, height, width) or (n_samples, height,
    width, channels), or as flattened rows with ``image_shape``, so that it may stand
    behind a ``MinMaxScaler`` in a pipeline. Pixels are taken as they come: scale them
    to [0, 1] first.

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

    Attributes
    ----------
    {attributes}

    See Also
    --------
    KerasClassifier : The same training for any Keras model.

    Notes
    -----
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
        **NETWORK_ESTIMATOR_CONSTRAINTS,
        "class_weight": CLASS_WEIGHT,
        "filters": SIZES,
        "kernel_size": SIZES,
        "pool_size": [*SIZES, None],
        "padding": [StrOptions({"same", "valid"})],
        "image_shape": [tuple, list, None],
    }

    def __init__(
        self,
        filters: Sizes = (32, 64),
        *,
        kernel_size: int | Sequence[Any] = 3,
        pool_size: int | Sequence[Any] | None = 2,
        padding: Literal["same", "valid"] = "same",
        hidden_layer_sizes: Sizes = (100,),
        activation: str | Callable[..., Any] = "relu",
        dropout: float = 0.0,
        image_shape: Sequence[int] | None = None,
        optimizer: Optimizer = "adam",
        learning_rate: "LearningRate | None" = None,
        loss: Loss = "auto",
        metrics: "Metrics | None" = "accuracy",
        epochs: int = 10,
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
