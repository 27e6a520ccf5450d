"""Diagnosis of a learning curve: findings from the arrays of a history, with advice.

Every threshold is relative to the curve that it judges, with a floor below which a change does not count. A
comment before each constant gives its reason.
"""

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


def find_run(source):
    """Return the run of a history, of a callback History or of a fitted estimator, see `diagnose`."""
    history = source if isinstance(source, Mapping) else getattr(source, "history", None)
    if isinstance(history, Mapping):
        return Run(_checked(history))
    estimator = _find_trained(source)
    history = _checked(estimator.history_, getattr(estimator, "classes_", ()))
    best = getattr(estimator, "best_epoch_", None)
    stopped = bool(getattr(estimator, "early_stopping", False)) and best is not None
    loss, chance = getattr(estimator, "loss", None), None
    if isinstance(loss, str) and (loss == "auto" or "crossentropy" in loss):
        several_labels = str(getattr(estimator, "target_type_", "")).startswith("multilabel")
        n_classes = 2 if several_labels else getattr(estimator, "n_classes_", None)
        chance = None if n_classes is None else math.log(max(2, n_classes))
    return Run(history, best, stopped, chance)


def _find_trained(source):
    """Return the estimator with a ``history_`` in a Pipeline, a search or a meta-estimator."""
    inner, name = source, type(source).__name__
    while not isinstance(getattr(inner, "history_", None), Mapping):
        attributes = ("best_estimator_", "regressor_", "estimator_")
        fitted = [getattr(inner, each) for each in attributes if hasattr(inner, each)]
        if getattr(inner, "steps", None):
            inner = inner.steps[-1][1]
        elif fitted:
            inner = fitted[0]
        elif hasattr(inner, "cv_results_"):
            raise ValueError(
                f"This {name} has no best_estimator_, since it was made with refit={inner.refit!r}; set "
                "refit=True and fit it again, or give one fitted estimator."
            )
        elif hasattr(inner, "fit"):
            within = "" if inner is source else f" (in this {name})"
            raise NotFittedError(
                f"This {type(inner).__name__}{within} has no history_: it is not fitted yet, or does not "
                "train by epochs. Call fit first, or give a history such as {'loss': [0.7, 0.5]}."
            )
        else:
            raise TypeError(
                "Expected a fitted estimator, a Pipeline or a search of one, or a history such as "
                f"{{'loss': [0.7, 0.5, 0.4], 'val_loss': [0.8, 0.6, 0.5]}}, got {name}."
            )
    return inner


def _checked(history, classes=()):
    """Return a history with one number for each epoch, or raise ValueError."""
    if "loss" not in history:
        raise ValueError(
            f"A history needs the key 'loss' with a number for each epoch; it has {list(history)}."
        )
    curves = {}
    for name, values in history.items():
        width = max(map(np.size, values), default=1)
        # An epoch without validation has one NaN.
        rows = [np.broadcast_to(np.ravel(value), width) for value in values]
        columns = np.reshape(rows, (-1, width)).astype(float).T.tolist()
        # A metric may have a value for each class: "f1_score[setosa]".
        labels = classes if np.size(classes) == width else range(width)
        names = [str(name)] if width == 1 else [f"{name}[{each}]" for each in labels]
        curves.update(zip(names, columns, strict=True))
    n_epochs = len(curves["loss"])
    if not n_epochs:
        raise ValueError("The history is empty: train for at least one epoch.")
    lengths = {name: len(values) for name, values in curves.items()}
    for name, length in lengths.items():
        if length == n_epochs:
            continue
        if not name.startswith("val_") or not 0 < length < n_epochs:
            raise ValueError(
                f"All lists of a history need one length, that of the epochs; given are {lengths}."
            )
        every = n_epochs // length  # ``validation_freq`` of Keras
        if n_epochs // every != length:
            raise ValueError(
                f"A history has {n_epochs} epochs and {length} validation losses, which is not one for "
                "each n-th epoch. Give lists of one length, with NaN at the epochs without validation."
            )
        by_epoch = np.full(n_epochs, np.nan)
        by_epoch[every - 1 :: every] = curves[name]
        curves[name] = by_epoch.tolist()
    return curves


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
        A fitted estimator of skdl, a Pipeline that ends with one, a fitted search (its best estimator is
        diagnosed), or a history: for each name, such as "loss" and "val_loss", a number for each epoch
        (validation: for each n-th epoch, or NaN for epochs without it). Where an estimator stopped early,
        over-fitting and gap are judged at the epoch whose weights it kept.

    Returns
    -------
    Diagnosis
        ``print`` it to read it.

    Raises
    ------
    TypeError, NotFittedError
        If ``source`` is none of these, or is not fitted, or does not train by epochs.
    ValueError
        If the history has no loss, no epoch, or lists of different lengths.

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
    bad = ~np.isfinite(curves.train)
    if validated:
        lacking = np.isnan(curves.validation)
        # NaN between other values are epochs without validation, since a training that diverges has no
        # finite training loss from the next epoch on. Only NaN, or a single one at the end, are results.
        if lacking.all() or (lacking.sum() == 1 and lacking[-1]):
            bad |= lacking
        bad |= np.isinf(curves.validation)
    findings = []
    if bad.any():
        findings.append(_finding("not-finite", np.argmax(bad)))
        curves = curves.part(slice(np.argmax(bad)))._replace(validation=None)
    if len(curves.epochs) >= MIN_EPOCHS:
        findings += _judge(curves, run, is_finite=not bad.any())
    elif not findings:
        findings.append(_finding("too-short", 0, n_epochs=n_epochs))
    findings = tuple(finding for finding in findings if finding is not None)
    verdict = findings[0].title.lower() if findings else "good fit"
    return Diagnosis(verdict, findings, n_epochs, validated)


