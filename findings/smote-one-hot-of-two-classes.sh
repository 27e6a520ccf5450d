#!/usr/bin/env bash
# A one-hot target of two columns comes back from a sampler as one column.
#
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6
#
# imbalanced-learn takes one-hot targets ("binarized encoded" in its messages). With three columns the
# target comes back one-hot. With two columns it comes back as labels of shape (m, 1): other values,
# and another meaning for a network with two softmax units behind it. The same holds for every sampler,
# here for one that makes rows and one that leaves out rows.
#
# Run: bash findings/smote-one-hot-of-two-classes.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
SMOTE columns before: 3 behind: 3
RandomUnderSampler columns before: 3 behind: 3
SMOTE columns before: 2 behind: 1
RandomUnderSampler columns before: 2 behind: 1
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler

X = np.arange(120.0).reshape(60, 2)
for n_classes in (3, 2):
    y = np.eye(n_classes, dtype=int)[np.minimum(np.arange(60) // 25, n_classes - 1)]
    for sampler in (SMOTE(random_state=0), RandomUnderSampler(random_state=0)):
        _, y_resampled = sampler.fit_resample(X, y)
        print(type(sampler).__name__, "columns before:", y.shape[1], "behind:", y_resampled.shape[1])
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
