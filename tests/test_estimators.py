"""DNNClassifier, DNNRegressor, CNNClassifier: every parameter, every kind of target and input."""

import copy
import pickle
import random

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from imblearn.over_sampling import SMOTE
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline as sklearn_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, scale
from sklearn.utils import compute_sample_weight, estimator_html_repr
from tensorflow.python.framework import config as tf_config

from skdl import CNNClassifier, DNNClassifier, DNNRegressor, Pipeline, make_pipeline


def _load(load):
    X, y = load(return_X_y=True)
    return scale(X).astype("float32"), y


IRIS, CANCER = _load(load_iris), _load(load_breast_cancer)
DIABETES = _load(load_diabetes)[0], scale(load_diabetes().target)
DIGITS = load_digits().images[:300] / 16, load_digits().target[:300]
NAMES = np.array(["setosa", "versicolor", "virginica"])


def dnn(**params):
    """A classifier that takes a step per epoch."""
    return DNNClassifier(**{"hidden_layer_sizes": (6,), "epochs": 1, "batch_size": -1, **ZERO, **params})


def reg(**params):
    return DNNRegressor(**{"hidden_layer_sizes": (6,), "epochs": 1, "batch_size": -1, **ZERO, **params})


def cnn(**params):
    return CNNClassifier(
        **{"filters": 4, "hidden_layer_sizes": (), "epochs": 1, "batch_size": -1, **ZERO, **params}
    )


ZERO = {"random_state": 0}


def weights(estimator):
    return estimator.model_.get_weights()


def same_weights(a, b):
    return all(np.array_equal(u, v) for u, v in zip(weights(a), weights(b), strict=True))


def layers_of(estimator, kind):
    return [layer for layer in estimator.model_.layers if isinstance(layer, kind)]


# Learning, on real data


def test_two_classes_are_learnt():
    X, y = CANCER
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    clf = DNNClassifier((16,), epochs=8, learning_rate=0.01, random_state=0).fit(X, y)
    assert clf.score(X_test, y_test) > 0.93
    assert clf.model_.output_shape == (None, 1)
    assert set(clf.history_) == {"loss", "accuracy"}


@pytest.mark.parametrize("unit", [1e3, 1e-5])
def test_a_target_far_from_unit_spread_is_warned_of_with_what_to_do(unit):
    X, y = DIABETES
    reg = DNNRegressor((4,), epochs=1, random_state=0)
    with pytest.warns(
        UserWarning, match=r"standard deviation of the target is .*TransformedTargetRegressor"
    ) as seen:
        reg.fit(X, y * unit)
    assert len(seen) == 1
    assert "TabularRegressor" in str(seen[0].message)
    assert seen[0].filename == __file__
    TransformedTargetRegressor(reg, transformer=StandardScaler()).fit(X, y * unit)


def test_numbers_are_learnt():
    X, y = DIABETES
    model = DNNRegressor((16,), epochs=15, learning_rate=0.01, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.45
    assert set(model.history_) == {"loss"}


def test_images_are_learnt():
    X, y = load_digits(return_X_y=True)
    clf = CNNClassifier((8,), image_shape=(8, 8), epochs=3, learning_rate=0.01, random_state=0)
    assert clf.fit(X[:1000] / 16, y[:1000]).score(X[1000:] / 16, y[1000:]) > 0.8


# Parameters


@pytest.mark.parametrize("sizes", [(), 5, np.int64(5), [5, 4], np.array([5, 4, 3])], ids=str)
def test_hidden_layer_sizes(sizes):
    clf = dnn(hidden_layer_sizes=sizes).fit(*IRIS)
    assert [layer.units for layer in layers_of(clf, keras.layers.Dense)] == [*np.atleast_1d(sizes), 3]


def test_activation_dropout_and_batch_normalisation():
    clf = dnn(hidden_layer_sizes=(5, 4), activation="tanh", dropout=0.25, batch_norm=True).fit(*IRIS)
    assert {layer.activation for layer in layers_of(clf, keras.layers.Activation)} == {keras.activations.tanh}
    assert [layer.rate for layer in layers_of(clf, keras.layers.Dropout)] == [0.25, 0.25]
    assert len(layers_of(clf, keras.layers.BatchNormalization)) == 2
    own = dnn(activation=keras.activations.gelu).fit(*IRIS)
    assert layers_of(own, keras.layers.Dense)[0].activation is keras.activations.gelu


def test_l2_regularization_adds_the_squares_of_the_kernels_to_the_loss():
    X, y = IRIS
    start = [w.copy() for w in weights(dnn(learning_rate=1e-30, optimizer="sgd").fit(X, y))]
    plain, penalised = (
        dnn(l2_regularization=penalty, learning_rate=1e-30, optimizer="sgd").fit(X, y).history_["loss"][0]
        for penalty in (0.0, 0.5)
    )
    assert_allclose(penalised - plain, 0.5 * sum((w**2).sum() for w in start[::2]), rtol=1e-4)


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", keras.optimizers.SGD, keras.optimizers.SGD(momentum=0.5)],
    ids=["name", "class", "instance"],
)
def test_learning_rate_is_that_of_any_optimizer(optimizer):
    clf = dnn(optimizer=optimizer, learning_rate=0.25).fit(*IRIS)
    assert float(clf.model_.optimizer.learning_rate) == 0.25
    assert isinstance(clf.model_.optimizer, keras.optimizers.SGD)


