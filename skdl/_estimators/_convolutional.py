"""Convolutional networks: `CNNClassifier`."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import StrOptions

from skdl._estimators._classifier import CLASS_WEIGHT, KerasClassifierMixin
from skdl._estimators._ready_made import NETWORK_CONSTRAINTS, READY_MADE_CONSTRAINTS, SIZES, ReadyMade
from skdl._model import cnn


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
        self.shape_ = shape if len(shape) == 3 else (*shape, 1)
        return self

    def transform(self, X):
        X = X.toarray() if hasattr(X, "toarray") else X
        return X.reshape(len(X), *self.shape_)


class CNNClassifier(KerasClassifierMixin, ReadyMade):
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
    optimizer : str, keras.optimizers.Optimizer or class, default="adam"
        Its further parameters are given as ``optimizer__<name>``.
    learning_rate : float, LearningRateSchedule or None, default=None
        Of the optimizer; None means what the optimizer itself has (0.001 for "adam").
    loss : str, callable, keras.losses.Loss or class, default="auto"
        "auto" fits the target: binary cross-entropy (two classes, multilabel), sparse
        categorical cross-entropy (more classes), mean squared error (numbers). The
        output layer and the encoding of the target follow the loss.
    epochs : int, default=10
        Passes over the rows.
    batch_size : int or None, default=32
        Rows of one step of training; -1 means all rows at once.
    shuffle : bool, default=True
        Visit the rows in a new order each epoch.
    validation_split : float in [0, 1) or None, default=None
        Share of the rows held out to validate on, shuffled and, for classifiers,
        stratified. None means 0.1 if ``early_stopping``, else none.
    early_stopping : bool, default=False
        Stop when the loss on the validation rows has not improved for
        ``n_iter_no_change`` epochs, and keep the weights of the best epoch.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops early.
    engine : {"auto", "compiled", "keras"}, default="auto"
        How to train: whole epochs as one compiled program, or ``keras.Model.fit``, a step
        at a time. "auto" compiles what can be compiled; "compiled" raises where it can't.
    callbacks : keras.callbacks.Callback, class, or list or dict of them, default=None
        Copied for every fit; ``callbacks__<name>`` sets their parameters.
    warm_start : bool, default=False
        Go on from the weights of the last fit instead of building a new model.
    verbose : {0, 1, 2} or bool, default=0
        As in ``keras.Model.fit``.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, dropout, shuffling and the validation split. An int makes
        fits repeatable to the bit on a CPU; nothing global is seeded.
    metrics : str, callable, keras.metrics.Metric, or list of them, default="accuracy"
        Recorded in ``history_``, besides the loss.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, keyed by label; multiplied with ``sample_weight``.
    **routed : dict
        Parameters ``optimizer__<name>``, ``loss__<name>``, ``metrics__<name>``,
        ``callbacks__<name>``, ``fit__<name>``, ``predict__<name>``, ``score__<name>``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_classes_ : int
        Their number; number of labels for a multilabel target.
    model_ : keras.Model
        The trained model.
    history_ : dict of str to list of float
        Loss and metrics of every epoch, under Keras's names.
    best_epoch_ : int
        Epoch, counted from 0, with the lowest validation loss (training loss where
        there are no validation rows). With ``early_stopping`` the model has its weights.
    n_iter_ : int
        Number of epochs trained.
    engine_ : {"compiled", "keras"}
        How the last fit was trained.
    engine_reason_ : str or None
        Why not compiled, where it was not.
    callbacks_ : list of keras.callbacks.Callback
        Copies of ``callbacks`` that watched the last fit.
    n_features_in_ : int
        Number of features seen by `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where ``X`` had names that are strings.

    See Also
    --------
    KerasClassifier : The same training for any Keras model.

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
        **READY_MADE_CONSTRAINTS,
        "class_weight": CLASS_WEIGHT,
        "filters": SIZES,
        "kernel_size": SIZES,
        "pool_size": [*SIZES, None],
        "padding": [StrOptions({"same", "valid"})],
        "image_shape": [tuple, list, None],
    }

    _network = staticmethod(cnn)

    def __init__(
        self,
        filters=(32, 64),
        *,
        kernel_size=3,
        pool_size=2,
        padding="same",
        hidden_layer_sizes=(100,),
        activation="relu",
        dropout=0.0,
        image_shape=None,
        optimizer="adam",
        learning_rate=None,
        loss="auto",
        metrics="accuracy",
        epochs=10,
        batch_size=32,
        shuffle=True,
        validation_split=None,
        early_stopping=False,
        n_iter_no_change=10,
        engine="auto",
        class_weight=None,
        callbacks=None,
        warm_start=False,
        verbose=0,
        random_state=None,
        **routed,
    ):
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
        self.engine = engine
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self._take_routed(routed)

    @property
    def feature_encoder(self):
        """Transformer from ``X`` to images of shape (height, width, channels)."""
        return _ImageReshaper(self.image_shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
