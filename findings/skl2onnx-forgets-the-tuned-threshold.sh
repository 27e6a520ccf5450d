#!/usr/bin/env bash
# skl2onnx writes a classifier with a tuned threshold without its threshold.
#
# Versions: skl2onnx 1.20.0, onnx 1.23.0, onnxruntime 1.32.0, scikit-learn 1.9.1, numpy 2.4.6
#
# TunedThresholdClassifierCV is among the estimators that skl2onnx supports, and one would bet that the
# ONNX model gives the labels of predict, since another threshold than 0.5 is all that this estimator
# adds. The model gives the labels of the estimator inside, for 0.5. The probabilities agree.
#
# Run: bash findings/skl2onnx-forgets-the-tuned-threshold.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check skl2onnx==1.20.0 onnx==1.23.0 onnxruntime==1.32.0 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
the threshold is far from 0.5: True
labels that agree with predict: some
labels that agree with those of the estimator inside: all
probabilities that agree: all
EXPECTED

"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TunedThresholdClassifierCV

X, y = make_classification(1000, weights=[0.9], flip_y=0.1, random_state=0)
clf = TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy").fit(X, y)
model = to_onnx(clf, X[:1], options={"zipmap": False})
labels, proba = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"X": X})
print("the threshold is far from 0.5:", abs(clf.best_threshold_ - 0.5) > 0.1)


def agree(equal):
    return "all" if np.all(equal) else "some"


print("labels that agree with predict:", agree(labels == clf.predict(X)))
print("labels that agree with those of the estimator inside:", agree(labels == clf.estimator_.predict(X)))
print("probabilities that agree:", agree(np.abs(proba - clf.predict_proba(X)) < 1e-6))
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
