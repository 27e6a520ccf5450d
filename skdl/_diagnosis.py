"""Diagnosis of a learning curve: findings from the arrays of a history, with advice.

Every threshold is relative to the curve that it judges, with a floor below which a change does not count. A
comment before each constant gives its reason.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

# With fewer epochs a curve has no shape. Short tutorials train for five.
MIN_EPOCHS = 5
# The end is the median of this share of the epochs, and of three where there are nine, so that one odd epoch
# does not decide.
TAIL = 0.1
# Flat: the loss falls by less than this share of the first loss. A network that learns loses a third of it
# and more; one that is stuck moves by its noise.
FLAT = 0.05
# Exploded: in the first fifth of the epochs a loss is ten times as high as one of the next three, and the
# fall after that is slower, since a network that learns quickly goes on falling by powers of ten. Or the loss
# rises to three times the first loss, and goes back. Where the loss of a guess is known, a loss of five times
# that and five times the usual loss after it is enough.
EARLY, EXPLODED, SUDDEN, ABOVE_CHANCE, EXPLODED_RISE = 0.2, 10, 3, 5, 3
# Diverging: the end gives back at least half of the fall, and is above the best by a tenth of the first loss,
# so that noise around a flat curve does not count.
DIVERGED, DIVERGED_FLOOR = 0.5, 0.1
# Jagged: a jump is an epoch whose loss is above the one before by a tenth of it, and by this share of the
# first loss (of the range, where that is less). The second test passes over noise close to zero, where all
# relative changes are large.
JUMP, JUMP_FLOOR = 0.1, 0.04
# A single jump is common. Three jumps, and one in ten epochs, are a finding.
JUMPS, JUMPS_SHARE = 3, 0.1
# Over-fitting: the validation loss ends above its best by this share of it, and by the floor times the first
# loss, so that a rise from 0.01 to 0.02 does not count.
RISE, RISE_FLOOR = 0.1, 0.02
# Gap: the validation loss ends at one and a half times the training loss, and above it by a fifth of the
# first loss. Some gap is normal, since the network has seen the training rows.
GAP, GAP_FLOOR = 0.5, 0.2
# Or it ends at four times the training loss, with a lower floor.
FAR, FAR_FLOOR = 3, 0.05
# Still improving: the last fifth of the epochs lowered the loss by this share of the whole fall, and by this
# share of its height. An exponential decay is past the first after three and a half of its time constants,
# when 97 % of the fall is done.
WINDOW, IMPROVING, IMPROVING_FLOOR = 0.2, 0.05, 0.01
# Or it lowered the loss by this share of its height, by more than noise: a loss close to zero has most of its
# fall behind it, and as many epochs may still halve it. A training loss has less noise, and falls for longer.
FALLING, FALLING_UNVALIDATED, FALLING_FLOOR, NOISES = 0.06, 0.03, 0.005, 3


class Run(NamedTuple):
    """One training: its history, with one number for each epoch, and what the estimator says about it."""

    history: dict
    best_epoch: int | None = None
    stopped_early: bool = False  # so that the weights of the best epoch were kept
    chance: float | None = None  # loss of a guess among equally frequent classes


class Curves(NamedTuple):
    """Numbers of epochs, and their losses."""

    epochs: np.ndarray
    train: np.ndarray
    validation: np.ndarray | None = None

    def part(self, rows):
        """Return the curves of some epochs."""
        return Curves(*(None if array is None else array[rows] for array in self))

    def where_validated(self):
        """Return the curves of the epochs with a validation loss, or None."""
        rows = np.flatnonzero(np.isfinite(self.validation)) if self.validation is not None else ()
        return self.part(rows) if len(rows) else None


def find_run(source):
    """Return the run of a history, of a callback History or of a fitted estimator, see `diagnose`."""
    history = source if isinstance(source, Mapping) else getattr(source, "history", None)
    if isinstance(history, Mapping):
        return Run(_checked(history))
    estimator = _find_trained(source)
    history = _checked(estimator.history_, getattr(estimator, "classes_", ()))
    best = getattr(estimator, "best_epoch_", None)
    stopped = bool(getattr(estimator, "early_stopping", False)) and best is not None
    return Run(history, best, stopped, _chance(estimator))


def _chance(estimator):
    """Return the loss of a guess for a cross-entropy by its name, else None."""
    loss = getattr(estimator, "loss", None)
    if not isinstance(loss, str) or not (loss == "auto" or "crossentropy" in loss):
        return None
    several_labels = str(getattr(estimator, "target_type_", "")).startswith("multilabel")
    n_classes = 2 if several_labels else getattr(estimator, "n_classes_", None)
    return None if n_classes is None else math.log(max(2, n_classes))


def _find_trained(source):
    """Return the estimator with a ``history_`` in a Pipeline, a search or a meta-estimator."""
    inner = source
    while not isinstance(getattr(inner, "history_", None), Mapping):
        outer = inner
        if hasattr(outer, "steps"):
            inner = outer.steps[-1][1] if outer.steps else None
        else:
            names = ("best_estimator_", "regressor_", "estimator_")
            inner = next((getattr(outer, name) for name in names if hasattr(outer, name)), None)
        if inner is None or isinstance(inner, str):
            raise _no_history(source, outer)
    return inner


def _no_history(source, inner):
    name = type(source).__name__
    if hasattr(inner, "cv_results_"):
        return ValueError(
            f"This {name} has no best_estimator_, since it was made with refit={inner.refit!r}; set "
            "refit=True and fit it again, or give one fitted estimator."
        )
    if hasattr(inner, "fit"):
        within = "" if inner is source else f" (in this {name})"
        return NotFittedError(
            f"This {type(inner).__name__}{within} has no history_: it is not fitted yet, or it is no "
            "estimator that trains by epochs. Call fit first, or give a history such as {'loss': [0.7, 0.5]}."
        )
    return TypeError(
        f"Expected a fitted estimator, a Pipeline or a search of one, or a history such as "
        f"{{'loss': [0.7, 0.5, 0.4], 'val_loss': [0.8, 0.6, 0.5]}}, got {name}."
    )


def _checked(history, classes=()):
    if "loss" not in history:
        raise ValueError(
            f"A history needs the key 'loss' with a number for each epoch; it has {list(history)}."
        )
    history = {
        name: [float(value) for value in curve]
        for key, values in history.items()
        for name, curve in _curves(str(key), values, classes)
    }
    n_epochs = len(history["loss"])
    if not n_epochs:
        raise ValueError("The history is empty: train for at least one epoch.")
    lengths = {name: len(values) for name, values in history.items()}
    if any(
        length != n_epochs and not (name.startswith("val_") and 0 < length < n_epochs)
        for name, length in lengths.items()
    ):
        raise ValueError(f"All lists of a history need one length, that of the epochs; given are {lengths}.")
    return {
        name: _by_epoch(values, n_epochs) if name.startswith("val_") else values
        for name, values in history.items()
    }


def _curves(name, values, classes):
    """Return the name and the curve of a metric, or one for each class: "f1_score[setosa]"."""
    width = max(map(np.size, values), default=1)
    if width == 1:
        return [(name, [np.ravel(value)[0] for value in values])]
    # An epoch without validation has one NaN.
    columns = np.stack([np.broadcast_to(np.ravel(value), width) for value in values], axis=1)
    classes = classes if np.size(classes) == width else range(width)
    return [(f"{name}[{each}]", column) for each, column in zip(classes, columns, strict=True)]


def _by_epoch(values, n_epochs):
    """Return a number for each epoch, NaN for those that ``validation_freq`` leaves out."""
    if len(values) == n_epochs:
        return values
    every = n_epochs // len(values)
    if n_epochs // every != len(values):
        raise ValueError(
            f"A history has {n_epochs} epochs and {len(values)} validation losses, which is not one for "
            "each n-th epoch. Give lists of one length, with NaN at the epochs without validation."
        )
    placed = np.full(n_epochs, np.nan)
    placed[every - 1 :: every] = values
    return placed.tolist()


@dataclass(frozen=True)
class Finding:
    """One finding of a learning curve.

    Attributes
    ----------
    code : str
        Its short name, stable between releases.
    title : str
        Its name in a few words.
    detail : str
        The evidence as a sentence; epochs count from 1, as Keras prints them.
    evidence : dict of str to float or int
        The evidence as numbers; epochs count from 0, as ``best_epoch_`` does.
        ``from_epoch`` is where it begins.
    advice : str
        What to try.
    """

    code: str
    title: str
    detail: str
    evidence: dict = field(repr=False)
    advice: str = field(repr=False)

    def __str__(self):
        return f"{self.title} [{self.code}]\n  {self.detail}\n  Try: {self.advice}"


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found in a learning curve.

    Attributes
    ----------
    verdict : str
        The gravest finding's title, or "good fit".
    findings : tuple of Finding
        Gravest first; empty for a good fit.
    n_epochs : int
        Number of epochs of the history.
    validated : bool
        Whether there was a validation loss, which shows over-fitting.

    See Also
    --------
    diagnose : Makes it.
    """

    verdict: str
    findings: tuple
    n_epochs: int
    validated: bool

    @property
    def codes(self) -> list[str]:
        """Codes of the findings, gravest first: list of str."""
        return [finding.code for finding in self.findings]

    def __repr__(self):
        return f"Diagnosis(verdict={self.verdict!r}, codes={self.codes}, n_epochs={self.n_epochs})"

    def __str__(self):
        lines = [f"{self.verdict[0].upper()}{self.verdict[1:]} ({self.n_epochs} epochs)"]
        lines += [f"- {finding}" for finding in self.findings]
        if not self.validated:
            lines.append("There is no validation loss, so over-fitting can't be seen: hold rows out.")
        return "\n".join(lines)


