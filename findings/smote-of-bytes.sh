#!/usr/bin/env bash
# SMOTE on images of bytes makes values that lie outside of all neighbours.
#
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6
#
# SMOTE draws each new row on the line between two rows of the class. One would bet that every value
# lies between the smallest and the largest of the class, whatever the type of the array. It computes
# in that type: a difference of two unsigned bytes that is negative wraps around, so that new pixels
# are far darker and brighter than all pixels of the class. There is no warning. Floats of the same
# values are right.
#
# Run: bash findings/smote-of-bytes.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
uint8 given - uint8 made; all between 100 and 110: False
float64 given - float64 made; all between 100 and 110: True
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from imblearn.over_sampling import SMOTE

rare = [[100, 110], [110, 100], [105, 108], [108, 104], [103, 102], [107, 109]]
X = np.array([[100, 100]] * 20 + rare)
y = np.repeat([0, 1], [20, 6])
smote = SMOTE(k_neighbors=2, random_state=0)
for dtype in ("uint8", "float64"):
    made, _ = smote.fit_resample(X.astype(dtype), y)
    inside = (made[26:] >= 100) & (made[26:] <= 110)
    print(dtype, "given", "-", made.dtype, "made; all between 100 and 110:", bool(inside.all()))
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
