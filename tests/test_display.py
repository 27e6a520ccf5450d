"""The displays: what they take, what they draw, and that no text runs into another."""

import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import make_pipeline as imblearn_pipeline
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import skdl
from skdl import DNNClassifier, HistoryDisplay, MisclassifiedDisplay, SearchDisplay

SIZES = {"default": (6.4, 4.8), "column": (3.0, 2.4)}


@pytest.fixture(autouse=True)
def _figures():
    # Drawn nowhere, whatever the machine has.
    matplotlib.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(params=SIZES)
def size(request):
    with plt.rc_context({"figure.figsize": SIZES[request.param]}):
        yield request.param


def check_texts(figure):
    """Check that no text that is drawn overlaps another or leaves the figure."""
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        draw = Text.draw
        patch.setattr(Text, "draw", lambda text, renderer: (drawn.append(text), draw(text, renderer)))
        figure.draw_without_rendering()
    texts = [text for text in dict.fromkeys(drawn) if text.get_visible() and text.get_text().strip()]
    assert texts
    boxes = [text.get_window_extent(figure._get_renderer()) for text in texts]
    for index, (text, box) in enumerate(zip(texts, boxes, strict=True)):
        edges = min(box.x0, box.y0, figure.bbox.x1 - box.x1, figure.bbox.y1 - box.y1)
        assert edges > -2, f"{text} leaves the figure"
        for other, other_box in zip(texts[:index], boxes, strict=False):
            if text.get_rotation() % 90 and other.get_rotation() % 90:
                continue  # the boxes of turned texts overlap where they do not
            across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            up = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert min(across, up) < 1, f"{text} overlaps {other}"


class Trained(ClassifierMixin, BaseEstimator):
    """What trains by epochs, as far as a display looks; quick and without TensorFlow."""

    def __init__(self, epochs=6, early_stopping=False):
        self.epochs = epochs
        self.early_stopping = early_stopping

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        epochs = np.arange(self.epochs)
        val_loss = 0.3 + (epochs - 3) ** 2 / 40
        self.history_ = {
            "loss": list(1 / (1 + epochs)),
            "accuracy": list(1 - 0.5 / (1 + epochs)),
            "learning_rate": [0.1] * self.epochs,
            "val_loss": list(val_loss),
            "val_accuracy": list(0.9 - val_loss / 2),
        }
        self.best_epoch_ = 3
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture(scope="module")
def data():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def history(data):
    return Trained().fit(*data).history_


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X, y, GaussianNB().fit(X, y)


# HistoryDisplay


def test_history_of_an_estimator(data, size):
    fitted = Trained().fit(*data)
    display = HistoryDisplay.from_estimator(fitted)
    assert isinstance(display, HistoryDisplay)
    assert [ax.get_ylabel() for ax in display.axes_] == ["Loss", "Accuracy"]
    assert display.axes_[-1].get_xlabel() == "Epoch"
    assert display.ax_ is display.axes_[0]
    assert display.ax_.figure is display.figure_
    assert set(display.lines_) == {"loss", "val_loss", "accuracy", "val_accuracy"}
    (line,) = display.lines_["val_loss"]
    assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5, 6])
    assert_allclose(line.get_ydata(), fitted.history_["val_loss"])
    (best,) = display.best_["loss"]
    assert_allclose([best.get_xdata()[0], best.get_ydata()[0]], [4, fitted.history_["val_loss"][3]])
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts == ["Training", "Validation", "Best epoch: 4"]
    check_texts(display.figure_)


@pytest.mark.parametrize("make", [make_pipeline, imblearn_pipeline, skdl.make_pipeline])
def test_history_of_a_pipeline_and_of_a_search(make, data):
    pipeline = make(StandardScaler(), Trained()).fit(*data)
    from_pipeline = HistoryDisplay.from_estimator(pipeline)
    assert from_pipeline.best_epochs == [3]
    search = GridSearchCV(pipeline, {"trained__epochs": [5, 7]}, cv=2).fit(*data)
    from_search = HistoryDisplay.from_estimator(search)
    assert len(from_search.histories[0]["loss"]) == search.best_params_["trained__epochs"]


def test_history_of_a_real_network(data):
    X, y = data
    fitted = DNNClassifier((4,), epochs=2, batch_size=-1, validation_split=0.2, random_state=0).fit(X, y)
    display = HistoryDisplay.from_estimator(fitted, annotate=True)
    assert display.histories == [fitted.history_]
    assert display.text_.get_text().startswith("Too short to judge")


