"""Parameters, results and errors that all loaders share."""

from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

CONSTRAINTS = {"path": [str, Path, None], "return_X_y": ["boolean"], "as_frame": ["boolean"]}


def existing(path, wanted):
    """Return the path of a file, or raise an error that says which file is wanted."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is not a file. Give the place of {wanted}.")
    return path


def require(table, columns, path, wanted):
    """Refuse a table from a file without certain columns."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(
            f"path={str(path)!r} lacks the {'column' if len(missing) == 1 else 'columns'} "
            f"{', '.join(map(repr, missing))}; it has {_listed(table.columns)}. Give the place of {wanted}."
        )


def _listed(names, most=12):
    listed = ", ".join(map(repr, names[:most]))
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"


def read_csv(path, wanted):
    """Read a table with a header, whose names may have spaces around them."""
    table = pd.read_csv(existing(path, wanted), low_memory=False)
    return table.rename(columns=str.strip)


def numbers(table, name):
    """Return the table with all its cells as numbers."""
    try:
        return table.apply(pd.to_numeric)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} has a column with cells that are no numbers: {error}.") from error


def no_download(name, error, wanted, call, cache):
    """Return the error of a failed download: its cause, and the file to get instead."""
    return ConnectionError(
        f"{name} could not be downloaded: {error}. Without a network, get {wanted} from elsewhere and give "
        f"its place: {call}. {cache}"
    )


def bunch(data, target, feature_names, target_names, target_name, descr, *, return_X_y, as_frame, **more):
    """Return a Bunch as the loaders of scikit-learn do, or data and target."""
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
        DESCR=descr,
        **more,
    )