def test_learning_rate_may_be_a_schedule_or_the_optimizers_own():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, decay_steps=1, decay_rate=0.5)
    clf = dnn(learning_rate=schedule, epochs=2).fit(*IRIS)
    assert_allclose(float(clf.model_.optimizer.learning_rate), 0.125)
    assert_allclose(float(dnn().fit(*IRIS).model_.optimizer.learning_rate), 0.001)
    assert clf.optimizer == "adam"


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 150), (50, 3), (64, 3), (-1, 1), (None, 5), (999, 1)])
def test_batch_size_is_the_rows_of_a_step(batch_size, steps):
    assert int(dnn(batch_size=batch_size).fit(*IRIS).model_.optimizer.iterations) == steps


def test_without_shuffle_the_rows_come_in_order():
    X, y = IRIS
    rows = np.random.default_rng(0).permutation(150)
    one, two = (dnn(shuffle=False, batch_size=50).fit(X[r], y[r]) for r in (rows, rows))
    assert same_weights(one, two)
    other = dnn(shuffle=False, batch_size=50).fit(X, y)
    assert not same_weights(one, other)
    assert not same_weights(one, dnn(shuffle=True, batch_size=50).fit(X[rows], y[rows]))


@pytest.mark.parametrize("metrics", ["auc", ["auc"], ("AUC",), keras.metrics.AUC, None], ids=str)
def test_metrics_are_recorded_besides_the_loss(metrics):
    X, y = CANCER
    clf = dnn(metrics=metrics)
    for _ in range(2):
        assert set(clf.fit(X, y).history_) == {"loss", *([] if metrics is None else ["auc"])}


def test_verbose_shows_progress_and_the_default_is_quiet(capsys):
    dnn().fit(*IRIS).predict(IRIS[0])
    assert capsys.readouterr().out == ""
    dnn(verbose=2, epochs=2).fit(*IRIS)
    assert "Epoch 2/2" in capsys.readouterr().out


def test_parameters_are_stored_as_they_come_and_have_no_effect_before_fit():
    sizes, callbacks = [5], [keras.callbacks.TerminateOnNaN]
    clf = DNNClassifier(sizes, callbacks=callbacks)
    assert clf.hidden_layer_sizes is sizes
    assert clf.callbacks is callbacks
    with pytest.raises(NotFittedError):
        clf.predict(IRIS[0])


def test_routed_parameters_of_ready_made_estimators():
    clf = dnn(optimizer="sgd", optimizer__momentum=0.5, predict__batch_size=7, fit__epochs=2)
    clf = clone(clf).set_params(optimizer__nesterov=True).fit(*IRIS)
    assert (clf.model_.optimizer.momentum, clf.model_.optimizer.nesterov) == (0.5, True)
    assert clf.current_epoch == 2


@pytest.mark.parametrize("estimator", [DNNClassifier(), DNNRegressor(), CNNClassifier()], ids=repr)
def test_every_parameter_is_documented_has_a_constraint_and_can_be_set(estimator):
    params = estimator.get_params()
    assert set(params) == set(estimator._parameter_constraints)
    assert 19 <= len(params) <= 25
    for name in params:
        assert f"\n    {name} : " in type(estimator).__doc__
    assert estimator.set_params(**params).get_params() == params


# Targets


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype=object),
        np.array([3, 7]),
        np.array([-1.0, 1.0]),
        np.array([False, True]),
    ],
    ids=["str", "object", "int", "float", "bool"],
)
def test_labels_come_back_as_they_were(labels):
    X, y = CANCER
    clf = dnn(epochs=30, learning_rate=0.05).fit(X, labels[y])
    predicted = clf.predict(X)
    assert predicted.dtype == labels.dtype
    assert_array_equal(clf.classes_, labels)
    assert np.mean(predicted == labels[y]) > 0.93
    assert_array_equal(clf.predict_proba(X).argmax(axis=1), np.searchsorted(labels, predicted))