def test_history_of_a_cross_validation(data, size):
    results = cross_validate(Trained(), *data, cv=3, return_estimator=True)
    display = HistoryDisplay.from_cv_results(results, annotate=True)
    assert len(display.lines_["loss"]) == len(display.best_["loss"]) == 3
    assert "Training (3 runs)" in [text.get_text() for text in display.legend_.get_texts()]
    assert "3 of 3 runs" in display.text_.get_text().replace("\n", " ")
    check_texts(display.figure_)
    for given in (cross_validate(Trained(), *data, cv=2), [1]):
        with pytest.raises(ValueError, match="return_estimator=True"):
            HistoryDisplay.from_cv_results(given)


def test_history_of_named_runs(history, size):
    longer = {name: values + values[-1:] for name, values in history.items()}
    keras_history = type("History", (), {"history": longer})()
    display = HistoryDisplay.from_history({"a slow one": history, "a fast one": keras_history})
    assert display.names == ["a slow one", "a fast one"]
    first, second = display.lines_["loss"]
    assert first.get_color() != second.get_color()
    assert first.get_color() == display.lines_["val_loss"][0].get_color()
    check_texts(display.figure_)
    many = HistoryDisplay.from_history({str(run): history for run in range(12)}, metrics="loss")
    assert len({str(line.get_color()) for line in many.lines_["loss"]}) == 12


def test_history_without_validation(size):
    display = HistoryDisplay.from_history({"loss": [3.0, 2.0, 1.0]})
    # The last epoch has the lowest training loss nearly always: that is no mark.
    assert [text.get_text() for text in display.legend_.get_texts()] == ["Training"]
    assert display.best_ == {"loss": []}
    assert len(display.axes_) == 1
    check_texts(display.figure_)


def test_history_of_an_estimator_without_validation_marks_no_epoch(data):
    fitted = Trained().fit(*data)
    for name in [name for name in fitted.history_ if name.startswith("val_")]:
        del fitted.history_[name]
    display = HistoryDisplay.from_estimator(fitted)
    assert display.best_epochs == [None]
    assert display.best_ == {"loss": [], "accuracy": []}


def test_history_with_epochs_without_validation(size):
    loss, nan = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], np.nan
    for val_loss in ([nan, 0.8, nan, 0.6, nan, 0.7], [0.8, 0.6, 0.7]):
        display = HistoryDisplay.from_history({"loss": loss, "val_loss": val_loss})
        (line,) = display.lines_["val_loss"]
        assert_array_equal(line.get_xdata(), [2, 4, 6])
        assert_array_equal(line.get_ydata(), [0.8, 0.6, 0.7])
        (best,) = display.best_["loss"]
        assert [best.get_xdata()[0], best.get_ydata()[0]] == [4, 0.6]
        assert "Best epoch: 4" in [text.get_text() for text in display.legend_.get_texts()]
        check_texts(display.figure_)


def test_history_annotation_shades_the_explosion_alone():
    loss = np.r_[900.0, 30.0, 0.7 * np.exp(-np.arange(30) / 6) + 0.2]
    display = HistoryDisplay.from_history({"loss": loss}, annotate=True)
    assert display.text_.get_text().startswith("Explosion in the first epochs.")
    (shade,) = display.ax_.patches
    assert [shade.get_x(), shade.get_x() + shade.get_width()] == [1, 3]


def test_history_of_one_epoch_is_seen():
    display = HistoryDisplay.from_history({"loss": [3.0]})
    assert display.lines_["loss"][0].get_marker() == "."


def test_history_scale():
    assert HistoryDisplay.from_history({"loss": [1.0, 0.5]}).ax_.get_yscale() == "linear"
    assert HistoryDisplay.from_history({"loss": [1.0, 1e9, np.inf, np.nan]}).ax_.get_yscale() == "log"


def test_history_in_given_axes(history):
    figure, ax = plt.subplots()
    display = HistoryDisplay.from_history(history, ax=ax, metrics="loss")
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.legend_ is ax.get_legend()
    figure, axes = plt.subplots(2)
    display = HistoryDisplay.from_history(history, ax=axes)
    assert_array_equal(display.axes_, axes)
    with pytest.raises(ValueError, match="2 axes for 1 metrics"):
        display.plot(axes, metrics="accuracy")
    # One for two: they divide it.
    figure, ax = plt.subplots()
    display = HistoryDisplay.from_history(history, ax=ax)
    assert display.figure_ is figure
    assert list(display.axes_) == ax.child_axes
    check_texts(figure)


