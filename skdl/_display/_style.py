"""Colours, labels and sizes of text for all displays."""

import math
import textwrap

import numpy as np

# Okabe and Ito, "Color universal design", 2008: colours that people with any kind of colour vision can
# distinguish, without yellow, which is too pale for lines.
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
    "#000000",
)
COLORS = (BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE, BLACK)
GREY = "#767676"


# Usual spelling of words in the names of scores.
_SPELLING = {
    "auc": "AUC",
    "d2": "D2",
    "f1": "F1",
    "iou": "IoU",
    "mae": "MAE",
    "mape": "MAPE",
    "mse": "MSE",
    "msle": "MSLE",
    "neg": "negative",
    "ovo": "OvO",
    "ovr": "OvR",
    "pr": "PR",
    "r2": "R2",
    "rmse": "RMSE",
    "roc": "ROC",
}


def score_label(name):
    """Return the usual name of a score, such as "ROC AUC" for "roc_auc"."""
    words = [_SPELLING.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def points(size):
    """Return a font size such as "small" in points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=size).get_size_in_points()


def text_width(text, size):
    """Return the width of a line of text of ``size`` points, in inches."""
    from matplotlib.textpath import TextPath

    return TextPath((0, 0), text, size=size).get_extents().width / 72 if text.strip() else 0.0


def axes_size(ax):
    """Return the width and height of axes, in inches."""
    # Runs the figure's layout engine.
    ax.figure.draw_without_rendering()
    box = ax.get_position()
    width, height = ax.figure.get_size_inches()
    return box.width * width, box.height * height


def folded(text, width, size):
    """Break a text into lines no wider than ``width`` inches."""
    mean = text_width(text, size) / len(text)
    return "\n".join(textwrap.wrap(text, max(10, int(0.95 * width / mean))))


def add_legend(ax, handles, *, own_figure):
    """Add a legend: below the panels in a figure of skdl's, else inside ``ax``."""
    if not own_figure:
        return ax.legend(handles=handles, loc="best", fontsize="small")
    for size in (points("medium"), points("small")):
        # Plus handle, padding and space between columns: matplotlib's defaults, rounded up.
        entries = [text_width(handle.get_label(), size) + 5 * size / 72 for handle in handles]
        columns = max(
            (n for n in range(1, len(handles) + 1) if _widths(entries, n) <= ax.figure.get_figwidth()),
            default=1,
        )
        if columns == len(handles):
            break
    grow(ax.figure, math.ceil(len(handles) / columns) - 1, size)
    return ax.figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=size)


def _widths(entries, n_columns):
    # matplotlib fills a legend by columns; the first ones take the remainder.
    rows, longer = divmod(len(entries), n_columns)
    ends = np.cumsum([rows + (column < longer) for column in range(n_columns)])
    return sum(max(column) for column in np.split(entries, ends[:-1]))


def grow(figure, lines, size):
    """Make a figure taller by some lines of text of ``size`` points."""
    figure.set_figheight(figure.get_figheight() + lines * 1.5 * size / 72)
