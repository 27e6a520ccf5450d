"""
MNIST with a dense network, saved and loaded
============================================

Handwritten digits, and a network that gets narrower layer by layer: 784 pixels, hidden
layers of 128, 64, 32 and 16 units, and one output for each of the ten digits. It is
trained, judged on digits it has never seen, saved to a file, and loaded again.

Without ``--data`` the small digits that come with scikit-learn stand in for MNIST,
enlarged to its 28 x 28 pixels. There are only 1797 of them. With MNIST
itself the accuracy on its test digits was 0.976.
"""

# %%
# Set-up
# ------
# ``--data`` names an ``mnist.npz``, in the layout that Keras uses.

import argparse
import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, classification_report
from sklearn.model_selection import train_test_split

from skdl import DNNClassifier, HistoryDisplay
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
# A row is an image, its pixels one behind the other. They are divided by the largest
# value, so that they lie between 0 and 1.

if args.data:
    X_train, y_train = fetch_mnist(path=args.data, return_X_y=True)
    X_test, y_test = fetch_mnist(subset="test", path=args.data, return_X_y=True)
    X_train, X_test = X_train / 255, X_test / 255
    batch_size = 32
else:
    digits = load_digits()
    # Each pixel becomes a square of 3 x 3, and a margin of 2 goes around: 8 * 3 + 4 = 28.
    images = np.pad(np.kron(digits.images / 16, np.ones((3, 3))), ((0, 0), (2, 2), (2, 2)))
    X_train, X_test, y_train, y_test = train_test_split(
        images.reshape(len(images), -1), digits.target, test_size=0.2, stratify=digits.target, random_state=0
    )
    # Few rows make few steps in an epoch; smaller batches make more of them.
    batch_size = 8
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
# The output layer, its softmax and the loss follow from the ten classes. A fifth of the
# rows is held out to validate on; it holds every digit in its share.

clf = DNNClassifier(
    (128, 64, 32, 16),
    epochs=args.epochs,
    batch_size=batch_size,
    validation_split=0.2,
    random_state=0,
)
clf.fit(X_train, y_train)
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

y_pred = clf.predict(X_test)
print(f"Accuracy on the test digits: {accuracy_score(y_test, y_pred):.4f}")
print(classification_report(y_test, y_pred, digits=3, zero_division=0))

# %%
# Save and load
# -------------
# A fitted network is saved as any estimator of scikit-learn is: with joblib. What comes
# back predicts the same, to the last bit.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "mnist.joblib"
    joblib.dump(clf, path)
    print(f"The file has {path.stat().st_size / 1e6:.1f} MB")
    loaded = joblib.load(path)
same = np.array_equal(clf.predict_proba(X_test), loaded.predict_proba(X_test))
print("The loaded network gives the same probabilities:", same)
assert same

# %%
# One digit, and what the loaded network makes of it.

probabilities = loaded.predict_proba(X_test[:1])[0]
figure, (left, right) = plt.subplots(1, 2, figsize=(6.5, 3), layout="constrained")
left.imshow(X_test[0].reshape(28, 28), cmap="gray_r")
left.set(title=f"A test digit: {y_test[0]}", xticks=[], yticks=[])
right.bar(loaded.classes_, probabilities, color="#0072B2")
right.set(title="Probability", xlabel="Digit", xticks=loaded.classes_, ylim=(0, 1))
figure.savefig(args.output / "mnist_dense_prediction.png", dpi=150)
plt.show()
