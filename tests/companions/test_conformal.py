"""Conformal prediction and calibration: sets, intervals and probabilities are as wide as they promise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import log_loss


@pytest.mark.library("mapie", "coverage of 90 % by sets of classes and by intervals")
def test_mapie(all_classifiers, all_regressors, cancer, diabetes):
    from mapie.classification import SplitConformalClassifier
    from mapie.regression import CrossConformalRegressor

    X, y = cancer
    for clf in all_classifiers:
        sets = SplitConformalClassifier(clf, confidence_level=0.9, prefit=False)
        sets.fit(X[:150], y[:150]).conformalize(X[150:350], y[150:350])
        labels, members = sets.predict_set(X[350:])
        assert members.shape == (219, 2, 1)
        assert members[np.arange(219), y[350:], 0].mean() >= 0.8
        assert np.mean(labels == y[350:]) > 0.9
    X, y = diabetes
    for reg in all_regressors:
        intervals = CrossConformalRegressor(reg, confidence_level=0.9, cv=3, random_state=0)
        _, limits = intervals.fit_conformalize(X[:300], y[:300]).predict_interval(X[300:])
        low, high = limits[:, :, 0].T
        assert 0.8 <= np.mean((low <= y[300:]) & (y[300:] <= high)) <= 1


@pytest.mark.library("crepes", "coverage of 90 % by sets and intervals")
def test_crepes(all_classifiers, all_regressors, cancer, diabetes):
    from crepes import WrapClassifier, WrapRegressor

    X, y = cancer
    for clf in all_classifiers:
        wrapped = WrapClassifier(clf)
        wrapped.fit(X[:150], y[:150])
        wrapped.calibrate(X[150:350], y[150:350], seed=0)
        sets = np.asarray(wrapped.predict_set(X[350:], confidence=0.9, seed=0, labels=False))
        assert sets[np.arange(219), y[350:]].mean() >= 0.8
    X, y = diabetes
    for reg in all_regressors:
        wrapped = WrapRegressor(reg)
        wrapped.fit(X[:200], y[:200])
        wrapped.calibrate(X[200:300], y[200:300], seed=0)
        low, high = wrapped.predict_int(X[300:], confidence=0.9).T
        assert 0.8 <= np.mean((low <= y[300:]) & (y[300:] <= high)) < 1


@pytest.mark.library("venn-abers", "calibrated probabilities, better than those of the overfitted network")
def test_venn_abers(classifiers, cancer):
    from venn_abers import VennAbersCalibrator

    X, y = cancer
    for clf in classifiers:
        plain = clf.fit(X[:300], y[:300]).predict_proba(X[300:])
        calibrated = VennAbersCalibrator(estimator=clf, inductive=False, n_splits=3, random_state=0)
        calibrated.fit(X[:300], y[:300])
        proba = calibrated.predict_proba(X[300:])
        assert_allclose(proba.sum(axis=1), 1, rtol=1e-6)
        assert log_loss(y[300:], proba) < min(log_loss(y[300:], plain), 0.2)


@pytest.mark.library("puncc", "coverage of 90 % by sets and intervals")
def test_puncc(classifiers, regressors, iris, diabetes):
    from deel.puncc.api.prediction import BasePredictor
    from deel.puncc.classification import LAC
    from deel.puncc.regression import SplitCP

    class Probabilities(BasePredictor):
        def predict(self, X, **kwargs):
            return self.model.predict_proba(X)

    X, y = iris
    for clf in classifiers:
        sets = LAC(Probabilities(clf, is_trained=False), train=True)
        sets.fit(X_fit=X[:60], y_fit=y[:60], X_calib=X[60:110], y_calib=y[60:110])
        _, members = sets.predict(X[110:], alpha=0.1)
        assert np.mean([label in each for label, each in zip(y[110:], members, strict=True)]) >= 0.8
    X, y = diabetes
    for reg in regressors:
        intervals = SplitCP(BasePredictor(reg, is_trained=False), train=True)
        intervals.fit(X_fit=X[:200], y_fit=y[:200], X_calib=X[200:300], y_calib=y[200:300])
        _, low, high = intervals.predict(X[300:], alpha=0.1)
        assert 0.8 <= np.mean((low <= y[300:]) & (y[300:] <= high)) < 1


@pytest.mark.library("netcal", "logistic scaling and histogram binning leave a calibration error below 0.1")
def test_netcal(classifiers, cancer):
    from netcal.binning import HistogramBinning
    from netcal.metrics import ECE
    from netcal.scaling import LogisticCalibration

    X, y = cancer
    for clf in classifiers:
        clf.fit(X[:200], 1 - y[:200])
        held_out, test = (clf.predict_proba(part)[:, 1] for part in (X[200:400], X[400:]))
        for calibrator in (LogisticCalibration(), HistogramBinning(bins=5)):
            calibrator.fit(held_out, 1 - y[200:400])
            calibrated = calibrator.transform(test)
            assert ((calibrated >= 0) & (calibrated <= 1)).all()
            assert ECE(10).measure(calibrated, 1 - y[400:]) < 0.1


@pytest.mark.library("deup", "the uncertainty of a number is larger where the error is")
def test_deup(regressors):
    from deup import DEUPRegressor

    X = np.column_stack([np.linspace(-1, 1, 400), np.random.default_rng(1).normal(size=400)])
    y = X[:, 0] + np.where(X[:, 0] > 0, 1, 0.05) * np.random.default_rng(0).normal(size=400)
    for reg in regressors:
        predicted, uncertainty = DEUPRegressor(base_model=reg).fit(X, y).predict(X, return_uncertainty=True)
        assert np.mean((predicted[:200] - X[:200, 0]) ** 2) < 0.05
        assert uncertainty[200:].mean() > 2 * uncertainty[:200].mean()
