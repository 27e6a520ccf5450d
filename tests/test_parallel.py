"""Threads, processes and a cluster give the same bits; pools follow limits; forks are told."""

import contextlib
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from dask.distributed import Client, LocalCluster
from imblearn.over_sampling import SMOTE
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.preprocessing import StandardScaler

from skdl import CNNClassifier, DNNClassifier, KerasClassifier, Pipeline
from skdl._backend import keras

BACKENDS = ["threading", "loky", "dask"]
PROCESSES = ["loky", "dask"]


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two worker processes with one thread each."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0) as cluster,
        Client(cluster) as client,
    ):
        assert len(client.nthreads()) == 2
        yield client


@pytest.fixture
def workers(request):
    """Return the context in which joblib's work goes to two workers."""

    def enter(backend):
        if backend == "dask":
            request.getfixturevalue("cluster")
            return parallel_config("dask")
        if backend == "loky":
            return parallel_config("loky", n_jobs=2, inner_max_num_threads=1)
        return parallel_config(backend, n_jobs=2) if backend else contextlib.nullcontext()

    return enter


@pytest.fixture(scope="module")
def cancer():
    """Every third row of the breast cancer data."""
    X, y = load_breast_cancer(return_X_y=True)
    return X[::3], y[::3]


@pytest.fixture(scope="module")
def pipeline():
    net = DNNClassifier(
        (8,), epochs=70, dropout=0.2, early_stopping=True, n_iter_no_change=70, random_state=0
    )
    return Pipeline([("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", net)])


GRID = [
    {"net__epochs": [5], "smote": [SMOTE(random_state=0), "passthrough"]},
    {"net__learning_rate": [0.001, 0.01]},
]


def where(fitted, X, y):
    """Score a pipeline, and tell where that happens and how many threads there are."""
    from skdl._backend import tf

    pools = tf.config.threading
    return {
        "loss": log_loss(y, fitted.predict_proba(X)),
        "process": os.getpid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "intra_op": pools.get_intra_op_parallelism_threads(),
        "inter_op": pools.get_inter_op_parallelism_threads(),
    }


def search(pipeline, data):
    return GridSearchCV(pipeline, GRID, cv=2, scoring=where, refit=False, error_score="raise").fit(*data)


def split_scores(search, name):
    return np.concatenate([search.cv_results_[f"split{fold}_test_{name}"] for fold in range(2)])


@pytest.fixture(scope="module")
def alone(pipeline, cancer):
    """The search in this process, one fit after the other."""
    return search(pipeline, cancer)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_search_gives_the_same_bits_everywhere(pipeline, cancer, alone, workers, backend):
    with workers(backend):
        spread = search(pipeline, cancer)
    assert_array_equal(split_scores(spread, "loss"), split_scores(alone, "loss"))
    assert len(set(split_scores(alone, "loss"))) == 8

    here = set(split_scores(alone, "process"))
    assert here == {os.getpid()}
    if backend in PROCESSES:
        assert here.isdisjoint(split_scores(spread, "process"))
        # One thread a worker, in each pool; where nothing limits them TensorFlow decides: 0.
        assert set(split_scores(spread, "intra_op")) == {1}
        assert set(split_scores(spread, "inter_op")) == {1}
    else:
        assert set(split_scores(spread, "process")) == here
        assert not split_scores(spread, "main_thread").all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_predictions_come_back_with_the_same_bits(pipeline, cancer, workers, backend):
    def predicted():
        return cross_val_predict(pipeline, *cancer, cv=2, method="predict_proba")

    expected = predicted()
    with workers(backend):
        assert_array_equal(predicted(), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_fitted_by_a_worker_is_the_same_here(pipeline, cancer, workers, backend):
    X, y = cancer
    expected = clone(pipeline).fit(X, y)
    with workers(backend):
        (fitted,) = Parallel()([delayed(clone(pipeline).fit)(X, y)])
    for ours, theirs in zip(expected[-1].model_.weights, fitted[-1].model_.weights, strict=True):
        assert_array_equal(ours, theirs)
    assert fitted[-1].history_ == expected[-1].history_
    assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))


def test_convolutions_agree_to_the_bit_where_workers_have_equally_many_threads(workers):
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    net = CNNClassifier((8,), image_shape=(8, 8), epochs=2, random_state=0)
    proba = []
    for backend in PROCESSES:
        with workers(backend):
            proba.append(cross_val_predict(net, X, y, cv=2, method="predict_proba"))
    assert_array_equal(*proba)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_other_threads_may_draw_random_numbers_meanwhile(cancer, engine):
    X, y = cancer
    net = DNNClassifier((8,), epochs=2, dropout=0.2, engine=engine, random_state=0)
    expected = clone(net).fit(X, y).predict_proba(X)
    done = threading.Event()

    def draw():  # as the threads of a Dask worker do
        while not done.is_set():
            random.random()
            np.random.random()
            time.sleep(0)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        for _ in range(3):
            assert_array_equal(clone(net).fit(X, y).predict_proba(X), expected)
    finally:
        done.set()
        thread.join()


