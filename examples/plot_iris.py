"""
Iris: three classes, and what the curves of loss and accuracy say
=================================================================

150 flowers, four measurements, three species: small enough to train in a second. The
network has three hidden layers of 32 units and one output for each species, and is
trained for 100 epochs.
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where the pictures go.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_iris
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, HistoryDisplay, diagnose, make_pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=100, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------
# The species go into the network by their names; nothing has to be turned into numbers
# or one-hot columns.

iris = load_iris()
X, y = iris.data, iris.target_names[iris.target]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
print(f"{len(X_train)} flowers to learn from, {len(X_test)} held out")

# %%
# The network
# -----------
# Layers of 32, 32, 32 and 3 units. A fifth of the training rows is held out, each species
# in its share, to see the loss on flowers that the network does not train on.

pipeline = make_pipeline(
    StandardScaler(),
    DNNClassifier((32, 32, 32), epochs=args.epochs, validation_split=0.2, random_state=0),
)
pipeline.fit(X_train, y_train)
pipeline[-1].model_.summary()

# %%
# Loss and accuracy
# -----------------
# The loss is what training makes small; the accuracy is what people ask for. Both are
# drawn, and :func:`skdl.diagnose` reads the loss.

display = HistoryDisplay.from_estimator(pipeline)
display.ax_.set_title("Iris: loss and accuracy by epoch")
display.figure_.savefig(args.output / "iris_history.png", dpi=150)
print(diagnose(pipeline))

# %%
# The flowers held out
# --------------------

y_pred = pipeline.predict(X_test)
print(f"Accuracy on {len(X_test)} unseen flowers: {pipeline.score(X_test, y_test):.3f}")
print(classification_report(y_test, y_pred, digits=3, zero_division=0))

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ConfusionMatrixDisplay.from_predictions(y_test, y_pred, ax=ax, colorbar=False)
ax.set_title("Flowers held out")
figure.savefig(args.output / "iris_confusion_matrix.png", dpi=150)
plt.show()
