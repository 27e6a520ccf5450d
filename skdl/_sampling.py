"""The data before and after a sampler, where imbalanced-learn 0.14 is silently wrong."""

import numpy as np
import pandas as pd
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import (
    ADASYN,
    SMOTE,
    SMOTEN,
    SMOTENC,
    SVMSMOTE,
    BorderlineSMOTE,
    KMeansSMOTE,
    RandomOverSampler,
)
from imblearn.under_sampling import ClusterCentroids
from sklearn.utils import _safe_indexing

from skdl._targets import OneHotTarget, is_one_hot
from skdl._warnings import warn

_INTERPOLATING = SMOTE | BorderlineSMOTE | SVMSMOTE | KMeansSMOTE | ADASYN
# Share of missing rows from which a warning is due. Samplers that round make somewhat fewer rows.
_MISSING = 0.25


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
    return X_res, _one_hot_rows(y_res, y, labels) if one_hot else y_res, fitted


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
    if isinstance(sampler, RandomOverSampler):
        return sampler.shrinkage is not None
    if isinstance(sampler, ClusterCentroids):
        return sampler.voting != "hard"
    return isinstance(sampler, _INTERPOLATING) and not isinstance(sampler, SMOTEN | SMOTENC)


def _as_floats(X):
    """Return data with floats in place of integers and flags."""
    if isinstance(X, pd.DataFrame):
        dtypes = {column: _float_for(dtype) for column, dtype in X.dtypes.items()}
        return X.astype({column: dtype for column, dtype in dtypes.items() if dtype is not None})
    if isinstance(X, list | tuple):
        X = np.asarray(X)
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


def _one_hot_rows(labels_res, y, labels):
    """Return for resampled labels rows of the one-hot target ``y``, whose labels are ``labels``."""
    known, rows = np.unique(labels, return_index=True)
    y_res = _safe_indexing(y, rows[np.searchsorted(known, labels_res)])
    return y_res.reset_index(drop=True) if isinstance(y_res, pd.DataFrame) else y_res


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
