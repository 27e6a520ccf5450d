"""Early stopping and the best epoch by any scorer."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, get_scorer, make_scorer, roc_auc_score
from sklearn.preprocessing import StandardScaler, scale

from skdl import DNNClassifier, DNNRegressor, Pipeline


def network(**params):
    defaults = {"epochs": 6, "batch_size": -1, "learning_rate": 0.05, "random_state": 0}
    return DNNClassifier((4,), **{**defaults, "validation_split": 0.2, **params})


@pytest.mark.parametrize(
    ("scoring", "engine"),
    [("roc_auc", "compiled"), (make_scorer(f1_score, pos_label=0), "keras")],
    ids=["name", "scorer"],
)
def test_a_scorer_is_recorded_and_decides_which_epoch_is_the_best(cancer, scoring, engine):
    X, y = cancer
    name = "roc_auc" if scoring == "roc_auc" else "f1_score"
    net = network(scoring=scoring, early_stopping=True, n_iter_no_change=2, epochs=12, engine=engine)
    net.fit(X, y)
    scores = net.history_[f"val_{name}"]
    assert net.engine_ == engine
    assert len(scores) == net.n_iter_
    assert net.best_epoch_ == np.argmax(scores)
    assert net.n_iter_ == min(net.best_epoch_ + 3, 12)
    # The weights of that epoch were restored.
    _, held_out = network()._split_validation(X, y)
    scorer = get_scorer(scoring)
    assert_allclose(scorer(net, X[held_out], y[held_out]), max(scores))


def test_training_is_the_same_whatever_it_is_judged_by(cancer):
    X, y = cancer
    by_loss, by_score = network().fit(X, y), network(scoring="roc_auc").fit(X, y)
    assert_allclose(by_score.history_["loss"], by_loss.history_["loss"], rtol=1e-5)
    assert by_loss.best_epoch_ == np.argmin(by_loss.history_["val_loss"])
    assert by_score.best_epoch_ == np.argmax(by_score.history_["val_roc_auc"])
    assert "val_roc_auc" not in by_loss.history_


def test_a_metric_of_the_model_is_watched(cancer):
    X, y = cancer
    net = network(scoring="accuracy", early_stopping=True, n_iter_no_change=2, epochs=30).fit(X, y)
    assert net.best_epoch_ == np.argmax(net.history_["val_accuracy"])
    assert net.n_iter_ == net.best_epoch_ + 3
    X, y = load_diabetes(return_X_y=True)
    reg = DNNRegressor(
        (4,), metrics=["mean_absolute_error"], scoring="mean_absolute_error", epochs=5, batch_size=-1,
        validation_split=0.2, random_state=0,
    ).fit(scale(X), scale(y))  # fmt: skip
    assert reg.best_epoch_ == np.argmin(reg.history_["val_mean_absolute_error"])


def test_a_function_scores_the_rows_as_the_user_gave_them():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    seen = []

    def own_score(estimator, X, y):
        seen.append(list(X.columns[:2]))
        return roc_auc_score(y, estimator.predict_proba(X)[:, 1])

    net = network(scoring=own_score, epochs=2).fit(X, y)
    assert seen[-1] == ["mean radius", "mean texture"]
    assert len(net.history_["val_own_score"]) == 2
    given = network(scoring=own_score, epochs=2).fit(X, y, X_val=X[:100], y_val=y[:100])
    assert_allclose(given.history_["val_own_score"][-1], own_score(given, X[:100], y[:100]))


def test_weights_of_the_validation_rows_count(cancer):
    X, y = cancer
    weights = np.where(y == 0, 10.0, 1.0)
    net = network(scoring="balanced_accuracy", epochs=1)
    weighted = clone(net).fit(X, y, X_val=X, y_val=y, sample_weight_val=np.where(X[:, 0] > 0, 9.0, 1.0))
    plain = clone(net).fit(X, y, X_val=X, y_val=y)
    assert weighted.history_["val_balanced_accuracy"] != plain.history_["val_balanced_accuracy"]
    clone(net).fit(X, y, sample_weight=weights)


def test_in_a_pipeline_the_rows_held_out_before_the_sampler_are_scored(cancer):
    X, y = cancer
    pipeline = Pipeline([
        ("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", network(scoring="f1")),
    ]).fit(X, y)  # fmt: skip
    rows = pipeline.validation_indices_
    assert_allclose(pipeline["net"].history_["val_f1"][-1], f1_score(y[rows], pipeline.predict(X[rows])))


def test_without_validation_rows_the_training_loss_decides(cancer):
    net = network(scoring="roc_auc", validation_split=None).fit(*cancer)
    assert set(net.history_) == {"loss", "accuracy"}
    assert net.best_epoch_ == np.argmin(net.history_["loss"])


@pytest.mark.parametrize(
    ("scoring", "data", "error", "match"),
    [
        ("auk", load_breast_cancer, ValueError, "scoring='auk' is neither 'loss', nor a metric .*accuracy"),
        ("roc_auc", load_iris, ValueError, "multi_class must be in"),
        (7, load_iris, ValueError, "The 'scoring' parameter of DNNClassifier must be"),
    ],
)
def test_what_cannot_score_is_refused_before_training(scoring, data, error, match):
    net = network(scoring=scoring, epochs=10**6)
    with pytest.raises(error, match=match):
        net.fit(*data(return_X_y=True))
    assert not hasattr(net, "model_")


def test_a_scorer_survives_a_training_that_diverges():
    X, y = load_diabetes(return_X_y=True)
    reg = DNNRegressor(
        (8,), optimizer="sgd", learning_rate=500.0, epochs=20, batch_size=-1, validation_split=0.2,
        scoring="r2", random_state=0,
    )  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="The training diverged"):
        reg.fit(scale(X), scale(y))
    assert np.isnan(reg.history_["val_r2"][-1])
