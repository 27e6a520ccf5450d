"""What all estimators share: build, train, predict, and leave no half-fitted estimator behind."""

import contextlib
import logging
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skdl import _engine
from skdl._backend import check_not_forked, keras, quick_variables, seeded
from skdl._building import (
    FIT_PARAMS,
    PREDICT_PARAMS,
    acts_on_predict,
    build_model,
    check_arguments,
    compile_kwargs,
    compile_model,
    make_callbacks,
)
from skdl._callbacks import EpochTasks, fitted_copy, training_rows
from skdl._data import DataMixin, mean_one, rows_of
from skdl._persistence import copy_model, pack_all, unpack_all, with_parameters_copied
from skdl._routing import RoutedParamsMixin
from skdl._scikeras import route_params

_log = logging.getLogger("skdl")
# What scikit-learn keeps on an estimator during a fit. The copies that callbacks get, and
# may keep and fit again, are of their own.
_OF_A_RUNNING_FIT = {"_callback_fit_ctx", "_parent_callback_ctx", "_skl_callbacks_to_teardown"}


class BaseWrapper(CallbackSupportMixin, RoutedParamsMixin, DataMixin, BaseEstimator):
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
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "optimizer": [str, dict, callable, keras.optimizers.Optimizer],
        "loss": [str, dict, list, tuple, callable, None],
        "metrics": [str, dict, list, tuple, callable, keras.metrics.Metric, None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "validation_batch_size": [
            Interval(Integral, 1, None, closed="left"),
            Options(Integral, {-1}),
            None,
        ],
        "verbose": ["boolean", Options(Integral, {0, 1, 2}), StrOptions({"auto"})],
        "callbacks": [list, tuple, dict, callable, keras.callbacks.Callback, None],
        "validation_split": [Interval(Real, 0, 1, closed="left"), None],
        "shuffle": ["boolean"],
        "run_eagerly": ["boolean"],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "engine": [StrOptions({"auto", "compiled", "keras"})],
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

    # Extension points, as in scikeras.

    @property
    def target_encoder(self):
        """Transformer from ``y`` to what the model takes; override to use another.

        Its ``get_metadata()``, if any, becomes attributes and goes to the builder.
        """
        return FunctionTransformer()

    @property
    def feature_encoder(self):
        """Transformer from ``X`` to what the model takes; override to use another."""
        return FunctionTransformer()

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        """Score predictions; for subclasses to define.

        Raises
        ------
        NotImplementedError
            In this base class, which does not know what is good.
        """
        raise NotImplementedError("Define a static method scorer(y_true, y_pred, **kwargs) in the subclass.")

    def _get_compile_kwargs(self):
        return compile_kwargs(self.get_params(deep=False))

    def _type_of_target(self, y):
        return type_of_target(y)

    def _get_metadata(self):
        """Return what was learnt, for a builder that takes ``meta``."""
        return {name: value for name, value in vars(self).items() if name.endswith("_") and name[0] != "_"}

    # State.

    @property
    def initialized_(self):
        """Whether there is a model, so that `predict` can be called."""
        return hasattr(self, "model_")

    @property
    def current_epoch(self):
        """Number of epochs recorded in ``history_``."""
        return len(next(iter(vars(self).get("history_", {}).values()), []))

    def __sklearn_is_fitted__(self):
        return self.initialized_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_clone__(self):
        # scikit-learn copies parameters by copy.deepcopy, which Keras answers by configuration.
        return BaseEstimator.__sklearn_clone__(with_parameters_copied(self))

    def __getstate__(self):
        state = super().__getstate__()
        return pack_all({name: value for name, value in state.items() if name not in _OF_A_RUNNING_FIT})

    def __setstate__(self, state):
        super().__setstate__(unpack_all(state))

    @contextlib.contextmanager
    def _all_or_nothing(self, *, trains_on=False):
        """Leave the estimator as it was where a fit fails, weights that were trained on included."""
        before = {
            name: dict(value) if isinstance(value, dict) else value for name, value in vars(self).items()
        }
        model = before.get("model_")
        weights = model.get_weights() if trains_on and model.built else None
        try:
            yield
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if weights is not None:
                model.set_weights(weights)
            raise

    def _fitted_param(self, name):
        """Return a parameter of training, where ``fit__<name>`` has the last word."""
        return self._routed_params.get(f"fit__{name}", getattr(self, name))

    # Building.

    def _initialize(self, X, y=None):
        """Validate the data, learn from it, and build the model."""
        if y is None and self.__sklearn_tags__().target_tags.required:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y is None."
            )
        X, y = self._validate_data(X, y, reset=True)
        for name, value, encoder in (
            ("target_encoder_", y, self.target_encoder),
            ("feature_encoder_", X, self.feature_encoder),
        ):
            setattr(self, name, encoder.fit(value))
            vars(self).update(getattr(encoder, "get_metadata", dict)())
        build_seed, self._seed = self._draw_seeds(2)
        with seeded(build_seed):
            self.model_ = build_model(self, self._get_metadata())
        return X, y

    @_fit_context(prefer_skip_nested_validation=True)
    def initialize(self, X, y=None):
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
        check_not_forked()
        with self._all_or_nothing():
            self._initialize(X, y)
        return self

    def _prepare_model(self, x):
        """Make sure that the model is compiled and fits the encoded data."""
        if self.model_ is getattr(self, "model", None):
            self.model_ = copy_model(self.model_)
        with quick_variables():
            compile_model(self.model_, self)
        self._check_input_shape(x)
        self._match_output(self._output_shapes(x))

    def _check_input_shape(self, x):
        expected = getattr(self.model_, "input_shape", None) if self.model_.built else None
        if not isinstance(expected, tuple) or not hasattr(x, "shape"):
            return
        given = x.shape if len(x.shape) == len(expected) else (*x.shape, 1)
        if len(given) != len(expected) or any(
            want is not None and want != got for want, got in zip(expected[1:], given[1:], strict=True)
        ):
            raise ValueError(
                f"The model takes rows of shape {expected[1:]}, but X has rows of shape {x.shape[1:]}. "
                "Let the builder take meta, and size the input by meta['n_features_in_'] or "
                "meta['X_shape_'][1:]."
            )

    def _output_shapes(self, x):
        """Return the shapes of the model's outputs, building it where it is not built."""
        if not (self.model_.built and isinstance(self.model_, keras.Sequential | keras.src.Functional)):
            with seeded(self._seed):
                outputs = _engine.forward(self.model_, _engine.take(x, slice(0, 1)))
            return [output.shape for output in keras.tree.flatten(outputs)]
        return [output.shape for output in self.model_.outputs]

    def _match_output(self, shapes):
        expected = vars(self).get("n_outputs_expected_")
        if expected is not None and expected != len(shapes):
            raise ValueError(
                f"The target needs a model with {expected} output{'s' * (expected != 1)}, but this one "
                f"has {len(shapes)}."
            )

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, **kwargs):
        """Build a model and train it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
            Rows to train on. A sparse matrix is made dense a batch at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their ratios count. Rows of weight 0 are left out.
        X_val : array-like of shape (n_val, n_features) or (n_val, ...), default=None
            Rows to validate on, in place of those that ``validation_split`` holds out.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their target.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.
        **kwargs : dict
            Arguments of ``keras.Model.fit`` for this fit alone, as in scikeras; parameters
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
        return self._fit(
            X,
            y,
            sample_weight,
            (X_val, y_val, sample_weight_val),
            warm_start=self.warm_start,
            epochs=kwargs.pop("epochs", self._fitted_param("epochs")),
            initial_epoch=kwargs.pop("initial_epoch", self._routed_params.get("fit__initial_epoch", 0)),
            **kwargs,
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None, **kwargs
    ):
        """Train for one more epoch, from the weights as they are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
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
        for name in ("epochs", "initial_epoch"):
            if name in kwargs:
                raise TypeError(f"partial_fit trains one epoch from the current one; leave out {name}=.")
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; use fit, or set it to False.")
        return self._fit(
            X,
            y,
            sample_weight,
            (X_val, y_val, sample_weight_val),
            warm_start=True,
            epochs=1,
            initial_epoch=self.current_epoch,
            **kwargs,
        )

    def _fit(self, X, y, sample_weight, validation, *, warm_start, epochs, initial_epoch, **kwargs):
        fit_args = self._fit_args(kwargs)
        validation_data = fit_args.pop("validation_data", None)
        if validation_data is not None:
            if any(part is not None for part in validation):
                raise ValueError(
                    "Both validation_data and X_val, y_val are given; give X_val and y_val alone."
                )
            validation = (*validation_data, None)[:3]
        # Drawn before the seeds of the model, as where a Pipeline splits before it fits.
        share = self._validation_share(fit_args.pop("validation_split", None))
        split_seed = self._draw_seeds(1)[0] if share and all(part is None for part in validation) else None
        check_not_forked()
        task = self._init_callback_context(max_subtasks=epochs)
        given = {
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        task.call_on_fit_task_begin(estimator=self, **given)
        continues = warm_start and self.initialized_
        with self._all_or_nothing(trains_on=continues):
            if continues:
                X, y = self._validate_data(X, y, reset=False)
            else:
                X, y = self._initialize(X, y)
            sample_weight = self._check_weights(sample_weight, X)
            rows = self._rows_with_weight(X, sample_weight)
            self._check_target(y[rows])
            rows, validation = self._with_validation(X, y, sample_weight, rows, validation, share, split_seed)
            X, y, sample_weight = rows_of(rows, X, y, sample_weight)
            self._prepare_model(self.feature_encoder_.transform(_engine.take(X, slice(0, 1))))
            x, y, weights = self._encode(X, y, self._training_weights(y, sample_weight))
            if validation is not None:
                X_val, y_val, weight_val = validation
                validation = self._encode(X_val, y_val, mean_one(weight_val))
                validation = validation[: 2 + (weight_val is not None)]
            data = training_rows(**given, rows=rows)
            # Without callbacks no Python runs between the epochs.
            watched = bool(getattr(self, "_skl_callbacks", None))
            watchers = [EpochTasks(self, task, initial_epoch, data)] if watched else []
            self._train(x, y, weights, validation, epochs, initial_epoch, fit_args, watchers)
        self._warn_if_diverged()
        task.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: fitted_copy(self.model_), **data
        )
        return self

    def _fit_args(self, kwargs):
        """Collect the arguments for Keras's ``fit`` beyond those of the signature."""
        check_arguments("fit", kwargs, FIT_PARAMS)
        routed = route_params(self._routed_params, destination="fit", pass_filter=set())
        routed = {name: value for name, value in routed.items() if name in FIT_PARAMS}
        skip = {"epochs", "initial_epoch", "validation_split", "callbacks"} - set(kwargs)
        return {**{name: value for name, value in routed.items() if name not in skip}, **kwargs}

    def _train(self, x, y, weights, validation, epochs, initial_epoch, fit_args, watchers):
        n = _engine.n_rows(x)

        def rows(name, default):
            size = fit_args.pop(name, getattr(self, name, None))
            return n if size == -1 else size or default

        batch_size = rows("batch_size", 32)
        fit_args["validation_batch_size"] = rows("validation_batch_size", batch_size)
        if validation is None:
            del fit_args["validation_batch_size"]
        callbacks = self._make_callbacks("callbacks") + self._make_callbacks("fit__callbacks")
        callbacks += make_callbacks(fit_args.pop("callbacks", None), {})
        if self.early_stopping:
            early_stopping = keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=self.n_iter_no_change, restore_best_weights=True
            )
            watchers = [*watchers, early_stopping]
        history = _engine.train(
            self.model_,
            x,
            y,
            weights,
            validation_data=validation,
            batch_size=batch_size,
            epochs=initial_epoch + epochs,
            initial_epoch=initial_epoch,
            shuffle=fit_args.pop("shuffle", self.shuffle),
            seed=self._seed,
            callbacks=callbacks + watchers,
            verbose=fit_args.pop("verbose", self.verbose),
            engine=self.engine,
            **fit_args,
        )
        self.engine_, self.engine_reason_ = history.engine, history.reason
        if history.reason is not None and self.engine == "auto":
            _log.info("%s trains with keras.Model.fit: %s", type(self).__name__, history.reason)
        vars(self).update(self._learnt_from(history.history, initial_epoch))
        for callback in callbacks:
            # Not by set_model, which a callback may extend and which expects a model.
            callback._model = None
        self.callbacks_ = callbacks

    def _make_callbacks(self, destination):
        params = self.get_params(deep=False)
        routed = route_params(params, destination=destination, pass_filter=set())
        return make_callbacks(params.get(destination), routed)

    def _learnt_from(self, history, initial_epoch=0):
        """Return the attributes that tell of the epochs."""
        before = vars(self).get("history_", {}) if initial_epoch else {}
        history = {name: [*before.get(name, []), *values] for name, values in history.items()}
        watched = history.get("val_loss") or history.get("loss") or [np.nan]
        finite = np.where(np.isfinite(watched), watched, np.inf)
        return {
            "history_": history,
            "n_iter_": max(map(len, history.values()), default=0),
            "best_epoch_": int(np.argmin(finite)),
        }

    def _divergence(self):
        """Tell in words how the weights came to be no numbers; "" where they are numbers."""
        weights = (np.asarray(weight) for weight in self.model_.get_weights())
        if all(np.isfinite(weight).all() for weight in weights if weight.dtype.kind in "fV"):
            return ""
        losses = vars(self).get("history_", {}).get("loss", [])
        epoch = next((epoch for epoch, loss in enumerate(losses) if not np.isfinite(loss)), None)
        since = "" if epoch is None else f" (the loss is {losses[epoch]} from epoch {epoch} on)"
        return (
            f"The training diverged: the network's weights are no longer finite{since}. Lower the learning "
            "rate, scale the features, or clip the gradients (optimizer__clipnorm=1.0)."
        )

    def _warn_if_diverged(self):
        diverged = self._divergence()
        if diverged:
            # Not an error: the history shows what happened. Predicting is one.
            warnings.warn(diverged, ConvergenceWarning, stacklevel=5)

    # Prediction.

    def _check_numbers(self, outputs):
        """Refuse predictions that are no numbers: as labels they would be the first class."""
        for output in keras.tree.flatten(outputs):
            if output.dtype.kind in "fV" and np.isnan(output).any():
                n = int(np.isnan(output).reshape(len(output), -1).any(axis=1).sum())
                reason = self._divergence() or "Its weights are finite: are there very large values in X?"
                name = type(self).__name__
                raise ValueError(f"{name} predicts NaN for {n} of {len(output)} rows. {reason}")

    def _predict_raw(self, X, **kwargs):
        """Return the model's outputs for X."""
        check_not_forked()
        check_is_fitted(self)
        X, _ = self._validate_data(X, reset=False)
        x = self.feature_encoder_.transform(X)
        check_arguments("predict", kwargs, PREDICT_PARAMS)
        routed = route_params(self._routed_params, destination="predict", pass_filter=set(), strict=True)
        args = {**routed, **kwargs}
        callbacks = []
        if any(map(acts_on_predict, keras.tree.flatten(getattr(self, "callbacks", None) or []))):
            callbacks += [each for each in self._make_callbacks("callbacks") if acts_on_predict(each)]
        callbacks += self._make_callbacks("predict__callbacks")
        callbacks += make_callbacks(kwargs.get("callbacks"), {})
        batch_size = args.get("batch_size")
        batch_size = _engine.n_rows(x) if batch_size == -1 else batch_size
        if callbacks or args.get("verbose") or args.get("steps") is not None:
            args = {**args, "callbacks": callbacks, "batch_size": batch_size}
            outputs = self.model_.predict(x, **{"verbose": 0, **args})
        else:
            outputs = _engine.forward(self.model_, x, batch_size=batch_size)
        self._check_numbers(outputs)
        return outputs

    def predict(self, X, **kwargs):
        """Predict the target.

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
        return self.target_encoder_.inverse_transform(outputs)

    def score(self, X, y, sample_weight=None):
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
        args = route_params(self._routed_params, destination="score", pass_filter=set())
        return self.scorer(np.asarray(y), self.predict(X), sample_weight=sample_weight, **args)