# Title, detail and advice of each finding. The detail has numbers of the evidence, with epochs from 1.
_TEXTS = {
    "not-finite": (
        "Not a number",
        "The loss is not finite from epoch {from_epoch} on.",
        "a smaller learning_rate, optimizer__clipnorm=1.0, scaled features; look for NaN in the data.",
    ),
    "too-short": (
        "Too short to judge",
        f"A curve needs {MIN_EPOCHS} epochs to have a shape; this one has {{n_epochs}}.",
        "more epochs.",
    ),
    "exploded": (
        "Explosion in the first epochs",
        "The training loss is {peak_loss} at epoch {peak_epoch} and {usual_loss} after it (the median).",
        "scaled features (and a scaled target), a smaller learning_rate, optimizer__clipnorm=1.0.",
    ),
    "diverging": (
        "Diverging",
        "The training loss grows from {best_loss} at epoch {from_epoch} to {end_loss} at the end ({words}).",
        "a learning_rate ten times smaller, a larger batch_size, scaled features.",
    ),
    "flat": (
        "Flat from the start",
        "The training loss is {first_loss} at epoch {from_epoch} and {end_loss} at the end ({words}).",
        "a learning_rate ten times larger (or smaller, if it is above 0.1), scaled features, another "
        "activation or larger layers; check that the features tell anything about the target.",
    ),
    "jagged": (
        "Jagged training loss",
        "The training loss jumps up in {n_jumps} of {n_epochs} epochs, first at epoch {from_epoch}, the "
        "farthest at epoch {largest_epoch}: by {largest_jump} to {largest_loss}.",
        "a smaller learning_rate, a larger batch_size.",
    ),
    "overfitting": (
        "Over-fitting",
        "From epoch {from_epoch} to the end ({words}) the validation loss rises from {best_val_loss} to "
        "{end_val_loss}, while the training loss falls from {best_loss} to {end_loss}.",
        "early_stopping=True or fewer epochs, dropout or l2_regularization, a smaller network, more data.",
    ),
    "gap": (
        "Gap between training and validation",
        "At the end ({words}) the validation loss is {end_val_loss}, the training loss {end_loss}.",
        "dropout or l2_regularization, a smaller network, more data; check that the validation rows are "
        "like the training rows.",
    ),
    "still-improving": (
        "Still improving at the end",
        "The {words} loss begins at {first_loss}; its mean over the last fifth of the epochs is {end_loss}, "
        "over as many before {before_loss}.",
        "more epochs, a larger learning_rate.",
    ),
}


def _finding(code, from_epoch, words="", **evidence):
    """Return a finding with its texts, of which ``words`` are a part."""
    title, detail, advice = _TEXTS[code]
    evidence = {"from_epoch": from_epoch, **evidence}
    evidence = {name: np.asarray(value).item() for name, value in evidence.items()}
    shown = {name: f"{n:.4g}" if isinstance(n, float) else n for name, n in evidence.items()}
    shown |= {name: n + 1 for name, n in evidence.items() if name.endswith("_epoch")}
    return Finding(code, title, detail.format(words=words, **shown), evidence, advice)


def _judge(curves, run, is_finite):
    """Return the findings of a curve up to its first loss that is not finite; None for some that it lacks."""
    exploded, jagged = _exploded(curves, run.chance), _jagged(curves)
    if exploded:
        # What follows is judged without the height of the explosion.
        curves = curves.part(slice(exploded.evidence["until_epoch"], None))
        if len(curves.epochs) < MIN_EPOCHS:
            return [exploded, jagged]
    train, epochs = curves.train, curves.epochs
    best, first, (end, words) = int(np.argmin(train)), train[0], _end(train)
    if end - train[best] >= max(DIVERGED * (first - train[best]), DIVERGED_FLOOR * abs(first)):
        return [exploded, _finding("diverging", epochs[best], words, best_loss=train[best], end_loss=end)]
    if first - min(end, np.median(train)) < FLAT * abs(first):
        return [exploded, _finding("flat", epochs[0], words, first_loss=first, end_loss=end)]
    jagged = _jagged(curves) or jagged
    if not is_finite:
        return [exploded, jagged]
    stopped = run.stopped_early and run.best_epoch < curves.epochs[-1]
    beside = None
    if curves.validation is None or not np.isfinite(curves.validation).any():
        curves = curves._replace(validation=None)
    else:
        curves = curves.part(np.isfinite(curves.validation))
        kept = curves.part(curves.epochs <= run.best_epoch) if run.stopped_early else curves
        beside = _overfitting_or_gap(kept) if len(kept.epochs) else None
    # Early stopping ends a training that improves no longer, and a trend among jumps is chance.
    settled = stopped or jagged or (beside and beside.code == "overfitting")
    return [exploded, jagged, None if settled else _still_improving(curves), beside]


