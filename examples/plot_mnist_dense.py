"""
MNIST with a dense network, saved and loaded
============================================

A dense network reads handwritten digits and is kept in one file, which is loaded without
running any code; wider layers and a falling learning rate make fewer errors.

784 pixels, hidden layers of 128, 64, 32 and 16 units, and one output for each of the ten
digits. Without ``--data`` the small digits that come with scikit-learn stand in for MNIST,
enlarged to its 28 x 28 pixels; there are only 1797 of them. The run prints::

    Test loss 0.089, test accuracy 0.9778
    Wider, leaky, falling rate: test loss 0.082, test accuracy 0.9806

With the original digits it prints::

    Test loss 0.088, test accuracy 0.9754
    Wider, leaky, falling rate: test loss 0.055, test accuracy 0.9832
"""

# %%
# Set-up
# ------
# ``--data`` names an ``mnist.npz``: ``keras.datasets.mnist.load_data()`` downloads it to
# ``~/.keras/datasets``.

import argparse
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.metrics import classification_report, log_loss
from sklearn.model_selection import train_test_split

import skdl
from skdl import DNNClassifier, HistoryDisplay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=5, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="an mnist.npz; none takes scikit-learn's digits")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
# A row is an image, its pixels one behind the other. They are divided by the largest
# value, so that they lie between 0 and 1.

if args.data:
    with np.load(args.data) as file:
        X_train, y_train = file["x_train"].reshape(-1, 784) / 255, file["y_train"].astype(int)
        X_test, y_test = file["x_test"].reshape(-1, 784) / 255, file["y_test"].astype(int)
    batch_size, large_batch, rate, seconds = 32, 128, 0.002, 12
else:
    digits = load_digits()
    # Each pixel becomes a square of 3 x 3, and a margin of 2 goes around: 8 * 3 + 4 = 28.
    images = np.pad(np.kron(digits.images / 16, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))
    X_train, X_test, y_train, y_test = train_test_split(
        images.reshape(len(images), -1), digits.target, test_size=0.2, stratify=digits.target, random_state=0
    )
    # Few rows make few steps in an epoch; smaller batches make more of them.
    batch_size, large_batch, rate, seconds = 8, 8, 0.001, 2
print(f"{len(X_train)} digits to learn from, {len(X_test)} to test on, {X_train.shape[1]} pixels each")

# %%
# This is what the network sees, first as numbers, then as a picture.

digit = X_train[0].reshape(28, 28)
with np.printoptions(precision=1, suppress=True, linewidth=120):
    print(digit[8:16, 8:20])

figure, ax = plt.subplots(figsize=(3.5, 3.5), layout="constrained")
ax.imshow(digit, cmap="gray_r")
ax.set(title=f"A digit: {y_train[0]}", xlabel="Column", ylabel="Row")
figure.savefig(args.output / "mnist_dense_digit.png", dpi=150)

# %%
# The network
# -----------
# The output layer, its softmax and the loss follow from the ten classes. The test digits are
# the ``validation_data``: loss and accuracy on them are computed after each epoch.

clf = DNNClassifier((128, 64, 32, 16), epochs=args.epochs, batch_size=batch_size, random_state=0)
print(f"Training: about {seconds} s on two cores")
clf.set_callbacks(ProgressBar()).fit(X_train, y_train, X_val=X_test, y_val=y_test)
clf.model_.summary(print_fn=print, line_length=72)

# %%
# The learning curve
# ------------------
# Loss and accuracy by epoch. The training loss of an epoch is a mean over all its steps,
# so in the first epoch it is far above the validation loss, which is taken at the end.

display = HistoryDisplay.from_estimator(clf)
display.figure_.savefig(args.output / "mnist_dense_curve.png", dpi=150)

# %%
# The evaluation
# --------------
# ``evaluate`` of the Keras model gives loss and accuracy on the test digits.

test_loss, test_accuracy = clf.model_.evaluate(X_test, y_test, verbose=0)
print(f"Test loss {test_loss:.3f}, test accuracy {test_accuracy:.4f}")
print(classification_report(y_test, clf.predict(X_test), digits=3, zero_division=0))

# %%
# Better: wider layers, and a learning rate that falls
# ----------------------------------------------------
# The layers that get narrower leave 16 numbers from which ten digits must be told; two wider
# ones lose less. The learning rate falls to zero along half a wave of a cosine: large steps
# first, small ones at the end, when only details are left. And the units are leaky: one with
# ReLU that is negative for all rows learns nothing any more, one with leaky ReLU still does.

import keras

epochs = args.epochs + 3
steps = math.ceil(len(X_train) / large_batch)
better = DNNClassifier(
    (512, 128),
    activation="leaky_relu",
    learning_rate=keras.optimizers.schedules.CosineDecay(rate, decay_steps=epochs * steps),
    epochs=epochs,
    batch_size=large_batch,
    random_state=0,
)
print(f"Training: about {3 * seconds} s on two cores")
better.set_callbacks(ProgressBar()).fit(X_train, y_train)
probabilities = better.predict_proba(X_test)
print(
    f"Wider, leaky, falling rate: test loss {log_loss(y_test, probabilities):.3f}, "
    f"test accuracy {better.score(X_test, y_test):.4f}"
)

# %%
# Save and load
# -------------
# :func:`skdl.save` writes the fitted network to one file, a pipeline or a search likewise.
# :func:`skdl.load` runs no code that is in the file. What comes back predicts the same, to
# the last bit.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "mnist.skdl"
    skdl.save(better, path)
    print(f"The file has {path.stat().st_size / 1e6:.1f} MB")
    loaded = skdl.load(path)
same = np.array_equal(probabilities, loaded.predict_proba(X_test))
print("The loaded network gives the same probabilities:", same)
assert same

# %%
# The test digit of which the loaded network is least certain, and what it makes of it.

least = probabilities.max(axis=1).argmin()
figure, (left, right) = plt.subplots(1, 2, figsize=(6.5, 3), layout="constrained")
left.imshow(X_test[least].reshape(28, 28), cmap="gray_r")
left.set(title=f"A test digit: {y_test[least]}", xticks=[], yticks=[])
right.bar(loaded.classes_, loaded.predict_proba(X_test[[least]])[0], color="#0072B2")
right.set(title="Probability", xlabel="Digit", xticks=loaded.classes_, ylim=(0, 1))
figure.savefig(args.output / "mnist_dense_prediction.png", dpi=150)
plt.show()