def test_history_metrics_and_kwargs(history):
    display = HistoryDisplay.from_history(
        history,
        metrics=["learning_rate"],
        train_kwargs={"color": "red"},
        val_kwargs={"linewidth": 3},
        best_kwargs={"marker": "s"},
    )
    assert set(display.lines_) == {"learning_rate"}
    assert display.lines_["learning_rate"][0].get_color() == "red"
    assert display.best_["learning_rate"][0].get_marker() == "s"
    assert display.plot(metrics="loss", val_kwargs={"linewidth": 3}) is display
    assert display.lines_["val_loss"][0].get_linewidth() == 3
    with pytest.raises(ValueError, match=r"metrics=\['recall'\]: choose from \['loss', 'accuracy'"):
        display.plot(metrics="recall")


def test_history_annotated(size):
    epochs = np.arange(30)
    history = {
        "loss": np.exp(-epochs / 8),
        "val_loss": np.where(epochs < 10, 1 - epochs / 20, 0.5 + (epochs - 10) / 30),
    }
    display = HistoryDisplay.from_history(history, annotate=True)
    assert display.text_.get_text().startswith("Over-fitting. From epoch 11")
    assert display.text_ in display.ax_.get_children()
    assert len(display.ax_.patches) == 1
    check_texts(display.figure_)
    assert display.plot().text_ is None


def test_history_without_findings_is_annotated_with_the_verdict():
    loss = np.r_[0.7, 0.5, np.full(20, 0.4)]
    display = HistoryDisplay.from_history({"loss": loss, "val_loss": loss + 0.01}, annotate=True)
    assert display.text_.get_text() == "Good fit."


def test_history_annotation_knows_early_stopping(data):
    stopped = Trained(epochs=30, early_stopping=True).fit(*data)
    verdicts = [HistoryDisplay.from_estimator(run).diagnoses[0].codes for run in (stopped,)]
    assert "overfitting" not in verdicts[0]
    stopped.set_params(early_stopping=False)
    assert "overfitting" in HistoryDisplay.from_estimator(stopped).diagnoses[0].codes


def test_history_of_nothing():
    with pytest.raises(NotFittedError, match="Call fit first"):
        HistoryDisplay.from_estimator(DNNClassifier())
    with pytest.raises(ValueError, match="empty list"):
        HistoryDisplay.from_history([])
    with pytest.raises(TypeError, match="got int"):
        HistoryDisplay.from_history(3)


# MisclassifiedDisplay


def test_misclassified(digits, size):
    X, y, clf = digits
    display = MisclassifiedDisplay.from_estimator(clf, X, y)
    wrong = np.flatnonzero(clf.predict(X) != y)
    assert display.n_errors == len(wrong)
    assert_array_equal(display.indices, wrong[:16])
    assert display.images.shape == (16, 8, 8)
    assert len(display.images_) == len(display.texts_) == 16
    assert_array_equal(display.images_[3].get_array(), X[wrong[3]].reshape(8, 8))
    row = wrong[0]
    assert_allclose(display.probabilities[0], clf.predict_proba(X[[row]]).max())
    caption = display.texts_[0].get_text()
    assert caption.startswith(f"true: {y[row]}\npred.: {clf.predict(X[[row]])[0]}")
    assert caption.endswith("(> 99.999 %)")
    assert display.ax_.get_title() == "255 of 1797 misclassified"
    check_texts(display.figure_)


@pytest.mark.parametrize(
    ("probability", "written"),
    [
        (0.43, "43 %"),
        (0.914, "91 %"),
        (0.993, "99.3 %"),
        (0.99962, "99.96 %"),
        (np.float32(1 - 1e-7), "> 99.999 %"),
        (1.0, "100 %"),
        (0.0042, "0.4 %"),
        (1e-9, "< 0.001 %"),
        (0.0, "0 %"),
    ],
)
def test_misclassified_probabilities_have_enough_digits(probability, written):
    display = MisclassifiedDisplay.from_predictions(
        np.zeros((1, 4, 4)), [0], [1], probabilities=[probability]
    )
    assert f"({written})" in display.texts_[0].get_text()
    check_texts(display.figure_)


