"""Networks that leave the process: tracked, saved, sent to other processes."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdl
from skdl import KerasClassifier, TabularClassifier


@pytest.mark.library("distributed", "a grid search in worker processes has the scores of one process")
def test_dask(all_classifiers, iris):
    import joblib
    from distributed import Client, LocalCluster

    X, y = iris
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        for clf in all_classifiers:
            name = "epochs" if "epochs" in clf.get_params() else "max_iter"
            search = GridSearchCV(clf, {name: [1, 20]}, cv=3)
            here = clone(search).fit(X, y)
            with joblib.parallel_backend("dask"):
                there = clone(search).fit(X, y)
            assert_array_equal(there.cv_results_["mean_test_score"], here.cv_results_["mean_test_score"])
            assert_array_equal(there.predict_proba(X), here.predict_proba(X))


@pytest.mark.library("dask-ml", "ParallelPostFit and Incremental on arrays in chunks")
def test_dask_ml(classifiers, iris):
    import dask.array as da
    from dask_ml.wrappers import Incremental, ParallelPostFit

    X, y = iris
    chunks, labels = da.from_array(X, chunks=(50, 4)), da.from_array(y, chunks=50)
    for clf in classifiers:
        spread = ParallelPostFit(clone(clf)).fit(X, y)
        here = clone(clf).fit(X, y)
        assert_array_equal(
            spread.predict_proba(chunks).compute(),
            np.vstack([here.predict_proba(X[i : i + 50]) for i in (0, 50, 100)]),
        )
        grown = Incremental(clone(clf), shuffle_blocks=False)
        for _ in range(10):
            grown.partial_fit(chunks, labels, classes=[0, 1, 2])
        assert np.mean(grown.predict(X) == y) > 0.8


def build():
    """Return a network, as a user writes it."""
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])


@pytest.mark.library("skops", "dump and load with the types that are named as trusted")
def test_skops(classifiers, iris):
    import skops.io

    X, y = iris
    others = KerasClassifier(build, loss="sparse_categorical_crossentropy"), TabularClassifier(epochs=2)
    for clf in (*classifiers, *others):
        steps = make_pipeline(StandardScaler(), clf).fit(X, y)
        data = skops.io.dumps(steps)
        needed = skops.io.get_untrusted_types(data=data)
        assert {name.split(".")[0] for name in needed} - {"skdl", "sklearn", "numpy"} <= {
            __name__.split(".")[0]
        }
        assert_array_equal(skops.io.loads(data, trusted=needed).predict_proba(X), steps.predict_proba(X))


@pytest.fixture
def tracked(tmp_path):
    """Return MLflow, with a data base of its own."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    mlflow.create_experiment("networks", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("networks")
    yield mlflow
    mlflow.sklearn.autolog(disable=True)


def logged(mlflow, net, X, y):
    """Return what autolog has logged of a fit."""
    with mlflow.start_run() as run:
        net.fit(X, y)
    return mlflow.get_run(run.info.run_id).data


@pytest.mark.library(
    "mlflow",
    "autolog of a Pipeline and a search",
    note="autolog knows classes of scikit-learn alone: give skdl's network as a Pipeline of one step",
)
def test_mlflow_autolog(classifiers, iris, tracked):
    X, y = iris
    tracked.sklearn.autolog(log_models=False, log_datasets=False)
    control, net = classifiers
    assert "training_log_loss" in logged(tracked, control, X, y).metrics
    for unseen in (net, skdl.make_pipeline(net)):
        assert logged(tracked, unseen, X, y).metrics == {}
    for clf in classifiers:
        data = logged(tracked, make_pipeline(clf), X, y)
        assert data.metrics["training_accuracy_score"] == clone(clf).fit(X, y).score(X, y)
        assert data.params[f"{type(clf).__name__.lower()}__batch_size"] == "32"
        rate = "learning_rate" if "epochs" in clf.get_params() else "learning_rate_init"
        search = GridSearchCV(clf, {rate: [1e-5, 1e-2]}, cv=2)
        assert logged(tracked, search, X, y).metrics["best_cv_score"] > 0.9


def test_parameters_and_curves_are_logged_by_two_lines(classifiers, iris, tracked):
    _, net = classifiers
    with tracked.start_run() as run:
        net.fit(*iris)
        tracked.log_params(net.get_params())
        for epoch, loss in enumerate(net.history_["loss"]):
            tracked.log_metric("loss", loss, step=epoch)
    curve = tracked.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [point.value for point in curve] == net.history_["loss"]
    assert tracked.get_run(run.info.run_id).data.params["epochs"] == "60"


LOAD = """
import sys, mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.sklearn.load_model(sys.argv[2])
np.save(sys.argv[4], model.predict_proba(np.load(sys.argv[3])))
"""


@pytest.mark.library(
    "mlflow",
    "log_model in both formats, loaded in another process",
    note="its default format asks for trusted types, those of scikit-learn's network as well",
)
def test_mlflow_log_model(all_classifiers, iris, tracked, tmp_path):
    import skops.io

    X, y = iris
    np.save(tmp_path / "X.npy", X)
    for clf in all_classifiers:
        steps = make_pipeline(StandardScaler(), clf).fit(X, y)
        formats = [{"serialization_format": "cloudpickle"}]
        if not isinstance(clf, KerasClassifier):  # skops takes no function of a function, which builds it
            with pytest.raises(tracked.exceptions.MlflowException, match="untrusted types"):
                tracked.sklearn.log_model(steps, name="net")
            trusted = skops.io.get_untrusted_types(data=skops.io.dumps(steps))
            formats.append({"skops_trusted_types": trusted})
        for settings in formats:
            uri = tracked.sklearn.log_model(
                steps,
                name="net",
                pip_requirements=["skdl"],  # else they are sought by a run of their own
                **settings,
            ).model_uri
            here = [tracked.get_tracking_uri(), uri, str(tmp_path / "X.npy"), str(tmp_path / "proba.npy")]
            subprocess.run([sys.executable, "-W", "ignore", "-c", LOAD, *here], check=True)
            assert_array_equal(np.load(tmp_path / "proba.npy"), steps.predict_proba(X))
