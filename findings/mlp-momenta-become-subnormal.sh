#!/usr/bin/env bash
# The momenta of scikit-learn's MLPClassifier become subnormal numbers, which slows its training down.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6
#
# A feature that is zero from some row on, as a word that is no longer used or a pixel without ink, has
# a gradient of exactly zero (without a penalty, alpha=0). Adam then multiplies its momentum by 0.9 at
# each step and never reaches zero: after some 800 steps in float32 it stays among the subnormal numbers,
# for which processors need many times as long. One would bet on TensorFlow's behaviour, which sets them
# to zero. Below, half of the features are zero after the first 10 epochs. All their momenta are
# subnormal in the end, and an epoch took a quarter longer (23 ms before, 28 ms after, on one core). The
# time is printed for comparison and is not part of what is expected.
#
# Run: bash findings/mlp-momenta-become-subnormal.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
subnormal momenta of the unused features after 10 epochs: 0 %
subnormal momenta of the unused features after 60 epochs: 100 %
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import sys
import time
import numpy as np
from sklearn.neural_network import MLPClassifier

rng = np.random.default_rng(0)
X = rng.random((640, 400), dtype=np.float32)
y = rng.integers(0, 2, 640)
network = MLPClassifier((256,), activation="tanh", alpha=0, batch_size=32, random_state=0)


def report(epoch, seconds):
    momenta = np.abs(network._optimizer.ms[0][200:])
    subnormal = (momenta > 0) & (momenta < np.finfo(np.float32).tiny)
    print(f"subnormal momenta of the unused features after {epoch} epochs: {100 * subnormal.mean():.0f} %")
    print(f"epoch {epoch}: {1000 * seconds:.0f} ms", file=sys.stderr)


for epoch in range(1, 61):
    start = time.perf_counter()
    network.partial_fit(X, y, classes=[0, 1])
    seconds = time.perf_counter() - start
    if epoch == 10:
        X[:, 200:] = 0
    if epoch in (10, 60):
        report(epoch, seconds)
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
