"""imbalanced-learn's Pipeline, with validation rows that are held out before its first step.

The Pipeline knows nothing of Keras. It asks its final estimator for one private method::

    _split_validation(X, y, groups=None) -> (train_rows, validation_rows) or None

It answers which rows of the training data the estimator's own ``fit`` would train on and which it
would hold out: two integer arrays of row positions, disjoint, or None where the estimator's
parameters ask for no validation rows. It is called before anything is fitted, on the Pipeline's own
input, so it must do no more with ``X`` than count its rows. An estimator that has the method takes
``X_val`` and ``y_val`` in ``fit``, and holds no rows out itself when it is given them.
"""

from contextlib import contextmanager, nullcontext
from functools import partial
from inspect import Parameter, signature
from typing import Any, NamedTuple

import numpy as np
from imblearn import pipeline as _imblearn
from sklearn.base import _fit_context, clone
from sklearn.callback import ScoringMonitor
from sklearn.pipeline import Pipeline as _SklearnPipeline
from sklearn.pipeline import _final_estimator_has, _name_estimators
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils._user_interface import _print_elapsed_time
from sklearn.utils.metadata_routing import (
    _routing_enabled,
    get_routing_for_object,
    process_routing,
)
from sklearn.utils.metaestimators import _safe_split, available_if
from sklearn.utils.validation import (
    _check_method_params,
    _num_samples,
    check_consistent_length,
    check_memory,
    has_fit_parameter,
)

from skdl._documentation import link_module, link_template
from skdl._sampling import resample, warn_if_unseeded

_VALIDATION_PARAMS = ("X_val", "y_val", "sample_weight_val")
# The same in one, as Keras spells it.
_VALIDATION_NAMES = (*_VALIDATION_PARAMS, "validation_data")


class _Validation(NamedTuple):
    """Validation data on its way to the final estimator."""

    X: Any
    y: Any
    # The user's fit parameters, cut down to the validation rows.
    params: dict
    # sample_weight_val, where the user gave it. For rows held out here, the
    # weights are found among `params`.
    sample_weight: Any = None