def _end(curve):
    """Return the median of the last epochs, and these in words."""
    n = max(1, min(3, len(curve) // 3), round(TAIL * len(curve)))
    return np.median(curve[-n:]), "the last epoch" if n == 1 else f"the median of the last {n} epochs"


def _exploded(curves, chance):
    train = curves.train
    peak = int(np.argmax(train[: max(2, round(EARLY * len(train)))]))
    after = train[peak + 1 :]
    usual = np.median(after)
    rose = peak > 0 and train[peak] > EXPLODED_RISE * abs(train[0])
    if chance is None:
        soon = abs(np.min(after[:SUDDEN]))
        # Products, since a loss may be zero.
        fell = train[peak] > EXPLODED * soon and train[peak] * usual**2 > soon**3 and usual > 0
    else:
        fell = train[peak] > ABOVE_CHANCE * max(chance, abs(usual))
    if not fell and not (rose and usual < train[peak] / EXPLODED_RISE):
        return None
    until = peak + 1 + int(np.argmax(after <= EXPLODED * abs(usual)))
    return _finding(
        "exploded", 0, peak_epoch=peak, until_epoch=until, peak_loss=train[peak], usual_loss=usual
    )


def _jagged(curves):
    train, epochs = curves.train, curves.epochs
    steps = np.diff(train)
    # One huge spike must not hide the others.
    span = min(np.max(train) - np.min(train), abs(train[0]))
    jumps = (steps > JUMP * np.abs(train[:-1])) & (steps > JUMP_FLOOR * span)
    if jumps.sum() < max(JUMPS, JUMPS_SHARE * len(steps)):
        return None
    largest = int(np.argmax(steps))
    evidence = {"n_epochs": len(train), "n_jumps": jumps.sum(), "largest_epoch": epochs[largest + 1]}
    evidence |= {"largest_jump": steps[largest], "largest_loss": train[largest + 1]}
    return _finding("jagged", epochs[np.argmax(jumps) + 1], **evidence)


def _overfitting_or_gap(curves):
    """Return the finding of a validation loss that rises, or else of one that is far above the other."""
    epochs, train, validation = curves
    (end, words), (end_validation, _) = _end(train), _end(validation)
    evidence = {"end_loss": end, "end_val_loss": end_validation}
    # The lowest mean of three epochs, so that a single low one does not count.
    level = np.min(np.convolve(np.pad(validation, 1, mode="edge"), np.ones(3) / 3, mode="valid"))
    best, first = int(np.argmin(validation)), abs(train[0])
    floor = max(RISE * abs(level), RISE_FLOOR * max(first, abs(validation[0])))
    if end_validation - level >= floor and end < train[best]:
        evidence |= {"best_val_loss": validation[best], "best_loss": train[best]}
        return _finding("overfitting", epochs[best], words, **evidence)
    gap = end_validation - end
    if gap < max(GAP * abs(end), GAP_FLOOR * first) and gap < max(FAR * abs(end), FAR_FLOOR * first):
        return None
    return _finding("gap", epochs[np.argmax(validation - train >= gap / 2)], words, **evidence, gap=gap)


def _still_improving(curves):
    epochs, train, validation = curves
    curve = train if validation is None else validation
    window = max(1, round(WINDOW * len(curve)))
    if len(curve) < 2 * window:
        return None
    before, last = slice(-2 * window, -window), slice(-window, None)
    high, low = np.mean(curve[before]), np.mean(curve[last])
    # The first training loss is a mean over the first epoch, in which it falls fast; the first validation
    # loss comes after it. The higher of both is closer to the start.
    fall = max(train[0], curve[0]) - _end(curve)[0]
    height, noise = abs(_end(curve)[0]), np.std(np.diff(curve[-2 * window :])) / np.sqrt(2)
    falling = FALLING_UNVALIDATED if validation is None else FALLING
    falls = high - low >= max(falling * height, FALLING_FLOOR * fall, NOISES * noise)
    improves = high - low >= max(IMPROVING * fall, IMPROVING_FLOOR * height)
    if not (falls or improves) or np.mean(train[before]) <= np.mean(train[last]):
        return None
    evidence = {"first_loss": curve[0], "before_loss": high, "end_loss": low, "recent_drop": high - low}
    name = "training" if validation is None else "validation"
    return _finding("still-improving", epochs[before][-1] + 1, name, **evidence)