def test_labels_may_be_a_list_or_a_series_or_a_categorical():
    X, y = IRIS
    expected = dnn().fit(X, NAMES[y]).predict(X)
    for target in (NAMES[y].tolist(), pd.Series(NAMES[y]), pd.Series(NAMES[y], dtype="category")):
        assert_array_equal(dnn().fit(X, target).predict(X), expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_have_a_column_per_class_also_for_one_row(n_classes):
    X, y = IRIS
    X, y = X[y < n_classes], y[y < n_classes]
    clf = dnn().fit(X, y)
    proba = clf.predict_proba(X)
    assert proba.shape == (len(X), n_classes)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert clf.predict_proba(X[:1]).shape == (1, n_classes)
    assert clf.predict(X[:1]).shape == (1,)
    assert_allclose(clf.predict_proba(X[:1]), proba[:1], atol=1e-6)
    assert_allclose(clf.predict_log_proba(X), np.log(proba), rtol=1e-6)


def test_the_logarithm_of_no_probability_is_minus_infinity():
    X, y = CANCER
    clf = dnn(hidden_layer_sizes=()).fit(X, y)
    log_proba = clf.predict_log_proba(X * 1e4)
    assert np.isneginf(log_proba.min())
    assert not np.isnan(log_proba).any()


def test_several_labels_per_row():
    X, y = make_multilabel_classification(n_samples=200, n_classes=3, n_labels=2, random_state=0)
    X = scale(X)
    clf = dnn(epochs=40, learning_rate=0.05).fit(X, y)
    assert clf.predict(X).shape == clf.predict_proba(X).shape == y.shape
    assert set(np.unique(clf.predict(X))) == {0, 1}
    assert np.mean(clf.predict(X) == y) > 0.8
    assert clf.model_.layers[-1].activation is keras.activations.sigmoid
    assert 0 < clf.score(X, y) <= np.mean(clf.predict(X) == y)
    assert_array_equal(
        dnn(epochs=40, learning_rate=0.05).fit(X, sparse.csr_array(y)).predict(X), clf.predict(X)
    )


@pytest.mark.parametrize("loss", ["auto", "binary_crossentropy", keras.losses.BinaryCrossentropy])
def test_labels_of_which_each_row_has_one_are_still_several_with_a_warning(loss):
    X, y = IRIS
    with pytest.warns(UserWarning, match=r"one 1 in 3 columns.*y\.argmax\(axis=1\)") as record:
        clf = dnn(loss=loss).fit(X, np.eye(3, dtype=int)[y])
    assert [warning.filename for warning in record] == [__file__]
    assert clf.target_type_ == "multilabel-indicator"
    assert clf.model_.layers[-1].activation is keras.activations.sigmoid
    assert clf.predict(X).shape == (150, 3)


ONE_HOT_LOSSES = {
    "name": "categorical_crossentropy",
    "class": keras.losses.CategoricalCrossentropy,
    "instance": keras.losses.CategoricalCrossentropy(label_smoothing=0.01),
}


@pytest.mark.parametrize("loss", ONE_HOT_LOSSES.values(), ids=ONE_HOT_LOSSES)
@pytest.mark.parametrize("make", [dnn, cnn])
def test_one_hot_rows_with_a_one_hot_loss_are_classes(make, loss):
    X, y = IRIS if make is dnn else DIGITS
    one_hot = keras.utils.to_categorical(y)
    clf, by_label = (make(loss=loss).fit(X, target) for target in (one_hot, y))
    assert same_weights(clf, by_label)
    assert clf.history_ == by_label.history_
    assert clf.model_.layers[-1].activation is keras.activations.softmax
    assert_array_equal(clf.predict_proba(X), by_label.predict_proba(X))
    assert_array_equal(clf.predict(X), keras.utils.to_categorical(by_label.predict(X), one_hot.shape[1]))
    assert clf.predict(X).dtype == one_hot.dtype
    assert clf.score(X, one_hot) == by_label.score(X, y)
    assert_array_equal(clf.classes_, by_label.classes_)


@pytest.mark.parametrize("kind", [sparse.csr_array, pd.DataFrame, np.ndarray.tolist])
def test_other_kinds_of_one_hot_rows_are_classes(kind):
    X, y = IRIS
    settings = {
        "loss": "categorical_crossentropy",
        "validation_split": 0.2,
        "class_weight": {0: 1, 1: 2, 2: 5},
    }
    clf, by_label = (dnn(**settings).fit(X, target) for target in (kind(np.eye(3, dtype=int)[y]), y))
    assert same_weights(clf, by_label)
    assert clf.history_ == by_label.history_


def test_one_hot_rows_are_stratified_and_weighted_by_class():
    X, y = CANCER
    y = y + (np.arange(len(y)) % 10 == 0) * 2
    settings = {"loss": "categorical_crossentropy", "validation_split": 0.3, "class_weight": "balanced"}
    clf, by_label = (dnn(**settings).fit(X, target) for target in (np.eye(4)[y], y))
    assert clf.history_ == by_label.history_
    one, other = (make_pipeline(StandardScaler(), dnn(**settings)).fit(X, t)[-1] for t in (np.eye(4)[y], y))
    assert one.history_ == other.history_
    search = GridSearchCV(dnn(**settings), {"epochs": [1]}, scoring="roc_auc_ovr", error_score="raise")
    assert 0 < search.fit(X, np.eye(4)[y]).best_score_ < 1


def test_one_hot_rows_come_in_batches_and_validate():
    X, y = IRIS
    one_hot = np.eye(3)[y]
    clf = dnn(loss="categorical_crossentropy")
    clf.fit(X, one_hot, X_val=X[:50], y_val=one_hot[:50])
    clf.partial_fit(X[:50], one_hot[:50])
    new = dnn(loss="categorical_crossentropy").partial_fit(X[:50], one_hot[:50], classes=[0, 1, 2])
    assert new.partial_fit(X, one_hot).predict(X).shape == (150, 3)
    with pytest.raises(
        ValueError, match=r"\['a', 'b', 'c'\] does not fit a target of 3 columns.*Leave classes out"
    ):
        clf.partial_fit(X[:50], one_hot[:50], classes=["a", "b", "c"])
    for bad in (one_hot[:, :2], 1 - one_hot, np.column_stack([one_hot, 0 * y])):
        with pytest.raises(ValueError, match=r"y must be one-hot.*3 columns.*exactly one 1"):
            clf.partial_fit(X, bad)
        with pytest.raises(ValueError, match=r"y_val must be one-hot"):
            clf.fit(X, one_hot, X_val=X, y_val=bad)


def test_one_and_several_numbers_per_row():
    X, Y = load_linnerud(return_X_y=True)
    X, Y = scale(X), scale(Y)
    assert reg().fit(X, Y).predict(X).shape == (20, 3)
    assert reg().fit(X, Y[:, 0]).predict(X).shape == (20,)
    assert reg().fit(X, Y[:, :1]).predict(X[:1]).shape == (1, 1)
    assert reg().fit(X, (10 * Y).astype(int)).predict(X).dtype.kind == "f"


def test_predictions_are_of_float64_unless_features_and_target_are_of_float32():
    X, y = DIABETES
    for of_target in ("float16", "float32", "float64"):
        net = reg().fit(X, y.astype(of_target))
        for of_features in ("float32", "float64"):
            single = of_features == "float32" and of_target != "float64"
            predicted = net.predict(X.astype(of_features))
            assert predicted.dtype == ("float32" if single else "float64")
            assert_allclose(predicted, net.model_.predict(X, verbose=0)[:, 0], rtol=1e-5)


# Losses

EVERY_NUMBER_OF_CLASSES = [
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "sparse_categorical_crossentropy",
    "kl_divergence",
    "mse",
    "mean_absolute_error",
    "poisson",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "binary_crossentropy",
]


@pytest.mark.parametrize(
    ("loss", "n_classes"),
    [(loss, 2) for loss in [*EVERY_NUMBER_OF_CLASSES, "binary_focal_crossentropy"]]
    + [(loss, 3) for loss in EVERY_NUMBER_OF_CLASSES[::2]],
)
def test_losses_by_name_learn_classes(loss, n_classes):
    X, y = IRIS
    X, y = X[50 * (3 - n_classes) :: 2], y[50 * (3 - n_classes) :: 2]
    clf = dnn(hidden_layer_sizes=(12,), loss=loss, epochs=50, learning_rate=0.05).fit(X, y)
    assert clf.predict_proba(X).shape == (len(X), n_classes)
    assert clf.score(X, y) > 0.85


@pytest.mark.parametrize("loss", ["CategoricalCrossentropy", "BinaryCrossentropy"])
def test_losses_are_the_same_by_name_class_and_instance(loss):
    X, y = CANCER
    ways = [loss, getattr(keras.losses, loss), getattr(keras.losses, loss)()]
    one, two, three = (dnn(loss=way).fit(X, y).predict_proba(X) for way in ways)
    assert_array_equal(one, two)
    assert_array_equal(one, three)


def test_loss_auto_fits_the_target():
    X, y = IRIS
    assert dnn().fit(X, y).model_.loss is keras.losses.sparse_categorical_crossentropy
    assert dnn().fit(*CANCER).model_.loss is keras.losses.binary_crossentropy
    assert reg().fit(X, y).model_.loss is keras.losses.mean_squared_error
    assert dnn().fit(X, np.column_stack([y, y]) > 1).model_.loss is keras.losses.binary_crossentropy


@pytest.mark.parametrize(
    "loss", ["mean_squared_error", "mae", "huber", "log_cosh", "mean_squared_logarithmic_error"]
)
def test_losses_by_name_learn_numbers(loss):
    X, y = DIABETES
    y = y - y.min() if "logarithmic" in loss else y
    assert reg(loss=loss, epochs=60, learning_rate=0.05).fit(X, y).score(X, y) > 0.35


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def test_a_loss_of_ones_own():
    assert dnn(loss=own_loss, epochs=60, learning_rate=0.05).fit(*CANCER).score(*CANCER) > 0.9
    ours, keras_s = reg(loss=own_loss).fit(*DIABETES), reg().fit(*DIABETES)
    assert (ours.engine_, keras_s.engine_) == ("compiled", "numpy")
    assert_allclose(ours.predict(DIABETES[0]), keras_s.predict(DIABETES[0]), rtol=1e-5)


# Weights


def test_a_weight_of_two_is_the_row_given_twice():
    X, y = IRIS
    twice = np.repeat(np.arange(150), 1 + (y == 2))
    weighted = dnn(epochs=5, learning_rate=0.05).fit(X, y, sample_weight=1 + (y == 2))
    repeated = dnn(epochs=5, learning_rate=0.05).fit(X[twice], y[twice])
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-5)


