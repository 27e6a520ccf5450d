"""Every example runs, offline and at reduced epochs, and saves pictures that show something."""

import runpy
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_saves_its_pictures(example, tmp_path, monkeypatch, capsys):
    matplotlib.use("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    monkeypatch.setattr(sys, "argv", [example.name, "--epochs", "2", "--output", str(tmp_path)])
    runpy.run_path(str(example), run_name="__main__")
    plt.close("all")
    pictures = list(tmp_path.glob("*.png"))
    assert pictures
    assert all(np.ptp(plt.imread(picture)) > 0 for picture in pictures)
    assert capsys.readouterr().out
