"""Searches by other libraries: they find the better network, and refit it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import cross_val_score


def _rate(clf):
    names = ("optimizer__learning_rate", "learning_rate_init", "learning_rate")
    return next(name for name in names if name in clf.get_params())


@pytest.mark.library("scikit-optimize", "BayesSearchCV finds the rate that learns")
def test_scikit_optimize(classifiers, iris):
    from skopt import BayesSearchCV
    from skopt.space import Real

    X, y = iris
    for clf in classifiers:
        space = {_rate(clf): Real(1e-6, 1e-1, prior="log-uniform")}
        search = BayesSearchCV(clf, space, n_iter=6, cv=3, random_state=0).fit(X, y)
        assert search.best_score_ > 0.9
        assert search.best_params_[_rate(clf)] > 1e-4
        best = clone(clf).set_params(**search.best_params_)
        assert_allclose(search.best_score_, cross_val_score(best, X, y, cv=3).mean(), atol=1e-6)


@pytest.mark.library("optuna-integration", "OptunaSearchCV finds the rate that learns")
def test_optuna_integration(all_classifiers, iris):
    import optuna
    from optuna.distributions import FloatDistribution
    from optuna_integration import OptunaSearchCV

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    X, y = iris
    for clf in all_classifiers:
        space = {_rate(clf): FloatDistribution(1e-6, 1e-1, log=True)}
        search = OptunaSearchCV(clf, space, n_trials=6, cv=3, random_state=0).fit(X, y)
        assert search.best_score_ > 0.9
        assert search.best_params_[_rate(clf)] > 1e-4
        assert search.score(X, y) > 0.95


@pytest.mark.library("optuna", "a study prunes what does not learn, by partial_fit")
def test_optuna(classifiers, iris):
    import optuna

    X, y = iris
    for clf in classifiers:

        def objective(trial, clf=clf):
            net = clone(clf).set_params(**{_rate(clf): trial.suggest_float("rate", 1e-6, 1e-1, log=True)})
            for step in range(20):
                net.partial_fit(X[:100], y[:100], classes=[0, 1, 2])
                trial.report(net.score(X[100:], y[100:]), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return net.score(X[100:], y[100:])

        sampler, pruner = optuna.samplers.RandomSampler(seed=0), optuna.pruners.MedianPruner(2, 5)
        study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        study.optimize(objective, n_trials=8)
        assert study.best_value > 0.9
        assert any(trial.state.name == "PRUNED" for trial in study.trials)


@pytest.mark.library("sklearn-genetic-opt", "GASearchCV finds the rate that learns; feature selection")
def test_sklearn_genetic_opt(classifiers, iris):
    from sklearn_genetic import GAFeatureSelectionCV, GASearchCV
    from sklearn_genetic.space import Continuous

    X, y = iris
    for clf in classifiers:
        space = {_rate(clf): Continuous(1e-6, 1e-1, distribution="log-uniform", random_state=0)}
        search = GASearchCV(clf, param_grid=space, cv=3, population_size=4, generations=2, verbose=False)
        np.random.seed(0)
        search.fit(X, y)
        assert search.best_score_ > 0.8
        chosen = GAFeatureSelectionCV(clf, cv=3, population_size=4, generations=2, verbose=False).fit(X, y)
        assert {2, 3} & set(np.flatnonzero(chosen.support_))
        assert chosen.score(X, y) > 0.9


@pytest.mark.library("bayesian-optimization", "a search finds the rate that learns")
def test_bayesian_optimization(classifiers, iris):
    from bayes_opt import BayesianOptimization

    X, y = iris
    for clf in classifiers:

        def score(power, clf=clf):
            return cross_val_score(clone(clf).set_params(**{_rate(clf): 10.0**power}), X, y, cv=3).mean()

        search = BayesianOptimization(score, {"power": (-6, -1)}, random_state=0, verbose=0)
        search.maximize(init_points=3, n_iter=3)
        assert search.max["target"] > 0.9
        assert search.max["params"]["power"] > -4


@pytest.mark.library("keras-tuner", "the Sklearn tuner finds the rate that learns")
def test_keras_tuner(classifiers, iris, tmp_path):
    import keras_tuner
    from sklearn.model_selection import KFold

    X, y = iris
    for i, clf in enumerate(classifiers):

        def build(hp, clf=clf):
            return clone(clf).set_params(**{_rate(clf): hp.Float("rate", 1e-4, 1e-1, sampling="log")})

        tuner = keras_tuner.tuners.SklearnTuner(
            keras_tuner.oracles.RandomSearchOracle(
                keras_tuner.Objective("score", "max"), max_trials=5, seed=0
            ),
            build,
            cv=KFold(3),
            directory=tmp_path,
            project_name=str(i),
        )
        tuner.search(X, y)
        assert tuner.oracle.get_best_trials(1)[0].score > 0.9
        assert tuner.get_best_models(1)[0].score(X, y) > 0.9
