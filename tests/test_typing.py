"""What type checkers and editors know of skdl."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import jedi
import keras
import pytest

import skdl
from skdl._model._build import PREDICT_PARAMS
from skdl._training._plan import FIT_PARAMS
from skdl._typing import FitArguments, PredictArguments

ROOT = Path(__file__).parent.parent

RIGHT = """
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from skdl import (
    CNNClassifier, DNNClassifier, DNNRegressor, HistoryDisplay, KerasClassifier, KerasRegressor, Pipeline,
    TabularClassifier, TabularRegressor, clear_caches, diagnose, load, make_pipeline, save,
)

X, y = np.zeros((10, 3)), np.arange(10) % 2
clf: DNNClassifier = DNNClassifier((8, 4), epochs=2, optimizer__momentum=0.5, callbacks__patience=3)
clf = clf.fit(X, y, sample_weight=np.ones(10), X_val=X, y_val=y).partial_fit(X, y)
proba: NDArray[Any] = clf.predict_proba(X, batch_size=5)
losses: list[float] = clf.history_["loss"]
score: float = DNNRegressor(learning_rate=0.1, early_stopping=True).fit(X, y).score(X, y)
CNNClassifier([8], kernel_size=(3, 3), image_shape=(1, 3), padding="valid").set_params(epochs=3)
KerasClassifier(lambda units: None, model__units=3, units=4, loss="mse", class_weight={0: 1.0, 1: 2.0})

class Mine(KerasRegressor):
    pass

Mine(lambda units: None, epochs=3, units=4).fit(X, y)
pipeline: Pipeline = make_pipeline(StandardScaler(), clf)
pipeline.fit(X, y)
print(diagnose(clf))
HistoryDisplay.from_estimator(clf)
table = TabularClassifier(time_limit=10.0, categorical_features=["city"]).fit(X, y)
TabularRegressor((64, 64), n_members=4, n_folds="auto", epochs=3)
save(table, "table.skdl")
table = load("table.skdl", trusted=["module.name"])
clear_caches()
"""


WRONG = {
    "DNNClassifier(epohcs=2)": "epohcs.*did you mean .epochs",
    "DNNClassifier(epochs='many')": "incompatible type .str.; expected .int",
    "DNNRegressor(optimizer__momentun=0.1)": "optimizer__momentun",
    "CNNClassifier(padding='both')": "padding",
    "KerasRegressor(epochs='many')": "incompatible type .str.; expected .int",
    "clf.fit(X, y, sample_wieght=y)": "sample_wieght.*did you mean .sample_weight",
    "clf.predict(X, batchsize=2)": "batchsize",
    "TabularClassifier(n_member=3)": "n_member.*did you mean .n_members",
    "load('table.skdl', trusted=3)": "trusted",
    "clf.history_.loss": "has no attribute .loss",
    "import skdl; skdl.DNNClasifier": "has no attribute .DNNClasifier",
}


def test_a_type_checker_accepts_what_is_right_and_finds_what_is_wrong(tmp_path):
    lines = [*RIGHT.splitlines(), *WRONG]
    (tmp_path / "script.py").write_text("\n".join(lines))
    # As for a package that is installed: errors are shown of the script alone.
    options = ["--strict", "--follow-imports=silent", "--disable-error-code=import-untyped"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "script.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    assert done.stderr == ""
    found = re.findall(r"script\.py:(\d+): error: (.+)", done.stdout)
    assert [lines[int(line) - 1] for line, _ in found] == list(WRONG)
    for (_, error), match in zip(found, WRONG.values(), strict=True):
        assert re.search(match, error)


def test_the_routed_parameters_are_those_of_the_installed_keras(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import make_keras_params

    assert make_keras_params.FILE.read_text() == make_keras_params.text()


def test_arguments_of_fit_and_predict_are_those_of_keras():
    fit, predict = (set(inspect.signature(f).parameters) for f in (keras.Model.fit, keras.Model.predict))
    assert set(FitArguments.__annotations__) == fit - {"self", "x", "y", "sample_weight"}
    assert set(PredictArguments.__annotations__) == predict - {"self", "x"}
    # Regressors refuse class_weight.
    assert FIT_PARAMS == set(FitArguments.__annotations__) - {"class_weight"}
    assert PREDICT_PARAMS == set(PredictArguments.__annotations__)


@pytest.mark.parametrize("name", ["DNNClassifier", "KerasRegressor", "CNNClassifier"])
def test_editors_show_the_signature_of_an_estimator(name):
    script = jedi.Script(f"from skdl import {name}\n{name}(", project=jedi.Project(ROOT))
    (found,) = script.infer(1, len("from skdl import ") + 2)
    assert (found.type, found.name) == ("class", name)
    (signature,) = script.get_signatures(2, len(name) + 1)
    shown = {parameter.name for parameter in signature.params}
    assert set(getattr(skdl, name)().get_params()) <= shown


def test_the_signature_is_that_of_the_constructor_also_while_running():
    assert list(inspect.signature(skdl.DNNClassifier).parameters)[:2] == ["hidden_layer_sizes", "activation"]

    class Mine(skdl.DNNRegressor):
        def __init__(self, width=3, **kwargs):
            super().__init__(**kwargs)
            self.width = width

    assert {"width", "epochs"} <= set(inspect.signature(Mine).parameters)
