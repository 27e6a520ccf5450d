"""What all estimators share: the way from parameters and data to a trained model."""

import contextlib
import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, Self, TypeVar, Unpack

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted, validate_data

from skdl._arrays import leaves, take
from skdl._backend import check_not_forked, floatx, seeded
from skdl._dense import NotDense
from skdl._documentation import DocumentationLinkMixin
from skdl._estimators._features import check_features, text_error
from skdl._model import (
    PREDICT_PARAMS,
    ModelSpec,
    acts_on_predict,
    asks_keras,
    build,
    check_arguments,
    check_input,
    compile_model,
    count_nan,
    dense_outputs,
    find_builder,
    is_plain,
    keras_model,
    make_callbacks,
    output_shapes,
    predict_outputs,
    read_state,
    runs_user_code,
    write_state,
)
from skdl._onnx import ConvertsToOnnx
from skdl._persistence import PacksStateMixin, copy_model
from skdl._routing import RoutedParamsMixin, as_python, has_param, route_params
from skdl._targets import Target, learnt_by
from skdl._training import (
    FIT_PARAMS,
    Criterion,
    EarlyStopping,
    EpochTasks,
    Holdout,
    Plan,
    Rows,
    ValidationScore,
    divergence,
    encoded,
    fit_model,
    fit_settings,
    given_rows,
    is_one_of_many,
    late_divergence,
    learnt_from,
    train_dense,
    training_rows,
    why_not_numpy,
)
from skdl._typing import ArrayLike, FitArguments, MatrixLike, PredictArguments
from skdl._warnings import warn

_log = logging.getLogger("skdl")
_SEEDS = np.iinfo(np.int32).max

_Method = TypeVar("_Method", bound=Callable[..., Any])


