"""
MNIST with a convolutional network
==================================

Two blocks of convolution and pooling find strokes and corners wherever they are in the
image; a dense layer of 1000 units puts them together.

Without ``--data`` the small digits that come with scikit-learn stand in for MNIST,
enlarged to its 28 x 28 pixels. With MNIST itself, five epochs took about two minutes on
two processor cores, and 9933 of the 10000 test digits were read rightly.
"""

# %%
# Set-up
# ------
# ``--data`` names an ``mnist.npz``, in the layout that Keras uses.

import argparse
import math
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import train_test_split

from skdl import CNNClassifier, HistoryDisplay, MisclassifiedDisplay
from skdl.datasets import fetch_mnist

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=5, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="an mnist.npz; none takes scikit-learn's digits")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------

if args.data:
    train = fetch_mnist(path=args.data)
    test = fetch_mnist(subset="test", path=args.data)
    X_train, y_train = train.images / 255, train.target
    X_test, y_test = test.images / 255, test.target
    batch_size = 128
else:
    digits = load_digits()
    # Each pixel becomes a square of 3 x 3, and a margin of 2 goes around: 8 * 3 + 4 = 28.
    images = np.pad(np.kron(digits.images / 16, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))
    X_train, X_test, y_train, y_test = train_test_split(
        images, digits.target, test_size=0.3, stratify=digits.target, random_state=0
    )
    # Few rows make few steps in an epoch; smaller batches make more of them.
    batch_size = 16
print(f"Images to learn from: {X_train.shape}, to test on: {X_test.shape}")

# %%
# The network
# -----------
# A list gives each block its own kernel size: 5 x 5 pixels in the first, 2 x 2 in the
# second. Dropout stands before the dense layer and behind it.
#
# The learning rate falls to zero along half a wave of a cosine: large steps first, small
# ones at the end, when only details are left. The schedule counts steps, that is batches.

validation_split = 0.1
steps = math.ceil(len(X_train) * (1 - validation_split) / batch_size)
schedule = keras.optimizers.schedules.CosineDecay(0.002, decay_steps=args.epochs * steps)

clf = CNNClassifier(
    (32, 64),
    kernel_size=[5, 2],
    padding="same",
    pool_size=2,
    dropout=0.25,
    hidden_layer_sizes=(1000,),
    learning_rate=schedule,
    batch_size=batch_size,
    epochs=args.epochs,
    validation_split=validation_split,
    random_state=0,
)
clf.fit(X_train, y_train)
clf.model_.summary(print_fn=print, line_length=72)

# %%
# The learning curve
# ------------------
# The training loss is measured while units are dropped, and while the network still
# learns within the epoch; so it can be above the validation loss.

display = HistoryDisplay.from_estimator(clf)
display.figure_.savefig(args.output / "mnist_convolutional_curve.png", dpi=150)

# %%
# The evaluation
# --------------

y_pred = clf.predict(X_test)
print(f"Accuracy on the test digits: {accuracy_score(y_test, y_pred):.4f}")
print(f"Errors: {np.count_nonzero(y_pred != y_test)} of {len(y_test)}")
print(classification_report(y_test, y_pred, digits=3, zero_division=0))

# %%
# What the first layer has learnt
# -------------------------------
# Each of its 32 kernels is a small image itself: dark where ink counts for the kernel,
# red where it counts against.

kernels = clf.model_.layers[0].get_weights()[0][:, :, 0]
limit = np.abs(kernels).max()
figure, axes = plt.subplots(4, 8, figsize=(6.4, 3.6), layout="constrained")
for kernel, ax in zip(np.moveaxis(kernels, -1, 0), axes.flat, strict=True):
    picture = ax.imshow(kernel, cmap="RdGy", vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
figure.colorbar(picture, ax=axes, label="Weight", shrink=0.8)
figure.suptitle("The kernels of the first convolution")
figure.savefig(args.output / "mnist_convolutional_kernels.png", dpi=150)

# %%
# What is still wrong
# -------------------

display = MisclassifiedDisplay.from_estimator(clf, X_test, y_test, n_images=12, order="confidence")
display.figure_.savefig(args.output / "mnist_convolutional_errors.png", dpi=150)
plt.show()
