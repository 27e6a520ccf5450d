"""Explanations: they add up to the prediction, and name the features that count."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score


@pytest.fixture(scope="module")
def two_of_five():
    """Return rows whose class depends on the first two of five features."""
    X = np.random.default_rng(0).normal(size=(400, 5))
    return X, (X[:, 0] + 2 * X[:, 1] > 0).astype(int)


@pytest.mark.library("shap", "SHAP values add up to the prediction and name the features that count")
def test_shap(all_classifiers, all_regressors, two_of_five):
    import shap

    X, y = two_of_five
    for net in (*all_classifiers, *all_regressors):
        net.fit(X, y)
        predict = (
            (lambda rows, net=net: net.predict_proba(rows)[:, 1]) if net in all_classifiers else net.predict
        )
        explained = shap.Explainer(predict, X[:50], seed=0)(X[:10])
        assert_allclose(explained.values.sum(axis=1) + explained.base_values, predict(X[:10]), atol=1e-5)
        assert set(np.abs(explained.values).mean(axis=0).argsort()[-2:]) == {0, 1}


@pytest.mark.library(
    "shapiq", "Shapley interactions add up to the prediction and name the features that count"
)
def test_shapiq(classifiers, two_of_five):
    import shapiq

    X, y = two_of_five
    for clf in classifiers:
        explainer = shapiq.TabularExplainer(
            clf.fit(X, y), X[:50], index="k-SII", max_order=2, class_index=1, random_state=0
        )
        explained = explainer.explain(X[0], budget=32)
        assert_allclose(explained.values.sum(), clf.predict_proba(X[:1])[0, 1], atol=1e-5)
        assert set(np.abs(explained.get_n_order_values(1)).argsort()[-2:]) == {0, 1}


@pytest.mark.library("PyALE", "accumulated local effects have the slopes that the data were made with")
def test_pyale(regressors, two_of_five):
    from PyALE import ale

    X, _ = two_of_five
    rows = pd.DataFrame(X, columns=list("abcde"))
    for reg in regressors:
        reg.fit(rows, X[:, 0] + 2 * X[:, 1])
        for name, slope in {"a": 1, "b": 2, "c": 0}.items():
            effects = ale(X=rows, model=reg, feature=[name], grid_size=10, plot=False)["eff"]
            assert abs(np.polyfit(effects.index, effects, 1)[0] - slope) < 0.15


@pytest.mark.library("lime", "the local explanation names the features that count")
def test_lime(classifiers, two_of_five):
    from lime.lime_tabular import LimeTabularExplainer

    X, y = two_of_five
    explainer = LimeTabularExplainer(X, random_state=0)
    for clf in classifiers:
        explained = explainer.explain_instance(X[0], clf.fit(X, y).predict_proba, num_features=2)
        assert {feature for feature, _ in explained.as_map()[1]} == {0, 1}
        assert_allclose(explained.predict_proba, clf.predict_proba(X[:1])[0], atol=1e-7)


@pytest.mark.library("eli5", "permutation importances name the features that count")
def test_eli5(classifiers, two_of_five):
    from eli5 import explain_weights
    from eli5.sklearn import PermutationImportance

    X, y = two_of_five
    for clf in classifiers:
        importance = PermutationImportance(clf.fit(X, y), random_state=0).fit(X, y)
        assert list(importance.feature_importances_.argsort()[:2:-1]) == [1, 0]
        assert explain_weights(importance).feature_importances.importances[0].feature == "x1"


@pytest.mark.library(
    "interpret-core", "Morris sensitivities and partial dependence name the features that count"
)
def test_interpret(classifiers, two_of_five):
    from interpret.blackbox import MorrisSensitivity, PartialDependence

    X, y = two_of_five
    for clf in classifiers:
        clf.fit(X, y)
        scores = MorrisSensitivity(clf, X).explain_global().data()["scores"]
        assert set(np.argsort(scores)[-2:]) == {0, 1}
        curve = PartialDependence(clf, X).explain_global().data(1)["scores"]
        assert curve[-1] - curve[0] > 0.5


@pytest.mark.library("dice-ml", "counterfactual rows get the other class")
def test_dice(classifiers, two_of_five):
    import dice_ml

    X, y = two_of_five
    rows = pd.DataFrame(X, columns=list("abcde"))
    data = dice_ml.Data(dataframe=rows.assign(y=y), continuous_features=list("abcde"), outcome_name="y")
    for clf in classifiers:
        clf.fit(rows, y)
        explainer = dice_ml.Dice(data, dice_ml.Model(model=clf, backend="sklearn"), method="random")
        given = rows[y == 0][:3]
        found = explainer.generate_counterfactuals(given, total_CFs=2, desired_class=1, random_seed=0)
        for each in found.cf_examples_list:
            assert (clf.predict(each.final_cfs_df[list("abcde")].astype(float)) == 1).all()


@pytest.mark.library("dalex", "the importance of variables, and a break-down that adds up to the prediction")
def test_dalex(classifiers, two_of_five):
    import dalex

    X, y = two_of_five
    rows = pd.DataFrame(X, columns=list("abcde"))
    for clf in classifiers:
        explainer = dalex.Explainer(clf.fit(rows, y), rows, y, verbose=False)
        assert_allclose(explainer.predict(rows), clf.predict_proba(rows)[:, 1])
        parts = explainer.model_parts(random_state=0).result
        assert set(parts.variable[-3:-1]) == {"a", "b"}
        steps = explainer.predict_parts(rows[:1]).result
        total = steps.contribution[steps.variable_name != ""].sum()
        assert_allclose(total, clf.predict_proba(rows[:1])[0, 1], atol=1e-3)


@pytest.mark.library("model-diagnostics", "the identification bias of predicted probabilities is near zero")
def test_model_diagnostics(classifiers, two_of_five):
    from model_diagnostics.calibration import compute_bias

    X, y = two_of_five
    for clf in classifiers:
        predicted = clf.fit(X[:200], y[:200]).predict_proba(X[200:])[:, 1]
        assert abs(compute_bias(y[200:], predicted)["bias_mean"][0]) < 0.05


@pytest.mark.library(
    "probatus", "nothing", note="fails: SHAP is handed the model itself, so that it takes trees alone"
)
def test_probatus(classifiers, two_of_five):
    from probatus.feature_elimination import ShapRFECV

    X, y = two_of_five
    rows = pd.DataFrame(X[:90], columns=list("abcde"))
    for clf in classifiers:
        search = ShapRFECV(clf, step=3, cv=2, scoring="roc_auc", n_jobs=1, random_state=0)
        with pytest.raises(TypeError, match="The passed model is not callable"):
            search.fit_compute(rows, pd.Series(y[:90]))


@pytest.mark.library(
    "yellowbrick",
    "a confusion matrix and cross-validated scores have scikit-learn's numbers",
    note="takes no classifier of scikit-learn 1.9 for one; give force_model=True",
)
def test_yellowbrick(classifiers, two_of_five):
    from sklearn.model_selection import cross_val_score
    from yellowbrick.classifier import ConfusionMatrix
    from yellowbrick.model_selection import CVScores

    X, y = two_of_five
    for clf in classifiers:
        matrix = ConfusionMatrix(clf, force_model=True).fit(X[:300], y[:300])
        accuracy = matrix.score(X[300:], y[300:])
        assert accuracy == accuracy_score(y[300:], clf.fit(X[:300], y[:300]).predict(X[300:])) > 0.9
        assert matrix.confusion_matrix_.trace() == round(100 * accuracy)
        assert_allclose(CVScores(clf, cv=3).fit(X, y).cv_scores_, cross_val_score(clf, X, y, cv=3))
