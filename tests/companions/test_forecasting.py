"""Forecasts by reduction: a network that is told the last values goes on with the series."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone


@pytest.fixture(scope="module")
def series():
    """Return 120 months of a yearly wave with little noise."""
    months = pd.period_range("2010-01", periods=120, freq="M")
    wave = np.sin(2 * np.pi * np.arange(120) / 12) + 0.05 * np.random.default_rng(0).normal(size=120)
    return pd.Series(wave, index=months)


@pytest.mark.library(
    "skforecast", "the next year, recursively and directly; bootstrapped intervals; back-testing"
)
def test_skforecast(all_regressors, series):
    from skforecast.direct import ForecasterDirect
    from skforecast.model_selection import TimeSeriesFold, backtesting_forecaster
    from skforecast.recursive import ForecasterRecursive

    series = series.to_timestamp().asfreq("MS")
    past, future = series[:108], series[108:]
    for reg in all_regressors:
        recursive = ForecasterRecursive(estimator=clone(reg), lags=12)
        recursive.fit(past, store_in_sample_residuals=True)
        assert np.abs(recursive.predict(12) - future).mean() < 0.25
        limits = recursive.predict_interval(12, interval=[0.05, 0.95], n_boot=20)
        assert (limits["lower_bound"] <= limits["upper_bound"]).all()
        direct = ForecasterDirect(estimator=clone(reg), lags=12, steps=3)
        direct.fit(past)
        assert np.abs(direct.predict() - future[:3]).mean() < 0.25
        folds = TimeSeriesFold(steps=6, initial_train_size=96)
        error, _ = backtesting_forecaster(
            ForecasterRecursive(estimator=clone(reg), lags=12),
            y=series,
            cv=folds,
            metric="mean_absolute_error",
            show_progress=False,
        )
        assert error.iloc[0, 0] < 0.25


@pytest.mark.library("sktime", "the next year, by a recursive reduction; in a search over windows")
def test_sktime(regressors, series):
    from sktime.forecasting.compose import make_reduction
    from sktime.forecasting.model_selection import ForecastingGridSearchCV
    from sktime.split import ExpandingWindowSplitter

    for reg in regressors:
        forecaster = make_reduction(clone(reg), window_length=12, strategy="recursive")
        predicted = forecaster.fit(series[:108]).predict(fh=np.arange(1, 13))
        assert np.abs(predicted - series[108:]).mean() < 0.25
        folds = ExpandingWindowSplitter(initial_window=84, step_length=12, fh=[1, 2, 3])
        search = ForecastingGridSearchCV(forecaster, folds, {"window_length": [1, 12]})
        assert search.fit(series[:108]).best_params_ == {"window_length": 12}
