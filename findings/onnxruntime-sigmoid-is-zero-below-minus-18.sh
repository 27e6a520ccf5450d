#!/usr/bin/env bash
# onnxruntime's Sigmoid is 0 below -18, and off by half at -16.
#
# Versions: onnx 1.23.0, onnxruntime 1.32.0, numpy 2.4.6
#
# float32 holds the logistic function down to -87 with seven digits, and one would bet that Sigmoid does
# so, to rounding, as 1 / (1 + exp(-x)) does with the same operators. Sigmoid is right to 1e-7 of one
# only: small probabilities lose their digits and their order, and their logarithm is infinite.
#
# Run: bash findings/onnxruntime-sigmoid-is-zero-below-minus-18.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.0 onnxruntime==1.32.0 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
Sigmoid of float32
   -5 right to four digits
  -16 off by more than a third
  -20 0.0
  -40 0.0
1 / (1 + exp(-x)) of float32
   -5 right to four digits
  -16 right to four digits
  -20 right to four digits
  -40 right to four digits
EXPECTED

"$folder/venv/bin/python" -W ignore - > "$folder/seen" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

X = np.array([-5.0, -16.0, -20.0, -40.0])
ALONE = [("Sigmoid", ["x"], ["y"])]
WRITTEN = [("Neg", ["x"], ["a"]), ("Exp", ["a"], ["b"]), ("Add", ["one", "b"], ["c"]), ("Div", ["one", "c"], ["y"])]
for name, nodes in (("Sigmoid", ALONE), ("1 / (1 + exp(-x))", WRITTEN)):
    x, y = (helper.make_tensor_value_info(each, TensorProto.FLOAT, [None]) for each in "xy")
    one = numpy_helper.from_array(np.ones((), "float32"), "one")
    graph = helper.make_graph([helper.make_node(*each) for each in nodes], "g", [x], [y], [one] if nodes is WRITTEN else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (seen,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X.astype("float32")})
    print(name, "of float32")
    for at, value in zip(X, seen):
        off = abs(value * (1 + np.exp(-at)) - 1)
        words = "right to four digits" if off < 1e-4 else "off by more than a third"
        print(f"{at:5.0f}", value if value == 0 else words)
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
