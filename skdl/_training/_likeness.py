"""Given validation rows that are not like the training rows: a transformation was forgotten."""

import numpy as np

from skdl._warnings import warn

# Columns of one source have like ranges and spreads. Of a few columns that is not true, such as time
# in a series, or what is rarely anything but zero: hence more than half of the columns.
_UNLIKE = 0.5
_SPREAD = 4
# Rows enough to know a spread, and a range where there are very many.
_FEW, _MANY = 10, 10_000


def warn_if_unlike(train, given):
    """Warn where most columns of validation rows have another range or spread than in training.

    Parameters
    ----------
    train, given : Rows
        Validated and not encoded yet.
    """
    unlike = _share_unlike(train.X, given.X)
    if unlike > _UNLIKE:
        warn(
            f"{unlike:.0%} of the columns of X_val have another range or spread than in the training rows: "
            "was X_val transformed as X was? A Pipeline does it where X_val is given to its own fit: "
            "pipeline.fit(X, y, X_val=X_val, y_val=y_val).",
        )
    if np.ndim(train.y) == 1 and _share_unlike(train.y, given.y) > _UNLIKE:
        warn(
            "y_val has another range or spread than y: is it in the same unit? TransformedTargetRegressor "
            "transforms y and not y_val; give it y_val transformed, or let validation_split hold rows out.",
        )


def _share_unlike(train, given):
    """Return the share of columns, among those that vary, that are unlike in two arrays."""
    if any(not isinstance(data, np.ndarray) or data.dtype.kind not in "fiu" for data in (train, given)):
        return 0
    train, given = (data[:_MANY].reshape(min(len(data), _MANY), -1).astype(float) for data in (train, given))
    low, high = train.min(axis=0), train.max(axis=0)
    varies = high > low
    if not varies.any():
        return 0
    # The only column may be time.
    margin = high - low if varies.sum() == 1 else 0
    unlike = np.mean((given < low - margin) | (given > high + margin), axis=0) > _UNLIKE
    if len(given) >= _FEW:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = given.std(axis=0) / train.std(axis=0)
        unlike |= (ratio > _SPREAD) | ((ratio > 0) & (ratio < 1 / _SPREAD))
    return float(unlike[varies].mean())
