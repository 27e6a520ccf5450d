"""Tables: through OpenML, from a file, or synthetic."""

from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.datasets import fetch_openml
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from skdl.datasets._bunch import CONSTRAINTS, bunch, existing, no_download, numbers, read_csv, require

_BIKE_DESCR = """\
Bike sharing: bicycles rented in Washington, D.C., by hour or by day, 2011 and 2012.

17379 hours or 731 days in the order of time. Features, under the names of the UCI repository:
season (1 to 4, spring to winter), yr (0 is 2011), mnth (1 to 12), hr (0 to 23),
holiday (0 or 1), weekday (0 is Sunday), workingday (0 or 1), weathersit (1 clear,
2 misty, 3 rain, 4 heavy rain), temp and atemp (temperature and felt temperature), hum
(humidity) and windspeed. Target: cnt, the number of bicycles rented in the hour or day.
Days have no hr. The counts of casual and registered riders, which add up to the target, are left out.

The scale of temp, atemp, hum and windspeed is that of the source: the UCI repository's
file has them divided by their greatest values, another source may have degrees. Scale
them before training.

Source: H. Fanaee-T and J. Gama, "Event labeling combining ensemble detectors and
background knowledge", Progress in Artificial Intelligence 2, 2014.
Licence: Creative Commons Attribution 4.0 (CC BY 4.0), as the UCI repository gives it.
"""

_SECOM_DESCR = """\
SECOM: sensors of a semiconductor production line, and whether the product failed.

Features s0 to s589: measurements of anonymous sensors, with missing values. Target: -1
for a product that passed its test, 1 for one that failed. The UCI repository's table
has 1567 rows, 104 of them failures, and 4.5 % of the measurements missing.

Source: M. McCann and A. Johnston, "SECOM", UCI Machine Learning Repository, 2008.
Licence: Creative Commons Attribution 4.0 (CC BY 4.0), as the UCI repository gives it.
"""


def _read_table(path, wanted, loader, **openml):
    """Read a local CSV file, or fetch the table from OpenML, all columns in their order."""
    if path is not None:
        return read_csv(path, wanted)
    try:
        # Without a target column, so that the last column is where the source has it.
        return fetch_openml(**openml, target_column=None, as_frame=True).frame
    except OSError as error:  # URLError and HTTPError are among them
        call = f"skdl.datasets.fetch_{loader}(path=...)"
        cache = "What scikit-learn once downloaded it finds in its data home (SCIKIT_LEARN_DATA)."
        raise no_download(loader, error, wanted, call, cache) from error


