"""Settings that follow from the size of a table."""

import math

# Multiplications that a training may take: some seconds for a thousand rows, and less than a
# minute for twenty thousand, on two cores.
_BUDGET, _BUDGET_ROWS, _GROWTH = 3e10, 1000, 0.8
_LEAST_EPOCHS, MOST_EPOCHS = 5, 60
_BATCH = 32, 256
_MANY_ROWS, _NETWORKS = 10_000, (24, 18)


def default_folds(n_rows):
    """Return the number of folds for a number of rows: fewer for more rows."""
    return 5 if n_rows <= 5000 else 3


def default_members(n_folds, n_rows):
    """Return the number of networks of a fold.

    There are 24 or a little less in all, and 18 for more than 10,000 rows, where
    epochs are worth more than networks.
    """
    return max(1, _NETWORKS[n_rows > _MANY_ROWS] // n_folds)


def default_batch_size(n_rows):
    """Return the rows of a step, a power of two near a thirtieth of all."""
    return min(max(2 ** int(math.log2(max(n_rows, 1) / 30 + 1)), _BATCH[0]), _BATCH[1])


def default_epochs(n_rows, n_weights, n_networks):
    """Return the number of epochs that a budget of multiplications allows.

    Parameters
    ----------
    n_rows : int
        To train on.
    n_weights : int
        Multiplications of one row in one network.
    n_networks : int
        Members of all folds.
    """
    budget = _BUDGET * max(1, n_rows / _BUDGET_ROWS) ** _GROWTH
    return int(min(max(budget / (n_rows * n_weights * n_networks), _LEAST_EPOCHS), MOST_EPOCHS))