class Pipeline(_imblearn.Pipeline):
    """Chain of transformers, samplers and a final estimator, with validation rows held out first.

    It is used as :class:`imblearn.pipeline.Pipeline`, and differs in these things:

    - **No sampler and no scaler is fitted to held-out rows.** When the final estimator asks for validation
      rows (``validation_split`` or ``early_stopping`` of skdl's estimators) and none are given, they
      are held out before the first step: the rows that the estimator itself would hold out of ``X``,
      so stratified for a classifier and seeded by its ``random_state``. Every step is fitted without
      them. The fitted transformers then transform them, samplers are left out, and the final estimator
      gets them as ``X_val`` and ``y_val``. Fit parameters with one entry for each row, such as
      sample weights, are divided in the same way.
    - **Validation data can be given.** ``fit(X, y, X_val=..., y_val=...)`` transforms ``X_val`` for
      the final estimator, for any final estimator whose ``fit`` takes it, without metadata
      routing.
    - **Sample weights follow their rows through a sampler** that selects rows and lists them in
      ``sample_indices_``, such as ``RandomUnderSampler`` and ``RandomOverSampler``. Behind any other
      sampler they are refused. The same holds for all fit parameters with one entry for each row.
    - **Samplers see numbers as numbers and one-hot rows as classes.** A sampler that computes new rows, such
      as ``SMOTE``, gets whole numbers and flags as floats. In imbalanced-learn its results are cut off,
      small integers overflow, and flags become true. One-hot targets are one-hot behind a sampler too.
      A warning says where an oversampler made fewer rows than it was asked for, and where a sampler
      without ``random_state`` is cached.
    - **A Pipeline may be an inner step**, if it has no sampler.
    - **scikit-learn's callbacks reach the steps**, as in :class:`sklearn.pipeline.Pipeline`.

    With a final estimator that asks for no validation rows it does what imbalanced-learn's Pipeline does.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        The steps in the order in which they are chained. All but the last are transformers (``fit``
        and ``transform``; also a Pipeline of transformers), samplers (``fit_resample``),
        ``"passthrough"`` or None. The last needs only ``fit``.

    transform_input : list of str, default=None
        Names of fit parameters that are transformed by the steps before the one that requests them.
        Only with scikit-learn's metadata routing switched on; ``X_val`` needs it only there.

    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers and samplers are cached; a string is the path of a folder. The
        steps are then cloned before they are fitted: look at the fitted ones through `steps` or
        `named_steps`.

    verbose : bool, default=False
        If True, the time that each step took is printed when it is done.

    Attributes
    ----------
    validation_indices_ : ndarray of shape (n_validation_rows,) or None
        Positions of the rows of ``X`` that the last ``fit`` held out before the first step. None if
        it held out none: because the final estimator asked for none, or because ``X_val`` was given.

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
    Rows are held out where the final step is a skdl estimator, or a skdl Pipeline that ends in one.
    A meta-estimator (``GridSearchCV``, ``CalibratedClassifierCV``, ``TransformedTargetRegressor``)
    belongs around the Pipeline: as its last step it gets data that went through the samplers, and
    splits these.

    Rows to which the weights of the final estimator give a weight of zero are not held out, as in the
    estimator's own ``fit``.

    ``step__X_val`` and ``step__validation_data`` would reach the step as they are, so they are refused
    where a transformer stands before it: pass ``X_val`` and ``y_val``.

    With metadata routing switched on, scikit-learn's rules hold for what the user passes: the final
    estimator must request ``X_val`` and ``y_val``, and ``transform_input=["X_val"]`` has ``X_val``
    transformed, here also where a sampler stands right before the final estimator. Rows that the
    Pipeline holds out itself need no request.

    Callbacks are not passed on to steps before the last that don't support them, such as a sampler;
    such a step is one task. A final estimator without that support gets scikit-learn's warning.

    References
    ----------
    .. [1] G. Lemaître, F. Nogueira, C. K. Aridas, "Imbalanced-learn: A Python toolbox to tackle the
       curse of imbalanced datasets in machine learning", Journal of Machine Learning Research 18(17),
       2017.

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

    _doc_link_module = property(link_module)
    _doc_link_template = property(link_template)

    def _fit(self, X, y=None, routed_params=None, raw_params=None, callback_ctx=None):
        """Fit all steps but the last, each as one task.

        Returns the data that reach the last step, and the routed parameters for their rows.
        """
        # imblearn 0.14 runs this loop without callbacks. sklearn 1.9's has them, but no samplers.
        memory = check_memory(self.memory)
        # What is ignored here says how a step is shown, and doesn't change what it learns.
        run_step = memory.cache(_run_step, ignore=["message", "caller", "task"])
        caching = getattr(memory, "location", memory) is not None

        for idx, name, step in self._iter(with_final=False, filter_passthrough=False, filter_resample=False):
            samples = _is_sampler(step)
            task = callback_ctx.subcontext(task_name=f"fit-{'resample' if samples else 'transform'}-{name}")
            message = self._log_message(idx)
            if step is None or step == "passthrough":
                with _print_elapsed_time("Pipeline", message):
                    task.call_on_fit_task_begin(estimator=self, X=X, y=y)
                    task.call_on_fit_task_end(estimator=self, X=X, y=y)
                continue
            before = X
            step = clone(step) if caching else step
            params = self._get_metadata_for_step(
                step_idx=idx, step_params=routed_params[name], all_params=raw_params
            )
            run = partial(run_step, step, params=params, message=message, caller=self, task=task)
            if samples:
                if caching:
                    warn_if_unseeded(name, step)
                X, y, fitted = resample(name, step, X, y, run)
            else:
                X, y, fitted = run(X, y)
            # From the cache comes another object than the one that was put in.
            self.steps[idx] = (name, fitted)
            if samples:
                routed_params = self._behind_sampler(idx, before, X, routed_params)
        return X, y, routed_params

    def _behind_sampler(self, idx, X, X_res, routed_params):
        """Return the routed parameters, those of the steps behind a sampler for the rows it returned."""
        sampler_name, sampler = self.steps[idx]
        rows = getattr(sampler, "sample_indices_", None)
        if rows is not None and len(rows) != _num_samples(X_res):
            rows = None
        carried = {}
        for place, step, _ in self._iter(filter_resample=False):
            carried[step] = dict(routed_params[step].items())
            for method, params in routed_params[step].items() if place > idx else ():
                by_row = self._by_row(step, params, sampler_name, X)
                if by_row and rows is None:
                    raise ValueError(
                        f"{step}__{next(iter(by_row))} has an entry for each of the {_num_samples(X)} rows "
                        f"before the sampler {sampler_name!r}. {type(sampler).__name__} returns "
                        f"{_num_samples(X_res)} rows and has no sample_indices_ that says which rows they "
                        f"are. Leave the parameter out, set {sampler_name}='passthrough', or use a sampler "
                        "that selects rows, such as RandomOverSampler or RandomUnderSampler."
                    )
                carried[step][method] = {**params, **_check_method_params(X, by_row, rows)}
        return carried

    def _by_row(self, step, params, sampler_name, X):
        """Return those of the parameters of a step that have one entry for each row of X."""
        by_row = {}
        for key, value in params.items():
            name = key.split("__")[-1]
            if name not in _VALIDATION_NAMES and _has_rows(value, X):
                by_row[key] = value
            elif name == "sample_weight" and np.ndim(value) > 0:
                raise ValueError(
                    f"{step}__{key} has {_num_samples(value)} entries, but the sampler {sampler_name!r} is "
                    f"given {_num_samples(X)} rows. Pass a weight for each row of X: they follow their rows."
                )
        return by_row

    def _iter(self, with_final=True, filter_passthrough=True, filter_resample=True):
        # imblearn 0.14 takes for a sampler whatever has `fit_resample`, also a chain of transformers
        # that ends in "passthrough".
        steps = super(_imblearn.Pipeline, self)._iter(with_final, filter_passthrough)
        return (step for step in steps if not (filter_resample and _is_sampler(step[-1])))

    def _validate_steps(self):
        # Two checks of sklearn 1.9's Pipeline that imblearn 0.14's lacks.
        if not self.steps:
            raise ValueError("The pipeline is empty. Please add steps.")
        self._check_estimators_are_instances([step for _, step in self.steps])
        inner = [(name, step) for name, step in self.steps[:-1] if isinstance(step, _SklearnPipeline)]
        for name, step in inner:
            samplers = list(_samplers_in(step))
            if samplers:
                raise TypeError(
                    f"The step {name!r} is a Pipeline with the samplers {samplers}, and only the last step "
                    "may be such a Pipeline: new data pass the transformers and not the samplers. Write its "
                    "steps as steps of the outer Pipeline."
                )
        # imblearn 0.14 refuses all Pipelines before the last step.
        others = [(name, "passthrough" if (name, step) in inner else step) for name, step in self.steps]
        _imblearn.Pipeline(others)._validate_steps()

    def _check_method_params(self, method, props, **kwargs):
        if not _routing_enabled():
            # imblearn 0.14, like sklearn 1.9, answers an unknown step by a bare KeyError.
            names = [name for name, step in self.steps if step is not None]
            for param in props:
                step, separator, _ = param.partition("__")
                if separator and step not in names:
                    raise ValueError(
                        f"Pipeline.{method} got {param}, but there is no step {step!r} to pass it to. "
                        f"The steps are {names}: write <step>__<parameter>."
                    )
        return super()._check_method_params(method, props, **kwargs)

    def _get_metadata_for_step(self, *, step_idx, step_params, all_params):
        if self.transform_input is None:
            return step_params
        # imblearn 0.14 transforms a parameter by the slice of steps before this one, and a slice
        # that ends in a sampler has no `transform`. So it is asked on a chain without samplers.
        steps = [step for step in self.steps[:step_idx] if not _is_sampler(step[1])]
        chain = _imblearn.Pipeline([*steps, self.steps[step_idx]], transform_input=self.transform_input)
        return chain._get_metadata_for_step(
            step_idx=len(steps), step_params=step_params, all_params=all_params
        )

    def set_callbacks(self, *callbacks):
        """Set scikit-learn's callbacks, which see each step as a task.

        Parameters
        ----------
        *callbacks : callbacks
            Such as ``ProgressBar``. A callback that scores a fitted estimator, ``ScoringMonitor``,
            belongs to the step that it scores. None for no callbacks.

        Returns
        -------
        self : Pipeline

        Raises
        ------
        TypeError
            If one is a ``ScoringMonitor``, which would record nothing: the tasks of a Pipeline have no
            fitted estimator to score.
        """
        monitors = [callback for callback in callbacks if isinstance(callback, ScoringMonitor)]
        if monitors:
            name, final = self.steps[-1]
            raise TypeError(
                f"{type(monitors[0]).__name__} records nothing on a Pipeline, whose tasks have no fitted "
                f"estimator to score. Set it on the step: pipeline[{name!r}].set_callbacks(...) has "
                f"{_called(final)} scored, here and in each clone that a search fits."
            )
        return super().set_callbacks(*callbacks)

    # ------------------------------------------------------------- validation

    def _given_validation(self, params, y):
        """Take the validation data that the user gave out of `params`; None if there are none."""
        if params.get("validation_data") is not None:
            params.update(_unpacked(params.pop("validation_data"), params))
        params.pop("validation_data", None)
        if _routing_enabled():
            return None  # X_val is then metadata as any other
        given = {name: params.pop(name) for name in _VALIDATION_PARAMS if name in params}
        given = {name: value for name, value in given.items() if value is not None}
        if not given:
            return None

        name, final = self.steps[-1]
        for param in given:
            if f"{name}__{param}" in params:
                raise ValueError(
                    f"{param} was given twice to Pipeline.fit: as {param} and as {name}__{param}. Pass one "
                    f"of the two: the steps before {name!r} transform X_val, but not {name}__X_val."
                )
            if not _takes(final, param):
                raise ValueError(
                    f"Pipeline.fit does not accept the {param} parameter here: the final step {name!r} is "
                    f"{_called(final)}, whose fit takes no {param}. Leave {' and '.join(given)} out, or end "
                    f"the Pipeline in an estimator whose fit takes {param}, such as those of skdl."
                )
        if "X_val" not in given:
            raise ValueError(
                f"Pipeline.fit got {' and '.join(given)} without X_val. Pass X_val too, or leave "
                f"{' and '.join(given)} out: the final estimator then gets validation rows from X "
                "if its parameters ask for them."
            )
        if y is not None and "y_val" not in given:
            raise ValueError(
                f"Pipeline.fit got X_val with {_num_samples(given['X_val'])} rows without y_val. Pass their "
                "targets as y_val, or leave X_val out."
            )
        check_consistent_length(*given.values())
        return _Validation(given["X_val"], given.get("y_val"), {}, given.get("sample_weight_val"))

    def _check_untransformed(self, params):
        """Refuse validation data that would not be transformed, and a share taken after the steps."""
        if _routing_enabled():
            return
        names = [name for name, _ in self.steps]
        for param, value in params.items():
            name, _, key = param.partition("__")
            key = key.split("__")[-1]
            if value is None or key not in (*_VALIDATION_NAMES, "validation_split"):
                continue
            before = self.steps[: names.index(name)]
            if key == "validation_split" and before and hasattr(self._final_estimator, "_split_validation"):
                raise ValueError(
                    f"{param} is a parameter of fit, and the rows would be held out after {before[0][0]!r} "
                    f"was fitted to them. Set the parameter of the estimator instead: "
                    f"set_params({param}={value!r})."
                )
            before = [step for step, estimator in before if _transforms(estimator)]
            if key in ("X_val", "validation_data") and before:
                raise ValueError(
                    f"{param} would reach {name!r} without the transformers {before}, by which the training "
                    f"rows go. Pass {'X_val and y_val' if key == 'X_val' else key} without {name}__: "
                    "Pipeline.fit(X, y, X_val=X_val, y_val=y_val) transforms X_val on its way."
                )

    def _hold_out(self, X, y, params, routed_params):
        """Divide the data as the final estimator would; None if it wants no rows held out."""
        split = getattr(self._final_estimator, "_split_validation", None)
        if split is None:
            return None
        fit_params = routed_params[self.steps[-1][0]]["fit"]
        for key, value in fit_params.items():
            if key.split("__")[-1] in _VALIDATION_NAMES and value is not None:
                return None  # given to the estimator itself; in part, it is for it to complain
        X, y = indexable(X, y)
        of_final = self._params_of_final(fit_params)
        weights, by_row = of_final.get("sample_weight"), {"y": y, "groups": of_final.get("groups")}
        by_row = {name: values for name, values in by_row.items() if name == "y" or values is not None}
        check_consistent_length(X, *by_row.values())
        weighted = np.flatnonzero(weights) if _has_rows(weights, X) else ()
        if 0 < len(weighted) < _num_samples(X):
            # The estimator counts rows of weight zero as if they were not there.
            by_row = {name: _safe_indexing(values, weighted) for name, values in by_row.items()}
            rows = split(weighted, **by_row)
            if rows is not None:
                # A splitter may leave rows out of both parts; those of weight zero stay.
                zero = np.setdiff1d(np.arange(_num_samples(X)), weighted)
                rows = np.sort(np.concatenate([zero, weighted[rows[0]]])), weighted[rows[1]]
        else:
            rows = split(X, **by_row)
        if rows is None:
            return None
        train, held_out = rows
        X_val, y_val = _safe_split(self, X, y, held_out, train)
        validation = _Validation(X_val, y_val, _check_method_params(X, params, held_out))
        params = _check_method_params(X, params, train)
        return *_safe_split(self, X, y, train), params, validation, np.asarray(held_out)

    def _params_of_final(self, fit_params):
        """Find the fit parameters of the estimator at the end among those of the last step."""
        final = self._final_estimator
        while isinstance(final, Pipeline):
            fit_params = final._check_method_params(method="fit", props=fit_params)
            fit_params = fit_params[final.steps[-1][0]]["fit"]
            final = final._final_estimator
        return fit_params

    @available_if(_final_estimator_has("_split_validation"))
    def _split_validation(self, X, y, **by_row):
        """Rows that the final estimator would hold out: a Pipeline that is itself a last step."""
        return self._final_estimator._split_validation(X, y, **by_row)

    def _named_groups(self, params):
        """Give ``groups`` the name by which they reach the estimator at the end."""
        splits = hasattr(self._final_estimator, "_split_validation")
        if _routing_enabled() or not splits or "groups" not in params:
            return
        names, final = [], self
        while isinstance(final, Pipeline):
            names.append(final.steps[-1][0])
            final = final._final_estimator
        params["__".join([*names, "groups"])] = params.pop("groups")

    def _without_groups(self, routed_params):
        """Leave the groups of the final estimator out: they serve to hold rows out alone."""
        name, final = self.steps[-1]
        if not hasattr(final, "_split_validation"):
            return routed_params
        routed_params = {step: routed_params[step] for _, step, _ in self._iter(filter_resample=False)}
        routed_params[name] = {
            method: {key: value for key, value in params.items() if key.split("__")[-1] != "groups"}
            for method, params in routed_params[name].items()
        }
        return routed_params

    def _fit_final(self, X, y, fit_params, validation):
        """Fit the final estimator on training data that went through all steps."""
        name, final = self.steps[-1]
        if validation is None:
            return final.fit(X, y, **fit_params)

        validation = validation._replace(
            X=self._transform_validation(validation.X, validation.params),
            params=self._check_method_params(method="fit", props=validation.params)[name]["fit"],
        )
        if isinstance(final, Pipeline):
            # Not by its public fit: with metadata routing on, that takes only what is requested.
            return final._fit_all(X, y, fit_params, validation)

        weights = validation.sample_weight
        if weights is None and has_fit_parameter(final, "sample_weight_val"):
            weights = validation.params.get("sample_weight")
        given = dict(zip(_VALIDATION_PARAMS, (validation.X, validation.y, weights), strict=True))
        given = {param: value for param, value in given.items() if value is not None}
        return final.fit(X, y, **{**fit_params, **given})

    def _transform_validation(self, X, params):
        """Pass validation rows through the fitted transformers, past the samplers."""
        transformers = [(name, step) for _, name, step in self._iter(with_final=False)]
        if not transformers:
            return X
        chain = _imblearn.Pipeline(transformers)
        routed = process_routing(chain, "transform", **_consumed(chain, "transform", params))
        for name, step in transformers:
            X = step.transform(X, **routed[name]["transform"])
        return X

    # ---------------------------------------------------------------- fitting

    def _begin(self, method, X, y):
        """Open the root task of a fit method."""
        root = self._init_callback_context(task_name=method.replace("_", "-"), max_subtasks=len(self.steps))
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        self.steps = list(self.steps)  # the fitted steps take their places in it
        self._validate_steps()
        return root

    @contextmanager
    def _final_task(self, root, X, y):
        """Run the last step as a task of `root`, and close `root` behind it."""
        final = self._final_estimator
        task = root.subcontext(task_name=f"{root.task_name}-final-estimator")
        with nullcontext() if final == "passthrough" else task.propagate_callback_context(final):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            with _print_elapsed_time("Pipeline", self._log_message(len(self.steps) - 1)):
                yield
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        root.call_on_fit_task_end(estimator=self, X=X, y=y)

    def _final_params(self, routed_params, params):
        return self._get_metadata_for_step(
            step_idx=len(self.steps) - 1,
            step_params=routed_params[self.steps[-1][0]],
            all_params=params,
        )

    @_fit_context(prefer_skip_nested_validation=False)  # the steps are not validated yet
    def _fit_all(self, X, y, params, validation=None):
        """Fit, with validation data that were given or that an outer Pipeline held out."""
        root = self._begin("fit", X, y)
        if not _routing_enabled() and self.transform_input is not None:
            raise ValueError(
                "The `transform_input` parameter can only be set if metadata routing is enabled: call "
                f"sklearn.set_config(enable_metadata_routing=True). Got {self.transform_input!r}. X_val "
                "needs neither: leave `transform_input` out and pass X_val and y_val to fit."
            )
        held_out = None
        if validation is None:
            validation = self._given_validation(params, y)
        self._named_groups(params)
        routed_params = self._check_method_params(method="fit", props=params)
        self._check_untransformed(params)
        if validation is None:
            parts = self._hold_out(X, y, params, routed_params)
            if parts is not None:
                X, y, params, validation, held_out = parts
                del parts  # holds the rows that the steps are about to replace
                routed_params = self._check_method_params(method="fit", props=params)
        routed_params = self._without_groups(routed_params)

        X, y, routed_params = self._fit(X, y, routed_params, raw_params=params, callback_ctx=root)
        with self._final_task(root, X, y):
            if self._final_estimator != "passthrough":
                fit_params = self._final_params(routed_params, params)["fit"]
                self._fit_final(X, y, fit_params, validation)
        self.validation_indices_ = held_out
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
            - ``X_val`` : like `X`, with `n_val` rows: validation data for the final estimator. The
              fitted transformers transform them, samplers leave them alone.
            - ``y_val`` : array-like of shape (n_val,) or (n_val, n_outputs): their targets. Needed
              with ``X_val`` where `y` is given.
            - ``sample_weight_val`` : array-like of shape (n_val,): their weights.
            - ``validation_data`` : tuple ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight_val)``:
              the same in one, as in Keras.
            - ``groups`` : array-like of shape (n_samples,): labels of groups, for a final estimator
              whose ``validation_split`` is a splitter that keeps groups together.

            With metadata routing, parameters go to the steps that request them.

            Where rows are held out, every array-like with `n_samples` entries is divided with `X`;
            the held-out part of ``sample_weight`` of the final estimator is passed to it as
            ``sample_weight_val`` if its ``fit`` takes that.

        Returns
        -------
        self : Pipeline
            The fitted Pipeline.

        Raises
        ------
        ValueError
            If validation data are given in part, or twice, to a final estimator that takes none, or
            past the transformers (``step__X_val``); or if a parameter with one entry for each row, such
            as sample weights, is for a step behind a sampler without ``sample_indices_``.
        """
        return self._fit_all(X, y, params)

    def _fit_then(self, method, X, y, params):
        """``fit`` and then `method` on all of X; None where imblearn's way is right.

        Where rows are held out, only this gives a result for each row of X.
        """
        if not (
            hasattr(self._final_estimator, "_split_validation")
            or (not _routing_enabled() and set(params) & set(_VALIDATION_NAMES))
        ):
            return None
        self.fit(X, y, **params)
        return getattr(self, method)(X, **_consumed(self, method, params))

    @available_if(_imblearn.Pipeline._can_fit_transform)
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X, y=None, **params):
        """Fit the steps, and transform the data with the final estimator.

        Samplers change the rows of the result, as in imbalanced-learn. Where the final estimator may
        hold out rows, or ``X_val`` is given, the result is that of ``fit(X, y).transform(X)``: one
        row for each of `X`.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of length n_samples
            Training data, as the first step takes them.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Training targets, as all steps take them.

        **params : dict of str -> object
            As for :meth:`fit`.

        Returns
        -------
        Xt : array-like of shape (n_transformed_samples, n_transformed_features)
            Transformed data.
        """
        Xt = self._fit_then("transform", X, y, params)
        if Xt is not None:
            return Xt
        root = self._begin("fit_transform", X, y)
        routed_params = self._check_method_params(method="fit_transform", props=params)
        Xt, yt, routed_params = self._fit(X, y, routed_params, raw_params=params, callback_ctx=root)
        with self._final_task(root, Xt, yt):
            final = self._final_estimator
            if final != "passthrough":
                final_params = self._final_params(routed_params, params)
                if hasattr(final, "fit_transform"):
                    Xt = final.fit_transform(Xt, yt, **final_params["fit_transform"])
                else:
                    # With yt; imblearn 0.14 passes the targets from before the samplers.
                    final.fit(Xt, yt, **final_params["fit"])
                    Xt = final.transform(Xt, **final_params["transform"])
        self.validation_indices_ = None
        return Xt

    @available_if(_imblearn.Pipeline._can_fit_resample)
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_resample(self, X, y=None, **params):
        """Fit the steps, and resample the data with the final sampler.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of length n_samples
            Training data, as the first step takes them.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Training targets, as all steps take them.

        **params : dict of str -> object
            ``step__param``, or with metadata routing what the steps request.

        Returns
        -------
        Xt : array-like of shape (n_resampled_samples, n_transformed_features)
            Resampled data. They are returned alone if the last step is "passthrough" or None.

        yt : array-like of shape (n_resampled_samples,) or (n_resampled_samples, n_outputs)
            Resampled targets.
        """
        root = self._begin("fit_resample", X, y)
        routed_params = self._check_method_params(method="fit_resample", props=params)
        Xt, yt, routed_params = self._fit(X, y, routed_params, raw_params=params, callback_ctx=root)
        resampled = Xt
        with self._final_task(root, Xt, yt):
            if self._final_estimator != "passthrough":
                final_params = self._final_params(routed_params, params)["fit_resample"]
                name, final = self.steps[-1]

                def run(X, y):
                    return *final.fit_resample(X, y, **final_params), final

                *resampled, _ = resample(name, final, Xt, yt, run)
                resampled = tuple(resampled)
        self.validation_indices_ = None
        return resampled

    @available_if(_final_estimator_has("fit_predict"))
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_predict(self, X, y=None, **params):
        """Fit the steps, and call ``fit_predict`` of the final estimator on their output.

        Where the final estimator may hold out rows, or ``X_val`` is given, the result is that of
        ``fit(X, y).predict(X)``.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of length n_samples
            Training data, as the first step takes them.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Training targets, as all steps take them.

        **params : dict of str -> object
            As for :meth:`fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            What the final estimator predicts for the rows that reach it.
        """
        y_pred = self._fit_then("predict", X, y, params)
        if y_pred is not None:
            return y_pred
        root = self._begin("fit_predict", X, y)
        routed_params = self._check_method_params(method="fit_predict", props=params)
        Xt, yt, routed_params = self._fit(X, y, routed_params, raw_params=params, callback_ctx=root)
        with self._final_task(root, Xt, yt):
            final_params = self._final_params(routed_params, params)
            y_pred = self._final_estimator.fit_predict(Xt, yt, **final_params.get("fit_predict", {}))
        self.validation_indices_ = None
        return y_pred


