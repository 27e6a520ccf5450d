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

from skdl._arrays import LargeRows, in_memory_where_small, n_rows, rows_of, without_lists
from skdl._warnings import warn

# Share of the rows for early stopping where validation_split=None, as in scikit-learn.
_EARLY_STOPPING_SHARE = 0.1


@dataclass(frozen=True)
class Rows:
    """Rows of features, target and weights; methods return new ones."""

    X: Any  # array, sparse matrix, or nested lists or dicts of them
    y: Any = None
    weight: np.ndarray | None = None
    # Ascending positions in the user's data, perhaps with repetitions; None for all rows.
    positions: np.ndarray | None = None

    @property
    def n(self):
        """Number of rows."""
        return n_rows(self.X)

    def where(self):
        """Return the positions of the rows in the user's data."""
        return np.arange(self.n) if self.positions is None else self.positions

    def take(self, index):
        """Return the rows at ascending positions, without a copy where these are all rows."""
        if is_every_row(index, self.n):
            return self
        return Rows(
            _taken(self.X, index),
            None if self.y is None else _taken(self.y, index),
            None if self.weight is None else self.weight[index],
            index if self.positions is None else self.positions[index],
        )

    def in_memory_where_small(self):
        """Return the rows with features read at once if they are few: these are shuffled as any array."""
        return replace(self, X=in_memory_where_small(self.X))

    def checked_weight(self):
        """Return the rows with their weights as float64; raise ValueError where weights are not valid."""
        if self.weight is None:
            return self
        weight = _check_sample_weight(
            self.weight, self.X, dtype=np.float64, ensure_non_negative=True, ensure_same_device=False
        )
        return replace(self, weight=weight)

    def used(self):
        """Return the positions of the rows whose weight is not zero."""
        return np.arange(self.n) if self.weight is None else np.flatnonzero(self.weight)

    def weighted(self, factors):
        """Return the rows with their weights multiplied by factors."""
        return replace(self, weight=factors if self.weight is None else factors * self.weight)

    def of_mean_weight_one(self):
        """Return the rows with weights of mean one; refuse weights that are all zero.

        Keras divides the weighted loss by the number of rows. With a mean of one a weight of two equals the
        same row given twice, as in scikit-learn.
        """
        if self.weight is None:
            return self
        if not self.weight.any():
            raise ValueError(
                f"There is nothing to learn from: sample_weight times class_weight is 0 for each of the "
                f"{self.n} rows to train on. Leave out this fit or partial_fit, or give it rows of a class "
                "whose weight is not 0."
            )
        # The sum of very large weights is inf, that of very small ones 0.
        weight = self.weight / self.weight.max()
        return replace(self, weight=weight * (len(weight) / weight.sum()))

    def encode(self, feature_encoder, target):
        """Return the rows with features and target as the model takes them."""
        x, y = encoded(feature_encoder, self.X), target.encode(self.y)
        return replace(self, X=without_lists(x), y=without_lists(y))

    def as_keras(self):
        """Return ``(x, y)`` or ``(x, y, sample_weight)``."""
        return (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight)


def is_every_row(index, n):
    """Return whether ascending positions name each of ``n`` rows exactly once."""
    return len(index) == n and np.array_equal(index, np.arange(n))


def _taken(data, index):
    if isinstance(data, LargeRows):
        return data.take(index)
    return rows_of(data, index) if isinstance(data, np.ndarray) else data[index]


def encoded(encoder, X):
    """Return the features that a fitted encoder makes: arrays, whatever ``transform_output`` is set to."""
    if type(encoder) is FunctionTransformer and encoder.func is None and not encoder.validate:
        return X  # `transform` returns X too, in ten times the time
    with config_context(transform_output="default"):
        return encoder.transform(X)