@pytest.mark.parametrize(("n_images", "columns"), [(2, 2), (4, 2), (7, 4), (10, 5), (12, 4), (16, 4)])
def test_misclassified_leaves_few_cells_empty(n_images, columns):
    X = np.zeros((n_images, 4, 4))
    display = MisclassifiedDisplay.from_predictions(X, np.zeros(n_images), np.ones(n_images))
    assert len({image.get_extent()[0] for image in display.images_}) == columns


def test_misclassified_title_is_clear_of_the_images(digits, size):
    X, y, clf = digits
    for ax in (None, plt.figure().subplots(2, 2)[0, 0]):
        display = MisclassifiedDisplay.from_estimator(clf, X, y, n_images=6, ax=ax)
        display.figure_.draw_without_rendering()
        title = display.ax_.title.get_window_extent()
        highest = max(image.get_window_extent().y1 for image in display.images_)
        assert title.y0 - highest > 0.5 * title.height


def test_misclassified_takes_images_flattened_or_not(digits):
    X, y, clf = digits
    y_pred = clf.predict(X)
    expected = MisclassifiedDisplay.from_predictions(X, y, y_pred).images
    for images in (X.reshape(-1, 8, 8), X.reshape(-1, 8, 8, 1), pd.DataFrame(X)):
        assert_array_equal(MisclassifiedDisplay.from_predictions(images, y, y_pred).images, expected)
    wide = MisclassifiedDisplay.from_predictions(X, y, y_pred, image_shape=(4, 16))
    assert wide.images.shape == (16, 4, 16)
    rgb = np.random.RandomState(0).uniform(size=(3, 4, 5, 3))
    assert MisclassifiedDisplay.from_predictions(rgb, [0, 0, 1], [0, 1, 0]).images.shape == (2, 4, 5, 3)
    flat = rgb.reshape(3, -1)
    display = MisclassifiedDisplay.from_predictions(flat, [0, 0, 1], [0, 1, 0], image_shape=(4, 5, 3))
    assert_array_equal(display.images, rgb[1:])


def test_misclassified_order_and_names(digits, size):
    X, y, _ = digits
    names = ["a rather long name" if digit == 7 else f"digit {digit}" for digit in range(10)]
    display = MisclassifiedDisplay.from_estimator(
        make_pipeline(MinMaxScaler(), GaussianNB()).fit(X, y), X, y, order="confidence", target_names=names
    )
    assert (np.diff(display.probabilities) <= 0).all()
    assert set(display.y_true) <= set(names)
    check_texts(display.figure_)


def test_misclassified_without_probabilities(digits):
    X, y, _ = digits
    display = MisclassifiedDisplay.from_estimator(Trained().fit(X, y), X, y, n_images=5)
    assert display.probabilities is None
    assert "%" not in display.texts_[0].get_text()
    assert len(display.images_) == 5


def test_nothing_misclassified(digits):
    X, y, _ = digits
    display = MisclassifiedDisplay.from_predictions(X, y, y)
    assert display.ax_.get_title() == "None of 1797 misclassified"
    assert display.images_ == []
    check_texts(display.figure_)


def test_misclassified_in_given_axes(digits):
    X, y, clf = digits
    figure, (ax, _) = plt.subplots(1, 2)
    display = MisclassifiedDisplay.from_estimator(
        clf, X, y, n_images=6, ax=ax, n_columns=2, cmap="viridis", text_kwargs={"color": "red"}
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.images_[0].get_cmap().name == "viridis"
    assert display.texts_[0].get_color() == "red"
    assert display.plot(imshow_kwargs={"alpha": 0.5}) is display


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        (
            {"X": np.zeros((2, 10))},
            r"Rows of 10 numbers are no images of the shape \(3, 3\); give image_shape",
        ),
        (
            {"image_shape": (3, 4)},
            r"Rows of 16 numbers are no images of the shape \(3, 4\); give image_shape",
        ),
        ({"X": np.zeros((2, 4, 4, 2))}, r"1, 3 or 4 channels.*\(4, 4, 2\)"),
        ({"y_true": [0]}, "inconsistent numbers of samples"),
        ({"y_true": [[0, 1], [1, 0]]}, "one label for each row"),
        ({"order": "random"}, "choose 'index' or 'confidence'"),
        ({"order": "confidence"}, "needs probabilities"),
        ({"target_names": ["only one"]}, "1 names for the 2 classes"),
        ({"n_columns": 0}, "at least 1"),
    ],
)
def test_misclassified_errors(kwargs, match):
    given = {"X": np.zeros((2, 16)), "y_true": [0, 1], "y_pred": [1, 1], **kwargs}
    with pytest.raises(ValueError, match=match):
        MisclassifiedDisplay.from_predictions(**given)


