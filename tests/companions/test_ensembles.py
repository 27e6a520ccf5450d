"""Fairness, samplers, ensembles, hierarchies and active learning around a network."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score


@pytest.fixture(scope="module")
def rare():
    """Return rows of which one in twelve is of the second class."""
    rng = np.random.default_rng(0)
    y = (np.arange(360) % 12 == 0).astype(int)
    return rng.normal(size=(360, 4)) + 2.0 * y[:, None], y


@pytest.mark.library(
    "fairlearn",
    "equal selection rates by ThresholdOptimizer and by reductions",
    note="ThresholdOptimizer raises for rows of float32 with pandas 3",
)
def test_fairlearn(all_classifiers):
    from fairlearn.metrics import demographic_parity_difference
    from fairlearn.postprocessing import ThresholdOptimizer
    from fairlearn.reductions import DemographicParity, ExponentiatedGradient

    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 600)
    X = rng.normal(size=(600, 3)) + group[:, None]
    y = (X[:, 0] + 0.5 * rng.normal(size=600) > 0.5).astype(int)
    for clf in all_classifiers:
        brief = clone(clf).set_params(**_brief(clf))

        def fair(rows, fitted):
            optimizer = ThresholdOptimizer(
                estimator=fitted,
                constraints="demographic_parity",
                prefit=True,
                predict_method="predict_proba",
            )
            optimizer.fit(rows, y, sensitive_features=group)
            return optimizer.predict(rows, sensitive_features=group, random_state=0)

        def unfairness(predicted):
            return demographic_parity_difference(y, predicted, sensitive_features=group)

        for rows in (X, pd.DataFrame(X)):
            brief.fit(rows, y)
            assert unfairness(fair(rows, brief)) < 0.1 < unfairness(brief.predict(rows))
        single = X.astype("float32")
        with pytest.raises(TypeError, match="for dtype 'float32'"):
            fair(single, clone(brief).fit(single, y))
        reduced = ExponentiatedGradient(clone(brief), DemographicParity(), max_iter=5)
        predicted = reduced.fit(X, y, sensitive_features=group).predict(X, random_state=0)
        assert unfairness(predicted) < unfairness(clone(brief).fit(X, y).predict(X)) / 2


@pytest.mark.library(
    "smote-variants",
    "oversampling before the network finds more of the rare class",
    note="names a classifier by module, class and parameters",
)
def test_smote_variants(classifiers, rare):
    from smote_variants.classifiers import OversamplingClassifier

    X, y = rare
    for clf in classifiers:
        module, name = (
            ("skdl" if "epochs" in clf.get_params() else "sklearn.neural_network"),
            type(clf).__name__,
        )
        over = OversamplingClassifier(
            ("smote_variants", "polynom_fit_SMOTE_star", {"random_state": 0}),
            (module, name, clf.get_params()),
        )
        assert cross_val_score(over, X, y, cv=3, scoring="balanced_accuracy").mean() > 0.85
        assert_array_equal(over.fit(X, y).predict(X), np.argmax(over.predict_proba(X), axis=1))


_NEEDS_OLDER = "fails: calls _validate_data, which scikit-learn 1.9 does not have"


@pytest.mark.library("imbalanced-ensemble", "nothing", note=_NEEDS_OLDER)
def test_imbalanced_ensemble(classifiers, rare):
    from imbens.ensemble import UnderBaggingClassifier

    for clf in classifiers:
        with pytest.raises(AttributeError, match="_validate_data"):
            UnderBaggingClassifier(estimator=clf, n_estimators=3, random_state=0).fit(*rare)


@pytest.mark.library("DESlib", "nothing", note=_NEEDS_OLDER)
def test_deslib(classifiers, iris):
    from deslib.des import KNORAE

    for clf in classifiers:
        with pytest.raises(AttributeError, match="_validate_data"):
            KNORAE([clone(clf).fit(*iris)], random_state=0).fit(*iris)


@pytest.mark.library("ngboost", "boosted distributions with networks inside: error and intervals")
def test_ngboost(regressors, diabetes):
    from ngboost import NGBRegressor

    X, y = diabetes
    for reg in regressors:
        boosted = NGBRegressor(
            Base=clone(reg).set_params(**_brief(reg)),
            n_estimators=15,
            learning_rate=0.2,
            verbose=False,
            random_state=0,
        ).fit(X[:300], y[:300])
        spread = boosted.pred_dist(X[300:])
        assert 0.6 < np.mean(np.abs(y[300:] - spread.loc) < 1.64 * spread.scale) <= 1
        assert np.mean((y[300:] - boosted.predict(X[300:])) ** 2) < 0.8 * np.var(y[300:])


@pytest.mark.library("hiclass", "classes of a hierarchy, a network at each parent")
def test_hiclass(classifiers, iris):
    from hiclass import LocalClassifierPerNode, LocalClassifierPerParentNode

    X, y = iris
    levels = np.array([["small", "setosa"], ["large", "versicolor"], ["large", "virginica"]])[y]
    for clf in classifiers:
        for kind in (LocalClassifierPerParentNode, LocalClassifierPerNode):
            hierarchy = kind(local_classifier=clone(clf)).fit(X[:100], levels[:100])
            predicted = hierarchy.predict(X[100:])
            assert np.mean(predicted[:, 0] == levels[100:, 0]) == 1
            assert np.mean(predicted[:, 1] == levels[100:, 1]) > 0.9


@pytest.mark.library("scikit-activeml", "queries by uncertainty learn iris from 30 labels")
def test_scikit_activeml(classifiers, iris):
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling

    X, y = iris
    for clf in classifiers:
        known = np.full(150, np.nan)
        known[:15] = y[:15]
        learner = SklearnClassifier(clone(clf), classes=[0, 1, 2], random_state=0)
        query = UncertaintySampling(method="entropy", random_state=0)
        for _ in range(3):
            chosen = query.query(X=X, y=known, clf=learner.fit(X, known), batch_size=5)
            known[chosen] = y[chosen]
        assert learner.fit(X, known).score(X, y) > 0.85
        alone = clone(clf).fit(X[known >= 0], known[known >= 0].astype(int))
        assert_allclose(learner.predict_proba(X), alone.predict_proba(X), atol=1e-6)


@pytest.mark.library("scikit-multilearn", "labels one by one, and as classes of all combinations")
def test_scikit_multilearn(classifiers, iris):
    from skmultilearn.problem_transform import BinaryRelevance, LabelPowerset

    X, y = iris
    labels = np.column_stack([y == 0, y == 2, X[:, 1] > 0.5]).astype(int)
    for clf in classifiers:
        for kind in (BinaryRelevance, LabelPowerset):
            both = kind(clone(clf), require_dense=[True, True]).fit(X[:100], labels[:100])
            assert np.mean(both.predict(X[100:]).toarray() == labels[100:]) > 0.9


@pytest.mark.library("pdll", "classes and numbers, learnt from the differences of pairs of rows")
def test_pdll(classifiers, regressors, iris, diabetes):
    from pdll import PairwiseDifferenceClassifier, PairwiseDifferenceRegressor

    X, y = iris
    for clf in classifiers:
        assert PairwiseDifferenceClassifier(clf).fit(X[:60], y[:60]).score(X[60:], y[60:]) > 0.9
    X, y = X[:, :3], X[:, 3]
    for reg in regressors:
        assert PairwiseDifferenceRegressor(reg).fit(X[:60], y[:60]).score(X[60:], y[60:]) > 0.85


@pytest.mark.library(
    "pulearn", "a class of which one half of the rows is labelled, and no row of the other one"
)
def test_pulearn(classifiers, cancer):
    from pulearn import BaggingPuClassifier, WeightedElkanotoPuClassifier

    X, y = cancer
    known = y * (np.arange(len(y)) % 2)
    n = known.sum()
    for clf in classifiers:
        clf = clone(clf).set_params(**_brief(clf))
        weighted = WeightedElkanotoPuClassifier(
            clf, labeled=n, unlabeled=len(y) - n, hold_out_ratio=0.2, random_state=0
        )
        bags = BaggingPuClassifier(clf, n_estimators=3, random_state=0).fit(X, known)
        assert np.mean((weighted.fit(X, known).predict(X) == 1) == y) > 0.85
        assert roc_auc_score(y, bags.predict_proba(X)[:, 1]) > 0.95


def _brief(net):
    return {"epochs": 15} if "epochs" in net.get_params() else {"max_iter": 15}
