"""Curves of loss and metrics by epoch."""

import textwrap
from collections import Counter
from collections.abc import Mapping

import numpy as np

from skdl._diagnosis import diagnose, find_run
from skdl._display._style import (
    BLACK,
    BLUE,
    COLORS,
    GREY,
    VERMILLION,
    add_legend,
    axes_size,
    grow,
    score_label,
    small_text,
    text_width,
)

# Drawn only where `metrics` names them, since they are not computed from the data.
_NO_METRICS = ("learning_rate", "lr")
# A loss that spans more than this factor gets a logarithmic axis, which shows small values beside large ones.
_LOG_SPAN = 1000
_MARKER = {"marker": "o", "markersize": 6, "markeredgecolor": "white", "linestyle": "none"}


class HistoryDisplay:
    """Curves of loss and metrics by epoch, of training and validation.

    Made by `from_estimator`, `from_history` or `from_cv_results`; `plot` draws it again.
    One run is drawn in a colour for training and one for validation; so are the folds of
    a cross-validation, overlaid. Runs that have names get a colour each.

    Parameters
    ----------
    histories : list of dict of str to list of float
        For each run, loss and metrics of every epoch, under Keras's names: "loss",
        "accuracy", "val_loss", ...; NaN at epochs without validation.
    names : list of str, default=None
        Of the runs, for the legend.
    best_epochs : list of int or None, default=None
        For each run, the epoch to mark, counted from 0; None marks the one with the
        lowest validation loss, and none where there is no validation loss.
    diagnoses : list of Diagnosis, default=None
        For each run, what to write with ``annotate=True``; None diagnoses the histories.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The panel of the first metric.
    axes_ : ndarray of matplotlib Axes of shape (n_metrics,)
        One panel for each metric.
    figure_ : matplotlib Figure
    lines_ : dict of str to list of matplotlib Line2D
        For each name in the histories that is drawn, the curve of each run.
    best_ : dict of str to list of matplotlib Line2D
        For each metric, the markers of the best epochs.
    legend_ : matplotlib Legend
    text_ : matplotlib Text or None
        The diagnosis.

    See Also
    --------
    diagnose : Judges such a curve.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skdl import HistoryDisplay
    >>> history = {"loss": [0.7, 0.5, 0.4, 0.3], "val_loss": [0.7, 0.6, 0.5, 0.6]}
    >>> display = HistoryDisplay.from_history(history)
    >>> display.ax_.get_ylabel()
    'Loss'
    >>> plt.close(display.figure_)
    """

    def __init__(self, histories, *, names=None, best_epochs=None, diagnoses=None) -> None:
        self.histories = histories
        self.names = names
        self.best_epochs = best_epochs
        self.diagnoses = diagnoses

    @classmethod
    def from_estimator(cls, estimator, **kwargs) -> "HistoryDisplay":
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            Of skdl; a Pipeline that ends with one; or a fitted search, whose best estimator is drawn.
        **kwargs : dict
            Arguments of `plot`, such as ``ax`` and ``metrics``.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If there is no history in ``estimator``.
        """
        return cls.from_history(estimator, **kwargs)

    @classmethod
    def from_history(cls, history, **kwargs) -> "HistoryDisplay":
        """Draw a history, or several.

        Parameters
        ----------
        history : dict, keras.callbacks.History, or list or dict of these
            For each name, such as "loss" and "val_loss", a number for each epoch. A list
            of histories is drawn as the folds of one experiment, a dict of histories as
            experiments with names. A fitted estimator may be given instead of its history.
        **kwargs : dict
            Arguments of `plot`, such as ``ax`` and ``metrics``.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        TypeError, ValueError
            If one of them is no history.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdl import HistoryDisplay
        >>> slow, fast = {"loss": [0.9, 0.8, 0.7]}, {"loss": [0.9, 0.5, 0.3]}
        >>> display = HistoryDisplay.from_history({"slow": slow, "fast": fast})
        >>> display.names
        ['slow', 'fast']
        >>> plt.close(display.figure_)
        """
        names = None
        if isinstance(history, list | tuple):
            sources = history
        elif isinstance(history, Mapping) and history and "loss" not in history:
            names, sources = [str(name) for name in history], list(history.values())
        else:
            sources = [history]
        if not sources:
            raise ValueError("There is no history in an empty list; give at least one.")
        runs = [find_run(source) for source in sources]
        return cls(
            [run.history for run in runs],
            names=names,
            # Without validation rows there is no best epoch to show.
            best_epochs=[run.best_epoch if "val_loss" in run.history else None for run in runs],
            diagnoses=[diagnose(source) for source in sources],
        ).plot(**kwargs)

    @classmethod
    def from_cv_results(cls, cv_results, **kwargs) -> "HistoryDisplay":
        """Draw the histories of all folds of a cross-validation.

        Parameters
        ----------
        cv_results : dict
            What :func:`sklearn.model_selection.cross_validate` returns with ``return_estimator=True``.
        **kwargs : dict
            Arguments of `plot`, such as ``ax`` and ``metrics``.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If ``cv_results`` has no estimators.
        """
        if not isinstance(cv_results, Mapping) or "estimator" not in cv_results:
            found = list(cv_results) if isinstance(cv_results, Mapping) else type(cv_results).__name__
            raise ValueError(
                f"cv_results needs the key 'estimator', got {found}; call cross_validate with "
                "return_estimator=True."
            )
        return cls.from_history(list(cv_results["estimator"]), **kwargs)

    def plot(
        self, ax=None, *, metrics=None, annotate=False, train_kwargs=None, val_kwargs=None, best_kwargs=None
    ) -> "HistoryDisplay":
        """Draw the curves.

        Epochs count from 1, as Keras prints them. A loss that spans more than three
        powers of ten gets a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw. Several metrics divide one axes among them; or give one for
            each. None makes a figure.
        metrics : str or list of str, default=None
            What to draw, for instance "loss"; None means the loss and all metrics. One that has
            a value for each class, such as "f1_score", is drawn for each: "f1_score[0]".
        annotate : bool, default=False
            Write the diagnosis above the curves, and shade the epochs it is about.
        train_kwargs, val_kwargs, best_kwargs : dict, default=None
            For ``Axes.plot``, of the training curves, the validation curves and the
            markers of the best epochs.

        Returns
        -------
        HistoryDisplay
            The display itself.

        Raises
        ------
        ValueError
            If no history has a metric of that name, or ``ax`` holds the wrong number.
        """
        from matplotlib.ticker import MaxNLocator

        metrics = self._metrics(metrics)
        self.axes_ = _panels(ax, len(metrics))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.lines_, self.best_ = {}, {metric: [] for metric in metrics}
        for panel, metric in zip(self.axes_, metrics, strict=True):
            for run in range(len(self.histories)):
                self._plot_run(panel, metric, run, (train_kwargs, val_kwargs), best_kwargs)
            panel.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
            panel.set_ylabel(score_label(metric))
            if metric == "loss":
                lines = self.lines_.get("loss", []) + self.lines_.get("val_loss", [])
                losses = np.concatenate([line.get_ydata() for line in lines])
                losses = losses[np.isfinite(losses)]
                if len(losses) and 0 < _LOG_SPAN * losses.min() < losses.max():
                    panel.set_yscale("log")
        self.axes_[-1].set_xlabel("Epoch")
        self.figure_.align_ylabels(self.axes_)
        self.legend_ = add_legend(self.ax_, self._legend_handles(), own_figure=ax is None)
        self.text_ = self._annotate(metrics, own_figure=ax is None) if annotate else None
        return self

    def _metrics(self, metrics):
        """Return the names of the metrics to draw."""
        known = dict.fromkeys(name.removeprefix("val_") for history in self.histories for name in history)
        if metrics is None:
            return ["loss", *(name for name in known if name != "loss" and name not in _NO_METRICS)]
        # The name of a metric with a value for each class stands for all of them.
        metrics = [
            name
            for metric in ([metrics] if isinstance(metrics, str) else metrics)
            for name in [each for each in known if each.startswith(f"{metric}[")] or [metric]
        ]
        if not metrics or not set(metrics) <= set(known):
            raise ValueError(f"metrics={metrics!r}: choose from {list(known)}.")
        return metrics

    def _styles(self, run):
        """Return the styles of a run's training and validation curves."""
        if self.names is None:
            folds = {"alpha": 0.6, "linewidth": 1} if len(self.histories) > 1 else {}
            return {"color": BLUE, **folds}, {"color": VERMILLION, "linestyle": "--", **folds}
        if len(self.names) <= len(COLORS):
            color = COLORS[run]
        else:
            import matplotlib

            color = matplotlib.colormaps["viridis"](0.95 * run / (len(self.names) - 1))
        return {"color": color}, {"color": color, "linestyle": "--"}

    def _best_epoch(self, run):
        """Return the epoch to mark, or None."""
        if self.best_epochs is not None and self.best_epochs[run] is not None:
            return self.best_epochs[run]
        losses = np.asarray(self.histories[run].get("val_loss", ()), dtype=float)
        return int(np.nanargmin(losses)) if np.isfinite(losses).any() else None

    def _plot_run(self, panel, metric, run, kwargs, best_kwargs):
        """Draw the curves of one run, and mark its best epoch on the last one."""
        best = self._best_epoch(run)
        for name, style, own in zip((metric, f"val_{metric}"), self._styles(run), kwargs, strict=True):
            if name not in self.histories[run]:
                continue
            values = np.asarray(self.histories[run][name], dtype=float)
            epochs = np.arange(1, len(values) + 1)
            if name.startswith("val_"):
                # The line connects the validated epochs.
                epochs, values = epochs[~np.isnan(values)], values[~np.isnan(values)]
            # A line of one epoch is invisible.
            dot = {"marker": "."} if len(values) == 1 else {}
            (line,) = panel.plot(epochs, values, **{**style, **dot, **(own or {})})
            self.lines_.setdefault(name, []).append(line)
            is_last = name != metric or f"val_{metric}" not in self.histories[run]
            if is_last and best is not None and best + 1 in epochs:
                style = {**_MARKER, "color": line.get_color(), "zorder": 3, **(best_kwargs or {})}
                self.best_[metric] += panel.plot(best + 1, values[epochs == best + 1], **style)

    def _legend_handles(self):
        from matplotlib.lines import Line2D

        n_runs, (train_style, val_style) = len(self.histories), self._styles(0)
        validated = any(name.startswith("val_") for name in self.lines_)
        if self.names is None:
            entries = [("Training" if n_runs == 1 else f"Training ({n_runs} runs)", train_style)]
        else:
            entries = [(name, self._styles(run)[0]) for run, name in enumerate(self.names)]
            val_style["color"] = GREY
            if validated:
                entries.append(("Training", {"color": GREY}))
        if validated:
            entries.append(("Validation", val_style))
        marked = [marker for markers in self.best_.values() for marker in markers]
        if marked and n_runs == 1:
            style = {**_MARKER, "color": marked[0].get_color()}
            entries.append((f"Best epoch: {self._best_epoch(0) + 1}", style))
        elif marked:
            entries.append(("Best epochs", {**_MARKER, "color": GREY}))
        return [Line2D([], [], **style, label=label) for label, style in entries]

    def _annotate(self, metrics, own_figure):
        """Write the diagnosis above the curves, and shade the epochs of its first finding."""
        diagnoses = self.diagnoses or [diagnose(history) for history in self.histories]
        if len(diagnoses) > 1:
            counts = Counter(diagnosis.verdict for diagnosis in diagnoses).most_common()
            text = "; ".join(f"{verdict}: {count} of {len(diagnoses)} runs" for verdict, count in counts)
        elif not diagnoses[0].findings:
            text = diagnoses[0].verdict
        else:
            first, *others = diagnoses[0].findings
            text = f"{first.title}. {first.detail.rstrip('.')}"
            text += "".join(f". Also: {other.title.lower()}" for other in others)
            if "loss" in metrics:
                last = first.evidence.get("until_epoch", diagnoses[0].n_epochs - 1) + 1
                panel = self.axes_[metrics.index("loss")]
                panel.axvspan(first.evidence["from_epoch"] + 1, last, color=BLACK, alpha=0.08, linewidth=0)
        n_characters = 0.95 * len(text) * axes_size(self.ax_)[0] / text_width(text, small_text())
        text = textwrap.fill(f"{text[0].upper()}{text[1:]}.", max(10, int(n_characters)))
        if own_figure:
            grow(self.figure_, text.count("\n") + 1)
        return self.ax_.set_title(text, loc="left", fontsize="small")


def _panels(ax, n_panels):
    """Return an array of ``n_panels`` axes, one below the other."""
    import matplotlib.pyplot as plt

    if ax is None:
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * (0.4 + 0.4 * n_panels)), layout="constrained")
        return figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0]
    panels = np.ravel(np.asarray(ax, dtype=object))
    if len(panels) == n_panels:
        return panels
    if np.ndim(ax):
        raise ValueError(
            f"ax holds {len(panels)} axes for {n_panels} metrics; give one for each, or one that they "
            "share, or choose metrics=."
        )
    ax.set_axis_off()
    height = 1 / (1.15 * n_panels - 0.15)
    panels = [ax.inset_axes([0, 1 - height - 1.15 * height * row, 1, height]) for row in range(n_panels)]
    for panel in panels[:-1]:
        panel.sharex(panels[-1])
        panel.tick_params(labelbottom=False)
    return np.array(panels, dtype=object)
