#!/usr/bin/env bash
# skl2onnx writes isotonic calibration as steps, with other probabilities than scikit-learn's.
#
# Versions: skl2onnx 1.20.0, onnx 1.23.0, onnxruntime 1.32.0, scikit-learn 1.9.1, numpy 2.4.6
#
# CalibratedClassifierCV(method="isotonic") draws straight lines between its thresholds. One would bet
# that the ONNX model that skl2onnx converts without a warning does so too, to rounding. It takes the
# value of the nearest threshold: on iris some rows are off by more than 0.1. With method="sigmoid" the
# probabilities agree.
#
# Run: bash findings/skl2onnx-isotonic-takes-the-nearest.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check skl2onnx==1.20.0 onnx==1.23.0 onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
sigmoid: rows that are off by more than 0.01: none, by more than 0.1: none
isotonic: rows that are off by more than 0.01: some, by more than 0.1: some
EXPECTED

"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.naive_bayes import GaussianNB

X, y = load_iris(return_X_y=True)
X, y = X.astype("float32"), (y == 1).astype(int)
for method in ("sigmoid", "isotonic"):
    clf = CalibratedClassifierCV(GaussianNB(), method=method, cv=3).fit(X, y)
    model = to_onnx(clf, X[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    proba = np.vstack([session.run(None, {"X": row[None]})[1] for row in X])
    off = np.abs(proba - clf.predict_proba(X)).max(axis=1)
    small, large = ("some" if (off > limit).any() else "none" for limit in (0.01, 0.1))
    print(f"{method}: rows that are off by more than 0.01: {small}, by more than 0.1: {large}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
