"""
MNIST: how many errors, and which ones
======================================

An accuracy close to one hides what is left, so this example counts the errors and looks at
them; shifted copies of the training digits leave fewer.

One wide hidden layer of 1000 units reads handwritten digits. Without ``--data`` the small digits
that come with scikit-learn stand in for MNIST, enlarged to its 28 x 28 pixels, half of them to
test on. The run prints::

    Test loss 0.101, test accuracy 0.9733
    Errors: 24 of 899 test digits
    With shifted copies: 20 errors of 899

With the original digits it prints::

    Test loss 0.066, test accuracy 0.9828
    Errors: 172 of 10000 test digits
    With shifted copies: 119 errors of 10000
"""

# %%
# Set-up
# ------
# ``--data`` names an ``mnist.npz``: ``keras.datasets.mnist.load_data()`` downloads it to
# ``~/.keras/datasets``.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skdl import HistoryDisplay, KerasClassifier, MisclassifiedDisplay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=10, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="an mnist.npz; none takes scikit-learn's digits")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
# Here the images keep their shape, height by width; the network flattens them itself.
# The labels stay the integers that they are.

if args.data:
    with np.load(args.data) as file:
        X_train, y_train = file["x_train"] / 255, file["y_train"].astype(int)
        X_test, y_test = file["x_test"] / 255, file["y_test"].astype(int)
    seconds = 30
else:
    digits = load_digits()
    # Each pixel becomes a square of 3 x 3, and a margin of 2 goes around: 8 * 3 + 4 = 28.
    images = np.pad(np.kron(digits.images / 16, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))
    X_train, X_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.5, stratify=digits.target, random_state=0
    )
    seconds = 2
print(f"Images to learn from: {X_train.shape}, to test on: {X_test.shape}; labels: {y_train[:5]}")

# %%
# The network
# -----------
# A function builds the network; ``meta`` tells it what was learnt from the data. The loss
# is the one for integer labels, so nobody needs to encode them.

import keras


def build(meta):
    return keras.Sequential(
        [
            keras.Input(shape=meta["X_shape_"][1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(1000, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


clf = KerasClassifier(
    build,
    optimizer="adam",
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    batch_size=100,
    epochs=args.epochs,
    random_state=0,
)
print(f"Training: about {seconds} s on two cores")
clf.set_callbacks(ProgressBar()).fit(X_train, y_train)

display = HistoryDisplay.from_estimator(clf)
display.figure_.savefig(args.output / "mnist_errors_curve.png", dpi=150)

# %%
# The number of errors
# --------------------

loss, accuracy = clf.model_.evaluate(X_test, y_test, verbose=0)
print(f"Test loss {loss:.3f}, test accuracy {accuracy:.4f}")
y_pred = clf.predict(X_test)
n_errors = np.count_nonzero(y_pred != y_test)
print(f"Accuracy on the training digits: {clf.score(X_train, y_train):.4f}")
print(f"Errors: {n_errors} of {len(y_test)} test digits")

# %%
# The errors
# ----------
# Sixteen of them, those first of which the network was most certain. Some are its fault;
# of others a person could not be certain either.

display = MisclassifiedDisplay.from_estimator(clf, X_test, y_test, n_images=16, order="confidence")
display.figure_.savefig(args.output / "mnist_errors_grid.png", dpi=150)

# %%
# Which digits are taken for which
# --------------------------------
# The diagonal, where all is well, is emptied, and the errors have the colours.

figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
confusion = ConfusionMatrixDisplay.from_predictions(
    y_test, y_pred, labels=clf.classes_, ax=ax, cmap="Blues", colorbar=False
)
errors = confusion.confusion_matrix.copy()
np.fill_diagonal(errors, 0)
confusion.im_.set_data(errors)
confusion.im_.set_clim(0, max(1, errors.max()))
for text, count in zip(confusion.text_.ravel(), errors.ravel(), strict=True):
    text.set_color("white" if count > errors.max() / 2 else "black")
    text.set_text(str(count or ""))
ax.set_title(f"{n_errors} errors, by digit")
figure.savefig(args.output / "mnist_errors_confusion.png", dpi=150)

true, predicted = np.unravel_index(errors.argmax(), errors.shape)
print(f"Most frequent: a {true} taken for a {predicted}, {errors.max()} times")

# %%
# Better: the same digits, shifted
# --------------------------------
# A dense network does not know that a digit stays the same when it is moved by a pixel: its
# weights belong to places. Four shifted copies of each training digit teach it, and cost
# nothing but time. Of the original test digits 130 are errors then, in place of 188.

shifted = [np.roll(X_train, shift, axis) for axis in (1, 2) for shift in (-1, 1)]
X_more, y_more = np.concatenate([X_train, *shifted]), np.tile(y_train, 5)
better = clone(clf).set_params(epochs=max(1, args.epochs // 2))
print(f"Training on {len(X_more)} digits: about {3 * seconds} s on two cores")
better.fit(X_more, y_more)
fewer = np.count_nonzero(better.predict(X_test) != y_test)
print(f"With shifted copies: {fewer} errors of {len(y_test)}")
plt.show()
