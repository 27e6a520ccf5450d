"""
Quickstart: an honest grid search over networks, behind a scaler and SMOTE
==========================================================================

A network stands where a random forest would stand, behind a scaler and SMOTE; a grid search
finds its layers, learning rate and dropout, and rows that nothing has seen say how good it is.

The breast-cancer data of scikit-learn, made imbalanced: one malignant tumour for six benign
ones. The run prints::

    Balanced accuracy in cross-validation: 0.979
    Balanced accuracy on the hold-out: 0.907
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where the pictures go.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import SMOTE
from sklearn.callback import ProgressBar
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score, classification_report
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, HistoryDisplay, Pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=40, help="passes over the rows in each fit")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
args = parser.parse_args()

# %%
# The data
# --------
# The class ``malignant`` is the rare one, and the one that must not be missed.

cancer = load_breast_cancer()
X, y = make_imbalance(
    cancer.data,
    cancer.target_names[cancer.target],
    sampling_strategy={"malignant": 60, "benign": 357},
    random_state=0,
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
print(f"{len(X_train)} rows to learn from, {len(X_test)} held out")

# %%
# The search
# ----------
# Scaler and SMOTE are fitted on the training folds alone; in each fold the score is that
# of rows which are real. With ``validation_split``, :class:`skdl.Pipeline` holds rows out
# before the first step, so that the validation loss is that of real rows too.

pipeline = Pipeline(
    [
        ("scaler", StandardScaler()),
        ("smote", SMOTE(random_state=0)),
        ("net", DNNClassifier(epochs=args.epochs, validation_split=0.2, random_state=0)),
    ]
)
search = GridSearchCV(
    pipeline,
    {
        "net__hidden_layer_sizes": [(32,), (64, 32)],
        "net__learning_rate": [1e-3, 1e-2],
        "net__dropout": [0.0, 0.3],
    },
    scoring="balanced_accuracy",
    cv=5,
)
print("41 fits: about 3 s on two cores")
search.set_callbacks(ProgressBar(max_propagation_depth=0))
search.fit(X_train, y_train)

print("Best parameters:", search.best_params_)
print(f"Balanced accuracy in cross-validation: {search.best_score_:.3f}")

# %%
# The hold-out
# ------------

y_pred = search.predict(X_test)
print(f"Balanced accuracy on the hold-out: {balanced_accuracy_score(y_test, y_pred):.3f}")
print(classification_report(y_test, y_pred, digits=3))

args.output.mkdir(parents=True, exist_ok=True)
figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ConfusionMatrixDisplay.from_predictions(y_test, y_pred, ax=ax, colorbar=False, cmap="Blues")
ax.set_title("Hold-out")
figure.savefig(args.output / "confusion_matrix.png", dpi=150)

# %%
# The learning curve
# ------------------
# Loss by epoch of the network that was refitted with the best parameters, on the rows
# it trained on and on those that the pipeline held out.

display = HistoryDisplay.from_estimator(search, metrics="loss")
display.ax_.set_title("Learning curve of the best network")
display.figure_.savefig(args.output / "learning_curve.png", dpi=150)
print(f"Pictures: {args.output / 'confusion_matrix.png'}, {args.output / 'learning_curve.png'}")
plt.show()
