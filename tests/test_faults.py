"""What goes wrong while a network is trained: numbers, code of the user's, the disk, the process."""

import copy
import os
import pickle
import random
import resource
import signal
import tempfile
import threading

import keras
import numpy as np
import pytest
import sklearn
import tensorflow as tf
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skdl import DNNClassifier, KerasClassifier

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype("float32")
Y = (X[:, 0] > 0.8).astype(int)


# Numbers


def diverging(epochs_before, **params):
    """A network whose learning rate explodes after some epochs of five steps."""
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([5 * epochs_before], [0.5, 1e30])
    params = {"epochs": 12, "batch_size": 32, "n_iter_no_change": 4, "random_state": 0, **params}
    return DNNClassifier(
        (4,), optimizer="sgd", learning_rate=rate, early_stopping=True, metrics=["accuracy"], **params
    )


RUNS = pytest.mark.parametrize(
    "params",
    [{}, {"callbacks": keras.callbacks.LambdaCallback()}, {"engine": "keras"}, {"scoring": "accuracy"}],
    ids=["program", "callbacks", "keras", "accuracy"],
)


@RUNS
def test_early_stopping_keeps_the_best_weights_where_the_training_diverges(params):
    with pytest.warns(ConvergenceWarning, match=r"diverged: loss is nan.* weights of epoch \d are kept"):
        clf = diverging(3, **params).fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert clf.best_epoch_ < 3
    assert np.isnan(clf.history_["val_loss"][-1])
    assert all(np.isfinite(weight).all() for weight in clf.model_.get_weights())
    assert clf.score(X[150:], Y[150:]) == pytest.approx(clf.history_["val_accuracy"][clf.best_epoch_])


@RUNS
def test_a_training_that_diverges_at_once_has_nothing_to_keep(params):
    clf = diverging(0, **params)
    with pytest.warns(ConvergenceWarning, match="weights are no longer finite"):
        clf.fit(X[:150], Y[:150], X_val=X[150:], y_val=Y[150:])
    assert clf.n_iter_ == 4
    with pytest.raises(ValueError, match="predicts NaN"):
        clf.predict(X)


def test_an_accuracy_of_nan_is_not_the_best_one():
    # A network that predicts NaN always predicts the first class.
    y = (X[:, 0] > 0).astype(int)
    first = X[:, 0] < 0
    with pytest.warns(ConvergenceWarning, match="weights of epoch 0 are kept"):
        clf = diverging(1, scoring="accuracy", batch_size=40).fit(X, y, X_val=X[first], y_val=y[first])
    assert clf.history_["val_accuracy"][0] < 1 == max(clf.history_["val_accuracy"])
    assert clf.best_epoch_ == 0
    assert np.isfinite(clf.predict_proba(X)).all()


# Code of the user's


class Mine(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def fail(*args, **kwargs):
    raise Mine(1, 2)


def hook(name):
    return type("Fails", (keras.callbacks.Callback,), {name: fail})()


class FailingMetric(keras.metrics.Mean):
    update_state = fail


class FailingResult(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)

    result = fail


class FailingOptimizer(keras.optimizers.SGD):
    update_step = fail


class FailingSchedule(keras.optimizers.schedules.LearningRateSchedule):
    __call__ = fail


class FailingStep(keras.Model):
    train_step = fail


def build(meta, cls=keras.Model, fails=False):
    inputs = keras.Input((meta["n_features_in_"],))
    return fail() if fails else cls(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))


OF_BATCHES = ["on_train_batch_end", "on_test_begin", "on_test_batch_end"]
OF_EPOCHS = ["set_model", "on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"]
FAULTS = {
    **{name: {"callbacks": [hook(name)]} for name in OF_EPOCHS + OF_BATCHES},
    "schedule": {"callbacks": [keras.callbacks.LearningRateScheduler(fail)]},
    "builder": {"model__fails": True},
    "loss": {"loss": fail},
    "metric": {"metrics": [FailingMetric()]},
    "result of a metric": {"metrics": [FailingResult()]},
    "optimizer": {"optimizer": FailingOptimizer()},
    "learning rate": {"optimizer": "sgd", "optimizer__learning_rate": FailingSchedule()},
    "train_step": {"model__cls": FailingStep},
    "scoring": {"scoring": fail, "early_stopping": True},
}


def wrapped(**params):
    params = {"loss": "binary_crossentropy", "validation_split": 0.2, "epochs": 2, **params}
    return KerasClassifier(build, random_state=0, **params)


