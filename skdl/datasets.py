"""Data sets of the well-known tutorials, as scikit-learn's Bunches.

The images come through Keras's download and cache, the tables through
:func:`sklearn.datasets.fetch_openml`; each ``fetch_*`` also takes ``path=``, a local
file, and each ``load_*`` reads one. Importing this module imports neither Keras nor TensorFlow.
"""

import inspect
import itertools
import re
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

__all__ = [
    "fetch_bike_sharing",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "fetch_secom",
    "load_blood_fat",
    "load_credit_default",
    "make_credit_default",
]

_FORM = {"return_X_y": ["boolean"], "as_frame": ["boolean"]}
_LOAD = {"path": [str, Path], **_FORM}
_FETCH = {"path": [str, Path, None], **_FORM}
_FETCH_IMAGES = {"subset": [StrOptions({"train", "test", "all"})], **_FETCH}


def _bunch(loader, data, target, feature_names, target_names, target_name, form, **more):
    """Return what a loader returns. The description is the beginning of the loader's docstring."""
    return_X_y, as_frame = form
    frame = None
    if as_frame:
        data = pd.DataFrame(data, columns=feature_names)
        target = pd.Series(target, name=target_name, index=data.index)
        frame = data.join(target)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=feature_names,
        target_names=target_names,
        DESCR=(inspect.getdoc(loader) or "").partition("\nParameters\n")[0],
        **more,
    )


def _existing(path, wanted):
    """Return the path of a file, or raise an error that says which file is wanted."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is not a file. Give the place of {wanted}.")
    return path


def _downloaded(load, loader, wanted, cache):
    """Return what a download returns, or raise an error that says which file to get instead."""
    try:
        return load()
    except Exception as error:  # Keras raises an Exception for a failed download
        raise ConnectionError(
            f"The data could not be downloaded: {error}. Without a network, get {wanted} from elsewhere and "
            f"give its place: skdl.datasets.{loader}(path=...). {cache}"
        ) from error


def _table(path, wanted, loader=None, **openml):
    """Read a local CSV file, or fetch a table from OpenML with all its columns."""
    if path is not None:
        # The names of the columns may have spaces around them.
        return pd.read_csv(_existing(path, wanted), low_memory=False).rename(columns=str.strip)
    return _downloaded(
        # Without a target column, so that the last column is where the source has it.
        lambda: fetch_openml(**openml, target_column=None, as_frame=True).frame,
        loader,
        wanted,
        "scikit-learn finds what it downloaded before in its data home (SCIKIT_LEARN_DATA).",
    )


def _columns(table, columns, path, wanted):
    """Return some columns of a table from a file as numbers."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(
            f"path={str(path)!r} lacks the columns {missing}; its first columns are {list(table)[:12]}. "
            f"Give the place of {wanted}."
        )
    try:
        return table[columns].apply(pd.to_numeric)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The table has a column with cells that are no numbers: {error}. Give the place of {wanted}."
        ) from error


def _labels(values, allowed, wanted):
    """Return a column of labels as int64, or raise an error if it has other values."""
    if not values.isin(allowed).all():
        raise ValueError(
            f"The column {values.name!r} has the values {values.unique().tolist()[:5]} instead of "
            f"{allowed[0]} and {allowed[1]}. Give the place of {wanted}."
        )
    return values.to_numpy(dtype=np.int64)


def _fetch_images(loader, target_names, cache, subset, path, form):
    """Return images of Keras; ``cache`` says where Keras finds files without a network."""
    name = loader.__name__.removeprefix("fetch_")
    wanted = (
        f"{name}.npz (NumPy arrays x_train, y_train, x_test, y_test; images of shape (n, 28, 28), integers)"
    )
    if path is not None:
        with np.load(_existing(path, wanted), allow_pickle=False) as file:
            arrays = dict(file)
        missing = {"x_train", "y_train", "x_test", "y_test"} - set(arrays)
        if missing:
            raise ValueError(
                f"path={str(path)!r} lacks the arrays {sorted(missing)}; it has {list(arrays)}. Give the "
                f"place of {wanted}."
            )
        parts = {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}
    else:
        from skdl._backend import keras

        loaded = _downloaded(getattr(keras.datasets, name).load_data, loader.__name__, wanted, cache)
        parts = dict(zip(("train", "test"), loaded, strict=True))
    chosen = [parts[part] for part in ("train", "test") if subset in (part, "all")]
    images, target = (np.concatenate(arrays) for arrays in zip(*chosen, strict=True))
    names = [f"pixel_{row}_{column}" for row, column in np.ndindex(images.shape[1:])]
    data = images.reshape(len(images), -1)
    return _bunch(loader, data, target.astype(np.int64), names, target_names, "class", form, images=images)


