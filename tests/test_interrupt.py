"""An interrupt from the keyboard, and other ends of a training before its time."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skdl import CNNClassifier, DNNClassifier, KerasClassifier
from skdl._backend import keras

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


def interrupted_after(seconds, fit):
    """Return how long a fit goes on after a signal, in seconds."""
    sent = []

    def press():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(seconds, press)
    timer.start()
    try:
        with pytest.warns(ConvergenceWarning, match="interrupted after"):
            fit()
    finally:
        timer.cancel()
    return time.perf_counter() - sent[0]


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (lambda **args: DNNClassifier((16,), **args), (X, y)),
        (lambda **args: DNNClassifier((16,), engine="keras", **args), (X, y)),
        (lambda **args: CNNClassifier(filters=(16,), **args), (IMAGES, LABELS)),
    ],
    ids=["dense", "keras", "convolutional"],
)
def test_an_interrupted_fit_keeps_its_network(make, data):
    make(epochs=2, random_state=0).fit(*data)  # tracing can't be interrupted
    clf = make(epochs=FOR_EVER, random_state=0)
    # A fit that did not notice the signal would never end, and run into the time limit of tests.
    interrupted_after(2.0, lambda: clf.fit(*data))
    assert 0 < clf.n_iter_ < FOR_EVER
    assert len(clf.history_["loss"]) == clf.n_iter_
    assert clf.predict(data[0]).shape == data[1].shape


def test_early_stopping_restores_its_best_weights_where_it_is_interrupted():
    args = {"early_stopping": True, "n_iter_no_change": FOR_EVER, "random_state": 0, "learning_rate": 0.1}
    clf = DNNClassifier((16,), epochs=FOR_EVER, **args)
    interrupted_after(2.0, lambda: clf.fit(X, y))
    best = DNNClassifier((16,), **{**args, "epochs": clf.best_epoch_ + 1}).fit(X, y)
    assert np.array_equal(clf.coefs_[0], best.coefs_[0])


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_an_interrupt_goes_through_a_search(engine):
    clf = DNNClassifier((4,), epochs=5, callbacks=[Interrupt()], engine=engine)
    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(clf, {"learning_rate": [0.1, 0.2]}, cv=2).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="after 2 of 5 epochs"):
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
