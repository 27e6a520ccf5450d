"""What a learning curve says: named findings from the arrays of a history, and advice.

Every threshold is relative to the curve it judges, with a floor below which a change is
not worth a word; each constant below gives its reason.
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
# The end is the median of this share of the epochs, and of three where there are nine:
# long enough to outvote one odd epoch, short enough to still be the end.
TAIL = 0.1
# Flat: all that was learnt is less than this share of the first loss. A network that
# learns loses a third of its loss and more; one that is stuck moves by its noise.
FLAT = 0.05
# Exploded: in the first fifth of the epochs a loss is ten times as high as one of the next
# three, and what follows is a slower fall: what learns quickly goes on falling by powers of ten.
# Or it rises to three times the first loss, and goes back. Where the loss of a guess is known
# it is enough that a loss is five times that, and five times what is usual after it.
EARLY = 0.2
EXPLODED = 10
SUDDEN = 3
ABOVE_CHANCE = 5
EXPLODED_RISE = 3
# Diverging: the end gives back at least half of what had been learnt, and is above the
# best by a tenth of the first loss, so that noise around a flat curve does not count.
DIVERGED = 0.5
DIVERGED_FLOOR = 0.1
# Jagged: a jump is an epoch whose loss is above the one before by a tenth of it, and by
# this share of the first loss (of the range, where that is less). The first test passes
# over what is small at that height, the second over noise close to zero, where all
# relative changes are large.
JUMP = 0.1
JUMP_FLOOR = 0.04
# One jump happens to anybody. Three, and one in ten epochs, are a habit.
JUMPS = 3
JUMPS_SHARE = 0.1
# Over-fitting: the validation loss ends above its best by this share of it, and by the
# floor times the first loss, so that a rise from 0.01 to 0.02 is left alone.
RISE = 0.1
RISE_FLOOR = 0.02
# Gap: the validation loss ends at one and a half times the training loss, and above it
# by a fifth of the first loss. Some gap is normal: rows that were trained on are known.
GAP = 0.5
GAP_FLOOR = 0.2
# Or it ends at four times the training loss: then the floor may be lower.
FAR = 3
FAR_FLOOR = 0.05
# Still improving: the last fifth of the epochs lowered the loss by this share of all that
# was learnt, and by this share of its height. An exponential decay is past the first
# after three and a half of its time constants, when 97 % is learnt.
WINDOW = 0.2
IMPROVING = 0.05
IMPROVING_FLOOR = 0.01
# Or it lowered the loss by this share of its height, by more than noise: close to zero a loss
# may have most of its way behind it, and be halved all the same by as many epochs again. A
# training loss has less noise, and falls for longer.
FALLING = 0.06
FALLING_UNVALIDATED = 0.03
FALLING_FLOOR = 0.005
NOISES = 3


class Run(NamedTuple):
    """One training: its history, the best epoch, and whether early stopping kept that one.

    The lists of the history have one number for each epoch; NaN where an epoch was not validated.
    """

    history: dict
    best_epoch: int | None
    stopped_early: bool
    # Loss of a guess among classes that are equally frequent; None where that is not known.
    chance: float | None = None


class Curves(NamedTuple):
    """The curves to judge: the numbers of the epochs, and the losses of these epochs."""

    epochs: np.ndarray
    train: np.ndarray
    validation: np.ndarray | None = None

    def part(self, rows):
        """Return these epochs alone."""
        return Curves(*(None if array is None else array[rows] for array in self))

    def where_validated(self):
        """Return the epochs with a validation loss; None where there are none."""
        rows = np.flatnonzero(np.isfinite(self.validation)) if self.validation is not None else ()
        return self.part(rows) if len(rows) else None


def find_run(source):
    """Find the one training in what a user has at hand.

    Parameters
    ----------
    source : dict, keras.callbacks.History or fitted estimator
        See `diagnose`.

    Returns
    -------
    Run
        With finite or not finite floats, one list per name, all of one length.

    Raises
    ------
    TypeError, ValueError, NotFittedError
        As `diagnose`.
    """
    if isinstance(source, Mapping):
        return Run(_checked(source), None, False)
    if isinstance(getattr(source, "history", None), Mapping):
        return Run(_checked(source.history), None, False)
    estimator = _find_trained(source)
    history = _checked(estimator.history_, getattr(estimator, "classes_", ()))
    best = getattr(estimator, "best_epoch_", None)
    stopped = bool(getattr(estimator, "early_stopping", False)) and best is not None
    return Run(history, best, stopped, _chance(estimator))


def _chance(estimator):
    loss = getattr(estimator, "loss", None)
    if not isinstance(loss, str) or not (loss == "auto" or "crossentropy" in loss):
        return None
    several_labels = str(getattr(estimator, "target_type_", "")).startswith("multilabel")
    n_classes = 2 if several_labels else getattr(estimator, "n_classes_", None)
    return None if n_classes is None else math.log(max(2, n_classes))


def _find_trained(source):
    """Return the fitted estimator with a ``history_`` inside an estimator."""
    seen = source
    while not isinstance(getattr(seen, "history_", None), Mapping):
        if hasattr(seen, "steps"):
            inner = seen.steps[-1][1] if seen.steps else None
        else:
            inner = next(
                (
                    getattr(seen, name)
                    for name in ("best_estimator_", "regressor_", "estimator_")
                    if hasattr(seen, name)
                ),
                None,
            )
        if inner is None or isinstance(inner, str):
            raise _no_history(source, seen)
        seen = inner
    return seen


def _no_history(source, seen):
    name = type(source).__name__
    if hasattr(seen, "cv_results_"):
        return ValueError(
            f"This {name} has no best_estimator_, since it was made with refit={seen.refit!r}; set "
            "refit=True and fit it again, or give one fitted estimator."
        )
    if hasattr(seen, "fit"):
        within = "" if seen is source else f" (in this {name})"
        return NotFittedError(
            f"This {type(seen).__name__}{within} has no history_: it is not fitted yet, or it is no "
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
    return {
        name: _by_epoch(values, n_epochs) if name.startswith("val_") else values
        for name, values in _of_one_length(history, n_epochs).items()
    }


def _curves(name, values, classes):
    """Return the curve of a metric by its name, or one for each class: "f1_score[setosa]"."""
    width = max(map(np.size, values), default=1)
    if width == 1:
        return [(name, [np.ravel(value)[0] for value in values])]
    # An epoch without validation has one NaN.
    columns = np.stack([np.broadcast_to(np.ravel(value), width) for value in values], axis=1)
    classes = classes if np.size(classes) == width else range(width)
    return [(f"{name}[{each}]", column) for each, column in zip(classes, columns, strict=True)]


def _of_one_length(history, n_epochs):
    lengths = {name: len(values) for name, values in history.items()}
    if any(
        length != n_epochs and not (name.startswith("val_") and 0 < length < n_epochs)
        for name, length in lengths.items()
    ):
        raise ValueError(f"All lists of a history need one length, that of the epochs; given are {lengths}.")
    return history


def _by_epoch(values, n_epochs):
    """Put each number at its epoch, where Keras's ``validation_freq`` left some epochs out."""
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
    """One thing that a learning curve shows.

    Attributes
    ----------
    code : str
        Its short name, stable between releases.
    title : str
        What it is, in a few words.
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
        Whether there was a validation loss, without which over-fitting can't be seen.

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
    """Judge a learning curve by the textbook's cases.

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
    curves = Curves(
        np.arange(n_epochs),
        np.asarray(run.history["loss"]),
        np.asarray(run.history["val_loss"]) if validated else None,
    )
    found = _not_finite(curves)
    findings = [found]
    if found:
        curves = curves.part(slice(found.evidence["from_epoch"]))._replace(validation=None)
    if len(curves.epochs) < MIN_EPOCHS:
        findings.append(None if found else _too_short(n_epochs))
    else:
        findings += _judge(curves, run, found)
    findings = tuple(finding for finding in findings if finding is not None)
    verdict = findings[0].title.lower() if findings else "good fit"
    return Diagnosis(verdict, findings, n_epochs, validated)


