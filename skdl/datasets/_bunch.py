"""What all loaders share: their parameters, what they return, how they fail."""

from pathlib import Path

import pandas as pd
from sklearn.utils import Bunch

CONSTRAINTS = {"path": [str, Path, None], "return_X_y": ["boolean"], "as_frame": ["boolean"]}


def existing(path, wanted):
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"path={str(path)!r} is not a file. Give the place of {wanted}.")
    return path


def no_download(name, error, wanted, call, cache):
    # The message carries the cause, since a traceback of urllib says little.
    return ConnectionError(
        f"{name} could not be downloaded: {error}. Without a network, get {wanted} from elsewhere and give "
        f"its place: {call}. {cache}"
    )


def bunch(data, target, feature_names, target_names, target_name, descr, *, return_X_y, as_frame, **more):
    """Return what scikit-learn's own loaders return."""
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
