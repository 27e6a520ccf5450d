"""Colours, names of scores, and legends of the displays."""

import math

# Okabe and Ito, "Color universal design", 2008: colours that people with any kind of colour vision can
# distinguish, without yellow, which is too pale for lines.
BLUE, VERMILLION, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#E69F00", "#000000", "#767676"
COLORS = (BLUE, VERMILLION, "#009E73", ORANGE, "#56B4E9", "#CC79A7", BLACK)

_CAPITALS = {"auc", "d2", "f1", "mae", "mape", "mse", "msle", "pr", "r2", "rmse", "roc"}
_SPELLING = {"iou": "IoU", "neg": "negative", "ovo": "OvO", "ovr": "OvR"}


def score_label(name):
    """Return the usual name of a score, such as "ROC AUC" for "roc_auc"."""
    words = [_SPELLING.get(word, word.upper() if word in _CAPITALS else word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def small_text():
    """Return the size of small text in points."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size="small").get_size_in_points()


def text_width(text, size):
    """Return the width of a line of text of ``size`` points, in inches."""
    from matplotlib.textpath import TextPath

    return TextPath((0, 0), text, size=size).get_extents().width / 72 if text.strip() else 0.0


def axes_size(ax):
    """Return the width and height of axes in inches, as the layout of the figure makes them."""
    ax.figure.draw_without_rendering()
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def grow(figure, n_lines):
    """Make a figure taller by some lines of small text."""
    figure.set_figheight(figure.get_figheight() + n_lines * 1.5 * small_text() / 72)


def add_legend(ax, handles, *, own_figure):
    """Add a legend: below the panels in a figure of skdl's, else inside ``ax``."""
    if not own_figure:
        return ax.legend(handles=handles, loc="best", fontsize="small")
    for n_columns in range(len(handles), 0, -1):
        legend = ax.figure.legend(
            handles=handles, loc="outside lower center", ncols=n_columns, fontsize="small"
        )
        if n_columns == 1 or legend.get_window_extent().width <= ax.figure.bbox.width:
            break
        legend.remove()
    grow(ax.figure, math.ceil(len(handles) / n_columns) - 1)
    return legend