def validated(method: _Method) -> _Method:
    """Validate the parameters before a method that fits, and keep its signature for type checkers."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def _without_autologging():
    """Return a context in which MLflow, if it is there, logs nothing.

    It logs what scikit-learn's classes are fitted with, and would take the encoders inside
    of an estimator for the user's.
    """
    mlflow = sys.modules.get("mlflow.utils.autologging_utils")
    return contextlib.nullcontext() if mlflow is None else mlflow.disable_autologging()


class KerasEstimator(
    ConvertsToOnnx,
    DocumentationLinkMixin,
    CallbackSupportMixin,
    RoutedParamsMixin,
    PacksStateMixin,
    BaseEstimator,
):
    """Base of all estimators: what they do, without a signature and without a builder.

    A subclass has a signature with at least the parameters of `TRAINING_CONSTRAINTS`, and a
    method ``_keras_build_fn`` that returns a model.
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

    # The kind of target, and whether integers reach the model as they are.
    _target_kind = Target
    _keeps_integers = True
    # What `fit` takes besides its own arguments.
    _fit_arguments = FIT_PARAMS
    _instead_of = {
        "history": "the history of a fitted estimator is history_",
        "evaluate": "call score(X, y), or a metric of scikit-learn",
        "summary": "the Keras model of a fitted estimator is model_: call model_.summary()",
        "get_weights": "the Keras model of a fitted estimator is model_: call model_.get_weights()",
        "set_weights": "the Keras model of a fitted estimator is model_: call model_.set_weights(weights)",
        "layers": "the Keras model of a fitted estimator is model_: its layers are model_.layers",
        "save": "save an estimator by skdl.save(estimator, path), its Keras model alone by model_.save(path)",
        "save_weights": "the Keras model of a fitted estimator is model_: call model_.save_weights(path)",
        "load_weights": "the Keras model of a fitted estimator is model_: call model_.load_weights(path)",
        "compile": "an estimator compiles its model in fit, by the parameters optimizer, loss and metrics",
        "predict_classes": "call predict(X), which returns classes",
    }

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
        """Score predictions; for subclasses to define.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.

        Raises
        ------
        NotImplementedError
            In this base class, which does not know what is good.
        """
        raise NotImplementedError("Define a static method scorer(y_true, y_pred, **kwargs) in the subclass.")

    def _type_of_target(self, y):
        return type_of_target(y)

    def _get_metadata(self):
        """Return what was learnt, for a builder that takes ``meta``."""
        return {name: value for name, value in vars(self).items() if name.endswith("_") and name[0] != "_"}

    # State.

    @property
    def initialized_(self) -> bool:
        """Whether there is a model, so that `predict` can be called."""
        return not vars(self).keys().isdisjoint({"model_", "_dense"})

    @property
    def _network(self):
        """The Keras model, or the state of a dense network that has none yet."""
        learnt = vars(self)
        return learnt["model_"] if "model_" in learnt else learnt["_dense"]

    def __getattr__(self, name):
        if name == "model_" and "_dense" in vars(self):
            return self._make_model()
        return super().__getattr__(name)

    def _make_model(self):
        """Make the Keras model of a dense network, which takes its place."""
        model = keras_model(self._dense, seed=self._seed)
        vars(self).pop("_dense", None)
        return vars(self).setdefault("model_", model)

    def _copied_network(self):
        """Return the attribute that holds what is trained, with a copy in it."""
        learnt = vars(self)
        if "model_" in learnt:
            return {"model_": copy_model(learnt["model_"])}
        return {"_dense": learnt["_dense"].copy()}

    @property
    def current_epoch(self) -> int:
        """Number of epochs recorded in ``history_``."""
        return len(next(iter(self._history().values()), []))

    def _history(self):
        return vars(self).get("history_", {})

    @property
    def _target(self):
        """What was learnt about the target."""
        learnt = vars(self)
        return self._target_kind.of(
            learnt.get("target_encoder_"),
            learnt.get("target_type_"),
            dtype=learnt.get("y_dtype_"),
            ndim=learnt.get("y_ndim_"),
            n=learnt.get("n_classes_", learnt.get("n_outputs_")),
        )

    def __sklearn_is_fitted__(self):
        return self.initialized_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @contextlib.contextmanager
    def _all_or_nothing(self, *, trains_on=False):
        """Leave the estimator as it was where a fit fails, and the model that was trained on."""
        before = {
            name: dict(value) if isinstance(value, dict) else value for name, value in vars(self).items()
        }
        try:
            with _without_autologging(), self._model_kept() if trains_on else contextlib.nullcontext():
                yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    def _model_kept(self):
        """Return a context that puts the Keras model back as it was where training it fails."""
        if "model_" not in vars(self):
            return contextlib.nullcontext()  # a copy is trained
        check_not_forked()
        from skdl import _engine  # which imports TensorFlow

        return _engine.rolled_back_where_it_fails(self.model_)

    # From parameters to values.

    def _draw_seeds(self, n):
        """Draw ``n`` seeds from ``random_state``, which advances where it is a generator."""
        return [int(seed) for seed in check_random_state(self.random_state).randint(_SEEDS, size=n)]

    def _draw_seed(self):
        return self._draw_seeds(1)[0]

    def _settings(self):
        """Return all parameters, also those that a subclass sets and leaves out of its signature."""
        fixed = {name: value for name, value in vars(self).items() if name in self._parameter_constraints}
        return {**fixed, **self.get_params(deep=False)}

    def _routed_to(self, method):
        return route_params(self._settings(), destination=method, pass_filter=set())

    def _fit_settings(self, call):
        return as_python(fit_settings(self._settings(), self._routed_to("fit"), call))

    def _make_plan(self, given, call):
        """Return the validation rows that a call gives, or None, and how it trains."""
        check_arguments("fit", call, self._fit_arguments)
        settings = self._fit_settings(call)
        given = given_rows(*given, settings.get("validation_data"))
        return given, Plan.of(
            settings,
            callbacks=self._make_callbacks("callbacks", "fit__callbacks", of_call=call.get("callbacks")),
            rows_given=given is not None,
            draw_seed=self._draw_seed,
        )

    def _make_callbacks(self, *destinations, of_call=None):
        """Return the callbacks of one call, from parameters and from what the call gives."""
        params = self._settings()
        callbacks = make_callbacks(of_call, {})
        for name in reversed(destinations):
            routed = as_python(route_params(params, destination=name, pass_filter=set()))
            callbacks = make_callbacks(params.get(name), routed) + callbacks
        return callbacks

    def _encoded_loss(self):
        """Return the loss that the target is encoded for."""
        return getattr(self, "loss", None)

    def _compile_params(self):
        """Return the parameters of compiling, with what the target decides."""
        return self._settings()

    def _spec(self):
        return ModelSpec(
            type(self).__name__,
            as_python(self._settings()),
            {name: each.default for name, each in self._init_signature(settled=True).items()},
            as_python(self._compile_params()),
        )

    def _split_validation(self, X, y, groups=None):
        """Choose the rows to hold out; `skdl.Pipeline` asks for them before its first step.

        Returns
        -------
        tuple of ndarray (train_rows, validation_rows), or None
            Sorted positions of the rows; None where no rows are to be held out.
        """
        holdout = Holdout.of(self._fit_settings({}), self._draw_seed)
        if holdout is None:
            return None
        return holdout.split(_num_samples(X), y, strata=self._strata_of(y), groups=groups)

    def _strata_of(self, y):
        """Return the labels that training and validation rows must have in equal shares, or None."""
        return self._target_kind.strata(y)

    # From data to values.

    def _validate_data(self, X, y=None, *, reset=False):
        """Check X and y, and learn or compare their number of features, shape and type."""
        check_features(
            X,
            type(self).__name__,
            n_rows=None if y is None else _num_samples(y),
            row_shape=None if reset else self.X_shape_[1:],
        )
        X = self._validate_features(X, reset=reset)
        if y is not None:
            y = self._validate_target(y)
            check_consistent_length(X, y)
            if not reset and y.ndim != self.y_ndim_:
                raise ValueError(
                    f"y has {y.ndim} dimensions, but {type(self).__name__} was fitted on a target of "
                    f"{self.y_ndim_}."
                )
        return X, y

    def _has_own_encoder(self):
        """Whether a subclass of the user's has a target encoder of its own."""
        encoder = type(self).target_encoder
        return not getattr(encoder, "fget", encoder).__module__.startswith("skdl.")

    def _validate_target(self, y):
        return self._target_kind.validate(y, type(self).__name__, own_encoder=self._has_own_encoder())

    def _validate_features(self, X, *, reset):
        # Types that reach the model as they are; others become the first.
        dtypes = [np.dtype(floatx())]
        if self._keeps_integers:
            dtypes += [np.dtype(kind) for kind in "?bhilqBHILQ"]
        try:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                allow_nd=True,
                dtype=dtypes,
            )
        except ValueError as error:
            if "could not convert string to float" in str(error):
                raise text_error(error, type(self).__name__) from error
            raise
        if reset:
            self.X_shape_, self.X_dtype_ = X.shape, X.dtype
        elif X.shape[1:] != self.X_shape_[1:]:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on rows of "
                f"shape {self.X_shape_[1:]}."
            )
        return X

    def _initialize(self, X, y=None, *, classes=None, split=None, engine=None):
        """Validate the data, learn from it, and build the model.

        Subclasses written for scikeras override it with X and y alone.

        Parameters
        ----------
        X, y : array-like
        classes : ndarray, default=None
            All classes, where ``y`` may lack some.
        split : callable, default=None
            From X and y to rows to train on and rows to validate on. The latter teach
            encoders nothing but which classes there are.
        engine : str, default=None
            The engine that is asked for; None for the parameter.

        Returns
        -------
        X, y : ndarray or sparse matrix
            The data, validated.
        """
        X, y = self._validate_data(X, y, reset=True)
        if y is None and self.__sklearn_tags__().target_tags.required:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )
        if y is not None:
            self.target_type_ = self._type_of_target(y if classes is None else classes)
            self.y_dtype_, self.y_ndim_ = y.dtype, y.ndim
        train, held_out = (Rows(X, y), None) if split is None else split(X, y)
        self._n_rows = train.n + (0 if held_out is None else held_out.n)  # without those of weight zero
        encoder = self._unfitted_target_encoder(classes)
        self.target_encoder_ = encoder.fit(y if self._target_kind.has_labels else train.y)
        vars(self).update(learnt_by(self.target_encoder_))
        self.feature_encoder_ = self.feature_encoder.fit(train.X)
        vars(self).update(learnt_by(self.feature_encoder_))
        # Nested inputs have no one shape; their builder knows it.
        row = encoded(self.feature_encoder_, take(train.X, slice(0, 1)))
        self._row_shape = getattr(row, "shape", (1,))[1:]
        build_seed, self._seed = self._draw_seeds(2)
        for name in ("model_", "_dense"):
            vars(self).pop(name, None)
        if (engine or self.engine) in ("auto", "numpy"):
            try:
                self._dense = self._initial_state(build_seed)
                return X, y
            except NotDense:
                pass
        check_not_forked()
        spec, builder = self._spec(), self._find_builder()
        with seeded(build_seed, user_code=runs_user_code(spec, builder)) as set_by_builder:
            self.model_ = build(spec, builder, self._get_metadata())
        if set_by_builder and self.random_state is None:
            self._seed = set_by_builder[-1] % _SEEDS
        return X, y

    def _initial_state(self, seed):
        """Return the state of a dense network that needs no Keras model."""
        raise NotDense(f"{type(self).__name__} builds a Keras model")

    def _unfitted_target_encoder(self, classes):
        return self.target_encoder

    def _find_builder(self):
        return find_builder(type(self).__name__, getattr(self, "_keras_build_fn", None))

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
            by the first fit that goes on from here.
        """
        with self._all_or_nothing():
            self._initialize(X, y)
        return self

    # Training.

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
            Rows to train on. A sparse matrix is made dense: at once where that takes up to 256 MB, else a
            batch at a time by Keras's ``fit``, which is slower.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their ratios count. Rows of weight 0 are left out.
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, for a splitter as ``validation_split`` that keeps groups
            together.
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
            If the training diverged: the weights are infinite or no numbers. ``history_``
            shows when; `predict` raises an error.
        """
        given, plan = self._make_plan((X_val, y_val, sample_weight_val), kwargs)
        rows = Rows(X, y, sample_weight)
        return self._fit(rows, given, plan, continues=self.warm_start, groups=groups)

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
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        groups : array-like of shape (n_samples,), default=None
            Labels of groups, for a splitter as ``validation_split``, see `fit`.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to validate on, see `fit`.
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
        return self._fit_epoch(
            Rows(X, y, sample_weight), (X_val, y_val, sample_weight_val), kwargs, groups=groups
        )

    def _fit_epoch(self, data, given, call, *, classes=None, groups=None):
        for name in ("epochs", "initial_epoch"):
            if name in call:
                raise TypeError(f"partial_fit trains one epoch from the current one; leave out {name}=.")
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; use fit, or set it to False.")
        given, plan = self._make_plan(given, {**call, "epochs": 1, "initial_epoch": self.current_epoch})
        return self._fit(data, given, plan, continues=True, classes=classes, groups=groups)

    def _fit(self, data, given, plan, *, continues, classes=None, groups=None):
        """Train on rows as the user gave them.

        Parameters
        ----------
        data : Rows
        given : Rows or None
            To validate on.
        plan : Plan
        continues : bool
            Whether to train the model that is there, if any.
        classes : ndarray, default=None
            All classes, where the target may lack some.
        groups : array-like, default=None
            For the splitter of the plan.
        """
        task = self._init_callback_context(max_subtasks=plan.epochs)
        metadata = None if data.weight is None else {"sample_weight": data.weight}
        task.call_on_fit_task_begin(estimator=self, X=data.X, y=data.y, metadata=metadata)
        continues = continues and self.initialized_
        with self._all_or_nothing(trains_on=continues):
            train, held_out = self._divide(data, given, plan, continues, classes, groups)
            shown = training_rows(data.X, data.y, metadata, train.where())
            train, held_out = self._encode(train, held_out, plan)
            scored = None
            if held_out is not None:
                of_user = data if given is None else given
                scored = of_user.X, of_user.y, held_out.where(), held_out.weight
            train, held_out, plan = self._arrange(train, held_out, plan)
            outcome, learnt = self._train(train, held_out, plan, scored, task, shown, is_new=not continues)
            self.engine_, self.engine_reason_ = outcome.engine, outcome.reason
            self.callbacks_ = plan.callbacks
            vars(self).update(learnt)
            self._check_trained(train.X)
        self._report(outcome, plan)
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes=self._copied_network, **shown)
        return self

    def _divide(self, data, given, plan, continues, classes, groups):
        """Check the data, build the network, and return rows to train on and rows to validate on."""
        split = plan.splitter(data.weight, self._strata_of, groups)
        if continues:
            X, y = self._validate_data(data.X, data.y)
        else:
            # Subclasses written for scikeras take X and y alone.
            args = {"classes": classes, "split": split, "engine": plan.engine}
            args = {name: value for name, value in args.items() if has_param(self._initialize, name)}
            X, y = self._initialize(data.X, data.y, **args)
        train, held_out = split(X, y)
        self._target.check_learnable(train.y, type(self).__name__, classes)
        if given is not None:
            held_out = Rows(*self._validate_data(given.X, given.y), given.weight).checked_weight()
            self._target.check_known(held_out.y)
        self._prepare_model(encoded(self.feature_encoder_, take(X, slice(0, 1))), self._target)
        return train, held_out

    def _encode(self, train, held_out, plan):
        """Return rows as the model takes them, weighted by class, with weights of mean one."""
        if plan.class_weight is not None:
            train = train.weighted(self._target.class_weights(train.y, plan.class_weight))
        train = train.of_mean_weight_one().encode(self.feature_encoder_, self._target)
        if held_out is not None:
            held_out = held_out.of_mean_weight_one().encode(self.feature_encoder_, self._target)
        return train, held_out

    def _train(self, train, held_out, plan, scored, task, shown, *, is_new):
        """Train the network on encoded rows.

        Parameters
        ----------
        train : Rows
        held_out : Rows or None
        plan : Plan
        scored : tuple (X, y, positions, weight) or None
            The validation rows, as a scorer takes them.
        task : sklearn.callback.CallbackContext
        shown : dict
            Of `training_rows`, for scikit-learn's callbacks.
        is_new : bool
            Whether the model was built for this training.

        Returns
        -------
        outcome : Outcome
        learnt : dict of str to object
            Attributes that tell of the epochs.
        """
        state = self._state_to_train(train, plan)
        network = self.model_ if state is None else state
        criterion = Criterion.of(plan.scoring, network, self)
        greater_is_better = criterion.mode == "max"
        before = self._history() if plan.initial_epoch else {}

        def learn(history):
            return learnt_from(history, before, plan.validates, criterion.name, greater_is_better)

        first, last = [], []
        if criterion.scorer is not None and scored is not None:
            first.append(ValidationScore(criterion, self, *scored))
        if getattr(self, "_skl_callbacks", None):
            last.append(
                EpochTasks(self, task, lambda history: {**self._copied_network(), **learn(history)}, shown)
            )
        if plan.patience is not None:
            last.append(EarlyStopping(f"val_{criterion.name}", greater_is_better, plan.patience))
        if state is None:
            outcome = fit_model(
                network,
                train,
                held_out,
                plan,
                seed=self._seed,
                is_plain=is_new and is_plain(self._spec(), self._find_builder()),
                first=first,
                last=last,
            )
        else:
            hold = functools.partial(self._hold, model=vars(self).get("model_"))
            hooks = [*first, *last]
            outcome = train_dense(state, train, held_out, plan, seed=self._seed, hooks=hooks, hold=hold)
            hold(state)
        if outcome.interrupted and is_one_of_many():
            raise KeyboardInterrupt
        return outcome, learn(outcome.history)

    def _report(self, outcome, plan):
        """Log why Keras trained, and warn of a training that was interrupted or diverged."""
        if outcome.reason is not None and plan.engine == "auto":
            _log.info("%s trains with keras.Model.fit: %s", type(self).__name__, outcome.reason)
        if outcome.interrupted:
            warn(
                f"The training was interrupted after {len(outcome.epochs)} of {plan.epochs} epochs. The "
                "network is kept as it is.",
                ConvergenceWarning,
            )
        diverged = divergence(self._network, self.history_)
        if plan.patience is not None and not outcome.interrupted:
            diverged = diverged or late_divergence(self.history_, self.best_epoch_)
        if diverged:
            # Not an error: the history shows what happened. Predicting is one.
            warn(diverged, ConvergenceWarning)

    def _state_to_train(self, train, plan):
        """Return a copy of the dense network to train in NumPy, or None where another engine trains."""
        reason = f"engine={plan.engine!r} was asked for"
        if plan.engine in ("auto", "numpy"):
            try:
                state = self._current_state(np.shape(train.y)[-1] if np.ndim(train.y) == 2 else 1).copy()
                reason = why_not_numpy(state, train, plan)
                if reason is None:
                    return state
            except NotDense as error:
                reason = str(error)
        if plan.engine == "numpy":
            raise ValueError(
                f"engine='numpy' can't run this training: {reason}. Set engine='auto' to train with "
                "TensorFlow in this case."
            )
        return None

    def _current_state(self, n_columns=1):
        """Return the dense network that there is, for an encoded target of some columns."""
        if "model_" not in vars(self):
            return self._dense
        check_not_forked()
        return read_state(self.model_, n_columns)

    def _trained_loss(self):
        """Return the loss of the network as it is compiled, or None."""
        if "model_" not in vars(self):
            return self._dense.network.described["loss"]
        return self.model_.loss if self.model_.compiled else None

    def _hold(self, state, model):
        """Have the network as it is now: in the Keras model that is trained, if there is one."""
        if model is not None:
            write_state(state, model)
        else:
            vars(self).pop("model_", None)  # made for a hook that asked for it
            self._dense = state

    def _prepare_model(self, x, target):
        """Make sure that the model is compiled and fits the encoded data."""
        if "model_" not in vars(self):
            target.match(self._encoded_loss(), [(None, self._dense.network.n_units)])
            return
        if any(self.model_ is getattr(self, name, None) for name in ("model", "build_fn")):
            self.model_ = copy_model(self.model_)
        model = self.model_
        check_input(model, x)
        expected = vars(self).get("n_outputs_expected_")
        shapes = output_shapes(model, x, seed=self._seed, expected=expected)
        names = getattr(model, "output_names", None)
        compile_model(model, self._spec(), functools.partial(target.settle, shapes=shapes, names=names))
        target.match(model.loss, shapes)

    def _check_trained(self, x):
        """Refuse a network that a training on encoded rows x has shown to be wrong."""

    def _arrange(self, train, held_out, plan):
        """Return encoded rows as the model takes them, and what remained open of the plan."""
        return train, held_out, plan

    # Prediction.

    def _predict_raw(self, X, **kwargs):
        """Return the model's outputs for X."""
        check_is_fitted(self)
        X, _ = self._validate_data(X)
        x = encoded(self.feature_encoder_, X)
        check_arguments("predict", kwargs, PREDICT_PARAMS)
        routed = route_params(self._routed_params, destination="predict", pass_filter=set(), strict=True)
        callbacks, given = [], vars(self).get("callbacks")
        if given and any(map(acts_on_predict, leaves(given))):
            callbacks += [each for each in self._make_callbacks("callbacks") if acts_on_predict(each)]
        if routed.get("callbacks") or kwargs.get("callbacks"):
            callbacks += self._make_callbacks("predict__callbacks", of_call=kwargs.get("callbacks"))
        outputs = self._outputs(x, **{**routed, **kwargs, "callbacks": callbacks})
        n = count_nan(outputs)
        if n:
            # As labels they would be the first class.
            reason = divergence(self._network, self._history()) or (
                "Its weights are finite: are there very large values in X?"
            )
            raise ValueError(f"{type(self).__name__} predicts NaN for {n} of {X.shape[0]} rows. {reason}")
        return outputs

    def _outputs(self, x, **args):
        """Return the outputs of the network for encoded rows."""
        if self.engine in ("auto", "numpy") and not asks_keras(**args):
            try:
                return dense_outputs(self._current_state(), x)
            except NotDense:
                pass
        return predict_outputs(self.model_, x, step=self._rows_of_a_step(), **args)

    def _rows_of_a_step(self):
        """Return how many rows to predict at once, where the model looks across them: as in training."""
        return self._fit_settings({})["batch_size"] or 32

    def predict(self, X: MatrixLike, **kwargs: Unpack[PredictArguments]) -> NDArray[Any]:
        """Predict the target.

        Where the model treats each row alone, it is called with many rows at once. Where it looks
        across rows (a layer that centres over the batch, a recurrent layer that keeps its state), or
        may do so, each step has ``batch_size`` rows, by default those of the estimator, as in
        ``keras.Model.predict``.

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
        return self.scorer(y, self.predict(X), sample_weight=sample_weight, **self._routed_to("score"))
