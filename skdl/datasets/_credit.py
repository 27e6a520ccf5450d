"""Loans and defaults: synthetic, or from a file."""

from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skdl.datasets._bunch import CONSTRAINTS, bunch, numbers, read_csv, require

_CREDIT_DESCR = """\
Synthetic loans: who defaults?

Features: income (a year, 20000 to 70000), age (years, 18 to 64) and loan (in the unit
of the income, up to a fifth of it). Target: 1 where the loan was not paid back.

With u, v, w drawn uniformly from [0, 1):

    income = 20000 + 50000 u
    age = 18 + 46 v
    ratio = 0.2 w, loan = ratio * income
    P(default = 1) = expit((35 - age) / noise) * expit((ratio - 0.12) / (0.005 noise))

Without noise, those younger than 35 default who owe more than 12 % of their income:
about 15 % of the rows. No single column determines it, and it is not a linear function of them.
"""


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "return_X_y": ["boolean"],
        "as_frame": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_credit_default(
    n_samples=2000, *, noise=0.5, random_state=None, return_X_y=False, as_frame=False
) -> Any:
    """Make a table of loans and whether they were paid back (classification).

    Income, age and loan are drawn at random; young people with a loan that is large for
    their income are likely to default. The formula is in ``DESCR`` and in the notes.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of loans.
    noise : float, default=0.5
        How far, in years of age, the step between paying back and defaulting is
        blurred; 0 makes the default a certain function of the features.
    random_state : int, RandomState instance or None, default=None
        Seeds the drawing; an int makes the table repeatable.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of float64 of shape (n_samples, 3), or DataFrame: income (a
          year), age (years), loan (in the unit of the income);
        - target: ndarray of int64 of shape (n_samples,), 1 for a default, or Series;
        - frame: DataFrame of data and target, or None;
        - feature_names: ["income", "age", "loan"];
        - target_names: ["paid", "default"];
        - DESCR: str.

    Notes
    -----
    With ``ratio`` for loan / income, and u, v, w uniform on [0, 1): income = 20000 +
    50000 u, age = 18 + 46 v, ratio = 0.2 w, and P(default) = expit((35 - age) / noise) *
    expit((ratio - 0.12) / (0.005 noise)).

    Examples
    --------
    >>> from skdl.datasets import make_credit_default
    >>> loans = make_credit_default(random_state=0, as_frame=True)
    >>> loans.frame.columns.tolist()
    ['income', 'age', 'loan', 'default']
    >>> float(loans.target.mean().round(2))
    0.16
    """
    rng = check_random_state(random_state)
    u, v, w = rng.uniform(size=(3, n_samples))
    income, age, ratio = 20_000 + 50_000 * u, 18 + 46 * v, 0.2 * w
    if noise == 0:
        target = (age < 35) & (ratio > 0.12)
    else:
        probability = expit((35 - age) / noise) * expit((ratio - 0.12) / (0.005 * noise))
        target = rng.uniform(size=n_samples) < probability
    return bunch(
        np.column_stack([income, age, ratio * income]),
        target.astype(np.int64),
        ["income", "age", "loan"],
        ["paid", "default"],
        "default",
        _CREDIT_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


_FEATURES = ["income", "age", "loan"]
_TARGETS = ["default", "default10yr"]


@validate_params({**CONSTRAINTS, "path": [str, Path]}, prefer_skip_nested_validation=True)
def load_credit_default(path, *, return_X_y=False, as_frame=False) -> Any:
    """Read a table of loans and whether they were paid back (classification).

    Parameters
    ----------
    path : str or Path
        A CSV file with the columns income, age, loan, and default or default10yr (0 or 1).
        Other columns, such as clientid and LTI, are left out.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        As :func:`make_credit_default` returns; the target is called "default". Missing
        values are NaN.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If a column is missing, has cells that are no numbers, or the target has other
        values than 0 and 1.

    See Also
    --------
    make_credit_default : Make a synthetic table of this kind.

    Examples
    --------
    >>> from skdl.datasets import load_credit_default
    >>> loans = load_credit_default("creditset.csv", as_frame=True)  # doctest: +SKIP
    >>> loans.frame.columns.tolist()  # doctest: +SKIP
    ['income', 'age', 'loan', 'default']
    """
    wanted = "a CSV file with the columns income, age, loan, and default or default10yr (0 or 1)"
    table = read_csv(path, wanted)
    target = next((name for name in _TARGETS if name in table), _TARGETS[0])
    require(table, [*_FEATURES, target], path, wanted)
    table = numbers(table[[*_FEATURES, target]], "The table of loans")
    if not table[target].isin([0, 1]).all():
        raise ValueError(
            f"The column {target!r} has the values {table[target].unique().tolist()[:5]} instead of 0 and 1. "
            f"Give the place of {wanted}."
        )
    return bunch(
        table[_FEATURES].to_numpy(dtype=np.float64),
        table[target].to_numpy(dtype=np.int64),
        list(_FEATURES),
        ["paid", "default"],
        "default",
        "Loans: who defaults? Features: income (a year), age (years) and loan. Target: 1 where the loan was "
        "not paid back.",
        return_X_y=return_X_y,
        as_frame=as_frame,
    )