def everything_global():
    """What a fit must leave as it was, whatever happens."""
    name, keys, *place = np.random.get_state()
    files = [os.path.join("/proc/self/fd", each) for each in os.listdir("/proc/self/fd")]
    return {
        "numpy": (name, keys.tobytes(), place),
        "random": random.getstate(),
        "errors": np.geterr(),
        "floatx": keras.config.floatx(),
        "filtering": keras.config.is_traceback_filtering_enabled(),
        "eager": (tf.executing_eagerly(), tf.config.functions_run_eagerly()),
        "graph": tf.config.optimizer.get_experimental_options(),
        "log": tf.get_logger().level,
        "sklearn": sklearn.get_config(),
        "threads": threading.active_count(),
        "files": sorted(os.readlink(each) for each in files if os.path.exists(each)),
    }


@pytest.fixture(scope="module")
def expected():
    """What a fit predicts where nothing went wrong before."""
    return wrapped().fit(X, Y).predict_proba(X)


@pytest.mark.parametrize(
    ("fault", "engine"),
    [
        *((fault, "auto") for fault in FAULTS),
        *((fault, "compiled") for fault in ("loss", "metric", "optimizer", "train_step")),
        *((fault, "keras") for fault in ("on_epoch_end", "on_train_end", "loss")),
    ],
)
def test_an_error_of_the_users_code_passes_as_it_is(fault, engine, expected):
    clf = wrapped(engine=engine, **FAULTS[fault])
    before, given = everything_global(), vars(clf).copy()
    with pytest.raises(Mine) as raised:
        clf.fit(X, Y)
    assert raised.value.args == (1, 2)
    assert everything_global() == before
    assert vars(clf) == given
    assert np.array_equal(wrapped().fit(X, Y).predict_proba(X), expected)


# The disk


@pytest.fixture
def full_disk():
    """Return a function that lets no file grow beyond some bytes until the test ends."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda n_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


WRITERS = {
    "checkpoint": lambda folder: keras.callbacks.ModelCheckpoint(folder / "model.keras"),
    "weights": lambda folder: keras.callbacks.ModelCheckpoint(
        folder / "model.weights.h5", save_weights_only=True
    ),
    "backup": lambda folder: keras.callbacks.BackupAndRestore(folder / "backup"),
    "log": lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
}


@pytest.mark.parametrize(("writer", "engine"), [*((name, "auto") for name in WRITERS), ("log", "keras")])
def test_a_full_disk_under_a_callback_is_an_oserror(writer, engine, tmp_path, full_disk):
    plain = DNNClassifier((4,), epochs=2, random_state=0, engine=engine)
    clf = clone(plain).set_params(callbacks=[WRITERS[writer](tmp_path)])
    before = everything_global()
    full_disk(20)
    with pytest.raises(OSError, match="File too large"):
        clf.fit(X, Y)
    assert everything_global() == before
    assert not hasattr(clf, "model_")
    full_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    clf.set_params(callbacks=None)
    assert np.array_equal(clf.fit(X, Y).predict_proba(X), plain.fit(X, Y).predict_proba(X))


def test_pickles_and_copies_need_no_disk(monkeypatch, full_disk):
    clf = DNNClassifier((4,), epochs=1, random_state=0).fit(X, Y)
    monkeypatch.setattr(tempfile, "tempdir", "/there/is/no/such/folder")
    full_disk(0)
    for other in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert np.array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert not hasattr(clone(clf), "model_")


# The process


class Killed(keras.callbacks.Callback):
    """Ends the training in an epoch, as if the process were killed there."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise SystemExit


def backed_up(folder, killed=None, **params):
    callbacks = [keras.callbacks.BackupAndRestore(folder / "backup"), Killed(killed)]
    return DNNClassifier((4,), callbacks=callbacks, epochs=6, random_state=0, **params)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_training_that_was_killed_goes_on_from_the_backup_of_keras(engine, tmp_path):
    expected = backed_up(tmp_path, engine=engine).fit(X, Y)
    with pytest.raises(SystemExit):
        backed_up(tmp_path, 2, engine=engine).fit(X, Y)
    resumed = backed_up(tmp_path, engine=engine).fit(X, Y)
    # The history is that of the epochs trained here, as in Keras.
    assert resumed.history_["loss"] == expected.history_["loss"][3:]
    assert np.array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    assert not (tmp_path / "backup").exists()
    assert resumed.partial_fit(X, Y).n_iter_ == 4


def test_a_backup_outlives_an_interrupt_from_the_keyboard(tmp_path):
    expected = backed_up(tmp_path).fit(X, Y)
    for engine in ("auto", "keras"):
        clf = backed_up(tmp_path, engine=engine)
        clf.callbacks += [keras.callbacks.LambdaCallback(on_epoch_end=press_at(3))]
        with pytest.raises(KeyboardInterrupt, match="interrupted after 3 of 6 epochs"):
            clf.fit(X, Y)
        assert clf.n_iter_ == 3
        assert np.array_equal(backed_up(tmp_path).fit(X, Y).predict_proba(X), expected.predict_proba(X))


def press_at(number):
    return lambda epoch, logs: epoch == number and signal.raise_signal(signal.SIGINT)
