#!/usr/bin/env bash
# Normalization makes ten million of a flag that no row had when it was adapted.
#
# Versions: keras 3.15.1, tensorflow 2.21.0, scikit-learn 1.9.1
#
# A column that is the same in all rows has the variance 0. StandardScaler divides it by 1, and one would bet
# on keras.layers.Normalization doing so too, or refusing it. It divides by keras.config.epsilon(), 1e-7: the
# column of the training becomes 0, as one expects, and a 1 in a later row becomes 1e7. A constant such as 0.1
# has a variance of rounding, which is treated alike. Flags of rare events do so in folds of cross-validation.
# The feature "float_normalized" of keras.utils.FeatureSpace is this layer.
#
# Run: bash findings/keras-normalization-of-constants.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    keras==3.15.1 tensorflow==2.21.0 scikit-learn==1.9.1

cat > "$folder/expected" <<'EXPECTED'
rows adapted to: 0 and 0; later 1: Normalization 1e+07, StandardScaler 1
rows adapted to: 0.1 and 0.1; later 1.1: Normalization 1e+07, StandardScaler 1
FeatureSpace, float_normalized: 1e+07
EXPECTED

cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" 2> /dev/null <<'PYTHON'
import keras
import numpy as np
import tensorflow as tf
from sklearn.preprocessing import StandardScaler

for value in (0, 0.1):
    rows, later = np.full((100, 1), value, "float32"), np.array([[value + 1]], "float32")
    layer = keras.layers.Normalization()
    layer.adapt(rows)
    by_keras, by_sklearn = layer(later).numpy().item(), StandardScaler().fit(rows).transform(later).item()
    print(f"rows adapted to: {value} and {value}; later {value + 1}: ", end="")
    print(f"Normalization {by_keras:.4g}, StandardScaler {by_sklearn:.4g}")

space = keras.utils.FeatureSpace({"flag": "float_normalized"}, output_mode="concat")
space.adapt(tf.data.Dataset.from_tensor_slices({"flag": np.zeros(100, "float32")}).batch(100))
print(f"FeatureSpace, float_normalized: {space({'flag': [1.0]}).numpy().item():.4g}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
