"""Files of estimators that run no code when they are loaded: `save` and `load`."""

import hashlib
import importlib
import json
import os
import tempfile
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile

import sklearn.callback
import sklearn.model_selection
import skops.io
from imblearn.base import SamplerMixin
from sklearn.base import BaseEstimator, clone

from skdl._backend import keras
from skdl._persistence._copies import functions_and_classes
from skdl._persistence._packed import check_importable, rebuilt
from skdl._warnings import warn

_MAGIC = b"skdl 2\n"
# What fitted searches, ensembles and calibrated classifiers hold besides.
_OTHERS = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.utils._bunch.Bunch",
)
_PACKAGES = ("skdl", "scikit-learn", "imbalanced-learn", "keras", "tensorflow", "numpy", "skops")


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Save an estimator in a file that can be loaded without running code from it.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted or not. Parts of scikit-learn are written by skops [1]_, networks in Keras's own
        format [2]_ with their weights, the states of optimizer and seed generators. Samplers are
        saved as if not fitted: they act in `fit` alone, and keep rows of the training data.
    path : str or path-like
        File to write. It is replaced as a whole once all is written.

    Raises
    ------
    TypeError, ValueError
        If something can't be restored without code: a lambda, a function or class defined in a
        function, a layer without ``get_config``. Use ``pickle`` or ``joblib`` for these.

    Warns
    -----
    UserWarning
        If a network was quantized, or layers were frozen or thawed, after its training: the state of
        its optimizer is left out.

    See Also
    --------
    load : Load the file.

    References
    ----------
    .. [1] `skops.io <https://skops.readthedocs.io/en/stable/persistence.html>`_
    .. [2] `keras.saving <https://keras.io/api/models/model_saving_apis/>`_

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import skdl
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = skdl.DNNClassifier((8,), epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skdl.save(clf, pathlib.Path(folder, "clf.skdl"))
    ...     loaded = skdl.load(pathlib.Path(folder, "clf.skdl"))
    >>> bool((loaded.predict_proba(X) == clf.predict_proba(X)).all())
    True
    """
    for value in functions_and_classes(estimator):
        check_importable(value)
    payload = skops.io.dumps(_without_rows(estimator), compression=ZIP_DEFLATED, compresslevel=1)
    header = json.dumps({"versions": {name: version(name) for name in _PACKAGES}}).encode()
    body = header + b"\n" + payload
    digest = hashlib.sha256(body).hexdigest().encode()
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        beside = Path(folder, path.name)
        with open(beside, "wb") as file:
            file.write(_MAGIC + digest + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def load(path: str | os.PathLike[str], trusted: Collection[Any] = ()) -> Any:
    """Load what `save` wrote, running no code from the file.

    Parameters
    ----------
    path : str or path-like
    trusted : list of str or type, default=()
        Classes and functions besides those of skdl, scikit-learn, imbalanced-learn, NumPy and
        Keras, such as your own layers, losses and builders, or their names: ``"module.name"``.
        They must be importable. Name only what you know: their code runs.

    Returns
    -------
    estimator
        As it was saved.

    Raises
    ------
    ValueError
        If the file is no such file or is damaged, or needs a class or function that is not
        trusted. The message lists what is needed.

    Warns
    -----
    UserWarning
        If it was saved with other versions of the packages.

    See Also
    --------
    save : Write the file; with an example.

    Notes
    -----
    The checksum detects damage. It does not authenticate the author of the file.
    """
    if isinstance(trusted, str):
        raise TypeError(f"trusted must be a list of names or types; got the string {trusted!r}.")
    payload = _read(Path(path))
    names = [each if isinstance(each, str) else f"{each.__module__}.{each.__name__}" for each in trusted]
    trusted = {*_OTHERS, *names}
    try:
        needed = set(skops.io.get_untrusted_types(data=payload)) - trusted
    except BadZipFile as error:
        raise ValueError(f"{path} holds no estimator that skdl.save wrote: {error}") from error
    own = set(filter(_is_own, needed))
    if needed - own:
        raise ValueError(
            f"{path} needs classes or functions that are not trusted: {sorted(needed - own)}. If you know "
            "them, and where the file comes from, name them: trusted=[...]."
        )
    return skops.io.loads(payload, trusted=sorted(trusted | own))


def _without_rows(estimator):
    """Replace fitted samplers in an estimator by unfitted ones, and leave the estimator as it is."""
    seen = {}

    def replaced(value):
        kind = type(value)
        is_made_of_attributes = kind.__new__ is object.__new__ and (
            kind.__getstate__ in (BaseEstimator.__getstate__, object.__getstate__)
        )
        if id(value) in seen:
            return seen[id(value)]
        if isinstance(value, SamplerMixin):
            seen[id(value)] = clone(value)
        elif is_made_of_attributes and (
            isinstance(value, BaseEstimator) or kind.__module__.startswith("sklearn.metrics._scorer")
        ):
            seen[id(value)] = again = object.__new__(kind)
            vars(again).update(rebuilt(vars(value), replaced))
        return seen.get(id(value), value)

    return rebuilt(estimator, replaced)


def _read(path):
    """Return the payload of a file, after its checksum and the versions are compared."""
    data = path.read_bytes()
    start = len(_MAGIC) + 64 + 1  # behind a digest and the end of its line
    if not data.startswith(_MAGIC) or data[start - 1 : start] != b"\n":
        raise ValueError(f"{path} is not a file of skdl.save in this version, or its beginning is damaged.")
    body = data[start:]
    if hashlib.sha256(body).hexdigest().encode() != data[len(_MAGIC) : start - 1]:
        raise ValueError(f"{path} is damaged: its checksum does not match. Copy or save it again.")
    header, _, payload = body.partition(b"\n")
    saved = json.loads(header)["versions"]
    here = {name: version(name) for name in _PACKAGES}
    differ = [f"{n} {saved.get(n)} (here {here[n]})" for n in _PACKAGES if saved.get(n) != here[n]]
    if differ:
        warn(
            f"{path} was saved with other versions: {', '.join(differ)}. Predictions may differ; compare "
            "some with known ones, or install these versions.",
        )
    return payload


def _is_own(name):
    """Return whether a name is that of a class whose objects run no code of others when they are made."""
    module, _, name = name.rpartition(".")
    package = module.partition(".")[0]
    if package not in ("imblearn", "keras", "scikeras", "skdl", "sklearn"):
        return False
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):  # of another release: skops says what is missing
        return False
    if not isinstance(cls, type):
        return False
    if package == "keras":
        public = [keras.callbacks, keras.optimizers.schedules]
    elif package == "skdl" or issubclass(cls, BaseEstimator):
        return True
    else:
        public = [sklearn.model_selection if hasattr(cls, "get_n_splits") else sklearn.callback]
    return any(cls is each for module in public for each in vars(module).values())
