"""An interrupt from the keyboard, and other ends of a training before its time."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV

from skdl import CNNClassifier, DNNClassifier, KerasClassifier, _dense
from skdl._backend import keras
from skdl._engine import _program, _train

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 8))
y = (X[:, 0] > 0).astype(int)
IMAGES = rng.normal(size=(600, 16, 16, 1))
LABELS = rng.integers(0, 3, size=600)
FOR_EVER = 10**7


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C at the end of an epoch."""

    def __init__(self, epoch=2):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupted(monkeypatch):
    """Return a function that runs a fit, and presses Ctrl-C some time after its first epochs."""
    begun, n_begun = threading.Event(), itertools.count(1)

    def counted(method):
        def count(*args, **kwargs):
            if next(n_begun) == 5:
                begun.set()
            return method(*args, **kwargs)

        return count

    monkeypatch.setattr(_dense, "train_epoch", counted(_dense.train_epoch))
    monkeypatch.setattr(_program.Pass, "run", counted(_program.Pass.run))
    monkeypatch.setattr(_train._Batches, "begin", counted(_train._Batches.begin))

    def press():
        if begun.wait(120):
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)

    def run(fit):
        thread = threading.Thread(target=press)
        thread.start()
        # A fit that did not notice the signal would never end, and run into the time limit of tests.
        with pytest.raises(KeyboardInterrupt, match="interrupted after"):
            fit()
        thread.join()

    return run


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (lambda **args: DNNClassifier((16,), **args), (X, y)),
        (lambda **args: DNNClassifier((16,), engine="keras", **args), (X, y)),
        (lambda **args: CNNClassifier(filters=(16,), **args), (IMAGES, LABELS)),
    ],
    ids=["dense", "keras", "convolutional"],
)
def test_an_interrupted_fit_keeps_its_network(make, data, interrupted):
    clf = make(epochs=FOR_EVER, random_state=0)
    interrupted(lambda: clf.fit(*data))
    assert 0 < clf.n_iter_ < FOR_EVER
    assert len(clf.history_["loss"]) == clf.n_iter_
    assert clf.predict(data[0]).shape == data[1].shape


def test_early_stopping_restores_its_best_weights_where_it_is_interrupted(interrupted):
    clf = DNNClassifier(
        (16,),
        epochs=FOR_EVER,
        early_stopping=True,
        n_iter_no_change=FOR_EVER,
        random_state=0,
        learning_rate=0.1,
    )
    interrupted(lambda: clf.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:]))
    losses = clf.history_["val_loss"]
    assert losses[-1] > min(losses)
    assert log_loss(y[200:], clf.predict_proba(X[200:])) == pytest.approx(min(losses), rel=1e-4)


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_an_interrupt_goes_through_a_search(engine):
    clf = DNNClassifier((4,), epochs=5, callbacks=[Interrupt()], engine=engine)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(clf, {"learning_rate": [0.1, 0.2]}, cv=2).fit(X, y)
    with pytest.raises(KeyboardInterrupt, match="after 2 of 5 epochs"):
        clf.fit(X, y)
    assert clf.n_iter_ == 2


class Raise(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("mine")


def with_dropout(meta):
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_a_failed_partial_fit_leaves_no_trace(engine):
    def fitted():
        clf = KerasClassifier(
            with_dropout, loss="binary_crossentropy", optimizer="adam", random_state=0, engine=engine
        )
        return clf.partial_fit(X, y).partial_fit(X, y)

    clf, expected = fitted(), fitted().partial_fit(X, y)
    with pytest.raises(RuntimeError, match="mine"):
        clf.partial_fit(X, y, callbacks=[Raise()])
    assert clf.n_iter_ == 2
    clf.partial_fit(X, y)
    assert clf.history_ == expected.history_
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1, "sigmoid")

    def call(self, x):
        return self.out(self.hidden(x))


@pytest.mark.parametrize(
    ("build", "fault", "engine"),
    [
        (with_dropout, {"scoring": "unknown"}, "compiled"),
        (with_dropout, {"callbacks": [Raise()]}, "keras"),
        (lambda: Subclassed(), {"callbacks": [Raise()]}, "compiled"),
        (lambda: Subclassed(), {"scoring": "unknown"}, "keras"),
    ],
    ids=["setting", "callback, keras", "subclassed, callback", "subclassed, setting, keras"],
)
def test_a_fit_after_one_that_failed_trains_as_if_there_had_been_none(build, fault, engine):
    def initialized():
        clf = KerasClassifier(
            build,
            loss="binary_crossentropy",
            optimizer="adagrad",  # whose accumulators begin at 0.1
            metrics=["accuracy"],
            warm_start=True,
            validation_split=0.2,
            early_stopping=True,
            epochs=2,
            random_state=0,
            engine=engine,
        )
        return clf.initialize(X, y)

    clf, expected = initialized(), initialized().fit(X, y)
    settings = {name: getattr(clf, name) for name in fault}
    with pytest.raises((ValueError, RuntimeError), match=r"unknown|mine"):
        clf.set_params(**fault).fit(X, y)
    clf.set_params(**settings).fit(X, y)
    assert clf.history_ == expected.history_
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))


def test_settings_that_are_corrected_after_a_fit_that_failed_count():
    clf = KerasClassifier(
        with_dropout, loss="binary_crossentropy", warm_start=True, random_state=0, scoring="unknown"
    )
    clf.set_params(optimizer="sgd", validation_split=0.2, early_stopping=True).initialize(X, y)
    with pytest.raises(ValueError, match="unknown"):
        clf.fit(X, y)
    clf.set_params(scoring="loss", optimizer__learning_rate=0.5).fit(X, y)
    assert float(clf.model_.optimizer.learning_rate.numpy()) == 0.5