def diagnose(source) -> Diagnosis:
    """Judge a learning curve by the cases of textbooks.

    ==================  ============================================================
    code                what it means
    ==================  ============================================================
    "not-finite"        the loss became NaN or infinite
    "too-short"         fewer than five epochs, too few to judge
    "exploded"          the training loss is far higher in the first epochs than ever after
    "diverging"         the training loss grows instead of falling
    "flat"              the training loss hardly moves from the start
    "jagged"            the training loss jumps up and down
    "overfitting"       the validation loss rises while the training loss falls
    "still-improving"   the loss was still falling when training ended
    "gap"               the validation loss is far above the training loss
    ==================  ============================================================

    The verdict is "good fit" where none of them applies. All thresholds are relative to
    the curve, with floors; the source gives their reasons.

    Parameters
    ----------
    source : fitted estimator, dict or keras.callbacks.History
        A fitted estimator of skdl, a Pipeline that ends with one, a fitted search (its
        best estimator is diagnosed), or a history: for each name, such as "loss" and
        "val_loss", a number for each epoch (validation: for each n-th epoch, or NaN for
        epochs without it). Where an estimator stopped early, over-fitting
        and gap are judged at the epoch whose weights it kept.

    Returns
    -------
    Diagnosis
        ``print`` it to read it.

    Raises
    ------
    TypeError
        If ``source`` is none of these.
    ValueError
        If the history has no loss, no epoch, or lists of different lengths.
    NotFittedError
        If the estimator is not fitted, or does not train by epochs.

    See Also
    --------
    HistoryDisplay : Draws the curve, and the diagnosis with ``annotate=True``.

    References
    ----------
    .. [1] I. Goodfellow, Y. Bengio and A. Courville, "Deep Learning", MIT Press, 2016,
       sections 5.2, 7.8 and 8.2.
    .. [2] L. Prechelt, "Early stopping - but when?", in "Neural Networks: Tricks of the
       Trade", Springer, 1998.

    Examples
    --------
    >>> from skdl import diagnose
    >>> history = {
    ...     "loss": [0.70, 0.50, 0.35, 0.24, 0.16, 0.10, 0.06, 0.04],
    ...     "val_loss": [0.72, 0.58, 0.50, 0.48, 0.50, 0.55, 0.61, 0.68],
    ... }
    >>> diagnose(history)
    Diagnosis(verdict='over-fitting', codes=['overfitting'], n_epochs=8)
    >>> print(diagnose(history))  # doctest: +ELLIPSIS
    Over-fitting (8 epochs)
    - Over-fitting [overfitting]
      From epoch 4 to the end (the median of the last 2 epochs) the validation loss rises from 0.48 to ...
      Try: early_stopping=True or fewer epochs, dropout or l2_regularization, ...
    """
    run = find_run(source)
    n_epochs = len(run.history["loss"])
    validated = "val_loss" in run.history
    losses = (np.asarray(run.history[name]) for name in ("loss", "val_loss") if name in run.history)
    curves = Curves(np.arange(n_epochs), *losses)
    found = _not_finite(curves)
    if found:
        curves = curves.part(slice(found.evidence["from_epoch"]))._replace(validation=None)
    if len(curves.epochs) < MIN_EPOCHS:
        others = [None if found else _too_short(n_epochs)]
    else:
        others = _judge(curves, run, found)
    findings = tuple(finding for finding in [found, *others] if finding is not None)
    verdict = findings[0].title.lower() if findings else "good fit"
    return Diagnosis(verdict, findings, n_epochs, validated)


