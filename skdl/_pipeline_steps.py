"""What a Pipeline checks of its steps and passes to them: data, validation rows, fit parameters.

Samplers get data that they can take, where imbalanced-learn 0.14 is silently wrong.
"""

import inspect
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imblearn import over_sampling as _over
from imblearn import pipeline as _imblearn
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.under_sampling import ClusterCentroids
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import _routing_enabled, get_routing_for_object
from sklearn.utils.validation import _check_method_params, _num_samples, check_consistent_length

from skdl._targets._target import OneHotTarget, is_one_hot
from skdl._training._plan import VALIDATION_PARAMS, validation_rows
from skdl._warnings import warn

# With the parameter of Keras for all three.
VALIDATION_NAMES = (*VALIDATION_PARAMS, "validation_data")
_INTERPOLATING = _over.SMOTE | _over.BorderlineSMOTE | _over.SVMSMOTE | _over.KMeansSMOTE | _over.ADASYN
# Share of missing rows from which a warning is due. Samplers that round make somewhat fewer rows.
_MISSING = 0.25


class Validation(NamedTuple):
    """Validation data on their way to the final estimator."""

    X: Any
    y: Any
    params: dict  # fit parameters of the user, cut to these rows
    sample_weight: Any = None  # ``sample_weight_val`` of the user


def is_sampler(step):
    """Return whether a step is a sampler. A Pipeline that ends in "passthrough" has both kinds of methods."""
    return hasattr(step, "fit_resample") and not hasattr(step, "transform")


def run_step(step, X, y, params, message, *, caller, task):
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


def describe(step):
    """Return how messages call a step."""
    return repr(step) if step is None or step == "passthrough" else type(step).__name__


def has_rows(value, X):
    """Return whether a fit parameter has one entry for each row of X."""
    if isinstance(value, list | tuple):
        return len(value) == _num_samples(X)
    shape = getattr(value, "shape", ())
    return len(shape) > 0 and shape[0] == _num_samples(X)


def take_validation(params, y, pipeline):
    """Remove the validation data of the user from ``params``, and return them, or None if there are none."""
    given = {key: params.pop(key) for key in VALIDATION_PARAMS if key in params}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        return None
    name, final = pipeline.steps[-1]
    last = final
    while hasattr(last, "_fit_all"):  # a Pipeline of skdl
        last = last.steps[-1][1]
    taken = inspect.signature(last.fit).parameters if hasattr(last, "fit") else {}  # "passthrough" has none
    takes_any = any(each.kind is each.VAR_KEYWORD for each in taken.values())
    for key in given:
        if f"{name}__{key}" in params:
            raise ValueError(
                f"{key} was given twice to Pipeline.fit: as {key} and as {name}__{key}. Pass one of the two: "
                f"the steps before {name!r} transform X_val, but not {name}__X_val."
            )
        if key not in taken and not takes_any:
            raise ValueError(
                f"Pipeline.fit does not accept the {key} parameter here: the final step {name!r} is "
                f"{describe(final)}, whose fit takes no {key}. Leave {' and '.join(given)} out, or end the "
                f"Pipeline in an estimator whose fit takes {key}, such as those of skdl."
            )
    if y is not None or "X_val" not in given:
        validation_rows(dict(given))  # refuses incomplete ones
    check_consistent_length(*given.values())
    return Validation(given["X_val"], given.get("y_val"), {}, given.get("sample_weight_val"))


