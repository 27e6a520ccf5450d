"""imbalanced-learn's Pipeline, with validation rows that are held out before its first step.

The Pipeline asks its final estimator for one private method, ``_split_validation(X, y, groups=None)``. It
returns the positions of the rows that the estimator's own ``fit`` would train on and of those that it would
hold out, or None. It is called before any step is fitted and may only count the rows of ``X``. ``fit`` of
such an estimator takes ``X_val`` and ``y_val``, and holds no rows out if they are given.
"""

from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
from imblearn import pipeline as _imblearn
from sklearn.base import _fit_context, clone
from sklearn.callback import ScoringMonitor
from sklearn.pipeline import Pipeline as _SklearnPipeline
from sklearn.pipeline import _final_estimator_has
from sklearn.utils import indexable
from sklearn.utils._user_interface import _print_elapsed_time
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.metaestimators import _safe_split, available_if
from sklearn.utils.validation import _check_method_params, check_memory, has_fit_parameter

from skdl import _pipeline_steps
from skdl._training._plan import unpack_validation_data


class Pipeline(_imblearn.Pipeline):
    """Chain of transformers, samplers and a final estimator, with validation rows held out first.

    It is used as :class:`imblearn.pipeline.Pipeline`, with these differences:

    - **No sampler and no scaler is fitted to held-out rows.** If the final estimator asks for validation rows
      (``validation_split`` or ``early_stopping`` of skdl's estimators) and none are given, the Pipeline holds
      them out before the first step: those that the estimator itself would hold out of ``X``. The fitted
      transformers transform them, samplers leave them alone, and the final estimator gets them as ``X_val``
      and ``y_val``. Fit parameters with one entry for each row are divided in the same way.
    - **Validation data can be given.** ``fit(X, y, X_val=..., y_val=...)`` transforms ``X_val`` for any final
      estimator whose ``fit`` takes it, without metadata routing.
    - **Fit parameters with one entry for each row**, such as sample weights, follow their rows through a
      sampler that selects rows (with ``sample_indices_``, such as ``RandomUnderSampler``). Behind any other
      sampler they are refused.
    - **Samplers see numbers as numbers and one-hot rows as classes.** A sampler that computes new rows, such
      as ``SMOTE``, gets whole numbers and flags as floats, which imbalanced-learn would cut off. One-hot
      targets are one-hot behind a sampler too. The Pipeline warns if an oversampler makes fewer rows than it
      was asked for, and if a sampler without ``random_state`` is cached.
    - **A Pipeline may be an inner step**, if it has no sampler.
    - **scikit-learn's callbacks reach the steps**, as in :class:`sklearn.pipeline.Pipeline`.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        The steps in their order. All but the last are transformers (also a Pipeline of transformers),
        samplers, ``"passthrough"`` or None. The last needs only ``fit``.
    transform_input : list of str, default=None
        Names of fit parameters that are transformed by the steps before the one that requests them. Only
        with metadata routing enabled; ``X_val`` needs it only there.
    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers and samplers are cached; a string is the path of a folder. The steps are
        then cloned before they are fitted; `steps` has the fitted ones.
    verbose : bool, default=False
        If True, the time that each step took is printed when it is done.

    Attributes
    ----------
    validation_indices_ : ndarray of shape (n_validation_rows,) or None
        Positions of the rows of ``X`` that the last ``fit`` held out before the first step; None if it held
        out none.
    named_steps : :class:`~sklearn.utils.Bunch`
        The steps by name. Read-only.
    classes_ : ndarray of shape (n_classes,)
        The class labels, if the final estimator is a classifier.
    n_features_in_ : int
        Number of features that the first step saw in ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features that the first step saw in ``fit``, if it saw names.

    See Also
    --------
    make_pipeline : Make a Pipeline without naming its steps.
    imblearn.pipeline.Pipeline : The parent class.

    Notes
    -----
    Rows are held out where the final step is a skdl estimator, or a skdl Pipeline that ends in one. A
    meta-estimator (``GridSearchCV``, ``CalibratedClassifierCV``, ``TransformedTargetRegressor``) belongs
    around the Pipeline: as its last step it would split data that went through the samplers. Rows of weight
    zero are not held out.

    ``step__X_val`` and ``step__validation_data`` are refused where a transformer stands before the step,
    since no step would transform them: pass ``X_val`` and ``y_val``. With metadata routing enabled, the final
    estimator must request these, and ``transform_input=["X_val"]`` has ``X_val`` transformed. Rows that the
    Pipeline holds out itself need no request.

    A step before the last that does not support callbacks, such as a sampler, is one task for them. A final
    estimator without that support gets scikit-learn's warning.

    References
    ----------
    .. [1] G. Lemaître, F. Nogueira, C. K. Aridas, "Imbalanced-learn: A Python toolbox to tackle the curse of
       imbalanced datasets in machine learning", Journal of Machine Learning Research 18(17), 2017.

    Examples
    --------
    >>> from imblearn.over_sampling import SMOTE
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdl import Pipeline
    >>> X, y = make_classification(n_samples=300, weights=[0.9], random_state=0)
    >>> X, X_val, y, y_val = train_test_split(X, y, stratify=y, random_state=0)
    >>> pipeline = Pipeline([
    ...     ("scaler", StandardScaler()),
    ...     ("smote", SMOTE(random_state=0)),
    ...     ("clf", HistGradientBoostingClassifier(early_stopping=True, random_state=0)),
    ... ])

    ``X_val`` is scaled with the training rows' mean, and nothing is added to it:

    >>> pipeline.fit(X, y, X_val=X_val, y_val=y_val).score(X_val, y_val) > 0.8
    True

    A final estimator of skdl needs no ``X_val``: see `validation_indices_`.
    """

    def _fit(self, X, y=None, routed_params=None, raw_params=None, callback_ctx=None):
        """Fit all steps but the last; return the data that reach it, and the parameters for their rows."""
        # imblearn 0.14 runs this loop without callbacks. sklearn 1.9's has them, but no samplers.
        memory = check_memory(self.memory)
        # What is ignored does not change what a step learns.
        cached = memory.cache(_pipeline_steps.run_step, ignore=["message", "caller", "task"])
        caching = getattr(memory, "location", memory) is not None

        for idx, name, step in self._iter(with_final=False, filter_passthrough=False, filter_resample=False):
            samples = _pipeline_steps.is_sampler(step)
            task = callback_ctx.subcontext(task_name=f"fit-{'resample' if samples else 'transform'}-{name}")
            message = self._log_message(idx)
            if step is None or step == "passthrough":
                with _print_elapsed_time("Pipeline", message):
                    task.call_on_fit_task_begin(estimator=self, X=X, y=y)
                    task.call_on_fit_task_end(estimator=self, X=X, y=y)
                continue
            step = clone(step) if caching else step
            params = self._get_metadata_for_step(
                step_idx=idx, step_params=routed_params[name], all_params=raw_params
            )
            run = partial(cached, step, params=params, message=message, caller=self, task=task)
            if samples:
                if caching:
                    _pipeline_steps.warn_if_unseeded(name, step)
                before = X
                X, y, step = _pipeline_steps.resample(name, step, X, y, run)
                later = [other for other, _ in self.steps[idx + 1 :] if other in routed_params]
                later = {other: routed_params[other] for other in later}
                routed_params = routed_params | _pipeline_steps.follow_sampler(later, name, step, before, X)
            else:
                X, y, step = run(X, y)
            # The cache returns another object than the step that it got.
            self.steps[idx] = (name, step)
        return X, y, routed_params

    def _iter(self, with_final=True, filter_passthrough=True, filter_resample=True):
        # imblearn 0.14 takes everything with `fit_resample` for a sampler, also a chain of transformers that
        # ends in "passthrough".
        steps = super(_imblearn.Pipeline, self)._iter(with_final, filter_passthrough)
        return (step for step in steps if not (filter_resample and _pipeline_steps.is_sampler(step[-1])))

    def _validate_steps(self):
        # Two checks of sklearn 1.9's Pipeline that imblearn 0.14's lacks.
        if not self.steps:
            raise ValueError("The pipeline is empty. Please add steps.")
        self._check_estimators_are_instances([step for _, step in self.steps])
        others = []
        for name, step in self.steps[:-1]:
            is_pipeline = isinstance(step, _SklearnPipeline)
            parts = step.get_params().items() if is_pipeline else ()
            samplers = [each for each, part in parts if _pipeline_steps.is_sampler(part)]
            if samplers:
                raise TypeError(
                    f"The step {name!r} is a Pipeline with the samplers {samplers}, and only the last step "
                    "may be such a Pipeline: new data pass the transformers and not the samplers. Write its "
                    "steps as steps of the outer Pipeline."
                )
            # imblearn 0.14 refuses all Pipelines before the last step.
            others.append((name, "passthrough" if is_pipeline else step))
        _imblearn.Pipeline([*others, self.steps[-1]])._validate_steps()

    def _check_method_params(self, method, props, **kwargs):
        names = [name for name, step in self.steps if step is not None]
        for param in props:
            step, separator, _ = param.partition("__")
            # imblearn 0.14 raises a KeyError without words.
            if separator and step not in names and not _routing_enabled():
                raise ValueError(
                    f"Pipeline.{method} got {param}, but there is no step {step!r} to pass it to. The steps "
                    f"are {names}: write <step>__<parameter>."
                )
        routed_params = super()._check_method_params(method, props, **kwargs)
        return {name: routed_params[name] for _, name, _ in self._iter(filter_resample=False)}

    def _get_metadata_for_step(self, *, step_idx, step_params, all_params):
        if self.transform_input is None:
            return step_params
        # imblearn 0.14 transforms a parameter by the slice of steps before this one, and a slice
        # that ends in a sampler has no `transform`. So it is asked on a chain without samplers.
        steps = [step for step in self.steps[:step_idx] if not _pipeline_steps.is_sampler(step[1])]
        chain = _imblearn.Pipeline([*steps, self.steps[step_idx]], transform_input=self.transform_input)
        return chain._get_metadata_for_step(
            step_idx=len(steps), step_params=step_params, all_params=all_params
        )

    def set_callbacks(self, *callbacks):
        """Set scikit-learn's callbacks, which see each step as a task.

        Parameters
        ----------
        *callbacks : callbacks
            Such as ``ProgressBar``; none to remove them. A ``ScoringMonitor`` belongs to the step that it
            scores, and raises TypeError here.

        Returns
        -------
        self : Pipeline
        """
        monitors = [callback for callback in callbacks if isinstance(callback, ScoringMonitor)]
        if monitors:
            name, final = self.steps[-1]
            raise TypeError(
                f"{type(monitors[0]).__name__} records nothing on a Pipeline, whose tasks have no fitted "
                f"estimator to score. Set it on the step: pipeline[{name!r}].set_callbacks(...) has "
                f"{_pipeline_steps.describe(final)} scored, here and in each clone that a search fits."
            )
        return super().set_callbacks(*callbacks)

    # Validation rows.

    def _hold_out(self, X, y, params, routed_params, groups):
        """Return X, y and params of the rows to train on, the Validation and its positions, or None."""
        split = getattr(self._final_estimator, "_split_validation", None)
        if split is None:
            return None
        fit_params = routed_params[self.steps[-1][0]]["fit"]
        given = {key.split("__")[-1] for key, value in fit_params.items() if value is not None}
        if given & set(_pipeline_steps.VALIDATION_NAMES):
            return None  # given to the estimator itself, which complains if a part is missing
        X, y = indexable(X, y)
        innermost = self._final_estimator
        while isinstance(innermost, Pipeline):
            inner_params = innermost._check_method_params(method="fit", props=fit_params)
            name, innermost = innermost.steps[-1][0], innermost._final_estimator
            fit_params = inner_params[name]["fit"]
        groups = fit_params.get("groups") if groups is None else groups
        rows = _pipeline_steps.split_rows(split, X, y, groups, fit_params.get("sample_weight"))
        if rows is None:
            return None
        train, held_out = rows
        X_val, y_val = _safe_split(self, X, y, held_out, train)
        validation = _pipeline_steps.Validation(X_val, y_val, _check_method_params(X, params, held_out))
        params = _check_method_params(X, params, train)
        return *_safe_split(self, X, y, train), params, validation, np.asarray(held_out)

    @available_if(_final_estimator_has("_split_validation"))
    def _split_validation(self, X, y, **by_row):
        """Rows that the final estimator would hold out: a Pipeline that is itself a last step."""
        return self._final_estimator._split_validation(X, y, **by_row)

    def _fit_final(self, X, y, fit_params, validation):
        """Fit the final estimator on training data that went through all steps."""
        name, final = self.steps[-1]
        if validation is None:
            return final.fit(X, y, **fit_params)

        X_val, params = validation.X, validation.params
        transformers = [(each, step) for _, each, step in self._iter(with_final=False)]
        if transformers:
            chain = _imblearn.Pipeline(transformers)
            consumed = _pipeline_steps.consumed_params(chain, "transform", params)
            routed = process_routing(chain, "transform", **consumed)
            for each, step in transformers:
                X_val = step.transform(X_val, **routed[each]["transform"])
        params = self._check_method_params(method="fit", props=params)[name]["fit"]
        validation = validation._replace(X=X_val, params=params)
        if isinstance(final, Pipeline):
            # Its public fit takes only requested metadata, where metadata routing is enabled.
            return final._fit_all(X, y, fit_params, validation)

        weights = validation.sample_weight
        if weights is None and has_fit_parameter(final, "sample_weight_val"):
            weights = params.get("sample_weight")
        given = {"X_val": X_val, "y_val": validation.y, "sample_weight_val": weights}
        given = {param: value for param, value in given.items() if value is not None}
        return final.fit(X, y, **{**fit_params, **given})

    # Fitting.

    @contextmanager
    def _fitted_steps(self, method, X, y, params, validation=None):
        """Fit all steps but the last.

        Yield the data that reach the last step, the step, its parameters and the validation data.
        """
        root = self._init_callback_context(task_name=method.replace("_", "-"), max_subtasks=len(self.steps))
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self.steps = list(self.steps)  # the fitted steps take their places in it
        self._validate_steps()
        if method == "fit":
            X, y, params, routed_params, validation, held_out = self._split(X, y, params, validation)
        else:
            held_out, routed_params = None, self._check_method_params(method=method, props=params)
        X, y, routed_params = self._fit(X, y, routed_params, raw_params=params, callback_ctx=root)
        final, final_params = self._final_estimator, {}
        task = root.subcontext(task_name=f"{root.task_name}-final-estimator")
        if final != "passthrough":
            final_params = self._get_metadata_for_step(
                step_idx=len(self.steps) - 1,
                step_params=routed_params[self.steps[-1][0]],
                all_params=params,
            )
        with nullcontext() if final == "passthrough" else task.propagate_callback_context(final):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            with _print_elapsed_time("Pipeline", self._log_message(len(self.steps) - 1)):
                yield X, y, final, final_params, validation
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        root.call_on_fit_task_end(estimator=self, X=X, y=y)
        self.validation_indices_ = held_out

    def _split(self, X, y, params, validation):
        """Return X, y and params to fit the steps to, the parameters of each step, and the validation data.

        ``validation`` was held out by an outer Pipeline, or is None. Positions of rows that are held out here
        are the last value.
        """
        if not _routing_enabled() and self.transform_input is not None:
            raise ValueError(
                "The `transform_input` parameter can only be set if metadata routing is enabled: call "
                f"sklearn.set_config(enable_metadata_routing=True). Got {self.transform_input!r}. X_val "
                "needs neither: leave `transform_input` out and pass X_val and y_val to fit."
            )
        held_out, groups, name = None, None, self.steps[-1][0]
        splits = hasattr(self._final_estimator, "_split_validation")
        if validation is None:
            unpack_validation_data(params)
        if not _routing_enabled():  # else X_val and groups are metadata like any other
            if validation is None:
                validation = _pipeline_steps.take_validation(params, y, self)
            groups = params.pop("groups", None) if splits else None
        routed_params = self._check_method_params(method="fit", props=params)
        if not _routing_enabled():
            _pipeline_steps.check_transformed(params, self.steps)
        if validation is None:
            parts = self._hold_out(X, y, params, routed_params, groups)
            if parts is not None:
                X, y, params, validation, held_out = parts
                routed_params = self._check_method_params(method="fit", props=params)
        if splits:
            # The groups serve to hold rows out alone.
            own = routed_params[name]["fit"]
            for key in [key for key in own if key.split("__")[-1] == "groups"]:
                del own[key]
        return X, y, params, routed_params, validation, held_out

    @_fit_context(prefer_skip_nested_validation=False)  # the steps are not validated yet
    def _fit_all(self, X, y, params, validation=None):
        """Fit, with validation data that were given or that an outer Pipeline held out."""
        steps = self._fitted_steps("fit", X, y, params, validation)
        with steps as (X, y, final, final_params, validation):
            if final != "passthrough":
                self._fit_final(X, y, final_params["fit"], validation)
        return self

    def fit(self, X, y=None, **params) -> "Pipeline":
        """Fit the steps one after the other, then the final estimator.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of length n_samples
            Training data, as the first step takes them.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Training targets, as all steps take them.
        **params : dict of str -> object
            Without metadata routing (the default):

            - ``step__param`` goes to ``fit`` of that step as ``param``;
            - ``X_val`` : like `X`, with `n_val` rows: validation data for the final estimator. The fitted
              transformers transform them, samplers leave them alone.
            - ``y_val`` : array-like of shape (n_val,) or (n_val, n_outputs): their targets. Needed with
              ``X_val`` where `y` is given.
            - ``sample_weight_val`` : array-like of shape (n_val,): their weights.
            - ``validation_data`` : tuple ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight_val)``, as in
              Keras.
            - ``groups`` : array-like of shape (n_samples,): labels of groups, for a final estimator whose
              ``validation_split`` is a splitter that keeps groups together.

            With metadata routing, parameters go to the steps that request them.

            Where rows are held out, every array-like with `n_samples` entries is divided with `X`. The final
            estimator gets the held-out part of its ``sample_weight`` as ``sample_weight_val``, if its ``fit``
            takes that.

        Returns
        -------
        self : Pipeline

        Raises
        ------
        ValueError
            If validation data are incomplete, given twice, or no step would transform them; if the final
            estimator takes none; or if a parameter with one entry for each row is for a step behind a sampler
            without ``sample_indices_``.
        """
        return self._fit_all(X, y, params)

    def _fit_then(self, method, X, y, params):
        """Call ``fit`` and then `method` on all of X where rows may be held out, else return None."""
        if not (
            hasattr(self._final_estimator, "_split_validation")
            or (not _routing_enabled() and set(params) & set(_pipeline_steps.VALIDATION_NAMES))
        ):
            return None
        self.fit(X, y, **params)
        return getattr(self, method)(X, **_pipeline_steps.consumed_params(self, method, params))

    @available_if(_imblearn.Pipeline._can_fit_transform)
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X, y=None, **params):
        """Fit the steps, and transform the data with the final estimator.

        Samplers change the rows of the result, as in imbalanced-learn. Where the final estimator may
        hold out rows, or ``X_val`` is given, the result is that of ``fit(X, y).transform(X)``: one
        row for each of `X`.

        Parameters
        ----------
        X, y, **params : array-like, array-like, dict
            As for :meth:`fit`.

        Returns
        -------
        array-like of shape (n_transformed_samples, n_transformed_features)
        """
        Xt = self._fit_then("transform", X, y, params)
        if Xt is not None:
            return Xt
        with self._fitted_steps("fit_transform", X, y, params) as (Xt, yt, final, final_params, _):
            if hasattr(final, "fit_transform"):
                Xt = final.fit_transform(Xt, yt, **final_params["fit_transform"])
            elif final != "passthrough":
                # With yt; imblearn 0.14 passes the targets from before the samplers.
                final.fit(Xt, yt, **final_params["fit"])
                Xt = final.transform(Xt, **final_params["transform"])
        return Xt

    @available_if(_imblearn.Pipeline._can_fit_resample)
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X, y=None, **params):
        """Fit the steps, and resample the data with the final sampler.

        Parameters
        ----------
        X, y, **params : array-like, array-like, dict
            As for :meth:`fit`, without validation data.

        Returns
        -------
        Xt, yt : array-like
            Resampled data and targets; the data alone if the last step is "passthrough" or None.
        """
        with self._fitted_steps("fit_resample", X, y, params) as (Xt, yt, final, final_params, _):
            if final == "passthrough":
                return Xt

            def run(X, y):
                return *final.fit_resample(X, y, **final_params["fit_resample"]), final

            Xt, yt, _ = _pipeline_steps.resample(self.steps[-1][0], final, Xt, yt, run)
        return Xt, yt

    @available_if(_final_estimator_has("fit_predict"))
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_predict(self, X, y=None, **params):
        """Fit the steps, and call ``fit_predict`` of the final estimator on their output.

        Where the final estimator may hold out rows, or ``X_val`` is given, the result is that of
        ``fit(X, y).predict(X)``.

        Parameters
        ----------
        X, y, **params : array-like, array-like, dict
            As for :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            What the final estimator predicts for the rows that reach it.
        """
        y_pred = self._fit_then("predict", X, y, params)
        if y_pred is not None:
            return y_pred
        with self._fitted_steps("fit_predict", X, y, params) as (Xt, yt, final, final_params, _):
            y_pred = final.fit_predict(Xt, yt, **final_params.get("fit_predict", {}))
        return y_pred


def make_pipeline(*steps: Any, memory=None, transform_input=None, verbose=False) -> Pipeline:
    """Make a :class:`Pipeline` whose steps are named after their types, in lower case.

    Parameters
    ----------
    *steps : estimators
        The steps in the order in which they are chained.
    memory : str or object with the joblib.Memory interface, default=None
    transform_input : list of str, default=None
    verbose : bool, default=False
        As those of :class:`Pipeline`.

    Returns
    -------
    Pipeline

    Examples
    --------
    >>> from imblearn.under_sampling import RandomUnderSampler
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdl import make_pipeline
    >>> make_pipeline(RandomUnderSampler(), LogisticRegression())
    Pipeline(steps=[('randomundersampler', RandomUnderSampler()),
                    ('logisticregression', LogisticRegression())])
    """
    chain = _imblearn.make_pipeline(*steps, memory=memory, transform_input=transform_input, verbose=verbose)
    return Pipeline(**chain.get_params(deep=False))
