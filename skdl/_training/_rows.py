"""Rows of features, target and weights that stay together."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import _check_sample_weight

from skdl._arrays import n_rows, rows_of, without_lists


@dataclass(frozen=True)
class Rows:
    """Rows of features, target and weights. Nothing changes them; methods return others.

    Parameters
    ----------
    X : array or sparse matrix of n_samples rows, or nested lists or dicts of them
    y : array of n_samples rows, or nested lists or dicts of them
    weight : ndarray of shape (n_samples,), default=None
    positions : ndarray of int, default=None
        Where the rows stood in the data that the user gave, in ascending order. A row that was
        drawn twice is there twice. None for all rows of these data, once each.
    """

    X: Any
    y: Any = None
    weight: np.ndarray | None = None
    positions: np.ndarray | None = None

    @property
    def n(self):
        """Number of rows."""
        return n_rows(self.X)

    def where(self):
        """Return the positions in the data that the user gave."""
        return np.arange(self.n) if self.positions is None else self.positions

    def take(self, index):
        """Return some of the rows, without a copy where these are all.

        Parameters
        ----------
        index : ndarray of int, in ascending order
            It may name a row more than once.
        """
        if is_every_row(index, self.n):
            return self
        return Rows(
            _taken(self.X, index),
            None if self.y is None else _taken(self.y, index),
            None if self.weight is None else self.weight[index],
            index if self.positions is None else self.positions[index],
        )

    def checked_weight(self):
        """Return the rows with valid weights, as float64.

        Raises
        ------
        ValueError
            If weights are negative, no numbers, all zero, or not one for each row.
        """
        if self.weight is None:
            return self
        weight = _check_sample_weight(
            self.weight, self.X, dtype=np.float64, ensure_non_negative=True, ensure_same_device=False
        )
        return replace(self, weight=weight)

    def used(self):
        """Return the positions of the rows that count: those of weight zero do not."""
        return np.arange(self.n) if self.weight is None else np.flatnonzero(self.weight)

    def weighted(self, factors):
        """Multiply the weights, in a new array."""
        return replace(self, weight=factors if self.weight is None else factors * self.weight)

    def of_mean_weight_one(self):
        """Scale the weights to a mean of one.

        Then only their ratios count, and a weight of two is the same as the row given
        twice, as in scikit-learn. (Keras divides the weighted loss by the number of rows.)

        Raises
        ------
        ValueError
            If all weights are zero.
        """
        if self.weight is None:
            return self
        if not self.weight.any():
            raise ValueError(
                f"There is nothing to learn from: sample_weight times class_weight is 0 for each of the "
                f"{self.n} rows to train on. Leave out this fit or partial_fit, or give it rows of a class "
                "whose weight is not 0."
            )
        # Their sum may be too large for a float, or too small to divide by.
        weight = self.weight / self.weight.max()
        return replace(self, weight=weight * (len(weight) / weight.sum()))

    def encode(self, feature_encoder, target):
        """Return the rows as a model takes them.

        Parameters
        ----------
        feature_encoder : transformer
            Fitted.
        target : Target
        """
        x, y = encoded(feature_encoder, self.X), target.encode(self.y)
        return replace(self, X=without_lists(x), y=without_lists(y))

    def as_keras(self):
        """Return ``(x, y)`` or ``(x, y, sample_weight)``."""
        return (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight)


def is_every_row(index, n):
    """Return whether sorted positions name each of ``n`` rows exactly once."""
    return len(index) == n and np.array_equal(index, np.arange(n))


def _taken(data, index):
    return rows_of(data, index) if isinstance(data, np.ndarray) else data[index]


def encoded(encoder, X):
    """Return features as the model takes them: arrays, whatever scikit-learn's output is set to."""
    if type(encoder) is FunctionTransformer and encoder.func is None and not encoder.validate:
        return X  # what the transformer does, in a tenth of its time
    with config_context(transform_output="default"):
        return encoder.transform(X)
