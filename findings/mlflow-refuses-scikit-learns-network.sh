#!/usr/bin/env bash
# MLflow can't log scikit-learn's own MLPClassifier at its defaults.
#
# Versions: mlflow 3.17.2, skops 0.16.0, scikit-learn 1.9.1
#
# mlflow.sklearn.log_model takes models of scikit-learn, and one would bet that it takes all of them.
# Its default format is that of skops, which knows a list of types that are safe. The optimizer that a
# fitted MLPClassifier keeps is not among them, so that the call raises. It works with that type in
# skops_trusted_types, and with serialization_format="cloudpickle".
#
# Run: bash findings/mlflow-refuses-scikit-learns-network.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mlflow==3.17.2 skops==0.16.0 scikit-learn==1.9.1

cat > "$folder/expected" <<'EXPECTED'
LogisticRegression: logged
MLPClassifier: Untrusted types found in the file: ['sklearn.neural_network._stochastic_optimizers.AdamOptimizer'].
MLPClassifier, type trusted: logged
EXPECTED

cd "$folder"
"$folder/venv/bin/python" -W ignore - > "$folder/seen" 2> "$folder/log" <<'PYTHON'
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

mlflow.set_tracking_uri("sqlite:///runs.db")
X, y = load_iris(return_X_y=True)
net = MLPClassifier((4,), max_iter=5, random_state=0).fit(X, y)
optimizer = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
for name, model, trusted in (
    ("LogisticRegression", LogisticRegression(max_iter=1000).fit(X, y), None),
    ("MLPClassifier", net, None),
    ("MLPClassifier, type trusted", net, [optimizer]),
):
    try:
        mlflow.sklearn.log_model(model, name="model", skops_trusted_types=trusted)
        print(f"{name}: logged")
    except mlflow.exceptions.MlflowException as error:
        print(f"{name}: {str(error)[str(error).index('Untrusted'):]}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
