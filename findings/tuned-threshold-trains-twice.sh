#!/usr/bin/env bash
# TunedThresholdClassifierCV(refit=False) keeps another model than the one whose threshold it tuned.
#
# Versions: scikit-learn 1.9.1, numpy 2.4.6
#
# With a share as cv and refit=False, the model is trained on a part of the rows and its threshold
# chosen on the others. One would bet on one training, as there is nothing to train anew. There are
# two, and unless random_state is given the rows are divided anew for the second one: the threshold
# that is kept was chosen for the first model, and the second has been trained on rows that it was
# chosen by. For a network it also costs twice the time.
#
# Run: bash findings/tuned-threshold-trains-twice.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
random_state=None: 2 fits, on the same rows: False
random_state=0: 2 fits, on the same rows: True
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV


class Watched(LogisticRegression):
    rows = []

    def fit(self, X, y):
        Watched.rows.append(set(X[:, 0]))
        return super().fit(X, y)


X, y = np.random.default_rng(0).normal(size=(200, 2)), np.arange(200) % 2
for random_state in (None, 0):
    Watched.rows.clear()
    TunedThresholdClassifierCV(Watched(), cv=0.5, refit=False, random_state=random_state).fit(X, y)
    first, second = Watched.rows
    print(f"random_state={random_state}: {len(Watched.rows)} fits, on the same rows: {first == second}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
