"""Scores of a search against its parameters."""

from collections.abc import Mapping
from numbers import Real

import numpy as np

from skdl._display._style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    VERMILLION,
    add_legend,
    axes_size,
    grow,
    points,
    score_label,
    text_width,
)

# Share of tried cells from which a grid is a heat map; else, as after a random search, it is points.
_FILLED = 0.5
# Three or more values may be log-spaced if they span more than this factor.
_LOG_SPAN = 3
# A logarithmic axis that spans less than this factor has few powers of ten, so that up to _FEW values are
# labelled instead.
_NARROW = 100
_FEW = 5
_LONGEST_LABEL = 20


class SearchDisplay:
    """A fitted search's scores against one or two of its parameters.

    Made by `from_estimator` or `from_cv_results`; `plot` draws it again. One parameter
    gives a line through the best candidate at each value, with the spread of its folds,
    and a dot for each other candidate. Two give a heat map of the best candidate at each
    pair of values, or points where most pairs were not tried. Axes of log-spaced values
    are logarithmic; other values are sorted, layers by their number.

    Parameters
    ----------
    param_values : dict of str to list
        For each of the one or two parameters, its value in each candidate.
    mean_scores : ndarray of shape (n_candidates,)
        Mean over the folds; NaN for a candidate that failed.
    std_scores : ndarray of shape (n_candidates,)
        Standard deviation over the folds.
    best : int, default=None
        The candidate to mark; None marks none.
    score_name : str, default="Score"
        For the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D or None
        Mean scores along one parameter.
    spread_ : matplotlib artist or None
        Standard deviations along one parameter: a band, or an ErrorbarContainer where
        the values are no numbers.
    others_ : matplotlib Line2D or None
        Dots of the candidates that are not the best at their value.
    image_ : matplotlib artist or None
        The cells of a heat map, or the points.
    colorbar_ : matplotlib Colorbar or None
    failed_ : matplotlib artist or None
        Marks of the candidates that failed.
    best_ : matplotlib Line2D or None
        Mark of the best candidate.
    texts_ : list of matplotlib Text
        Scores in the cells of a heat map.
    legend_ : matplotlib Legend or None

    See Also
    --------
    sklearn.model_selection.ValidationCurveDisplay : One parameter, fitted for the curve.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.svm import SVC
    >>> from skdl import SearchDisplay
    >>> search = GridSearchCV(SVC(), {"C": [0.01, 0.1, 1, 10]}).fit(*load_iris(return_X_y=True))
    >>> display = SearchDisplay.from_estimator(search)
    >>> display.ax_.get_xscale()
    'log'
    >>> plt.close(display.figure_)
    """

    def __init__(self, param_values, mean_scores, std_scores, *, best=None, score_name="Score") -> None:
        self.param_values = param_values
        self.mean_scores = mean_scores
        self.std_scores = std_scores
        self.best = best
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls, search, *, params=None, metric=None, score_name=None, ax=None, **kwargs
    ) -> "SearchDisplay":
        """Draw a fitted search.

        Parameters
        ----------
        search : fitted search
            For instance a ``GridSearchCV``: anything with ``cv_results_``.
        params : str or list of str, default=None
            One or two parameters of the search; None takes those of several values.
        metric : str, default=None
            Which score, where there are several; None takes the one of ``refit``.
        score_name : str, default=None
            For the axis; None takes the name of the metric or the scorer.
        ax : matplotlib Axes, default=None
            See `plot`.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        ValueError
            As `from_cv_results`, and if ``search`` is not fitted.

        Examples
        --------
        >>> from skdl import SearchDisplay
        >>> SearchDisplay.from_estimator(search, params=["learning_rate", "epochs"])  # doctest: +SKIP
        """
        if not hasattr(search, "cv_results_"):
            raise ValueError(
                f"This {type(search).__name__} has no cv_results_: give a search, and call fit first."
            )
        if metric is None and isinstance(getattr(search, "refit", None), str):
            metric = search.refit
        scoring = getattr(search, "scoring", None)
        if score_name is None and metric is None and isinstance(scoring, str):
            score_name = scoring
        return cls.from_cv_results(
            search.cv_results_, params=params, metric=metric, score_name=score_name, ax=ax, **kwargs
        )

    @classmethod
    def from_cv_results(
        cls, cv_results, *, params=None, metric=None, score_name=None, ax=None, **kwargs
    ) -> "SearchDisplay":
        """Draw the results of a search.

        Parameters
        ----------
        cv_results : dict
            A search's ``cv_results_``. Where candidates were tried several times with
            growing resources, the last trial counts.
        params : str or list of str, default=None
            One or two parameters of the search; None takes those of several values.
            Candidates without them are left out.
        metric : str, default=None
            Which score, where there are several.
        score_name : str, default=None
            For the axis; None takes the name of the metric.
        ax : matplotlib Axes, default=None
            See `plot`.
        **kwargs : dict
            Other arguments of `plot`.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        ValueError
            If ``params`` or ``metric`` is not in the results, or more than two
            parameters vary and ``params`` does not choose.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skdl import SearchDisplay
        >>> display = SearchDisplay.from_cv_results({
        ...     "param_epochs": [5, 10, 20],
        ...     "mean_test_score": [0.6, 0.8, float("nan")],
        ...     "std_test_score": [0.1, 0.05, float("nan")],
        ... })
        >>> display.best
        1
        >>> plt.close(display.figure_)
        """
        if not isinstance(cv_results, Mapping):
            raise ValueError(
                f"cv_results needs a search's cv_results_, a dict; got {type(cv_results).__name__}."
            )
        metrics = [name[len("mean_test_") :] for name in cv_results if name.startswith("mean_test_")]
        if metric is None and len(metrics) == 1:
            metric = metrics[0]
        if metric not in metrics:
            raise ValueError(f"metric={metric!r}: choose from {metrics}.")
        columns = {
            name[len("param_") :]: values for name, values in cv_results.items() if name.startswith("param_")
        }
        names = _chosen(params, columns)
        rows = [row for row in _last_trials(cv_results) if all(_has(columns[name], row) for name in names)]
        means = np.asarray(cv_results[f"mean_test_{metric}"], dtype=float)[rows]
        if score_name is None:
            score_name = metric
        return cls(
            {name: [columns[name][row] for row in rows] for name in names},
            means,
            np.asarray(cv_results[f"std_test_{metric}"], dtype=float)[rows],
            best=int(np.nanargmax(means)) if np.isfinite(means).any() else None,
            score_name=score_label(score_name),
        ).plot(ax, **kwargs)

    def plot(self, ax=None, *, line_kwargs=None, spread_kwargs=None, image_kwargs=None) -> "SearchDisplay":
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kwargs, spread_kwargs : dict, default=None
            For ``Axes.plot`` and ``Axes.fill_between`` (``Axes.errorbar`` where the
            values are no numbers), with one parameter.
        image_kwargs : dict, default=None
            For ``Axes.pcolormesh`` (``Axes.scatter`` where most pairs were not tried),
            with two parameters.

        Returns
        -------
        SearchDisplay
            The display itself.
        """
        import matplotlib.pyplot as plt

        own_figure = ax is None
        if own_figure:
            ax = plt.figure(layout="constrained").subplots()
        self.ax_, self.figure_ = ax, ax.figure
        self.line_ = self.spread_ = self.others_ = self.image_ = self.colorbar_ = None
        self.failed_ = self.best_ = self.legend_ = None
        self.texts_ = []
        names = list(self.param_values)
        self.ax_.set_xlabel(_short_names(names)[0])
        axes = [_Axis(self.param_values[name]) for name in names]
        grid = False
        if len(axes) == 1:
            self._plot_line(*axes, line_kwargs or {}, spread_kwargs or {})
            self.ax_.set_ylabel(self.score_name)
        else:
            self.ax_.set_ylabel(_short_names(names)[1])
            cells = set(zip(axes[0].places, axes[1].places, strict=True))
            grid = len(cells) >= _FILLED * len(axes[0].labels) * len(axes[1].labels)
            (self._plot_grid if grid else self._plot_points)(*axes, image_kwargs or {})
        if (grid or not axes[0].numeric) and _turn_labels(ax) and own_figure:
            grow(self.figure_, 2, points("medium"))
        if grid:
            self._write_scores()
        handles = [self.line_, self.spread_, self.others_, self._best_handle(), self.failed_]
        handles = [handle for handle in handles if handle is not None]
        if handles:
            self.legend_ = add_legend(ax, handles, own_figure=own_figure)
        return self

    def _failed(self):
        return ~np.isfinite(self.mean_scores)

    def _best_places(self, places):
        """Return the best candidate at each place, the places in their order."""
        best = {}
        for row, place in enumerate(places):
            score = self.mean_scores[row]
            if np.isfinite(score) and (place not in best or score > self.mean_scores[best[place]]):
                best[place] = row
        return [best[place] for place in sorted(best)]

    def _mark_best(self, x, y, *, size, color=ORANGE, zorder=0.9):
        # Below the dot of the candidate, which must be visible.
        style = {
            "marker": "*",
            "markersize": size,
            "markeredgecolor": BLACK,
            "markeredgewidth": 0.7,
            "linestyle": "none",
            "zorder": zorder,
        }
        (self.best_,) = self.ax_.plot(x, y, color=color, label="Best", **style)

    def _best_handle(self):
        """Return a star for the legend, no larger than its text."""
        from matplotlib.lines import Line2D

        if self.best_ is None:
            return None
        star = Line2D([], [])
        star.update_from(self.best_)
        star.set(label="Best", markersize=11)
        return star

    def _plot_line(self, axis, line_kwargs, spread_kwargs):
        x = axis.positions
        rows = self._best_places(axis.places)
        means, stds = self.mean_scores[rows], self.std_scores[rows]
        style = {
            "color": BLUE,
            "label": "Mean of folds",
            "marker": "o",
            "markersize": 4,
            **({} if axis.numeric else {"linestyle": "none"}),
        }
        (self.line_,) = self.ax_.plot(x[rows], means, **{**style, **line_kwargs})
        if axis.numeric:
            style = {"color": BLUE, "label": "\u00b1 1 std", "alpha": 0.2, "linewidth": 0, "zorder": 0.8}
            self.spread_ = self.ax_.fill_between(
                x[rows], means - stds, means + stds, **{**style, **spread_kwargs}
            )
        else:
            style = {"color": BLUE, "label": "\u00b1 1 std", "capsize": 4, "linestyle": "none"}
            self.spread_ = self.ax_.errorbar(x[rows], means, yerr=stds, **{**style, **spread_kwargs})
        if len(rows) < (~self._failed()).sum():
            others = np.setdiff1d(np.flatnonzero(~self._failed()), rows)
            style = {"color": GREY, "markersize": 4, "zorder": 1, "label": "Other candidates"}
            (self.others_,) = self.ax_.plot(x[others], self.mean_scores[others], ".", **style)
        if self._failed().any():
            # At the bottom of the axes, since they have no score.
            (self.failed_,) = self.ax_.plot(
                x[self._failed()],
                np.full(self._failed().sum(), 0.04),
                "x",
                color=VERMILLION,
                markeredgewidth=2,
                transform=self.ax_.get_xaxis_transform(),
                label="Failed",
            )
            low, high = self.ax_.get_ylim()
            self.ax_.set_ylim(low - 0.08 * (high - low), high)
        if self.best is not None:
            self._mark_best(x[self.best], self.mean_scores[self.best], size=16)
        axis.scale(self.ax_.xaxis, self.ax_)

    def _plot_points(self, first, second, image_kwargs):
        done = ~self._failed()
        x, y = first.positions, second.positions
        style = {"cmap": "viridis", "edgecolors": "white", "linewidths": 0.5, "s": 45}
        self.image_ = self.ax_.scatter(
            x[done], y[done], c=self.mean_scores[done], **{**style, **image_kwargs}
        )
        self._add_colorbar()
        if self._failed().any():
            (self.failed_,) = self.ax_.plot(
                x[~done], y[~done], "x", color=VERMILLION, markeredgewidth=2, label="Failed"
            )
        if self.best is not None:
            self._mark_best(x[self.best], y[self.best], size=20, color="white")
        first.scale(self.ax_.xaxis, self.ax_)
        second.scale(self.ax_.yaxis, self.ax_)

    def _plot_grid(self, first, second, image_kwargs):
        from matplotlib.patches import Rectangle

        places = list(zip(first.places, second.places, strict=True))
        scores = np.full((len(second.labels), len(first.labels)), np.nan)
        for row in self._best_places(places):
            x, y = places[row]
            scores[y, x] = self.mean_scores[row]
        self.image_ = self.ax_.pcolormesh(np.ma.masked_invalid(scores), **{"cmap": "viridis", **image_kwargs})
        self._add_colorbar()
        for x, y in {place for place, failed in zip(places, self._failed(), strict=True) if failed}:
            if np.isnan(scores[y, x]):
                style = {"facecolor": "0.9", "edgecolor": VERMILLION, "hatch": "xx", "linewidth": 0}
                self.failed_ = self.ax_.add_patch(Rectangle((x, y), 1, 1, **style, label="Failed"))
        first.label_cells(self.ax_.xaxis)
        second.label_cells(self.ax_.yaxis)
        if self.best is not None:
            x, y = places[self.best]
            # A corner, so that the score stays readable.
            self._mark_best(x + 0.85, y + 0.8, size=13, zorder=5)

    def _add_colorbar(self):
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=self.score_name)

    def _write_scores(self):
        """Write the scores into the cells of the heat map, if there is room."""
        scores = np.ma.atleast_2d(self.image_.get_array())
        scores = np.ma.array(scores, mask=np.ma.getmaskarray(scores))
        n_rows, n_columns = scores.shape
        width, height = axes_size(self.ax_)
        size = points("small")
        places = [(x, y) for y, x in np.ndindex(scores.shape) if not scores.mask[y, x]]
        texts = dict(zip(places, _alike([scores[y, x] for x, y in places]), strict=True))
        widest = max((text_width(text, size) for text in texts.values()), default=0)
        if widest > 0.7 * width / n_columns or 1.2 * size / 72 > 0.8 * height / n_rows:
            return
        for (x, y), text in texts.items():
            # Viridis is dark up to about its middle.
            color = "white" if self.image_.norm(scores[y, x]) < 0.55 else BLACK
            place = {"ha": "center", "va": "center", "fontsize": size}
            self.texts_.append(self.ax_.text(x + 0.5, y + 0.5, text, color=color, **place))


class _Axis:
    """Positions of the values of one parameter.

    ``places`` are the positions of the candidates among the sorted distinct values (see `_rank`),
    ``labels`` the names of these, ``positions`` the coordinates of the candidates.
    """

    def __init__(self, values):
        self.numeric = all(
            isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in values
        )
        if self.numeric:
            self.values = sorted(set(values))
            self.labels = [f"{value:g}" for value in self.values]
            places = {value: place for place, value in enumerate(self.values)}
            self.places = [places[value] for value in values]
            self.positions = np.asarray(values, dtype=float)
        else:
            names = [_label(value) for value in values]
            first = dict(zip(reversed(names), reversed(values), strict=True))
            self.labels = sorted(first, key=lambda name: _rank(first[name], name))
            self.places = [self.labels.index(name) for name in names]
            self.positions = np.asarray(self.places, dtype=float)

    def scale(self, axis, ax):
        """Set scale and ticks of an axis whose coordinates are `positions`."""
        if not self.numeric:
            axis.set_ticks(np.arange(len(self.labels)), self.labels)
            (ax.set_xlim if axis is ax.xaxis else ax.set_ylim)(-0.5, len(self.labels) - 0.5)
        elif _log_spaced(self.values):
            (ax.set_xscale if axis is ax.xaxis else ax.set_yscale)("log")
            if len(self.values) <= _FEW and self.values[-1] < _NARROW * self.values[0]:
                axis.set_ticks(self.values, self.labels)
                axis.set_ticks([], minor=True)

    def label_cells(self, axis):
        """Set the labels of the cells of a heat map."""
        axis.set_ticks(np.arange(len(self.labels)) + 0.5, self.labels)


def _turn_labels(ax):
    """Rotate the labels of the x-axis if they would overlap; return whether they are rotated."""
    width = axes_size(ax)[0]
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    widest = max((text_width(label.get_text(), points("medium")) for label in labels), default=0)
    turned = widest > 0.9 * width / max(1, len(labels))
    if turned:
        for label in labels:
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    return turned


def _chosen(params, columns):
    """Return the names of the parameters to draw."""
    if params is None:
        names = [
            name
            for name, values in columns.items()
            if len({_label(values[row]) for row in range(len(values)) if _has(values, row)}) > 1
        ]
        names = names or list(columns)[:1]
        if len(names) > 2:
            raise ValueError(
                f"{len(names)} parameters vary, and one or two can be drawn: give params= from {names}."
            )
        return names
    names = [params] if isinstance(params, str) else list(params)
    unknown = [name for name in names if name not in columns]
    if unknown or not 1 <= len(names) <= 2:
        raise ValueError(f"params={params!r}: choose one or two from {list(columns)}.")
    return names


def _has(values, row):
    return not np.ma.getmaskarray(values)[row] if np.ma.isMaskedArray(values) else True


def _last_trials(cv_results):
    """Return the rows of the results; of halving searches, the last of each candidate."""
    if "iter" not in cv_results:
        return range(
            len(next(values for name, values in cv_results.items() if name.startswith("mean_test_")))
        )
    last = {repr(params): row for row, params in enumerate(cv_results["params"])}
    return sorted(last.values())


def _label(value):
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_):
        return f"{value:g}"
    if isinstance(value, tuple | list | np.ndarray):
        text = "-".join(_label(part) for part in value) if len(value) else "none"
    elif isinstance(value, str):
        text = value
    elif callable(value) and hasattr(value, "__name__"):
        text = value.__name__
    elif type(value).__repr__ is object.__repr__ or hasattr(value, "get_params"):
        text = type(value).__name__
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 3]}..."


def _alike(scores):
    """Return scores as texts of three digits or more, with equally many decimals."""
    texts = [f"{score:.3g}" for score in scores]
    if any("e" in text for text in texts):
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [f"{score:.{decimals}f}" for score in scores]


def _rank(value, label):
    """Return a sort key: numbers, then sequences by their length, then names, then None."""
    if value is None:
        return (3,)
    if isinstance(value, Real | np.bool_):
        return (0, float(value))
    if isinstance(value, tuple | list | np.ndarray):
        return (1, len(value), [_rank(part, _label(part)) for part in value])
    return (2, label)


def _short_names(names):
    """Return names without the steps of a pipeline, unless two become the same."""
    short = [name.rpartition("__")[2] for name in names]
    return short if len(set(short)) == len(short) else names


def _log_spaced(values):
    """Return whether the logarithms of sorted values are spaced more evenly than the values."""
    values = np.asarray(values, dtype=float)
    if len(values) < 3 or values[0] <= 0 or values[-1] <= _LOG_SPAN * values[0]:
        return False

    def unevenness(places):
        places = (places - places[0]) / (places[-1] - places[0])
        return np.max(np.abs(places - np.linspace(0, 1, len(places))))

    return bool(unevenness(np.log(values)) < unevenness(values))
