"""Folds of a table: how many, settings that follow from the number of rows, and rows side by side."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from skdl._training._plan import Rows


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
        """Return the Stack of folds, each an ndarray of positions."""
        n = max(map(len, folds))
        filled = [np.concatenate([rows, np.full(n - len(rows), rows[0])]) for rows in folds]
        return cls(np.stack(filled, axis=1), np.arange(n)[:, None] < [len(rows) for rows in folds])

    def take(self, x, y, weight=None):
        """Return features, target and weights of the stacked rows; the weights have mean 1 in each fold."""
        weight = self.counts * (1.0 if weight is None else weight[self.rows])
        return x[self.rows], y[self.rows], (weight / weight.mean(axis=0)).astype(np.float32)


def stack_folds(n, n_folds, strata, random_state):
    """Return the Stacks of ``n`` rows to train on and to hold out: each fold is held out once."""
    if strata is not None and np.unique(strata, return_counts=True)[1].min() >= n_folds:
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random_state).split(strata, strata)
    else:
        folds = KFold(n_folds, shuffle=True, random_state=random_state).split(np.empty(n))
    train, held_out = zip(*folds, strict=True)
    # Shuffled, since the rows of a position are in the same batch in every epoch.
    return Stack.of([random_state.permutation(rows) for rows in train]), Stack.of(held_out)


def stack_copies(rows, n_folds, random_state):
    """Return the Stack of the same rows for each fold, in a random order each unless it is None."""
    if random_state is None:
        return Stack.of([rows] * n_folds)
    return Stack.of([random_state.permutation(rows) for _ in range(n_folds)])


def side_by_side(train, held_out, n_folds, classify, holds_folds_out, random_state):
    """Return Rows to train on and to hold out, or None, with the rows of all folds side by side.

    With ``holds_folds_out`` each fold is held out from its own networks. Else all folds train on all rows.
    """

    def stacked(rows, stack):
        return Rows(*stack.take(rows.X[:, 0], rows.y[:, 0] if classify else rows.y, rows.weight))

    if holds_folds_out and n_folds > 1:
        if train.n < n_folds:
            raise ValueError(
                f"class_weight leaves {train.n} rows with a weight above 0, fewer than the {n_folds} folds. "
                "Set n_folds, or give more rows of these classes."
            )
        stacks = stack_folds(train.n, n_folds, train.y[:, 0] if classify else None, random_state)
        return tuple(stacked(train, stack) for stack in stacks)
    copies = stacked(train, stack_copies(np.arange(train.n), n_folds, random_state))
    if held_out is None:
        return copies, None
    return copies, stacked(held_out, stack_copies(np.arange(held_out.n), n_folds, None))


# Multiplications of a training: some seconds for 1,000 rows, less than a minute for 20,000, on two cores.
_BUDGET, _BUDGET_ROWS, _GROWTH = 9.2e9, 1000, 0.8
_LEAST_EPOCHS, MOST_EPOCHS = 5, 60
_BATCH = 32, 256
_NETWORKS = 10


def default_folds(n_rows):
    """Return the number of folds for a number of rows: fewer for more rows."""
    return 5 if n_rows <= 5000 else 3


def default_members(n_folds):
    """Return the number of networks of a fold: 10 or a little less in all, since epochs are worth more."""
    return max(1, _NETWORKS // n_folds)


def default_batch_size(n_rows):
    """Return the rows of a step, a power of two near a thirtieth of all."""
    return min(max(2 ** int(math.log2(max(n_rows, 1) / 30 + 1)), _BATCH[0]), _BATCH[1])


def default_epochs(n_rows, n_weights, n_networks):
    """Return the epochs that a budget allows, by the multiplications for one row in one network."""
    budget = _BUDGET * max(1, n_rows / _BUDGET_ROWS) ** _GROWTH
    return int(min(max(budget / (n_rows * n_weights * n_networks), _LEAST_EPOCHS), MOST_EPOCHS))