class Own(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def with_own_layer():
    output = keras.layers.Dense(1, activation="sigmoid")
    return keras.Sequential([keras.Input((30,)), keras.layers.Dense(4), Own(), output])


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_a_callback_may_wait_for_another_thread_that_trains_and_predicts(cancer, engine):
    X, y = cancer
    net = KerasClassifier(with_own_layer, loss="binary_crossentropy", engine=engine, random_state=0)
    expected, found = clone(net).fit(X, y).predict_proba(X), []

    class Waits(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            thread = threading.Thread(target=lambda: found.append(clone(net).fit(X, y).predict_proba(X)))
            thread.start()
            thread.join(100)

    assert_array_equal(clone(net).fit(X, y, callbacks=[Waits()]).predict_proba(X), expected)
    assert_array_equal(found, [expected])


def test_threads_that_build_ask_each_other_for_their_models(cancer):
    X, y = cancer
    fitted = [DNNClassifier((4,), epochs=1, random_state=seed).fit(X, y) for seed in (0, 1)]
    both = threading.Barrier(2)

    def ask(i):
        def build():
            return keras.models.clone_model(fitted[1 - i].model_)

        net = KerasClassifier(build, loss="binary_crossentropy")
        both.wait(100)
        n_weights = fitted[i].model_.count_params()
        return net.set_params(random_state=0).fit(X, y).model_.count_params() - n_weights

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == [0, 0]


# --------------------------------------------------------------- in a process of their own


def run(code, **environment):
    """Run code in a new process; return what it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "TF_NUM_"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**kept, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_pools_follow_the_limit_unless_the_user_has_set_them():
    printed = run(
        """
        import os
        import tensorflow as tf  # before skdl

        pools = tf.config.threading

        def show():
            print(pools.get_intra_op_parallelism_threads(), pools.get_inter_op_parallelism_threads())

        from skdl._backend import tf
        from skdl._backend._start import _follow_thread_limit
        tf.constant
        show()

        def after(intra_op, inter_op, **environment):
            pools.set_intra_op_parallelism_threads(intra_op)
            pools.set_inter_op_parallelism_threads(inter_op)
            os.environ.update(environment)
            _follow_thread_limit(tf)
            show()

        after(5, 0)
        after(0, 6)
        after(0, 0, OMP_NUM_THREADS="4,2")
        after(0, 0, OMP_NUM_THREADS="many")
        after(0, 0, OMP_NUM_THREADS="0")
        after(0, 0, OMP_NUM_THREADS="2", TF_NUM_INTRAOP_THREADS="7")
        after(0, 0, TF_NUM_INTEROP_THREADS="7")
        tf.constant(1) + 1
        del os.environ["TF_NUM_INTRAOP_THREADS"]
        _follow_thread_limit(tf)  # the pools run
        show()
        """,
        OMP_NUM_THREADS="3",
    )
    assert printed == ["3 3", "5 3", "3 6", "4 4", "0 0", "0 0", "0 2", "0 0", "0 0"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_works_before_tensorflow_starts_and_is_told_after():
    printed = run(
        """
        import os, sys, warnings
        import numpy as np

        warnings.simplefilter("ignore")  # newer Pythons warn of any fork
        from skdl import DNNClassifier

        X = np.arange(40.0).reshape(20, 2)
        y = np.arange(20) % 2
        net = DNNClassifier((4,), epochs=1, random_state=0, engine="compiled")
        dense = DNNClassifier((4,), epochs=1)

        def in_child(action):
            sys.stdout.flush()
            child = os.fork()
            if not child:
                try:
                    print(type(action()).__name__)
                except Exception as error:
                    print(type(error).__name__, error)
                sys.stdout.flush()
                os._exit(0)
            os.waitpid(child, 0)

        in_child(lambda: net.fit(X, y))
        net.fit(X, y)
        print(os.getpid())
        in_child(lambda: net.fit(X, y))
        in_child(lambda: net.partial_fit(X, y))
        in_child(lambda: net.initialize(X, y))
        in_child(lambda: net.predict(X))
        in_child(lambda: net.predict_proba(X))
        in_child(lambda: dense.fit(X, y).predict(X))  # needs no TensorFlow
        print(net.predict(X).shape)  # the parent goes on
        """
    )
    before, parent, *after, dense, shape = printed
    assert before == "DNNClassifier"
    assert len(after) == 5
    for line in after:
        assert line.startswith(f"RuntimeError This process was forked from process {parent} after TensorFlow")
        assert "loky" in line
    assert (dense, shape) == ("ndarray", "(20,)")