@validate_params(_FETCH_IMAGES, prefer_skip_nested_validation=True)
def fetch_mnist(*, subset="train", path=None, return_X_y=False, as_frame=False) -> Any:
    """Load MNIST: handwritten digits (classification).

    70000 grey images of 28 x 28 pixels, 0 (background) to 255, of the digits 0 to 9; 60000 to train on and
    10000 to test on. The digits of the two parts were written by different people.

    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied
    to document recognition", Proceedings of the IEEE 86(11), 1998.
    Licence: Creative Commons Attribution-ShareAlike 3.0 (CC BY-SA 3.0), Y. LeCun and C. Cortes.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The rows to train on, those to test on, or the first followed by the second.
    path : str or Path, default=None
        A local ``mnist.npz`` with the arrays ``x_train``, ``y_train``, ``x_test`` and
        ``y_test``. None means Keras's download, which it keeps in its cache.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        data : uint8 of shape (n_samples, 784); target : int64 of shape (n_samples,);
        images : uint8 of shape (n_samples, 28, 28), the same pixels; frame : DataFrame of
        data and target, or None; feature_names, target_names : list of str; DESCR : str.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError
        If ``path`` is no file or lacks an array, or the download fails; says which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_mnist
    >>> X, y = fetch_mnist(return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (60000, 784)
    """
    cache = "Keras also takes it from the folder datasets in its home (KERAS_HOME, by default ~/.keras)."
    return _fetch_images(fetch_mnist, list("0123456789"), cache, subset, path, (return_X_y, as_frame))


@validate_params(_FETCH_IMAGES, prefer_skip_nested_validation=True)
def fetch_fashion_mnist(*, subset="train", path=None, return_X_y=False, as_frame=False) -> Any:
    """Load Fashion-MNIST: articles of clothing (classification).

    70000 grey images of 28 x 28 pixels, 0 (background) to 255, of ten kinds of clothing;
    60000 to train on and 10000 to test on, with the layout of MNIST.

    Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", arXiv:1708.07747, 2017.
    Licence: MIT, Zalando SE.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The rows to train on, those to test on, or the first followed by the second.
    path : str or Path, default=None
        A local ``.npz`` file with the arrays ``x_train``, ``y_train``, ``x_test`` and
        ``y_test``. None means Keras's download, which it keeps in its cache.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        As :func:`fetch_mnist` returns; ``target_names`` are those of the clothes.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError
        As :func:`fetch_mnist` raises.
    """
    clothes = "T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot"
    cache = (
        "Keras also takes its four original files from the folder datasets/fashion-mnist in its home "
        "(KERAS_HOME, by default ~/.keras)."
    )
    form = return_X_y, as_frame
    return _fetch_images(fetch_fashion_mnist, clothes.split(", "), cache, subset, path, form)


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


