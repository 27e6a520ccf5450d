"""
A raw table: text, categories and gaps, without preparation
===========================================================

:class:`skdl.TabularRegressor` and :class:`skdl.TabularClassifier` take a table as it comes, with
numbers of any scale, text and missing values, and need no imputer, no scaler, no encoder and no
search.

The tables ship with scikit-learn; here they get gaps and text. ``--data`` takes the UCI repository's
``hour.csv`` besides. The run prints::

    R2 on 111 rows: network 0.326, boosting 0.184
    TabularClassifier      accuracy 0.958, log-loss 0.117
    HistGradientBoosting   accuracy 0.937, log-loss 0.180

With the original hours it prints::

    Bike sharing, R2 on 4345 rows: network 0.955, boosting 0.944
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where the pictures go.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibrationDisplay
from sklearn.callback import ProgressBar
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skdl import HistoryDisplay, TabularClassifier, TabularRegressor

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=None, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="hour.csv")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)
settings = {"epochs": args.epochs or "auto", "random_state": 0}

# %%
# A table as it comes
# -------------------
# Of the diabetes data, age and sex become text, and every tenth measurement is lost.

rng = np.random.default_rng(0)
X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X["sex"] = X["sex"].map({1.0: "one", 2.0: "other"})
X["age"] = pd.cut(X["age"], [0, 35, 50, 65, 100], labels=["young", "middle", "older", "old"])
measured = X.columns[2:]
X[measured] = X[measured].mask(rng.random((len(X), len(measured))) < 0.1)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(X_train.head(3).to_string())

network = TabularRegressor(**settings).fit(X_train, y_train)
boosting = HistGradientBoostingRegressor(random_state=0)
boosting.fit(X_train.assign(sex=X_train["sex"].astype("category")), y_train)
boosted = boosting.score(X_test.assign(sex=X_test["sex"].astype("category")), y_test)
print(f"R2 on {len(X_test)} rows: network {network.score(X_test, y_test):.3f}, boosting {boosted:.3f}")

# %%
# How it was trained
# ------------------
# Each fold of the rows is held out from the training of some networks, which stop early by it. So
# every row is validated on once, and the curve below is less noisy than that of one small
# hold-out. All networks are trained at the same time, in one program.

print(f"{network.n_folds_} folds, {network.n_iter_} epochs, best epoch {network.best_epoch_ + 1}")
display = HistoryDisplay.from_estimator(network)
display.ax_.set_title("Diabetes, mean of all networks")
display.figure_.savefig(args.output / "tabular_history.png", dpi=150)

# %%
# Probabilities
# -------------
# The average of many networks has good probabilities: near 0 and 1 where it is sure, and in
# between where it is not.

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
models = {
    "TabularClassifier": TabularClassifier(**settings),
    "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
}
figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
for name, model in models.items():
    model.fit(X_train, y_train)
    loss = log_loss(y_test, model.predict_proba(X_test))
    print(f"{name:22s} accuracy {model.score(X_test, y_test):.3f}, log-loss {loss:.3f}")
    CalibrationDisplay.from_estimator(model, X_test, y_test, n_bins=5, strategy="quantile", name=name, ax=ax)
ax.set_title("Breast cancer, rows held out")
figure.savefig(args.output / "tabular_calibration.png", dpi=150)

# %%
# A target in large units
# -----------------------
# The target is standardised inside, so counts in the hundreds need no transformer.

if args.data is not None:
    bikes = pd.read_csv(args.data).drop(columns=["instant", "dteday", "casual", "registered"])
    parts = train_test_split(bikes.drop(columns="cnt"), bikes["cnt"].astype(float), random_state=0)
    print("Training: some seconds on two cores")
    network = TabularRegressor(**settings).set_callbacks(ProgressBar()).fit(parts[0], parts[2])
    boosting = HistGradientBoostingRegressor(random_state=0).fit(parts[0], parts[2])
    scores = [model.score(parts[1], parts[3]) for model in (network, boosting)]
    print(f"Bike sharing, R2 on {len(parts[1])} rows: network {scores[0]:.3f}, boosting {scores[1]:.3f}")
plt.show()
