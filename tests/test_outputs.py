"""Which outputs of a network are probabilities, which targets are one-hot, and who may have another width."""

import functools

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from keras import layers, losses
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.neural_network import MLPClassifier

from skdl import (
    ClassifierLabelEncoder,
    CNNClassifier,
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    RegressorTargetEncoder,
    TabularClassifier,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype("float32")
BINARY = (X[:, 0] > 0.2).astype(int)
CLASSES = np.digitize(X[:, 0], [-0.5, 0.5])
LABELS = (X[:, :3] > 0).astype(int)
LABELS[0] = 0
from_logits = functools.partial(losses.binary_crossentropy, from_logits=True)


def ending(units, activation=None):
    return lambda: keras.Sequential([keras.Input((4,)), layers.Dense(units, activation=activation)])


def wrapped(units, activation=None, **params):
    rate = {"optimizer": "adam", "optimizer__learning_rate": 0.1}
    return KerasClassifier(ending(units, activation), random_state=0, **{**rate, "epochs": 5, **params})


def dnn(**params):
    return DNNClassifier((4,), random_state=0, **{"epochs": 2, **params})


# Outputs that are no probabilities


def unsaid(y_true, y_pred):
    return losses.binary_crossentropy(y_true, y_pred, from_logits=True)


NO_PROBABILITIES = {
    "logits of a function": (wrapped(1, loss=unsaid), BINARY, r"they are between -\d.* and \d.*sigmoid"),
    "no sigmoid": (wrapped(1, loss="mse"), BINARY, 'activation="sigmoid".*BinaryCrossentropy'),
    "no softmax": (
        wrapped(3, loss="sparse_categorical_crossentropy"),
        CLASSES,
        r'activation="softmax".*SparseCategoricalCrossentropy\(from_logits=True\)',
    ),
    "sigmoids for classes": (
        wrapped(3, "sigmoid", loss="categorical_crossentropy"),
        CLASSES,
        r"a row add up to between .*=\"softmax\".*\.CategoricalCrossentropy\(from_logits=True\)",
    ),
    "logarithms": (
        wrapped(3, "log_softmax", loss="sparse_categorical_crossentropy"),
        CLASSES,
        r"they are between -\d",
    ),
    "labels": (wrapped(3, loss="mse"), LABELS, 'activation="sigmoid"'),
    "a functional model": (
        KerasClassifier(
            lambda: keras.Model(i := keras.Input((4,)), layers.Dense(1)(i)), loss="hinge", random_state=0
        ),
        BINARY,
        "they are between",
    ),
}


@pytest.mark.parametrize(("clf", "y", "match"), NO_PROBABILITIES.values(), ids=NO_PROBABILITIES)
def test_outputs_that_are_no_probabilities_are_refused_at_the_end_of_fit(clf, y, match):
    with pytest.raises(ValueError, match=rf"outputs of the trained model are no probabilities.*{match}"):
        clf.fit(X, y)
    assert not hasattr(clf, "model_")
    assert not hasattr(clf, "history_")


def test_a_training_that_is_refused_leaves_the_model_that_was_there():
    clf = wrapped(1, loss=from_logits).fit(X, BINARY)
    before = clf.predict_proba(X)
    clf.model_.compile("adam", loss=unsaid)  # of which nothing is known
    with pytest.raises(ValueError, match="no probabilities"):
        clf.partial_fit(X, BINARY)
    clf.model_.compile("adam", loss=from_logits)
    assert_array_equal(clf.predict_proba(X), before)


def test_a_softmax_of_one_unit_is_refused_before_training():
    with pytest.raises(ValueError, match=r"a softmax of one unit, which is 1 whatever the input.*sigmoid"):
        wrapped(1, "softmax", loss="binary_crossentropy").fit(X, BINARY)


@pytest.mark.parametrize(
    "loss",
    [
        from_logits,
        functools.partial(losses.BinaryCrossentropy, from_logits=True),
        functools.partial(losses.binary_focal_crossentropy, gamma=1.0, from_logits=True),
    ],
    ids=["function", "class", "focal"],
)
def test_a_partial_of_a_loss_is_read_as_the_loss(loss):
    clf = wrapped(1, loss=loss, metrics=["accuracy"], batch_size=-1)
    clf.fit(X, BINARY, X_val=X, y_val=BINARY)
    assert_allclose(
        clf.predict_proba(X)[:, 1], 1 / (1 + np.exp(-clf.model_.predict(X, verbose=0)[:, 0])), 1e-5
    )
    assert_allclose(clf.history_["val_accuracy"][-1], clf.score(X, BINARY), rtol=1e-6)


def test_a_loss_derived_from_one_of_keras_is_read_as_that_one():
    class Mine(losses.BinaryCrossentropy):
        pass

    class Codes(losses.SparseCategoricalCrossentropy):
        pass

    kinds = [(1, Mine, losses.BinaryCrossentropy), (3, Codes, losses.SparseCategoricalCrossentropy)]
    for units, derived, kind in kinds:
        y = BINARY if units == 1 else CLASSES
        one, other = (wrapped(units, loss=each(from_logits=True)).fit(X, y) for each in (derived, kind))
        assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("y", [BINARY, CLASSES, LABELS], ids=["binary", "classes", "labels"])
def test_ready_made_networks_end_in_logits_where_the_loss_takes_them(y):
    kind = losses.SparseCategoricalCrossentropy if y is CLASSES else losses.BinaryCrossentropy
    plain, logits = (dnn(loss=kind(from_logits=each), epochs=30).fit(X, y) for each in (False, True))
    assert logits.model_.layers[-1].activation is keras.activations.linear
    assert_allclose(logits.predict_proba(X), plain.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("engine", ["auto", "keras"])
@pytest.mark.parametrize("loss", ["binary_crossentropy", losses.BinaryCrossentropy])
def test_a_parameter_of_the_loss_says_that_it_takes_logits(loss, engine):
    params = {"metrics": ["accuracy"], "epochs": 3, "engine": engine}
    clf = dnn(loss=loss, loss__from_logits=True, **params).fit(X, BINARY)
    same = dnn(loss=losses.BinaryCrossentropy(from_logits=True), **params).fit(X, BINARY)
    assert clf.model_.layers[-1].activation is keras.activations.linear
    assert_allclose(clf.predict_proba(X), same.predict_proba(X), rtol=1e-4)
    assert_allclose(clf.history_["accuracy"], same.history_["accuracy"], rtol=1e-4)


def test_whoever_predicts_otherwise_may_have_other_outputs():
    class Margin(KerasClassifier):
        def predict_proba(self, X):
            outputs = 1 / (1 + np.exp(-self.model_.predict(X, verbose=0)))
            return np.hstack([1 - outputs, outputs])

    clf = Margin(ending(1), loss="hinge", epochs=1, random_state=0).fit(X, BINARY)
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_a_training_that_diverges_is_another_matter():
    clf = wrapped(1, loss=unsaid, optimizer="sgd", optimizer__learning_rate=1e38)
    with pytest.warns(UserWarning, match="The training diverged"):
        clf.fit(1e3 * X, BINARY)


# The type of probabilities

FORMS = {
    "float64": X.astype(float),
    "float32": X,
    "float16": X.astype("float16"),
    "integers": (4 * X).astype(int),
    "list": X.tolist(),
    "frame": pd.DataFrame(X.astype(float)),
    "frame of float32": pd.DataFrame(X),
    "frame of both": pd.DataFrame(X).astype({0: float}),
    "sparse": sparse.csr_array(X.astype(float)),
    "sparse, float32": sparse.csr_array(X),
}
TARGETS = {"binary": BINARY, "classes": CLASSES, "labels": LABELS}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("target", TARGETS)
def test_probabilities_are_of_the_type_that_those_of_scikit_learns_network_are(target, form):
    rows, y = FORMS[form], TARGETS[target]
    expected = MLPClassifier(max_iter=1, random_state=0).fit(rows, y).predict_proba(rows)
    clf = dnn().fit(rows, y)
    proba = clf.predict_proba(rows)
    assert proba.dtype == clf.predict_log_proba(rows).dtype == expected.dtype
    if target != "labels":
        assert_allclose(proba.sum(axis=1), 1, atol=2 * np.finfo(expected.dtype).eps)


@pytest.mark.parametrize("half_way", [True, False], ids=["some float64", "all float32"])
def test_polars_frames_are_read_by_their_columns(half_way):
    frame = pl.DataFrame(X, schema=list("abcd"))
    frame = frame.with_columns(pl.col("a").cast(pl.Float64)) if half_way else frame
    assert dnn().fit(frame, CLASSES).predict_proba(frame).dtype == ("float64" if half_way else "float32")


@pytest.mark.parametrize(
    "make",
    [
        lambda: wrapped(3, "softmax", loss="sparse_categorical_crossentropy"),
        lambda: wrapped(3, loss=losses.SparseCategoricalCrossentropy(from_logits=True)),
        lambda: dnn(engine="keras"),
        lambda: TabularClassifier(epochs=1, random_state=0),
    ],
    ids=["wrapper", "logits", "keras", "tabular"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_of_probabilities_add_up_to_one_in_their_type(make, dtype):
    proba = make().fit(X, CLASSES).predict_proba(X.astype(dtype))
    assert proba.dtype == dtype
    assert_allclose(proba.sum(axis=1), 1, atol=2 * np.finfo(dtype).eps)


def test_the_two_columns_of_one_sigmoid_add_up_to_one_where_one_of_them_is_tiny():
    clf = dnn(epochs=30, learning_rate=0.1).fit(X, BINARY)
    proba = clf.predict_proba(30 * X.astype(float))
    tiny = (proba[:, 1] > 1e-15) & (proba[:, 1] < 1e-8)  # in float32 the other is one
    assert tiny.any()
    assert (proba[tiny, 0] < 1).all()
    assert_array_equal(proba.sum(axis=1), 1)


def test_labels_and_independent_sigmoids_stay_as_they_are():
    one_hot = np.eye(3, dtype=int)[CLASSES]
    clf = wrapped(3, "sigmoid", loss="binary_crossentropy")
    with pytest.warns(UserWarning, match="exactly one 1"):
        clf.fit(X, one_hot)
    for net in (clf, dnn().fit(X, LABELS)):
        assert_allclose(net.predict_proba(X.astype(float)), net.model_.predict(X, verbose=0), rtol=1e-6)


def test_an_encoder_of_ones_own_decides_what_its_rows_add_up_to():
    class Votes(ClassifierLabelEncoder):
        def match_output(self, loss, n_units):
            pass

    class Voting(KerasClassifier):
        @property
        def target_encoder(self):
            return Votes(loss=self.loss)

    clf = Voting(ending(3, "sigmoid"), loss="mse", epochs=1, random_state=0).fit(X, CLASSES)
    assert_allclose(clf.predict_proba(X.astype(float)), clf.model_.predict(X, verbose=0), rtol=1e-6)


# Half precision


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def half(request):
    keras.config.set_dtype_policy(request.param)
    yield
    keras.config.set_dtype_policy("float32")


HALF = {
    "dense": lambda: dnn(),
    "tabular": lambda: TabularClassifier(epochs=1, random_state=0),
    "wrapper": lambda: wrapped(3, "softmax", loss="sparse_categorical_crossentropy"),
    "logits": lambda: wrapped(3, loss=losses.SparseCategoricalCrossentropy(from_logits=True)),
}


@pytest.mark.parametrize("make", HALF.values(), ids=HALF)
def test_probabilities_under_a_mixed_policy_are_those_that_scikit_learn_takes(half, make):
    clf = make().fit(X, CLASSES)
    proba = clf.predict_proba(X)
    assert proba.dtype in (np.float32, np.float64)
    assert 0 < roc_auc_score(CLASSES, proba, multi_class="ovr") <= 1
    assert log_loss(CLASSES, proba) > 0


def test_meta_estimators_work_under_a_mixed_policy(half):
    clf = wrapped(3, "softmax", loss="sparse_categorical_crossentropy", epochs=1)
    stack = StackingClassifier([("net", clf)], LogisticRegression(), cv=2).fit(X, CLASSES)
    assert stack.predict(X).shape == (120,)
    calibrated = CalibratedClassifierCV(clf, cv=2).fit(X, CLASSES)
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda: dnn(), lambda: DNNRegressor((4,), epochs=1)], ids=["classes", "numbers"]
)
def test_ready_made_networks_end_in_float32_under_a_mixed_policy(half, make):
    network = make().fit(X, BINARY).model_
    assert network.layers[-1].compute_dtype == "float32"
    assert network.layers[0].compute_dtype != "float32"


def test_networks_for_images_end_in_float32_under_a_mixed_policy(half):
    clf = CNNClassifier((4,), hidden_layer_sizes=(), epochs=1).fit(RNG.random((20, 8, 8)), BINARY[:20])
    assert clf.model_.layers[-1].compute_dtype == "float32"


# One-hot rows of two columns and more

RARE = np.r_[np.zeros(48, int), np.ones(12, int)]
ONE_HOT = {n: np.eye(n, dtype=int)[np.arange(120) % n] for n in (2, 3)}


def of_columns(kind, n, **params):
    params = {"loss": "categorical_crossentropy", **params}
    return dnn(**params) if kind == "ready-made" else wrapped(n, "softmax", **params)


KINDS = pytest.mark.parametrize("kind", ["ready-made", "wrapper"])


@KINDS
@pytest.mark.parametrize("n", [2, 3])
def test_one_hot_rows_are_classes(kind, n):
    y = ONE_HOT[n].argmax(axis=1)
    params = {
        "validation_split": 0.2,
        "metrics": ["accuracy"],
        "class_weight": dict(enumerate([1, 3, 2][:n])),
    }
    one_hot = of_columns(kind, n, **params).fit(X, ONE_HOT[n])
    by_label = of_columns(kind, n, **params).fit(X, y)
    assert one_hot.history_ == by_label.history_
    assert one_hot.target_type_ == "multiclass-onehot"
    assert_array_equal(one_hot.predict(X), np.eye(n)[by_label.predict(X)])
    assert one_hot.score(X, ONE_HOT[n]) == by_label.score(X, y)
    for other in (sparse.csr_array(ONE_HOT[n]), pd.DataFrame(ONE_HOT[n])):
        assert of_columns(kind, n, **params).fit(X, other).history_ == by_label.history_


@KINDS
def test_rare_one_hot_rows_are_held_out_in_their_share(kind):
    clf = of_columns(kind, 2, validation_split=0.25)
    for seed in range(6):
        _, held_out = clf.set_params(random_state=seed)._split_validation(X[:60], np.eye(2)[RARE])
        assert RARE[held_out].sum() == 3


@KINDS
@pytest.mark.parametrize("n", [2, 3])
def test_one_hot_rows_without_a_loss_that_says_so_are_warned_of(kind, n):
    match = f"Each row of y has exactly one 1 in {n} columns.*independent labels"
    clf = dnn() if kind == "ready-made" else wrapped(n, "sigmoid", loss="binary_crossentropy")
    with pytest.warns(UserWarning, match=match):
        clf.set_params(metrics=["accuracy"], validation_split=0.3).fit(X, ONE_HOT[n])
    assert clf.model_.layers[-1].activation is keras.activations.sigmoid
    _, held_out = clf._split_validation(X, ONE_HOT[n])
    score = clf.score(X[held_out], ONE_HOT[n][held_out])
    assert_allclose(clf.history_["val_accuracy"][-1], score, rtol=1e-6)


def test_one_hot_rows_for_a_compiled_model_or_a_loss_of_ones_own_are_classes():
    def compiled():
        model = ending(3, "softmax")()
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    def mine(y_true, y_pred):
        return losses.categorical_crossentropy(y_true, y_pred)

    for clf in (KerasClassifier(compiled), wrapped(3, "softmax", loss=mine, metrics=["accuracy"])):
        clf.set_params(class_weight={0: 1, 1: 2, 2: 3}, validation_split=0.3, random_state=0)
        clf.fit(X, ONE_HOT[3])
        _, held_out = clf._split_validation(X, ONE_HOT[3])
        assert_array_equal(ONE_HOT[3][held_out].sum(axis=0), [12, 12, 12])
        score = clf.score(X[held_out], ONE_HOT[3][held_out])
        assert_allclose(clf.history_["val_accuracy"][-1], score, rtol=1e-6)


@KINDS
@pytest.mark.filterwarnings("ignore:Each row of y has exactly one 1")
@pytest.mark.parametrize("y", [ONE_HOT[3], LABELS], ids=["one-hot", "labels"])
def test_columns_with_a_loss_of_class_numbers_are_refused(kind, y):
    loss = "sparse_categorical_crossentropy"
    clf = dnn(loss=loss) if kind == "ready-made" else wrapped(3, "softmax", loss=loss)
    with pytest.raises(ValueError, match=r"takes one class number for each row, but y has 3 columns.*argmax"):
        clf.fit(X, y)


@KINDS
def test_rows_of_two_labels_that_are_not_one_hot_stay_labels(kind):
    clf = dnn() if kind == "ready-made" else wrapped(2, "sigmoid", loss="binary_crossentropy")
    assert clf.fit(X, LABELS[:, :2]).target_type_ == "multilabel-indicator"


# Encoders derived from skdl's own


class WithReject(ClassifierLabelEncoder):
    """One unit more than classes: its probability is that of no answer."""

    def inverse_transform(self, y, return_proba=False):
        known = y[:, :-1] / y[:, :-1].sum(axis=1, keepdims=True)
        return super().inverse_transform(known, return_proba=return_proba)


class Rejecting(KerasClassifier):
    @property
    def target_encoder(self):
        return WithReject(loss=self.loss)


class Numbers(ClassifierLabelEncoder):
    """Class numbers of one-hot rows, for a loss that takes these."""

    def transform(self, y):
        return np.argmax(y, axis=1)


class OfNumbers(KerasClassifier):
    @property
    def target_encoder(self):
        return Numbers()


class MeanAndWidth(RegressorTargetEncoder):
    """Two outputs for one column."""

    def inverse_transform(self, y):
        return super().inverse_transform(y[:, :1])


class MixtureRegressor(KerasRegressor):
    @property
    def target_encoder(self):
        return MeanAndWidth()


class Risk(RegressorTargetEncoder):
    """One output for two columns, a time and an event."""

    def inverse_transform(self, y):
        return y[:, 0]


class CoxRegressor(KerasRegressor):
    @property
    def target_encoder(self):
        return Risk()


def likelihood(y_true, y_pred):
    mean, width = y_pred[:, :1], keras.ops.softplus(y_pred[:, 1:]) + 0.1
    return keras.ops.mean(keras.ops.log(width) + ((y_true - mean) / width) ** 2, axis=-1)


def risk(y_true, y_pred):
    return keras.ops.square(y_true[:, :1] - y_pred)[:, 0]


def test_whoever_gives_an_encoder_may_have_another_width():
    clf = Rejecting(ending(4, "softmax"), loss="sparse_categorical_crossentropy", random_state=0).fit(
        X, CLASSES
    )
    assert clf.predict_proba(X).shape == (120, 3)
    assert clf.partial_fit(X[CLASSES < 2], CLASSES[CLASSES < 2]).n_classes_ == 3
    clf = OfNumbers(ending(3, "softmax"), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    assert clf.fit(X, ONE_HOT[3]).predict(X).shape == (120, 3)
    reg = MixtureRegressor(ending(2), loss=likelihood, random_state=0).fit(X, X[:, 0])
    assert reg.predict(X).shape == (120,)
    cox = CoxRegressor(ending(1), loss=risk, random_state=0).fit(X, X[:, :2])
    assert cox.predict(X).shape == (120,)


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (wrapped(4, "softmax", loss="sparse_categorical_crossentropy"), CLASSES),
        (wrapped(4, "sigmoid", loss="binary_crossentropy"), LABELS),
        (KerasRegressor(ending(2), loss="mse"), X[:, 0]),
    ],
    ids=["classes", "labels", "numbers"],
)
def test_another_width_is_refused_with_the_way_out(estimator, y):
    with pytest.raises(
        ValueError, match=r"A subclass with a target_encoder of its own may have another width"
    ):
        estimator.fit(X, y)


# Targets of other containers


def test_a_sparse_multilabel_target_is_scored():
    clf = dnn().fit(X, sparse.csr_array(LABELS))
    assert clf.score(X, sparse.csr_matrix(LABELS)) == clf.score(X, LABELS)


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
@pytest.mark.parametrize("column", [lambda y: y.reshape(-1, 1), lambda y: pd.DataFrame({"y": y})])
def test_partial_fit_with_a_column_remembers_the_classes(column):
    clf = dnn().partial_fit(X, column(CLASSES))
    clf.partial_fit(X[CLASSES == 1], column(CLASSES[CLASSES == 1]))
    assert_array_equal(clf.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] differs from the first call"):
        clf.partial_fit(X, column(CLASSES), classes=[0, 1])
