#!/usr/bin/env bash
# Under gradient accumulation a schedule goes by batches, while iterations counts steps.
#
# Versions: keras 3.15.1, tensorflow 2.21.0
#
# With gradient_accumulation_steps=4 the weights change after every fourth batch, and
# optimizer.iterations counts these changes. A schedule of the learning rate is documented as a
# function of the optimizer's step; one would bet on the same count. It is called with the number of
# batches: a decay that is to take 10 steps is over after 10 batches, two and a half changes of the
# weights.
#
# Run: bash findings/keras-accumulation-hastens-schedules.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0

cat > "$folder/expected" <<'EXPECTED'
accumulated: None, iterations: 10, rate: 0.0
accumulated: 4, iterations: 2, rate: 0.0
EXPECTED

TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import keras
import numpy as np

X, y = np.ones((40, 2), "float32"), np.ones((40, 1), "float32")
for steps in (None, 4):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([9], [1.0, 0.0])
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule, gradient_accumulation_steps=steps), "mse")
    model.fit(X, y, batch_size=4, verbose=0)
    iterations, rate = int(model.optimizer.iterations), float(model.optimizer.learning_rate)
    print(f"accumulated: {steps}, iterations: {iterations}, rate: {rate}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
