"""How one call of ``fit`` trains, as far as parameters and arguments say it."""

import time
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any

from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_consistent_length

from skdl._training._rows import Holdout
from skdl._typing import FitArguments

# What ``keras.Model.fit`` takes, less what the estimators give it: weights are a matter of
# the estimators' own ``sample_weight`` and ``class_weight``.
FIT_PARAMS = frozenset(FitArguments.__annotations__) - {"class_weight"}
# What it takes of an estimator's own parameters.
_OWN_PARAMS = (
    *("epochs", "batch_size", "validation_batch_size", "shuffle", "verbose", "engine", "class_weight"),
    *("validation_split", "early_stopping", "n_iter_no_change", "scoring"),
)


@dataclass(frozen=True)
class Plan:
    """How one call of ``fit`` trains.

    Parameters
    ----------
    epochs : int
        Number of epochs to train.
    initial_epoch : int
        Number of the first one.
    batch_size, validation_batch_size : int or None
        Rows of a step; -1 means all rows.
    shuffle : bool
    verbose : {0, 1, 2}
    engine : {"auto", "numpy", "compiled", "keras"}
    class_weight : dict, "balanced", list of dict or None
    callbacks : list of keras.callbacks.Callback
        For this training alone.
    patience : int or None
        Epochs without improvement before training stops; None for no early stopping.
    scoring : str or callable
        What early stopping and ``best_epoch_`` look at.
    holdout : Holdout or None
        Which rows to hold out; None where validation rows are given or not wanted.
    fit_args : dict
        Further arguments of ``keras.Model.fit``.
    started : float
        When the call began, as of ``time.perf_counter``.
    """

    epochs: int
    initial_epoch: int = 0
    batch_size: int | None = None
    validation_batch_size: int | None = None
    shuffle: bool = True
    verbose: Any = 0
    engine: str = "auto"
    class_weight: Any = None
    callbacks: list = field(default_factory=list)
    patience: int | None = None
    scoring: Any = "loss"
    holdout: Holdout | None = None
    fit_args: dict = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def of(cls, settings, *, callbacks, rows_given, draw_seed):
        """Return the plan of a call.

        Parameters
        ----------
        settings : dict
            As of `fit_settings`.
        callbacks : list of keras.callbacks.Callback
        rows_given : bool
            Whether validation rows are given.
        draw_seed : callable
            Returns a seed; called only where rows are held out.

        Returns
        -------
        Plan

        Raises
        ------
        ValueError
            If early stopping has no rows to look at.
        """
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
        """Divide rows into those to train on and those to validate on.

        Parameters
        ----------
        rows : Rows
            Those of weight zero are left out.
        strata : callable
            From a target to the labels that both must have in equal shares, or None.
        groups : array-like with an entry for each row, default=None
            For a splitter.

        Returns
        -------
        tuple of Rows (train, held_out)
            ``held_out`` is None where nothing is held out.
        """
        rows = rows.checked_weight()
        used = rows.used()
        if self.holdout is None:
            return rows.take(used), None
        y = rows.y if rows.y is None or len(used) == rows.n else rows.y[used]
        if groups is not None:
            check_consistent_length(rows.y, groups)
            groups = _safe_indexing(groups, used)
        train, held_out = self.holdout.split(len(used), y, strata=strata(y), groups=groups)
        if len(used) < rows.n:
            train, held_out = used[train], used[held_out]
        del used, y
        return rows.take(train), rows.take(held_out)

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
        """Whether the ``index``-th epoch of this training ends with a validation, as Keras decides it."""
        every, epoch = self.fit_args.get("validation_freq", 1), self.initial_epoch + index + 1
        return epoch % every == 0 if isinstance(every, Integral) else epoch in every


def fit_settings(params, routed, call):
    """Collect what is said about a training; the latter has the last word.

    Parameters
    ----------
    params : dict
        All parameters of an estimator.
    routed : dict
        Those routed to ``fit``, without prefix.
    call : dict
        Arguments of the call of ``fit``.

    Returns
    -------
    dict
    """
    own = {name: params[name] for name in _OWN_PARAMS if name in params}
    return {**own, **{name: value for name, value in routed.items() if name in FIT_PARAMS}, **call}
