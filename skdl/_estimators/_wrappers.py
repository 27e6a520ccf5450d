"""Keras models as scikit-learn estimators: a signature, and a builder of the user's."""

import inspect
from collections.abc import Callable
from typing import Any

from skdl._backend import keras
from skdl._estimators._base import KerasEstimator
from skdl._estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from skdl._estimators._shared_params import CLASS_WEIGHT, TRAINING_CONSTRAINTS, documented
from skdl._model import find_builder
from skdl._targets import takes_one_hot
from skdl._typing import (
    Callbacks,
    ClassWeight,
    Engine,
    Losses,
    Metrics,
    Model,
    Optimizer,
    RandomState,
    Scoring,
    Splitter,
    Verbose,
)

MYPY = False  # mypy takes it for True


@documented
class BaseWrapper(KerasEstimator):
    """Any Keras model as a scikit-learn estimator; base of the wrappers.

    For models that are neither classifiers nor regressors, such as autoencoders, and
    for subclasses with their own ``_keras_build_fn``, ``target_encoder`` or
    ``feature_encoder``. The parameters, attributes and extension points are those of
    scikeras's class of this name.

    Parameters
    ----------
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled.
    {parameters}

    Attributes
    ----------
    {attributes}

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
        model: "Model | None" = None,
        *,
        build_fn: Callable[..., Any] | None = None,
        warm_start: bool = False,
        random_state: RandomState | None = None,
        optimizer: Optimizer = "rmsprop",
        loss: "Losses | None" = None,
        metrics: "Metrics | None" = None,
        batch_size: int | None = None,
        validation_batch_size: int | None = None,
        verbose: Verbose = 0,
        callbacks: "Callbacks | None" = None,
        validation_split: float | Splitter | None = None,
        shuffle: bool = True,
        run_eagerly: bool = False,
        epochs: int = 1,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: Scoring = "loss",
        engine: Engine = "auto",
        **kwargs: Any,
    ) -> None:
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
        self.scoring = scoring
        self.engine = engine
        self._routed_params.update(kwargs)

    def _hint(self, name, valid):
        builder = self.build_fn if self.model is None else self.model
        if callable(builder) and not isinstance(builder, keras.Model):
            taken = inspect.signature(builder).parameters
            if name in taken:
                return f" The builder takes {name!r}: write 'model__{name}'."
        return super()._hint(name, valid)

    def _find_builder(self):
        own = getattr(self, "_keras_build_fn", None)
        return find_builder(type(self).__name__, own, self.model, self.build_fn)


@documented
class KerasClassifier(KerasClassifierMixin, BaseWrapper):
    """Any Keras model as a scikit-learn classifier.

    Takes two classes, more classes, and multilabel targets. The model ends with one
    sigmoid unit (two classes), one unit per class, or one sigmoid unit per label; what
    does not fit the target and the loss is refused before training.

    Parameters
    ----------
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled. Labels are encoded as the loss needs
        them: as integers, or one column per class.
    {parameters}

    Attributes
    ----------
    {attributes}

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
        model: "Model | None" = None,
        *,
        build_fn: Callable[..., Any] | None = None,
        warm_start: bool = False,
        random_state: RandomState | None = None,
        optimizer: Optimizer = "rmsprop",
        loss: "Losses | None" = None,
        metrics: "Metrics | None" = None,
        batch_size: int | None = None,
        validation_batch_size: int | None = None,
        verbose: Verbose = 0,
        callbacks: "Callbacks | None" = None,
        validation_split: float | Splitter | None = None,
        shuffle: bool = True,
        run_eagerly: bool = False,
        epochs: int = 1,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: Scoring = "loss",
        engine: Engine = "auto",
        class_weight: "ClassWeight | None" = None,
        **kwargs: Any,
    ) -> None:
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
            scoring=scoring,
            engine=engine,
            **kwargs,
        )
        self.class_weight = class_weight

    def _one_hot_is_classes(self):
        # The user has built the output. Of a compiled model the loss is not known yet.
        return takes_one_hot(self.loss, unknown=True)


@documented
class KerasRegressor(KerasRegressorMixin, BaseWrapper):
    """Any Keras model as a scikit-learn regressor.

    Takes one target or several. The model ends with one unit per target; another number
    is refused before training.

    Parameters
    ----------
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled.
    {parameters}

    Attributes
    ----------
    {attributes}

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

    if not MYPY:
        # jedi, and with it notebooks, would find the __init__ of `object` behind the mixin.
        __init__ = BaseWrapper.__init__
