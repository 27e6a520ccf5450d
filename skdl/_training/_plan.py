"""The settings and the rows of one call of ``fit``, and how the rows are divided."""

import copy
import math
import time
from dataclasses import dataclass, field, fields, replace
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.extmath import _approximate_mode
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from skdl._arrays import LargeRows, in_memory_where_small, large_rows, n_rows, rows_of, without_lists
from skdl._typing import FitArguments
from skdl._warnings import warn

# Arguments of ``keras.Model.fit`` that estimators pass on; their parameter ``class_weight`` is not Keras's.
FIT_PARAMS = frozenset(FitArguments.__annotations__) - {"class_weight"}
# Parameters of estimators that are settings of a training.
TRAINING_PARAMS = (
    *("epochs", "batch_size", "validation_batch_size", "shuffle", "verbose", "engine", "class_weight"),
    *("validation_split", "early_stopping", "n_iter_no_change", "scoring"),
)
VALIDATION_PARAMS = ("X_val", "y_val", "sample_weight_val")
# Share of the rows for early stopping where validation_split=None, as in scikit-learn.
_EARLY_STOPPING_SHARE = 0.1


@dataclass(frozen=True)
class Rows:
    """Rows of features, target and weights; methods return new ones."""

    X: Any  # array, sparse matrix, or nested lists or dicts of them
    y: Any = None
    weight: np.ndarray | None = None
    # Ascending positions in the user's data, perhaps with repetitions; None for all rows.
    positions: np.ndarray | None = None

    @property
    def n(self):
        """Number of rows."""
        return n_rows(self.X)

    def take(self, index):
        """Return the rows at ascending positions, without a copy where ``index`` is None or all rows."""
        if index is None or (len(index) == self.n and np.array_equal(index, np.arange(self.n))):
            return self
        return Rows(
            rows_at(self.X, index),
            rows_at(self.y, index),
            None if self.weight is None else self.weight[index],
            index if self.positions is None else self.positions[index],
        )

    def checked_weight(self):
        """Return the rows with their weights as float64; raise ValueError where weights are not valid."""
        if self.weight is None:
            return self
        weight = _check_sample_weight(
            self.weight, self.X, dtype=np.float64, ensure_non_negative=True, ensure_same_device=False
        )
        return replace(self, weight=weight)

    def used_positions(self):
        """Return the positions of the rows whose weight is not zero, or None for all rows."""
        return None if self.weight is None or self.weight.all() else np.flatnonzero(self.weight)

    def weighted(self, factors):
        """Return the rows with their weights multiplied by factors."""
        return replace(self, weight=factors if self.weight is None else factors * self.weight)

    def with_mean_weight_one(self):
        """Return the rows with weights of mean one; refuse weights that are all zero.

        Keras divides the weighted loss by the number of rows. With a mean of one a weight of two equals the
        same row given twice, as in scikit-learn.
        """
        if self.weight is None:
            return self
        if not self.weight.any():
            raise ValueError(
                f"There is nothing to learn from: sample_weight times class_weight is 0 for each of the "
                f"{self.n} rows to train on. Skip this call of fit or partial_fit, or give it rows of a "
                "class whose weight is not 0."
            )
        # Divided by the largest first: the sum of very large weights is inf, that of very small ones 0.
        weight = self.weight / self.weight.max()
        return replace(self, weight=weight * (len(weight) / weight.sum()))

    def encode(self, feature_encoder, target):
        """Return the rows with features and target as the model takes them."""
        x, y = encoded(feature_encoder, self.X), target.encode(self.y)
        return replace(self, X=without_lists(x), y=without_lists(y))


def rows_at(data, index):
    """Return rows of data of the user at ascending positions, or all where ``index`` is None.

    The data may be None, or a dict or a list of several inputs: a list of fewer items than rows holds the
    inputs of a model. Large data are not read.
    """
    if data is None or index is None:
        return data
    if isinstance(data, dict):
        return {name: rows_at(each, index) for name, each in data.items()}
    if isinstance(data, list | tuple) and len(data) <= index[-1]:
        return [rows_at(each, index) for each in data]
    data = large_rows(data)
    if isinstance(data, LargeRows):
        return data.take(index)
    if isinstance(data, np.ndarray):
        return rows_of(data, index)
    return _safe_indexing(data.tocsr() if scipy.sparse.issparse(data) else data, index)


def encoded(encoder, X):
    """Return the features that a fitted encoder makes: arrays, whatever ``transform_output`` is set to."""
    if type(encoder) is FunctionTransformer and encoder.func is None and not encoder.validate:
        return X  # `transform` returns X too, in ten times the time
    with config_context(transform_output="default"):
        return encoder.transform(X)


