"""Multilayer perceptrons: `DNNClassifier` and `DNNRegressor`."""

from numbers import Real

from sklearn.utils._param_validation import Interval

from skdl._backend import keras
from skdl._estimators._classifier import CLASS_WEIGHT, KerasClassifierMixin
from skdl._estimators._ready_made import NETWORK_CONSTRAINTS, READY_MADE_CONSTRAINTS, ReadyMade
from skdl._estimators._regressor import KerasRegressorMixin
from skdl._model import mlp

_DENSE_CONSTRAINTS = {
    **NETWORK_CONSTRAINTS,
    "batch_norm": ["boolean"],
    "l2_regularization": [Interval(Real, 0, None, closed="left")],
}


def _dense_weights(model, index):
    return [layer.get_weights()[index] for layer in model.layers if isinstance(layer, keras.layers.Dense)]


def _kernels(estimator):
    """Kernels of the dense layers: list of ndarray of shape (n_inputs, n_units)."""
    return _dense_weights(estimator.model_, 0)


def _biases(estimator):
    """Biases of the dense layers: list of ndarray of shape (n_units,)."""
    return _dense_weights(estimator.model_, 1)


class DNNClassifier(KerasClassifierMixin, ReadyMade):
    """Multilayer perceptron that classifies, as a Keras model.

    Takes two classes, more classes, and multilabel targets. Scale the features first,
    for instance with ``StandardScaler`` in a pipeline.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer; an empty tuple gives a linear model.
    activation : str or callable, default="relu"
        Of the hidden layers, by Keras's name.
    dropout : float in [0, 1), default=0.0
        Share of the units of each hidden layer that is dropped in a step of training.
    batch_norm : bool, default=False
        Normalise between the linear part and the activation of each hidden layer.
    l2_regularization : float, default=0.0
        Adds ``l2_regularization * sum(w ** 2)`` over all kernels to the loss.
    optimizer : str, keras.optimizers.Optimizer or class, default="adam"
        Its further parameters are given as ``optimizer__<name>``.
    learning_rate : float, LearningRateSchedule or None, default=None
        Of the optimizer; None means what the optimizer itself has (0.001 for "adam").
    loss : str, callable, keras.losses.Loss or class, default="auto"
        "auto" fits the target: binary cross-entropy (two classes, multilabel), sparse
        categorical cross-entropy (more classes), mean squared error (numbers). The
        output layer and the encoding of the target follow the loss.
    epochs : int, default=100
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
    sklearn.neural_network.MLPClassifier : scikit-learn's own.

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
        **READY_MADE_CONSTRAINTS,
        "class_weight": CLASS_WEIGHT,
    }

    _network = staticmethod(mlp)
    coefs_ = property(_kernels)
    intercepts_ = property(_biases)

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        dropout=0.0,
        batch_norm=False,
        l2_regularization=0.0,
        optimizer="adam",
        learning_rate=None,
        loss="auto",
        metrics="accuracy",
        epochs=100,
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
        self.engine = engine
        self.class_weight = class_weight
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self._take_routed(routed)


class DNNRegressor(KerasRegressorMixin, ReadyMade):
    """Multilayer perceptron that predicts numbers, as a Keras model.

    Takes one target or several. Scale the features first, for instance with
    ``StandardScaler`` in a pipeline, and a target of large numbers with
    ``TransformedTargetRegressor``.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units of each hidden layer; an empty tuple gives a linear model.
    activation : str or callable, default="relu"
        Of the hidden layers, by Keras's name.
    dropout : float in [0, 1), default=0.0
        Share of the units of each hidden layer that is dropped in a step of training.
    batch_norm : bool, default=False
        Normalise between the linear part and the activation of each hidden layer.
    l2_regularization : float, default=0.0
        Adds ``l2_regularization * sum(w ** 2)`` over all kernels to the loss.
    optimizer : str, keras.optimizers.Optimizer or class, default="adam"
        Its further parameters are given as ``optimizer__<name>``.
    learning_rate : float, LearningRateSchedule or None, default=None
        Of the optimizer; None means what the optimizer itself has (0.001 for "adam").
    loss : str, callable, keras.losses.Loss or class, default="auto"
        "auto" fits the target: binary cross-entropy (two classes, multilabel), sparse
        categorical cross-entropy (more classes), mean squared error (numbers). The
        output layer and the encoding of the target follow the loss.
    epochs : int, default=100
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
    metrics : str, callable, keras.metrics.Metric, or list of them, default=None
        Recorded in ``history_``, besides the loss.
    **routed : dict
        Parameters ``optimizer__<name>``, ``loss__<name>``, ``metrics__<name>``,
        ``callbacks__<name>``, ``fit__<name>``, ``predict__<name>``, ``score__<name>``.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets.
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
    KerasRegressor : The same training for any Keras model.
    sklearn.neural_network.MLPRegressor : scikit-learn's own.

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
        **READY_MADE_CONSTRAINTS,
    }

    _network = staticmethod(mlp)
    coefs_ = property(_kernels)
    intercepts_ = property(_biases)

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        activation="relu",
        dropout=0.0,
        batch_norm=False,
        l2_regularization=0.0,
        optimizer="adam",
        learning_rate=None,
        loss="auto",
        metrics=None,
        epochs=100,
        batch_size=32,
        shuffle=True,
        validation_split=None,
        early_stopping=False,
        n_iter_no_change=10,
        engine="auto",
        callbacks=None,
        warm_start=False,
        verbose=0,
        random_state=None,
        **routed,
    ):
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
        self.engine = engine
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self._take_routed(routed)
