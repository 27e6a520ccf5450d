"""Encoding of a raw table as numbers of one scale."""

import warnings

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.utils.validation import check_array, check_is_fitted

from skdl._dense import one_blas_thread
from skdl._tabular._folds import default_folds

# One-hot columns of a feature, as in HistGradientBoosting; rarer categories share one.
_MOST_CATEGORIES = 255
# `_Numbers` bends all numbers from here on alike.
_LARGEST = 1e300
# Variances of minor components, by the variance of a column.
_LEAST_VARIANCE, _MINOR_VARIANCE = 1e-6, 0.1


class TableReader(TransformerMixin, BaseEstimator):
    """Read a raw table as floats: numbers as they are, categories as codes, NaN where missing.

    ``categorical_features`` is that of the tabular estimators. A category that `fit` has not seen is taken as
    missing, as in ``HistGradientBoostingClassifier``.
    """

    def __init__(self, categorical_features="from_dtype"):
        self.categorical_features = categorical_features

    def fit(self, X, y=None):
        """Learn which columns are categories, and which these are."""
        table = as_table(X)
        self.is_categorical_ = self._find_categorical(table)
        self.categories_ = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
        ).set_output(transform="default")
        if self.is_categorical_.any():
            self.categories_.fit(self._texts(table))
        return self

    def transform(self, X):
        """Return an ndarray of float64 of shape (n_samples, n_features)."""
        check_is_fitted(self)
        table = as_table(X)
        values = np.empty(table.shape)
        for i in np.flatnonzero(~self.is_categorical_):
            column = table.iloc[:, i]
            if column.dtype.kind in "mM":
                raise TypeError(
                    f"Column {column.name!r} holds dates or durations. Turn it into numbers first, such as "
                    "the day of the year, or days since some date."
                )
            try:
                numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Column {column.name!r} was numeric in fit, or is not among categorical_features, but "
                    f"holds values that are no numbers: {error}"
                ) from error
            # SimpleImputer refuses infinite values, and a median of two of the largest floats overflows.
            values[:, i] = np.clip(numbers, -_LARGEST, _LARGEST)
        if self.is_categorical_.any():
            values[:, self.is_categorical_] = self.categories_.transform(self._texts(table))
        return values

    def _find_categorical(self, table):
        n, wanted = table.shape[1], self.categorical_features
        if isinstance(wanted, str):
            return np.array([_is_text(table.iloc[:, i]) for i in range(n)], bool)
        wanted = np.asarray([] if wanted is None else wanted)
        if wanted.size == 0:
            return np.zeros(n, bool)
        if wanted.dtype.kind == "b" and wanted.shape == (n,):
            return wanted
        if wanted.dtype.kind in "iu" and wanted.min() >= 0 and wanted.max() < n:
            return np.isin(np.arange(n), wanted)
        if wanted.dtype.kind in "UO" and set(wanted) <= set(table.columns):
            return table.columns.isin(wanted)
        raise ValueError(
            "categorical_features must be 'from_dtype', None, a mask of one bool for each of the "
            f"{n} features, their indices from 0 to {n - 1}, or names of columns of X; got "
            f"{self.categorical_features!r}."
        )

    def _texts(self, table):
        texts = table.loc[:, self.is_categorical_].astype(object)
        return texts.map(str).where(texts.notna(), np.nan).to_numpy(object)


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode what `TableReader` reads: numbers scaled, categories as columns of 0 and 1.

    A missing number becomes the median, and a column tells where it was missing, if one was
    missing in `fit`. A number that is the same in all rows of `fit` is left out, unless all are. A
    missing category is a category of its own, if one was missing in `fit`.

    ``is_categorical`` is a mask of the columns. ``n_folds`` is a number or "auto"; ``n_folds_`` is at most
    half the number of rows in `fit`. Of the ``n_encoded_`` columns of the result the first ``n_numeric_`` are
    scaled numbers.
    """

    def __init__(self, is_categorical, n_folds=1):
        self.is_categorical = is_categorical
        self.n_folds = n_folds

    def fit(self, X, y=None):
        """Learn the scales and the categories."""
        folds = default_folds(len(X)) if self.n_folds == "auto" else self.n_folds
        self.n_folds_ = max(1, min(folds, len(X) // 2))
        categorical, gaps = np.asarray(self.is_categorical), np.isnan(X)
        # A column varies where it has two numbers, or a number and a gap.
        varies = (np.fmin.reduce(X) < np.fmax.reduce(X)) | (gaps.any(axis=0) & ~gaps.all(axis=0))
        # All stay where none varies, since a network needs an input.
        numeric = np.flatnonzero(~categorical & (varies | ~varies.any()))
        self.n_numeric_ = len(numeric)
        one_hot = OneHotEncoder(
            handle_unknown="ignore", drop="if_binary", max_categories=_MOST_CATEGORIES, dtype=np.float32
        )
        self.columns_ = ColumnTransformer(
            [
                # Lists, since joblib.hash depends on the strides of an empty array, which a copy changes.
                ("numeric", _Numbers(), numeric.tolist()),
                ("categorical", one_hot, np.flatnonzero(categorical).tolist()),
            ],
            sparse_threshold=0,
        )
        with config_context(transform_output="default"):
            self.n_encoded_ = self.columns_.fit_transform(X).shape[1]
        return self

    def transform(self, X):
        """Return a view of shape (n_samples, n_folds, n_encoded), of float32: all folds get all rows."""
        check_is_fitted(self)
        with warnings.catch_warnings(), config_context(transform_output="default"):
            # The columns of an unknown category are all 0, as documented.
            warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
            encoded = self.columns_.transform(X)
        encoded = encoded.astype(np.float32, copy=False)[:, None]
        return np.broadcast_to(encoded, (len(encoded), self.n_folds_, self.n_encoded_))

    def get_metadata(self):
        """Return what becomes an attribute of the estimator."""
        return {"n_folds_": self.n_folds_}


class _Numbers(BaseEstimator):
    """Impute medians, scale, tell what was missing, and add minor components; scaled numbers come first.

    Far from 0, scaled numbers z are bent towards -3 or 3: they become z / sqrt(1 + (z / 3)^2) with
    z = (x - median) / (third - first quartile), as in Holzmüller et al. 2024, arXiv 2407.04491. Where the
    quartiles are equal, z is 2 (x - median) / (max - min); a constant becomes 0.

    Minor components are principal components of small variance, scaled to variance 1: in what correlated
    columns differ. The network would need many epochs to see them. A component is taken where its variance is
    between 1e-6 and 0.1 times that of a column, and below what columns without correlation would show by
    chance.
    """

    def fit_transform(self, X, y=None):
        # Without gaps the indicator would hold an empty array; see `TableEncoder.fit`.
        gaps = bool(np.isnan(X).any())
        self.imputer_ = SimpleImputer(strategy="median", keep_empty_features=True, add_indicator=gaps)
        X, p = self.imputer_.fit_transform(X), X.shape[1]
        low, first, self.center_, third, high = np.percentile(X[:, :p], [0, 25, 50, 75, 100], axis=0)
        # Divided first, since a difference of numbers near the limits of a float overflows.
        spread = np.where(third > first, third / 4 - first / 4, high / 8 - low / 8) * 4
        self.scale_ = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        scaled = self._scaled(X[:, :p])
        z, n = scaled.astype(float), len(X)
        self.mean_, scale = z.mean(axis=0), z.std(axis=0)
        scale[scale == 0] = np.inf
        with one_blas_thread(n * p**2):
            z = (z - self.mean_) / scale
            variances, vectors = np.linalg.eigh(z.T @ z / n)
        by_chance = (1 - min(1, np.sqrt(p / n))) ** 2  # the least variance, by Marchenko and Pastur
        taken = (variances > _LEAST_VARIANCE) & (variances < _MINOR_VARIANCE * by_chance)
        self.components_ = vectors[:, taken] / np.sqrt(variances[taken]) / scale[:, None]
        return self._joined(scaled, X[:, p:])

    def transform(self, X):
        p = X.shape[1]
        X = self.imputer_.transform(X)  # with columns for gaps behind
        return self._joined(self._scaled(X[:, :p]), X[:, p:])

    def _scaled(self, X):
        with np.errstate(over="ignore"):
            z = X * self.scale_ - self.center_ * self.scale_
        return self._bent(np.clip(z, -1e6, 1e6))

    def _joined(self, scaled, gaps):
        minor = self._bent((scaled - self.mean_) @ self.components_)
        return np.hstack([scaled, gaps.astype(np.float32), minor])

    @staticmethod
    def _bent(z):
        return (z / np.sqrt(1 + (z / 3) ** 2)).astype(np.float32)


def as_table(X):
    """Return X as a DataFrame of pandas; refuse X that is sparse, complex, empty or not two-dimensional."""
    if isinstance(X, pd.DataFrame):
        return X
    if hasattr(X, "iter_columns") and hasattr(X, "columns"):  # polars
        return pd.DataFrame({name: X[name].to_numpy() for name in X.columns})
    X = check_array(X, dtype=None, ensure_all_finite=False, input_name="X")
    table = pd.DataFrame(X)
    return table.infer_objects() if X.dtype.kind == "O" else table


def _is_text(column):
    if column.dtype.kind != "O":
        return pd.api.types.is_string_dtype(column.dtype)
    return not isinstance(column.dtype, np.dtype) or not all(
        isinstance(value, (bool, int, float, np.number, np.bool_)) or value is None or value is pd.NA
        for value in column
    )