@dataclass(frozen=True)
class Holdout:
    """The choice of validation rows among the rows of `fit`."""

    validation_split: Any  # share of the rows, or a splitter whose last split is taken
    seed: int  # of the shuffle, and of a splitter whose ``random_state`` is None

    @classmethod
    def of(cls, settings, draw_seed):
        """Return the holdout for ``validation_split`` and ``early_stopping``, or None; draw its seed."""
        split = settings["validation_split"]
        if split is None:
            split = _EARLY_STOPPING_SHARE if settings["early_stopping"] else 0
        return cls(split, draw_seed()) if hasattr(split, "split") or split else None

    def split(self, n, y=None, *, strata=None, groups=None):
        """Return the ascending positions of training and of validation rows among ``n`` rows.

        ``strata`` are labels for a stratified split of a share, ``y`` and ``groups`` are for a splitter.
        """
        if hasattr(self.validation_split, "split"):
            train, held_out = self._split_by_splitter(n, y, groups)
        else:
            if groups is not None:
                warn(
                    f"groups has no effect: validation_split={self.validation_split} is no splitter. Groups "
                    "are kept together by validation_split=GroupShuffleSplit(1, test_size=0.2).",
                )
            train, held_out = self._split_by_share(n, strata)
        return np.sort(train), np.sort(held_out)

    def _split_by_share(self, n, strata):
        """Return the rows that ``train_test_split`` returns, which is slower: it makes lists of numbers."""
        share, rng = self.validation_split, check_random_state(self.seed)
        n_held_out = math.ceil(share * n)
        labels, counts, rows_of_label = [None], np.array([n]), [np.arange(n)]
        if strata is not None:
            labels, counts = np.unique(strata, return_counts=True)
            codes = np.searchsorted(labels, strata).astype(np.int32)
            rows_of_label = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
        n_before = np.zeros_like(counts)  # rows of each label that come before those drawn, in random order
        if n_held_out == n or len(labels) == n:
            raise ValueError(
                f"validation_split={share} can't hold out rows of each label from {n}. Change "
                "validation_split, or give X_val and y_val to fit."
            )
        if strata is None:
            n_drawn = [n_held_out]
        elif counts.min() > 1 and len(labels) <= min(n_held_out, n - n_held_out):
            n_before = _approximate_mode(counts, n - n_held_out, rng)
            n_drawn = _approximate_mode(counts - n_before, n_held_out, rng)
        else:
            n_held_out = min(n_held_out, n - len(labels))
            n_drawn = _approximate_mode(counts - 1, n_held_out, rng)
            warn(
                f"validation_split={share} holds out {n_held_out} of {n} rows, none of the labels "
                f"{labels[n_drawn == 0].tolist()}: each label keeps a row to train on, and there are too few "
                "rows for all labels. Enlarge validation_split, or give X_val and y_val to fit.",
            )
        is_held_out = np.zeros(n, bool)
        for rows, start, drawn in zip(rows_of_label, n_before, n_drawn, strict=True):
            is_held_out[rng.permutation(rows)[start : start + drawn]] = True
        return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

    def _split_by_splitter(self, n, y, groups):
        splitter = copy.copy(self.validation_split)
        if getattr(splitter, "random_state", self.seed) is None:
            splitter.random_state = self.seed
        name = type(splitter).__name__
        try:
            *_, (train, held_out) = splitter.split(np.zeros((n, 1)), y, groups)
        except (TypeError, ValueError) as error:
            hint = "" if groups is not None else " Groups are given as fit(X, y, groups=groups)."
            raise ValueError(f"validation_split={name} can't divide {n} rows: {error}{hint}") from error
        train, held_out = (_positions(part, n, name) for part in (train, held_out))
        if not (len(train) and len(held_out)) or len(np.intersect1d(train, held_out)):
            raise ValueError(
                f"validation_split={name} gives {len(train)} rows to train on and {len(held_out)} to "
                "validate on; it must give at least one of each, and none of them to both."
            )
        return train, held_out


def _positions(rows, n, splitter):
    """Return the positions that a splitter gives as integers or as a mask of ``n`` rows."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return np.flatnonzero(rows)
    are_integers = rows.dtype.kind in "iu" or not rows.size
    if rows.ndim != 1 or not are_integers or (rows.size and not 0 <= rows.min() <= rows.max() < n):
        raise ValueError(
            f"validation_split={splitter} must give positions from 0 to {n - 1}, or a mask of {n} booleans, "
            f"for the rows of each part; it gives an array of type {rows.dtype} and shape {rows.shape}."
        )
    return rows.astype(np.intp)


def unpack_validation_data(params):
    """Replace Keras's ``validation_data`` by ``X_val``, ``y_val`` and ``sample_weight_val``, in place."""
    data = params.pop("validation_data", None)
    if data is None:
        return
    given = [name for name in VALIDATION_PARAMS if params.get(name) is not None]
    if given:
        raise ValueError(
            f"fit got validation_data and {' and '.join(given)}. Pass either validation_data or "
            "X_val and y_val."
        )
    if not isinstance(data, list | tuple) or len(data) not in (2, 3):
        raise ValueError(
            "validation_data must be a tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), got "
            f"{type(data).__name__}{f' of length {len(data)}' if hasattr(data, '__len__') else ''}."
        )
    params.update(zip(VALIDATION_PARAMS, data, strict=False))


