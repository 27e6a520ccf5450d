"""Keras models as scikit-learn estimators: a signature, and a builder of the user's."""

from skdl._estimators._base import TRAINING_CONSTRAINTS, KerasEstimator
from skdl._estimators._classifier import CLASS_WEIGHT, KerasClassifierMixin
from skdl._estimators._regressor import KerasRegressorMixin
from skdl._model import find_builder


class BaseWrapper(KerasEstimator):
    """Any Keras model as a scikit-learn estimator; base of the wrappers.

    For models that are neither classifiers nor regressors, such as autoencoders, and
    for subclasses with their own ``_keras_build_fn``, ``target_encoder`` or
    ``feature_encoder``. The parameters, attributes and extension points are those of
    scikeras's class of this name.

    Parameters
    ----------
    model : callable, keras.Model or None, default=None
        Function that returns a Keras model, or a model, which is copied for every fit
        and whose weights are the starting weights. The function may take any of
        ``meta`` (what was learnt from the data, e.g. ``meta["n_features_in_"]``),
        ``compile_kwargs`` (arguments for ``keras.Model.compile``) and ``params`` (all
        parameters), besides its own parameters, given as ``model__<name>``. None where
        a subclass defines ``_keras_build_fn``.
    build_fn : callable, default=None
        Former name of ``model``.
    warm_start : bool, default=False
        Go on from the weights of the last fit instead of building a new model.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, dropout, shuffling and the validation split. An int makes
        fits repeatable to the bit on a CPU; nothing global is seeded.
    optimizer : str, keras.optimizers.Optimizer or class, default="rmsprop"
        Its parameters are given as ``optimizer__<name>``.
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled.
    metrics : str, callable, keras.metrics.Metric, class, list or dict, default=None
        Recorded in ``history_``.
    batch_size : int or None, default=None
        Rows of one step of training; None means 32, -1 all rows at once.
    validation_batch_size : int or None, default=None
        Rows of one step of validation; None means ``batch_size``.
    verbose : {0, 1, 2} or bool, default=0
        As in ``keras.Model.fit``.
    callbacks : keras.callbacks.Callback, class, or list or dict of them, default=None
        Copied for every fit; ``callbacks__<name>`` sets their parameters.
    validation_split : float in [0, 1) or None, default=None
        Share of the rows held out to validate on, shuffled and, for classifiers,
        stratified. None means 0.1 if ``early_stopping``, else none.
    shuffle : bool, default=True
        Visit the rows in a new order each epoch.
    run_eagerly : bool, default=False
        Run the model's Python step by step, for debugging.
    epochs : int, default=1
        Passes over the rows.
    early_stopping : bool, default=False
        Stop when the loss on the validation rows has not improved for
        ``n_iter_no_change`` epochs, and keep the weights of the best epoch.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops early.
    engine : {"auto", "compiled", "keras"}, default="auto"
        How to train: whole epochs as one compiled program, or ``keras.Model.fit``, a step
        at a time. "auto" compiles what can be compiled; "compiled" raises where it can't.
    **kwargs : dict
        Parameters of the builder, and routed ones: ``model__``, ``compile__``,
        ``optimizer__``, ``loss__``, ``metrics__``, ``callbacks__``, ``fit__``,
        ``predict__`` and ``score__`` followed by a name.

    Attributes
    ----------
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
    target_encoder_, feature_encoder_ : transformer
        From ``y`` and ``X`` to what the model takes, and back.
    X_shape_, X_dtype_, y_dtype_, y_ndim_, target_type_
        What `fit` saw, for builders that take ``meta``.

    References
    ----------
    .. [1] A. Garcia Badaracco, "SciKeras", version 0.13.0, 2024.
    """

    _parameter_constraints: dict = {
        "model": [callable, None],
        "build_fn": [callable, None],
        "loss": [str, dict, list, tuple, callable, None],
        "validation_batch_size": TRAINING_CONSTRAINTS["batch_size"],
        "run_eagerly": ["boolean"],
        **TRAINING_CONSTRAINTS,
    }

    def __init__(
        self,
        model=None,
        *,
        build_fn=None,
        warm_start=False,
        random_state=None,
        optimizer="rmsprop",
        loss=None,
        metrics=None,
        batch_size=None,
        validation_batch_size=None,
        verbose=0,
        callbacks=None,
        validation_split=None,
        shuffle=True,
        run_eagerly=False,
        epochs=1,
        early_stopping=False,
        n_iter_no_change=10,
        engine="auto",
        **kwargs,
    ):
        self.model = model
        self.build_fn = build_fn
        self.warm_start = warm_start
        self.random_state = random_state
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = metrics
        self.batch_size = batch_size
        self.validation_batch_size = validation_batch_size
        self.verbose = verbose
        self.callbacks = callbacks
        self.validation_split = validation_split
        self.shuffle = shuffle
        self.run_eagerly = run_eagerly
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.engine = engine
        self._routed_params.update(kwargs)

    def _find_builder(self):
        own = getattr(self, "_keras_build_fn", None)
        return find_builder(type(self).__name__, own, self.model, self.build_fn)