_BIKE_COLUMNS = "season yr mnth hr holiday weekday workingday weathersit temp atemp hum windspeed cnt".split()
# OpenML's names and labels, where they differ from those of the UCI repository.
_BIKE_OPENML_NAMES = {
    "year": "yr",
    "month": "mnth",
    "hour": "hr",
    "weather": "weathersit",
    "feel_temp": "atemp",
    "humidity": "hum",
    "count": "cnt",
}
_BIKE_OPENML_LABELS = {
    "season": {"spring": 1, "summer": 2, "fall": 3, "winter": 4},
    "weathersit": {"clear": 1, "misty": 2, "rain": 3, "heavy_rain": 4},
    "holiday": {"False": 0, "True": 1},
    "workingday": {"False": 0, "True": 1},
}


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_bike_sharing(*, path=None, return_X_y=False, as_frame=False) -> Any:
    """Load bike sharing: rented bicycles by time and weather (regression).

    ==============   ================   =================
    Rows             hours              days
    Samples total    17379              731
    Dimensionality   12                 11
    Features         real               real
    Target           integers 1 - 977   integers 22 - 8714
    ==============   ================   =================

    Parameters
    ----------
    path : str or Path, default=None
        A local CSV file in the layout of the UCI repository's ``hour.csv`` or
        ``day.csv``. None means OpenML's "Bike_Sharing_Demand", version 2, which has hours
        and which scikit-learn keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of float64 of shape (n_samples, 12), or 11 for days, or DataFrame;
        - target: ndarray of float64 of shape (n_samples,), bicycles in an hour or a day,
          or Series;
        - frame: DataFrame of data and target, or None;
        - feature_names, target_names: list of str;
        - DESCR: str, with the meaning and the scale of the columns.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If the file at ``path`` lacks a column, or has cells that are no numbers.
    ConnectionError
        If the download fails; says which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_bike_sharing
    >>> X, y = fetch_bike_sharing(return_X_y=True, as_frame=True)  # doctest: +SKIP
    >>> X[["temp", "atemp", "hum", "windspeed"]].shape  # doctest: +SKIP
    (17379, 4)
    """
    wanted = f"a CSV file with the columns {', '.join(_BIKE_COLUMNS)} (hr in a file of hours)"
    table = _read_table(path, wanted, "bike_sharing", name="Bike_Sharing_Demand", version=2)
    if path is None:
        table = table.rename(columns=_BIKE_OPENML_NAMES)
        for column, codes in _BIKE_OPENML_LABELS.items():
            table[column] = table[column].astype(str).map(codes)
    columns = [column for column in _BIKE_COLUMNS if column != "hr" or column in table]
    require(table, columns, path, wanted)
    table = numbers(table[columns], "The table of bike sharing").astype(np.float64)
    return bunch(
        table[columns[:-1]].to_numpy(),
        table["cnt"].to_numpy(),
        columns[:-1],
        ["cnt"],
        "cnt",
        _BIKE_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


_SECOM_LABELS = ["y", "Pass/Fail"]
_SECOM_NO_SENSORS = ["orig_row", "Time"]


@validate_params(
    {**CONSTRAINTS, "errors": [StrOptions({"raise", "ignore"})]}, prefer_skip_nested_validation=True
)
def fetch_secom(*, path=None, return_X_y=False, as_frame=False, errors="raise") -> Any:
    """Load SECOM: sensors of a semiconductor line, pass or fail (classification).

    =================   ==============================
    Classes                                          2
    Samples per class           1463 pass, 104 fail
    Dimensionality                                 590
    Features            real, with missing values (NaN)
    =================   ==============================

    Parameters
    ----------
    path : str or Path, default=None
        A local CSV file with a header, a column for each sensor and one for the label,
        -1 or 1, which is called "Pass/Fail" or "y". Columns "Time" and "orig_row" are left
        out. None means OpenML's data set 43587, which scikit-learn keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.
    errors : {"raise", "ignore"}, default="raise"
        What to do with a sensor's cells that are no numbers: raise an error, or leave the
        columns as they are, for which ``data`` must be a DataFrame.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of float64 of shape (n_samples, 590), or DataFrame;
        - target: ndarray of int64 of shape (n_samples,), -1 (pass) or 1 (fail), or Series;
        - frame: DataFrame of data and target, or None;
        - feature_names: list of str, "s0" to "s589";
        - target_names: list of str, the meaning of the sorted labels;
        - DESCR: str.

    Raises
    ------
    FileNotFoundError
        If ``path`` is no file.
    ValueError
        If the label is missing or has other values than -1 and 1, a sensor's cells are no
        numbers, or ``errors="ignore"`` is given without ``as_frame=True``.
    ConnectionError
        If the download fails; says which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_secom
    >>> secom = fetch_secom(as_frame=True)  # doctest: +SKIP
    >>> secom.data.isna().to_numpy().mean().round(3)  # doctest: +SKIP
    0.045
    """
    if errors == "ignore" and not as_frame:
        raise ValueError("errors='ignore' needs as_frame=True, since an array would hold no numbers.")
    wanted = (
        "a CSV file with a header, a column for each sensor and one for the label, -1 or 1, which is "
        "called 'Pass/Fail' or 'y'"
    )
    table = _read_table(path, wanted, "secom", data_id=43587)
    label = next((name for name in _SECOM_LABELS if name in table), "Pass/Fail")
    require(table, [label], path, wanted)
    labels = table[label].astype(str).map({"-1": -1, "1": 1, "-1.0": -1, "1.0": 1})
    if labels.isna().any():
        raise ValueError(
            f"The column {label!r} has the values {table[label].unique().tolist()[:5]} instead of -1 and 1. "
            f"Give the place of {wanted}."
        )
    data = table.drop(columns=[label, *_SECOM_NO_SENSORS], errors="ignore")
    if errors == "raise":
        data = numbers(data, "The table of SECOM").to_numpy(dtype=np.float64)
    else:
        data = data.set_axis([f"s{sensor}" for sensor in range(data.shape[1])], axis="columns")
    return bunch(
        data,
        labels.to_numpy(dtype=np.int64),
        [f"s{sensor}" for sensor in range(data.shape[1])],
        ["pass", "fail"],
        "y",
        _SECOM_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


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
