"""The networks inside scikit-learn's and imbalanced-learn's meta-estimators, on real data."""

import keras
import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline as ImblearnPipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, classification_report, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    check_cv,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skdl import BaseWrapper, CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, KerasRegressor
from skdl import Pipeline as HonestPipeline


def _load(load):
    X, y = load(return_X_y=True)
    return scale(X), y


CANCER, IRIS = _load(load_breast_cancer), _load(load_iris)
DIABETES = _load(load_diabetes)


def logistic(meta):
    """A softmax regression: a builder at the top of a module, so that processes find it."""
    inputs = keras.Input((meta["n_features_in_"],))
    return keras.Model(inputs, keras.layers.Dense(meta["n_classes_"], activation="softmax")(inputs))


def dnn(**params):
    given = {"hidden_layer_sizes": (8,), "epochs": 30, "batch_size": -1, "learning_rate": 0.03}
    return DNNClassifier(**{**given, "random_state": 0, **params})


def wrapped(**params):
    given = {"loss": "sparse_categorical_crossentropy", "optimizer": "adam", "epochs": 30, "batch_size": -1}
    return KerasClassifier(
        logistic, **{**given, "optimizer__learning_rate": 0.05, "random_state": 0, **params}
    )


def reg(**params):
    given = {"hidden_layer_sizes": (8,), "epochs": 60, "batch_size": -1, "learning_rate": 0.05}
    return DNNRegressor(**{**given, "random_state": 0, **params})


CLASSIFIERS = pytest.mark.parametrize("make", [dnn, wrapped])


def test_scikit_learn_knows_what_they_are():
    for classifier in (DNNClassifier(), CNNClassifier(), KerasClassifier()):
        assert is_classifier(classifier)
        assert not is_regressor(classifier)
    for regressor in (DNNRegressor(), KerasRegressor()):
        assert is_regressor(regressor)
        assert not is_classifier(regressor)
    assert not is_classifier(BaseWrapper())
    assert not is_regressor(BaseWrapper())


@CLASSIFIERS
def test_cv_5_is_stratified(make):
    X, y = IRIS  # sorted by class: folds that are not stratified score 0
    assert isinstance(check_cv(5, y, classifier=is_classifier(make())), StratifiedKFold)
    assert cross_val_score(make(), X, y, cv=5).min() > 0.7


@CLASSIFIERS
def test_a_grid_search_by_roc_auc(make):
    X, y = CANCER
    name = "learning_rate" if make is dnn else "optimizer__learning_rate"
    search = GridSearchCV(make(), {name: [1e-6, 0.05]}, scoring="roc_auc", cv=3, error_score="raise")
    search.fit(X, y)
    assert search.best_params_ == {name: 0.05}
    assert search.best_score_ > 0.97
    proba = search.predict_proba(X)[:, 1]
    assert search.score(X, y) == roc_auc_score(y, proba)


def test_roc_auc_of_several_classes():
    X, y = IRIS
    scoring = ["roc_auc_ovr", "neg_log_loss"]
    scores = cross_validate(dnn(), X, y, cv=2, scoring=scoring, error_score="raise")
    assert scores["test_roc_auc_ovr"].min() > 0.9
    assert scores["test_neg_log_loss"].min() > -0.7