def _run_step(step, X, y, params, message, *, caller, task):
    """Fit one step and pass the data through it. What ``memory`` caches."""
    # A step without callback support is a task without subtasks. `propagate_callback_context` of
    # sklearn 1.9 would warn about each sampler, in each fit of a search.
    with task.propagate_callback_context(step) if hasattr(step, "set_callbacks") else nullcontext():
        task.call_on_fit_task_begin(estimator=caller, X=X, y=y)
        if hasattr(step, "transform") or hasattr(step, "fit_transform"):
            X, step = _imblearn._fit_transform_one(step, X, y, None, "Pipeline", message, params)
        else:
            X, y, step = _imblearn._fit_resample_one(step, X, y, "Pipeline", message, params)
        task.call_on_fit_task_end(estimator=caller, X=X, y=y)
    return X, y, step


def _is_sampler(step):
    """Whether a step is a sampler; a Pipeline that ends in "passthrough" has both kinds of methods."""
    return hasattr(step, "fit_resample") and not hasattr(step, "transform")


def _samplers_in(pipeline):
    """Names of the samplers of a Pipeline and of its inner Pipelines."""
    for name, step in pipeline.steps:
        if isinstance(step, _SklearnPipeline):
            yield from _samplers_in(step)
        elif hasattr(step, "fit_resample"):
            yield name


