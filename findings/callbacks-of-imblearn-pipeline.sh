#!/usr/bin/env bash
# imbalanced-learn's Pipeline takes scikit-learn's callbacks and never calls them.
#
# Versions: imbalanced-learn 0.14.2, scikit-learn 1.9.1, numpy 2.4.6
#
# scikit-learn 1.9 has callbacks for fits. imbalanced-learn's Pipeline inherits set_callbacks from
# scikit-learn's and accepts a callback, but its own fit has none of the calls: a progress bar stays
# empty, and a callback that is to stop or to record does nothing. With the same steps, scikit-learn's
# Pipeline begins and ends three tasks.
#
# Run: bash findings/callbacks-of-imblearn-pipeline.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check imbalanced-learn==0.14.2 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
sklearn.pipeline calls: 6
imblearn.pipeline calls: 0
EXPECTED

"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import imblearn.pipeline
import numpy as np
import sklearn.pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


class Counter:
    def __init__(self):
        self.n_calls = 0

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **data):
        self.n_calls += 1

    def on_fit_task_end(self, estimator, context, **data):
        self.n_calls += 1


X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
for module in (sklearn.pipeline, imblearn.pipeline):
    counter = Counter()
    pipeline = module.make_pipeline(StandardScaler(), LogisticRegression()).set_callbacks(counter)
    pipeline.fit(X, y)
    print(module.__name__, "calls:", counter.n_calls)
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
