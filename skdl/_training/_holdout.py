"""Validation rows: given, or held out from the rows to train on."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.extmath import _approximate_mode

from skdl._training._rows import Rows
from skdl._warnings import warn

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
