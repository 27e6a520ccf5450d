"""
Learning curves: a good one, and three that are not
===================================================

Of a good training both losses fall, steeply first, and then lie flat, close to each other; too
little training, too much of it and steps that are too large each look different, and
:func:`skdl.diagnose` tells them apart.

Four problems, from one linear unit to three classes, show what a learning curve looks like when
all is well; then one problem shows the three ways in which it is not. All data is made by this
script. The run prints::

    One linear unit: 2.99 x + 1.99, R2 0.972
    A sine: R2 0.620 without a hidden layer, 0.913 with one
    The usual cut, 0.50: recall of the class 1 0.230, F1 0.349
    The tuned cut, 0.28: recall of the class 1 0.491, F1 0.521
    Good: accuracy on new rows 0.872
    Under-fit: accuracy on new rows 0.845
    Over-fit: accuracy on new rows 0.853
    Learning rate too large: accuracy on new rows 0.812
"""

# %%
# Set-up
# ------

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs, make_classification, make_moons
from sklearn.metrics import PrecisionRecallDisplay, classification_report, f1_score, recall_score
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from skdl import DNNClassifier, DNNRegressor, HistoryDisplay, diagnose

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=50, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(0)
common = {"epochs": args.epochs, "validation_split": 0.25, "random_state": 0}
fitted = {}

# %%
# One linear unit
# ---------------
# A straight line with noise. Without a hidden layer the network is a linear regression,
# and its weight and bias can be read: the line is 3 x + 2.

x = random.uniform(-1, 1, size=(400, 1))
y = 3 * x.ravel() + 2 + random.normal(0, 0.3, len(x))
line = DNNRegressor((), learning_rate=0.05, **common).fit(x, y)
weight, bias = line.coefs_[0].item(), line.intercepts_[0].item()
print(f"One linear unit: {weight:.2f} x + {bias:.2f}, R2 {line.score(x, y):.3f}")
fitted["One linear unit"] = line

# %%
# A hidden layer
# --------------
# A sine is no line. Sixteen units between input and output can bend.

x = random.uniform(-3, 3, size=(800, 1))
y = np.sin(x).ravel() + random.normal(0, 0.2, len(x))
straight = DNNRegressor((), learning_rate=0.05, **common).fit(x, y)
bent = DNNRegressor((16,), activation="tanh", learning_rate=0.01, **common).fit(x, y)
print(f"A sine: R2 {straight.score(x, y):.3f} without a hidden layer, {bent.score(x, y):.3f} with one")
fitted["A hidden layer"] = bent

figure, ax = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
grid = np.linspace(-3, 3, 200).reshape(-1, 1)
ax.plot(x, y, ".", color="0.75", label="Data")
ax.plot(grid, straight.predict(grid), "--", color="#D55E00", label="One linear unit")
ax.plot(grid, bent.predict(grid), color="#0072B2", label="A hidden layer of 16")
ax.set(xlabel="x", ylabel="y")
ax.legend()
figure.savefig(args.output / "learning_curves_sine.png", dpi=150)

# %%
# Two classes: one sigmoid unit, and where to cut
# -----------------------------------------------
# One row in eight is of the class 1. The output is one unit with a sigmoid, so a
# probability; ``predict`` says 1 where it is above 0.5. That is the right cut if both
# kinds of error cost the same. Here they do not: a 1 that is missed is worse.

