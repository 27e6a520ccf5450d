"""Folds of a table: how many, settings that follow from the number of rows, and rows side by side."""

import math

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from skdl._training._plan import Rows


def side_by_side(train, held_out, n_folds, classify, holds_folds_out, random_state):
    """Return Rows to train on and to hold out, or None, with the rows of all folds side by side.

    With ``holds_folds_out`` each fold is held out from its own networks. Else all folds train on all rows.
    """

    def stacked(rows, folds):
        """Return the rows at the positions of each fold; what fills up shorter folds has the weight 0."""
        n = max(map(len, folds))
        index = np.stack([np.concatenate([each, np.full(n - len(each), each[0])]) for each in folds], axis=1)
        weight = np.arange(n)[:, None] < [len(each) for each in folds]
        weight = weight * (1.0 if rows.weight is None else rows.weight[index])
        y = rows.y[:, 0] if classify else rows.y
        return Rows(rows.X[:, 0][index], y[index], (weight / weight.mean(axis=0)).astype(np.float32))

    if not holds_folds_out or n_folds == 1:
        copies = stacked(train, [random_state.permutation(train.n) for _ in range(n_folds)])
        if held_out is not None:
            held_out = stacked(held_out, [np.arange(held_out.n)] * n_folds)
        return copies, held_out
    if train.n < n_folds:
        raise ValueError(
            f"class_weight leaves {train.n} rows with a weight above 0, fewer than the {n_folds} folds. "
            "Set n_folds, or give more rows of these classes."
        )
    splitter, y = KFold, train.y[:, 0]
    if classify and np.unique(y, return_counts=True)[1].min() >= n_folds:
        splitter = StratifiedKFold
    folds = splitter(n_folds, shuffle=True, random_state=random_state).split(y, y)
    to_train, to_hold_out = zip(*folds, strict=True)
    # Shuffled, since the rows of a position are in the same batch in every epoch.
    to_train = [random_state.permutation(each) for each in to_train]
    return stacked(train, to_train), stacked(train, to_hold_out)


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
