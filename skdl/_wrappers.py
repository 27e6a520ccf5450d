"""Keras models as scikit-learn estimators: `KerasClassifier` and `KerasRegressor`."""

import numpy as np
import scipy.special
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from skdl._backend import keras
from skdl._base import BaseWrapper
from skdl._scikeras import ClassifierLabelEncoder, RegressorTargetEncoder


class KerasClassifier(ClassifierMixin, BaseWrapper):
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
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    # scikit-learn's mixin comes first and knows neither scorer nor score__ parameters.
    score = BaseWrapper.score

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        """Score predictions by their accuracy; override for another score.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.

        Returns
        -------
        float
        """
        return accuracy_score(y_true, y_pred, **kwargs)

    @property
    def target_encoder(self):
        """Transformer from labels to what the model takes; override to use another.

        Its ``inverse_transform`` takes ``return_proba``, for `predict_proba`.
        """
        known = vars(self).get("_known_classes")
        return ClassifierLabelEncoder(
            loss=self._encoded_loss(), categories="auto" if known is None else [known]
        )

    def _encoded_loss(self):
        return self.loss

    @property
    def _encodes_labels(self):
        return isinstance(vars(self).get("target_encoder_"), ClassifierLabelEncoder)

    def _validate_target(self, y, y_numeric):
        y = super()._validate_target(y, y_numeric=False)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if type(self).target_encoder is KerasClassifier.target_encoder:
            check_classification_targets(y)
        return y

    def _type_of_target(self, y):
        known = vars(self).get("_known_classes")
        return super()._type_of_target(y if known is None else known)

    def _check_target(self, y):
        if not self._encodes_labels or y.ndim > 1:
            return
        classes = vars(self).get("_known_classes")
        classes = np.unique(y) if classes is None else classes
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes, but the data contains only one "
                f"class: {classes[0]!r}. With partial_fit, name all classes: classes=[...]."
            )

    def _check_seen(self, y_val):
        if not self._encodes_labels or y_val.ndim > 1:
            return
        unseen = np.setdiff1d(y_val, self.classes_)
        if unseen.size:
            raise ValueError(
                f"y_val contains labels that y does not: {unseen.tolist()}; classes of y: "
                f"{self.classes_.tolist()}. Validate on rows of these classes only."
            )

    def _strata(self, y):
        return y if type_of_target(y) in ("binary", "multiclass") else None

    def _training_weights(self, y, sample_weight):
        if self.class_weight is not None:
            if isinstance(self.class_weight, dict) and self._encodes_labels and y.ndim == 1:
                unknown = [label for label in self.class_weight if label not in set(self.classes_.tolist())]
                if unknown:
                    raise ValueError(
                        f"class_weight has labels that y does not: {unknown}; classes of y: "
                        f"{self.classes_.tolist()}."
                    )
            weights = compute_sample_weight(self.class_weight, y)
            sample_weight = weights if sample_weight is None else weights * sample_weight
        return super()._training_weights(y, sample_weight)

    def _match_output(self, shapes):
        super()._match_output(shapes)
        if self._encodes_labels and len(shapes) == 1 and not isinstance(self.model_.loss, list | dict):
            self.target_encoder_.match_output(self.model_.loss, shapes[0][-1])

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X,
        y,
        classes=None,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        **kwargs,
    ):
        """Train for one more epoch, from the weights as they are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call where its ``y``
            lacks some.
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
            As `fit`, and if ``classes`` differ from those of the first call, or with
            ``early_stopping``, which makes no sense for one epoch.
        """
        known = None if classes is None else np.unique(classes)
        if self.initialized_ and self._encodes_labels and self.classes_ is not None and np.ndim(y) == 1:
            if known is not None and not np.array_equal(known, self.classes_):
                raise ValueError(
                    f"classes={known.tolist()} differs from the first call to partial_fit, where it was "
                    f"{self.classes_.tolist()}."
                )
            known = self.classes_
        self._known_classes = known
        try:
            return super().partial_fit(
                X,
                y,
                sample_weight=sample_weight,
                X_val=X_val,
                y_val=y_val,
                sample_weight_val=sample_weight_val,
                **kwargs,
            )
        finally:
            vars(self).pop("_known_classes", None)

    def _predict_raw(self, X, **kwargs):
        outputs = super()._predict_raw(X, **kwargs)
        loss = self.model_.loss if self.model_.compiled else None
        if not isinstance(loss, keras.losses.Loss) or not loss.get_config().get("from_logits"):
            return outputs
        # The loss takes logits, so the model gives them; people ask for probabilities.
        if isinstance(loss, keras.losses.BinaryCrossentropy | keras.losses.BinaryFocalCrossentropy):
            return scipy.special.expit(outputs)
        return scipy.special.softmax(outputs, axis=-1)

    def predict_proba(self, X, **kwargs):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        **kwargs : dict
            Arguments of ``keras.Model.predict``, see `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; two columns for two classes. For a
            multilabel target, the probability of each label.

        Raises
        ------
        NotFittedError
            If there is no model yet.
        ValueError
            If X is not like that of `fit`, or the model predicts NaN.
        """
        outputs = self._predict_raw(X, **kwargs)
        return self.target_encoder_.inverse_transform(outputs, return_proba=True)

    def predict_log_proba(self, X, **kwargs):
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features) or (n_samples, ...)
        **kwargs : dict
            Arguments of ``keras.Model.predict``, see `predict`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            ``-inf`` where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, **kwargs))


class KerasRegressor(RegressorMixin, BaseWrapper):
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

    # scikit-learn's mixin comes first and knows neither scorer nor score__ parameters.
    score = BaseWrapper.score

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        """Score predictions by R squared; override for another score.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs)
        **kwargs : dict
            ``sample_weight`` and the parameters ``score__<name>``.

        Returns
        -------
        float
        """
        return r2_score(y_true, y_pred, **kwargs)

    @property
    def target_encoder(self):
        """Transformer from ``y`` to what the model takes; override to use another."""
        return RegressorTargetEncoder()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _validate_target(self, y, y_numeric):
        return super()._validate_target(y, y_numeric=True)

    def _match_output(self, shapes):
        super()._match_output(shapes)
        default = isinstance(self.target_encoder_, RegressorTargetEncoder)
        if default and len(shapes) == 1 and self.y_ndim_ < 3 and shapes[0][-1] != self.n_outputs_:
            raise ValueError(
                f"The model's output has {shapes[0][-1]} units, but the target has {self.n_outputs_} "
                f"column{'s' * (self.n_outputs_ != 1)}. End the model with a layer of {self.n_outputs_}."
            )