@validate_params(_FETCH, prefer_skip_nested_validation=True)
def fetch_bike_sharing(*, path=None, return_X_y=False, as_frame=False) -> Any:
    """Load bike sharing: bicycles rented in Washington, D.C., in 2011 and 2012 (regression).

    17379 hours or 731 days in the order of time. Features, under the names of the UCI repository: season (1
    to 4, spring to winter), yr (0 is 2011), mnth (1 to 12), hr (0 to 23), holiday (0 or 1), weekday (0 is
    Sunday), workingday (0 or 1), weathersit (1 clear, 2 misty, 3 rain, 4 heavy rain), temp and atemp
    (temperature and felt temperature), hum (humidity) and windspeed. Days have no hr. Target: cnt, the number
    of bicycles rented, 1 to 977 in an hour, 22 to 8714 in a day. The counts of casual and registered riders,
    which add up to the target, are left out.

    The scale of temp, atemp, hum and windspeed is that of the source: the UCI repository's file has them
    divided by their greatest values, another source may have degrees. Scale them before training.

    Source: H. Fanaee-T and J. Gama, "Event labeling combining ensemble detectors and
    background knowledge", Progress in Artificial Intelligence 2, 2014.
    Licence: Creative Commons Attribution 4.0 (CC BY 4.0), as the UCI repository gives it.

    Parameters
    ----------
    path : str or Path, default=None
        A local CSV file in the layout of the UCI repository's ``hour.csv`` or ``day.csv``. None means
        OpenML's "Bike_Sharing_Demand", version 2, which has hours and which scikit-learn keeps in its cache.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        data : float64 of shape (n_samples, 12), or 11 for days; target : float64 of shape
        (n_samples,); frame : DataFrame of both, or None; feature_names, target_names :
        list of str; DESCR : str.

    Raises
    ------
    FileNotFoundError, ValueError, ConnectionError
        If ``path`` is no file, lacks a column or has cells that are no numbers, or the download fails; says
        which file to put where.

    Examples
    --------
    >>> from skdl.datasets import fetch_bike_sharing
    >>> X, y = fetch_bike_sharing(return_X_y=True, as_frame=True)  # doctest: +SKIP
    >>> X[["temp", "atemp", "hum", "windspeed"]].shape  # doctest: +SKIP
    (17379, 4)
    """
    wanted = f"a CSV file with the columns {', '.join(_BIKE_COLUMNS)} (hr in a file of hours)"
    table = _table(path, wanted, "fetch_bike_sharing", name="Bike_Sharing_Demand", version=2)
    if path is None:
        table = table.rename(columns=_BIKE_OPENML_NAMES)
        for column, codes in _BIKE_OPENML_LABELS.items():
            table[column] = table[column].astype(str).map(codes)
    columns = [column for column in _BIKE_COLUMNS if column != "hr" or column in table]
    table = _columns(table, columns, path, wanted).astype(np.float64)
    data, target, form = table[columns[:-1]].to_numpy(), table["cnt"].to_numpy(), (return_X_y, as_frame)
    return _bunch(fetch_bike_sharing, data, target, columns[:-1], ["cnt"], "cnt", form)


@validate_params({**_FETCH, "errors": [StrOptions({"raise", "ignore"})]}, prefer_skip_nested_validation=True)
def fetch_secom(*, path=None, return_X_y=False, as_frame=False, errors="raise") -> Any:
    """Load SECOM: sensors of a semiconductor line, and whether the product failed (classification).

    Features s0 to s589: measurements of anonymous sensors, with missing values. Target: -1
    for a product that passed its test, 1 for one that failed. The UCI repository's table
    has 1567 rows, 104 of them failures, and 4.5 % of the measurements missing.

    Source: M. McCann and A. Johnston, "SECOM", UCI Machine Learning Repository, 2008.
    Licence: Creative Commons Attribution 4.0 (CC BY 4.0), as the UCI repository gives it.

    Parameters
    ----------
    path : str or Path, default=None
        A local CSV file with a header, a column for each sensor and one for the label,
        -1 or 1, which is called "Pass/Fail" or "y". Columns "Time" and "orig_row" are left
        out. None means OpenML's data set 43587, which scikit-learn keeps in its cache.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.
    errors : {"raise", "ignore"}, default="raise"
        What to do with a sensor's cells that are no numbers: raise an error, or leave the
        columns as they are, for which ``data`` must be a DataFrame.

    Returns
    -------
    Bunch
        data : float64 of shape (n_samples, 590); target : int64 of shape (n_samples,), -1 or
        1; frame : DataFrame of both, or None; feature_names : list of str, "s0" to "s589";
        target_names : ["pass", "fail"], the meaning of the sorted labels; DESCR : str.

    Raises
    ------
    FileNotFoundError, ConnectionError
        If ``path`` is no file, or the download fails; says which file to put where.
    ValueError
        If the label is missing or has other values than -1 and 1, a sensor's cells are no numbers, or
        ``errors="ignore"`` is given without ``as_frame=True``.

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
    table = _table(path, wanted, "fetch_secom", data_id=43587)
    label = "y" if "y" in table else "Pass/Fail"
    target = _labels(_columns(table, [label], path, wanted)[label], [-1, 1], wanted)
    data = table.drop(columns=[label, "orig_row", "Time"], errors="ignore")
    if errors == "raise":
        data = _columns(data, list(data), path, wanted).astype(np.float64)
    names = [f"s{sensor}" for sensor in range(data.shape[1])]
    data = data.set_axis(names, axis="columns") if as_frame else data.to_numpy()
    return _bunch(fetch_secom, data, target, names, ["pass", "fail"], "y", (return_X_y, as_frame))


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        **_FORM,
    },
    prefer_skip_nested_validation=True,
)
def make_credit_default(
    n_samples=2000, *, noise=0.5, random_state=None, return_X_y=False, as_frame=False
) -> Any:
    """Make a synthetic table of loans and whether they were paid back (classification).

    Features: income (a year, 20000 to 70000), age (years, 18 to 64) and loan (in the unit
    of the income, up to a fifth of it). Target: 1 where the loan was not paid back.

    With u, v, w drawn uniformly from [0, 1)::

        income = 20000 + 50000 u
        age = 18 + 46 v
        ratio = 0.2 w, loan = ratio * income
        P(default = 1) = expit((35 - age) / noise) * expit((ratio - 0.12) / (0.005 noise))

    Without noise, those younger than 35 default who owe more than 12 % of their income:
    about 15 % of the rows. No single column determines it, and it is not a linear function of them.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of loans.
    noise : float, default=0.5
        How far, in years of age, the step between paying back and defaulting is
        blurred; 0 makes the default a certain function of the features.
    random_state : int, RandomState instance or None, default=None
        Seeds the drawing; an int makes the table repeatable.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        data : float64 of shape (n_samples, 3); target : int64 of shape (n_samples,); frame :
        DataFrame of both, or None; feature_names : ["income", "age", "loan"]; target_names :
        ["paid", "default"]; DESCR : str.

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
    data = np.column_stack([income, age, ratio * income])
    return _loans(make_credit_default, data, target.astype(np.int64), (return_X_y, as_frame))


