"""Validation rows: given, or held out from the rows to train on."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split

from skdl._training._rows import Rows

# Held out where early stopping needs rows and nobody says how many, as in scikit-learn.
_EARLY_STOPPING_SHARE = 0.1


@dataclass(frozen=True)
class Holdout:
    """Which rows are held out to validate on.

    Parameters
    ----------
    share : float in (0, 1)
        Share of the rows.
    seed : int
        Of the shuffle.
    """

    share: float
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
        share = settings["validation_split"]
        if share is None:
            share = _EARLY_STOPPING_SHARE if settings["early_stopping"] else 0
        return cls(share, draw_seed()) if share else None

    def split(self, n, strata=None):
        """Divide rows into those to train on and those to validate on.

        Parameters
        ----------
        n : int
            Number of rows.
        strata : array-like of shape (n,), default=None
            Labels that both must have in equal shares.

        Returns
        -------
        tuple of ndarray (train, held_out)
            Positions of the rows, in ascending order.

        Raises
        ------
        ValueError
            If a label has too few rows.
        """
        try:
            rows = train_test_split(
                np.arange(n), test_size=self.share, stratify=strata, random_state=self.seed
            )
        except ValueError as error:
            raise ValueError(
                f"validation_split={self.share} can't hold out rows of every kind from {n}: {error} Change "
                "validation_split, or give X_val and y_val to fit."
            ) from error
        return tuple(np.sort(part) for part in rows)


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
