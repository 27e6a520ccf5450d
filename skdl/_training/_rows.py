"""Rows of data that stay together, and how they are divided into training and validation rows."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state
from sklearn.utils.extmath import _approximate_mode
from sklearn.utils.validation import _check_sample_weight

from skdl._arrays import n_rows, rows_of, without_lists
from skdl._warnings import warn


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


# Held out where early stopping needs rows and nobody says how many, as in scikit-learn.
_EARLY_STOPPING_SHARE = 0.1


@dataclass(frozen=True)
class Holdout:
    """Which rows are held out to validate on.

    Parameters
    ----------
    how : float in (0, 1) or splitter of scikit-learn
        Share of the rows; or what divides them, the last time if it does so several times.
    seed : int
        Of the shuffle; also of a splitter without ``random_state``.
    """

    how: Any
    seed: int

    @classmethod
    def of(cls, settings, draw_seed):
        """Return the holdout that is asked for, or None.

        Parameters
        ----------
        settings : dict
            With ``validation_split`` and ``early_stopping``.
        draw_seed : callable
            Returns a seed; called only where rows are held out.
        """
        how = settings["validation_split"]
        if how is None:
            how = _EARLY_STOPPING_SHARE if settings["early_stopping"] else 0
        return cls(how, draw_seed()) if hasattr(how, "split") or how else None

    def split(self, n, y=None, *, strata=None, groups=None):
        """Divide rows into those to train on and those to validate on.

        Parameters
        ----------
        n : int
            Number of rows.
        y : array-like of shape (n,) or (n, n_outputs), default=None
            Target, for a splitter that looks at it.
        strata : array-like of shape (n,), default=None
            Labels that both must have in equal shares, where a share is held out.
        groups : array-like of shape (n,), default=None
            For a splitter that keeps groups together.

        Returns
        -------
        tuple of ndarray (train, held_out)
            Positions of the rows, in ascending order.

        Raises
        ------
        ValueError
            If no rows can be held out so.
        """
        if hasattr(self.how, "split"):
            train, held_out = self._split_by_splitter(n, y, groups)
        else:
            if groups is not None:
                warn(
                    f"groups has no effect: validation_split={self.how} is no splitter. Groups are kept "
                    "together by validation_split=GroupShuffleSplit(1, test_size=0.2).",
                )
            train, held_out = self._split_by_share(n, strata)
        return np.sort(train), np.sort(held_out)

    def _split_by_share(self, n, strata):
        rows = np.arange(n)
        try:
            return train_test_split(rows, test_size=self.how, stratify=strata, random_state=self.seed)
        except ValueError as error:
            if strata is not None and len(np.unique(strata)) < n:
                held_out = self._spare_rows(np.asarray(strata))
                return np.delete(rows, held_out), held_out
            raise ValueError(
                f"validation_split={self.how} can't hold out rows of every kind from {n}: {error} Change "
                "validation_split, or give X_val and y_val to fit."
            ) from error

    def _spare_rows(self, strata):
        """Choose rows to hold out where they can't have all labels, and leave one of each label."""
        labels, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
        rng = check_random_state(self.seed)
        n_held_out = min(int(np.ceil(self.how * len(strata))), len(strata) - len(labels))
        taken = _approximate_mode(counts - 1, n_held_out, rng)
        held_out = [
            rng.permutation(np.flatnonzero(codes == code))[:number] for code, number in enumerate(taken)
        ]
        warn(
            f"validation_split={self.how} holds out {n_held_out} of {len(strata)} rows, none of the "
            f"labels {labels[taken == 0].tolist()}: each label keeps a row to train on, and there are too "
            "few rows for all labels. Enlarge validation_split, or give X_val and y_val to fit.",
        )
        return np.concatenate(held_out)

    def _split_by_splitter(self, n, y, groups):
        splitter = copy.copy(self.how)
        if getattr(splitter, "random_state", self.seed) is None:
            splitter.random_state = self.seed
        name = type(splitter).__name__
        try:
            *_, (train, held_out) = splitter.split(np.zeros((n, 1)), y, groups)
        except (TypeError, ValueError) as error:
            given = "" if groups is not None else " Groups are given as fit(X, y, groups=groups)."
            raise ValueError(f"validation_split={name} can't divide {n} rows: {error}{given}") from error
        train, held_out = (_positions(part, n, name) for part in (train, held_out))
        if not (len(train) and len(held_out)) or len(np.intersect1d(train, held_out)):
            raise ValueError(
                f"validation_split={name} gives {len(train)} rows to train on and {len(held_out)} to "
                "validate on; it must give at least one of each, and none of them to both."
            )
        return train, held_out


def _positions(rows, n, splitter):
    """Return the positions that a splitter means by integers or by a mask of ``n`` rows."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    whole = rows.dtype.kind in "iu" or not rows.size
    if rows.ndim != 1 or not whole or (rows.size and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(
            f"validation_split={splitter} must give positions from 0 to {n - 1}, or a mask of {n} booleans, "
            f"for the rows of each part; it gives an array of type {rows.dtype} and shape {rows.shape}."
        )
    return rows.astype(np.intp)


def given_rows(X_val, y_val, sample_weight_val, validation_data=None):
    """Return the validation rows that a call of ``fit`` was given, or None.

    Parameters
    ----------
    X_val, y_val, sample_weight_val : array-like or None
    validation_data : tuple (X, y) or (X, y, sample_weight), default=None
        The same, as ``keras.Model.fit`` takes it.

    Returns
    -------
    Rows or None

    Raises
    ------
    ValueError
        If they are given twice, or in part.
    """
    given = X_val, y_val, sample_weight_val
    if validation_data is not None:
        if any(part is not None for part in given):
            raise ValueError("Both validation_data and X_val, y_val are given; give X_val and y_val alone.")
        given = (*validation_data, None)[:3]
    X_val, y_val, sample_weight_val = given
    if (X_val is None) != (y_val is None):
        raise ValueError(
            "X_val and y_val belong together, but only "
            f"{'y_val' if X_val is None else 'X_val'} is given; give both or neither."
        )
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; give all three or none.")
    return None if X_val is None else Rows(*given)
