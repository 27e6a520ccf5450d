#!/usr/bin/env bash
# A Keras model that was compiled with Huber(delta=0.1) is loaded with delta=1.
#
# Versions: keras 3.15.1, tensorflow 2.21.0
#
# A loss has a get_config, a saved model keeps how it was compiled, and one would bet that it comes back
# with the loss that it had. The configuration of Huber has its name and its reduction, and not delta,
# with which it was made: from_config gives the default. There is no message, and the loaded model
# evaluates, and trains on, with another loss.
#
# Run: bash findings/keras-saves-huber-without-delta.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0

cat > "$folder/expected" <<'EXPECTED'
configuration of Huber(delta=0.1): ['name', 'reduction']
loss before: 0.095
loss after saving and loading: 0.500
EXPECTED

cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" 2> /dev/null <<'PYTHON'
import keras
import numpy as np

loss = keras.losses.Huber(delta=0.1)
print("configuration of Huber(delta=0.1):", sorted(loss.get_config()))
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones")])
model.compile("sgd", loss)
X, y = np.ones((4, 1)), np.zeros((4, 1))
print(f"loss before: {model.evaluate(X, y, verbose=0):.3f}")
model.save("model.keras")
loaded = keras.models.load_model("model.keras")
print(f"loss after saving and loading: {loaded.evaluate(X, y, verbose=0):.3f}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
