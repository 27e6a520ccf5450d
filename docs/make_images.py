"""Draw the pictures of the README and the guide from real trainings.

Run it in the root of the repository where a display has changed, and look at what it
draws: ``python docs/make_images.py``.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skdl import (
    DNNClassifier,
    HistoryDisplay,
    MisclassifiedDisplay,
    SearchDisplay,
    make_pipeline,
)

IMAGES = Path(__file__).parent / "images"


def save(display, name):
    """Save a picture, small enough for the repository."""
    path = IMAGES / f"{name}.png"
    display.figure_.savefig(path, dpi=110)
    plt.close(display.figure_)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def history():
    """Draw a network that learns by heart, annotated with its diagnosis."""
    X, y = load_breast_cancer(return_X_y=True)
    net = DNNClassifier((64, 64), epochs=30, learning_rate=0.002, validation_split=0.3, random_state=0)
    model = make_pipeline(StandardScaler(), net).fit(X, y)
    save(HistoryDisplay.from_estimator(model, metrics="loss", annotate=True), "history")


def search():
    """Draw a grid search over learning rate and layers."""
    X, y = load_breast_cancer(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), DNNClassifier(epochs=15, random_state=0))
    grid = {
        "dnnclassifier__hidden_layer_sizes": [(8,), (32,), (32, 16), (64, 32)],
        "dnnclassifier__learning_rate": [1e-4, 1e-3, 1e-2, 1e-1],
    }
    fitted = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=5).fit(X, y)
    save(SearchDisplay.from_estimator(fitted), "search")


def misclassified():
    """Draw the handwritten digits that a dense network takes for others."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    model = make_pipeline(MinMaxScaler(), DNNClassifier((32,), epochs=20, random_state=0)).fit(X, y)
    save(
        MisclassifiedDisplay.from_estimator(
            model, X_test, y_test, image_shape=(8, 8), n_images=8, n_columns=4
        ),
        "misclassified",
    )


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for draw in (history, search, misclassified):
        draw()
