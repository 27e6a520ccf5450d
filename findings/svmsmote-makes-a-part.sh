#!/usr/bin/env bash
# SVMSMOTE makes a part of the rows that it is asked for, and the classes stay imbalanced.
#
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6
#
# With sampling_strategy="auto" an oversampler is to make the rare class as large as the frequent one.
# SVMSMOTE divides the number of new rows by chance among support vectors that have many neighbours of
# the other class and those that have few. Where the classes are apart there are none of the first
# kind, and their share is not made at all. How large it is depends on random_state alone. There is no
# warning.
#
# Run: bash findings/svmsmote-makes-a-part.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
SMOTE of 170 rows wanted: [170, 170, 170, 170, 170]
SVMSMOTE of 170 rows wanted: [86, 77, 104, 86, 105]
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from imblearn.over_sampling import SMOTE, SVMSMOTE

rng = np.random.default_rng(0)
y = np.repeat([0, 1], [170, 30])
X = rng.normal(size=(200, 2)) + 5 * y[:, np.newaxis]
for sampler in (SMOTE, SVMSMOTE):
    sizes = [int((sampler(random_state=seed).fit_resample(X, y)[1] == 1).sum()) for seed in range(5)]
    print(sampler.__name__, "of 170 rows wanted:", sizes)
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