class KerasClassifier(KerasClassifierMixin, BaseWrapper):
    """Any Keras model as a scikit-learn classifier.

    Takes two classes, more classes, and multilabel targets. The model ends with one
    sigmoid unit (two classes), one unit per class, or one sigmoid unit per label; what
    does not fit the target and the loss is refused before training.

    Parameters
    ----------
    model : callable, keras.Model or None, default=None
        Function that returns a Keras model, or a model, which is copied for every fit
        and whose weights are the starting weights. The function may take any of
        ``meta`` (what was learnt from the data, e.g. ``meta["n_features_in_"]``),
        ``compile_kwargs`` (arguments for ``keras.Model.compile``) and ``params`` (all
        parameters), besides its own parameters, given as ``model__<name>``. None where
        a subclass defines ``_keras_build_fn``.
    build_fn : callable, default=None
        Former name of ``model``.
    warm_start : bool, default=False
        Go on from the weights of the last fit instead of building a new model.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, dropout, shuffling and the validation split. An int makes
        fits repeatable to the bit on a CPU; nothing global is seeded.
    optimizer : str, keras.optimizers.Optimizer or class, default="rmsprop"
        Its parameters are given as ``optimizer__<name>``.
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled. Labels are encoded as the loss needs
        them: as integers, or one column per class.
    metrics : str, callable, keras.metrics.Metric, class, list or dict, default=None
        Recorded in ``history_``.
    batch_size : int or None, default=None
        Rows of one step of training; None means 32, -1 all rows at once.
    validation_batch_size : int or None, default=None
        Rows of one step of validation; None means ``batch_size``.
    verbose : {0, 1, 2} or bool, default=0
        As in ``keras.Model.fit``.
    callbacks : keras.callbacks.Callback, class, or list or dict of them, default=None
        Copied for every fit; ``callbacks__<name>`` sets their parameters.
    validation_split : float in [0, 1) or None, default=None
        Share of the rows held out to validate on, shuffled and stratified. None means
        0.1 if ``early_stopping``, else none.
    shuffle : bool, default=True
        Visit the rows in a new order each epoch.
    run_eagerly : bool, default=False
        Run the model's Python step by step, for debugging.
    epochs : int, default=1
        Passes over the rows.
    early_stopping : bool, default=False
        Stop when the loss on the validation rows has not improved for
        ``n_iter_no_change`` epochs, and keep the weights of the best epoch.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops early.
    engine : {"auto", "compiled", "keras"}, default="auto"
        How to train: whole epochs as one compiled program, or ``keras.Model.fit``, a step
        at a time. "auto" compiles what can be compiled; "compiled" raises where it can't.
    class_weight : dict, "balanced", list of dict or None, default=None
        Weights of the classes, keyed by label; multiplied with ``sample_weight``.
    **kwargs : dict
        Parameters of the builder, and routed ones: ``model__``, ``compile__``,
        ``optimizer__``, ``loss__``, ``metrics__``, ``callbacks__``, ``fit__``,
        ``predict__`` and ``score__`` followed by a name.

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
    target_encoder_, feature_encoder_ : transformer
        From ``y`` and ``X`` to what the model takes, and back.

    See Also
    --------
    DNNClassifier : A dense network without writing a builder.
    KerasRegressor : The same for numeric targets.

    References
    ----------
    .. [1] A. Garcia Badaracco, "SciKeras", version 0.13.0, 2024, whose parameters and
       extension points this class has.

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdl import KerasClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> def build(units, meta):
    ...     return keras.Sequential([
    ...         keras.Input(shape=(meta["n_features_in_"],)),
    ...         keras.layers.Dense(units, activation="relu"),
    ...         keras.layers.Dense(meta["n_classes_"], activation="softmax"),
    ...     ])
    >>> clf = KerasClassifier(build, loss="sparse_categorical_crossentropy", optimizer="adam",
    ...                       optimizer__learning_rate=0.02, model__units=16, epochs=30,
    ...                       random_state=0)
    >>> make_pipeline(StandardScaler(), clf).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {
        **BaseWrapper._parameter_constraints,
        "class_weight": CLASS_WEIGHT,
    }

    def __init__(
        self,
        model=None,
        *,
        build_fn=None,
        warm_start=False,
        random_state=None,
        optimizer="rmsprop",
        loss=None,
        metrics=None,
        batch_size=None,
        validation_batch_size=None,
        verbose=0,
        callbacks=None,
        validation_split=None,
        shuffle=True,
        run_eagerly=False,
        epochs=1,
        early_stopping=False,
        n_iter_no_change=10,
        engine="auto",
        class_weight=None,
        **kwargs,
    ):
        super().__init__(
            model=model,
            build_fn=build_fn,
            warm_start=warm_start,
            random_state=random_state,
            optimizer=optimizer,
            loss=loss,
            metrics=metrics,
            batch_size=batch_size,
            validation_batch_size=validation_batch_size,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            shuffle=shuffle,
            run_eagerly=run_eagerly,
            epochs=epochs,
            early_stopping=early_stopping,
            n_iter_no_change=n_iter_no_change,
            engine=engine,
            **kwargs,
        )
        self.class_weight = class_weight


class KerasRegressor(KerasRegressorMixin, BaseWrapper):
    """Any Keras model as a scikit-learn regressor.

    Takes one target or several. The model ends with one unit per target; another number
    is refused before training.

    Parameters
    ----------
    model : callable, keras.Model or None, default=None
        Function that returns a Keras model, or a model, which is copied for every fit
        and whose weights are the starting weights. The function may take any of
        ``meta`` (what was learnt from the data, e.g. ``meta["n_features_in_"]``),
        ``compile_kwargs`` (arguments for ``keras.Model.compile``) and ``params`` (all
        parameters), besides its own parameters, given as ``model__<name>``. None where
        a subclass defines ``_keras_build_fn``.
    build_fn : callable, default=None
        Former name of ``model``.
    warm_start : bool, default=False
        Go on from the weights of the last fit instead of building a new model.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights, dropout, shuffling and the validation split. An int makes
        fits repeatable to the bit on a CPU; nothing global is seeded.
    optimizer : str, keras.optimizers.Optimizer or class, default="rmsprop"
        Its parameters are given as ``optimizer__<name>``.
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled.
    metrics : str, callable, keras.metrics.Metric, class, list or dict, default=None
        Recorded in ``history_``.
    batch_size : int or None, default=None
        Rows of one step of training; None means 32, -1 all rows at once.
    validation_batch_size : int or None, default=None
        Rows of one step of validation; None means ``batch_size``.
    verbose : {0, 1, 2} or bool, default=0
        As in ``keras.Model.fit``.
    callbacks : keras.callbacks.Callback, class, or list or dict of them, default=None
        Copied for every fit; ``callbacks__<name>`` sets their parameters.
    validation_split : float in [0, 1) or None, default=None
        Share of the rows held out to validate on, shuffled. None means 0.1 if
        ``early_stopping``, else none.
    shuffle : bool, default=True
        Visit the rows in a new order each epoch.
    run_eagerly : bool, default=False
        Run the model's Python step by step, for debugging.
    epochs : int, default=1
        Passes over the rows.
    early_stopping : bool, default=False
        Stop when the loss on the validation rows has not improved for
        ``n_iter_no_change`` epochs, and keep the weights of the best epoch.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops early.
    engine : {"auto", "compiled", "keras"}, default="auto"
        How to train: whole epochs as one compiled program, or ``keras.Model.fit``, a step
        at a time. "auto" compiles what can be compiled; "compiled" raises where it can't.
    **kwargs : dict
        Parameters of the builder, and routed ones: ``model__``, ``compile__``,
        ``optimizer__``, ``loss__``, ``metrics__``, ``callbacks__``, ``fit__``,
        ``predict__`` and ``score__`` followed by a name.

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
    target_encoder_, feature_encoder_ : transformer
        From ``y`` and ``X`` to what the model takes, and back.

    See Also
    --------
    DNNRegressor : A dense network without writing a builder.
    KerasClassifier : The same for class labels.

    References
    ----------
    .. [1] A. Garcia Badaracco, "SciKeras", version 0.13.0, 2024, whose parameters and
       extension points this class has.

    Examples
    --------
    A linear regression as a network of one unit:

    >>> import keras
    >>> import numpy as np
    >>> from skdl import KerasRegressor
    >>> X = np.arange(10.0).reshape(-1, 1)
    >>> reg = KerasRegressor(lambda: keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]),
    ...                      loss="mean_squared_error", optimizer="sgd",
    ...                      optimizer__learning_rate=0.02, epochs=200, random_state=0)
    >>> reg.fit(X, 2 * X.ravel() + 1).predict([[10.0]]).round(1)
    array([21.])
    """