@dataclass(frozen=True)
class Holdout:
    """The choice of validation rows among the rows of `fit`."""

    validation_split: Any  # share of the rows, or a splitter whose last split is taken
    seed: int  # of the shuffle, and of a splitter whose ``random_state`` is None

    @classmethod
    def of(cls, settings, draw_seed):
        """Return the holdout for ``validation_split`` and ``early_stopping``, or None; draw its seed."""
        split = settings["validation_split"]
        if split is None:
            split = _EARLY_STOPPING_SHARE if settings["early_stopping"] else 0
        return cls(split, draw_seed()) if hasattr(split, "split") or split else None

    def split(self, n, y=None, *, strata=None, groups=None):
        """Return the ascending positions of training and of validation rows among ``n`` rows.

        ``strata`` are labels for a stratified split of a share, ``y`` and ``groups`` are for a splitter.
        """
        if hasattr(self.validation_split, "split"):
            train, held_out = self._split_by_splitter(n, y, groups)
        else:
            if groups is not None:
                warn(
                    f"groups has no effect: validation_split={self.validation_split} is no splitter. Groups "
                    "are kept together by validation_split=GroupShuffleSplit(1, test_size=0.2).",
                )
            train, held_out = self._split_by_share(n, strata)
        return np.sort(train), np.sort(held_out)

    def _split_by_share(self, n, strata):
        rows, share = np.arange(n), self.validation_split
        try:
            return train_test_split(rows, test_size=share, stratify=strata, random_state=self.seed)
        except ValueError as error:
            if strata is not None and len(np.unique(strata)) < n:
                held_out = self._spare_rows(np.asarray(strata))
                return np.delete(rows, held_out), held_out
            raise ValueError(
                f"validation_split={share} can't hold out rows of every kind from {n}: {error} Change "
                "validation_split, or give X_val and y_val to fit."
            ) from error

    def _spare_rows(self, strata):
        """Return rows to hold out where too few rows allow no stratified split; each label keeps one."""
        labels, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
        rng = check_random_state(self.seed)
        n_held_out = min(int(np.ceil(self.validation_split * len(strata))), len(strata) - len(labels))
        n_per_label = _approximate_mode(counts - 1, n_held_out, rng)
        held_out = [rng.permutation(np.flatnonzero(codes == code))[:n] for code, n in enumerate(n_per_label)]
        warn(
            f"validation_split={self.validation_split} holds out {n_held_out} of {len(strata)} rows, none of "
            f"the labels {labels[n_per_label == 0].tolist()}: each label keeps a row to train on, and there "
            "are too few rows for all labels. Enlarge validation_split, or give X_val and y_val to fit.",
        )
        return np.concatenate(held_out)

    def _split_by_splitter(self, n, y, groups):
        splitter = copy.copy(self.validation_split)
        if getattr(splitter, "random_state", self.seed) is None:
            splitter.random_state = self.seed
        name = type(splitter).__name__
        try:
            *_, (train, held_out) = splitter.split(np.zeros((n, 1)), y, groups)
        except (TypeError, ValueError) as error:
            hint = "" if groups is not None else " Groups are given as fit(X, y, groups=groups)."
            raise ValueError(f"validation_split={name} can't divide {n} rows: {error}{hint}") from error
        train, held_out = (_positions(part, n, name) for part in (train, held_out))
        if not (len(train) and len(held_out)) or len(np.intersect1d(train, held_out)):
            raise ValueError(
                f"validation_split={name} gives {len(train)} rows to train on and {len(held_out)} to "
                "validate on; it must give at least one of each, and none of them to both."
            )
        return train, held_out


def _positions(rows, n, splitter):
    """Return the positions that a splitter gives as integers or as a mask of ``n`` rows."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    are_integers = rows.dtype.kind in "iu" or not rows.size
    if rows.ndim != 1 or not are_integers or (rows.size and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(
            f"validation_split={splitter} must give positions from 0 to {n - 1}, or a mask of {n} booleans, "
            f"for the rows of each part; it gives an array of type {rows.dtype} and shape {rows.shape}."
        )
    return rows.astype(np.intp)


def validation_rows(X_val, y_val, sample_weight_val, validation_data=None):
    """Return the validation rows among the arguments of ``fit``, or None; refuse incomplete ones."""
    if validation_data is not None:
        if any(part is not None for part in (X_val, y_val, sample_weight_val)):
            raise ValueError("Both validation_data and X_val, y_val are given; give X_val and y_val alone.")
        X_val, y_val, sample_weight_val = (*validation_data, None)[:3]
    if (X_val is None) != (y_val is None):
        raise ValueError(
            "X_val and y_val belong together, but only "
            f"{'y_val' if X_val is None else 'X_val'} is given; give both or neither."
        )
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; give all three or none.")
    return None if X_val is None else Rows(X_val, y_val, sample_weight_val)