def check_transformed(params, steps):
    """Refuse validation data that no step transforms, and a share that is held out behind the steps."""
    names = [name for name, _ in steps]
    for param, value in params.items():
        name, _, key = param.partition("__")
        key = key.split("__")[-1]
        if value is None or key not in (*VALIDATION_NAMES, "validation_split"):
            continue
        before = steps[: names.index(name)]
        if key == "validation_split" and before and hasattr(steps[-1][1], "_split_validation"):
            raise ValueError(
                f"{param} is a parameter of fit, and the rows would be held out after {before[0][0]!r} was "
                f"fitted to them. Set the parameter of the estimator instead: set_params({param}={value!r})."
            )
        before = [each for each, step in before if step not in (None, "passthrough") and not is_sampler(step)]
        if key in ("X_val", "validation_data") and before:
            raise ValueError(
                f"{param} would reach {name!r} without the transformers {before}, by which the training rows "
                f"go. Pass {'X_val and y_val' if key == 'X_val' else key} without {name}__: "
                "Pipeline.fit(X, y, X_val=X_val, y_val=y_val) transforms X_val on its way."
            )


def split_rows(split, X, y, groups, weights):
    """Return positions of rows to train on and to hold out, or None. ``split`` is ``_split_validation``."""
    by_row = {"y": y} if groups is None else {"y": y, "groups": groups}
    check_consistent_length(X, *by_row.values())
    weighted = np.flatnonzero(weights) if has_rows(weights, X) else ()
    if not 0 < len(weighted) < _num_samples(X):
        return split(X, **by_row)
    # The estimator counts rows of weight zero as if they were not there.
    rows = split(weighted, **{name: _safe_indexing(values, weighted) for name, values in by_row.items()})
    if rows is None:
        return None
    # A splitter may leave rows out of both parts; those of weight zero stay.
    zero = np.setdiff1d(np.arange(_num_samples(X)), weighted)
    return np.sort(np.concatenate([zero, weighted[rows[0]]])), weighted[rows[1]]


def follow_sampler(routed_params, name, sampler, X, X_res):
    """Return the parameters of the steps behind a sampler, for the rows that it returned."""
    rows = getattr(sampler, "sample_indices_", None)
    followed = {}
    for step, methods in routed_params.items():
        followed[step] = dict(methods.items())
        for method, params in methods.items():
            names = {key: key.split("__")[-1] for key in params}
            by_row = {
                key: value
                for key, value in params.items()
                if names[key] not in VALIDATION_NAMES and has_rows(value, X)
            }
            for key, value in params.items():
                if names[key] == "sample_weight" and key not in by_row and np.ndim(value) > 0:
                    raise ValueError(
                        f"{step}__{key} has {_num_samples(value)} entries, but the sampler {name!r} is given "
                        f"{_num_samples(X)} rows. Pass a weight for each row of X: they follow their rows."
                    )
            if by_row and (rows is None or len(rows) != _num_samples(X_res)):
                raise ValueError(
                    f"{step}__{next(iter(by_row))} has an entry for each of the {_num_samples(X)} rows "
                    f"before the sampler {name!r}. {type(sampler).__name__} returns {_num_samples(X_res)} "
                    "rows and has no sample_indices_ that says which rows they are. Leave the parameter out, "
                    f"set {name}='passthrough', or use a sampler that selects rows, such as "
                    "RandomOverSampler or RandomUnderSampler."
                )
            followed[step][method] = {**params, **_check_method_params(X, by_row, rows)}
    return followed


def consumed_params(pipeline, method, params):
    """Return the parameters that some step requests for a method; none without metadata routing."""
    if not (_routing_enabled() and params):
        return {}
    names = get_routing_for_object(pipeline).consumes(method, params.keys())
    return {name: params[name] for name in names}


# The data before and after a sampler.