def _judge(curves, run, broken):
    """Return the findings of a curve of finite losses; ``broken`` is that of a loss that is not."""
    exploded, jumping = _exploded(curves, run.chance), _jagged(curves)
    if exploded:
        # What follows is judged without the height of the explosion.
        curves = curves.part(slice(exploded.evidence["until_epoch"], None))
        if len(curves.epochs) < MIN_EPOCHS:
            return [exploded, jumping]
    diverging = _diverging(curves)
    flat = None if diverging else _flat(curves)
    jagged = None if diverging or flat else _jagged(curves) or jumping
    findings = [exploded, diverging, flat, jagged]
    if not (broken or diverging or flat):
        findings += _generalization(curves, run, jagged)
    return findings


def _generalization(curves, run, jagged):
    """Return the findings of a curve that fell: the training was too long or too short."""
    validated = curves.where_validated()
    over = gap = improving = None
    if validated is not None:
        kept = validated.part(validated.epochs <= run.best_epoch) if run.stopped_early else validated
        if len(kept.epochs):
            over = _overfitting(kept)
            # Over-fitting implies a gap.
            gap = None if over else _gap(kept)
    # Early stopping ends a training that improves no longer, and a trend among jumps is chance.
    stopped = run.stopped_early and run.best_epoch < curves.epochs[-1]
    if not (over or jagged or stopped):
        improving = _still_improving(curves if validated is None else validated)
    return [over, improving, gap]


