#!/usr/bin/env bash
# With EarlyStopping(restore_best_weights=True) the averages of use_ema=True are never used.
#
# Versions: keras 3.15.1, tensorflow 2.21.0
#
# An optimizer with use_ema=True keeps a moving average of the weights, and puts it in their place at
# the end of fit. EarlyStopping restores the weights of the best epoch after that, and these are the
# weights before averaging. So a training with and without use_ema ends in the same weights, to the
# bit, as soon as EarlyStopping restores any; without restore_best_weights they differ. What is
# validated in each epoch are the weights before averaging, too.
#
# Run: bash findings/keras-early-stopping-drops-averages.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0

cat > "$folder/expected" <<'EXPECTED'
restore_best_weights=False: use_ema changes nothing: False
restore_best_weights=True: use_ema changes nothing: True
EXPECTED

TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import keras
import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype("float32")
y = (X[:, :1] > 0).astype("float32")


def weights(use_ema, restore):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(keras.optimizers.Adam(0.01, use_ema=use_ema), "binary_crossentropy")
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=restore)
    model.fit(X[:150], y[:150], validation_data=(X[150:], y[150:]), epochs=5, callbacks=[stopping], verbose=0)
    return model.get_weights()


for restore in (False, True):
    same = all(np.array_equal(*pair) for pair in zip(weights(True, restore), weights(False, restore)))
    print(f"restore_best_weights={restore}: use_ema changes nothing: {same}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
