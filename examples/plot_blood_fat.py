"""
Blood fat: linear regression as a network of one unit
=====================================================

Age and weight of 25 people, and the fat in their blood. One linear unit, ``Dense(1)``, is
linear regression: the same formula, found step by step instead of in closed form. So the
result can be checked against scikit-learn's ``LinearRegression``.

The rows are made up here. ``--data`` takes a text file without header, separated by
spaces, with the columns index, one, weight, age, blood fat.
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
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.preprocessing import StandardScaler

from skdl import DNNRegressor, HistoryDisplay, make_pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=300, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="text file: index, one, weight, age, blood fat")
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
    people = pd.read_csv(args.data, sep=r"\s+", header=None, names=["index", "one", "weight", "age", "fat"])
X, y = people[["age", "weight"]], people["fat"]
print(people[["age", "weight", "fat"]].describe().loc[["count", "mean", "std", "min", "max"]].round(1))

# %%
# The network
# -----------
# An empty tuple of hidden layers leaves the output unit alone. RMSprop moves the weights
# by about its learning rate in a step, and the target is in the hundreds, so the learning
# rate is large. Behind a ``StandardScaler`` both features count alike.

pipeline = make_pipeline(
    StandardScaler(),
    DNNRegressor(
        (), optimizer="rmsprop", learning_rate=1.0, batch_size=5, epochs=args.epochs, random_state=0
    ),
)
pipeline.fit(X, y)
scaler, net = pipeline[0], pipeline[-1]

display = HistoryDisplay.from_estimator(pipeline)
display.ax_.set(title="One linear unit and RMSprop", ylabel="Mean squared error")
display.figure_.savefig(args.output / "blood_fat_loss.png", dpi=150)

# %%
# Weights and bias
# ----------------
# The unit's weights belong to scaled features. Divided by the scaler's standard deviations
# they say what a year and a kilogram add.

weights, bias = net.coefs_[0].ravel(), net.intercepts_[0].item()
print("Of the unit: weights", weights.round(2), "bias", round(bias, 2))

weights = weights / scaler.scale_
bias = bias - weights @ scaler.mean_
exact = LinearRegression().fit(X, y)
for name, w, b in [("Network", weights, bias), ("Exact", exact.coef_, exact.intercept_)]:
    print(f"{name:8s} blood fat = {w[0]:.2f} * age + {w[1]:.2f} * weight + {b:.1f}")

# %%
# A prediction
# ------------

person = pd.DataFrame({"age": [40], "weight": [65]})
print(f"Age 40, 65 kg: {pipeline.predict(person)[0]:.1f} (exact: {exact.predict(person)[0]:.1f})")
print(f"R2 {pipeline.score(X, y):.3f} (exact: {exact.score(X, y):.3f}), on the rows it learnt from")
print(f"Mean absolute error: {mean_absolute_error(y, pipeline.predict(X)):.1f}")

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
points = ax.scatter(people["age"], y, c=people["weight"], cmap="cividis", zorder=2)
ages = np.array([people["age"].min(), people["age"].max()])
for kilograms, style in [(55, ":"), (70, "-"), (85, "--")]:
    line = pipeline.predict(pd.DataFrame({"age": ages, "weight": kilograms}))
    ax.plot(ages, line, style, color="0.4", zorder=1, label=f"Network at {kilograms} kg")
ax.set(xlabel="Age (years)", ylabel="Blood fat", title="People, and what the network says")
ax.legend()
figure.colorbar(points, label="Weight (kg)")
figure.savefig(args.output / "blood_fat_fit.png", dpi=150)
plt.show()
