#!/usr/bin/env bash
# fairlearn's ThresholdOptimizer can't predict with probabilities of float32.
#
# Versions: fairlearn 0.15.0, pandas 3.1.1, scikit-learn 1.9.1, numpy 2.4.6
#
# A classifier of scikit-learn that is fitted on rows of float32 returns probabilities of float32, and
# one would bet that what is built on classifiers takes them. ThresholdOptimizer fits. In predict it
# puts thresholds of float64 into a Series that has the type of the probabilities, which pandas 2 cast
# with a warning and pandas 3 refuses. The same rows as float64 are right.
#
# Run: bash findings/fairlearn-thresholds-of-float32.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check fairlearn==0.15.0 pandas==3.1.1 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
float64: 200 predictions
float32: TypeError, for dtype 'float32'
EXPECTED

"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.neural_network import MLPClassifier

rng = np.random.default_rng(0)
group = rng.integers(0, 2, 200)
X = rng.normal(size=(200, 3)) + group[:, None]
y = (X[:, 0] + rng.normal(size=200) > 0.5).astype(int)
for dtype in ("float64", "float32"):
    rows = X.astype(dtype)
    net = MLPClassifier((4,), max_iter=20, random_state=0).fit(rows, y)
    fair = ThresholdOptimizer(estimator=net, constraints="demographic_parity", prefit=True, predict_method="predict_proba")
    fair.fit(rows, y, sensitive_features=group)
    try:
        print(f"{dtype}: {len(fair.predict(rows, sensitive_features=group))} predictions")
    except TypeError as error:
        print(f"{dtype}: TypeError, {str(error)[str(error).index('for dtype'):]}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
