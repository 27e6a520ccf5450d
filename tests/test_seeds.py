"""A seed that a builder sets counts in place of `random_state`, and changes nothing for the process."""

import random
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from skdl import KerasClassifier

X, Y = scale(load_iris().data).astype("float32"), load_iris().target
SEEDING = {
    "keras": keras.utils.set_random_seed,
    "tensorflow": lambda seed: tf.random.set_seed(seed),
    "numpy": lambda seed: np.random.seed(seed),
    "python": lambda seed: random.seed(seed),
}


def network():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def classifier(set_seed, **params):
    def build():
        set_seed()
        return network()

    return KerasClassifier(build, loss="sparse_categorical_crossentropy", epochs=2, **params)


def weights(estimator):
    return np.concatenate([w.ravel() for w in estimator.model_.get_weights()])


@pytest.mark.parametrize(
    ("name", "engine"),
    [*((name, "auto") for name in SEEDING), ("keras", "compiled"), ("tensorflow", "compiled")]
    + [("numpy", "keras"), ("python", "keras")],
)
def test_two_fits_repeat(name, engine):
    seeded = [classifier(lambda s=seed: SEEDING[name](s), engine=engine) for seed in (1, 1, 2)]
    one, other, different = (clf.fit(X, Y) for clf in seeded)
    assert one.history_ == other.history_
    assert_array_equal(weights(one), weights(other))
    assert_array_equal(weights(clone(one).fit(X, Y)), weights(one))
    assert not np.array_equal(weights(different), weights(one))


def test_without_a_seed_two_fits_differ():
    assert not np.array_equal(*(weights(classifier(lambda: None).fit(X, Y)) for _ in range(2)))
    assert not np.array_equal(*(weights(classifier(lambda: np.random.seed()).fit(X, Y)) for _ in range(2)))


def test_the_first_weights_are_those_of_plain_keras():
    state = random.getstate(), np.random.get_state()
    try:
        keras.utils.set_random_seed(3)
        expected = network().get_weights()
    finally:
        random.setstate(state[0])
        np.random.set_state(state[1])
    for random_state in (None, 0):
        clf = classifier(lambda: keras.utils.set_random_seed(3), random_state=random_state).initialize(X, Y)
        for weight, as_keras in zip(clf.model_.get_weights(), expected, strict=True):
            assert_array_equal(weight, as_keras)


def test_random_state_determines_the_order_of_the_rows():
    fits = [classifier(lambda: keras.utils.set_random_seed(3), random_state=i).fit(X, Y) for i in (0, 0, 1)]
    assert fits[0].history_ == fits[1].history_ != fits[2].history_


def test_operations_of_tensorflow_repeat():
    def build():
        tf.random.set_seed(5)
        start = tf.random.normal((4, 3)).numpy()
        first = layers.Dense(3, kernel_initializer=lambda shape, dtype: start, activation="softmax")
        return keras.Sequential([keras.Input((4,)), first])

    clf = KerasClassifier(build, loss="sparse_categorical_crossentropy")
    one, other = (clone(clf).initialize(X, Y).model_.get_weights()[0] for _ in range(2))
    assert_array_equal(one, other)


@pytest.mark.parametrize("seed", [-1, "text", np.int64(4)], ids=repr)
def test_whatever_is_taken_as_a_seed(seed):
    name = "numpy" if isinstance(seed, np.integer) else "python"
    one, other = (weights(classifier(lambda: SEEDING[name](seed)).fit(X, Y)) for _ in range(2))
    assert_array_equal(one, other)


@pytest.mark.parametrize("name", SEEDING)
def test_nothing_changes_for_the_process(name):
    functions = [random.seed, np.random.seed, tf.random.set_seed]

    def drawn(between):
        keras.utils.set_random_seed(11)
        tf.random.uniform(())
        between()
        return (
            random.random(),
            np.random.random(),
            tf.random.uniform(()).numpy(),
            keras.random.uniform(()).numpy(),
        )

    before = random.getstate(), np.random.get_state()
    try:
        clf = classifier(lambda: SEEDING[name](1), random_state=0)
        assert drawn(lambda: clf.fit(X, Y)) == drawn(lambda: None)
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    assert [random.seed, np.random.seed, tf.random.set_seed] == functions


def test_a_builder_that_fits_another_network_does_not_take_its_seed():
    def build(of_other):
        keras.utils.set_random_seed(7)
        classifier(lambda: keras.utils.set_random_seed(of_other)).fit(X, Y)
        return network()

    clf = KerasClassifier(build, loss="sparse_categorical_crossentropy")
    one, other = (clone(clf).set_params(model__of_other=seed).initialize(X, Y) for seed in (1, 2))
    assert_array_equal(weights(one), weights(other))


def test_another_thread_that_seeds_meanwhile_is_not_heard():
    def build():
        thread = threading.Thread(target=lambda: random.seed(3))
        thread.start()
        thread.join()
        return network()

    found = [
        weights(KerasClassifier(b, loss="sparse_categorical_crossentropy", random_state=0).fit(X, Y))
        for b in (build, network)
    ]
    assert_array_equal(*found)
