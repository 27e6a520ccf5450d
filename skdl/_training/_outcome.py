"""What the epochs of a training teach."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Outcome:
    """What a training leaves besides the weights.

    Parameters
    ----------
    engine : {"numpy", "compiled", "keras"}
        What trained.
    reason : str or None
        Why ``keras.Model.fit`` trained.
    history : dict of str to list of float
        Without entries for epochs that were not validated.
    epochs : list of int
        Numbers of the epochs that were trained.
    interrupted : bool
        Whether an interrupt from the keyboard ended it.
    """

    engine: str
    reason: str | None = None
    history: dict = field(default_factory=dict)
    epochs: list = field(default_factory=list)
    interrupted: bool = False

    def add(self, epoch, logs):
        """Record an epoch."""
        self.epochs.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)


def learnt_from(history, before, validates, watched="loss", greater_is_better=False):
    """Return the attributes that tell of the epochs.

    Parameters
    ----------
    history : dict of str to list of float
        Of the epochs trained now, as Keras records it: without entries for epochs that
        were not validated.
    before : dict of str to list of float
        Of the epochs that they continue.
    validates : callable
        From the number of an epoch, counted from 0 in this training, to whether it was
        validated.
    watched : str, default="loss"
        Name of what decides which epoch is the best, by its values for validation rows.
    greater_is_better : bool, default=False

    Returns
    -------
    dict
        ``history_``, ``n_iter_`` and ``best_epoch_``: the epoch that is best by what is
        watched; by the training loss where there are no validation rows. An epoch whose loss
        is not finite is never the best. All lists have one length, with NaN at epochs
        without a value.

    Raises
    ------
    ValueError
        If what is watched is not there, or has several values.
    """
    n_before, n_now = (max(map(len, each.values()), default=0) for each in (before, history))
    history = {
        name: [
            *before.get(name, [np.nan] * n_before),
            *_by_epoch(history.get(name, []), n_now, validates),
        ]
        for name in {**before, **history}
    }
    check_watched(f"val_{watched}", {name: values[-1] for name, values in history.items()})
    values = history.get(f"val_{watched}")
    if values is None:
        values, greater_is_better = history.get("loss") or [np.nan], False
    losses = -np.asarray(values) if greater_is_better else np.asarray(values)
    finite = np.where(np.isfinite(losses), losses, np.inf)
    for name in ("loss", "val_loss"):
        if name in history:
            finite[~np.isfinite(history[name])] = np.inf
    return {
        "history_": history,
        "n_iter_": max(map(len, history.values()), default=0),
        "best_epoch_": int(np.argmin(finite)),
    }


def check_watched(name, logs):
    """Refuse what decides on the best epoch, where an epoch was validated and has no one value of it.

    Parameters
    ----------
    name : str
        As "val_accuracy".
    logs : dict of str to float or ndarray
    """
    scoring = name.removeprefix("val_")
    if "val_loss" in logs and name not in logs:
        known = sorted(each.removeprefix("val_") for each in logs if each.startswith("val_"))
        raise ValueError(f"scoring={scoring!r} is not in the history, which has {known} of validation rows.")
    if np.ndim(logs.get(name)):
        raise ValueError(several_values(scoring))


def several_values(scoring):
    """Say that a metric can't decide which epoch is the best."""
    return f"scoring={scoring!r} has several values, such as one for each class; one number is wanted."


def _by_epoch(values, n_epochs, validates):
    """Put each value at its epoch."""
    if len(values) == n_epochs:
        return values
    remaining = iter(values)
    return [next(remaining, np.nan) if validates(epoch) else np.nan for epoch in range(n_epochs)]


def divergence(model, history):
    """Tell in words how the weights of a model came to be no numbers; "" where they are numbers.

    Parameters
    ----------
    model : keras.Model
    history : dict of str to list of float

    Returns
    -------
    str
    """
    weights = (np.asarray(weight) for weight in model.get_weights())
    if all(np.isfinite(weight).all() for weight in weights if weight.dtype.kind in "fV"):
        return ""
    losses = history.get("loss", [])
    epoch = next((epoch for epoch, loss in enumerate(losses) if not np.isfinite(loss)), None)
    since = "" if epoch is None else f" (the loss is {losses[epoch]} from epoch {epoch} on)"
    return f"The training diverged: the network's weights are no longer finite{since}. {_ADVICE}"


def late_divergence(history, best_epoch):
    """Tell in words that a training diverged whose best weights are kept; "" where it did not.

    Parameters
    ----------
    history : dict of str to list of float
    best_epoch : int

    Returns
    -------
    str
    """
    last = {name: history[name][-1] for name in ("loss", "val_loss") if history.get(name)}
    ends = [f"{name} is {value}" for name, value in last.items() if not np.isfinite(value)]
    if not ends:
        return ""
    return (
        f"The training diverged: {' and '.join(ends)} at its end. The weights of epoch {best_epoch} are "
        f"kept, the best one. {_ADVICE}"
    )


_ADVICE = "Lower the learning rate, scale the features, or clip the gradients (optimizer__clipnorm=1.0)."