def _transforms(step):
    return step is not None and step != "passthrough" and not _is_sampler(step)


def _has_rows(value, X):
    """Whether a fit parameter has one entry for each row of X."""
    if isinstance(value, list | tuple):
        return len(value) == _num_samples(X)
    shape = getattr(value, "shape", ())
    return len(shape) > 0 and shape[0] == _num_samples(X)


def _unpacked(validation_data, params):
    """Turn Keras's ``validation_data`` into the names of this Pipeline."""
    given = [name for name in _VALIDATION_PARAMS if params.get(name) is not None]
    if given:
        raise ValueError(
            f"Pipeline.fit got validation_data and {' and '.join(given)}. Pass either validation_data or "
            "X_val and y_val."
        )
    if not isinstance(validation_data, list | tuple) or len(validation_data) not in (2, 3):
        raise ValueError(
            "validation_data must be a tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), got "
            f"{type(validation_data).__name__}"
            f"{f' of length {len(validation_data)}' if hasattr(validation_data, '__len__') else ''}."
        )
    return dict(zip(_VALIDATION_PARAMS, validation_data, strict=False))


def _takes(estimator, param):
    """Whether ``fit`` of the estimator, or of the one in which a chain of Pipelines ends, takes `param`."""
    while isinstance(estimator, Pipeline):
        estimator = estimator._final_estimator
    if estimator is None or estimator == "passthrough":
        return False
    parameters = signature(estimator.fit).parameters
    return param in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