def _judge(curves, run, broken):
    """Judge losses that are numbers."""
    exploded, jumping = _exploded(curves, run.chance), _jagged(curves)
    if exploded:
        # The height of the explosion is no measure for what follows it.
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
    """Judge a curve that fell: was training too long, or too short?"""
    validated = curves.where_validated()
    over = gap = improving = None
    if validated is not None:
        kept = validated
        if run.stopped_early:
            kept = validated.part(validated.epochs <= run.best_epoch)
        if len(kept.epochs):
            over = _overfitting(kept)
            # Said already, in stronger words.
            gap = None if over else _gap(kept)
    # What stopped by itself had stopped improving, and a trend in jumps is chance.
    stopped = run.stopped_early and run.best_epoch < curves.epochs[-1]
    if not (over or jagged or stopped):
        improving = _still_improving(curves if validated is None else validated)
    return [over, improving, gap]


def _tail(curve):
    """Return the number of epochs that are the end of a curve."""
    return max(1, min(3, len(curve) // 3), round(TAIL * len(curve)))


def _end(curve):
    return float(np.median(curve[-_tail(curve) :]))


def _at_the_end(epochs):
    """Say which epochs `_end` looks at."""
    n = _tail(epochs)
    last = f"epoch {epochs[-1] + 1}" if n == 1 else f"the median of the last {n} epochs"
    return last if np.all(np.diff(epochs) == 1) or n == 1 else f"{last} that were validated"


def _over(epochs):
    """Name a stretch of epochs."""
    first, last = epochs[0] + 1, epochs[-1] + 1
    return f"at epoch {first}" if first == last else f"on average over epochs {first} to {last}"


def _show(*values):
    """Write numbers with digits enough to tell them apart."""
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
        # A training that diverges has no finite training loss from the next epoch on. So NaN in
        # between are epochs without validation; not so if there are only NaN, or the first is the last.
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
        # Written without a division by a loss of zero.
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
    learnt = train[0] - train[low]
    if end - train[low] < max(DIVERGED * learnt, DIVERGED_FLOOR * abs(train[0])):
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
    # The lowest mean of three epochs: a single lucky one is no level to rise from.
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
    # The first training loss is a mean over the first epoch, in which much is learnt, and
    # the first validation loss comes after it; so the higher is nearer to the start.
    learnt = max(train[0], curve[0]) - _end(curve)
    height, noise = abs(_end(curve)), float(np.std(np.diff(curve[-2 * window :]))) / np.sqrt(2)
    falling = FALLING_UNVALIDATED if validation is None else FALLING
    falls = drop >= max(falling * height, FALLING_FLOOR * learnt, NOISES * noise)
    if (not falls and drop < max(IMPROVING * learnt, IMPROVING_FLOOR * height)) or recent(train) <= 0:
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
