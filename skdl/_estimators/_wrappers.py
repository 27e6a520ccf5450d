"""Keras models as scikit-learn estimators: a signature, and a builder of the user's."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from skdl import _typing
from skdl._backend import keras
from skdl._estimators._base import KerasEstimator
from skdl._estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from skdl._estimators._shared_params import CLASS_WEIGHT, TRAINING_CONSTRAINTS, documented
from skdl._model._inputs import (
    adapt_layers,
    adapted_spaces,
    assign_columns,
    check_rows,
    column_types,
    columns_of,
    is_feature_space,
    is_frame,
    is_list_of_inputs,
    is_text,
    takes_one_array,
    takes_text,
    text_error,
)
from skdl._targets._output import takes_one_hot
from skdl._training._plan import rows_at

MYPY = False  # mypy takes it for True


@documented
class BaseWrapper(KerasEstimator):
    """Any Keras model as a scikit-learn estimator; base of the wrappers.

    For models that are neither classifiers nor regressors, such as autoencoders, and for subclasses with
    their own ``_keras_build_fn``, ``target_encoder`` or ``feature_encoder``. The parameters, attributes and
    extension points are those of scikeras's class of this name.

    Parameters
    ----------
    loss : str, callable, keras.losses.Loss, class, list or dict, default=None
        Needed unless the model comes compiled.
    {parameters}

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
        "inputs": [dict, None],
        "adapt": ["boolean"],
        **TRAINING_CONSTRAINTS,
    }

    def __init__(
        self,
        model: "_typing.Model | None" = None,
        *,
        build_fn: Callable[..., Any] | None = None,
        warm_start: bool = False,
        random_state: _typing.RandomState | None = None,
        optimizer: _typing.Optimizer = "rmsprop",
        loss: "_typing.Losses | None" = None,
        metrics: "_typing.Metrics | None" = None,
        batch_size: int | None = None,
        validation_batch_size: int | None = None,
        verbose: _typing.Verbose = 0,
        callbacks: "_typing.Callbacks | None" = None,
        validation_split: float | _typing.Splitter | None = None,
        shuffle: bool = True,
        run_eagerly: bool = False,
        epochs: int = 1,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: _typing.Scoring = "loss",
        engine: _typing.Engine = "auto",
        inputs: dict[str, str | list[str]] | None = None,
        adapt: bool = True,
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
        self.inputs = inputs
        self.adapt = adapt
        self._routed_params.update(kwargs)

    def _nearest(self, name, valid):
        builder = self.build_fn if self.model is None else self.model
        if callable(builder) and not isinstance(builder, keras.Model):
            taken = inspect.signature(builder).parameters
            if name in taken:
                return f" The builder takes {name!r}: write 'model__{name}'."
        return super()._nearest(name, valid)

    # Columns as inputs of the model.

    _takes_columns = True

    def _check_data(self, X, y=None, *, reset=False):
        if reset or self._has_columns:
            if is_list_of_inputs(X, None if y is None else _num_samples(y)):
                X = dict(zip(map(str, range(len(X))), X, strict=True))
            elif is_text(X):
                X = {"0": np.ravel(np.asarray(X, dtype=object))}
        return super()._check_data(X, y, reset=reset)

    def _check_features(self, X, *, reset):
        if reset:
            vars(self).pop("column_types_", None)
            by_name = is_frame(X) and not self._is_overridden("feature_encoder")
            types = column_types(X) if by_name else {}
            has_spaces = any(map(is_feature_space, self._routed_params.values()))
            self._has_columns = isinstance(X, dict) or (
                by_name and (self.inputs is not None or "text" in types.values() or has_spaces)
            )
            if types and not self._has_columns:
                self.column_types_ = types
        if self._has_columns:
            return self._check_columns(X, reset=reset)
        if not reset and is_frame(X) and self._takes_names():  # validation rows of a first fit
            names = list(vars(self).get("feature_names_in_", X.columns))
            X = X[names] if set(names) == set(X.columns) else X
        return super()._check_features(X, reset=reset)

    def _spec(self, train=None):
        spec = super()._spec()
        if train is None or not self.adapt:
            return spec
        return replace(spec, params=adapted_spaces(spec.params, train.X, self.inputs))

    def _takes_names(self):
        """Return whether there is a model that is known to have several inputs."""
        model = vars(self).get("model_")
        return bool(getattr(model, "inputs", None)) and not takes_one_array(model)

    def _check_columns(self, X, *, reset):
        """Return columns as an array with a field for each; learn or compare their names."""
        name = type(self).__name__
        if not reset and not isinstance(X, dict) and not is_frame(X):
            known = list(self.feature_names_in_)
            raise ValueError(f"X is a {type(X).__name__}, but {name} was fitted on the columns {known}.")
        table = columns_of(X, name)
        names = list(table.dtype.names)
        if reset:
            self.column_types_ = {
                each: "text" if table[each].dtype == object else table[each].dtype.name for each in names
            }
            self.feature_names_in_, self.n_features_in_ = np.array(names, dtype=object), len(names)
            self.X_shape_, self.X_dtype_ = (len(table), len(names)), np.dtype(object)
        elif set(names) != set(self.feature_names_in_):
            known = set(self.feature_names_in_)
            raise ValueError(
                f"The columns of X are not those that {name} was fitted on: missing are "
                f"{sorted(known - set(names))}, new are {sorted(set(names) - known)}."
            )
        return table

    def _as_inputs(self, train, held_out, data, validation):
        if self._is_overridden("feature_encoder"):
            return train, held_out
        if not self._has_columns and is_frame(data.X) and self._takes_names():
            # In one array all numbers have one type.
            self._has_columns, table = True, self._check_columns(data.X, reset=True)
            train = replace(train, X=rows_at(table, train.positions))
            if validation is not None:
                held_out = replace(held_out, X=self._check_columns(validation.X, reset=False))
            elif held_out is not None:
                held_out = replace(held_out, X=rows_at(table, held_out.positions))
        if self._has_columns:
            names = list(self.feature_names_in_)
            if self.inputs is None and takes_one_array(self.model_):
                text = [name for name, kind in self.column_types_.items() if kind == "text"]
                if len(names) > 1:
                    check_rows(data.X, type(self).__name__, n_rows=_num_samples(data.y))
                if text and (len(names) > 1 or not takes_text(self.model_)):
                    raise text_error(f"columns {text}", type(self).__name__)
            self.feature_encoder_ = assign_columns(self.model_, names, self.inputs)
        return train, held_out

    def _encode(self, train, held_out, plan):
        train, held_out, plan = super()._encode(train, held_out, plan)
        if self.adapt and "model_" in vars(self):
            adapt_layers(self.model_, train.X)  # before anything scores the model
        return train, held_out, plan


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

    _parameter_constraints: dict = {**BaseWrapper._parameter_constraints, "class_weight": CLASS_WEIGHT}

    def __init__(
        self,
        model: "_typing.Model | None" = None,
        *,
        build_fn: Callable[..., Any] | None = None,
        warm_start: bool = False,
        random_state: _typing.RandomState | None = None,
        optimizer: _typing.Optimizer = "rmsprop",
        loss: "_typing.Losses | None" = None,
        metrics: "_typing.Metrics | None" = None,
        batch_size: int | None = None,
        validation_batch_size: int | None = None,
        verbose: _typing.Verbose = 0,
        callbacks: "_typing.Callbacks | None" = None,
        validation_split: float | _typing.Splitter | None = None,
        shuffle: bool = True,
        run_eagerly: bool = False,
        epochs: int = 1,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        scoring: _typing.Scoring = "loss",
        engine: _typing.Engine = "auto",
        inputs: dict[str, str | list[str]] | None = None,
        adapt: bool = True,
        class_weight: "_typing.ClassWeight | None" = None,
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
            inputs=inputs,
            adapt=adapt,
            **kwargs,
        )
        self.class_weight = class_weight

    def _one_hot_is_classes(self):
        # The user builds the output; the loss of a compiled model is not known yet.
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
