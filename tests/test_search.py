"""Searching and evaluating whole Pipelines over imbalanced data; a candidate's failure is its own."""

import copy
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import SMOTE, RandomOverSampler
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    train_test_split,
    validation_curve,
)
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skdl import DNNClassifier, DNNRegressor, Pipeline, make_pipeline


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer with 200 benign tumours and 40 malignant ones, shuffled."""
    X, y = load_breast_cancer(return_X_y=True)
    X, y = make_imbalance(X, y, sampling_strategy={0: 40, 1: 200}, random_state=0)
    rows = np.random.default_rng(0).permutation(len(y))
    return X[rows], y[rows]


def net(**params):
    return DNNClassifier((8,), **{"epochs": 5, "learning_rate": 0.02, "random_state": 0, **params})


def pipeline(**params):
    return Pipeline([("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", net(**params))])


# ------------------------------------------------------------------ grids over any step


def dense_layers(fitted):
    return [layer for layer in fitted["net"].model_.layers if isinstance(layer, keras.layers.Dense)]


def steps_an_epoch(fitted):
    return int(fitted["net"].model_.optimizer.iterations) / fitted["net"].n_iter_


def momentum(fitted):
    return getattr(fitted["net"].model_.optimizer, "momentum", -1)


# Each grid, what a fitted candidate shows of it, and what it must show. Both folds have 20
# and 100 rows of the classes: SMOTE makes them 200 rows, which are 7 batches of 32.
GRIDS = {
    "scaler": (
        {"scaler": [StandardScaler(), MinMaxScaler(), RobustScaler(), "passthrough"]},
        lambda fitted: len(vars(fitted["scaler"])) if fitted["scaler"] != "passthrough" else -1,
        [len(vars(s.fit([[0.0]]))) for s in (StandardScaler(), MinMaxScaler(), RobustScaler())] + [-1],
    ),
    "sampler": (
        {"smote": [SMOTE(random_state=0), RandomOverSampler(random_state=0), "passthrough", None]},
        steps_an_epoch,
        [7, 7, 4, 4],
    ),
    "k_neighbors": (
        {"smote__k_neighbors": [1, 4]},
        lambda fitted: fitted["smote"].nn_k_.n_neighbors - 1,
        [1, 4],
    ),
    "sampling_strategy": ({"smote__sampling_strategy": [0.5, 1.0]}, steps_an_epoch, [5, 7]),
    "layers": (
        {"net__hidden_layer_sizes": [4, (4,), (4, 3), [4, 3, 2]]},
        lambda fitted: len(dense_layers(fitted)),
        [2, 2, 3, 4],
    ),
    "activation": (
        {"net__activation": ["relu", "tanh"]},
        lambda fitted: dense_layers(fitted)[0].activation is keras.activations.tanh,
        [0, 1],
    ),
    "optimizer by name": (
        [
            {"net__optimizer": ["adam"]},
            {"net__optimizer": ["sgd"], "net__optimizer__momentum": [0.0, 0.9]},
        ],
        momentum,
        [-1, 0, 0.9],
    ),
    "optimizer as an object": (
        {"net__optimizer": [keras.optimizers.SGD(momentum=0.3), keras.optimizers.SGD, "rmsprop"]},
        momentum,
        [0.3, 0, 0],
    ),
    "dropout": (
        {"net__dropout": [0.0, 0.4]},
        lambda fitted: sum(getattr(layer, "rate", 0) for layer in fitted["net"].model_.layers),
        [0, 0.4],
    ),
    "learning rate": (
        {"net__learning_rate": [1e-3, 0.5]},
        lambda fitted: float(fitted["net"].model_.optimizer.learning_rate),
        [1e-3, 0.5],
    ),
    "batch size": ({"net__batch_size": [16, 64, -1]}, steps_an_epoch, [13, 4, 1]),
    "epochs": ({"net__epochs": [1, 3]}, lambda fitted: fitted["net"].n_iter_, [1, 3]),
    "callbacks": (
        {"net__callbacks__patience": [1, 3]},
        lambda fitted: fitted["net"].callbacks_[0].patience,
        [1, 3],
    ),
    "fit": ({"net__fit__epochs": [2, 3]}, lambda fitted: fitted["net"].n_iter_, [2, 3]),
    "two steps": (
        {"smote": ["passthrough", SMOTE(random_state=0)], "net__batch_size": [32, 64]},
        steps_an_epoch,
        [4, 7, 2, 4],
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_each_candidate_is_what_the_grid_says(cancer, name):
    grid, shown, expected = GRIDS[name]
    # Keras's callbacks are for TensorFlow, which takes long to trace each candidate.
    callbacks = [keras.callbacks.EarlyStopping("loss")] if name == "callbacks" else None
    estimator = pipeline(epochs=2, callbacks=callbacks)
    search = GridSearchCV(estimator, grid, cv=2, refit=False, error_score="raise")
    search.set_params(scoring=lambda fitted, X, y: float(shown(fitted))).fit(*cancer)
    assert_allclose(search.cv_results_["mean_test_score"], expected, rtol=1e-6)
    assert_array_equal(search.cv_results_["std_test_score"], 0)


def test_a_grid_over_class_weights(cancer):
    def recall_of_malignant(fitted, X, y):
        return np.mean(fitted.predict_proba(X[y == 0])[:, 0])

    grid = {"net__class_weight": [{0: 0.1, 1: 1}, None, {0: 10, 1: 1}], "smote": ["passthrough"]}
    search = GridSearchCV(pipeline(), grid, cv=2, scoring=recall_of_malignant, refit=False).fit(*cancer)
    few, equal, many = search.cv_results_["mean_test_score"]
    assert few < equal < many


def test_the_score_of_a_candidate_does_not_depend_on_the_others(cancer):
    grid = {"net__learning_rate": [0.001, 0.02], "net__hidden_layer_sizes": [(8,), (6, 4)]}
    search = GridSearchCV(pipeline(), grid, cv=3, scoring="neg_log_loss").fit(*cancer)
    for i, params in enumerate(search.cv_results_["params"]):
        alone = cross_val_score(pipeline().set_params(**params), *cancer, cv=3, scoring="neg_log_loss")
        assert_array_equal([search.cv_results_[f"split{fold}_test_score"][i] for fold in range(3)], alone)


def test_refit_is_a_fit_with_the_best_parameters(cancer):
    X, y = cancer
    search = GridSearchCV(pipeline(), {"net__learning_rate": [1e-6, 0.02]}, cv=2, scoring="roc_auc")
    search.fit(X, y)
    assert search.best_params_ == {"net__learning_rate": 0.02}
    again = pipeline(learning_rate=0.02).fit(X, y)
    assert_array_equal(search.predict_proba(X), again.predict_proba(X))
    assert_array_equal(search.classes_, [0, 1])


def test_the_estimator_that_is_searched_is_left_alone(cancer):
    estimator = pipeline()
    before = copy.deepcopy(estimator.get_params())
    GridSearchCV(estimator, {"net__epochs": [1], "smote": ["passthrough"]}, cv=2).fit(*cancer)
    assert {k: repr(v) for k, v in estimator.get_params().items()} == {k: repr(v) for k, v in before.items()}
    assert not hasattr(estimator["net"], "model_")


def test_several_metrics_and_training_scores_as_a_frame(cancer):
    X, y = cancer
    search = GridSearchCV(
        pipeline(),
        {"net__hidden_layer_sizes": [(8,), (4, 4)], "net__learning_rate": [1e-5, 0.02]},
        scoring={"auc": "roc_auc", "balanced": make_scorer(balanced_accuracy_score)},
        refit="auc",
        cv=3,
        return_train_score=True,
    ).fit(X, y)
    frame = pd.DataFrame(search.cv_results_)
    assert len(frame) == 4
    assert frame["param_net__hidden_layer_sizes"].tolist() == [(8,), (8,), (4, 4), (4, 4)]
    assert frame["param_net__learning_rate"].dtype == float
    for metric in ("auc", "balanced"):
        for part in ("test", "train"):
            splits = frame[[f"split{fold}_{part}_{metric}" for fold in range(3)]]
            assert_allclose(frame[f"mean_{part}_{metric}"], splits.mean(axis=1))
            assert np.isfinite(splits).all(axis=None)
        assert sorted(frame[f"rank_test_{metric}"])[0] == 1
    assert frame.loc[frame.rank_test_auc.idxmin(), "params"] == search.best_params_
    assert search.score(X, y) == roc_auc_score(y, search.predict_proba(X)[:, 1])
    assert (frame.mean_fit_time > 0).all()


def test_refit_by_a_function_of_the_results(cancer):
    def fewest_epochs(results):
        return int(np.argmin(results["param_net__epochs"].astype(int)))

    search = GridSearchCV(pipeline(), {"net__epochs": [3, 1, 2]}, cv=2, refit=fewest_epochs).fit(*cancer)
    assert search.best_estimator_["net"].n_iter_ == 1
    assert search.best_index_ == 1


def test_a_randomized_search_draws_and_repeats(cancer):
    draws = {
        "net__learning_rate": loguniform(1e-3, 1e-1),
        "smote": [SMOTE(random_state=0), "passthrough"],
        "net__epochs": range(1, 4),
    }
    searches = [
        RandomizedSearchCV(
            pipeline(), draws, n_iter=4, cv=2, random_state=0, scoring="average_precision"
        ).fit(*cancer)
        for _ in range(2)
    ]
    first, second = (search.cv_results_ for search in searches)
    assert len(set(first["param_net__learning_rate"].tolist())) == 4
    assert_array_equal(first["mean_test_score"], second["mean_test_score"])


# ------------------------------------------------------------------ successive halving


def n_iter(fitted, X, y):
    return getattr(fitted, "best_estimator_", fitted)[-1].n_iter_


@pytest.mark.parametrize("Search", [HalvingGridSearchCV, HalvingRandomSearchCV])
def test_halving_gives_more_epochs_to_fewer_candidates(cancer, Search):
    candidates = {"net__learning_rate": [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.02]}
    settings = {"resource": "net__epochs", "min_resources": 1, "max_resources": 9, "cv": 2, "random_state": 0}
    if Search is HalvingRandomSearchCV:
        settings["n_candidates"] = 6
    search = Search(pipeline(), candidates, scoring="neg_log_loss", **settings).fit(*cancer)
    assert (search.n_resources_, search.n_candidates_) == ([1, 3], [6, 2])
    assert search.best_estimator_["net"].n_iter_ == 3
    assert search.best_params_["net__learning_rate"] >= 0.01
    search = Search(pipeline(), candidates, scoring=n_iter, **settings).fit(*cancer)
    results = pd.DataFrame(search.cv_results_)
    assert_array_equal(results.mean_test_score, results.n_resources)


def test_halving_over_the_epochs_of_a_bare_network(cancer):
    X, y = cancer
    search = HalvingGridSearchCV(
        net(),
        {"learning_rate": [1e-6, 1e-4, 0.02]},
        resource="epochs",
        min_resources=2,
        max_resources=6,
        cv=2,
        scoring="neg_log_loss",
        random_state=0,
    ).fit(StandardScaler().fit_transform(X), y)
    assert search.best_params_ == {"learning_rate": 0.02, "epochs": 6}
    assert search.best_estimator_.n_iter_ == 6


def test_halving_over_rows_keeps_both_classes(cancer):
    search = HalvingGridSearchCV(
        pipeline().set_params(smote__k_neighbors=2),
        {"net__learning_rate": [1e-6, 0.02, 0.05]},
        min_resources=80,
        cv=2,
        random_state=0,
        scoring="roc_auc",
        error_score="raise",
    ).fit(*cancer)
    assert search.n_resources_ == [80, 240]
    assert search.best_params_["net__learning_rate"] > 1e-6


# ------------------------------------------------------- a candidate that fails or diverges


DIVERGES = "The training diverged: the network's weights are no longer finite"


def search_with(cancer, bad, error_score=np.nan, **search_params):
    """Search two good candidates and a bad one between them; return both searches and warnings."""
    good = [{"net__learning_rate": [0.01]}, {"net__learning_rate": [0.02]}]
    params = {"cv": 2, "scoring": "roc_auc", **search_params}
    alone = GridSearchCV(pipeline(), good, **params).fit(*cancer)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = GridSearchCV(pipeline(), [good[0], bad, good[1]], error_score=error_score, **params)
        search.fit(*cancer)
    return alone, search, caught


@pytest.mark.parametrize("error_score", [np.nan, -1.0])
@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        ({"net__learning_rate": [1e30]}, ConvergenceWarning, DIVERGES),
        ({"net__learning_rate": [1e30]}, UserWarning, "DNNClassifier predicts NaN for 120 of 120 rows"),
        ({"net__hidden_layer_sizes": [0]}, FitFailedWarning, "hidden_layer_sizes"),
        ({"net__optimizer": ["adan"]}, FitFailedWarning, "Unknown optimizer 'adan'"),
        ({"smote__k_neighbors": [50]}, FitFailedWarning, "n_neighbors"),
        ({"net__optimizer__momentum": [0.9]}, FitFailedWarning, "momentum"),
    ],
)
def test_a_bad_candidate_costs_its_own_score_alone(cancer, bad, kind, words, error_score):
    alone, search, caught = search_with(cancer, bad, error_score)
    scores = search.cv_results_["mean_test_score"]
    assert_array_equal(scores[1], error_score)
    assert_array_equal(scores[[0, 2]], alone.cv_results_["mean_test_score"])
    assert search.best_params_ == alone.best_params_
    assert any(issubclass(w.category, kind) and words in str(w.message) for w in caught)


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_divergence_is_told_once_in_words_and_then_by_errors(cancer, engine):
    X, y = cancer
    X = StandardScaler().fit_transform(X)
    with pytest.warns(ConvergenceWarning, match=DIVERGES) as caught:
        clf = net(learning_rate=1e30, engine=engine).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "(the loss is nan from epoch 0 on)" in str(caught[0].message)
    assert np.isnan(clf.history_["loss"]).all()  # there to be looked at
    for method in (clf.predict, clf.predict_proba, clf.predict_log_proba):
        with pytest.raises(ValueError, match=rf"predicts NaN for 3 of 3 rows. {DIVERGES}"):
            method(X[:3])
    with pytest.raises(ValueError, match="predicts NaN for 240 of 240 rows"):
        clf.score(X, y)
    with pytest.raises(ValueError, match="predicts NaN"):
        clf.predict(X, batch_size=7, verbose=0, steps=2)


def test_a_regressor_that_diverged_predicts_nothing_either():
    X, y = load_diabetes(return_X_y=True)
    reg = DNNRegressor((8,), epochs=5, optimizer="sgd", learning_rate=1e9, random_state=0)
    with pytest.warns(ConvergenceWarning, match=DIVERGES):
        reg.fit(X, y)
    with pytest.raises(ValueError, match="DNNRegressor predicts NaN"):
        reg.predict(X)


def test_training_on_after_divergence_tells_again(cancer):
    X, y = cancer
    X = StandardScaler().fit_transform(X)
    clf = net(learning_rate=1e30, warm_start=True)
    for fit in (clf.fit, clf.fit, clf.partial_fit):
        with pytest.warns(ConvergenceWarning, match=DIVERGES):
            fit(X, y)
    clf.set_params(warm_start=False, learning_rate=0.01).fit(X, y)
    assert clf.score(X, y) > 0.5


def test_early_stopping_that_restored_finite_weights_warns_and_predicts(cancer):
    X, y = cancer
    X = StandardScaler().fit_transform(X)

    def rate(epoch, rate):
        return 0.01 if epoch < 2 else 1e30

    clf = net(
        epochs=20,
        early_stopping=True,
        n_iter_no_change=3,
        callbacks=keras.callbacks.LearningRateScheduler(rate),
    )
    with pytest.warns(ConvergenceWarning, match="The weights of epoch 1 are kept"):
        clf.fit(X, y)
    assert not np.isfinite(clf.history_["val_loss"][-1])
    assert clf.best_epoch_ == 1
    assert clf.score(X, y) > 0.5


def test_rows_that_are_too_large_are_told_from_divergence(cancer):
    X, y = cancer
    clf = make_pipeline(StandardScaler(), net()).fit(X, y)[-1]
    with pytest.raises(
        ValueError, match=r"NaN for 1 of 240 rows. Its weights are finite; X may hold very large"
    ):
        clf.predict(np.where(np.arange(240)[:, None] == 7, 3e38, np.zeros((240, 30))))


def test_a_search_in_which_all_diverge_finds_nothing(cancer):
    search = GridSearchCV(pipeline(), {"net__learning_rate": [1e30, 1e31]}, cv=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(*cancer)
    assert np.isnan(search.best_score_)
    assert any("test scores are non-finite" in str(w.message) for w in caught)
    with pytest.raises(ValueError, match=DIVERGES):
        search.predict(cancer[0])


def test_with_error_score_raise_a_search_stops_at_the_first_failure(cancer):
    search = GridSearchCV(pipeline(), {"net__learning_rate": [1e30]}, cv=2, error_score="raise")
    with pytest.warns(ConvergenceWarning), pytest.raises(ValueError, match="predicts NaN"):
        search.fit(*cancer)


# ------------------------------------------------------------------ evaluating Pipelines


def test_folds_are_stratified_and_estimators_come_back(cancer):
    X, y = cancer
    result = cross_validate(
        pipeline(), X, y, cv=4, scoring=["roc_auc", "f1"], return_estimator=True, return_indices=True
    )
    assert [np.bincount(y[rows]).tolist() for rows in result["indices"]["test"]] == [[10, 50]] * 4
    assert (result["test_roc_auc"] > 0.9).all()
    for fitted, test, auc in zip(
        result["estimator"], result["indices"]["test"], result["test_roc_auc"], strict=True
    ):
        assert fitted["net"].n_iter_ == 5
        assert roc_auc_score(y[test], fitted.predict_proba(X[test])[:, 1]) == auc


def test_the_validation_rows_of_a_fold_are_of_the_fold(cancer):
    X, y = cancer
    estimator = pipeline(early_stopping=True, validation_split=0.25, epochs=3)
    result = cross_validate(estimator, X, y, cv=2, return_estimator=True)
    for fitted in result["estimator"]:
        assert_array_equal(np.isin(fitted.validation_indices_, np.arange(120)), True)
        assert len(fitted.validation_indices_) == 30
        assert "val_loss" in fitted["net"].history_


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba"])
def test_cross_val_predict_is_each_fold_predicted_by_the_others(cancer, method):
    X, y = cancer
    predicted = cross_val_predict(pipeline(epochs=2), X, y, cv=2, method=method)
    for train, test in StratifiedKFold(2).split(X, y):
        fitted = pipeline(epochs=2).fit(X[train], y[train])
        assert_array_equal(predicted[test], getattr(fitted, method)(X[test]))


def test_learning_curve(cancer):
    sizes, train, test = learning_curve(
        pipeline(), *cancer, cv=3, train_sizes=[0.3, 1.0], scoring="roc_auc", shuffle=True, random_state=0
    )
    assert sizes.tolist() == [48, 160]
    assert train.shape == test.shape == (2, 3)
    assert test[1].mean() > 0.95


def test_learning_curve_by_partial_fit(cancer):
    X, y = cancer
    X = StandardScaler().fit_transform(X)
    _, _, test = learning_curve(
        net(),
        X,
        y,
        cv=2,
        train_sizes=[40, 80, 120],
        exploit_incremental_learning=True,
        scoring="neg_log_loss",
    )
    assert (np.diff(test.mean(axis=1)) > 0).all()


def test_validation_curve_over_a_parameter_of_a_step(cancer):
    _, test = validation_curve(
        pipeline(),
        *cancer,
        param_name="net__learning_rate",
        param_range=[1e-6, 0.02],
        cv=2,
        scoring="neg_log_loss",
    )
    assert test[1].min() > test[0].max()


def test_features_are_selected_by_whole_pipelines():
    X, y = load_iris(return_X_y=True)
    X, y = X[y > 0], np.array(["", "versicolor", "virginica"])[y[y > 0]]
    X, y = make_imbalance(X, y, sampling_strategy={"versicolor": 50, "virginica": 25}, random_state=0)
    noise = np.random.default_rng(0).normal(size=(len(y), 2))
    frame = pd.DataFrame(np.column_stack([noise, X[:, 2:]]), columns=["noise", "more", "length", "width"])
    selector = SequentialFeatureSelector(
        pipeline(epochs=15, learning_rate=0.05), n_features_to_select=2, cv=2, scoring="neg_log_loss"
    ).fit(frame, y)
    assert selector.get_feature_names_out().tolist() == ["length", "width"]


def test_stacking_over_pipelines(cancer):
    X, X_test, y, y_test = train_test_split(*cancer, stratify=cancer[1], random_state=0)
    stack = StackingClassifier(
        [("net", pipeline()), ("line", make_pipeline(StandardScaler(), LogisticRegression()))],
        final_estimator=LogisticRegression(),
        cv=2,
    ).fit(X, y)
    assert stack.transform(X).shape == (len(X), 2)
    assert_array_equal(stack.transform(X_test)[:, 0], pipeline().fit(X, y).predict_proba(X_test)[:, 1])
    assert roc_auc_score(y_test, stack.predict_proba(X_test)[:, 1]) > 0.95


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_mends_the_probabilities_that_sampling_bent(cancer, method):
    X, X_test, y, y_test = train_test_split(*cancer, stratify=cancer[1], random_state=0)
    estimator = pipeline(epochs=2, learning_rate=0.005)  # too few to be sure
    raw = estimator.fit(X, y).predict_proba(X_test)
    calibrated = CalibratedClassifierCV(clone(estimator), cv=3, method=method).fit(X, y)
    assert len(calibrated.calibrated_classifiers_) == 3
    proba = calibrated.predict_proba(X_test)
    assert_allclose(proba.sum(axis=1), 1)
    assert brier_score_loss(y_test, proba[:, 1]) < brier_score_loss(y_test, raw[:, 1])


def test_a_threshold_is_tuned_for_a_pipeline_without_sampling(cancer):
    X, y = cancer
    estimator = pipeline(epochs=2, learning_rate=0.005).set_params(smote="passthrough")
    tuned = TunedThresholdClassifierCV(estimator, scoring="balanced_accuracy", cv=3).fit(X, y)
    untuned = balanced_accuracy_score(y, tuned.estimator_.predict(X))
    assert tuned.best_threshold_ > 0.55  # most rows are of class 1
    assert balanced_accuracy_score(y, tuned.predict(X)) > untuned


def test_a_search_in_a_search(cancer):
    inner = GridSearchCV(pipeline(epochs=2), {"net__learning_rate": [1e-6, 0.02]}, cv=2, scoring="roc_auc")
    result = cross_validate(inner, *cancer, cv=2, scoring="roc_auc", return_estimator=True)
    assert [fitted.best_params_["net__learning_rate"] for fitted in result["estimator"]] == [0.02, 0.02]
    assert (result["test_score"] > 0.9).all()
