"""Run the workloads of skdl and its peers side by side: ``make bench``.

Each measurement is a fresh process. The contenders of a workload take turns, so that a
drift of the machine's speed meets them all; what is printed is the ratio of their
medians and, as its spread, the ratios of the single turns. The table goes into the
README and the numbers into ``benchmarks/results.json``.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import readme
from workloads import WORKLOADS

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"

# Workload, what skdl is compared with, and what the row says.
COMPARISONS = [
    ("importing", "sklearn", "import of `DNNClassifier`, against that of `MLPClassifier`"),
    ("search", "sklearn", "grid search of 31 fits behind scaler and SMOTE, against `MLPClassifier`"),
    ("search_script", "sklearn", "the same as a whole script in a fresh process, imports included"),
    ("search", "skorch", "the same search, against skorch"),
    ("search", "scikeras", "the same search, against scikeras"),
    ("search", "keras.wrappers", "the same search, against `keras.wrappers` (made to train all epochs)"),
    ("search_threads", "search", "the same search in two threads, against one"),
    ("architectures", "sklearn", "search over 15 widths, 46 fits, against `MLPClassifier`"),
    ("architectures", "builder", "the same, against `KerasClassifier` with a builder"),
    ("random_search", "sklearn", "30 random networks on 4,600 rows, 91 fits, against `MLPClassifier`"),
    ("larger_search", "sklearn", "6 candidates on 5,000 rows, 19 fits, against `MLPClassifier`"),
    ("larger_search_threads", "larger_search", "the same search in two threads, against one"),
    (
        "larger_search_processes",
        "larger_search",
        "the same search in two running processes, against one",
    ),
    ("elimination", "sklearn", "`RFE` from 25 features to 1, against `MLPClassifier`"),
    ("short_fit", "sklearn", "2 epochs on 100 rows, first in its process, against `MLPClassifier`"),
    ("short_fit", "keras", "the same, against Keras `fit`"),
    ("first_fit", "keras", "first fit in a fresh process, 50 epochs, against Keras `fit`"),
    ("warm_fit", "keras", "a later fit, 50 epochs, against Keras `fit`"),
    ("large_table", "keras", "1,000,000 rows of 30 numbers, an epoch at batch 1,024, against Keras `fit`"),
    ("mnist_dense", "keras", "784-128-64-32-16-10, 60,000 rows, 5 epochs, against Keras `fit`"),
    ("mnist_dense", "sklearn", "the same, against scikit-learn's `MLPClassifier`"),
    ("mnist_convolutional", "keras", "convolutional network, 6,000 images, against Keras `fit`"),
    ("recurrent", "keras", "LSTM of 32 units, 4,000 rows, 2 epochs, against Keras `fit`"),
    ("embedding", "keras", "embedding of 1,000 words, 4,000 rows, 2 epochs, against Keras `fit`"),
    ("own_layers", "keras", "layers of one's own, 4,000 rows, 2 epochs, against Keras `fit`"),
    ("serve_hundred", "sklearn", "`predict_proba` of one row by 100 models in turn, against `MLPClassifier`"),
    ("predict_many", "model", "`predict_proba` of 100,000 rows, against the bare model call"),
]
MEMORY = [
    ("memory_of_fits", "memory over 300 fits of one architecture, after the first 20"),
    ("memory_of_architectures", "memory over 1,000 architectures, after the first 20"),
    ("memory_of_programs", 'memory over 60 architectures with `engine="compiled"`, after the first 20'),
    ("peak_of_large_table", "peak of a fit of 1,000,000 rows of 30 numbers and a class (122 MB)"),
    ("peak_of_fit", "peak of a fit of 5 million rows of 20 numbers and a class (440 MB)"),
    ("peak_of_fit_validated", "the same with `validation_split=0.1`"),
]
SLOW = {
    ("search", "scikeras"),
    ("search", "skorch"),
    ("search", "keras.wrappers"),
    ("mnist_dense", "keras"),
}


class Failed(Exception):
    """Why a contender gave no measurement."""


def measure(workload, contender):
    done = subprocess.run(
        [sys.executable, str(HERE / "workloads.py"), workload, contender],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{contender} fails: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])["measured"]


def compare(workload, other, turns):
    """Measure skdl and another in turn."""
    pair = (other, "skdl") if other in WORKLOADS else (workload, other)
    ours, theirs = [], []
    for turn in range(turns):
        order = [(ours, (workload, "skdl")), (theirs, pair)]
        for times, what in order if turn % 2 == 0 else reversed(order):
            times.append(measure(*what))
    return {"skdl": ours, "other": theirs}


def seconds(value):
    return f"{value * 1000:.2g} ms" if value < 0.1 else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def row(text, measured):
    if isinstance(measured, str):
        return f"| {text} | | | {measured} |"
    ours, theirs = measured["skdl"], measured["other"]
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    ratio = statistics.median(theirs) / statistics.median(ours)
    return (
        f"| {text} | {seconds(statistics.median(ours))} | {seconds(statistics.median(theirs))} "
        f"| **{ratio:.2g}** ({ratios[0]:.2g} to {ratios[-1]:.2g}) |"
    )


def memory_row(text, grown):
    return f"| {text} | {grown:+.0f} MB | | |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="turns of each comparison")
    parser.add_argument("--slow-turns", type=int, default=1, help="turns of those that take minutes")
    parser.add_argument("--only", nargs="*", help="workloads to measure anew")
    args = parser.parse_args()

    results = json.loads(RESULTS.read_text()) if args.only else {}
    for workload, other, text in COMPARISONS:
        if (args.only and workload not in args.only) or (
            other == "skorch" and not importlib.util.find_spec("torch")
        ):
            continue
        turns = args.slow_turns if (workload, other) in SLOW else args.turns
        try:
            measured = compare(workload, other, turns)
        except Failed as error:
            measured = str(error)
        keep(results, f"{workload} / {other}", measured, row(text, measured))
    for workload, text in MEMORY:
        if not args.only or workload in args.only:
            measured = measure(workload, "skdl")
            keep(results, workload, measured, memory_row(text, measured))


def keep(results, key, measured, text):
    """Keep a measurement: in the results, in the README's table, and on the screen."""
    results[key] = measured
    print(text, flush=True)
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "scikit-learn")}
    results["machine"] = {"python": platform.python_version(), "cores": os.cpu_count(), **versions}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    readme.put("benchmark", table(results))


def table(results):
    """Return the table of the README, as Markdown."""
    rows = [row(text, results[f"{w} / {o}"]) for w, o, text in COMPARISONS if f"{w} / {o}" in results]
    rows += [memory_row(text, results[workload]) for workload, text in MEMORY if workload in results]
    head = "| workload | skdl | the other | times as fast (spread) |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
