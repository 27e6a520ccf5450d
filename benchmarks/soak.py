"""A thousand fits in one process: ``make soak``, or ``python benchmarks/soak.py --minutes 2``.

Rounds of sixty fits: twenty architectures at three sizes, one of them in four threads, with fits that
fail and that are interrupted in between. Before them, one fit is long enough for XLA, which TensorFlow
starts once. Afterwards memory must be that of the end of the first round, threads and files those of
before, and a share of the fits, repeated alone in a new process, must give the same bits.
"""

import argparse
import gc
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")

import keras
import numpy as np

from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier

N_FITS, N_REPEATED, MORE_MB = 1000, 50, 100


class Scaled(keras.layers.Layer):
    """A layer of one's own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def wrapped(meta, units=4, own=False):
    stack = [keras.Input((meta["n_features_in_"],)), keras.layers.Dense(units, activation="relu")]
    stack += [Scaled()] if own else [keras.layers.Dropout(0.2)]
    return keras.Sequential([*stack, keras.layers.Dense(1, activation="sigmoid")])


def of_wrapper(**params):
    return lambda **common: KerasClassifier(wrapped, loss="binary_crossentropy", **params, **common)


ARCHITECTURES = [
    *(lambda s=s, **common: DNNClassifier(s, **common) for s in [(4,), (8,), (16, 4), (8, 8, 8), (32,), ()]),
    *(lambda s=s, **common: DNNRegressor(s, **common) for s in [(4,), (8,), (16, 4), (24,)]),
    lambda **common: DNNClassifier((8,), dropout=0.3, **common),
    lambda **common: DNNClassifier((8,), batch_norm=True, **common),
    lambda **common: DNNClassifier((8,), early_stopping=True, **common),
    lambda **common: DNNClassifier((8,), optimizer="sgd", metrics=["accuracy"], **common),
    lambda **common: DNNRegressor((8,), l2_regularization=0.01, **common),
    lambda **common: CNNClassifier(filters=(2,), image_shape=(4, 4), **common),
    lambda **common: CNNClassifier(filters=(2, 4), image_shape=(4, 4), **common),
    of_wrapper(),
    of_wrapper(model__units=6, model__own=True),
    lambda **common: DNNClassifier((5,), engine="keras", **common),
]


def data(number):
    """Rows of a fit: their number changes from fit to fit."""
    rng = np.random.default_rng(number)
    X = rng.normal(size=(40 + number * 37 % 400, 16)).astype("float32")
    return X, (X[:, 0] > 0).astype(int)


def digest(number):
    """Make a fit, and return the digest of what it predicts."""
    model = ARCHITECTURES[number % len(ARCHITECTURES)](epochs=2 + number % 3, random_state=number)
    X, y = data(number)
    model.fit(X, y * 1.0 if isinstance(model, DNNRegressor) else y)
    outputs = model.predict(X) if isinstance(model, DNNRegressor) else model.predict_proba(X)
    return hashlib.sha256(outputs.tobytes()).hexdigest()


class Mine(Exception):
    """An error of the user's."""


def fail(number):
    """A fit that fails, in one of several ways."""

    def raises(*args):
        raise Mine

    X, y = data(number)
    kind = number // len(ARCHITECTURES) % 4
    if kind == 3:
        X = X.copy()
        X[0, 0] = np.nan
    model = DNNClassifier(
        (4,),
        epochs=2,
        random_state=number,
        loss=raises if kind == 0 else "auto",
        callbacks=keras.callbacks.LambdaCallback(on_epoch_end=raises) if kind == 1 else None,
        engine="keras" if kind == 1 else "auto",
        optimizer="no such thing" if kind == 2 else "adam",
    )
    try:
        model.fit(X, y)
    except (Mine, ValueError):
        return
    raise AssertionError(f"fit {number} did not fail")


def interrupt(number):
    """A fit that is interrupted from the keyboard."""
    X, y = data(number)
    press = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch == 1 and signal.raise_signal(signal.SIGINT)
    )
    model = DNNClassifier((4,), epochs=50, callbacks=press, random_state=number).fit(X, y)
    assert model.n_iter_ == 1


def memory():
    """Resident memory, in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def files():
    """What the process has open, by its names."""
    paths = (os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd"))
    return sorted(os.readlink(path) for path in paths if os.path.exists(path))


def n_threads():
    return len(os.listdir("/proc/self/task"))


def soak(n_fits, minutes):
    """Run the fits.

    Returns
    -------
    tuple
        Digests by number of the fit, and a dict of figures.
    """
    started, digests, figures, order = time.perf_counter(), {}, {"MB": []}, random.Random(0)
    per_round = 3 * len(ARCHITECTURES)
    DNNClassifier((8,), epochs=50).fit(*data(10))  # long enough for XLA, which starts once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, n_fits, per_round):
            numbers = list(range(start, min(start + per_round, n_fits)))
            order.shuffle(numbers)
            in_threads = numbers[: len(ARCHITECTURES)]
            with ThreadPoolExecutor(4) as pool:
                digests.update(zip(in_threads, pool.map(digest, in_threads), strict=True))
            for position, number in enumerate(numbers[len(ARCHITECTURES) :]):
                digests[number] = digest(number)
                if position % 10 == 0:
                    fail(start + len(ARCHITECTURES) * position // 10)
            interrupt(start)
            gc.collect()
            figures["MB"].append(round(memory()))
            if start == 0:
                figures |= {"threads before": threading.active_count(), "files before": files()}
                figures["threads of the process before"] = n_threads()
            if time.perf_counter() - started > minutes * 60:
                break
    return digests, {
        **figures,
        "fits": len(digests),
        "seconds": round(time.perf_counter() - started),
        "threads after": threading.active_count(),
        "threads of the process after": n_threads(),
        "files after": files(),
    }


def repeated(digests):
    """Return which of some fits give other bits alone, in a new process."""
    numbers = random.Random(1).sample(sorted(digests), min(N_REPEATED, len(digests)))
    command = [sys.executable, __file__, "--alone", *map(str, numbers)]
    alone = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return [number for number in numbers if alone[str(number)] != digests[number]], len(numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=int, default=N_FITS, help="number of fits")
    parser.add_argument("--minutes", type=float, default=30, help="no new round after so many")
    parser.add_argument("--alone", type=int, nargs="*", help="make these fits, and print their digests")
    args = parser.parse_args()
    if args.alone is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            print(json.dumps({number: digest(number) for number in args.alone}))
        return 0
    # A shell lets what runs in its background ignore them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    digests, figures = soak(args.fits, args.minutes)
    other, n_repeated = repeated(digests)
    first, most = figures["MB"][0], max(figures["MB"])
    faults = [
        f"memory grew by {most - first} MB after the first round" if most - first > MORE_MB else "",
        "threads were left" if figures["threads after"] > figures["threads before"] else "",
        "files were left open" if figures["files after"] != figures["files before"] else "",
        f"fits {other} give other bits alone" if other else "",
    ]
    print(f"{figures['fits']} fits of {len(ARCHITECTURES)} architectures in {figures['seconds']} s")
    print(f"memory after each round: {figures['MB']} MB")
    print(f"Python's threads: {figures['threads before']} before, {figures['threads after']} after")
    names = "threads of the process before", "threads of the process after"
    print("the process's threads: {} before, {} after".format(*(figures[name] for name in names)))
    print(f"open files: {len(figures['files before'])} before, {len(figures['files after'])} after")
    print(f"{n_repeated - len(other)} of {n_repeated} fits gave the same bits alone")
    faults = list(filter(None, faults))
    print("; ".join(faults) or "nothing leaks, and bits repeat")
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