def _tail(curve):
    """Return the number of epochs at the end of a curve."""
    return max(1, min(3, len(curve) // 3), round(TAIL * len(curve)))


def _end(curve):
    return float(np.median(curve[-_tail(curve) :]))


def _at_the_end(epochs):
    """Return the epochs of `_end` in words."""
    n = _tail(epochs)
    last = f"epoch {epochs[-1] + 1}" if n == 1 else f"the median of the last {n} epochs"
    return last if np.all(np.diff(epochs) == 1) or n == 1 else f"{last} that were validated"


def _over(epochs):
    """Return a range of epochs in words."""
    first, last = epochs[0] + 1, epochs[-1] + 1
    return f"at epoch {first}" if first == last else f"on average over epochs {first} to {last}"


def _show(*values):
    """Return numbers as texts with enough digits to be different."""
    steps = [abs(b - a) for a, b in itertools.pairwise(values) if a != b and np.isfinite(b - a)]
    shown = []
    for value in values:
        digits = 2 + math.floor(math.log10(abs(value) / min(steps))) if steps and value else 3
        shown.append(f"{value:.{min(max(digits, 3), 6)}g}")
    return shown[0] if len(shown) == 1 else shown


def _not_finite(curves):
    bad = ~np.isfinite(curves.train)
    if curves.validation is not None:
        lacking = np.isnan(curves.validation)
        # NaN between other values are epochs without validation, since a training that diverges has no
        # finite training loss from the next epoch on. Only NaN, or a single one at the end, are results.
        if lacking.all() or (lacking.sum() == 1 and lacking[-1]):
            bad |= lacking
        bad |= np.isinf(curves.validation)
    if not bad.any():
        return None
    epoch = int(np.argmax(bad))
    return Finding(
        "not-finite",
        "Not a number",
        f"The loss is not finite from epoch {epoch + 1} on.",
        {"from_epoch": epoch},
        "a smaller learning_rate, optimizer__clipnorm=1.0, scaled features; look for NaN in the data.",
    )


def _too_short(n_epochs):
    return Finding(
        "too-short",
        "Too short to judge",
        f"A curve needs {MIN_EPOCHS} epochs to have a shape; this one has {n_epochs}.",
        {"from_epoch": 0, "n_epochs": n_epochs},
        "more epochs.",
    )


def _exploded(curves, chance):
    train = curves.train
    early = max(2, round(EARLY * len(train)))
    peak = int(np.argmax(train[:early]))
    after = train[peak + 1 :]
    usual = float(np.median(after))
    rose = peak > 0 and train[peak] > EXPLODED_RISE * abs(train[0])
    if chance is None:
        soon = abs(np.min(after[:SUDDEN]))
        # Products, since a loss may be zero.
        fell = train[peak] > EXPLODED * soon and train[peak] * usual**2 > soon**3 and usual > 0
    else:
        fell = train[peak] > ABOVE_CHANCE * max(chance, abs(usual))
    if not fell and not (rose and usual < train[peak] / EXPLODED_RISE):
        return None
    over = peak + 1 + int(np.argmax(after <= EXPLODED * abs(usual)))
    return Finding(
        "exploded",
        "Explosion in the first epochs",
        f"The training loss is {_show(train[peak])} at epoch {peak + 1} and {_show(usual)} after it (the "
        f"median of epochs {peak + 2} to {len(train)}).",
        {"from_epoch": 0, "until_epoch": over, "peak_loss": float(train[peak]), "usual_loss": usual},
        "scaled features (and a scaled target), a smaller learning_rate, optimizer__clipnorm=1.0.",
    )


def _diverging(curves):
    train, epochs = curves.train, curves.epochs
    low, end = int(np.argmin(train)), _end(train)
    fall = train[0] - train[low]
    if end - train[low] < max(DIVERGED * fall, DIVERGED_FLOOR * abs(train[0])):
        return None
    return Finding(
        "diverging",
        "Diverging",
        f"The training loss grows from {_show(train[low])} at epoch {epochs[low] + 1} to {_show(end)} at the "
        f"end ({_at_the_end(epochs)}).",
        {"from_epoch": int(epochs[low]), "best_loss": float(train[low]), "end_loss": end},
        "a learning_rate ten times smaller, a larger batch_size, scaled features.",
    )


def _flat(curves):
    train, epochs = curves.train, curves.epochs
    first, end = float(train[0]), _end(train)
    if first - min(end, float(np.median(train))) >= FLAT * abs(first):
        return None
    before, after = _show(first, end)
    return Finding(
        "flat",
        "Flat from the start",
        f"The training loss is {before} at epoch {epochs[0] + 1} and {after} at the end "
        f"({_at_the_end(epochs)}).",
        {"from_epoch": int(epochs[0]), "first_loss": first, "end_loss": end},
        "a learning_rate ten times larger (or smaller, if it is above 0.1), scaled features, another "
        "activation or larger layers; check that the features tell anything about the target.",
    )


def _jagged(curves):
    train, epochs = curves.train, curves.epochs
    steps = np.diff(train)
    # One huge spike must not hide the others.
    span = min(np.max(train) - np.min(train), abs(train[0]))
    jumps = (steps > JUMP * np.abs(train[:-1])) & (steps > JUMP_FLOOR * span)
    if jumps.sum() < max(JUMPS, JUMPS_SHARE * len(steps)):
        return None
    epoch, largest = int(epochs[np.argmax(jumps) + 1]), int(np.argmax(steps)) + 1
    before, after = _show(train[largest - 1], train[largest])
    return Finding(
        "jagged",
        "Jagged training loss",
        f"The training loss jumps up in {jumps.sum()} of {len(train)} epochs, first at epoch {epoch + 1}, "
        f"the farthest at epoch {epochs[largest] + 1}: from {before} to {after}.",
        {"from_epoch": epoch, "n_jumps": int(jumps.sum()), "largest_jump": float(steps[largest - 1])},
        "a smaller learning_rate, a larger batch_size.",
    )


def _overfitting(curves):
    epochs, train, validation = curves
    # The lowest mean of three epochs, so that a single low one does not count.
    level = np.min(np.convolve(np.pad(validation, 1, mode="edge"), np.ones(3) / 3, mode="valid"))
    best, end, end_train = int(np.argmin(validation)), _end(validation), _end(train)
    first = max(abs(train[0]), abs(validation[0]))
    if end - level < max(RISE * abs(level), RISE_FLOOR * first) or end_train >= train[best]:
        return None
    low, high = _show(validation[best], end)
    before, after = _show(train[best], end_train)
    return Finding(
        "overfitting",
        "Over-fitting",
        f"From epoch {epochs[best] + 1} to the end ({_at_the_end(epochs)}) the validation loss rises from "
        f"{low} to {high}, while the training loss falls from {before} to {after}.",
        {
            "from_epoch": int(epochs[best]),
            "best_val_loss": float(validation[best]),
            "end_val_loss": end,
            "best_loss": float(train[best]),
            "end_loss": end_train,
        },
        "early_stopping=True or fewer epochs, dropout or l2_regularization, a smaller network, more data.",
    )


def _gap(curves):
    epochs, train, validation = curves
    end, end_validation = _end(train), _end(validation)
    gap = end_validation - end
    first = abs(train[0])
    if gap < max(GAP * abs(end), GAP_FLOOR * first) and gap < max(FAR * abs(end), FAR_FLOOR * first):
        return None
    wide = np.flatnonzero(validation - train >= gap / 2)
    low, high = _show(end, end_validation)
    return Finding(
        "gap",
        "Gap between training and validation",
        f"At the end ({_at_the_end(epochs)}) the validation loss is {high}, the training loss {low}.",
        {"from_epoch": int(epochs[wide[0]]), "end_loss": end, "end_val_loss": end_validation, "gap": gap},
        "dropout or l2_regularization, a smaller network, more data; check that the validation rows are "
        "like the training rows.",
    )


def _still_improving(curves):
    epochs, train, validation = curves
    curve = train if validation is None else validation
    window = max(1, round(WINDOW * len(curve)))
    if len(curve) < 2 * window:
        return None
    before, last = slice(-2 * window, -window), slice(-window, None)

    def recent(values):
        return float(np.mean(values[before]) - np.mean(values[last]))

    drop = recent(curve)
    # The first training loss is a mean over the first epoch, in which it falls fast; the first validation
    # loss comes after it. The higher of both is closer to the start.
    fall = max(train[0], curve[0]) - _end(curve)
    height, noise = abs(_end(curve)), float(np.std(np.diff(curve[-2 * window :]))) / np.sqrt(2)
    falling = FALLING_UNVALIDATED if validation is None else FALLING
    falls = drop >= max(falling * height, FALLING_FLOOR * fall, NOISES * noise)
    if (not falls and drop < max(IMPROVING * fall, IMPROVING_FLOOR * height)) or recent(train) <= 0:
        return None
    name = "training" if validation is None else "validation"
    high, low = float(np.mean(curve[before])), float(np.mean(curve[last]))
    first, second, third = _show(float(curve[0]), high, low)
    return Finding(
        "still-improving",
        "Still improving at the end",
        f"The {name} loss is {first} at epoch {epochs[0] + 1}, {second} {_over(epochs[before])} and {third} "
        f"{_over(epochs[last])}.",
        {
            "from_epoch": int(epochs[before][-1]) + 1,
            "first_loss": float(curve[0]),
            "end_loss": low,
            "recent_drop": drop,
        },
        "more epochs, a larger learning_rate.",
    )
