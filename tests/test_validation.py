"""What a network is validated on: shares, splitters with groups, few rows, epochs without validation."""

import warnings

import keras
import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeavePGroupsOut,
    ShuffleSplit,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    train_test_split,
)
from sklearn.preprocessing import StandardScaler, scale

from skdl import DNNClassifier, DNNRegressor, HistoryDisplay, Pipeline, diagnose
from skdl._training._plan import Holdout

GROUPED = GroupShuffleSplit(1, test_size=0.2)


@pytest.fixture(scope="module")
def patients(cancer):
    """Five rows of each patient, mixed."""
    return np.random.RandomState(0).permutation(np.arange(len(cancer[1])) // 5)


def network(**params):
    return DNNClassifier((4,), **{"epochs": 2, "batch_size": -1, "random_state": 0, **params})


def pipeline(net):
    return Pipeline([("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", net)])


# ----------------------------------------------------------------------- splitters


@pytest.mark.parametrize(
    "splitter",
    [
        ShuffleSplit(1, test_size=0.3, random_state=5),
        StratifiedShuffleSplit(3, test_size=0.25, random_state=5),
        KFold(5),
        TimeSeriesSplit(4),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_a_splitter_divides_the_rows_by_its_last_split(cancer, splitter):
    X, y = cancer
    *_, (train, held_out) = splitter.split(X, y)
    net = network(validation_split=splitter)
    by_splitter = clone(net).fit(X, y)
    given = network().fit(X[np.sort(train)], y[np.sort(train)], X_val=X[held_out], y_val=y[held_out])
    assert by_splitter.history_["val_loss"] == pytest.approx(given.history_["val_loss"], rel=1e-5)
    assert_array_equal(pipeline(net).fit(X, y).validation_indices_, np.sort(held_out))


def test_groups_never_straddle_training_and_validation(cancer, patients):
    X, y = cancer
    fitted = pipeline(network(validation_split=GROUPED)).fit(X, y, groups=patients)
    held_out = fitted.validation_indices_
    assert 80 < len(held_out) < 160
    assert not set(patients[held_out]) & set(np.delete(patients, held_out))
    for params, steps in (
        ({"net__groups": patients}, [("net", network(validation_split=GROUPED))]),
        (
            {"groups": list(patients)},
            [("inner", Pipeline([("net", network(validation_split=GROUPED))]))],
        ),
    ):
        again = Pipeline(steps).fit(X, y, **params)
        assert_array_equal(again.validation_indices_, held_out)


def test_a_network_alone_holds_out_the_groups_of_the_pipeline(cancer, patients):
    X, y = cancer
    weights = np.random.RandomState(0).randint(3, size=len(y))
    net = network(validation_split=GROUPED)
    alone = clone(net).fit(X, y, sample_weight=weights, groups=patients)
    inside = Pipeline([("net", net)]).fit(X, y, net__sample_weight=weights, groups=patients)
    assert inside["net"].history_ == alone.history_


@pytest.mark.parametrize("make", [network, lambda **params: DNNRegressor((4,), batch_size=-1, **params)])
def test_partial_fit_takes_groups(cancer, patients, make):
    X, y = cancer
    split = {"validation_split": GroupShuffleSplit(1, test_size=0.2, random_state=0), "random_state": 0}
    one = make(**split, epochs=1).fit(X, y, groups=patients)
    other = make(**split).partial_fit(X, y, groups=patients)
    assert one.history_ == other.history_
    assert "val_loss" in one.history_


def test_groups_in_a_search_by_metadata_routing(cancer, patients):
    X, y = cancer
    with config_context(enable_metadata_routing=True):
        net = network(validation_split=GROUPED).set_fit_request(groups=True)
        search = GridSearchCV(
            pipeline(net), {"net__learning_rate": [0.01]}, cv=GroupKFold(2), error_score="raise"
        )
        search.fit(X, y, groups=patients)
    held_out = search.best_estimator_.validation_indices_
    assert not set(patients[held_out]) & set(np.delete(patients, held_out))


def test_a_splitter_without_random_state_is_seeded_by_the_estimator(cancer):
    X, y = cancer
    splitter = ShuffleSplit(1, test_size=0.2)
    first, second = (network(validation_split=splitter)._split_validation(X, y)[1] for _ in range(2))
    assert_array_equal(first, second)
    other = network(validation_split=splitter, random_state=1)._split_validation(X, y)[1]
    assert not np.array_equal(first, other)
    assert splitter.random_state is None


def test_early_stopping_watches_the_rows_of_a_splitter():
    X, y = load_diabetes(return_X_y=True)
    net = DNNRegressor(
        (8,), epochs=30, batch_size=-1, learning_rate=0.1, early_stopping=True, n_iter_no_change=2,
        validation_split=TimeSeriesSplit(3), random_state=0,
    ).fit(scale(X), scale(y))  # fmt: skip
    assert net.best_epoch_ == np.argmin(net.history_["val_loss"])


@pytest.mark.parametrize(
    ("splitter", "params", "message"),
    [
        (GROUPED, {}, r"GroupShuffleSplit can't divide 569 rows: .*groups.*fit\(X, y, groups=groups\)"),
        (LeavePGroupsOut(2), {"groups": np.zeros(569)}, "LeavePGroupsOut can't divide 569 rows"),
        (GROUPED, {"groups": [1, 2]}, r"inconsistent numbers of samples: \[569(, 569)?, 2\]"),
    ],
)
def test_what_a_splitter_cannot_divide_is_refused_before_training(cancer, splitter, params, message):
    net = network(validation_split=splitter)
    with pytest.raises(ValueError, match=message):
        net.fit(*cancer, **params)
    with pytest.raises(ValueError, match=message):
        pipeline(net).fit(*cancer, **params)


def test_a_splitter_that_gives_rows_to_both_is_refused(cancer):
    class Both:
        def get_n_splits(self):
            return 1

        def split(self, X, y=None, groups=None):
            yield np.arange(100), np.arange(90, 110)

    with pytest.raises(ValueError, match="Both gives 100 rows to train on and 20 to validate on; it must"):
        network(validation_split=Both()).fit(*cancer)


class Split:
    """A splitter that gives the parts that it was made with."""

    def __init__(self, train, held_out):
        self.train, self.held_out = train, held_out

    def split(self, X, y=None, groups=None):
        yield self.train, self.held_out

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def test_rows_drawn_with_replacement_are_trained_on_as_often_as_drawn(cancer):
    X, y = cancer
    weights = np.random.RandomState(1).randint(1, 3, size=len(y))
    drawn = np.random.RandomState(0).randint(len(y), size=len(y))
    out_of_bag = np.setdiff1d(np.arange(len(y)), drawn)
    rows = np.sort(drawn)
    expected = network().fit(
        X[rows],
        y[rows],
        weights[rows],
        X_val=X[out_of_bag],
        y_val=y[out_of_bag],
        sample_weight_val=weights[out_of_bag],
    )
    net = network(validation_split=Split(drawn, out_of_bag))
    alone = clone(net).fit(X, y, weights)
    assert alone.history_ == expected.history_
    inside = Pipeline([("net", net)]).fit(X, y, net__sample_weight=weights)
    assert inside["net"].history_ == expected.history_
    assert_array_equal(inside.validation_indices_, out_of_bag)


def test_rows_drawn_with_replacement_besides_rows_of_weight_zero(cancer):
    X, y = cancer
    weights = np.ones(len(y))
    weights[::7] = 0
    used = np.flatnonzero(weights)
    drawn = np.random.RandomState(0).randint(len(used), size=len(used))
    out_of_bag = np.setdiff1d(np.arange(len(used)), drawn)
    net = network(validation_split=Split(drawn, out_of_bag))
    expected = clone(net).fit(X[used], y[used])
    assert clone(net).fit(X, y, weights).history_ == expected.history_
    inside = Pipeline([("net", net)]).fit(X, y, net__sample_weight=weights)
    assert inside["net"].history_ == expected.history_
    assert_array_equal(inside.validation_indices_, used[out_of_bag])


def test_a_splitter_may_give_masks(cancer):
    X, y = cancer
    held_out = np.arange(len(y)) % 5 == 0
    by_mask = network(validation_split=Split(~held_out, held_out)).fit(X, y)
    rows = Split(np.flatnonzero(~held_out), np.flatnonzero(held_out))
    assert by_mask.history_ == network(validation_split=rows).fit(X, y).history_


@pytest.mark.parametrize(
    "train",
    [[-1, 0, 1], [0, 1, 569], [0.0, 1.0], [[0, 1]], [True, False]],
    ids=["negative", "too large", "floats", "two axes", "a short mask"],
)
def test_what_is_no_positions_from_a_splitter_is_refused(cancer, train):
    net = network(validation_split=Split(np.array(train), np.array([5, 6])))
    with pytest.raises(ValueError, match="validation_split=Split must give positions from 0 to 568"):
        net.fit(*cancer)


def test_groups_without_a_splitter_are_warned_of(cancer, patients):
    with pytest.warns(UserWarning, match=r"groups has no effect: validation_split=0.2 is no splitter"):
        network(validation_split=0.2).fit(*cancer, groups=patients)


# ------------------------------------------------------------- classes with few rows


def test_every_class_stays_in_training_where_there_are_few_rows():
    X, y = load_digits(return_X_y=True)
    X, y = X[:80] / 16, np.append(y[:79], 10)  # one row of the last class
    net = network(validation_split=0.1)
    with pytest.warns(UserWarning, match=r"holds out 8 of 80 rows, none of the labels \[.*10\]"):
        train, held_out = net._split_validation(X, y)
    assert len(held_out) == 8
    assert set(y[train]) == set(range(11))
    assert_array_equal(np.sort(np.append(train, held_out)), np.arange(80))
    with pytest.warns(UserWarning, match="none of the labels"):
        assert_array_equal(net.fit(X, y).classes_, np.arange(11))
    with pytest.warns(UserWarning, match="none of the labels"):
        assert_array_equal(pipeline(net).set_params(smote=None).fit(X, y).validation_indices_, held_out)


@pytest.mark.parametrize("labels", [None, 2, 5])
@pytest.mark.parametrize("share", [0.1, 0.33])
def test_the_rows_held_out_are_those_of_scikit_learn(labels, share):
    n = 201
    strata = None if labels is None else np.random.default_rng(0).integers(0, labels, n)
    expected = train_test_split(np.arange(n), test_size=share, stratify=strata, random_state=3)
    for rows, known in zip(Holdout(share, 3).split(n, strata=strata), expected, strict=True):
        assert_array_equal(rows, np.sort(known))


def test_where_every_class_has_one_row_nothing_can_be_held_out():
    with pytest.raises(ValueError, match=r"validation_split=0.5 can't hold out rows of each label from 4"):
        network(validation_split=0.5).fit(np.eye(4), [0, 1, 2, 3])


# -------------------------------------------------------------- arguments of one fit


def test_class_weight_of_one_fit(cancer):
    X, y = cancer
    weights = {0: 5.0, 1: 1.0}
    once = network().fit(X, y, class_weight=weights)
    always = network(class_weight=weights).fit(X, y)
    assert once.history_ == always.history_
    assert once.class_weight is None
    assert once.history_ != network().fit(X, y).history_
    with pytest.raises(ValueError, match=r"class_weight has labels that y does not: \[7\]"):
        network().fit(X, y, class_weight={7: 1.0})
    with pytest.raises(TypeError, match="fit got an unexpected argument 'class_weight'"):
        DNNRegressor((4,)).fit(X, y, class_weight=weights)


def test_validation_data_of_one_fit(cancer):
    X, y = cancer
    in_one = network().fit(X[:400], y[:400], validation_data=(X[400:], y[400:]))
    given = network().fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    assert in_one.history_ == given.history_


# --------------------------------------------------------- epochs without validation


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_epochs_are_counted_rightly_where_not_all_are_validated(cancer, engine):
    X, y = cancer
    params = {"epochs": 6, "validation_split": 0.2, "learning_rate": 0.1, "engine": engine}
    everywhere = network(**params).fit(X, y).history_["val_loss"]
    for every, epochs in ((2, [1, 3, 5]), ([2, 5], [1, 4])):
        net = network(fit__validation_freq=every, **params).fit(X, y)
        val_loss = np.array(net.history_["val_loss"])
        assert_array_equal(np.flatnonzero(np.isfinite(val_loss)), epochs)
        np.testing.assert_allclose(val_loss[epochs], np.array(everywhere)[epochs], rtol=1e-5)
        assert {len(values) for values in net.history_.values()} == {6}
        assert net.best_epoch_ == epochs[int(np.argmin(val_loss[epochs]))]
        assert net.n_iter_ == 6
        assert diagnose(net).codes != ["not-finite"]
        display = HistoryDisplay.from_estimator(net)
        assert_array_equal(display.lines_["val_loss"][0].get_xdata(), np.add(epochs, 1))
        assert display.best_["loss"][0].get_xdata()[0] == net.best_epoch_ + 1


def test_epochs_are_counted_rightly_where_a_training_goes_on_from_a_backup(cancer, tmp_path):
    X, y = cancer

    class Fails(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("power cut")

    net = network(epochs=4, validation_split=0.2, fit__validation_freq=2)
    backup = keras.callbacks.BackupAndRestore(tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        net.fit(X, y, callbacks=[backup, Fails()])
    net.fit(X, y, callbacks=[backup])  # the epochs 1, 2 and 3
    assert_array_equal(np.isfinite(net.history_["val_loss"]), [True, False, True])


def test_epochs_are_counted_rightly_where_only_some_calls_are_validated(cancer):
    X, y = cancer
    net = network().partial_fit(X, y).partial_fit(X, y, X_val=X, y_val=y).partial_fit(X, y)
    assert_array_equal(np.isfinite(net.history_["val_loss"]), [False, True, False])
    assert net.best_epoch_ == 1


# ----------------------------------------------------------------- scikit-learn's output


def test_nothing_is_warned_of_where_transformers_return_data_frames():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    with config_context(transform_output="pandas"), warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(
            pipeline(network(validation_split=0.2)), {"net__learning_rate": [0.01]}, cv=2, error_score="raise"
        ).fit(X, y)
        search.predict(X)
        net = DNNRegressor((4,), epochs=2, batch_size=-1, random_state=0).fit(X, y)
        assert isinstance(net.predict(X), np.ndarray)
    assert search.best_estimator_["net"].engine_ == net.engine_ == "numpy"
