"""Scores of a search against its parameters."""

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np

from skdl._display._style import BLACK, BLUE, GREY, ORANGE, VERMILLION, add_legend, grow, score_label

# Share of tried cells from which a grid is a heat map; else, as after a random search, it is points.
_FILLED = 0.5
# Three or more values may be log-spaced if they span more than this factor.
_LOG_SPAN = 3
# A logarithmic axis that spans less than this factor has few powers of ten, so that up to _FEW values are
# labelled instead.
_NARROW, _FEW = 100, 5
_LONGEST_LABEL = 20


class SearchDisplay:
    """A fitted search's scores against one or two of its parameters.

    Made by `from_estimator` or `from_cv_results`; `plot` draws it again. One parameter gives a line through
    the best candidate at each value, with the spread of its folds, and a dot for each other candidate. Two
    give a heat map of the best candidate at each pair of values, or points where most pairs were not tried.
    Axes of log-spaced values are logarithmic; other values are sorted, layers by their number.

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
    def from_estimator(cls, search, *, metric=None, score_name=None, **kwargs) -> "SearchDisplay":
        """Draw a fitted search.

        Parameters
        ----------
        search : fitted search
            For instance a ``GridSearchCV``: anything with ``cv_results_``.
        metric, score_name : str, default=None
            Which score, by default that of ``refit``, and its name for the axis.
        **kwargs : dict
            Other arguments of `from_cv_results` and `plot`, such as ``params``.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        ValueError
            As `from_cv_results`, and if ``search`` is not fitted.
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
        return cls.from_cv_results(search.cv_results_, metric=metric, score_name=score_name, **kwargs)

    @classmethod
    def from_cv_results(
        cls, cv_results, *, params=None, metric=None, score_name=None, **kwargs
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
        metric, score_name : str, default=None
            Which score, needed where there are several, and its name for the axis.
        **kwargs : dict
            Arguments of `plot`, such as ``ax``.

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
        metrics = _after("mean_test_", cv_results)
        if metric is None and len(metrics) == 1:
            (metric,) = metrics
        if metric not in metrics:
            raise ValueError(f"metric={metric!r}: choose from {list(metrics)}.")
        columns = _after("param_", cv_results)
        names = _chosen(params, columns)
        rows = range(len(metrics[metric]))
        if "iter" in cv_results:  # of a halving search: the last trial of each candidate
            rows = sorted({repr(params): row for row, params in enumerate(cv_results["params"])}.values())
        rows = [row for row in rows if all(_has(columns[name], row) for name in names)]
        means = np.asarray(metrics[metric], dtype=float)[rows]
        return cls(
            {name: [columns[name][row] for row in rows] for name in names},
            means,
            np.asarray(cv_results[f"std_test_{metric}"], dtype=float)[rows],
            best=int(np.nanargmax(means)) if np.isfinite(means).any() else None,
            score_name=score_label(metric if score_name is None else score_name),
        ).plot(**kwargs)

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
            For ``Axes.pcolormesh`` (``Axes.scatter`` where most pairs were not tried), with two parameters.

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
        axes = [_Axis(values) for values in self.param_values.values()]
        n_cells = math.prod(len(axis.labels) for axis in axes)
        places = list(zip(*(axis.places for axis in axes), strict=True))
        is_grid = len(axes) == 2 and len(set(places)) >= _FILLED * n_cells
        if len(axes) == 1:
            self._plot_line(*axes, line_kwargs or {}, spread_kwargs or {})
        elif is_grid:
            self._plot_grid(places, (len(axes[1].labels), len(axes[0].labels)), image_kwargs or {})
        else:
            x, y = (axis.positions for axis in axes)
            done = np.isfinite(self.mean_scores)
            style = {"cmap": "viridis", "edgecolors": "white", "linewidths": 0.5, "s": 45}
            style |= {"c": self.mean_scores[done], **(image_kwargs or {})}
            self.image_ = ax.scatter(x[done], y[done], **style)
            if not done.all():
                self._mark_failed(x[~done], y[~done])
            if self.best is not None:
                self._mark_best(x[self.best], y[self.best], color="white")
        names = list(self.param_values)
        short = [name.rpartition("__")[2] for name in names]  # without the steps of a pipeline
        names = short if len(set(short)) == len(short) else names
        for axis, of, label in zip(axes, (ax.xaxis, ax.yaxis), names, strict=False):
            axis.scale(of, is_grid)
            of.set_label_text(label)
        if len(axes) == 1:
            ax.set_ylabel(self.score_name)
        else:
            self.colorbar_ = self.figure_.colorbar(self.image_, ax=ax, label=self.score_name)
        if (is_grid or not axes[0].numeric) and _turn_labels(ax) and own_figure:
            grow(self.figure_, 2)
        if is_grid:
            self._write_scores()
        handles = [self.line_, self.spread_, self.others_, self.best_, self.failed_]
        handles = [handle for handle in handles if handle is not None]
        if handles:
            self.legend_ = add_legend(ax, handles, own_figure=own_figure)
        return self

    def _best_at(self, places):
        """Return the best candidate at each place, the places in their order."""
        ranked = sorted(np.flatnonzero(np.isfinite(self.mean_scores)), key=lambda row: -self.mean_scores[row])
        best = {}
        for row in ranked:
            best.setdefault(places[row], row)
        return [best[place] for place in sorted(best)]

    def _mark_best(self, x, y, color=ORANGE, zorder=0.9):
        # Below the dot of the candidate, which must be visible.
        style = {"marker": "*", "markersize": 15, "markeredgecolor": BLACK, "markeredgewidth": 0.7}
        style |= {"color": color, "linestyle": "none", "zorder": zorder, "label": "Best"}
        (self.best_,) = self.ax_.plot(x, y, **style)

    def _mark_failed(self, x, y, **kwargs):
        style = {"color": VERMILLION, "markeredgewidth": 2, "label": "Failed", **kwargs}
        (self.failed_,) = self.ax_.plot(x, y, "x", **style)

    def _plot_line(self, axis, line_kwargs, spread_kwargs):
        x, done = axis.positions, np.isfinite(self.mean_scores)
        rows = self._best_at(axis.places)
        means, stds = self.mean_scores[rows], self.std_scores[rows]
        style = {"color": BLUE, "label": "Mean of folds", "marker": "o", "markersize": 4}
        style["linestyle"] = "-" if axis.numeric else "none"
        (self.line_,) = self.ax_.plot(x[rows], means, **{**style, **line_kwargs})
        style = {"color": BLUE, "label": "\u00b1 1 std"}
        if axis.numeric:
            style = {**style, "alpha": 0.2, "linewidth": 0, "zorder": 0.8, **spread_kwargs}
            self.spread_ = self.ax_.fill_between(x[rows], means - stds, means + stds, **style)
        else:
            style = {**style, "capsize": 4, "linestyle": "none", **spread_kwargs}
            self.spread_ = self.ax_.errorbar(x[rows], means, yerr=stds, **style)
        others = np.setdiff1d(np.flatnonzero(done), rows)
        if len(others):
            style = {"color": GREY, "markersize": 4, "zorder": 1, "label": "Other candidates"}
            (self.others_,) = self.ax_.plot(x[others], self.mean_scores[others], ".", **style)
        if not done.all():
            # At the bottom of the axes, since they have no score.
            height = np.full((~done).sum(), 0.03)
            self._mark_failed(x[~done], height, transform=self.ax_.get_xaxis_transform())
        if self.best is not None:
            self._mark_best(x[self.best], self.mean_scores[self.best])

    def _plot_grid(self, places, shape, image_kwargs):
        from matplotlib.patches import Rectangle

        scores = np.full(shape, np.nan)
        for row in self._best_at(places):
            scores[places[row][::-1]] = self.mean_scores[row]
        self.image_ = self.ax_.pcolormesh(np.ma.masked_invalid(scores), **{"cmap": "viridis", **image_kwargs})
        style = {"facecolor": "0.9", "edgecolor": VERMILLION, "hatch": "xx", "linewidth": 0}
        for place in {place for place in places if np.isnan(scores[place[::-1]])}:
            self.failed_ = self.ax_.add_patch(Rectangle(place, 1, 1, **style, label="Failed"))
        if self.best is not None:
            x, y = places[self.best]
            # A corner, so that the score stays readable.
            self._mark_best(x + 0.85, y + 0.8, zorder=5)

    def _write_scores(self):
        """Write the scores into the cells of the heat map, if there is room."""
        scores = np.ma.filled(self.image_.get_array(), np.nan)
        largest = np.nanmax(np.abs(scores), initial=1e-9)
        decimals = max(0, 3 - math.ceil(math.log10(largest)))
        style = {"ha": "center", "va": "center", "fontsize": "small"}
        for y, x in np.argwhere(np.isfinite(scores)):
            # Viridis is dark up to about its middle.
            color = "white" if self.image_.norm(scores[y, x]) < 0.55 else BLACK
            text = f"{scores[y, x]:.{decimals}f}"
            self.texts_.append(self.ax_.text(x + 0.5, y + 0.5, text, color=color, **style))
        self.figure_.draw_without_rendering()
        cell = self.ax_.bbox.width / scores.shape[1], self.ax_.bbox.height / scores.shape[0]
        boxes = [text.get_window_extent() for text in self.texts_]
        if any(box.width > 0.7 * cell[0] or box.height > 0.7 * cell[1] for box in boxes):
            for text in self.texts_:
                text.remove()
            self.texts_ = []


class _Axis:
    """Positions of the values of one parameter.

    ``places`` are the positions of the candidates among ``labels``, the names of the sorted values;
    ``positions`` are their coordinates where the axis is no heat map's.
    """

    def __init__(self, values):
        self.numeric = all(map(_is_number, values))
        names = _labels(values)
        value_of = dict(zip(names, values, strict=True))
        self.labels = sorted(value_of, key=lambda name: _rank(value_of[name], name))
        self.places = [self.labels.index(name) for name in names]
        self.positions = np.asarray(values if self.numeric else self.places, dtype=float)

    def scale(self, axis, is_grid):
        """Set scale and ticks of an axis of matplotlib."""
        if is_grid:
            axis.set_ticks(np.arange(len(self.labels)) + 0.5, self.labels)
        elif not self.numeric:
            axis.set_ticks(np.arange(len(self.labels)), self.labels)
            axis.set_view_interval(-0.5, len(self.labels) - 0.5, ignore=True)
        elif _log_spaced(values := np.unique(self.positions)):
            getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
            if len(values) <= _FEW and values[-1] < _NARROW * values[0]:
                axis.set_ticks(values, self.labels)
                axis.set_ticks([], minor=True)


def _turn_labels(ax):
    """Rotate the labels of the x-axis if they would overlap; return whether they are rotated."""
    ax.figure.draw_without_rendering()
    labels = [label for label in ax.get_xticklabels() if label.get_text()]
    widest = max((label.get_window_extent().width for label in labels), default=0)
    turned = widest > 0.9 * ax.bbox.width / max(1, len(labels))
    for label in labels if turned else ():
        label.set(rotation=45, ha="right", rotation_mode="anchor")
    return turned


def _after(prefix, columns):
    """Return the columns whose names begin with a prefix, by the rest of their names."""
    return {name[len(prefix) :]: values for name, values in columns.items() if name.startswith(prefix)}


def _chosen(params, columns):
    """Return the names of the parameters to draw."""
    if params is None:
        names = [
            name
            for name, values in columns.items()
            if len(set(_labels(values[row] for row in range(len(values)) if _has(values, row)))) > 1
        ]
        if len(names) > 2:
            raise ValueError(
                f"{len(names)} parameters vary, and one or two can be drawn: give params= from {names}."
            )
        return names or list(columns)[:1]
    names = [params] if isinstance(params, str) else list(params)
    if len(names) not in (1, 2) or not set(names) <= set(columns):
        raise ValueError(f"params={params!r}: choose one or two from {list(columns)}.")
    return names


def _has(values, row):
    """Return whether a candidate has a parameter: in several grids, some lack it."""
    return not np.ma.getmaskarray(values)[row] if np.ma.isMaskedArray(values) else True


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _labels(values):
    """Return a short text for each value of a parameter; the texts of different values differ."""
    known, found = {}, []
    for value in values:
        text, has_text = _label(value), type(value).__repr__ is not object.__repr__
        # Numbers are compared by their values, other objects by type and text.
        key = value if _is_number(value) else (type(value), repr(value) if has_text else id(value))
        numbers = known.setdefault(text, {})
        found.append((value, text, numbers.setdefault(key, len(numbers) + 1)))
    return [
        text if len(known[text]) == 1 else str(value) if _is_number(value) else f"{text} ({number})"
        for value, text, number in found
    ]


def _label(value):
    """Return a short text for the value of a parameter."""
    if _is_number(value):
        return f"{value:g}"
    if isinstance(value, tuple | list | np.ndarray):
        text = "-".join(map(_label, value)) if len(value) else "none"
    elif isinstance(value, str):
        text = value
    elif callable(value) and hasattr(value, "__name__"):
        text = value.__name__
    elif type(value).__repr__ is object.__repr__ or hasattr(value, "get_params"):
        text = type(value).__name__
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 3]}..."


def _rank(value, label):
    """Return a sort key: numbers, then sequences by their length, then names, then None."""
    if value is None:
        return (3,)
    if isinstance(value, Real | np.bool_):
        return (0, float(value))
    if isinstance(value, tuple | list | np.ndarray):
        return (1, len(value), [_rank(part, _label(part)) for part in value])
    return (2, label)


def _log_spaced(values):
    """Return whether the logarithms of sorted values are spaced more evenly than the values."""
    if len(values) < 3 or values[0] <= 0 or values[-1] <= _LOG_SPAN * values[0]:
        return False

    def unevenness(places):
        places = (places - places[0]) / (places[-1] - places[0])
        return np.max(np.abs(places - np.linspace(0, 1, len(places))))

    return unevenness(np.log(values)) < unevenness(values)