def _called(step):
    return repr(step) if step is None or step == "passthrough" else type(step).__name__


def _consumed(pipeline, method, params):
    """Those of `params` that some step requests for `method`; none without metadata routing."""
    if not (_routing_enabled() and params):
        return {}
    names = get_routing_for_object(pipeline).consumes(method, params.keys())
    return {name: params[name] for name in names}


@validate_params(
    {
        "memory": [None, str, HasMethods(["cache"])],
        "transform_input": [None, list],
        "verbose": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_pipeline(*steps: Any, memory=None, transform_input=None, verbose=False) -> Pipeline:
    """Make a :class:`Pipeline` whose steps are named after their types, in lower case.

    Parameters
    ----------
    *steps : estimators
        The steps in the order in which they are chained.

    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers and samplers are cached. See :class:`Pipeline`.

    transform_input : list of str, default=None
        Names of fit parameters to transform, with metadata routing. See :class:`Pipeline`.

    verbose : bool, default=False
        If True, the time that each step took is printed when it is done.

    Returns
    -------
    pipeline : Pipeline
        The Pipeline.

    See Also
    --------
    Pipeline : The same with names of one's own.

    Examples
    --------
    >>> from imblearn.under_sampling import RandomUnderSampler
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdl import make_pipeline
    >>> make_pipeline(RandomUnderSampler(), LogisticRegression())
    Pipeline(steps=[('randomundersampler', RandomUnderSampler()),
                    ('logisticregression', LogisticRegression())])
    """
    return Pipeline(_name_estimators(steps), memory=memory, transform_input=transform_input, verbose=verbose)
