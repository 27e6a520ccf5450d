"""The settings of one call of ``fit``, from parameters and arguments."""

import time
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any

from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length

from skdl._training._rows import Holdout
from skdl._typing import FitArguments

# Arguments of ``keras.Model.fit`` that estimators hand on. They have ``class_weight`` of their own.
FIT_PARAMS = frozenset(FitArguments.__annotations__) - {"class_weight"}
_OWN_PARAMS = (
    *("epochs", "batch_size", "validation_batch_size", "shuffle", "verbose", "engine", "class_weight"),
    *("validation_split", "early_stopping", "n_iter_no_change", "scoring"),
)


@dataclass(frozen=True)
class Plan:
    """The settings of one training."""

    epochs: int
    initial_epoch: int = 0
    batch_size: int | None = None  # -1 means all rows, also below
    validation_batch_size: int | None = None
    shuffle: bool = True
    verbose: Any = 0
    engine: str = "auto"
    class_weight: Any = None
    callbacks: list = field(default_factory=list)  # of Keras
    patience: int | None = None  # epochs without improvement; None for no early stopping
    scoring: Any = "loss"
    holdout: Holdout | None = None  # None where validation rows are given, or not wanted
    fit_args: dict = field(default_factory=dict)  # further arguments of ``keras.Model.fit``
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, settings, *, callbacks, rows_given, draw_seed):
        """Return the plan of a call; refuse early stopping without validation rows."""
        early_stopping = settings["early_stopping"]
        holdout = None if rows_given else Holdout.of(settings, draw_seed)
        if early_stopping and not rows_given and holdout is None:
            raise ValueError(
                "early_stopping=True needs validation rows, but validation_split=0 holds none out: "
                "give X_val and y_val to fit, or a validation_split between 0 and 1."
            )
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

        ``strata`` returns labels for a stratified split, or None, for a target.
        """
        rows = rows.checked_weight()
        used = rows.used()
        if self.holdout is None:
            return rows.take(used).in_memory_where_small(), None
        y = rows.y if rows.y is None or len(used) == rows.n else rows.y[used]
        if groups is not None:
            check_consistent_length(rows.y, groups)
            groups = _safe_indexing(groups, used)
        train, held_out = self.holdout.split(len(used), y, strata=strata(y), groups=groups)
        return rows.take(used[train]).in_memory_where_small(), rows.take(used[held_out])

    def batch_sizes(self, n):
        """Return the rows of a step of training and of validation, for ``n`` rows to train on."""
        training = n if self.batch_size == -1 else self.batch_size or 32
        validation = n if self.validation_batch_size == -1 else self.validation_batch_size or training
        return training, validation

    @property
    def epoch_numbers(self):
        """The numbers of the epochs to train, a range."""
        return range(self.initial_epoch, self.initial_epoch + self.epochs)

    def validates(self, index):
        """Return whether Keras validates after the ``index``-th epoch of this training."""
        every, epoch = self.fit_args.get("validation_freq", 1), self.initial_epoch + index + 1
        return epoch % every == 0 if isinstance(every, Integral) else epoch in every


def fit_settings(params, routed, call):
    """Return the settings of a training; arguments of the call have precedence over parameters."""
    own = {name: params[name] for name in _OWN_PARAMS if name in params}
    return {**own, **{name: value for name, value in routed.items() if name in FIT_PARAMS}, **call}
