"""`partial_fit` batch by batch: labels of other types than the classes, as in scikit-learn."""

import re

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from skdl import DNNClassifier, KerasClassifier

X = scale(load_iris().data).astype("float32")
CODES = np.arange(150) // 50


def one_hot(meta):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(meta["n_classes_"], activation="softmax")])


ESTIMATORS = {
    "DNN": lambda: DNNClassifier((), random_state=0, batch_size=-1),
    "Keras": lambda: KerasClassifier(one_hot, loss="categorical_crossentropy", random_state=0),
}


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize(
    ("classes", "first"),
    [
        ([0, 1, 300], np.int8),
        ([-1, 0, 1], np.uint8),
        ([0, 1, 2], bool),
        ([0, 1, 2], np.uint64),
        ([0, 1, 2], np.float32),
        ([0, 1, 2**24 + 1], np.float32),
        ([0.0, 1.0, 2.0], np.int16),
        (["a", "bb", "ccc"], "U1"),
        (["a", "bb", "ccc"], object),
        (np.array(["a", "bb", "ccc"], object), "U1"),
    ],
    ids=str,
)
def test_classes_keep_their_type_and_values(make, classes, first):
    y = np.asarray(classes)[CODES]
    known = [label for label in classes if np.array(label).astype(first).tolist() == label]
    batch = np.flatnonzero(np.isin(y, known))[::2]
    mlp = MLPClassifier((), random_state=0)
    clf = make()
    for each in (mlp, clf):
        each.partial_fit(X[batch], y[batch].astype(first), classes=classes)
        each.partial_fit(X, y).partial_fit(X[batch], y[batch].astype(first), classes=classes)
    assert_array_equal(clf.classes_, mlp.classes_)
    assert clf.classes_.dtype == np.unique(classes).dtype
    assert set(clf.predict(X)) <= set(classes)
    plain = make()
    plain.partial_fit(X[batch], y[batch], classes=classes)
    plain.partial_fit(X, y).partial_fit(X[batch], y[batch])
    assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize(
    ("classes", "y"),
    [
        (["n", "y"], [0, 1]),
        ([0, 1], ["0", "1"]),
        (["0", "1"], [0, 1]),
        ([0, 1], [0, 2]),
        ([0, 44], np.array([300, 0])),
    ],
    ids=str,
)
def test_labels_that_are_no_classes_are_refused_by_their_names(make, classes, y):
    y = np.repeat(y, 75)
    with pytest.raises(ValueError, match="has classes not in"):
        MLPClassifier(()).partial_fit(X, y, classes=classes)
    unknown = [label for label in np.unique(y).tolist() if label not in classes]
    match = re.escape(
        f"labels that were not among the classes of training: {unknown}; known classes: {classes}"
    )
    for clf in (make(), make().partial_fit(X, np.repeat(classes, 75))):
        with pytest.raises(ValueError, match=match):
            clf.partial_fit(X, y, classes=classes)


def test_validation_labels_are_compared_by_value_and_type():
    y = np.array(["0", "1", "2"])[CODES]
    with pytest.raises(ValueError, match=r"y_val contains labels that y does not: \[0, 1, 2\]"):
        DNNClassifier((), epochs=1).fit(X, y, X_val=X, y_val=CODES)
    clf = DNNClassifier((), epochs=1, random_state=0)
    clf.fit(X, CODES, X_val=X, y_val=CODES.astype(np.int8))
    assert clf.history_["val_loss"] == clf.fit(X, CODES, X_val=X, y_val=CODES).history_["val_loss"]
