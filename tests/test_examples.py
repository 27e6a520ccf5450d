"""Every example runs, saves pictures that show something, and prints what its docstring says.

Those that take long are run for one epoch here, and at their defaults by `make examples`, which sets
SKDL_EXAMPLES=full, and with the files in the folder SKDL_DATA where there is one.
"""

import ast
import gc
import os
import re
import runpy
import sys
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("plot_*.py"))
# Done in a few seconds at their defaults.
QUICK = {
    "plot_blood_fat",
    "plot_credit_default",
    "plot_first_steps",
    "plot_iris",
    "plot_larger_than_memory",
    "plot_onnx",
}
# The files that --data takes, under the names that their publishers gave them.
FILES = {
    "plot_bike_sharing": "hour.csv",
    "plot_blood_fat": "x09.txt",
    "plot_credit_default": "creditset.csv",
    "plot_failing_wafers": "uci-secom.csv",
    "plot_fashion_mnist": "fashion_mnist.npz",
    "plot_mnist_convolutional": "mnist.npz",
    "plot_mnist_dense": "mnist.npz",
    "plot_mnist_errors": "mnist.npz",
    "plot_tabular": "hour.csv",
    "plot_tuning": "creditset.csv",
}
FULL = os.environ.get("SKDL_EXAMPLES") == "full"
DATA = os.environ.get("SKDL_DATA")
NUMBER = r"-?\d+(?:\.\d+)?"


def run(example, folder, monkeypatch, *arguments):
    """Run an example, and check that it saves pictures; drawn coarsely, they take less time."""
    matplotlib.use("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda *args, dpi=None, **kwargs: save(*args, dpi=40, **kwargs))
    monkeypatch.setattr(sys, "argv", [example.name, "--output", str(folder), *arguments])
    runpy.run_path(str(example), run_name="__main__")
    plt.close("all")
    gc.collect()  # the arrays of the example: its functions and its names hold each other
    pictures = list(folder.glob("*.png"))
    assert pictures
    assert all(np.ptp(plt.imread(picture)) > 0 for picture in pictures)


def promised(example, *, data):
    """Return the lines that the docstring says are printed, with the original data or without."""
    text = ast.get_docstring(ast.parse(example.read_text()))
    blocks = re.findall(r"^((?:.+\n)*.*)prints::\n\n((?: {4}.*\n?|\n)+)", text, re.M)
    chosen = [block for sentence, block in blocks if ("original" in sentence) == data]
    return textwrap.dedent("".join(chosen)).strip().splitlines()


def check_printed(lines, printed):
    """Check that the lines are printed in their order; numbers may differ as between two processors."""
    printed = iter(printed.splitlines())
    for line in lines:
        for other in printed:
            if re.sub(NUMBER, "#", line).split() == re.sub(NUMBER, "#", other).split():
                break
        else:
            raise AssertionError(f"not printed, or not in this order: {line!r}")
        given, found = ([float(number) for number in re.findall(NUMBER, text)] for text in (line, other))
        assert found == pytest.approx(given, rel=0.05, abs=0.02), f"{line!r} is {other!r}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_prints_what_its_docstring_says(example, tmp_path, monkeypatch, capsys):
    at_defaults = FULL or example.stem in QUICK
    run(example, tmp_path, monkeypatch, *([] if at_defaults else ["--epochs", "1"]))
    printed = capsys.readouterr().out
    assert promised(example, data=False), "the docstring names no result"
    if at_defaults:
        check_printed(promised(example, data=False), printed)


if DATA:

    @pytest.mark.parametrize("name", FILES)
    def test_prints_what_its_docstring_says_of_the_original_data(name, tmp_path, monkeypatch, capsys):
        example, file = EXAMPLES[0].with_name(f"{name}.py"), Path(DATA, FILES[name])
        run(example, tmp_path, monkeypatch, "--data", str(file))
        check_printed(promised(example, data=True), capsys.readouterr().out)


def test_lines_that_are_not_printed_are_found():
    printed = "Loss: 0.512\nAccuracy: 0.940, 12 errors\n"
    check_printed(["Loss: 0.500", "Accuracy: 0.945, 12 errors"], printed)
    for lines in (["Loss: 0.9"], ["Recall: 0.512"], ["Accuracy: 0.940, 12 errors", "Loss: 0.512"]):
        with pytest.raises(AssertionError, match=lines[-1] if len(lines) == 1 else "not in this order"):
            check_printed(lines, printed)
