"""What goes into a sampler and what comes out of it, where imbalanced-learn 0.14 errs without a word."""

import numpy as np
import pandas as pd
import scipy.sparse
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

from skdl._warnings import warn

_INTERPOLATING = SMOTE | BorderlineSMOTE | SVMSMOTE | KMeansSMOTE | ADASYN
# A sampler that rounds makes some rows less than it was asked for.
_MISSING = 0.25


def resample(name, sampler, X, y, run):
    """Run a sampler on data as it can take them, and look at what it returns.

    Whole numbers and flags are floats for a sampler that computes new rows from them: they would be
    cut off, and small integers overflow. One-hot rows are classes for it, and one-hot rows behind it.

    Parameters
    ----------
    name : str
        Of the step, for messages.
    sampler : sampler
    X : array-like, sparse matrix or DataFrame of n_samples rows
    y : array-like, sparse matrix or DataFrame of n_samples rows
    run : callable
        From X and y to a tuple: the new X, the new y, the fitted sampler.

    Returns
    -------
    X, y, sampler
        As `run` returns them, with ``y`` in the form in which it was given.

    Raises
    ------
    TypeError
        If the sampler fails on a polars DataFrame.

    Warns
    -----
    UserWarning
        If a class gets fewer rows than were asked for.
    """
    given, classes = y, _one_hot_classes(y)
    if classes is not None:
        y = classes
    try:
        X_res, y_res, fitted = run(_as_floats(X) if _interpolates(sampler) else X, y)
    except Exception as error:
        if not type(X).__module__.startswith("polars"):
            raise
        raise TypeError(
            f"The sampler {name!r} ({type(sampler).__name__}) does not take the polars DataFrame that it is "
            "given. Put a step before it whose output is an array or a pandas DataFrame, such as "
            f"StandardScaler(), or pass X.to_numpy(). It raised {type(error).__name__}: {error}"
        ) from error
    short = _shortage(fitted, y, y_res)
    if short:
        warn(
            f"The sampler {name!r} ({type(sampler).__name__}) made {short}, so the classes stay imbalanced. "
            "Use SMOTE, which makes as many rows as it is asked for, or class_weight of the final estimator.",
        )
    return X_res, y_res if classes is None else _like(given, classes, y_res), fitted


def warn_if_unseeded(name, sampler):
    """Say of a sampler in front of a cache that it draws once for all fits."""
    params = sampler.get_params(deep=False) if hasattr(sampler, "get_params") else {}
    if "random_state" in params and params["random_state"] is None:
        warn(
            f"The sampler {name!r} ({type(sampler).__name__}) has no random_state, and `memory` keeps what "
            "it returns: every later fit on these data gets the rows that were drawn at first. Say so by "
            f"set_params({name}__random_state=0), or leave `memory` out.",
        )


def _interpolates(sampler):
    """Tell whether a sampler computes new rows; others select rows or know about categories."""
    if isinstance(sampler, SMOTEENN | SMOTETomek):
        return sampler.smote is None or _interpolates(sampler.smote)
    if isinstance(sampler, RandomOverSampler):
        return sampler.shrinkage is not None
    if isinstance(sampler, ClusterCentroids):
        return sampler.voting != "hard"
    return isinstance(sampler, _INTERPOLATING) and not isinstance(sampler, SMOTEN | SMOTENC)


def _as_floats(X):
    """Return data with floats in the place of whole numbers and flags."""
    if isinstance(X, pd.DataFrame):
        dtypes = {column: _float_for(dtype) for column, dtype in X.dtypes.items()}
        return X.astype({column: dtype for column, dtype in dtypes.items() if dtype is not None})
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    dtype = _float_for(getattr(X, "dtype", None))
    return X if dtype is None else X.astype(dtype)


def _float_for(dtype):
    """Return the float type for a type of whole numbers, of flags or of numbers that may be missing."""
    if isinstance(dtype, pd.SparseDtype):
        subtype = _float_for(dtype.subtype)
        return None if subtype is None else dtype.update_dtype(subtype)
    if isinstance(dtype, np.dtype):
        # float32 holds what has 16 bits, and is half as large.
        return np.dtype("f4" if dtype.itemsize <= 2 else "f8") if dtype.kind in "biu" else None
    return np.dtype("f8") if dtype is not None and pd.api.types.is_numeric_dtype(dtype) else None


def _one_hot_classes(y):
    """Return the position of the one in each row of a one-hot target; None for another target."""
    if len(getattr(y, "shape", ())) != 2 or y.shape[1] < 2:
        return None
    values = y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)
    if values.dtype.kind not in "biuf":
        return None
    ones = values == 1
    is_one_hot = (ones | (values == 0)).all() and (ones.sum(axis=1) == 1).all()
    return ones.argmax(axis=1) if is_one_hot else None


def _like(given, classes, y):
    """Return one-hot rows, like those of `given`, for classes behind a sampler."""
    known, rows = np.unique(classes, return_index=True)
    y = _safe_indexing(given, rows[np.searchsorted(known, y)])
    return y.reset_index(drop=True) if isinstance(y, pd.DataFrame) else y


def _shortage(sampler, y, y_res):
    """Say which rows that an oversampler was asked for it did not make; None if it made them."""
    asked = getattr(sampler, "sampling_strategy_", None)
    if getattr(sampler, "_sampling_type", None) != "over-sampling" or not isinstance(asked, dict):
        return None
    before, after = (
        dict(zip(*np.unique(np.asarray(each), return_counts=True), strict=True)) for each in (y, y_res)
    )
    made = {label: after.get(label, 0) - before.get(label, 0) for label in asked}
    short = [
        f"{made[label]} of {n} rows of class {label}"
        for label, n in asked.items()
        if n - made[label] > _MISSING * n
    ]
    return ", ".join(short) or None
