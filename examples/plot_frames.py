"""
Text and numbers to a price: a DataFrame into named inputs
===========================================================

A network reads the description of a used bicycle, a text, beside its age, its mileage and the size of its
frame, and predicts the price. Scaler and vocabulary are layers of the network, and learn in each fold from
the rows to train on.

The advertisements are made. Some words are worth money, a bicycle loses a part of its price each year, and
the rest is noise. The run prints::

    Best: {'model__scaled': True, 'model__units': 8}
    R squared in three folds: 0.97, 0.98, 0.98
    Of the importance: description 1.28, age 0.88, mileage 0.12, size 0.00
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where the picture goes.

import argparse
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.preprocessing import StandardScaler

from skdl import KerasRegressor

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=20, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The advertisements
# ------------------

rng = np.random.default_rng(0)
WORTH = {"carbon": 900, "electric": 1200, "aluminium": 250, "steel": 100, "rusty": -250, "serviced": 150}
OTHERS = ["light", "blue", "red", "city", "touring", "with", "lamp", "basket", "nice", "quick", "sale"]
n = 800
words = [rng.choice([*WORTH, *OTHERS], rng.integers(4, 9), replace=False) for _ in range(n)]
X = pd.DataFrame(
    {
        "description": [" ".join(each) for each in words],
        "age": rng.integers(0, 15, n),
        "mileage": rng.gamma(2, 2_000, n).round(),
        "size": rng.integers(48, 62, n),
    }
)
new = 1_000 + np.array([sum(WORTH.get(word, 0) for word in each) for each in words])
price = (new * 0.93 ** X["age"] - 0.05 * X["mileage"] + rng.normal(0, 80, n)).clip(30)
X_train, X_test, y_train, y_test = train_test_split(X, price, random_state=0)

# %%
# The network
# -----------
# The input ``description`` gets the column of this name. ``numbers`` gets three columns, which the parameter
# ``inputs`` names. ``TextVectorization`` and ``Normalization`` have learnt nothing when the builder returns
# them: each fit adapts them to its rows to train on.


def build(units, scaled):
    text = keras.Input((), dtype="string", name="description")
    numbers = keras.Input((3,), name="numbers")
    words = keras.layers.TextVectorization(max_tokens=100, output_sequence_length=10)(text)
    embedded = keras.layers.Embedding(100, units)(words)
    scaler = keras.layers.Normalization() if scaled else keras.layers.Rescaling(0.01)
    parts = [keras.layers.GlobalAveragePooling1D()(embedded), scaler(numbers)]
    hidden = keras.layers.Dense(32, "relu")(keras.layers.Concatenate()(parts))
    return keras.Model([text, numbers], keras.layers.Dense(1)(hidden))


regressor = KerasRegressor(
    build,
    model__units=8,
    model__scaled=True,
    inputs={"numbers": ["age", "mileage", "size"]},
    loss="mse",
    optimizer="adam",
    optimizer__learning_rate=0.01,
    epochs=args.epochs,
    random_state=0,
)

# %%
# Search and judge
# ----------------
# Nothing is different from a search over a forest: the frame is split by rows and handed on.

search = GridSearchCV(
    TransformedTargetRegressor(regressor, transformer=StandardScaler()),
    {"regressor__model__units": [2, 8], "regressor__model__scaled": [True, False]},
    cv=3,
).fit(X_train, y_train)
best = {name.removeprefix("regressor__"): value for name, value in sorted(search.best_params_.items())}
print("Best:", best)
scores = cross_val_score(search.best_estimator_, X, price, cv=3)
print("R squared in three folds:", ", ".join(f"{score:.2f}" for score in scores))

# %%
# What it looks at
# ----------------
# A column is shuffled, and the score of the test rows falls by its importance.

importance = permutation_importance(search, X_test, y_test, n_repeats=5, random_state=0)
means = dict(zip(X.columns, importance.importances_mean, strict=True))
print("Of the importance:", ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
order = sorted(means, key=means.get)
left.barh(order, [means[name] for name in order], color="C0")
left.set(xlabel="loss of R squared when the column is shuffled")
right.scatter(y_test, search.predict(X_test), s=8)
limits = [0, float(y_test.max())]
right.plot(limits, limits, color="0.5", linewidth=1)
right.set(xlabel="price, euro", ylabel="predicted price, euro")
figure.savefig(args.output / "frames.png", dpi=150)
plt.show()
