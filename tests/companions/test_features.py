"""Encoding, selecting and cleaning features and labels around a network."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@pytest.fixture(scope="module")
def table():
    """Return a frame with a column of text that tells the class, a number, and gaps."""
    rng = np.random.default_rng(0)
    town = rng.choice(["Athens", "Berne", "Cairo", "Delhi"], 300)
    amount = rng.normal(100, 30, 300)
    y = (np.isin(town, ["Athens", "Cairo"]) ^ (amount > 140)).astype(int)
    amount[::10] = np.nan
    return pd.DataFrame({"town": town.astype(object), "amount": amount}), y


@pytest.mark.library("category_encoders", "target encoding before the network, in cross-validation")
def test_category_encoders(classifiers, table):
    from category_encoders import TargetEncoder

    X, y = table
    for clf in classifiers:
        steps = make_pipeline(TargetEncoder(cols=["town"]), StandardScaler(), clf)
        assert cross_val_score(steps, X.fillna(100), y, cv=3).mean() > 0.85


@pytest.mark.library("skrub", "tabular_pipeline and TableVectorizer around the network")
def test_skrub(classifiers, table):
    from skrub import TableVectorizer, tabular_pipeline

    X, y = table
    for clf in classifiers:
        ready = tabular_pipeline(clf)
        assert cross_val_score(ready, X, y, cv=3).mean() > 0.85
        own = make_pipeline(TableVectorizer(), StandardScaler(), clf)
        assert cross_val_score(own, X.fillna(100), y, cv=3).mean() > 0.85


@pytest.mark.library(
    "feature_engine", "imputing and encoding frames; selection by shuffling keeps what counts"
)
def test_feature_engine(classifiers, table):
    from feature_engine.encoding import OneHotEncoder
    from feature_engine.imputation import MeanMedianImputer
    from feature_engine.selection import SelectByShuffling

    X, y = table
    noise = np.random.default_rng(0).normal(size=len(X))
    for clf in classifiers:
        steps = make_pipeline(
            MeanMedianImputer(), OneHotEncoder(), StandardScaler().set_output(transform="pandas")
        )
        ready = steps.fit_transform(X).assign(noise=noise)
        chosen = SelectByShuffling(clf, scoring="accuracy", cv=3, random_state=0).fit(ready, y)
        assert "noise" in chosen.features_to_drop_
        assert cross_val_score(clf, chosen.transform(ready), y, cv=3).mean() > 0.85


@pytest.mark.library("mlxtend", "forward selection, stacking and voting, and the bias-variance decomposition")
def test_mlxtend(classifiers, iris):
    from mlxtend.classifier import EnsembleVoteClassifier, StackingCVClassifier
    from mlxtend.evaluate import bias_variance_decomp
    from mlxtend.feature_selection import SequentialFeatureSelector

    X, y = iris
    for clf in classifiers:
        chosen = SequentialFeatureSelector(clf, k_features=2, cv=3).fit(X, y)
        assert set(chosen.k_feature_idx_) <= {2, 3, 0, 1}
        assert chosen.k_score_ > 0.9
        assert {2, 3} & set(chosen.k_feature_idx_)
        forest = RandomForestClassifier(20, random_state=0)
        stack = StackingCVClassifier([clf, forest], forest, use_probas=True, random_state=0, cv=3)
        vote = EnsembleVoteClassifier([clf, forest], voting="soft")
        for ensemble in (stack, vote):
            assert ensemble.fit(X[:100], y[:100]).score(X[100:], y[100:]) > 0.9
        mean = (
            clf.fit(X[:100], y[:100]).predict_proba(X) + forest.fit(X[:100], y[:100]).predict_proba(X)
        ) / 2
        assert_allclose(vote.predict_proba(X), mean, atol=1e-6)
        loss, bias, _ = bias_variance_decomp(
            clf, X[:100], y[:100], X[100:], y[100:], num_rounds=3, random_seed=0
        )
        assert 0 <= bias < 0.1
        assert 0 <= loss < 0.15


@pytest.mark.library("cleanlab", "labels that were swapped are found, and trained without")
def test_cleanlab(all_classifiers, cancer):
    from cleanlab.classification import CleanLearning

    X, y = cancer[0][:300], cancer[1][:300]
    swapped = y.copy()
    swapped[:20] = 1 - y[:20]
    for clf in all_classifiers:
        issues = CleanLearning(clf, seed=0, cv_n_folds=3).find_label_issues(X, swapped)
        found = set(np.flatnonzero(issues["is_label_issue"]))
        assert len(found & set(range(20))) >= 16
        assert len(found) <= 45  # of 300
        clean = CleanLearning(clf, seed=0, cv_n_folds=3).fit(X, swapped)
        misled = np.mean(clone(clf).fit(X, swapped).predict(X) == y)
        assert np.mean(clean.predict(X) == y) > min(misled, 0.96)  # tabular networks are hardly misled


@pytest.mark.library(
    "scikit-lego", "a decision by threshold, estimators for groups, and a transformer of predictions"
)
def test_scikit_lego(classifiers, regressors, iris):
    from sklego.meta import EstimatorTransformer, GroupedPredictor, Thresholder

    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd")).assign(group=np.arange(150) % 2)
    for clf in classifiers:
        binary = (y == 1).astype(int)
        careful = Thresholder(clf, threshold=0.9).fit(X, binary)
        assert_array_equal(careful.predict(X), careful.predict_proba(X)[:, 1] >= 0.9)
        features = EstimatorTransformer(clf).fit_transform(X, y)
        assert_array_equal(features[:, 0], clone(clf).fit(X, y).predict(X))
        grouped = GroupedPredictor(clf, groups=["group"], use_global_model=False).fit(frame, y)
        alone = clone(clf).fit(X[::2], y[::2])
        assert_array_equal(grouped.predict(frame[::2]), alone.predict(X[::2]))
    for reg in regressors:
        grouped = GroupedPredictor(reg, groups=["group"], use_global_model=False).fit(frame, X[:, 0])
        assert_allclose(grouped.predict(frame[::2]), reg.fit(X[::2], X[::2, 0]).predict(X[::2]), atol=1e-6)


@pytest.mark.library("iterative-stratification", "folds of several labels, in cross-validation")
def test_iterative_stratification(classifiers, iris):
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    X, y = iris
    labels = np.column_stack([y == 0, y == 2, X[:, 1] > 0.5]).astype(int)
    folds = MultilabelStratifiedKFold(3, shuffle=True, random_state=0)
    for clf in classifiers:
        proba = cross_val_predict(clf, X, labels, cv=folds, method="predict_proba")
        assert proba.shape == (150, 3)
        assert np.mean((proba > 0.5) == labels) > 0.93
