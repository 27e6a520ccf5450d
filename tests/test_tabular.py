"""`TabularClassifier` and `TabularRegressor`: raw tables in, good predictions out."""

import copy
import pickle
import re

import keras
import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate, train_test_split

from skdl import Pipeline, TabularClassifier, TabularRegressor, diagnose, load, save
from skdl._tabular import _fold_networks

SMALL = {
    "hidden_layer_sizes": 16,
    "n_members": 2,
    "n_folds": 2,
    "epochs": 30,
    "learning_rate": 0.05,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def table():
    """Sixty rows whose class and number depend on a category, a number and a missing value."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "size": rng.rand(60),
            "colour": rng.choice(["red", "green", "blue"], 60),
            "flag": rng.rand(60) > 0.5,
            "kind": pd.Categorical(rng.choice(["a", "b"], 60)),
        }
    )
    X.loc[::7, "size"] = np.nan
    X.loc[::11, "colour"] = None
    signal = (X["colour"] == "red") * 2 + X["size"].fillna(1) + X["flag"]
    return X, np.where(signal > 1.5, "high", "low"), 1e6 + 1e5 * signal.to_numpy()


@pytest.fixture(scope="module")
def clf(table):
    X, y, _ = table
    return TabularClassifier(**SMALL).fit(X, y)


@pytest.fixture(scope="module")
def reg(table):
    X, _, y = table
    return TabularRegressor(**SMALL).fit(X, y)


# What it is for.


def test_the_defaults_classify_like_gradient_boosting():
    X, y = load_breast_cancer(return_X_y=True)
    models = TabularClassifier(random_state=0), HistGradientBoostingClassifier(random_state=0)
    scoring = "accuracy", "neg_log_loss"
    own, boosting = (cross_validate(model, X, y, cv=3, scoring=scoring) for model in models)
    assert own["test_accuracy"].mean() > boosting["test_accuracy"].mean() - 0.02
    assert own["test_neg_log_loss"].mean() > boosting["test_neg_log_loss"].mean()


def test_the_defaults_learn_a_target_of_any_scale():
    X, y = load_diabetes(return_X_y=True)
    a, b, c, d = train_test_split(X, y, random_state=0)
    scores = [TabularRegressor(random_state=0).fit(a, c * unit).score(b, d * unit) for unit in (1, 1e6)]
    assert scores[0] > 0.3
    assert scores == pytest.approx([scores[0]] * 2, abs=0.02)


# What goes in.


def test_a_raw_table_needs_no_preparation(table, clf, reg):
    X, y, numbers = table
    assert clf.score(X, y) > 0.8
    assert reg.score(X, numbers) > 0.5
    assert clf.feature_names_in_.tolist() == ["size", "colour", "flag", "kind"]
    assert clf.predict_proba(X).shape == (60, 2)


def test_an_array_of_objects_is_the_table_without_names(table, clf):
    X, y, _ = table
    again = TabularClassifier(**SMALL).fit(X.astype(object).to_numpy(), y)
    np.testing.assert_array_equal(again.predict_proba(X.astype(object).to_numpy()), clf.predict_proba(X))


def test_a_table_of_polars_is_taken_like_one_of_pandas(table, clf):
    X, y, _ = table
    columns = {name: [None if pd.isna(v) else v for v in X[name]] for name in X}
    again = polars.DataFrame(columns).with_columns(polars.col("kind").cast(polars.Categorical))
    np.testing.assert_array_equal(clf.predict_proba(again), clf.predict_proba(X))
    fitted = TabularClassifier(**SMALL).fit(again, y)
    np.testing.assert_array_equal(fitted.predict_proba(again), clf.predict_proba(X))


def test_an_unseen_category_is_predicted_as_a_missing_one(table, clf):
    X, _, _ = table
    unseen, missing = X.assign(colour="violet"), X.assign(colour=None)
    np.testing.assert_array_equal(clf.predict_proba(unseen), clf.predict_proba(missing))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, np.nan])
def test_numbers_beyond_all_bounds_are_predicted(table, clf, value):
    X, _, _ = table
    assert np.isfinite(clf.predict_proba(X.assign(size=value))).all()


def test_columns_that_break_a_scaler_do_no_harm(table, clf):
    X, y, _ = table
    X = X.assign(constant=3.0, empty=np.nan, huge=X["size"] * 1e300, tiny=X["size"] * 1e-300)
    assert TabularClassifier(**SMALL).fit(X, y).score(X, y) > 0.8


def test_codes_are_categories_where_they_are_named(table):
    X, y, _ = table
    codes = X[["colour"]].apply(lambda column: column.astype("category").cat.codes).to_numpy()
    clf = TabularClassifier(categorical_features=[0], **SMALL).fit(codes, y)
    assert clf.table_reader_.is_categorical_.tolist() == [True]


def test_one_hot_classes_are_refused_with_what_to_do(table):
    X, y, _ = table
    with pytest.raises(ValueError, match=r"y\.argmax\(axis=1\)"):
        TabularClassifier(**SMALL).fit(X, np.eye(2)[(y == "high").astype(int)])


def test_several_numbers_are_predicted_at_once(table):
    X, _, y = table
    reg = TabularRegressor(**SMALL).fit(X, np.column_stack([y, -1e-3 * y]))
    predicted = reg.predict(X)
    assert predicted.shape == (60, 2)
    assert r2_score(y, predicted[:, 0]) > 0.4


def test_predictions_stay_in_the_range_of_the_target(table, reg):
    X, _, y = table
    predicted = reg.predict(X.assign(size=1e9))
    assert y.min() <= predicted.min() <= predicted.max() <= y.max()


# How it is trained.


def test_numpy_trains_all_members_of_all_folds(clf):
    assert (clf.engine_, clf.engine_reason_, clf.n_folds_) == ("numpy", None, 2)
    assert copy.deepcopy(clf).model_.output_shape == (None, 2, 1, 2)


def test_a_seed_repeats_a_fit_to_the_bit(table, clf):
    X, y, _ = table
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.history_ == clf.history_


@pytest.mark.parametrize("engine", ["keras", "compiled"])
def test_all_engines_train_the_same_networks(table, engine):
    X, y, number = table
    settings = {**SMALL, "epochs": 4, "learning_rate": 0.5}
    own, other = (TabularClassifier(**settings, engine=each).fit(X, y) for each in ("numpy", engine))
    assert (own.engine_, other.engine_) == ("numpy", engine)
    # The output layer starts at zero, so that the first gradients of the others are rounding errors, to which
    # Adam gives steps of full size. `test_numpy_trains_as_keras_does` compares other weights closely.
    np.testing.assert_allclose(other.predict_proba(X), own.predict_proba(X), atol=1e-2)
    own, other = (TabularRegressor(**settings, engine=each).fit(X, number) for each in ("numpy", engine))
    np.testing.assert_allclose(other.predict(X), own.predict(X), atol=1e-2 * np.std(number))


def test_the_keras_model_predicts_what_numpy_predicts(table):
    X, y, _ = table
    clf = TabularClassifier(**SMALL).fit(X, y)
    before = clf.predict_proba(X)
    assert clf.model_.count_params() > 0
    np.testing.assert_allclose(clf.predict_proba(X), before, atol=1e-6)


def test_without_hidden_layers_the_outputs_are_linear_in_the_inputs_of_the_network(table):
    X, y, _ = table
    clf = TabularClassifier(**{**SMALL, "hidden_layer_sizes": ()}).fit(X, y)
    assert clf.engine_ == "numpy"
    assert clf.score(X, y) > 0.8


def test_numpy_says_what_it_does_not_train(table):
    X, y, _ = table
    with pytest.raises(ValueError, match="engine='numpy' can't run this training: dropout is above 0"):
        TabularClassifier(**SMALL, dropout=0.1, engine="numpy").fit(X, y)


def test_threads_do_not_change_a_fit(table, monkeypatch):
    X, y, _ = table
    first = TabularClassifier(**SMALL).fit(X, y)
    monkeypatch.setattr(_fold_networks, "_THREADED", 0)
    monkeypatch.setattr(_fold_networks, "blas_threads", lambda: 2)
    second = clone(first).fit(X, y)
    np.testing.assert_array_equal(second.predict_proba(X), first.predict_proba(X))


# Similar rows.


def copies(rng, n=400):
    """Return rows in pairs that share noise as their target, and their pairs."""
    X = rng.randn(n, 4)
    y = rng.randint(3, size=n)
    return X, y, X + 1e-3 * rng.randn(n, 4)


def test_copies_of_rows_are_predicted_by_their_own_targets(tmp_path):
    X, y, near = copies(np.random.RandomState(0))
    X, y = np.concatenate([X, near]), np.concatenate([y, y])
    settings = {**SMALL, "epochs": 3, "n_folds": 3}
    clf = TabularClassifier(**settings).fit(X, y)
    assert clf.neighbors_.share > 0.3
    assert clf.score(near, y[400:]) > 0.9
    save(clf, tmp_path / "model.skdl")
    np.testing.assert_array_equal(load(tmp_path / "model.skdl").predict(near), clf.predict(near))
    alone = TabularClassifier(**settings, neighbors=False).fit(X, y)
    assert alone.neighbors_ is None
    assert alone.score(near, y[400:]) < 0.6


def test_numbers_of_copies_are_averaged_by_distance():
    rng = np.random.RandomState(0)
    X, y, near = copies(rng)
    y = rng.randn(400)
    reg = TabularRegressor(**{**SMALL, "epochs": 3, "n_folds": 3})
    reg.fit(np.concatenate([X, near]), np.concatenate([y, y]))
    assert reg.score(near, y) > 0.5


def test_similar_rows_have_no_share_where_they_say_nothing():
    rng = np.random.RandomState(0)
    X = rng.randn(300, 8)
    clf = TabularClassifier(**{**SMALL, "n_folds": 3, "hidden_layer_sizes": 32}).fit(X, X[:, 0] > 0)
    assert clf.neighbors_ is None


def test_the_validation_loss_is_that_of_rows_a_fold_has_not_seen(table):
    X, y, _ = table
    noise = np.random.RandomState(0).permutation(y)
    clf = TabularClassifier(**{**SMALL, "epochs": 100, "n_iter_no_change": 100, "learning_rate": 0.1}).fit(
        X, noise
    )
    assert clf.history_["loss"][-1] < 0.5 * min(clf.history_["val_loss"])


def test_it_keeps_the_weights_of_the_best_epoch(table):
    X, y, _ = table
    given = {"X_val": X[40:], "y_val": y[40:]}
    clf = TabularClassifier(**{**SMALL, "learning_rate": 0.3, "epochs": 30}).fit(X[:40], y[:40], **given)
    per_fold = np.exp(
        clf.model_.predict(clf.feature_encoder_.transform(clf.table_reader_.transform(X[40:])), verbose=0)
    )
    losses = [log_loss(y[40:], per_fold[:, fold, 0], labels=clf.classes_) for fold in range(2)]
    assert np.mean(losses) == pytest.approx(clf.history_["val_loss"][clf.best_epoch_], rel=1e-3)


def test_one_fold_holds_a_share_of_the_rows_out(table):
    X, y, _ = table
    clf = TabularClassifier(**{**SMALL, "n_folds": 1, "validation_split": 0.25}).fit(X, y)
    assert clf.n_folds_ == 1
    assert "val_loss" in clf.history_


def test_without_early_stopping_all_rows_train(table):
    X, y, _ = table
    clf = TabularClassifier(**SMALL, early_stopping=False).fit(X, y)
    assert list(clf.history_) == ["loss"]
    assert clf.n_iter_ == 30


def test_rows_of_weight_zero_count_as_if_they_were_not_there(table):
    X, y, _ = table
    weight = np.r_[np.ones(40), np.zeros(20)]
    part = TabularClassifier(**SMALL).fit(X[:40], y[:40], np.ones(40))
    weighted = TabularClassifier(**SMALL).fit(X, y, weight)
    np.testing.assert_array_equal(weighted.predict_proba(X), part.predict_proba(X))


@pytest.mark.parametrize("n", [3, 4, 11])
def test_rows_of_weight_zero_are_not_counted_for_the_number_of_folds(table, n):
    X, _, number = table
    settings = {**SMALL, "n_folds": "auto", "n_members": "auto", "epochs": 2}
    weight = np.r_[np.ones(n), np.zeros(60 - n)]
    weighted = TabularRegressor(**settings).fit(X, number, weight)
    part = TabularRegressor(**settings).fit(X[:n], number[:n])
    assert weighted.n_folds_ == part.n_folds_ == max(1, min(5, n // 2))


def test_a_class_of_weight_zero_leaves_no_fold_empty(table):
    X, y, _ = table
    rare = np.flatnonzero(y == "high")[:6]
    rows = np.sort(np.concatenate([np.flatnonzero(y == "low"), rare]))
    clf = TabularClassifier(**{**SMALL, "epochs": 2}, class_weight={"low": 0, "high": 1})
    clf.fit(X.iloc[rows], y[rows])
    assert np.isfinite([clf.history_["loss"], clf.history_["val_loss"]]).all()
    few = np.sort(np.concatenate([np.flatnonzero(y == "low"), rare[:1]]))
    with pytest.raises(ValueError, match=r"class_weight leaves 1 rows .* fewer than the 2 folds"):
        clone(clf).fit(X.iloc[few], y[few])


def test_class_weights_move_the_predictions(table):
    X, y, _ = table
    heavy = TabularClassifier(**SMALL, class_weight={"high": 20, "low": 1}).fit(X, y)
    light = TabularClassifier(**SMALL, class_weight={"high": 1, "low": 20}).fit(X, y)
    assert heavy.predict_proba(X)[:, 0].mean() > light.predict_proba(X)[:, 0].mean() + 0.2


def test_a_time_limit_ends_the_training_and_needs_no_setting(table, capsys):
    X, y, _ = table
    settings = {**SMALL, "epochs": 100_000, "early_stopping": False, "verbose": 2}
    clf = TabularClassifier(**settings, time_limit=1.5).fit(X, y)
    assert 1 <= clf.n_iter_ < 100_000
    left = [int(each) for each in re.findall(r"at most (\d+)s left", capsys.readouterr().out)]
    assert set(left) in ({1}, {1, 2})
    assert float(clf.model_.optimizer.learning_rate) < clf.learning_rate


def test_progress_within_an_epoch_is_the_mean_of_the_folds(table, capsys, monkeypatch):
    X, y, _ = table
    monkeypatch.setattr("skdl._training._fit._SECONDS_BETWEEN_REPORTS", 0)
    TabularClassifier(**{**SMALL, "epochs": 1, "batch_size": 1}, verbose=1).fit(X, y)
    shown = capsys.readouterr().out.split("\r")
    assert [line.split()[0] for line in shown if line.startswith(("8/30", "16/30"))] == ["8/30", "16/30"]


def test_it_says_that_it_can_not_be_trained_further(clf):
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError, match="has no partial_fit, because"):
        clf.partial_fit  # noqa: B018


# Where it goes.


def test_it_is_searched_and_cross_validated(table):
    X, y, _ = table
    search = GridSearchCV(TabularClassifier(**SMALL), {"n_members": [1, 2]}, cv=2).fit(X, y)
    assert search.best_params_["n_members"] in (1, 2)
    scores = cross_val_score(TabularRegressor(**SMALL), X, table[2], cv=2, scoring="r2")
    baseline = cross_val_score(DummyRegressor(), X, table[2], cv=2, scoring="r2")
    assert (scores > baseline).all()


class CopyRows:
    """Sampler that gives each row twice, the copies last."""

    def fit_resample(self, X, y):
        return pd.concat([X, X]), np.concatenate([y, y])

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self


def test_behind_a_sampler_the_held_out_rows_are_not_copied_into_training(table):
    X, y, _ = table
    noise = np.random.RandomState(0).permutation(y)
    pipe = Pipeline(
        [
            ("copy", CopyRows()),
            (
                "net",
                TabularClassifier(**{**SMALL, "epochs": 100, "n_iter_no_change": 100, "learning_rate": 0.1}),
            ),
        ]
    ).fit(X, noise)
    history = pipe[-1].history_
    assert history["loss"][-1] < 0.5 * min(history["val_loss"])


@pytest.mark.parametrize("fixture", ["clf", "reg"])
def test_it_is_saved_in_a_file_without_code(table, fixture, request, tmp_path):
    fitted = request.getfixturevalue(fixture)
    save(fitted, tmp_path / "model.skdl")
    np.testing.assert_array_equal(load(tmp_path / "model.skdl").predict(table[0]), fitted.predict(table[0]))


def test_it_is_pickled_fitted(table, clf):
    X, _, _ = table
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_callbacks_see_the_epochs(table):
    X, y, _ = table
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(sorted(logs)))
    clf = TabularClassifier(**SMALL, callbacks=callback)
    clf.set_callbacks(ProgressBar()).fit(X, y)
    assert seen == [["loss", "val_loss"]] * clf.n_iter_


def test_its_history_can_be_diagnosed(clf):
    assert diagnose(clf.history_).findings is not None


def test_its_repr_names_what_differs_from_the_defaults():
    assert repr(TabularRegressor(n_members=2)) == "TabularRegressor(n_members=2)"


def test_parameters_are_not_changed_by_fit(clf):
    assert clf.get_params() == TabularClassifier(**SMALL).get_params()
