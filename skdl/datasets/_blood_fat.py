"""Age, weight and blood fat, from a file."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils._param_validation import validate_params

from skdl.datasets._bunch import CONSTRAINTS, bunch, existing

_DESCR = """\
Blood fat: age, weight and the fat in the blood of 25 people.

Features: weight (kilograms) and age (years). Target: blood fat.

Source: H. Spaeth, "Mathematical Algorithms for Linear Regression", Academic Press, 1991; the
file x09.txt of J. Burkardt's collection of regression data.
"""
_COLUMNS = ["index", "one", "weight", "age", "blood fat"]


def _numbers(line):
    try:
        return [float(cell) for cell in line.split()]
    except ValueError:
        return []


@validate_params({**CONSTRAINTS, "path": [str, Path]}, prefer_skip_nested_validation=True)
def load_blood_fat(path, *, return_X_y=False, as_frame=False) -> Any:
    """Read age, weight and blood fat of people (regression).

    ==============   ====
    Samples total      25
    Dimensionality      2
    Features         real
    Target           real
    ==============   ====

    Parameters
    ----------
    path : str or Path
        The file ``x09.txt`` with or without its header: rows of five numbers, separated by
        spaces: index, one, weight (kilograms), age (years), blood fat. Lines before the
        first row of numbers, empty lines and those that begin with ``#`` are left out.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of float64 of shape (n_samples, 2), or DataFrame: weight, age;
        - target: ndarray of float64 of shape (n_samples,), or Series;
        - frame: DataFrame of data and target, or None;
        - feature_names, target_names: list of str;
        - DESCR: str.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If a row of numbers has not five of them; names the line.

    Examples
    --------
    >>> from skdl.datasets import load_blood_fat
    >>> people = load_blood_fat("x09.txt", as_frame=True)  # doctest: +SKIP
    >>> people.frame.columns.tolist()  # doctest: +SKIP
    ['weight', 'age', 'fat']
    """
    wanted = f"a text file with rows of {len(_COLUMNS)} numbers: {', '.join(_COLUMNS)}"
    rows = []
    for number, line in enumerate(existing(path, wanted).read_text().splitlines(), 1):
        cells = _numbers(line)
        if line.strip().startswith("#") or not line.strip() or (not cells and not rows):
            continue
        if len(cells) != len(_COLUMNS):
            raise ValueError(
                f"Line {number} of path={str(path)!r} is {line.strip()!r}"
                f"{_lacks(cells)}. Give the place of {wanted}."
            )
        rows.append(cells)
    if not rows:
        raise ValueError(f"path={str(path)!r} has no row of numbers. Give the place of {wanted}.")
    table = np.array(rows)
    return bunch(
        table[:, [2, 3]],
        table[:, 4],
        ["weight", "age"],
        ["fat"],
        "fat",
        _DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


def _lacks(cells):
    missing = _COLUMNS[len(cells) :] if cells else []
    return f", which lacks {', '.join(map(repr, missing))}" if missing else ""
