#!/usr/bin/env bash
# A FeatureSpace that comes back from its configuration takes itself for adapted, and scales by mean 0.
#
# Versions: keras 3.15.1, tensorflow 2.21.0
#
# FeatureSpace.from_config(space.get_config()) gives a space that refuses to be called before adapt, in plain
# words. One would bet on the same from keras.saving.deserialize_keras_object, by which Keras reads
# configurations. But what serialize_keras_object writes also says that the space was built, and one that is
# built from it counts as adapted: it is called without a message, and float_normalized gives the numbers as
# they are, since the mean and the variance that it had learnt are not in a configuration.
#
# Run: bash findings/keras-feature-space-passes-for-adapted.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0

cat > "$folder/expected" <<'EXPECTED'
adapted to [1, 2, 3, 10], called with 10: 1.70
from_config: ValueError
deserialize_keras_object, called with 10: 10.00
EXPECTED

cd "$folder"
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - > "$folder/seen" 2> /dev/null <<'PYTHON'
import keras
import tensorflow as tf
from keras.utils import FeatureSpace

space = FeatureSpace({"age": FeatureSpace.float_normalized()}, output_mode="concat")
space.adapt(tf.data.Dataset.from_tensor_slices({"age": [1.0, 2.0, 3.0, 10.0]}).batch(4))
row = {"age": tf.constant([[10.0]])}
print(f"adapted to [1, 2, 3, 10], called with 10: {float(space(row)[0, 0]):.2f}")
try:
    FeatureSpace.from_config(space.get_config())(row)
except ValueError as error:
    print(f"from_config: {type(error).__name__}")
again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(space))
print(f"deserialize_keras_object, called with 10: {float(again(row)[0, 0]):.2f}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