X, y = make_classification(
    2400, n_features=8, n_informative=4, weights=[0.88], flip_y=0.04, class_sep=0.8, random_state=1
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
binary = DNNClassifier((16,), dropout=0.2, learning_rate=0.003, **common).fit(X_train, y_train)
print("Output layer:", binary.model_.layers[-1].units, "unit,", binary.model_.layers[-1].activation.__name__)
fitted["Two classes"] = binary

# %%
# scikit-learn finds a better cut: ``TunedThresholdClassifierCV`` fits the network on the
# folds of the training rows, and takes the cut with the best F1 on what each fold left
# out. The test rows have no part in it.

tuned = TunedThresholdClassifierCV(binary, scoring="f1", cv=5, random_state=0).fit(X_train, y_train)
at_half, at_best = binary.predict(X_test), tuned.predict(X_test)
for name, cut, y_pred in (("usual", 0.5, at_half), ("tuned", tuned.best_threshold_, at_best)):
    recall, f1 = recall_score(y_test, y_pred), f1_score(y_test, y_pred)
    print(f"The {name} cut, {cut:.2f}: recall of the class 1 {recall:.3f}, F1 {f1:.3f}")
print(classification_report(y_test, at_best, digits=3, zero_division=0))

figure, ax = plt.subplots(figsize=(5, 4.2), layout="constrained")
curve = PrecisionRecallDisplay.from_estimator(binary, X_test, y_test, ax=ax, name="Network")
positive = y_test == 1
for name, y_pred, marker, color in (
    ("Cut at 0.5", at_half, "o", "#D55E00"),
    (f"Cut at {tuned.best_threshold_:.2f}", at_best, "s", "#009E73"),
):
    hits = np.count_nonzero(y_pred[positive])
    precision = hits / max(1, np.count_nonzero(y_pred))
    ax.plot(hits / positive.sum(), precision, marker, color=color, markersize=9, label=name)
ax.set(xlabel="Recall", ylabel="Precision", title="What each cut finds, and how much of it is true")
ax.legend(loc="lower left")
figure.savefig(args.output / "learning_curves_cut.png", dpi=150)

# %%
# Three classes
# -------------
# Three output units with a softmax: three probabilities that add up to one.

X, y = make_blobs(900, centers=[(-1.5, -1), (1.5, -1), (0, 1.5)], cluster_std=0.9, random_state=0)
three = DNNClassifier((16,), learning_rate=0.01, **common).fit(X, np.array(["a", "b", "c"])[y])
print("Three classes, probabilities of the first row:", three.predict_proba(X[:1]).round(3))
fitted["Three classes"] = three

# %%
# Four good curves
# ----------------
# Both losses fall, steeply first, and then lie flat, close to each other. That flat end
# need not be zero: the noise in the data can't be learnt.

figure, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
for ax, (name, estimator) in zip(axes.flat, fitted.items(), strict=True):
    display = HistoryDisplay.from_estimator(estimator, metrics="loss", ax=ax)
    verdict = diagnose(estimator).verdict
    display.legend_.remove()
    ax.set_title(f"{name}: {verdict}")
    print(f"{name}: {verdict}")
axes[0, 0].legend(["Training", "Validation", "Best epoch"])
figure.savefig(args.output / "learning_curves_good.png", dpi=150)

# %%
# Three bad ones
# --------------
# Two half moons that overlap, and the same network but for what each title says:
#
# - **under-fit**: a learning rate so small that the loss still falls when training ends;
# - **over-fit**: many units, many epochs and few rows, which it learns by heart, noise
#   and all;
# - **learning rate too large**: steps so long that they jump over the valley.

X, y = make_moons(600, noise=0.35, random_state=0)
X_test, y_test = make_moons(2000, noise=0.35, random_state=1)
few = slice(0, 80)
curves = {
    "Good": DNNClassifier((16,), learning_rate=0.02, **common).fit(X, y),
    "Under-fit": DNNClassifier((16,), learning_rate=0.0005, **common).fit(X, y),
    "Over-fit": DNNClassifier((128, 128), learning_rate=0.005, **common)
    .set_params(epochs=3 * args.epochs)
    .fit(X[few], y[few]),
    "Learning rate too large": DNNClassifier((16,), learning_rate=0.5, **common).fit(X, y),
}
for name, estimator in curves.items():
    print(f"\n{name}: accuracy on new rows {estimator.score(X_test, y_test):.3f}")
    print(diagnose(estimator))

figure, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
for ax, (name, estimator) in zip(axes.flat, curves.items(), strict=True):
    display = HistoryDisplay.from_estimator(estimator, metrics="loss", ax=ax)
    display.legend_.remove()
    ax.set_title(f"{name}\nDiagnosis: {diagnose(estimator).verdict}")
axes[0, 0].legend(["Training", "Validation", "Best epoch"])
figure.savefig(args.output / "learning_curves_bad.png", dpi=150)

# %%
# The display can write the diagnosis itself, and shade the epochs that it speaks of.

display = HistoryDisplay.from_estimator(curves["Over-fit"], annotate=True)
display.figure_.savefig(args.output / "learning_curves_overfit.png", dpi=150)
plt.show()
