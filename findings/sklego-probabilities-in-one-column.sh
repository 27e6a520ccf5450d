#!/usr/bin/env bash
# scikit-lego's EstimatorTransformer makes three rows of one, where it is asked for probabilities.
#
# Versions: scikit-lego 0.9.10, scikit-learn 1.9.1, numpy 2.4.6
#
# EstimatorTransformer(classifier, predict_func="predict_proba") makes features of what a classifier
# predicts. One would bet on a row for each row, with a column for each class. It reshapes all that is
# predicted into one column unless the target has several: 150 rows of three classes become 450 rows.
# Alone there is no error; beside other transformers, as in FeatureUnion, the numbers of rows differ.
#
# Run: bash findings/sklego-probabilities-in-one-column.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-lego==0.9.10 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
predicted: (150, 3), transformed: (450, 1)
EXPECTED

"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklego.meta import EstimatorTransformer

X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000)
features = EstimatorTransformer(model, predict_func="predict_proba").fit(X, y)
print(f"predicted: {model.fit(X, y).predict_proba(X).shape}, transformed: {features.transform(X).shape}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