# SearchDisplay


def results(failed=(), **params):
    """Return the results of a search over a grid, with made-up scores."""
    grid = np.meshgrid(*(np.arange(len(values)) for values in params.values()), indexing="ij")
    n = grid[0].size
    means, stds = np.linspace(0.5, 0.9, n), np.linspace(0.01, 0.1, n)
    means[list(failed)] = stds[list(failed)] = np.nan
    return {
        **{
            f"param_{name}": np.ma.array([values[place] for place in places.ravel()], dtype=object)
            for (name, values), places in zip(params.items(), grid, strict=True)
        },
        "mean_test_score": means,
        "std_test_score": stds,
    }


def test_search_line(size):
    display = SearchDisplay.from_cv_results(results(C=[0.01, 0.1, 1, 10], failed=[1]))
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_xlabel() == "C"
    assert display.ax_.get_ylabel() == "Score"
    assert_allclose(display.line_.get_xdata(), [0.01, 1, 10])
    assert_allclose(display.failed_.get_xdata(), [0.1])
    assert_allclose(display.best_.get_xdata(), [10])
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert labels == ["Mean of folds", "\u00b1 1 std", "Best", "Failed"]
    check_texts(display.figure_)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0.001, 0.01, 0.1], "log"),
        ([16, 32, 64, 128], "log"),
        ([10, 20, 50, 100], "log"),
        ([1, 2, 3, 4, 5], "linear"),
        ([0.0, 0.2, 0.5], "linear"),
        ([1, 1000], "linear"),
    ],
)
def test_search_scale(values, scale):
    assert SearchDisplay.from_cv_results(results(value=values)).ax_.get_xscale() == scale


@pytest.mark.parametrize(
    ("values", "labels"),
    [([16, 32, 64], ["16", "32", "64"]), ([0.001, 0.003, 0.01], ["0.001", "0.003", "0.01"])],
)
def test_search_labels_the_values_of_a_narrow_log_axis(values, labels, size):
    display = SearchDisplay.from_cv_results(results(value=values))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == labels
    check_texts(display.figure_)


class Penalty:
    """An object whose text does not tell its values."""


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([Penalty(), Penalty()], ["Penalty (1)", "Penalty (2)"]),
        ([SVC, SVC()], ["SVC (1)", "SVC (2)"]),
        ([StandardScaler(), StandardScaler(with_mean=False)], ["StandardScaler (1)", "StandardScaler (2)"]),
    ],
)
def test_search_tells_different_values_of_one_name_apart(values, labels):
    display = SearchDisplay.from_cv_results(results(seed=["a", "a"], value=values))
    assert display.ax_.get_xlabel() == "value"
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == labels
    assert display.line_.get_xdata().tolist() == [0, 1]
    assert_allclose(display.line_.get_ydata(), np.linspace(0.5, 0.9, 4)[2:])


def test_search_tells_numbers_apart_that_differ_little():
    display = SearchDisplay.from_cv_results(results(rate=[0.1, 0.1000001], size=[1, 2]))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["0.1", "0.1000001"]


def test_search_labels_of_functions_classes_and_objects():
    class Glorot:
        pass

    display = SearchDisplay.from_cv_results(results(value=[np.tanh, np.ndarray, Glorot()]))
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["Glorot", "ndarray", "tanh"]


def test_search_line_through_the_best_of_the_others():
    display = SearchDisplay.from_cv_results(
        results(epochs=[5, 10], optimizer=["sgd", "adam"]), params="epochs"
    )
    assert_allclose(display.line_.get_ydata(), np.linspace(0.5, 0.9, 4)[[1, 3]])
    assert_allclose(display.others_.get_ydata(), np.linspace(0.5, 0.9, 4)[[0, 2]])