def test_rows_of_no_weight_are_as_if_not_there():
    X, y = IRIS
    there = np.arange(150) % 3 > 0
    one = dnn(batch_size=16, validation_split=0.2).fit(X, y, sample_weight=there.astype(float))
    two = dnn(batch_size=16, validation_split=0.2).fit(X[there], y[there])
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)
    assert one.history_["val_loss"] == pytest.approx(two.history_["val_loss"], rel=1e-4)


@pytest.mark.parametrize("class_weight", ["balanced", {"setosa": 3.0, "virginica": 0.5}], ids=str)
def test_class_weights_multiply_sample_weights(class_weight):
    X, y = IRIS[0][30:], NAMES[IRIS[1][30:]]  # fewer of the first class
    sample_weight = np.linspace(0.5, 2, 120)
    combined = sample_weight * compute_sample_weight(class_weight, y)
    one = dnn(class_weight=class_weight, epochs=3).fit(X, y, sample_weight=sample_weight)
    two = dnn(epochs=3).fit(X, y, sample_weight=combined)
    assert same_weights(one, two)
    assert not same_weights(one, dnn(epochs=3).fit(X, y, sample_weight=sample_weight))


def test_balanced_weights_help_the_rare_class():
    X, y = CANCER
    rows = np.flatnonzero((y == 1) | (np.arange(len(y)) % 10 == 0))
    X, y = X[rows], y[rows]
    plain, balanced = (
        dnn(hidden_layer_sizes=(), class_weight=way, epochs=20, learning_rate=0.01).fit(X, y)
        for way in (None, "balanced")
    )
    assert np.sum(balanced.predict(X) == 0) > np.sum(plain.predict(X) == 0)


