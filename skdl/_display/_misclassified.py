"""Images that were classified wrongly."""

import math

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from skdl._display._style import axes_size, small_text, text_width

# Smallest readable label, in points.
_READABLE = 6
# Space between images, as a share of their width, and between them and the title, in points.
_SPACE, _TITLE_PAD = 0.15, 12


class MisclassifiedDisplay:
    """A grid of wrongly classified images, with true and predicted label and probability.

    Made by `from_estimator` or `from_predictions`; `plot` draws it again.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width) or (n_images, height, width, channels)
        The images to draw; channels are 3 (colours) or 4 (colours and opacity).
    y_true, y_pred : array-like of shape (n_images,)
        Their true and predicted labels.
    probabilities : array-like of shape (n_images,), default=None
        What the classifier gave to its prediction, in [0, 1].
    indices : array-like of shape (n_images,), default=None
        Rows of the images in the data.
    n_errors : int, default=None
        How many rows were classified wrongly in all; None means those given.
    n_samples : int, default=None
        How many rows were classified; None leaves it unsaid.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
    texts_ : list of matplotlib Text
        The labels under the images.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : How many, instead of which ones.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skdl import MisclassifiedDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> display = MisclassifiedDisplay.from_estimator(GaussianNB().fit(X, y), X, y)
    >>> display.n_errors
    255
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, images, y_true, y_pred, *, probabilities=None, indices=None, n_errors=None, n_samples=None
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.probabilities = probabilities
        self.indices = indices
        self.n_errors = n_errors
        self.n_samples = n_samples

    @classmethod
    def from_estimator(cls, estimator, X, y, **kwargs) -> "MisclassifiedDisplay":
        """Classify images, and draw those that come out wrong.

        Parameters
        ----------
        estimator : fitted classifier
            Any of scikit-learn's interface, a Pipeline or a search too.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, channels])
            Images as ``estimator`` takes them.
        y : array-like of shape (n_samples,)
            True labels.
        **kwargs : dict
            Other arguments of `from_predictions` and `plot`, such as ``target_names``.

        Returns
        -------
        MisclassifiedDisplay

        Raises
        ------
        ValueError
            As `from_predictions`.
        """
        y_pred = np.asarray(estimator.predict(X))
        probabilities = None
        if hasattr(estimator, "predict_proba"):
            # Only those of the wrong rows, which are few.
            wrong = _wrong_rows(y, y_pred)
            probabilities = np.full(len(y_pred), np.nan)
            if len(wrong):
                columns = np.searchsorted(estimator.classes_, y_pred[wrong])
                rows = estimator.predict_proba(_safe_indexing(X, wrong))
                probabilities[wrong] = rows[np.arange(len(wrong)), columns]
        kwargs = {"probabilities": probabilities, "classes": estimator.classes_, **kwargs}
        return cls.from_predictions(X, y, y_pred, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X,
        y_true,
        y_pred,
        *,
        probabilities=None,
        classes=None,
        image_shape=None,
        target_names=None,
        n_images=16,
        order="index",
        **kwargs,
    ) -> "MisclassifiedDisplay":
        """Draw the images whose prediction is wrong.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, channels])
            Images, flattened or not.
        y_true, y_pred : array-like of shape (n_samples,)
            True and predicted labels.
        probabilities : array-like of shape (n_samples,), default=None
            Of the predicted labels, in [0, 1].
        classes : array-like of shape (n_classes,), default=None
            The labels, sorted; None takes those that occur.
        image_shape : tuple of int, default=None
            (height, width) or (height, width, channels) of flattened images; None takes
            them to be square and grey.
        target_names : array-like of str of shape (n_classes,), default=None
            Names of ``classes``, to write instead of the labels.
        n_images : int, default=16
            Draw no more than these.
        order : {"index", "confidence"}, default="index"
            Which come first: the first rows, or those with the highest probability,
            among which are wrong labels and hard cases.
        **kwargs : dict
            Arguments of `plot`, such as ``ax``.

        Returns
        -------
        MisclassifiedDisplay

        Raises
        ------
        ValueError
            If the lengths differ, a row has several labels, the rows are no square images and ``image_shape``
            is not given or does not fit, or ``order`` is "confidence" without probabilities.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> import numpy as np
        >>> from skdl import MisclassifiedDisplay
        >>> X = np.random.RandomState(0).uniform(size=(3, 8, 8))
        >>> display = MisclassifiedDisplay.from_predictions(X, [0, 1, 2], [0, 2, 2])
        >>> display.indices
        array([1])
        >>> plt.close(display.figure_)
        """
        if order not in ("index", "confidence"):
            raise ValueError(f"order={order!r}: choose 'index' or 'confidence'.")
        wrong = _wrong_rows(y_true, y_pred)
        if order == "confidence":
            if probabilities is None:
                raise ValueError(
                    "order='confidence' needs probabilities: give probabilities=, an estimator with "
                    "predict_proba, or order='index'."
                )
            wrong = wrong[np.argsort(-np.asarray(probabilities)[wrong], kind="stable")]
        n_errors, n_samples, wrong = len(wrong), len(y_true), wrong[:n_images]
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
        classes = np.unique([y_true, y_pred]) if classes is None else np.asarray(classes)
        y_true, y_pred = y_true[wrong], y_pred[wrong]
        if target_names is not None:
            if len(target_names) != len(classes):
                raise ValueError(
                    f"target_names has {len(target_names)} names for the {len(classes)} classes "
                    f"{list(classes)[:10]}; give one for each."
                )
            names = np.asarray(target_names, dtype=object)
            y_true, y_pred = (names[np.searchsorted(classes, labels)] for labels in (y_true, y_pred))
        display = cls(
            _as_images(_safe_indexing(X, wrong), image_shape),
            y_true,
            y_pred,
            probabilities=None if probabilities is None else np.asarray(probabilities)[wrong],
            indices=wrong,
            n_errors=n_errors,
            n_samples=n_samples,
        )
        return display.plot(**kwargs)

    def plot(
        self, ax=None, *, n_columns=None, cmap="gray_r", imshow_kwargs=None, text_kwargs=None
    ) -> "MisclassifiedDisplay":
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        n_columns : int, default=None
            Images beside each other. None means a nearly square grid with few cells
            empty, or as many columns as leave the labels readable.
        cmap : str or matplotlib Colormap, default="gray_r"
            For grey images; "gray_r" draws high values dark, as ink on paper.
        imshow_kwargs, text_kwargs : dict, default=None
            For ``Axes.imshow`` and ``Axes.text``.

        Returns
        -------
        MisclassifiedDisplay
            The display itself.

        Raises
        ------
        ValueError
            If ``n_columns`` is less than one.
        """
        import matplotlib.pyplot as plt

        if n_columns is not None and n_columns < 1:
            raise ValueError(f"n_columns={n_columns!r}: give a whole number, at least 1, or None.")
        own_figure = ax is None
        if own_figure:
            ax = plt.figure(layout="constrained").subplots()
        self.ax_, self.figure_ = ax, ax.figure
        ax.set_axis_off()
        width = axes_size(ax)[0]
        # The probability stands behind the label, or below it where that allows more columns.
        captions = [[self._caption(index, space) for index in range(len(self.images))] for space in " \n"]
        layouts = [(*_columns(each, width, n_columns), each) for each in captions]
        n_columns, size, captions = max(layouts, key=lambda layout: layout[0])
        # In widths of an image: its height, and that of the caption below it.
        height = self.images.shape[1] / self.images.shape[2] if len(self.images) else 0
        cell = width / (n_columns * (1 + _SPACE))
        n_lines = captions[0].count("\n") + 1.9 if captions else 0
        step = height + n_lines * size * 1.2 / 72 / cell
        self.images_, self.texts_ = [], []
        style = {"cmap": cmap, "interpolation": "nearest", **(imshow_kwargs or {})}
        place = {"ha": "center", "va": "top", "fontsize": size, "linespacing": 1.1, **(text_kwargs or {})}
        for index, (image, caption) in enumerate(zip(self.images, captions, strict=True)):
            left, top = (index % n_columns) * (1 + _SPACE), (index // n_columns) * step
            bottom = top + height
            self.images_.append(ax.imshow(image, extent=(left, left + 1, bottom, top), **style))
            self.texts_.append(ax.text(left + 0.5, bottom + 0.04, caption, **place))
        n_rows = math.ceil(len(captions) / n_columns)
        if captions:
            ax.set_xlim(-_SPACE / 2, n_columns * (1 + _SPACE) - _SPACE / 2)
            ax.set_ylim(n_rows * step, 0)
            ax.set_aspect("equal")
        if own_figure:
            title = 2.5 * plt.rcParams["font.size"] + _TITLE_PAD
            self.figure_.set_figheight(max(width / 4, n_rows * step * cell + title / 72))
        n_errors = len(self.images) if self.n_errors is None else self.n_errors
        of = "" if self.n_samples is None else f" of {self.n_samples}"
        ax.set_title(f"{n_errors or None}{of} misclassified", fontsize="medium", pad=_TITLE_PAD)
        return self

    def _caption(self, index, space):
        caption = f"true: {self.y_true[index]}\npred.: {self.y_pred[index]}"
        if self.probabilities is not None and np.isfinite(self.probabilities[index]):
            caption += f"{space}({_percent(float(self.probabilities[index]))})"
        return caption


def _percent(probability):
    """Return a probability in percent, with enough digits to differ from 0 and 100."""
    rest = 100 * min(probability, 1 - probability)
    if 0 < rest < 0.001:
        return "> 99.999 %" if probability > 0.5 else "< 0.001 %"
    digits = max(0, -math.floor(math.log10(rest))) if rest else 0
    return f"{100 * probability:.{digits}f} %"


def _wrong_rows(y_true, y_pred):
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    check_consistent_length(y_true, y_pred)
    kinds = {type_of_target(y_true), type_of_target(y_pred)}
    if not kinds <= {"binary", "multiclass"}:
        raise ValueError(
            f"Expected one label for each row, got targets of the kinds {sorted(kinds)}; give labels, "
            "not one-hot rows or probabilities."
        )
    return np.flatnonzero(y_true != y_pred)


def _as_images(rows, shape):
    """Return an array of shape (n, height, width) or (n, height, width, channels)."""
    rows = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    if shape is None and rows.ndim == 2:
        shape = (math.isqrt(rows.shape[1]),) * 2
    if shape is not None:
        if len(rows) and np.prod(shape) != rows[0].size:
            raise ValueError(
                f"Rows of {rows[0].size} numbers are no images of the shape {tuple(shape)}; give "
                "image_shape=(height, width) or (height, width, channels)."
            )
        rows = rows.reshape(len(rows), *shape)
    if rows.ndim == 4 and rows.shape[3] == 1:
        rows = rows[..., 0]
    if rows.ndim not in (3, 4) or (rows.ndim == 4 and rows.shape[3] not in (3, 4)):
        raise ValueError(
            f"Images have the shape (height, width), with 1, 3 or 4 channels behind it or none; got "
            f"{rows.shape[1:]}."
        )
    return rows


def _columns(captions, width, n_columns):
    """Return the number of columns and the size of the text, in points."""
    widest = max((text_width(line, 10) for caption in captions for line in caption.split("\n")), default=1)

    def size(columns):
        return min(small_text(), 10 * width / columns * 0.88 / widest)

    if n_columns is None:
        square = max(1, math.ceil(math.sqrt(len(captions))))
        # The squarest grid, unless a wider one has a fuller last row.
        wider = range(square, square + square // 2 + 1)
        n_columns = min(wider, key=lambda columns: -len(captions) % columns)
        while n_columns > 1 and size(n_columns) < _READABLE:
            n_columns -= 1
    return n_columns, size(n_columns)
