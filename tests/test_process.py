"""What skdl changes in the process, and what it leaves alone."""

import gc
import os
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skdl import DNNClassifier, KerasClassifier, clear_caches
from skdl._backend import keras, tf

X, y = load_iris(return_X_y=True)
NETWORK = {"epochs": 2, "random_state": 0, "loss": "sparse_categorical_crossentropy"}


def build(meta):
    """A builder that draws from every generator there is."""
    start = np.random.uniform() + random.random() + tf.random.uniform(()).numpy()
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(4, bias_initializer=keras.initializers.Constant(float(start))),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


def states():
    return random.getstate(), repr(np.random.get_state()), gc.isenabled(), keras.config.floatx()


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_ready_made_estimator_seeds_nothing_global(engine, monkeypatch):
    clear_caches()
    for module in (np.random, random):
        monkeypatch.setattr(
            module, "seed", lambda seed, name=module.__name__: pytest.fail(f"{name} is seeded")
        )
    before = states()
    clf = DNNClassifier((4,), dropout=0.1, early_stopping=True, epochs=2, random_state=0, engine=engine)
    clf.fit(X, y).predict(X)
    assert states() == before


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_builder_that_draws_repeats_and_every_generator_goes_on(engine):
    before = states()
    clf = KerasClassifier(build, engine=engine, **NETWORK)
    first = clf.fit(X, y).predict_proba(X)
    assert states() == before
    np.random.uniform()
    assert np.array_equal(clf.fit(X, y).predict_proba(X), first)


def test_another_thread_draws_from_numpy_as_if_it_were_alone():
    def draw(n):
        np.random.seed(3)
        return [np.random.uniform() for _ in range(n)]

    expected, drawn, stop = draw(200), [], threading.Event()

    def busy():
        np.random.seed(3)
        while len(drawn) < 200:
            drawn.append(np.random.uniform())
            stop.wait(0.001)

    thread = threading.Thread(target=busy)
    thread.start()
    for _ in range(3):
        clear_caches()
        DNNClassifier((4,), epochs=2, random_state=0).fit(X, y)
    thread.join()
    assert drawn == expected


@pytest.mark.parametrize("stderr", ["None", "open(1, 'w', closefd=False)"])
def test_a_process_without_a_standard_error(stderr):
    code = (
        "import os, sys\n"
        "os.close(2)\n"
        f"sys.stderr = {stderr}\n"
        "from skdl import DNNClassifier\n"
        "print(DNNClassifier.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "DNNClassifier" in done.stdout


WORDS = "The TensorFlow library was compiled to use AVX instructions, but these aren't available."
ENDS = {
    "abort": "os.abort()",
    "killed": "os.kill(os.getpid(), 9)",
    "illegal instruction": "os.kill(os.getpid(), 4)",
    "exit": "os._exit(3)",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_tensorflow_says_comes_through_where_the_process_dies_as_it_starts(end, tmp_path):
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(f"import os\nos.write(2, {WORDS.encode()!r})\n{end}\n")
    held_back = tmp_path / "held back"
    held_back.mkdir()
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", "from skdl._backend import tf; tf.constant"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(held_back)},
    )
    assert done.returncode != 0
    assert done.stderr == WORDS
    assert not list(held_back.iterdir())


def test_a_process_that_is_started_while_tensorflow_starts_holds_nothing_up():
    code = (
        "import gc, os, subprocess\n"
        "from skdl._backend._start import _without_chatter\n"
        "with _without_chatter():\n"
        "    child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)  # until its input is closed\n"
        "    os.write(2, b'I0000 00:00:1.0 1 x.cc:1] chatter\\nkept\\n')\n"
        "gc.collect()\n"
        "print('goes on', flush=True)\n"
        "child.communicate()\n"
    )
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("goes on\n", "kept\n")