def test_search_categories(size):
    sizes = [(32,), (64, 32), (128, 64, 32), ()]
    display = SearchDisplay.from_cv_results(results(dnn__hidden_layer_sizes=sizes))
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["none", "32", "64-32", "128-64-32"]
    assert display.ax_.get_xlabel() == "hidden_layer_sizes"
    assert display.line_.get_linestyle() == "None"
    check_texts(display.figure_)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([(32,), (8, 8), (8,), (32, 8), (8, 32, 8)], ["8", "32", "8-8", "32-8", "8-32-8"]),
        ([8, None, 4, 10], ["4", "8", "10", "None"]),
        (["sgd", "adam", "rmsprop"], ["adam", "rmsprop", "sgd"]),
        (["balanced", None, 0.5], ["0.5", "balanced", "None"]),
        ([True, False], ["False", "True"]),
    ],
)
def test_search_sorts_the_values_of_a_parameter(values, labels):
    display = SearchDisplay.from_cv_results(results(value=values))
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == labels
    # The last value has the highest score; it goes to its label.
    highest = labels.index(str(values[-1]) if not isinstance(values[-1], tuple) else "8-32-8")
    assert_allclose(display.best_.get_xdata(), [highest])
    crossed = SearchDisplay.from_cv_results(results(value=values, other=[1, 2]))
    assert [label.get_text() for label in crossed.ax_.get_xticklabels()] == labels
    assert_allclose(crossed.image_.get_array()[1, highest], 0.9)


@pytest.mark.parametrize(
    ("score", "written"),
    [
        ("roc_auc", "ROC AUC"),
        ("roc_auc_ovr_weighted", "ROC AUC OvR weighted"),
        ("f1_macro", "F1 macro"),
        ("neg_mean_squared_error", "Negative mean squared error"),
        ("r2", "R2"),
        ("balanced_accuracy", "Balanced accuracy"),
        ("ROC AUC", "ROC AUC"),
        ("right", "Right"),
    ],
)
def test_scores_have_their_usual_names(score, written):
    display = SearchDisplay.from_cv_results(results(C=[1, 2]), score_name=score)
    assert display.ax_.get_ylabel() == written
    assert HistoryDisplay.from_history({"loss": [2, 1], score: [0, 1]}).axes_[1].get_ylabel() == written


def test_search_shows_the_dot_of_the_best_candidate():
    random_search = {
        "param_lr": np.logspace(-3, -1, 8),
        "param_units": np.arange(8) ** 2,
        "mean_test_score": np.arange(8) / 10,
        "std_test_score": np.zeros(8),
    }
    for params, dots in (("lr", "line_"), (["lr", "units"], "image_")):
        display = SearchDisplay.from_cv_results(random_search, params=params)
        assert display.best_.get_zorder() < getattr(display, dots).get_zorder()
    assert display.best_.get_color() == "white"  # a dot of any colour is seen on it
    # The cells of a heat map would hide the star.
    grid = SearchDisplay.from_cv_results(results(lr=[1, 2], units=[1, 2]))
    assert grid.best_.get_zorder() > grid.image_.get_zorder()


def test_search_heat_map(size):
    display = SearchDisplay.from_cv_results(
        results(failed=[0, 5], learning_rate=[0.001, 0.01, 0.1], activation=["relu", "tanh", "logistic"])
    )
    scores = np.ma.masked_invalid(display.image_.get_array())
    assert scores.shape == (3, 3)
    assert scores.mask.sum() == 2
    assert len(display.ax_.patches) == 2
    assert display.colorbar_.ax.get_ylabel() == "Score"
    assert [text.get_text() for text in display.legend_.get_texts()] == ["Best", "Failed"]
    if size == "default":
        assert len(display.texts_) == 7
    check_texts(display.figure_)


def test_the_scores_in_a_heat_map_have_equally_many_decimals():
    scores = {"mean_test_score": [0.99, 0.8034, 0.79, 1.0], "std_test_score": [0.0] * 4}
    display = SearchDisplay.from_cv_results(
        {"param_a": [1, 1, 2, 2], "param_b": [1, 2, 1, 2], **{n: np.array(s) for n, s in scores.items()}}
    )
    assert sorted(text.get_text() for text in display.texts_) == ["0.790", "0.803", "0.990", "1.000"]


def test_search_points(data, size):
    rng = np.random.RandomState(0)
    params = {"C": 10 ** rng.uniform(-3, 3, size=30), "gamma": 10 ** rng.uniform(-4, 1, size=30)}
    cv_results = {f"param_{name}": values for name, values in params.items()}
    cv_results |= {"mean_test_score": rng.uniform(size=30), "std_test_score": rng.uniform(size=30)}
    cv_results["mean_test_score"][4] = np.nan
    display = SearchDisplay.from_cv_results(cv_results)
    assert len(display.image_.get_offsets()) == 29
    assert (display.ax_.get_xscale(), display.ax_.get_yscale()) == ("log", "log")
    assert_allclose(display.failed_.get_xdata(), params["C"][4])
    check_texts(display.figure_)


