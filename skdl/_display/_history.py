"""Curves of loss and metrics by epoch."""

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
    folded,
    grow,
    points,
    score_label,
)

# Drawn only where `metrics` names them, since they are not computed from the data.
_NO_METRICS = ("learning_rate", "lr")
# A loss that spans more than this factor gets a logarithmic axis, which shows small values beside large ones.
_LOG_SPAN = 1000


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
    def from_estimator(cls, estimator, *, ax=None, **kwargs) -> "HistoryDisplay":
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            Of skdl; a Pipeline that ends with one; or a fitted search, whose best
            estimator is drawn.
        ax : matplotlib Axes or array-like of these, default=None
            See `plot`.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        NotFittedError, TypeError, ValueError
            If there is no history in ``estimator``.

        Examples
        --------
        >>> from skdl import HistoryDisplay
        >>> display = HistoryDisplay.from_estimator(clf)  # doctest: +SKIP
        """
        return cls._from_sources([estimator]).plot(ax, **kwargs)

    @classmethod
    def from_history(cls, history, *, ax=None, **kwargs) -> "HistoryDisplay":
        """Draw a history, or several.

        Parameters
        ----------
        history : dict, keras.callbacks.History, or list or dict of these
            For each name, such as "loss" and "val_loss", a number for each epoch. A list
            of histories is drawn as the folds of one experiment, a dict of histories as
            experiments with names. A fitted estimator may be given instead of its history.
        ax : matplotlib Axes or array-like of these, default=None
            See `plot`.
        **kwargs : dict
            Other arguments of `plot`.

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
            runs = history
        elif isinstance(history, Mapping) and history and "loss" not in history:
            names, runs = [str(name) for name in history], list(history.values())
        else:
            runs = [history]
        if not runs:
            raise ValueError("There is no history in an empty list; give at least one.")
        return cls._from_sources(runs, names).plot(ax, **kwargs)

    @classmethod
    def from_cv_results(cls, cv_results, *, ax=None, **kwargs) -> "HistoryDisplay":
        """Draw the histories of all folds of a cross-validation.

        Parameters
        ----------
        cv_results : dict
            What :func:`sklearn.model_selection.cross_validate` returns with
            ``return_estimator=True``.
        ax : matplotlib Axes or array-like of these, default=None
            See `plot`.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If ``cv_results`` has no estimators.

        Examples
        --------
        >>> from skdl import HistoryDisplay
        >>> display = HistoryDisplay.from_cv_results(results)  # doctest: +SKIP
        """
        if not isinstance(cv_results, Mapping) or "estimator" not in cv_results:
            found = list(cv_results) if isinstance(cv_results, Mapping) else type(cv_results).__name__
            raise ValueError(
                f"cv_results needs the key 'estimator', got {found}; call cross_validate with "
                "return_estimator=True."
            )
        return cls._from_sources(cv_results["estimator"]).plot(ax, **kwargs)

    @classmethod
    def _from_sources(cls, sources, names=None):
        runs = [find_run(source) for source in sources]
        return cls(
            [run.history for run in runs],
            names=names,
            # Without validation rows there is no best epoch to show.
            best_epochs=[run.best_epoch if "val_loss" in run.history else None for run in runs],
            diagnoses=[diagnose(source) for source in sources],
        )

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
        metrics = self._metrics(metrics)
        self.axes_ = _panels(ax, len(metrics))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        kwargs = {"train": train_kwargs or {}, "val": val_kwargs or {}, "best": best_kwargs or {}}
        self.lines_, self.best_ = {}, {}
        for panel, metric in zip(self.axes_, metrics, strict=True):
            self._plot_metric(panel, metric, kwargs)
        self.axes_[-1].set_xlabel("Epoch")
        self.figure_.align_ylabels(self.axes_)
        self._add_legend(own_figure=ax is None)
        self.text_ = self._annotate(own_figure=ax is None) if annotate else None
        return self

    def _metrics(self, metrics):
        known = {name.removeprefix("val_"): None for history in self.histories for name in history}
        if metrics is None:
            return ["loss", *(name for name in known if name != "loss" and name not in _NO_METRICS)]
        # The name of a metric with a value for each class stands for all of them.
        metrics = [
            name
            for metric in ([metrics] if isinstance(metrics, str) else metrics)
            for name in [each for each in known if each.startswith(f"{metric}[")] or [metric]
        ]
        unknown = [name for name in metrics if name not in known]
        if unknown or not metrics:
            raise ValueError(f"metrics={metrics!r}: choose from {list(known)}.")
        return metrics

    def _styles(self, run):
        """Return the styles of a run's training and validation curves."""
        if self.names is None:
            several = len(self.histories) > 1
            alpha = {"alpha": 0.6, "linewidth": 1} if several else {}
            return {"color": BLUE, **alpha}, {"color": VERMILLION, "linestyle": "--", **alpha}
        if len(self.names) <= len(COLORS):
            color = COLORS[run]
        else:
            import matplotlib

            color = matplotlib.colormaps["viridis"](0.95 * run / (len(self.names) - 1))
        return {"color": color}, {"color": color, "linestyle": "--"}

    def _best_epoch(self, run):
        if self.best_epochs is not None and self.best_epochs[run] is not None:
            return self.best_epochs[run]
        losses = np.asarray(self.histories[run].get("val_loss", [np.nan]))
        finite = np.isfinite(losses)
        return int(np.argmin(np.where(finite, losses, np.inf))) if finite.any() else None

    def _plot_metric(self, panel, metric, kwargs):
        from matplotlib.ticker import MaxNLocator

        self.best_[metric] = []
        for run, history in enumerate(self.histories):
            train_style, val_style = self._styles(run)
            marked = None
            for name, style, own_style in (
                (metric, train_style, kwargs["train"]),
                (f"val_{metric}", val_style, kwargs["val"]),
            ):
                if name not in history:
                    continue
                values = np.asarray(history[name], dtype=float)
                epochs = np.arange(1, len(values) + 1)
                if name.startswith("val_") and np.isfinite(values).any():
                    # The line connects the validated epochs.
                    epochs, values = epochs[~np.isnan(values)], values[~np.isnan(values)]
                # A line of one epoch is invisible.
                dot = {"marker": "."} if len(values) == 1 else {}
                (line,) = panel.plot(epochs, values, **{**style, **dot, **own_style})
                self.lines_.setdefault(name, []).append(line)
                marked = line
            epoch = self._best_epoch(run)
            if marked is not None and epoch is not None and epoch + 1 in marked.get_xdata():
                height = marked.get_ydata()[list(marked.get_xdata()).index(epoch + 1)]
                style = {"marker": "o", "markersize": 6, "markeredgecolor": "white", "linestyle": "none"}
                style = {**style, "color": marked.get_color(), "zorder": 3, **kwargs["best"]}
                self.best_[metric] += panel.plot(epoch + 1, height, **style)
        if metric == "loss" and self._spans(metric):
            panel.set_yscale("log")
        panel.xaxis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))
        panel.set_ylabel(score_label(metric))

    def _spans(self, metric):
        values = [history.get(name, []) for history in self.histories for name in (metric, f"val_{metric}")]
        values = np.concatenate(values)
        values = values[np.isfinite(values)]
        return len(values) > 0 and values.min() > 0 and values.max() > _LOG_SPAN * values.min()

    def _add_legend(self, own_figure):
        from matplotlib.lines import Line2D

        several, named = len(self.histories) > 1, self.names is not None
        train_style, val_style = self._styles(0)
        handles = []
        if named:
            train_style, val_style = ({**style, "color": GREY} for style in (train_style, val_style))
            for run, name in enumerate(self.names):
                handles.append(Line2D([], [], **self._styles(run)[0], label=name))
        validated = any(name.startswith("val_") for name in self.lines_)
        count = f" ({len(self.histories)} runs)" if several and not named else ""
        if not named or validated:
            handles.append(Line2D([], [], **train_style, label=f"Training{count}"))
        if validated:
            handles.append(Line2D([], [], **val_style, label="Validation"))
        marked = [marker for markers in self.best_.values() for marker in markers]
        if marked:
            best = "Best epochs" if several else f"Best epoch: {self._best_epoch(0) + 1}"
            color = GREY if several else marked[0].get_color()
            style = {"marker": "o", "markersize": 6, "markeredgecolor": "white", "linestyle": "none"}
            handles.append(Line2D([], [], **style, color=color, label=best))
        self.legend_ = add_legend(self.ax_, handles, own_figure=own_figure)

    def _annotate(self, own_figure):
        diagnoses = self.diagnoses or [diagnose(history) for history in self.histories]
        loss = next((panel for panel in self.axes_ if panel.get_ylabel() == "Loss"), None)
        if len(diagnoses) == 1:
            (diagnosis,) = diagnoses
            text = f"{diagnosis.verdict[0].upper()}{diagnosis.verdict[1:]}."
            if diagnosis.findings:
                first, *others = diagnosis.findings
                text = f"{first.title}. {first.detail}"
                text += "".join(f" Also: {other.title.lower()}." for other in others)
                if loss is not None:
                    last = first.evidence.get("until_epoch", diagnosis.n_epochs - 1) + 1
                    loss.axvspan(first.evidence["from_epoch"] + 1, last, color=BLACK, alpha=0.08, linewidth=0)
        else:
            counts = Counter(diagnosis.verdict for diagnosis in diagnoses).most_common()
            text = "; ".join(f"{verdict}: {count} of {len(diagnoses)} runs" for verdict, count in counts)
            text = f"{text[0].upper()}{text[1:]}."
        size = points("small")
        text = folded(text, axes_size(self.ax_)[0], size)
        if own_figure:
            grow(self.figure_, text.count("\n") + 1, size)
        return self.ax_.set_title(text, loc="left", fontsize=size)


def _panels(ax, n_panels):
    """Return an array of ``n_panels`` axes, one below the other."""
    import matplotlib.pyplot as plt

    if ax is None:
        width, height = plt.rcParams["figure.figsize"]
        figure = plt.figure(figsize=(width, height * (0.4 + 0.4 * n_panels)), layout="constrained")
        return figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0]
    if np.ndim(ax):
        panels = np.ravel(np.asarray(ax, dtype=object))
        if len(panels) != n_panels:
            raise ValueError(
                f"ax holds {len(panels)} axes for {n_panels} metrics; give one for each, or one that they "
                "share, or choose metrics=."
            )
        return panels
    if n_panels == 1:
        return np.array([ax], dtype=object)
    ax.set_axis_off()
    height = 1 / (n_panels + 0.15 * (n_panels - 1))
    panels = [ax.inset_axes([0, 1 - height - 1.15 * height * row, 1, height]) for row in range(n_panels)]
    for panel in panels[:-1]:
        panel.sharex(panels[-1])
        panel.tick_params(labelbottom=False)
    return np.array(panels, dtype=object)
