"""Compare the ways into production: ``python benchmarks/production.py``.

The same Pipeline (StandardScaler and a network of 64 and 64 units, 20 features) in each format: the size of
the file, the time until a new process that has imported nothing can predict, and the time of a call for one
row and for 10,000. Writes ``docs/guide/production.csv``; the time of a call is the median.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent

# Format -> what a new process runs once, and what it then calls with rows X.
READERS = {
    "pickle": (
        "import pickle; predict = pickle.load(open('net.pickle', 'rb')).predict_proba",
        "predict(X)",
    ),
    "skdl.save": ("import skdl; predict = skdl.load('net.skdl').predict_proba", "predict(X)"),
    "ONNX": (
        "import onnxruntime; predict = onnxruntime.InferenceSession('net.onnx').run",
        "predict(['probabilities'], {'X': X})",
    ),
    "SavedModel, network alone": (
        "import tensorflow as tf; net = tf.saved_model.load('net.tf'); predict = net.serve",
        "predict(tf.constant(X)).numpy()",
    ),
    "LiteRT, network alone": (
        "import tensorflow as tf; net = tf.lite.Interpreter('net.tflite', num_threads=1)\n"
        "def predict(X):\n"
        "    i, o = net.get_input_details()[0]['index'], net.get_output_details()[0]['index']\n"
        "    net.resize_tensor_input(i, X.shape); net.allocate_tensors()\n"
        "    net.set_tensor(i, X); net.invoke(); return net.get_tensor(o)",
        "predict(X)",
    ),
}
READER = """
import json, sys, time
import numpy as np
rows = np.load("X.npy").astype(sys.argv[1])
start = time.perf_counter()
{load}
X = rows[:1]
{call}
ready = time.perf_counter() - start
def median(repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        {call}
        times.append(time.perf_counter() - start)
    return float(np.median(times))
one = median(200)
X = rows
many = median(20)
print(json.dumps([ready, one, many]))
"""


def write(folder):
    """Fit the Pipeline and write it in each format."""
    import pickle

    from sklearn.datasets import make_classification
    from sklearn.preprocessing import StandardScaler

    import skdl

    X, y = make_classification(10_000, 20, random_state=0)
    pipeline = skdl.make_pipeline(StandardScaler(), skdl.DNNClassifier((64, 64), epochs=3, random_state=0))
    pipeline.fit(X, y)
    np.save(folder / "X.npy", X)
    (folder / "net.pickle").write_bytes(pickle.dumps(pipeline))
    skdl.save(pipeline, folder / "net.skdl")
    skdl.to_onnx(pipeline, X, folder / "net.onnx")
    model = pipeline[-1].model_
    model.export(folder / "net.tf", verbose=False)
    model.export(folder / "net.tflite", format="litert", verbose=False)


def measure(name, folder):
    """Return seconds until the first prediction, of one row, and of 10,000 rows, in a new process."""
    load, call = READERS[name]
    dtype = "float32" if "alone" in name else "float64"
    done = subprocess.run(
        [sys.executable, "-c", READER.format(load=load, call=call), dtype],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
    )
    return json.loads(done.stdout.splitlines()[-1])


def size(path):
    """Return the bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "guide" / "production.csv")
    args = parser.parse_args()
    files = dict(zip(READERS, ("net.pickle", "net.skdl", "net.onnx", "net.tf", "net.tflite"), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write(folder)
        rows = []
        for name, file in files.items():
            start = time.perf_counter()
            ready, one, many = measure(name, folder)
            rows.append(
                [
                    name,
                    f"{size(folder / file) / 1000:.0f} kB",
                    f"{ready:.1f} s",
                    f"{one * 1e3:.2f} ms",
                    f"{many * 1e3:.1f} ms",
                ]
            )
            print(*rows[-1], f"({time.perf_counter() - start:.0f} s)", sep=", ", flush=True)
    with args.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["format", "size", "ready after", "one row", "10,000 rows"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