def test_search_of_an_estimator(data):
    pipeline = make_pipeline(StandardScaler(), SVC())
    grid = GridSearchCV(pipeline, {"svc__C": [0.1, 1, 10]}, scoring="balanced_accuracy", cv=2).fit(*data)
    display = SearchDisplay.from_estimator(grid)
    assert display.ax_.get_ylabel() == "Balanced accuracy"
    assert display.best == grid.best_index_
    assert_allclose(display.mean_scores, grid.cv_results_["mean_test_score"])
    scoring = ["accuracy", "f1_macro"]
    several = RandomizedSearchCV(
        SVC(), {"C": [0.1, 1, 10], "gamma": [0.1, 1]}, n_iter=5, scoring=scoring, refit="f1_macro", cv=2
    ).fit(*data)
    assert SearchDisplay.from_estimator(several).score_name == "F1 macro"
    chosen = SearchDisplay.from_estimator(several, metric="accuracy", score_name="right")
    assert chosen.score_name == "Right"
    assert_allclose(chosen.mean_scores, several.cv_results_["mean_test_accuracy"])


def test_search_of_several_grids_leaves_out_what_lacks_the_parameter(data):
    grid = GridSearchCV(SVC(), [{"C": [0.1, 1, 10]}, {"gamma": [0.1, 1]}], cv=2).fit(*data)
    display = SearchDisplay.from_estimator(grid, params="C")
    assert display.param_values == {"C": [0.1, 1, 10]}


def test_search_by_halving_takes_the_last_trial():
    cv_results = results(C=[1, 2, 3])
    cv_results = {name: np.r_[values, values[-1:]] for name, values in cv_results.items()}
    cv_results["mean_test_score"][-1] = 0.1
    cv_results |= {"iter": [0, 0, 0, 1], "params": [{"C": value} for value in (1, 2, 3, 3)]}
    assert_allclose(SearchDisplay.from_cv_results(cv_results).mean_scores, [0.5, 0.7, 0.1])


def test_search_all_failed():
    display = SearchDisplay.from_cv_results(results(C=[1, 2], failed=[0, 1]))
    assert display.best is display.best_ is None
    assert len(display.failed_.get_xdata()) == 2
    display = SearchDisplay.from_cv_results(results(C=[1, 2], gamma=[1, 2], failed=range(4)))
    assert display.failed_ is not None


def test_search_in_given_axes_and_kwargs():
    figure, ax = plt.subplots()
    display = SearchDisplay.from_cv_results(
        results(C=[1, 2, 3]), ax=ax, line_kwargs={"color": "red"}, spread_kwargs={"alpha": 0.5}
    )
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert display.line_.get_color() == "red"
    assert display.spread_.get_alpha() == 0.5
    assert display.plot() is display
    heat = SearchDisplay.from_cv_results(results(C=[1, 2], gamma=[1, 2]), image_kwargs={"cmap": "cividis"})
    assert heat.image_.get_cmap().name == "cividis"


def test_search_errors(data):
    three = results(a=[1, 2], b=[1, 2], c=[1, 2])
    with pytest.raises(ValueError, match=r"3 parameters vary.*params= from \['a', 'b', 'c'\]"):
        SearchDisplay.from_cv_results(three)
    for params in ("d", ["a", "b", "c"], []):
        with pytest.raises(ValueError, match=r"choose one or two from \['a', 'b', 'c'\]"):
            SearchDisplay.from_cv_results(three, params=params)
    with pytest.raises(ValueError, match=r"metric='f1': choose from \['score'\]"):
        SearchDisplay.from_cv_results(three, metric="f1")
    with pytest.raises(ValueError, match="no cv_results_"):
        SearchDisplay.from_estimator(GridSearchCV(SVC(), {"C": [1]}))
    with pytest.raises(ValueError, match="a dict; got list"):
        SearchDisplay.from_cv_results([])


def test_imports_no_estimator():
    code = (
        "import sys; from skdl import HistoryDisplay, SearchDisplay, MisclassifiedDisplay, diagnose; "
        "assert not {'tensorflow', 'keras', 'scikeras', 'matplotlib', 'skdl._base'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