def resample(name, sampler, X, y, run):
    """Run a sampler on data that it can take, and return X, y and the sampler as ``run`` returns them.

    A sampler that interpolates rows gets floats in place of integers and flags, which it would round or let
    overflow. It gets classes for one-hot rows, and its result becomes one-hot rows again. A warning names
    each class that gets far fewer rows than the sampling strategy wants.
    """
    one_hot = is_one_hot(y)
    labels = OneHotTarget.strata(y) if one_hot else y
    try:
        X_res, y_res, fitted = run(_as_floats(X) if _interpolates(sampler) else X, labels)
    except Exception as error:
        if not type(X).__module__.startswith("polars"):
            raise
        raise TypeError(
            f"The sampler {name!r} ({type(sampler).__name__}) does not take the polars DataFrame that it is "
            "given. Put a step before it whose output is an array or a pandas DataFrame, such as "
            f"StandardScaler(), or pass X.to_numpy(). It raised {type(error).__name__}: {error}"
        ) from error
    shortage = _shortage(fitted, labels, y_res)
    if shortage:
        warn(
            f"The sampler {name!r} ({type(sampler).__name__}) made {shortage}, so the classes stay "
            "imbalanced. Use SMOTE, which makes as many rows as the sampling strategy wants, or class_weight "
            "of the final estimator.",
        )
    if one_hot:
        known, rows = np.unique(labels, return_index=True)
        y_res = _safe_indexing(y, rows[np.searchsorted(known, y_res)])
        y_res = y_res.reset_index(drop=True) if isinstance(y_res, pd.DataFrame) else y_res
    return X_res, y_res, fitted


def warn_if_unseeded(name, sampler):
    """Warn of a sampler without a seed before a cache, which keeps the rows of the first fit."""
    params = sampler.get_params(deep=False) if hasattr(sampler, "get_params") else {}
    if "random_state" in params and params["random_state"] is None:
        warn(
            f"The sampler {name!r} ({type(sampler).__name__}) has no random_state, and `memory` keeps what "
            "it returns: every later fit on these data gets the rows that were drawn at first. Say so by "
            f"set_params({name}__random_state=0), or leave `memory` out.",
        )


def _interpolates(sampler):
    """Return whether a sampler computes new rows; others select rows or handle categories."""
    if isinstance(sampler, SMOTEENN | SMOTETomek):
        return sampler.smote is None or _interpolates(sampler.smote)
    if isinstance(sampler, _over.RandomOverSampler):
        return sampler.shrinkage is not None
    if isinstance(sampler, ClusterCentroids):
        return sampler.voting != "hard"
    return isinstance(sampler, _INTERPOLATING) and not isinstance(sampler, _over.SMOTEN | _over.SMOTENC)


def _as_floats(X):
    """Return data with floats in place of integers and flags."""
    if isinstance(X, pd.DataFrame):
        dtypes = {column: _float_for(dtype) for column, dtype in X.dtypes.items()}
        return X.astype({column: dtype for column, dtype in dtypes.items() if dtype is not None})
    X = np.asarray(X) if isinstance(X, list | tuple) else X
    dtype = _float_for(getattr(X, "dtype", None))
    return X if dtype is None else X.astype(dtype)


def _float_for(dtype):
    """Return the float type for a type of integers, flags or nullable numbers; None for other types."""
    if isinstance(dtype, pd.SparseDtype):
        subtype = _float_for(dtype.subtype)
        return None if subtype is None else dtype.update_dtype(subtype)
    if isinstance(dtype, np.dtype):
        # float32 holds what has 16 bits, and is half as large.
        return np.dtype("f4" if dtype.itemsize <= 2 else "f8") if dtype.kind in "biu" else None
    return np.dtype("f8") if dtype is not None and pd.api.types.is_numeric_dtype(dtype) else None


def _shortage(sampler, y, y_res):
    """Return in words how many rows an oversampler made too few, or None."""
    strategy = getattr(sampler, "sampling_strategy_", None)
    if getattr(sampler, "_sampling_type", None) != "over-sampling" or not isinstance(strategy, dict):
        return None
    before, after = (
        dict(zip(*np.unique(np.asarray(each), return_counts=True), strict=True)) for each in (y, y_res)
    )
    made = {label: after.get(label, 0) - before.get(label, 0) for label in strategy}
    missing = [
        f"{made[label]} of {n} rows of class {label}"
        for label, n in strategy.items()
        if n - made[label] > _MISSING * n
    ]
    return ", ".join(missing) or None