def validation_rows(params):
    """Return the validation rows among the arguments of ``fit``, or None; refuse incomplete ones."""
    unpack_validation_data(params)
    X_val, y_val, sample_weight_val = map(params.get, VALIDATION_PARAMS)
    if (X_val is None) != (y_val is None):
        raise ValueError(
            "X_val and y_val belong together, but only "
            f"{'y_val' if X_val is None else 'X_val'} is given; give both or neither."
        )
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; give all three or none.")
    return None if X_val is None else Rows(X_val, y_val, sample_weight_val)


@dataclass(frozen=True)
class Plan:
    """The settings of one training."""

    epochs: int
    initial_epoch: int = 0
    batch_size: int | None = None  # None and -1 until the number of rows is known, see `for_rows`
    validation_batch_size: int | None = None
    validation_freq: Any = 1  # validate each so many epochs, or after those of a list, counted from 1
    shuffle: bool = True
    verbose: Any = 0
    engine: str = "auto"
    class_weight: Any = None
    callbacks: list = field(default_factory=list)  # of Keras
    patience: int | None = None  # epochs without improvement; None for no early stopping
    scoring: Any = "loss"
    holdout: Holdout | None = None  # None where validation rows are given, or not wanted
    fit_args: dict = field(default_factory=dict)  # further arguments of ``keras.Model.fit``
    started: float = field(default_factory=time.perf_counter)  # for a time limit

    @classmethod
    def of(cls, settings, callbacks, draw_seed, *, rows_given):
        """Return the plan of a call; refuse early stopping without validation rows."""
        early_stopping = settings["early_stopping"]
        holdout = None if rows_given else Holdout.of(settings, draw_seed)
        if early_stopping and not rows_given and holdout is None:
            raise ValueError(
                "early_stopping=True needs validation rows, but validation_split=0 holds none out: "
                "give X_val and y_val to fit, or a validation_split between 0 and 1."
            )
        # A field has the name of the setting, of which some are arguments of ``keras.Model.fit``.
        own = {each.name for each in fields(cls)} - {"callbacks"}
        further = FIT_PARAMS - own - {"callbacks", "validation_data", "validation_split"}
        return cls(
            **{name: value for name, value in settings.items() if name in own},
            callbacks=callbacks,
            patience=settings["n_iter_no_change"] if early_stopping else None,
            holdout=holdout,
            fit_args={name: value for name, value in settings.items() if name in further},
        )

    def split(self, rows, strata, groups=None):
        """Return rows to train on and rows to validate on, or None; leave out rows of weight zero.

        ``strata`` is a function of the target that returns labels for a stratified split, or None.
        """
        rows = rows.checked_weight()
        used = rows.used_positions()
        train, held_out = used, None
        if self.holdout is not None:
            y = rows.y if rows.y is None or used is None else rows.y[used]
            if groups is not None:
                check_consistent_length(rows.y, groups)
                groups = groups if used is None else _safe_indexing(groups, used)
            n = rows.n if used is None else len(used)
            # Positions among the used rows; those among all rows follow, so that rows are copied once.
            parts = self.holdout.split(n, y, strata=strata(y), groups=groups)
            train, held_out = (part if used is None else used[part] for part in parts)
            held_out = rows.take(held_out)
        train = rows.take(train)
        # Rows that are few enough are read into memory, where they are shuffled singly; others by blocks.
        return replace(train, X=in_memory_where_small(train.X)), held_out

    def for_rows(self, n):
        """Return the plan with the rows of each step as numbers, for ``n`` rows to train on."""
        batch_size = n if self.batch_size == -1 else self.batch_size or 32
        of_validation = n if self.validation_batch_size == -1 else self.validation_batch_size or batch_size
        # TensorFlow does not take NumPy's integers for Python's.
        return replace(self, batch_size=int(batch_size), validation_batch_size=int(of_validation))

    @property
    def end(self):
        """The number of the epoch at which the training ends."""
        return self.initial_epoch + self.epochs

    def validates(self, epoch):
        """Return whether to validate after an epoch."""
        every = self.validation_freq
        return (epoch + 1) % every == 0 if isinstance(every, Integral) else epoch + 1 in every