@pytest.mark.parametrize("dtype", [float, "float32", int])
def test_the_callers_arrays_never_change(dtype):
    X, y = IRIS
    X, y, weight = X.copy(), y.copy(), np.arange(1, 151).astype(dtype)
    before = X.copy(), y.copy(), weight.copy()
    for frozen in (X, y, weight):
        frozen.setflags(write=False)
    dnn(class_weight="balanced", validation_split=0.2).fit(X, y, sample_weight=weight).predict(X)
    for array, was in zip((X, y, weight), before, strict=True):
        assert_array_equal(array, was)


def test_class_weights_count_in_partial_fit():
    X, y = IRIS
    one = dnn(class_weight={0: 5.0}).partial_fit(X, y)
    two = dnn().partial_fit(X, y, sample_weight=np.where(y == 0, 5.0, 1.0))
    assert same_weights(one, two)


# Validation


def test_the_validation_split_is_shuffled_and_stratified():
    X, y = IRIS  # sorted by class: the last rows are of one class
    train, held_out = dnn(validation_split=0.2)._split_validation(X, y)
    assert_array_equal(np.bincount(y[held_out]), [10, 10, 10])
    assert_array_equal(np.bincount(y[train]), [40, 40, 40])
    assert_array_equal(np.sort(np.concatenate([train, held_out])), np.arange(150))
    assert not np.array_equal(held_out, dnn(validation_split=0.2, random_state=1)._split_validation(X, y)[1])


def test_held_out_rows_are_validated_on_and_not_trained_on():
    X, y = IRIS
    clf = dnn(validation_split=0.2, epochs=3, batch_size=40).fit(X, y)
    assert {"val_loss", "val_accuracy"} <= set(clf.history_)
    assert int(clf.model_.optimizer.iterations) == 3 * 3  # 120 rows
    _, held_out = clone(clf)._split_validation(X, y)
    by_hand = clf.model_.evaluate(X[held_out], y[held_out], verbose=0, return_dict=True)
    assert_allclose(clf.history_["val_loss"][-1], by_hand["loss"], rtol=1e-4)
    assert_allclose(clf.history_["val_accuracy"][-1], by_hand["accuracy"], rtol=1e-4)


def test_given_validation_rows_are_used_and_nothing_is_held_out():
    X, y = IRIS
    clf = dnn(validation_split=0.2, epochs=2).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    by_hand = clf.model_.evaluate(X[1::2], y[1::2], verbose=0, return_dict=True)
    assert_allclose(clf.history_["val_loss"][-1], by_hand["loss"], rtol=1e-4)
    assert clf.history_["loss"] == dnn(epochs=2).fit(X[::2], y[::2]).history_["loss"]


def test_weights_of_validation_rows_count():
    X, y = IRIS
    only_first = np.where(y == 0, 1.0, 0.0)
    clf = dnn().fit(X, y, X_val=X, y_val=y, sample_weight_val=only_first)
    alone = dnn().fit(X, y, X_val=X[y == 0], y_val=y[y == 0])
    # By their ratios, as in training, so that loss and validation loss can be compared.
    assert_allclose(clf.history_["val_loss"][0], alone.history_["val_loss"][0], rtol=1e-4)


