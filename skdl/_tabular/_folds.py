"""Rows of several folds side by side, so that all are trained at the same time."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold


class Stack(NamedTuple):
    """Positions of rows, one column for each fold.

    Parameters
    ----------
    rows : ndarray of int of shape (n_rows, n_folds)
    counts : ndarray of bool of shape (n_rows, n_folds)
        False for what fills up the shorter folds.
    """

    rows: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, folds):
        """Stack folds of about the same size.

        Parameters
        ----------
        folds : list of ndarray of int
        """
        n = max(map(len, folds))
        filled = [np.concatenate([rows, np.full(n - len(rows), rows[0])]) for rows in folds]
        return cls(np.stack(filled, axis=1), np.arange(n)[:, None] < [len(rows) for rows in folds])

    def take(self, x, y, weight=None):
        """Return features, target and weights of the stacked rows.

        Parameters
        ----------
        x, y : ndarray of n_samples rows
        weight : ndarray of shape (n_samples,), default=None

        Returns
        -------
        x : ndarray of shape (n_rows, n_folds, n_features)
        y : ndarray of shape (n_rows, n_folds, ...)
        weight : ndarray of float32 of shape (n_rows, n_folds)
            Of mean 1 in each fold.
        """
        weight = self.counts * (1.0 if weight is None else weight[self.rows])
        return x[self.rows], y[self.rows], (weight / weight.mean(axis=0)).astype(np.float32)


def stack_folds(n, n_folds, strata, random_state):
    """Divide rows into folds; each is held out once.

    Parameters
    ----------
    n : int
        Number of rows.
    n_folds : int
        At least 2.
    strata : ndarray of shape (n,) or None
        Classes, of which each fold gets its share as far as they go.
    random_state : numpy.random.RandomState

    Returns
    -------
    train, held_out : Stack
    """
    if strata is not None and np.unique(strata, return_counts=True)[1].min() >= n_folds:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random_state).split(strata, strata)
    else:
        folds = KFold(n_folds, shuffle=True, random_state=random_state).split(np.empty(n))
    train, held_out = zip(*folds, strict=True)
    # Shuffled, because rows that stand side by side are always in the same batch.
    return Stack.of([random_state.permutation(rows) for rows in train]), Stack.of(held_out)


def stack_copies(rows, n_folds, random_state):
    """Give all rows to each fold, in orders of their own.

    Parameters
    ----------
    rows : ndarray of int
    n_folds : int
    random_state : numpy.random.RandomState or None
        None leaves the rows in their order.

    Returns
    -------
    Stack
    """
    if random_state is None:
        return Stack.of([rows] * n_folds)
    return Stack.of([random_state.permutation(rows) for _ in range(n_folds)])
