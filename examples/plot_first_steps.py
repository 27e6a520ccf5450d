"""
First steps: one unit learns to add one
=======================================

A network of one linear unit finds the rule behind ten pairs of numbers, and finds it thirty
times faster when its input is scaled.

It sees the pairs 1 -> 2, 2 -> 3, ..., 10 -> 11, and is asked for numbers that it has never
seen: 11, 12 and 13. The run prints::

    Learnt: 1.002 * x + 0.988
    11 -> 12.01, rounded 12
    12 -> 13.01, rounded 13
    13 -> 14.01, rounded 14
    Scaled, after 30 epochs: 1.000 * x + 1.000
"""

# %%
# Set-up
# ------
# ``--epochs`` makes the script shorter, ``--output`` says where the pictures go.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import StandardScaler

from skdl import DNNRegressor, HistoryDisplay, make_pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=1000, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# Tensors by the way
# ------------------
# A tensor is an array with any number of axes: a number has none, a row of numbers one, a
# table two, a pile of images three. NumPy's arrays are tensors. ``keras.ops`` has NumPy's
# functions for the tensors inside a network, and ``convert_to_numpy`` brings them back.

from keras import ops

for name, tensor in {
    "a number": np.array(7.0),
    "a row": np.array([1.0, 2.0, 3.0]),
    "a table": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    "a pile of 5 images": np.zeros((5, 28, 28)),
}.items():
    print(f"{name}: {tensor.ndim} axes, shape {tensor.shape}")

table = ops.convert_to_tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
weights = ops.convert_to_tensor([[1.0], [0.0], [2.0]])
print("Table times weights:", ops.convert_to_numpy(ops.matmul(table, weights)).ravel().tolist())
print("Mean of each column:", ops.convert_to_numpy(ops.mean(table, axis=0)).tolist())

# %%
# The data
# --------
# scikit-learn and Keras both want a table: one row for each example, here with one column.

x = np.arange(1.0, 11.0)
X, y = x.reshape(-1, 1), x + 1
print("Shape of X:", X.shape)

# %%
# One linear unit
# ---------------
# No hidden layer, so the network is ``weight * x + bias``. It starts from a random weight.
# Stochastic gradient descent moves both numbers a little in the direction in which the
# squared error gets smaller. All settings are Keras's own: a learning rate of 0.01, and
# batches of 32 rows, so that an epoch of ten rows is one step.

net = DNNRegressor((), optimizer="sgd", epochs=args.epochs, random_state=0)
net.fit(X, y)

weight, bias = net.coefs_[0].item(), net.intercepts_[0].item()
print(f"Learnt: {weight:.3f} * x + {bias:.3f}")

# %%
# Numbers never seen
# ------------------
# The rule holds outside the numbers it was learnt from, since the network can express it
# exactly. Do not expect this of other networks and other data.

x_new = np.array([11.0, 12.0, 13.0])
y_new = net.predict(x_new.reshape(-1, 1))
for number, prediction in zip(x_new, y_new, strict=True):
    print(f"{number:.0f} -> {prediction:.2f}, rounded {prediction:.0f}")

figure, ax = plt.subplots(figsize=(5, 4), layout="constrained")
ax.plot([0, 14], [bias, bias + 14 * weight], color="0.6", label="Learnt line")
ax.plot(x, y, "o", label="Pairs it learnt from")
ax.plot(x_new, y_new, "^", markersize=9, label="Predicted, never seen")
ax.set(xlabel="x", ylabel="y", title=f"y = {weight:.2f} x + {bias:.2f}")
ax.legend()
figure.savefig(args.output / "first_steps_line.png", dpi=150)

# %%
# Better: scale the input
# -----------------------
# The loss falls steeply in the first epochs, and then slowly for hundreds of them. All x are
# positive, so a larger weight and a smaller bias nearly cancel out: along this direction
# the error hardly changes, and the steps are small. With x scaled to mean 0 and standard
# deviation 1, weight and bias are learnt independently of each other. Then the learning
# rate may be thirty times larger, and 30 epochs are enough.

scaled = make_pipeline(
    StandardScaler(),
    DNNRegressor((), optimizer="sgd", learning_rate=0.3, epochs=min(30, args.epochs), random_state=0),
).fit(X, y)
scaler, unit = scaled[0], scaled[-1]
weight = unit.coefs_[0].item() / scaler.scale_.item()
bias = unit.intercepts_[0].item() - weight * scaler.mean_.item()
print(f"Scaled, after {unit.n_iter_} epochs: {weight:.3f} * x + {bias:.3f}")

display = HistoryDisplay.from_history({"x as it is": net, "x scaled": scaled})
display.ax_.set(title="Mean squared error by epoch", xscale="log")
display.figure_.savefig(args.output / "first_steps_history.png", dpi=150)
plt.show()
