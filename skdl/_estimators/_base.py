"""The base of all estimators: from parameters and data to a trained network."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted, validate_data

from skdl import _engine
from skdl._arrays import LargeRows, large_rows, take
from skdl._backend import check_not_forked, floatx, seeded
from skdl._dense import NotDense, State
from skdl._estimators._estimator_state import SEEDS, EstimatorState
from skdl._model import _build, _compile, _inputs
from skdl._persistence import copied
from skdl._targets._encoders import ClassifierLabelEncoder
from skdl._targets._target import Target
from skdl._training import _fit, _scoring
from skdl._training._plan import FIT_PARAMS, Holdout, Plan, Rows, encoded, validation_rows
from skdl._typing import ArrayLike, FitArguments, MatrixLike, PredictArguments

_Method = TypeVar("_Method", bound=Callable[..., Any])


def validated(method: _Method) -> _Method:
    """Validate the parameters before a fit method runs. Type checkers see the method's own signature."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


class KerasEstimator(CallbackSupportMixin, EstimatorState):
    """Base of all estimators: everything but a signature and a network.

    A subclass has at least the parameters of `TRAINING_CONSTRAINTS`, and a method ``_keras_build_fn`` that
    returns a model.
    """

    model_: Any
    history_: dict[str, list[float]]
    best_epoch_: int
    n_iter_: int
    engine_: str
    engine_reason_: str | None
    callbacks_: list[Any]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    _target_kind = Target
    # Whether integers are passed to the model as integers, as an Embedding layer needs them.
    _keeps_integers = True
    # Whether X has columns for the inputs of the model, as a dict or a frame with text; wrappers alone.
    _has_columns, _takes_columns = False, False
    # Names of the arguments of keras.Model.fit that `fit` accepts.
    _fit_arguments = FIT_PARAMS

    # Extension points, as in scikeras.

    @property
    def target_encoder(self) -> Any:
        """Transformer from ``y`` to what the model takes; override to use another.

        Its ``get_metadata()``, if any, becomes attributes and goes to the builder.
        """
        return FunctionTransformer()

    @property
    def feature_encoder(self) -> Any:
        """Transformer from ``X`` to what the model takes; override to use another."""
        return FunctionTransformer()

    @staticmethod
    def scorer(y_true: ArrayLike, y_pred: ArrayLike, **kwargs: Any) -> float:
        """Score predictions; for subclasses to define. Classifiers have the accuracy, regressors R squared.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.
        """
        raise NotImplementedError("Define a static method scorer(y_true, y_pred, **kwargs) in the subclass.")

    def _type_of_target(self, y):
        return type_of_target(y)

    def _initialize(self, X, y=None):
        """Check the data, fit the encoders and build the network; return the checked X and y."""
        X, y = self._check_data(X, y, reset=True)
        self._build_network(Rows(X, y), y)
        return X, y

    @property
    def _target(self):
        """What `fit` has learnt about the target, as a `Target`."""
        fitted = vars(self)
        return self._target_kind.of(
            fitted.get("target_encoder_"),
            fitted.get("target_type_"),
            dtype=fitted.get("y_dtype_"),
            ndim=fitted.get("y_ndim_"),
            n=fitted.get("n_classes_", fitted.get("n_outputs_")),
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _resolved_loss(self):
        """Return the loss: that of the parameter, or the default of the target for "auto"."""
        return getattr(self, "loss", None)

    def _split_validation(self, X, y, groups=None):
        """Return sorted positions of rows to train on and to hold out, or None, for `skdl.Pipeline`."""
        holdout = Holdout.of(self._fit_settings({}), self._draw_seed)
        if holdout is None:
            return None
        return holdout.split(_num_samples(X), y, strata=self._strata_of(y), groups=groups)

    def _strata_of(self, y):
        """Return the labels for a stratified split, or None."""
        return self._target_kind.strata(y)

    # Check.

    def _check_data(self, X, y=None, *, reset=False):
        """Check X and y; learn number, shape and type of the features with ``reset``, else compare them."""
        name = type(self).__name__
        _inputs.check_rows(
            X,
            name,
            n_rows=None if y is None else _num_samples(y),
            row_shape=None if reset else self.X_shape_[1:],
            takes_dict=self._has_columns or (reset and self._takes_columns),
        )
        X = self._check_features(X, reset=reset)
        if y is None:
            if reset and self.__sklearn_tags__().target_tags.required:
                raise ValueError(f"This {name} estimator requires y to be passed, but the target y is None.")
            return X, None
        y = self._check_target(y)
        check_consistent_length(X, y)
        if not reset and y.ndim != self.y_ndim_:
            raise ValueError(
                f"y has {y.ndim} dimensions, but {name} was fitted on a target with {self.y_ndim_}."
            )
        return X, y

    def _check_features(self, X, *, reset):
        dtypes = [np.dtype(floatx())]  # other types are converted to the first
        if self._keeps_integers:
            dtypes += [np.dtype(kind) for kind in "?bhilqBHILQ"]  # booleans and integers
        X = large_rows(X)
        if isinstance(X, LargeRows):
            dtypes.append(X.dtype)  # its rows are converted a batch at a time
        # "C", since a frame has its columns side by side in memory: batches of rows would be slow to gather.
        how = {"accept_sparse": "csr", "allow_nd": True, "dtype": dtypes, "order": "C"}
        try:
            if isinstance(X, LargeRows):
                for block in X.blocks():  # are checked alone: the rows stay where they are
                    validate_data(self, block, reset=reset, **how)
            else:
                X = validate_data(self, X, reset=reset, **how)
        except ValueError as error:
            if "could not convert string to float" in str(error):
                raise _inputs.text_error(error, type(self).__name__) from error
            raise
        if reset:
            self.X_shape_, self.X_dtype_ = X.shape, X.dtype
        elif X.shape[1:] != self.X_shape_[1:]:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on rows of shape "
                f"{self.X_shape_[1:]}."
            )
        return X

    def _check_target(self, y):
        name = type(self).__name__
        return self._target_kind.validate(y, name, user_encoder=self._is_overridden("target_encoder"))

    # Build.

    def _build_network(self, train, y, classes=None):
        """Fit the encoders and build the network.

        ``train`` are the rows to train on. ``y`` is the target of all rows, also of those held out: a
        classifier learns its labels. ``classes`` are those of `partial_fit`.
        """
        if y is not None:
            self.target_type_ = self._type_of_target(y if classes is None else classes)
            self.y_dtype_, self.y_ndim_ = y.dtype, y.ndim
        encoder = self.target_encoder
        if classes is not None and isinstance(encoder, ClassifierLabelEncoder):
            encoder.set_params(categories=[classes])
        self.target_encoder_ = encoder.fit(y if self._target_kind.has_labels else train.y)
        vars(self).update(getattr(self.target_encoder_, "get_metadata", dict)())
        self.feature_encoder_ = self.feature_encoder.fit(train.X)
        vars(self).update(getattr(self.feature_encoder_, "get_metadata", dict)())
        row = encoded(self.feature_encoder_, take(train.X, slice(0, 1)))
        # Several inputs have no one shape, and () here: only the user's builder needs theirs.
        self._row_shape = getattr(row, "shape", (1,))[1:]
        build_seed, self._seed = self._draw_seeds(2)
        for name in ("model_", "_dense"):
            vars(self).pop(name, None)
        if self.engine in ("auto", "numpy"):
            with contextlib.suppress(NotDense):
                self._dense = self._initial_state(build_seed)
                return
        check_not_forked()
        spec, builder = self._spec(train), self._find_builder()
        # The fitted attributes.
        meta = {name: value for name, value in vars(self).items() if name.endswith("_") and name[0] != "_"}
        with seeded(build_seed, user_code=_build.runs_user_code(spec, builder)) as set_by_builder:
            self.model_ = _build.build(spec, builder, meta)
        # A seed that the builder sets is that of the training too.
        if set_by_builder and self.random_state is None:
            self._seed = set_by_builder[-1] % SEEDS

    def _initial_state(self, seed):
        """Return the initial state of a dense network, or raise NotDense where a Keras model is built."""
        raise NotDense(f"{type(self).__name__} builds a Keras model")

    def _find_builder(self):
        own, model, build_fn = (getattr(self, n, None) for n in ("_keras_build_fn", "model", "build_fn"))
        return _build.find_builder(type(self).__name__, own, model, build_fn)

    def _as_inputs(self, train, held_out, data, validation):
        """Return rows as the inputs of the model just built; overridden where features are columns."""
        return train, held_out

    def _compile_network(self, x):
        """Compile the model unless it is compiled, and check that it fits the target and the row x."""
        target = self._target
        if "model_" not in vars(self):
            target.match(self._resolved_loss(), [(None, self._dense.network.n_units)])
            return
        if any(self.model_ is getattr(self, name, None) for name in ("model", "build_fn")):
            self.model_ = copied(self.model_)
        model = self.model_
        _build.check_input(model, x)
        expected = vars(self).get("n_outputs_expected_")
        shapes = _build.output_shapes(model, x, seed=self._seed, expected=expected)
        names = getattr(model, "output_names", None)
        fit_metrics = functools.partial(target.fitting_metrics, shapes=shapes, names=names)
        _compile.compile_model(model, self._spec(), fit_metrics)
        target.match(model.loss, shapes)

    @validated
    def initialize(self, X: MatrixLike, y: ArrayLike | None = None) -> Self:
        """Build the model without training it, for one that is trained already.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None

        Returns
        -------
        estimator
            Ready to predict. A model given as ``model`` is used as it is, and copied
            by the first fit that continues from it.
        """
        with self._restored_on_error():
            self._initialize(X, y)
        return self

    # Train.

    @validated
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        **kwargs: Unpack[FitArguments],
    ) -> Self:
        """Build a model and train it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
            Rows to train on. The rows of large memory maps, HDF5 datasets and zarr arrays are read as they
            are needed; those of large sparse matrices are made dense so.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their ratios count. Rows of weight 0 are left out.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, for a splitter as ``validation_split`` that keeps groups together.
        X_val : array-like of shape (n_val, n_features) or (n_val, ...), default=None
            Rows to validate on, in place of those that ``validation_split`` holds out.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their target.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.
        **kwargs : dict
            Arguments of ``keras.Model.fit`` for this fit alone, such as
            ``validation_data=(X_val, y_val)`` and ``class_weight``, as in scikeras; parameters
            named ``fit__<name>`` do the same and can be searched.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        ValueError, TypeError
            Before training, if parameters, data and model do not fit together. The
            estimator is left as it was.

        Warns
        -----
        ConvergenceWarning
            If the training diverged: the weights are infinite or NaN. ``history_``
            shows when; `predict` raises an error.
        """
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit(Rows(X, y, sample_weight), given, kwargs, continues=self.warm_start, groups=groups)

    @validated
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        **kwargs: Unpack[FitArguments],
    ) -> Self:
        """Train for one more epoch, from the weights as they are.

        Parameters
        ----------
        X, y : array-like
            Rows to train on and their target, as for `fit`.
        sample_weight, groups, X_val, y_val, sample_weight_val : array-like, default=None
            As for `fit`.
        **kwargs : dict
            Arguments of ``keras.Model.fit`` for this call alone.

        Returns
        -------
        estimator
            The estimator itself, its ``history_`` one epoch longer.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and with ``early_stopping``, which makes no sense for one epoch.
        """
        given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return self._fit_epoch(Rows(X, y, sample_weight), given, kwargs, groups=groups)

    def _fit_epoch(self, data, validation, arguments, *, classes=None, groups=None):
        for name in ("epochs", "initial_epoch"):
            if name in arguments:
                raise TypeError(f"partial_fit trains one epoch from the current one; leave out {name}=.")
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; use fit, or set it to False.")
        arguments = {**arguments, "epochs": 1, "initial_epoch": self.current_epoch}
        return self._fit(data, validation, arguments, continues=True, classes=classes, groups=groups)

    def _fit(self, data, validation, arguments, *, continues, classes=None, groups=None):
        """Check and split the data, build the network, train it, and keep what was learnt."""
        _build.check_arguments("fit", arguments, self._fit_arguments)
        settings = self._fit_settings(arguments)
        validation = validation_rows({**validation, "validation_data": settings.get("validation_data")})
        callbacks = self._make_callbacks("callbacks", "fit__callbacks", given=arguments.get("callbacks"))
        plan = Plan.of(settings, callbacks, self._draw_seed, rows_given=validation is not None)
        builds = not (continues and self.initialized_)
        task = self._init_callback_context(max_subtasks=plan.epochs)
        metadata = None if data.weight is None else {"sample_weight": data.weight}
        task.call_on_fit_task_begin(estimator=self, X=data.X, y=data.y, metadata=metadata)
        with self._restored_on_error(trains_model=not builds):
            train, to_score = self._prepare(data, validation, plan, builds, classes, groups)
            task_data = _fit.callback_data(data, metadata, train.positions)
            train, held_out, plan = self._encode(train, to_score, plan)
            plan = plan.for_rows(train.n)
            network = self._network_to_train(train, plan)
            criterion = _scoring.Criterion.of(plan.scoring, network, self)
            record = _fit.Record(self._history() if plan.initial_epoch else {})
            # The score first, since it adds ``val_<name>``; then the record, which `EpochTasks` read.
            hooks: list[Any] = []
            if criterion.scorer is not None and to_score is not None:
                hooks.append(_fit.ValidationScore(criterion, self, validation or data, to_score))
            hooks.append(record)
            if getattr(self, "_skl_callbacks", None):

                def fitted_attributes():
                    history = _scoring.history_attributes(record.history, criterion)
                    return {**self._copied_network(), **history}

                hooks.append(_fit.EpochTasks(self, task, fitted_attributes, task_data))
            if plan.patience is not None:
                hooks.append(_fit.EarlyStopping(network, criterion, plan.patience))
            outcome = self._train(network, train, held_out, plan, hooks, is_new=builds)
            self.engine_, self.engine_reason_ = outcome.engine, outcome.reason
            self.callbacks_ = plan.callbacks
            vars(self).update(_scoring.history_attributes(record.history, criterion))
            self._check_trained(train.X)
        _scoring.report(outcome, plan, record, type(self).__name__, self._network, self.best_epoch_)
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes=self._copied_network, **task_data)
        return self

    def _prepare(self, data, validation, plan, builds, classes, groups):
        """Check and split the data, build the network; return rows to train on and held-out rows, or None."""
        # A subclass written for scikeras may build its model there, before rows are held out.
        initializes = builds and self._is_overridden("_initialize")
        if initializes:
            X, y = self._initialize(data.X, data.y)
        else:
            X, y = self._check_data(data.X, data.y, reset=builds)
        train, held_out = plan.split(Rows(X, y, data.weight), self._strata_of, groups)
        if builds and not initializes:
            self._build_network(train, y, classes)
        self._target.check_rows(train.y, "y", type(self).__name__, classes)
        if validation is not None:
            held_out = Rows(*self._check_data(validation.X, validation.y), validation.weight).checked_weight()
            self._target.check_rows(held_out.y, "y_val", type(self).__name__)
        if builds:
            train, held_out = self._as_inputs(train, held_out, data, validation)
        self._compile_network(encoded(self.feature_encoder_, take(train.X, slice(0, 1))))
        return train, held_out

    def _encode(self, train, held_out, plan):
        """Return rows as the model takes them, weighted by class, with weights of mean one, and the plan."""
        if plan.class_weight is not None:
            train = train.weighted(self._target.class_weights(train.y, plan.class_weight))
        train = train.with_mean_weight_one().encode(self.feature_encoder_, self._target)
        if held_out is not None:
            held_out = held_out.with_mean_weight_one().encode(self.feature_encoder_, self._target)
        return train, held_out, plan

    def _network_to_train(self, train, plan):
        """Return a copy of the dense network if NumPy can train it, else the Keras model."""
        reason = None
        if plan.engine in ("auto", "numpy"):
            try:
                n_columns = np.shape(train.y)[-1] if np.ndim(train.y) == 2 else 1
                state = self._dense_network(n_columns).copy()
                reason = _fit.why_not_numpy(state, train, plan)
                if reason is None:
                    return state
            except NotDense as error:
                reason = str(error)
        if plan.engine == "numpy":
            raise ValueError(
                f"engine='numpy' can't run this training: {reason}. Set engine='auto' to train with "
                "TensorFlow in this case."
            )
        return self.model_

    def _train(self, network, train, held_out, plan, hooks, is_new):
        """Train the network in place, and return the Outcome. ``is_new``: it was built for this training."""
        args = {"seed": self._seed, "hooks": hooks}
        if isinstance(network, State):
            keep = functools.partial(self._keep_network, model=vars(self).get("model_"))
            return _fit.train_dense(network, train, held_out, plan, **args, set_network=keep)
        origin = None
        # The user's own `_layers` may hold functions, which a configuration does not tell.
        if is_new and not self._is_overridden("_layers"):
            origin = _build.numbers_and_names(self._spec(), self._find_builder())
        _engine.note_origin(network, origin)
        return _fit.train_model(network, train, held_out, plan, **args)

    def _check_trained(self, x):
        """Raise an error if the outputs for the encoded rows x do not suit the target."""

    # Prediction.

    def _predict_raw(self, X, **kwargs):
        """Return the model's outputs for X."""
        check_is_fitted(self)
        X, _ = self._check_data(X)
        x = encoded(self.feature_encoder_, X)
        _build.check_arguments("predict", kwargs, _build.PREDICT_PARAMS)
        routed = {name: value for name, value in self._params_for("predict").items() if "__" not in name}
        callbacks = []
        if routed.get("callbacks") or kwargs.get("callbacks"):
            callbacks = self._make_callbacks("predict__callbacks", given=kwargs.get("callbacks"))
        outputs = self._outputs(x, **{**routed, **kwargs, "callbacks": callbacks})
        n = _build.count_nan(outputs)
        if n:
            # NaN would be decoded as the first class.
            reason = _scoring.divergence_message(self._network, self._history()) or (
                "Its weights are finite; X may hold very large values."
            )
            raise ValueError(f"{type(self).__name__} predicts NaN for {n} of {X.shape[0]} rows. {reason}")
        return outputs

    def _outputs(self, x, **args):
        """Return the outputs of the network for encoded rows."""
        if self.engine in ("auto", "numpy") and not _build.asks_keras(**args):
            with contextlib.suppress(NotDense):
                return _build.dense_outputs(self._dense_network(), x)
        return _build.predict_outputs(self.model_, x, step=self._prediction_batch_size(), **args)

    def _prediction_batch_size(self):
        """Return how many rows to predict at once, where the model looks across them: as in training."""
        return self._fit_settings({})["batch_size"] or 32

    def predict(self, X: MatrixLike, **kwargs: Unpack[PredictArguments]) -> NDArray[Any]:
        """Predict the target.

        Where the model treats each row alone, it is called with many rows at once. Where it looks across rows
        (a layer that centres over the batch, a recurrent layer that keeps its state), or may do so, each step
        has ``batch_size`` rows, by default those of the estimator, as in ``keras.Model.predict``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        **kwargs : dict
            Arguments of ``keras.Model.predict`` (``batch_size``, ``verbose``, ``steps``,
            ``callbacks``), also as parameters ``predict__<name>``.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)

        Raises
        ------
        NotFittedError
            If there is no model yet.
        ValueError
            If X is not like that of `fit`, or the model predicts NaN.
        """
        outputs = self._predict_raw(X, **kwargs)
        return self._target.decode(outputs)

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score the predictions for X against y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
            By `scorer`: accuracy for classifiers, R squared for regressors. Parameters
            ``score__<name>`` are handed to it.
        """
        y = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
        return self.scorer(y, self.predict(X), sample_weight=sample_weight, **self._params_for("score"))
