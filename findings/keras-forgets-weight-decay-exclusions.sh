#!/usr/bin/env bash
# A Keras model that was saved and loaded decays the weights that it was told to leave alone.
#
# Versions: keras 3.15.1, tensorflow 2.21.0
#
# optimizer.exclude_from_weight_decay(var_names=["bias"]) is the documented way to decay kernels and
# not biases. What it sets is not in get_config, so a model in Keras's own format loses it: saving and
# loading give back the same weights, the same state of the optimizer, and another training. There is
# no warning. Here the gradients are zero, so that decay alone changes the weights.
#
# Run: bash findings/keras-forgets-weight-decay-exclusions.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0

cat > "$folder/expected" <<'EXPECTED'
before: bias after one step of decay: 1.00
loaded: bias after one step of decay: 0.95
EXPECTED

TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import pathlib
import tempfile
import warnings

import keras
import numpy as np

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, bias_initializer="ones")])
optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
optimizer.exclude_from_weight_decay(var_names=["bias"])
model.compile(optimizer, "mse")
optimizer.build(model.trainable_variables)
warnings.simplefilter("error", UserWarning)
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "model.keras")
    model.save(path)
    loaded = keras.saving.load_model(path)
for name, each in (("before", model), ("loaded", loaded)):
    each.optimizer.apply([np.zeros(v.shape, "float32") for v in each.trainable_variables])
    print(f"{name}: bias after one step of decay: {float(each.layers[-1].bias[0]):.2f}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
