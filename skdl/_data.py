"""The data of a fit on their way in: checked, weighted, divided and encoded."""

import numpy as np
import scipy.sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_array,
    check_consistent_length,
    validate_data,
)

from skdl._backend import keras

_SEEDS = np.iinfo(np.int32).max
# Held out where early stopping needs rows and nobody says how many, as in scikit-learn.
_EARLY_STOPPING_SHARE = 0.1


def rows_of(rows, *arrays):
    """Return rows of arrays, without a copy where these are all rows; None stays None."""
    n = arrays[0].shape[0]
    if len(rows) == n:
        return arrays
    return tuple(None if array is None else array[rows] for array in arrays)


def _without_lists(data):
    """Turn nested lists of arrays into tuples, which Keras's batches may hold."""
    if isinstance(data, dict):
        return {name: _without_lists(part) for name, part in data.items()}
    return tuple(map(_without_lists, data)) if isinstance(data, list | tuple) else data


def mean_one(weights):
    """Return weights of rows in the same ratios, of mean one; None stays None."""
    return None if weights is None else weights * (len(weights) / weights.sum())


class DataMixin:
    """Estimator whose data are checked, weighted, divided and encoded for a Keras model."""

    def _dtypes(self):
        """Return the types of X that the model gets as they are; others become the first."""
        floating = np.dtype(keras.config.floatx())
        return [floating, *(np.dtype(kind) for kind in "?bhilqBHILQ")]

    def _validate_data(self, X=None, y=None, reset=False, y_numeric=False):
        """Check X and y, and learn or compare their number of features, shape and type."""
        if X is not None:
            X = validate_data(
                self,
                X,
                reset=reset,
                accept_sparse="csr",
                allow_nd=True,
                dtype=self._dtypes(),
                accept_large_sparse=False,
            )
            if reset:
                self.X_shape_, self.X_dtype_ = X.shape, X.dtype
            elif X.shape[1:] != self.X_shape_[1:]:
                raise ValueError(
                    f"X has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on rows of "
                    f"shape {self.X_shape_[1:]}."
                )
        if y is not None:
            y = self._validate_target(y, y_numeric)
            if X is not None:
                check_consistent_length(X, y)
            if reset:
                self.target_type_ = self._type_of_target(y)
                self.y_dtype_, self.y_ndim_ = y.dtype, y.ndim
            elif y.ndim != self.y_ndim_:
                raise ValueError(
                    f"y has {y.ndim} dimensions, but {type(self).__name__} was fitted on a target of "
                    f"{self.y_ndim_}."
                )
        return X, y

    def _validate_target(self, y, y_numeric):
        if scipy.sparse.issparse(y):
            y = y.toarray()
        floating = keras.config.floatx() if y_numeric and np.asarray(y).dtype.kind in "OUS" else None
        return check_array(y, ensure_2d=False, allow_nd=True, dtype=floating, input_name="y", estimator=self)

    def _validation_share(self, share=None):
        """Return the share of the rows to hold out where no rows are given, 0 for none."""
        share = self._fitted_param("validation_split") if share is None else share
        if share is None:
            return _EARLY_STOPPING_SHARE if self.early_stopping else 0
        return share

    def _draw_seeds(self, n):
        """Draw ``n`` seeds from ``random_state``, which advances where it is a generator."""
        return [int(seed) for seed in check_random_state(self.random_state).randint(_SEEDS, size=n)]

    def _split_validation(self, X, y, share=None, seed=None):
        """Choose the rows to hold out; also asked by `skdl.Pipeline`, before its first step.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        share : float, default=None
            None takes it from the parameters.
        seed : int, default=None
            None draws one from ``random_state``.

        Returns
        -------
        tuple of ndarray (train_rows, validation_rows), or None
            Sorted positions of the rows; None where no rows are to be held out.
        """
        share = self._validation_share() if share is None else share
        if not share:
            return None
        n, seed = _num_samples(X), self._draw_seeds(1)[0] if seed is None else seed
        try:
            rows = train_test_split(
                np.arange(n), test_size=share, stratify=self._strata(y), random_state=seed
            )
        except ValueError as error:
            raise ValueError(
                f"validation_split={share} can't hold out rows of every kind from {n}: {error} Change "
                "validation_split, or give X_val and y_val to fit."
            ) from error
        return tuple(np.sort(part) for part in rows)

    def _strata(self, y):
        """Return the labels that training and validation rows must have in equal shares."""
        return None

    def _check_weights(self, sample_weight, X):
        if sample_weight is None:
            return None
        return _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True, ensure_same_device=False
        )

    def _training_weights(self, y, sample_weight):
        """Combine the weights of rows, in a fresh array of mean one, or return None.

        The mean of one makes weights work as in scikit-learn: only their ratios count,
        and a weight of two is the same as the row given twice. (Keras divides the
        weighted loss by the number of rows.)
        """
        return mean_one(sample_weight)

    def _rows_with_weight(self, X, sample_weight):
        """Return the rows to use: those of weight zero must count as if they were not there."""
        return np.arange(X.shape[0]) if sample_weight is None else np.flatnonzero(sample_weight)

    def _with_validation(self, X, y, sample_weight, rows, validation, share, split_seed):
        """Check the given validation rows, or hold some of the rows out."""
        X_val, y_val, weight_val = validation
        if (X_val is None) != (y_val is None):
            raise ValueError(
                "X_val and y_val belong together, but only "
                f"{'y_val' if X_val is None else 'X_val'} is given; give both or neither."
            )
        if X_val is not None:
            X_val, y_val = self._validate_data(X_val, y_val, reset=False)
            self._check_seen(y_val)
            return rows, (X_val, y_val, self._check_weights(weight_val, X_val))
        if weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val; give all three or none.")
        if not share:
            if self.early_stopping:
                raise ValueError(
                    "early_stopping=True needs validation rows, but validation_split=0 holds none out: "
                    "give X_val and y_val to fit, or a validation_split between 0 and 1."
                )
            return rows, None
        train, held_out = self._split_validation(rows, y[rows], share, split_seed)
        return rows[train], rows_of(rows[held_out], X, y, sample_weight)

    def _check_target(self, y):
        """Refuse a target that nothing can be learnt from."""

    def _check_seen(self, y_val):
        """Refuse a validation target that training can't know."""

    def _encode(self, X, y, weights):
        x, y = self.feature_encoder_.transform(X), self.target_encoder_.transform(y)
        return _without_lists(x), _without_lists(y), weights