def test_a_randomised_search():
    X, y = IRIS
    grid = {"hidden_layer_sizes": [(4,), (8,), (4, 4)], "dropout": [0.0, 0.2], "batch_norm": [True, False]}
    search = RandomizedSearchCV(dnn(), grid, n_iter=2, cv=2, random_state=0, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.7
    assert len(search.cv_results_["params"]) == 2


@pytest.mark.parametrize(("make", "method"), [(dnn, "sigmoid"), (wrapped, "isotonic")])
def test_calibration(make, method):
    X, y = CANCER
    model = CalibratedClassifierCV(make(), method=method, cv=2).fit(X, y)
    proba = model.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert model.score(X, y) > 0.93


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_voting(voting):
    X, y = CANCER
    parts = [("dnn", dnn()), ("keras", wrapped()), ("linear", LogisticRegression())]
    assert VotingClassifier(parts, voting=voting).fit(X, y).score(X, y) > 0.95


def test_voting_of_regressors():
    X, y = DIABETES
    model = VotingRegressor([("a", reg()), ("b", reg(random_state=1))]).fit(X, y)
    each = [part.predict(X) for part in model.estimators_]
    assert_allclose(model.predict(X), np.mean(each, axis=0))


@CLASSIFIERS
def test_bagging(make):
    X, y = CANCER
    model = BaggingClassifier(make(random_state=None), n_estimators=2, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.93
    seeds = {part.random_state for part in model.estimators_}
    assert len(seeds) == 2
    assert None not in seeds
    again = BaggingClassifier(make(random_state=None), n_estimators=2, random_state=0).fit(X, y)
    assert_array_equal(model.predict_proba(X), again.predict_proba(X))


@CLASSIFIERS
def test_boosting_by_sample_weights(make):
    X, y = CANCER
    model = AdaBoostClassifier(make(), n_estimators=3, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    first, second = (part.predict_proba(X) for part in model.estimators_[:2])
    assert np.abs(first - second).max() > 0.01  # the weights of the rows reached the second


def test_permutation_importance_finds_the_feature_that_counts():
    X, y = CANCER
    noise = np.random.default_rng(0).normal(size=(len(X), 2))
    X = np.column_stack([X[:, 7], noise])
    model = dnn().fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance.argmax() == 0
    assert importance[0] > 0.2
    assert np.abs(importance[1:]).max() < 0.05


@CLASSIFIERS
def test_a_tuned_threshold(make):
    X, y = CANCER
    rows = np.flatnonzero((y == 1) | (np.arange(len(y)) % 8 == 0))
    X, y = X[rows], y[rows]
    tuned = TunedThresholdClassifierCV(make(epochs=5), scoring="balanced_accuracy", cv=2, random_state=0)
    tuned.fit(X, y)
    assert tuned.best_threshold_ != 0.5
    assert_array_equal(tuned.predict(X), tuned.predict_proba(X)[:, 1] >= tuned.best_threshold_)
    assert balanced_accuracy_score(y, tuned.predict(X)) > 0.8


@CLASSIFIERS
def test_cross_validated_probabilities(make):
    X, y = IRIS
    proba = cross_val_predict(make(), X, y, cv=3, method="predict_proba")
    assert proba.shape == (150, 3)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert np.mean(proba.argmax(axis=1) == y) > 0.8
    assert "macro avg" in classification_report(y, proba.argmax(axis=1))


def test_stacking():
    X, y = IRIS
    parts = [("dnn", dnn()), ("linear", LogisticRegression())]
    model = StackingClassifier(parts, final_estimator=wrapped(epochs=60), cv=2).fit(X, y)
    assert model.score(X, y) > 0.85
    assert model.final_estimator_.n_features_in_ == 6  # a column per class and part


def test_a_transformed_target():
    X, y = DIABETES  # y of mean 152: far from the starting weights
    model = TransformedTargetRegressor(reg(), transformer=StandardScaler()).fit(X, y)
    assert model.score(X, y) > 0.45
    assert abs(model.predict(X).mean() - y.mean()) < 10


def test_one_model_per_class_and_per_target():
    X, y = IRIS
    assert OneVsRestClassifier(dnn()).fit(X, y).score(X, y) > 0.8
    X, y = DIABETES
    both = np.column_stack([scale(y), -scale(y)])
    assert MultiOutputRegressor(reg()).fit(X, both).predict(X).shape == (442, 2)


@CLASSIFIERS
def test_cross_validation_returns_its_fitted_estimators(make):
    X, y = IRIS
    result = cross_validate(
        make(), X, y, cv=2, return_estimator=True, return_indices=True, scoring=["accuracy", "f1_macro"]
    )
    for fold, model in enumerate(result["estimator"]):
        assert model.current_epoch == 30
        test = result["indices"]["test"][fold]
        assert model.score(X[test], y[test]) == result["test_accuracy"][fold]


@pytest.fixture(scope="module")
def alone():
    """Scores of one job."""
    return {make: cross_val_score(make(epochs=5), *IRIS, cv=4) for make in (dnn, wrapped)}


@CLASSIFIERS
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_the_number_of_jobs_changes_no_score(make, backend, alone):
    from joblib import parallel_backend

    with parallel_backend(backend, n_jobs=2):
        scores = cross_val_score(make(epochs=5), *IRIS, cv=4, error_score="raise")
    assert_array_equal(scores, alone[make])


@pytest.mark.parametrize("pipeline", [ImblearnPipeline, HonestPipeline])
def test_a_search_over_a_pipeline_with_a_sampler(pipeline):
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.flatnonzero((y == 1) | (np.arange(len(y)) % 4 == 0))
    X, y = X[rows], y[rows]
    pipe = pipeline([("scale", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", wrapped())])
    grid = {
        "net__optimizer__learning_rate": [1e-6, 0.05],
        "smote__k_neighbors": [3],
        "net__epochs": [20],
    }
    search = GridSearchCV(pipe, grid, cv=3, scoring="balanced_accuracy", error_score="raise").fit(X, y)
    assert search.best_params_["net__optimizer__learning_rate"] == 0.05
    assert search.best_score_ > 0.9
    best = search.best_estimator_
    assert best["net"].current_epoch == 20
    assert best["smote"].k_neighbors == 3
    assert_allclose(float(best["net"].model_.optimizer.learning_rate), 0.05)


def test_sample_weights_reach_the_last_step_of_a_pipeline():
    X, y = load_iris(return_X_y=True)
    weight = np.where(y == 0, 1e-9, 1.0)
    pipe = make_pipeline(StandardScaler(), dnn(epochs=60))
    model = pipe.fit(X, y, dnnclassifier__sample_weight=weight)
    assert np.mean(model.predict(X) == 0) < 0.05
    assert np.mean(clone(pipe).fit(X, y).predict(X) == 0) > 0.2
