"""What Keras takes as data and these estimators do not: the error says what came, and what to do."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, TabularClassifier

X, Y = load_iris().data.astype("float32"), load_iris().target


def build():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])


ESTIMATORS = {
    "Keras": lambda: KerasClassifier(build, loss="sparse_categorical_crossentropy"),
    "DNN": lambda: DNNClassifier((), epochs=1),
    "regressor": lambda: DNNRegressor((), epochs=1, learning_rate=1e-4),
    "Tabular": lambda: TabularClassifier(4, n_members=1, n_folds=1, epochs=1),
}
EVERY = pytest.mark.parametrize("make", ESTIMATORS.values(), ids=ESTIMATORS)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X[75 * index : 75 * (index + 1)], Y[75 * index : 75 * (index + 1)]


@EVERY
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"petal": X[:, :2], "sepal": X[:, 2:]}, r"X is a dict with the keys \['petal', 'sepal'\], but"),
        (tf.data.Dataset.from_tensor_slices((X, Y)).batch(50), r"X is a _BatchDataset, which gives batches"),
        (Batches(), r"X is a Batches, which gives batches.* partial_fit\(x, y\) with each of them"),
        ((batch for batch in [X]), "X is a generator, which gives batches"),
    ],
    ids=["dict", "tf.data", "PyDataset", "generator"],
)
def test_dicts_and_streams(make, data, words):
    estimator = make()
    with pytest.raises(TypeError, match=words):
        estimator.fit(data, Y)
    assert not estimator.__sklearn_is_fitted__()
    with pytest.raises(TypeError, match=words):
        estimator.fit(X, Y).predict(data)


@EVERY
@pytest.mark.parametrize(
    "data",
    [[X, X], [X[:, :2], X[:, 2:]], (X,), [pd.DataFrame(X), pd.DataFrame(X)]],
    ids=["alike", "unlike", "one", "frames"],
)
def test_lists_of_inputs(make, data):
    words = rf"X is a {type(data).__name__} of {len(data)} arrays with 150 rows each, as several inputs"
    with pytest.raises(ValueError, match=words):
        make().fit(data, Y)
    if data[0].shape == X.shape:
        with pytest.raises(ValueError, match=words):
            make().fit(X, Y).predict(data)


def test_lists_of_rows_are_rows():
    clf = DNNClassifier((), epochs=1, random_state=0).fit(list(X), Y)
    np.testing.assert_array_equal(clf.predict(list(X[:4])), clf.predict(X[:4]))
    square = list(np.ones((4, 4, 4), "float32"))
    images = CNNClassifier(2, kernel_size=1, epochs=1).fit(square, [0, 1, 0, 1])
    assert images.predict(square[:2]).shape == (2,)


@pytest.mark.parametrize("make", list(ESTIMATORS.values())[:3], ids=list(ESTIMATORS)[:3])
@pytest.mark.parametrize(
    "text",
    [
        np.array([["good film"]] * 150),
        np.array([["good film"]] * 150, object),
        pd.DataFrame({"a": ["good"] * 150}),
    ],
    ids=["strings", "objects", "frame"],
)
def test_text(make, text):
    with pytest.raises(
        ValueError, match=r"X holds text, but \w+ hands numbers to its model.* TfidfVectorizer"
    ):
        make().fit(text, Y)


def test_the_way_that_is_named_for_text():
    text = np.array([["good film"], ["bad film"]] * 10, object)
    layer = keras.layers.TextVectorization(max_tokens=6, output_mode="multi_hot")
    layer.adapt(text)
    clf = make_pipeline(
        FunctionTransformer(lambda X: layer(X).numpy()),
        DNNClassifier((), epochs=20, learning_rate=0.1, random_state=0),
    )
    assert clf.fit(text, [1, 0] * 10).score(text, [1, 0] * 10) == 1


@pytest.mark.parametrize("name", ["Keras", "DNN", "Tabular"])
def test_a_target_of_three_dimensions(name):
    with pytest.raises(
        ValueError, match=r"Found y with dim 3 and shape \(150, 2, 2\). \w+ expects dim <= 2: one"
    ):
        ESTIMATORS[name]().fit(X, np.zeros((150, 2, 2), int))
