"""Nothing warns that a user can't act upon: a process with warnings as errors stays silent."""

import subprocess
import sys

SCRIPT = """
import copy, pickle, sys, warnings
import keras, numpy as np
import skdl
from sklearn.base import clone

X = np.random.default_rng(0).normal(size=(40, 3))
y = (X[:, 0] > 0) * 2**60  # large numbers are classes, too


def build(meta, units=3):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dense(1, "sigmoid")])


models = [
    skdl.DNNClassifier((3,), epochs=1, dropout=0.1, early_stopping=True),
    skdl.DNNClassifier((3,), epochs=1, engine="keras", callbacks=keras.callbacks.CSVLogger(sys.argv[1])),
    skdl.KerasClassifier(build, loss="binary_crossentropy", engine="keras"),
]
for model in models:
    model.fit(X, y).predict_proba(X)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
        other.predict(X)
    # As often as TensorFlow needs to complain of tracing.
    for units in range(2, 8):
        models[2].set_params(model__units=units).fit(X[: 5 * units], y[: 5 * units])
skdl.save(models[0], sys.argv[2])
skdl.load(sys.argv[2]).predict(X)
skdl.clear_caches()
"""


def test_a_process_with_warnings_as_errors_stays_silent(tmp_path):
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        SCRIPT,
        str(tmp_path / "log.csv"),
        str(tmp_path / "model.skdl"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "retracing" not in done.stderr
