"""Causal models with networks inside: the estimated effect is the one that the data were made with."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone


@pytest.fixture(scope="module")
def treated():
    """Return rows, a treatment that depends on them, and an outcome that the treatment raises by 2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    treatment = (rng.random(600) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    return X, treatment, X[:, 0] + 2.0 * treatment + 0.3 * rng.normal(size=600)


@pytest.mark.library("DoubleML", "the effect of a treatment, by a partially linear and an interactive model")
def test_doubleml(classifiers, regressors, treated):
    import doubleml

    X, treatment, outcome = treated
    data = doubleml.DoubleMLData.from_arrays(X, outcome, treatment)
    for reg, clf in zip(regressors, classifiers, strict=True):
        for model in (
            doubleml.DoubleMLPLR(data, clone(reg), clone(clf), n_folds=2),
            doubleml.DoubleMLIRM(data, clone(reg), clone(clf), n_folds=2),
        ):
            np.random.seed(0)
            assert abs(model.fit().coef[0] - 2) < 0.25


@pytest.mark.library("econml", "the effect of a treatment, by double machine learning and metalearners")
def test_econml(classifiers, regressors, treated):
    from econml.dml import LinearDML
    from econml.metalearners import TLearner

    X, treatment, outcome = treated
    for reg, clf in zip(regressors, classifiers, strict=True):
        double = LinearDML(
            model_y=clone(reg), model_t=clone(clf), discrete_treatment=True, cv=2, random_state=0
        )
        assert abs(double.fit(outcome, treatment, X=X).ate(X) - 2) < 0.25
        two = TLearner(models=clone(reg)).fit(outcome, treatment, X=X)
        assert abs(two.ate(X) - 2) < 0.25


@pytest.mark.library("causalml", "the effect of a treatment, by S-, T- and X-learners")
def test_causalml(regressors, treated):
    from causalml.inference.meta import BaseSRegressor, BaseTRegressor, BaseXRegressor

    X, treatment, outcome = treated
    propensity = pd.Series(np.full(600, 0.5))
    for reg in regressors:
        for learner in (BaseSRegressor(clone(reg)), BaseTRegressor(clone(reg))):
            assert abs(np.mean(learner.fit_predict(X, treatment, outcome)) - 2) < 0.3
        crossed = BaseXRegressor(clone(reg)).fit_predict(X, treatment, outcome, p=propensity)
        assert abs(np.mean(crossed) - 2) < 0.3


@pytest.mark.library(
    "scikit-uplift", "who answers to a treatment, by one model, by two, and by transformed classes"
)
def test_scikit_uplift(classifiers):
    from sklift.models import ClassTransformation, SoloModel, TwoModels

    rng = np.random.default_rng(0)
    X, treatment = rng.normal(size=(1000, 3)), rng.integers(0, 2, 1000)
    y = (rng.random(1000) < 1 / (1 + np.exp(-X[:, 0] - 2 * treatment * X[:, 1]))).astype(int)
    for clf in classifiers:
        for model in (
            SoloModel(clone(clf)),
            TwoModels(clone(clf), clone(clf)),
            ClassTransformation(clone(clf)),
        ):
            uplift = model.fit(X, y, treatment).predict(X)
            assert np.corrcoef(uplift, X[:, 1])[0, 1] > 0.6
