"""
Into production: a Pipeline as one ONNX file
============================================

A scaler, SMOTE and a network are trained, written as one ONNX file, and asked by a process that has
neither TensorFlow nor scikit-learn.

The loans are those of :doc:`plot_credit_default`. What happens in training alone, SMOTE and the
validation rows, is not in the file. The run prints::

    In Python: accuracy 0.985, recall of the defaults 0.984
    The file has one input per column: income, age, loan
    In a process without TensorFlow and scikit-learn: the same 400 answers
    Largest difference of a probability: 0.000000
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where picture and model go.
# ``pip install "skdl[onnx]"`` installs what it needs.

import argparse
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from scipy.special import expit
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, make_pipeline, to_onnx

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=30, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for picture and model")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# Train
# -----
# 2000 loans, of which about 15 % are not paid back; a fifth is held out.


def make_loans(n_loans=2000):
    """Make loans, of which most of those below 35 years that exceed 12 % of the income are not paid back."""
    rng = np.random.RandomState(0)
    u, v, w = rng.uniform(size=(3, n_loans))
    income, age, ratio = 20_000 + 50_000 * u, 18 + 46 * v, 0.2 * w
    share = expit((35 - age) / 0.5) * expit((ratio - 0.12) / 0.0025)
    default = (rng.uniform(size=n_loans) < share).astype(int)
    return pd.DataFrame({"income": income, "age": age, "loan": ratio * income, "default": default})


loans = make_loans()
X = loans[["income", "age", "loan"]]
y = loans["default"].map({0: "paid", 1: "default"})
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)

pipeline = make_pipeline(
    StandardScaler(),
    SMOTE(random_state=0),
    DNNClassifier((32, 32), learning_rate=0.003, epochs=args.epochs, random_state=0),
)
pipeline.fit(X_train, y_train)
y_pred = pipeline.predict(X_test)
print(
    f"In Python: accuracy {accuracy_score(y_test, y_pred):.3f}, recall of the defaults "
    f"{recall_score(y_test, y_pred, pos_label='default'):.3f}"
)

# %%
# Write
# -----
# Some rows tell the names and types of the columns. The written model predicts them, and a
# difference to the Pipeline would be an error.

model = to_onnx(pipeline, X_test, args.output / "credit.onnx")
print("The file has one input per column:", ", ".join(each.name for each in model.graph.input))

# %%
# Ask it from elsewhere
# ---------------------
# The process below is forbidden to import anything but onnxruntime and NumPy. Any language that
# has an ONNX runtime does the same.

PROGRAM = """
import sys

for name in ("tensorflow", "keras", "sklearn", "pandas", "skdl"):
    sys.modules[name] = None

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("credit.onnx")
columns = np.load("columns.npz")
labels, probabilities = session.run(None, {name: columns[name] for name in columns})
np.savez("answers.npz", labels=labels.astype(str), probabilities=probabilities)
"""

np.savez(args.output / "columns.npz", **{name: X_test[[name]].to_numpy() for name in X_test})
subprocess.run([sys.executable, "-c", PROGRAM], check=True, cwd=args.output)
answers = np.load(args.output / "answers.npz")

# %%
# Compare
# -------
# Labels are words, as in Python; the probabilities agree to rounding.

same = np.count_nonzero(answers["labels"] == y_pred)
print(f"In a process without TensorFlow and scikit-learn: the same {same} answers")
expected = pipeline.predict_proba(X_test)[:, 0]
written = answers["probabilities"][:, 0]
print(f"Largest difference of a probability: {np.abs(written - expected).max():.6f}")

figure, ax = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
for name, marker in (("paid", "."), ("default", "x")):
    of_class = (y_test == name).to_numpy()
    ax.scatter(expected[of_class], written[of_class], marker=marker, label=name)
ax.set(xlabel="probability of a default, Pipeline", ylabel="probability of a default, ONNX model")
ax.legend(title="what came")
figure.savefig(args.output / "onnx_probabilities.png", dpi=150)
plt.show()
