"""Tables, through OpenML."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml
from sklearn.utils._param_validation import validate_params

from skdl.datasets._bunch import CONSTRAINTS, bunch, existing, no_download

_BIKE_DESCR = """\
Bike sharing: bicycles rented in Washington, D.C., by hour, 2011 and 2012.

17379 rows in the order of time. Features, under the names of the UCI repository:
season (1 to 4, spring to winter), yr (0 is 2011), mnth (1 to 12), hr (0 to 23),
holiday (0 or 1), weekday (0 is Sunday), workingday (0 or 1), weathersit (1 clear,
2 misty, 3 rain, 4 heavy rain), temp and atemp (temperature and felt temperature), hum
(humidity) and windspeed. Target: cnt, the number of bicycles rented in the hour. The
counts of casual and registered riders, which add up to the target, are left out.

The scale of temp, atemp, hum and windspeed is that of the source: the UCI repository's
file has them divided by their greatest values, another source may have degrees. Scale
them before training.

Source: H. Fanaee-T and J. Gama, "Event labeling combining ensemble detectors and
background knowledge", Progress in Artificial Intelligence 2, 2014.
"""

_SECOM_DESCR = """\
SECOM: sensors of a semiconductor production line, and whether the product failed.

Features s0 to s589: measurements of anonymous sensors, with missing values. Target: -1
for a product that passed its test, 1 for one that failed. The UCI repository's table
has 1567 rows, 104 of them failures, and 4.5 % of the measurements missing.

Source: M. McCann and A. Johnston, "SECOM", UCI Machine Learning Repository, 2008.
"""


def _read_table(path, wanted, loader, **openml):
    """Read a local CSV file, or fetch the table from OpenML, all columns in their order."""
    if path is not None:
        return pd.read_csv(existing(path, wanted))
    try:
        # Without a target column, so that the last column is where the source has it.
        return fetch_openml(**openml, target_column=None, as_frame=True).frame
    except OSError as error:  # URLError and HTTPError are among them
        call = f"skdl.datasets.fetch_{loader}(path=...)"
        cache = "What scikit-learn once downloaded it finds in its data home (SCIKIT_LEARN_DATA)."
        raise no_download(loader, error, wanted, call, cache) from error


def _numbers(frame, name):
    try:
        return frame.apply(pd.to_numeric)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} has a column with cells that are no numbers: {error}.") from error


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
    """Load bike sharing: rented bicycles by hour and weather (regression).

    ==============   ===================
    Samples total                  17379
    Dimensionality                    12
    Features                        real
    Target           integers 1 - 977
    ==============   ===================

    Parameters
    ----------
    path : str or Path, default=None
        A local CSV file in the layout of the UCI repository's ``hour.csv``. None means
        OpenML's "Bike_Sharing_Demand", version 2, which scikit-learn keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        With the attributes

        - data: ndarray of float64 of shape (n_samples, 12), or DataFrame;
        - target: ndarray of float64 of shape (n_samples,), bicycles in an hour, or Series;
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
    wanted = f"a CSV file with the columns {', '.join(_BIKE_COLUMNS)}"
    table = _read_table(path, wanted, "bike_sharing", name="Bike_Sharing_Demand", version=2)
    if path is None:
        table = table.rename(columns=_BIKE_OPENML_NAMES)
        for column, codes in _BIKE_OPENML_LABELS.items():
            table[column] = table[column].astype(str).map(codes)
    missing = [column for column in _BIKE_COLUMNS if column not in table]
    if missing:
        raise ValueError(f"The table lacks the columns {missing}. Give the place of {wanted}.")
    table = _numbers(table[_BIKE_COLUMNS], "The table of bike sharing").astype(np.float64)
    return bunch(
        table[_BIKE_COLUMNS[:-1]].to_numpy(),
        table["cnt"].to_numpy(),
        _BIKE_COLUMNS[:-1],
        ["cnt"],
        "cnt",
        _BIKE_DESCR,
        return_X_y=return_X_y,
        as_frame=as_frame,
    )


@validate_params(CONSTRAINTS, prefer_skip_nested_validation=True)
def fetch_secom(*, path=None, return_X_y=False, as_frame=False) -> Any:
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
        A local CSV file with a header, the sensors in its columns and the label, -1 or
        1, in the last one. Columns ``orig_row`` and ``Time`` are left out. None means
        OpenML's data set 43587, which scikit-learn keeps in its cache.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    as_frame : bool, default=False
        Return ``data`` as a DataFrame and ``target`` as a Series.

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
        If the last column has other values than -1 and 1, or a sensor's cells are no
        numbers.
    ConnectionError
        If the download fails; says which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_secom
    >>> secom = fetch_secom(as_frame=True)  # doctest: +SKIP
    >>> secom.data.isna().to_numpy().mean().round(3)  # doctest: +SKIP
    0.045
    """
    wanted = "a CSV file with a header, the sensors in its columns and the label, -1 or 1, in the last one"
    table = _read_table(path, wanted, "secom", data_id=43587)
    table = table.drop(columns=["orig_row", "Time"], errors="ignore")
    table = _numbers(table, "The table of SECOM")
    labels = table.iloc[:, -1]
    if not labels.isin([-1, 1]).all():
        values = labels.unique().tolist()
        raise ValueError(
            f"The last column, {labels.name!r}, has the values {values[:5]} instead of -1 and 1. Give the "
            f"place of {wanted}."
        )
    data = table.iloc[:, :-1].to_numpy(dtype=np.float64)
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