def _loans(loader, data, target, form):
    return _bunch(loader, data, target, ["income", "age", "loan"], ["paid", "default"], "default", form)


@validate_params(_LOAD, prefer_skip_nested_validation=True)
def load_credit_default(path, *, return_X_y=False, as_frame=False) -> Any:
    """Read a table of loans and whether they were paid back (classification).

    Features: income (a year), age (years) and loan. Target: 1 where the loan was not paid back.

    Parameters
    ----------
    path : str or Path
        A CSV file with the columns income, age, loan, and default or default10yr (0 or 1).
        Other columns, such as clientid and LTI, are left out.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        As :func:`make_credit_default` returns; the target is called "default". Missing values are NaN.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``path`` is no file, or a column is missing, has cells that are no numbers, or is a target with
        other values than 0 and 1.
    """
    wanted = "a CSV file with the columns income, age, loan, and default or default10yr (0 or 1)"
    table = _table(path, wanted)
    label = "default10yr" if "default10yr" in table else "default"
    table = _columns(table, ["income", "age", "loan", label], path, wanted)
    data = table.drop(columns=label).to_numpy(dtype=np.float64)
    return _loans(load_credit_default, data, _labels(table[label], [0, 1], wanted), (return_X_y, as_frame))


@validate_params(_LOAD, prefer_skip_nested_validation=True)
def load_blood_fat(path, *, return_X_y=False, as_frame=False) -> Any:
    """Read age, weight and the fat in the blood of 25 people (regression).

    Features: weight (kilograms) and age (years). Target: blood fat.

    Source: H. Spaeth, "Mathematical Algorithms for Linear Regression", Academic Press, 1991; the
    file x09.txt of J. Burkardt's collection of regression data.

    Parameters
    ----------
    path : str or Path
        The file ``x09.txt`` with or without its header: rows of five numbers, separated by
        spaces: index, one, weight (kilograms), age (years), blood fat. Lines before the
        first row of five numbers, empty lines and those that begin with ``#`` are left out.
    return_X_y, as_frame : bool, default=False
        Return ``(data, target)`` instead of a Bunch; ``data`` as a DataFrame and ``target`` as a Series.

    Returns
    -------
    Bunch
        data : float64 of shape (n_samples, 2), weight and age; target : float64 of shape
        (n_samples,); frame : DataFrame of both, or None; feature_names, target_names : list
        of str; DESCR : str.

    Raises
    ------
    FileNotFoundError, ValueError
        If ``path`` is no file, there is no row of five numbers, or one of another kind behind it.
    """
    wanted = "a text file with rows of 5 numbers: index, one, weight, age, blood fat"
    lines = _existing(path, wanted).read_text().splitlines()
    is_row = re.compile(r"\s*[-+.\d]+(\s+[-+.\d]+){4}\s*").fullmatch
    rows = list(itertools.dropwhile(lambda line: not is_row(line), lines))
    if not rows:
        raise ValueError(f"path={str(path)!r} has no row of 5 numbers. Give the place of {wanted}.")
    try:
        table = np.loadtxt(rows, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"path={str(path)!r} has a row that is none of 5 numbers: {error}. Give the place of {wanted}."
        ) from error
    data, target = table[:, [2, 3]], table[:, 4]
    return _bunch(load_blood_fat, data, target, ["weight", "age"], ["fat"], "fat", (return_X_y, as_frame))
