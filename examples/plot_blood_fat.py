"""
Blood fat: linear regression as a network of one unit
=====================================================

One linear unit, ``Dense(1)``, is linear regression: the same formula, found step by step; with
features and target scaled it is found exactly, and in a tenth of the epochs.

Age and weight of 25 people, and the fat in their blood. The rows are made up here; ``--data``
takes the rows of the file ``x09.txt``, without the lines before them. The run prints::

    RMSprop  blood fat = 4.80 * age + 1.59 * weight + 33.6
    Scaled   blood fat = 4.79 * age + 1.12 * weight + 66.0
    Exact    blood fat = 4.79 * age + 1.12 * weight + 66.0

With the original rows it prints::

    RMSprop  blood fat = 5.37 * age + 0.78 * weight + 46.1
    Scaled   blood fat = 5.22 * age + 0.42 * weight + 78.0
    Exact    blood fat = 5.22 * age + 0.42 * weight + 78.0
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
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import StandardScaler

from skdl import DNNRegressor, HistoryDisplay, make_pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=5000, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="x09.txt; none makes people up")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------


def make_people(n_people=25):
    """Make people whose blood fat grows with age, a little with weight, and by chance."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 61, n_people)
    weight = rng.normal(55 + 0.35 * age, 11).round()
    fat = (100 + 4.5 * age + 0.6 * weight + rng.normal(0, 35, n_people)).round()
    return pd.DataFrame({"weight": weight, "age": age, "fat": fat})


if args.data is None:
    people = make_people()
else:
    people = pd.read_csv(args.data, sep=r"\s+", names=["index", "one", "weight", "age", "fat"])
X, y = people[["age", "weight"]], people["fat"]
print(people[["age", "weight", "fat"]].describe().loc[["count", "mean", "std", "min", "max"]].round(1))

# %%
# The network
# -----------
# An empty tuple of hidden layers leaves the output unit alone. It is trained on the raw
# numbers, by RMSprop with a learning rate of 0.01, for 5000 epochs. All 25 rows make one
# batch, so an epoch is one step.

raw = DNNRegressor((), optimizer="rmsprop", learning_rate=0.01, epochs=args.epochs, random_state=0)
raw.fit(X, y)

display = HistoryDisplay.from_estimator(raw)
display.ax_.set(title="One linear unit, raw numbers, RMSprop", ylabel="Mean squared error")
display.figure_.savefig(args.output / "blood_fat_loss.png", dpi=150)

# %%
# Weights and bias
# ----------------
# The unit's weights say what a year and a kilogram add.

weights, bias = raw.coefs_[0].ravel(), raw.intercepts_[0].item()
exact = LinearRegression().fit(X, y)
print(f"RMSprop  blood fat = {weights[0]:.2f} * age + {weights[1]:.2f} * weight + {bias:.1f}")

# %%
# Predictions
# -----------

people_new = pd.DataFrame({"age": [40, 25], "weight": [100, 60]})
for (age, weight), fat in zip(people_new.to_numpy(), raw.predict(people_new), strict=True):
    print(f"Age {age}, {weight} kg: blood fat {fat:.1f}")
print(f"R2 {raw.score(X, y):.3f}, mean absolute error {mean_absolute_error(y, raw.predict(X)):.1f}")

# %%
# Better: features and target scaled
# ----------------------------------
# RMSprop moves each weight by about its learning rate in a step, and the bias has a long way
# to go: after 5000 steps of 0.01 it is still far from the exact one, while the loss hardly
# falls any more. Scaled features and a scaled target bring all weights near 0 and 1, and then
# Adam, whose steps get smaller near the minimum, arrives. The scalers are in the model, so
# predictions are in the old units.

scaled = TransformedTargetRegressor(
    make_pipeline(
        StandardScaler(),
        DNNRegressor((), learning_rate=0.02, epochs=min(500, args.epochs), random_state=0),
    ),
    transformer=StandardScaler(),
).fit(X, y)
scaler, net, target = scaled.regressor_[0], scaled.regressor_[-1], scaled.transformer_
weights = net.coefs_[0].ravel() / scaler.scale_ * target.scale_
bias = net.intercepts_[0].item() * target.scale_.item() + target.mean_.item() - weights @ scaler.mean_
for name, w, b in [("Scaled", weights, bias), ("Exact", exact.coef_, exact.intercept_)]:
    print(f"{name:8s} blood fat = {w[0]:.2f} * age + {w[1]:.2f} * weight + {b:.1f}")
print(f"R2 {scaled.score(X, y):.3f} (exact: {exact.score(X, y):.3f}), on the rows it learnt from")

figure, ax = plt.subplots(figsize=(5.5, 4), layout="constrained")
points = ax.scatter(people["age"], y, c=people["weight"], cmap="cividis", zorder=2)
ages = np.array([people["age"].min(), people["age"].max()])
for kilograms, style in [(55, ":"), (70, "-"), (85, "--")]:
    line = scaled.predict(pd.DataFrame({"age": ages, "weight": kilograms}))
    ax.plot(ages, line, style, color="0.4", zorder=1, label=f"Network at {kilograms} kg")
ax.set(xlabel="Age (years)", ylabel="Blood fat", title="People, and what the network says")
ax.legend(fontsize="small")
figure.colorbar(points, label="Weight (kg)")
figure.savefig(args.output / "blood_fat_fit.png", dpi=150)
plt.show()