@pytest.fixture(scope="module")
def stopped():
    """Stopped early, with a learning rate that makes the validation loss rise."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = scale(X)[:150], y[:150]
    clf = DNNClassifier(
        (32,),
        learning_rate=0.03,
        epochs=80,
        early_stopping=True,
        n_iter_no_change=4,
        validation_split=0.3,
        random_state=0,
    )
    return clf.fit(X, y), X, y


def test_early_stopping_stops_and_best_epoch_is_that_of_the_lowest_loss(stopped):
    clf, *_ = stopped
    assert clf.n_iter_ < 80
    assert clf.best_epoch_ == int(np.argmin(clf.history_["val_loss"]))
    assert clf.n_iter_ == len(clf.history_["val_loss"]) == clf.best_epoch_ + 1 + 4


def test_early_stopping_restores_the_weights_of_the_best_epoch(stopped):
    clf, X, y = stopped
    _, held_out = clone(clf)._split_validation(X, y)
    loss = clf.model_.evaluate(X[held_out], y[held_out], verbose=0)[0]
    assert_allclose(loss, min(clf.history_["val_loss"]), rtol=1e-4)


def test_early_stopping_that_never_stops_restores_the_best_weights_too():
    X, y = IRIS
    clf = dnn(epochs=6, early_stopping=True, learning_rate=1.0, optimizer="sgd", validation_split=0.5)
    clf.fit(X, y)
    _, held_out = clone(clf)._split_validation(X, y)
    loss = clf.model_.evaluate(X[held_out], y[held_out], verbose=0)[0]
    assert_allclose(loss, min(clf.history_["val_loss"]), rtol=1e-4)


def test_early_stopping_holds_out_a_tenth_if_nothing_is_said():
    X, y = IRIS
    train, held_out = dnn(early_stopping=True)._split_validation(X, y)
    assert (len(train), len(held_out)) == (135, 15)
    assert dnn()._split_validation(X, y) is None


def test_best_epoch_is_by_training_loss_where_nothing_is_held_out():
    clf = dnn(epochs=4, learning_rate=0.05).fit(*IRIS)
    assert clf.best_epoch_ == int(np.argmin(clf.history_["loss"])) == 3


def test_a_loss_that_is_not_a_number_is_not_the_best():
    X, y = DIABETES
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        model = reg(epochs=12, optimizer="sgd", learning_rate=1e6).fit(X, y)
    assert np.isnan(model.history_["loss"]).any()
    assert np.isfinite(model.history_["loss"][model.best_epoch_])


# Callbacks


class Stop(keras.callbacks.Callback):
    def __init__(self, after=1):
        super().__init__()
        self.after, self.epochs = after, 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        self.model.stop_training = self.epochs >= self.after


@pytest.mark.parametrize(
    ("callbacks", "name"),
    [
        (Stop, "callbacks__after"),
        (Stop(9), "callbacks__after"),
        ([Stop], "callbacks__0__after"),
        ([Stop(9)], "callbacks__0__after"),
        ({"stop": Stop(9)}, "callbacks__stop__after"),
        ({"stop": Stop}, "callbacks__after"),
    ],
    ids=["class", "instance", "list of classes", "list", "dict", "dict of classes"],
)
def test_callbacks_are_searchable_and_copied_with_other_parameters(callbacks, name):
    clf = dnn(callbacks=callbacks, epochs=3)
    for after in (2, 2):
        assert clone(clf).set_params(**{name: after}).fit(*IRIS).n_iter_ == after


def test_a_search_over_a_callback():
    search = GridSearchCV(dnn(callbacks=Stop(9), epochs=3), {"callbacks__after": [1, 2]}, cv=2)
    search.fit(*IRIS)
    assert search.best_estimator_.n_iter_ == search.best_params_["callbacks__after"]
    assert search.estimator.callbacks.after == 9
    assert search.estimator.callbacks.epochs == 0


# Weights of the network


@pytest.mark.parametrize("make", [dnn, reg])
def test_coefs_and_intercepts_are_those_of_the_layers(make):
    X, y = IRIS
    model = make(hidden_layer_sizes=(5, 4), batch_norm=True).fit(X, y)
    assert [w.shape for w in model.coefs_[:2]] == [(4, 5), (5, 4)]
    assert [w.shape for w in model.intercepts_[:2]] == [(5,), (4,)]
    assert len(model.coefs_) == len(model.intercepts_) == 3
    assert not hasattr(make(), "coefs_")


def test_a_linear_model_is_its_coefs_and_intercepts():
    X, y = DIABETES
    model = reg(hidden_layer_sizes=(), epochs=3).fit(X, y)
    by_hand = X @ model.coefs_[0][:, 0] + model.intercepts_[0][0]
    assert_allclose(model.predict(X), by_hand, atol=1e-5)


# Inputs


def test_names_of_a_data_frame_are_kept_and_compared():
    frame, y = load_iris(return_X_y=True, as_frame=True)
    clf = dnn().fit(frame, y)
    assert_array_equal(clf.feature_names_in_, frame.columns)
    assert clf.n_features_in_ == 4
    assert_array_equal(clf.predict(frame), dnn().fit(frame.to_numpy(), y).predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.rename(columns={"petal width (cm)": "width"}))
    with pytest.raises(ValueError, match="same order"):
        clf.predict(frame[frame.columns[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(frame.to_numpy())
    assert not hasattr(dnn().fit(frame.to_numpy(), y), "feature_names_in_")


@pytest.mark.parametrize(
    ("make", "kind"), [(dnn, sparse.csr_array), (dnn, sparse.coo_matrix), (reg, sparse.csr_matrix)]
)
@pytest.mark.parametrize("small", [True, False])
def test_sparse_rows_are_as_good_as_dense_ones(monkeypatch, make, kind, small):
    if not small:
        monkeypatch.setattr("skdl._arrays._LARGEST", 0)
    X, y = load_digits(return_X_y=True)
    X, y = X[:200] / 16, y[:200]
    params = {"batch_size": 64, "validation_split": 0.2, "epochs": 2}
    dense, thin = make(**params).fit(X, y), make(**params).fit(kind(X), y)
    assert thin.engine_ == "numpy"
    assert_allclose(thin.predict(kind(X)), dense.predict(X), atol=1e-5)
    assert_allclose(thin.predict(X), dense.predict(X), atol=1e-5)
    assert thin.history_["val_loss"] == pytest.approx(dense.history_["val_loss"], rel=1e-4)


def test_numbers_of_any_type_are_taken():
    X, y = load_digits(return_X_y=True)
    expected = dnn().fit(X, y).predict(X)
    for dtype in ("float32", "uint8"):
        assert_array_equal(dnn().fit(X.astype(dtype), y).predict(X.astype(dtype)), expected)
    assert_array_equal(dnn().fit(X.tolist(), y).predict(X.tolist()), expected)


# Images


@pytest.mark.parametrize("filters", [4, (4,), np.array([4, 3])], ids=str)
def test_a_block_for_each_entry_of_filters(filters):
    clf = cnn(filters=filters, hidden_layer_sizes=(7,), dropout=0.25).fit(*DIGITS)
    assert [layer.filters for layer in layers_of(clf, keras.layers.Conv2D)] == [*np.atleast_1d(filters)]
    assert len(layers_of(clf, keras.layers.MaxPooling2D)) == np.size(filters)
    assert [layer.units for layer in layers_of(clf, keras.layers.Dense)] == [7, 10]
    assert [layer.rate for layer in layers_of(clf, keras.layers.Dropout)] == [0.25, 0.25]


def test_kernels_pools_and_padding():
    clf = cnn(filters=(2, 3), kernel_size=[3, (1, 2)], pool_size=[2, (1, 2)], padding="valid")
    clf.fit(*DIGITS)
    assert [layer.kernel_size for layer in layers_of(clf, keras.layers.Conv2D)] == [(3, 3), (1, 2)]
    assert [layer.pool_size for layer in layers_of(clf, keras.layers.MaxPooling2D)] == [(2, 2), (1, 2)]
    assert {layer.padding for layer in layers_of(clf, keras.layers.Conv2D)} == {"valid"}
    assert not layers_of(cnn(pool_size=None).fit(*DIGITS), keras.layers.MaxPooling2D)


def test_images_in_every_shape_are_the_same_images():
    X, y = DIGITS
    expected = cnn().fit(X, y).predict_proba(X)
    ways = [
        (X[..., np.newaxis], None),
        (X.reshape(300, 64), (8, 8)),
        (X.reshape(300, 64), (8, 8, 1)),
        (X.reshape(300, 64), [-1, 8]),
        (sparse.csr_array(X.reshape(300, 64)), (8, 8)),
        (pd.DataFrame(X.reshape(300, 64)), (8, 8)),
    ]
    for images, shape in ways:
        clf = cnn(image_shape=shape).fit(images, y)
        assert_allclose(clf.predict_proba(images), expected, atol=1e-6)


def test_colours_are_channels():
    X, y = DIGITS
    clf = cnn().fit(np.stack([X, X, X], axis=-1), y)
    assert clf.model_.input_shape == (None, 8, 8, 3)


def test_images_behind_a_scaler():
    X, y = load_digits(return_X_y=True)
    pipe = sklearn_pipeline(MinMaxScaler(), cnn(image_shape=(8, 8), epochs=30, learning_rate=0.05))
    assert pipe.fit(X[:500], y[:500]).score(X[:500], y[:500]) > 0.9


def test_images_of_two_classes_and_of_several_labels():
    X, y = DIGITS
    assert cnn().fit(X, y > 4).predict_proba(X[:1]).shape == (1, 2)
    assert cnn().fit(X, np.column_stack([y > 4, y % 2])).predict(X).shape == (300, 2)


# Chance


@pytest.mark.parametrize("make", [dnn, reg, cnn])
def test_an_int_makes_fits_repeatable_to_the_bit(make):
    X, y = DIGITS
    X = X if make is cnn else X.reshape(300, 64)
    params = {"dropout": 0.3, "batch_size": 32, "validation_split": 0.2, "epochs": 2}
    one = make(**params).fit(X, y)
    two = make(**params).fit(X, y)
    assert same_weights(one, two)
    assert one.history_ == two.history_
    assert_array_equal(one.predict(X), two.predict(X))
    assert not same_weights(one, make(**{**params, "random_state": 1}).fit(X, y))


def test_no_seed_gives_another_fit_each_time():
    assert not same_weights(dnn(random_state=None).fit(*IRIS), dnn(random_state=None).fit(*IRIS))


def test_a_random_state_instance_advances():
    def two_fits(seed):
        rng = np.random.RandomState(seed)
        clf = dnn(random_state=rng)
        first = [w.copy() for w in weights(clf.fit(*IRIS))]
        return first, weights(clf.fit(*IRIS))

    (one, two), (same, again) = two_fits(0), two_fits(0)
    assert not np.array_equal(one[0], two[0])
    assert_array_equal(one[0], same[0])
    assert_array_equal(two[0], again[0])


def _draws():
    """What the global generators give next."""
    return [
        random.random(),
        np.random.random(),
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
        keras.initializers.GlorotUniform().seed,
    ]


@pytest.mark.parametrize("seed", [0, np.random.RandomState(0)], ids=["int", "instance"])
def test_global_generators_go_on_as_if_nothing_was_fitted(seed):
    def seed_all():
        random.seed(1)
        np.random.seed(1)
        keras.utils.set_random_seed(1)

    seed_all()
    expected = _draws() + _draws()
    seed_all()
    before = _draws()
    dnn(dropout=0.3, validation_split=0.2, random_state=seed).fit(*IRIS).predict(IRIS[0])
    assert before + _draws() == expected


def test_global_flags_stay_as_they_are():
    def flags():
        return (
            keras.config.floatx(),
            keras.config.backend(),
            keras.config.image_data_format(),
            tf.config.functions_run_eagerly(),
            tf.config.experimental.tensor_float_32_execution_enabled(),
            keras.config.dtype_policy().name,
            tf.config.optimizer.get_jit(),
            tf.config.threading.get_intra_op_parallelism_threads(),
        )

    before = flags()
    dnn().fit(*IRIS).predict(IRIS[0])
    assert flags() == before
    # Ops without a deterministic kernel would raise if determinism was left switched on.
    assert not tf_config.is_op_determinism_enabled()


def test_a_fit_does_not_depend_on_what_was_fitted_before():
    first = dnn(epochs=2).fit(*IRIS)
    dnn(hidden_layer_sizes=(3, 3), dropout=0.2, random_state=7).fit(*CANCER)
    random.random(), np.random.random()
    assert same_weights(first, dnn(epochs=2).fit(*IRIS))


# Going on


def test_warm_start_goes_on_and_partial_fit_adds_an_epoch():
    X, y = IRIS
    clf = dnn(epochs=3, warm_start=True, learning_rate=0.05).fit(X, y)
    loss = clf.history_["loss"][-1]
    assert clf.fit(X, y).history_["loss"][0] < loss
    assert clf.n_iter_ == 3
    clf.partial_fit(X, y)
    assert clf.n_iter_ == 4


def test_partial_fit_from_the_start_is_fit():
    X, y = IRIS
    clf = dnn(batch_size=32)
    for _ in range(3):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(clf.predict_proba(X), dnn(batch_size=32, epochs=3).fit(X, y).predict_proba(X), atol=1e-6)


def test_partial_fit_of_a_regressor():
    X, y = DIABETES
    model = reg(learning_rate=0.05)
    losses = [model.partial_fit(X, y).history_["loss"][-1] for _ in range(3)]
    assert losses == sorted(losses, reverse=True)
    assert model.history_["loss"] == losses


# Being shown, stored and copied


def test_the_repr_shows_what_was_changed():
    clf = DNNClassifier((5,), epochs=3, optimizer__momentum=0.5)
    text = repr(clf)
    for part in ("DNNClassifier(", "epochs=3", "hidden_layer_sizes=(5,)", "optimizer__momentum=0.5"):
        assert part in text
    assert "batch_size" not in text


@pytest.mark.parametrize("estimator", [DNNClassifier(), DNNRegressor(), CNNClassifier()], ids=repr)
def test_the_html_repr_names_the_parameters(estimator):
    html = estimator_html_repr(estimator)
    assert type(estimator).__name__ in html
    assert "n_iter_no_change" in html


def test_the_html_repr_of_a_fitted_estimator():
    html = estimator_html_repr(dnn(epochs=1, optimizer__beta_1=0.5).fit(*IRIS))
    assert "optimizer__beta_1" in html
    assert "Fitted" in html


@pytest.mark.parametrize("make", [dnn, reg, cnn])
def test_fitted_and_unfitted_estimators_pickle_and_copy(make):
    X, y = DIGITS
    X = X if make is cnn else X.reshape(300, 64)
    metric = keras.metrics.MeanSquaredError if make is reg else keras.metrics.SparseCategoricalAccuracy
    params = {"callbacks": [Stop(1)], "metrics": [metric], "epochs": 2}
    fresh = make(**params)
    for again in (pickle.loads(pickle.dumps(fresh)), copy.deepcopy(fresh), clone(fresh)):
        assert not again.initialized_
        assert again.get_params().keys() == fresh.get_params().keys()
    fitted = fresh.fit(X, y)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert_array_equal(again.predict(X), fitted.predict(X))
        assert again.history_ == fitted.history_
        assert same_weights(again.fit(X, y), fitted)
    assert not clone(fitted).initialized_


# skdl's Pipeline


def _imbalanced():
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.flatnonzero((y == 1) | (np.arange(len(y)) % 4 == 0))
    return X[rows], y[rows]


class Watcher(DNNClassifier):
    """Remembers what fit was given."""

    def fit(self, X, y, sample_weight=None, **given):
        self.seen_ = X, y, given
        return super().fit(X, y, sample_weight, **given)


@pytest.mark.parametrize("held_out", [{"early_stopping": True}, {"validation_split": 0.25}], ids=str)
def test_a_pipeline_holds_out_rows_before_its_first_step(held_out):
    X, y = _imbalanced()
    clf = Watcher((6,), epochs=2, random_state=0, **held_out)
    pipe = Pipeline([("scale", StandardScaler()), ("smote", SMOTE(random_state=0)), ("clf", clf)]).fit(X, y)
    rows = pipe.validation_indices_
    train = np.setdiff1d(np.arange(len(X)), rows)
    assert len(rows) == pytest.approx(len(X) * (0.1 if "early_stopping" in held_out else 0.25), abs=1)
    assert abs(y[rows].mean() - y.mean()) < 0.03  # stratified
    assert_allclose(pipe["scale"].mean_, X[train].mean(axis=0))
    _, y_seen, given = pipe["clf"].seen_
    assert np.bincount(y_seen)[0] == np.bincount(y_seen)[1] == np.bincount(y[train]).max()
    assert_allclose(given["X_val"], pipe["scale"].transform(X[rows]))
    assert_array_equal(given["y_val"], y[rows])
    assert len(pipe["clf"].history_["val_loss"]) == 2


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"validation_split": 0.2}], ids=str)
def test_a_pipeline_of_one_step_is_the_step(params):
    X, y = CANCER
    alone = dnn(epochs=3, batch_size=64, **params).fit(X, y)
    piped = make_pipeline(dnn(epochs=3, batch_size=64, **params)).fit(X, y)
    assert same_weights(alone, piped[-1])
    assert alone.history_ == piped[-1].history_
    assert (piped.validation_indices_ is None) == (not params)


def test_an_integer_is_a_learning_rate():
    reg = DNNRegressor((), learning_rate=1, epochs=1, random_state=0)
    reg.fit(np.arange(8.0).reshape(-1, 1), np.arange(8.0))
    assert float(reg.model_.optimizer.learning_rate) == 1.0
