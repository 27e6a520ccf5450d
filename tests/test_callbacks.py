"""scikit-learn's callbacks see the epochs, whatever trains them; without callbacks nothing looks."""

import copy
import pickle
import random
import re

import keras
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from joblib import parallel_config
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.callback._callback_context import get_context_path
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.preprocessing import StandardScaler, scale

import skdl._estimators._base
from skdl import DNNClassifier, DNNRegressor, KerasClassifier, Pipeline, make_pipeline

ENGINES = ["numpy", "compiled", "keras"]
OF_TENSORFLOW = pytest.mark.parametrize("engine", ["compiled", "keras"])


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture(scope="module")
def cancer():
    """Scaled breast cancer data, every fourth row: 143 rows with 30 features."""
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X)[::4], y[::4]


def net(**params):
    # Compiled in less time than Adam.
    settings = {"epochs": 3, "optimizer": "sgd", "learning_rate": 0.1, "random_state": 0, **params}
    return DNNClassifier((8,), **settings)


class LocalEvents:
    """Notes each event of the estimator that it is set on, with the path of its task."""

    def __init__(self):
        self.events, self.max_subtasks = [], {}

    def _note(self, hook, context):
        path = "/".join(f"{task.task_name} {task.task_id}" for task in get_context_path(context))
        self.events.append((hook, path))
        self.max_subtasks[path] = context.max_subtasks

    def setup(self, estimator, context):
        self._note("setup", context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._note("end", context)

    def epochs(self):
        return [path for event, path in self.events if event == "end" and "/epoch " in path]


class Events(LocalEvents):
    """The same, for the estimators inside too: scikit-learn propagates what has this attribute."""

    max_propagation_depth = None


class Keeper(LocalEvents):
    """Keeps the fitted copy that comes with the end of each task."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        super().on_fit_task_end(estimator, context)
        self.kept.append(fitted_estimator)
        self.X, self.y, self.metadata = X, y, metadata


class StopAfter(Events):
    def __init__(self, n_epochs):
        super().__init__()
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs


def scores(monitor, name="accuracy"):
    """Return the scores of the epochs, and that of the whole fit."""
    data = monitor.get_logs().data_as_pandas
    return data[name][data.task_name == "epoch"].tolist(), data[name][data.task_name == "fit"].item()


def weights(estimator):
    return estimator.model_.get_weights()


def assert_same_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        assert_array_equal(a, b)


# ------------------------------------------------------------------------------ events


def test_each_epoch_is_a_task_of_the_fit(cancer, engine):
    log = Events()
    net(engine=engine, epochs=2).set_callbacks(log).fit(*cancer)
    assert log.events == [
        ("setup", "fit 0"),
        ("begin", "fit 0"),
        ("begin", "fit 0/epoch 0"),
        ("end", "fit 0/epoch 0"),
        ("begin", "fit 0/epoch 1"),
        ("end", "fit 0/epoch 1"),
        ("end", "fit 0"),
        ("teardown", "fit 0"),
    ]
    assert log.max_subtasks == {"fit 0": 2, "fit 0/epoch 0": 0, "fit 0/epoch 1": 0}


@pytest.mark.parametrize(
    ("given", "fit_params", "n_epochs"),
    [
        ({"epochs": 2}, {}, 2),
        ({"epochs": 2}, {"epochs": 4}, 4),
        ({"epochs": 2, "fit__epochs": 3}, {}, 3),
        ({"epochs": 2}, {"initial_epoch": 5}, 2),
    ],
)
def test_as_many_tasks_are_announced_as_there_are_epochs(cancer, given, fit_params, n_epochs):
    log = Events()
    net(**given).set_callbacks(log).fit(*cancer, **fit_params)
    assert log.max_subtasks["fit 0"] == len(log.epochs()) == n_epochs


def test_a_callback_stops_the_training(cancer, engine):
    log = StopAfter(2)
    clf = net(engine=engine, epochs=5).set_callbacks(log).fit(*cancer)
    assert clf.n_iter_ == len(clf.history_["loss"]) == len(log.epochs()) == 2
    assert log.events[-2:] == [("end", "fit 0"), ("teardown", "fit 0")]
    assert_same_weights(clf, net(engine=engine, epochs=2).fit(*cancer))


def test_one_of_several_callbacks_is_enough_to_stop(cancer, engine):
    clf = net(engine=engine, epochs=5).set_callbacks(StopAfter(1), Events(), StopAfter(4))
    assert clf.fit(*cancer).n_iter_ == 1


def test_early_stopping_ends_the_fit_before_all_announced_epochs(cancer, engine):
    log = Events()
    settings = {"optimizer": "adam", "learning_rate": 0.5, "early_stopping": True, "n_iter_no_change": 2}
    clf = net(engine=engine, epochs=50, **settings)
    clf.set_callbacks(log).fit(*cancer)
    assert len(log.epochs()) == clf.n_iter_ < 50 == log.max_subtasks["fit 0"]
    assert log.events[-2:] == [("end", "fit 0"), ("teardown", "fit 0")]


def test_partial_fit_is_a_fit_of_one_epoch(cancer, engine):
    log = Events()
    clf = net(engine=engine).set_callbacks(log)
    for _ in range(2):
        clf.partial_fit(*cancer)
    assert log.events == 2 * [
        ("setup", "fit 0"),
        ("begin", "fit 0"),
        ("begin", "fit 0/epoch 0"),
        ("end", "fit 0/epoch 0"),
        ("end", "fit 0"),
        ("teardown", "fit 0"),
    ]
    assert clf.n_iter_ == 2


# ------------------------------------------------------------------- what is scored


def test_the_score_of_an_epoch_is_that_of_a_fit_that_ends_there(cancer, engine):
    monitor = ScoringMonitor(scoring="accuracy")
    clf = net(engine=engine).set_callbacks(monitor).fit(*cancer)
    epochs, final = scores(monitor)
    assert epochs == [net(engine=engine, epochs=n).fit(*cancer).score(*cancer) for n in (1, 2, 3)]
    assert len(set(epochs)) > 1
    assert final == epochs[-1] == clf.score(*cancer)


def test_scored_are_the_rows_that_are_trained_on_as_they_were_given(cancer, engine):
    X, y = cancer
    X = pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])], index=np.arange(len(X)) + 1000)
    y = pd.Series(np.where(y == 1, "benign", "malignant"), index=X.index)
    weight = np.random.default_rng(0).uniform(0.1, 5, len(y))
    settings = {"engine": engine, "validation_split": 0.3}
    train, _ = net(**settings)._split_validation(X, y)

    monitor, keeper = ScoringMonitor(scoring="accuracy"), Keeper()
    net(**settings).set_callbacks(monitor, keeper).fit(X, y, sample_weight=weight)
    pd.testing.assert_frame_equal(keeper.X, X.iloc[train])
    pd.testing.assert_series_equal(keeper.y, y.iloc[train])
    assert_array_equal(keeper.metadata["sample_weight"], weight[train])

    fits = [net(epochs=n, **settings).fit(X, y, sample_weight=weight) for n in (1, 2, 3)]
    expected = [
        accuracy_score(y.iloc[train], clf.predict(X.iloc[train]), sample_weight=weight[train]) for clf in fits
    ]
    assert scores(monitor) == (expected, expected[-1])
    assert expected != [accuracy_score(y, clf.predict(X), sample_weight=weight) for clf in fits]


def test_rows_of_weight_zero_are_not_scored(cancer):
    X, y = cancer
    weight = np.where(np.arange(len(y)) < 40, 0, 2.0)
    keeper = Keeper()
    net().set_callbacks(keeper).fit(X, y, weight)
    assert_array_equal(keeper.X, X[40:])
    assert_array_equal(keeper.metadata["sample_weight"], weight[40:])


def test_rows_given_to_validate_on_are_not_scored(cancer):
    X, y = cancer
    keeper = Keeper()
    net().set_callbacks(keeper).fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    assert keeper.X.shape == (100, 30)
    assert keeper.metadata is None


def test_callbacks_get_rows_as_often_as_a_splitter_draws_them(cancer):
    X, y = cancer
    drawn = np.random.RandomState(0).randint(len(y), size=len(y))

    class Bootstrap(ShuffleSplit):
        def split(self, X, y=None, groups=None):
            yield drawn, np.setdiff1d(np.arange(len(drawn)), drawn)

    keeper = Keeper()
    net(epochs=1, validation_split=Bootstrap()).set_callbacks(keeper).fit(X, y)
    assert_array_equal(keeper.X, X[np.sort(drawn)])
    assert_array_equal(keeper.y, y[np.sort(drawn)])
    assert set(keeper.kept[0].history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    "kind", [np.ndarray.tolist, sparse.csr_array, sparse.coo_array], ids=["list", "csr", "coo"]
)
def test_other_kinds_of_input_are_scored(cancer, kind):
    X, y = cancer
    monitor = ScoringMonitor(scoring="accuracy")
    settings = {"validation_split": 0.3}
    net(**settings).set_callbacks(monitor).fit(kind(X), y.tolist())
    train, _ = net(**settings)._split_validation(X, y)
    final = net(**settings).fit(kind(X), y).score(X[train], y[train])
    assert scores(monitor)[1] == final


def test_several_scores_of_probabilities_where_the_model_gives_logits(cancer, engine):
    def build():
        return keras.Sequential([keras.Input((30,)), keras.layers.Dense(1)])

    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    monitor = ScoringMonitor(scoring=["roc_auc", "neg_log_loss"])
    clf = KerasClassifier(build, loss=loss, epochs=2, engine=engine, random_state=0).set_callbacks(monitor)
    clf.fit(*cancer)
    X, y = cancer
    epochs, final = scores(monitor, "neg_log_loss")
    assert epochs[-1] == final == pytest.approx(-log_loss(y, clf.predict_proba(X)))
    assert 0.4 < scores(monitor, "roc_auc")[1] <= 1


def test_a_regressor_is_scored(engine):
    X, y = load_diabetes(return_X_y=True)
    y = scale(y)
    reg = DNNRegressor((8,), epochs=4, learning_rate=0.01, random_state=0, engine=engine)
    monitor = ScoringMonitor(scoring="r2")
    reg.set_callbacks(monitor).fit(X, y)
    epochs, final = scores(monitor, "r2")
    assert epochs == sorted(epochs)
    assert final == epochs[-1] == reg.score(X, y)


def test_the_last_score_is_that_of_the_weights_which_early_stopping_restored(cancer, engine):
    settings = {"optimizer": "adam", "learning_rate": 0.5, "early_stopping": True, "n_iter_no_change": 2}
    monitor = ScoringMonitor(scoring="neg_log_loss")
    clf = net(engine=engine, epochs=50, **settings).set_callbacks(monitor).fit(*cancer)
    epochs, final = scores(monitor, "neg_log_loss")
    assert clf.best_epoch_ < clf.n_iter_ - 1
    assert final == epochs[clf.best_epoch_] != epochs[-1]


# ------------------------------------------------------------- the copies of the estimator


def test_a_kept_copy_stays_as_if_training_had_ended_there(cancer, engine):
    X, y = cancer
    keeper = Keeper()
    clf = net(engine=engine, validation_split=0.2).set_callbacks(keeper).fit(X, y)
    *epochs, whole = models = list(keeper.kept)
    for n, kept in enumerate(epochs, start=1):
        shorter = net(engine=engine, validation_split=0.2, epochs=n).fit(X, y)
        assert_array_equal(kept.predict_proba(X), shorter.predict_proba(X))
        assert kept.history_ == {name: values[:n] for name, values in clf.history_.items()}
        assert (kept.n_iter_, kept.best_epoch_) == (n, shorter.best_epoch_)
        assert_array_equal(kept.classes_, [0, 1])
        assert kept.n_features_in_ == 30
    assert whole.history_ == clf.history_
    before = whole.predict_proba(X)
    clf.partial_fit(X, y)
    assert_array_equal(whole.predict_proba(X), before)
    assert len({id(kept.model_) for kept in [clf, *models]}) == 5


def test_a_kept_copy_can_be_pickled_copied_cloned_and_trained_on(cancer):
    X, y = cancer
    keeper = Keeper()
    clf = net().set_callbacks(keeper)
    pipeline = make_pipeline(StandardScaler(), clf).set_callbacks(Events()).fit(X, y)
    kept, second, *_ = keeper.kept
    assert not any("callback" in name and "ctx" in name for name in vars(kept))
    for again in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept)):
        assert_array_equal(again.predict_proba(X), kept.predict_proba(X))
    X = pipeline[0].transform(X)
    assert_same_weights(clone(kept).fit(X, y), clf)
    # With the state of its optimizer: the second epoch as it was.
    assert_same_weights(kept.partial_fit(X, y), second)


def test_a_copy_continues_the_history_of_partial_fit(cancer, engine):
    keeper = Keeper()
    clf = net(engine=engine).fit(*cancer).set_callbacks(keeper)
    clf.partial_fit(*cancer)
    for kept in keeper.kept:
        assert kept.history_ == clf.history_
        assert kept.n_iter_ == 4


def test_with_warm_start_the_epochs_go_on_from_the_weights_of_the_last_fit(cancer, engine):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    clf = net(engine=engine, warm_start=True).set_callbacks(monitor)
    clf.fit(*cancer)
    first, _ = scores(monitor, "neg_log_loss")
    clf.fit(*cancer)
    second, _ = scores(monitor, "neg_log_loss")
    assert min(second) > max(first)
    assert clf.n_iter_ == 3


def test_a_copy_has_the_weights_of_layers_with_a_state(cancer, engine):
    keeper = Keeper()
    clf = net(engine=engine, batch_norm=True, dropout=0.2).set_callbacks(keeper).fit(*cancer)
    assert_same_weights(keeper.kept[-1], clf)
    assert len(keeper.kept[-1].model_.optimizer.variables) == len(clf.model_.optimizer.variables)
    for a, b in zip(keeper.kept[-1].model_.optimizer.variables, clf.model_.optimizer.variables, strict=True):
        assert_array_equal(a, b)


@OF_TENSORFLOW
def test_a_copy_of_a_model_with_statistics_of_preprocessing(cancer, engine):
    X, y = cancer

    def build():
        norm = keras.layers.Normalization()
        norm.adapt(X * 5 + 2)
        return keras.Sequential([keras.Input((30,)), norm, keras.layers.Dense(1, activation="sigmoid")])

    keeper = Keeper()
    clf = KerasClassifier(build, loss="binary_crossentropy", engine=engine, random_state=0)
    clf.set_callbacks(keeper).fit(X, y)
    assert_array_equal(keeper.kept[-1].predict_proba(X), clf.predict_proba(X))


def test_watching_changes_nothing(cancer, engine):
    settings = {"engine": engine, "dropout": 0.3, "validation_split": 0.2}
    plain = net(**settings).fit(*cancer)
    before = random.getstate(), np.random.get_state()[1].tolist()
    watched = net(**settings).set_callbacks(ScoringMonitor(scoring="accuracy"), Keeper()).fit(*cancer)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert_same_weights(plain, watched)
    assert plain.history_ == watched.history_


# ------------------------------------------------------------------------------- costs


@pytest.fixture
def counted(monkeypatch):
    """Count the calls of Keras's hooks around epochs, and the copies of models."""
    counts = {"hooks": 0, "copies": 0}

    def count(owner, name, what):
        original = getattr(owner, name)

        def counting(*args, **kwargs):
            counts[what] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(keras.callbacks.CallbackList, "on_epoch_begin", "hooks")
    count(keras.callbacks.CallbackList, "on_epoch_end", "hooks")
    count(skdl._estimators._estimator_state, "copied", "copies")
    return counts


def test_a_callback_that_asks_for_no_estimator_has_no_model_copied(cancer, counted):
    net(epochs=6, engine="compiled").set_callbacks(Events()).fit(*cancer)
    assert counted == {"hooks": 12, "copies": 0}


def test_callbacks_that_share_a_task_share_its_copy(cancer, counted):
    net(epochs=6, engine="compiled").set_callbacks(Keeper(), ScoringMonitor(scoring="accuracy")).fit(*cancer)
    assert counted["copies"] == 7  # one for each epoch, one for the fit


# ------------------------------------------------------------------------------ failures


class Failing(Events):
    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        if context.task_name == "epoch":
            raise RuntimeError("the callback failed")


def assert_clean(estimator):
    left = {"_callback_fit_ctx", "_skl_callbacks_to_teardown", "_parent_callback_ctx"} & set(vars(estimator))
    assert not left


def test_callbacks_are_torn_down_when_the_data_are_refused(cancer, engine):
    X, y = cancer
    log = Events()
    clf = net(engine=engine).set_callbacks(log)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        clf.fit(np.where(X > 2, np.nan, X), y)
    assert log.events == [("setup", "fit 0"), ("begin", "fit 0"), ("teardown", "fit 0")]
    assert_clean(clf)
    assert clf.fit(X, y).n_iter_ == 3


@OF_TENSORFLOW
def test_callbacks_are_torn_down_when_an_epoch_fails(cancer, engine):
    class Breaks(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("the epoch failed")

    log = Events()
    clf = net(engine=engine, callbacks=Breaks()).set_callbacks(log)
    with pytest.raises(RuntimeError, match="the epoch failed"):
        clf.fit(*cancer)
    assert log.events[-2:] == [("begin", "fit 0/epoch 0"), ("teardown", "fit 0")]
    assert_clean(clf)
    assert not hasattr(clf, "model_")


def test_a_callback_that_fails_leaves_the_estimator_as_it_was(cancer, engine):
    log, clf = Failing(), net(engine=engine).fit(*cancer)
    before, history = weights(clf), copy.deepcopy(clf.history_)
    with pytest.raises(RuntimeError, match="the callback failed"):
        clf.set_callbacks(log).fit(*cancer, epochs=1)
    assert log.events[-1] == ("teardown", "fit 0")
    assert_clean(clf)
    assert clf.history_ == history
    for a, b in zip(weights(clf), before, strict=True):
        assert_array_equal(a, b)


def test_callbacks_are_torn_down_when_partial_fit_fails(cancer):
    X, y = cancer
    log = Events()
    clf = net().set_callbacks(log).partial_fit(X, y)
    with pytest.raises(ValueError, match="30 features"):
        clf.partial_fit(X[:, :4], y)
    assert log.events[-1] == ("teardown", "fit 0")
    assert_clean(clf)


# --------------------------------------------------------------------------- verbose


def lines_of(output):
    """Return the lines a terminal would show at last, without times."""
    shown = [re.split("[\r\b]+", line)[-1] for line in re.sub("\x1b\\[[0-9;]*m", "", output).splitlines()]
    return [re.sub(r"\s*\d+(s|ms|us) (\d+(s|ms|us)/step)?", " ", line).strip() for line in shown if line]


def test_verbose_prints_what_keras_prints(cancer, capsys):
    printed = {}
    for engine in ENGINES:
        net(engine=engine, verbose=1, validation_split=0.2).fit(*cancer)
        printed[engine] = lines_of(capsys.readouterr().out)
    assert printed["numpy"] == printed["compiled"] == printed["keras"]
    assert printed["keras"][::2] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    for line in printed["keras"][1::2]:
        assert re.match(r"4/4 .* accuracy: [\d.]+ - loss: [\d.]+ - val_accuracy: [\d.]+ - val_loss: ", line)


@pytest.mark.parametrize("engine", ["numpy", "compiled", "keras"])
def test_verbose_shows_how_far_an_epoch_is(capsys, monkeypatch, engine):
    monkeypatch.setattr("skdl._training._fit._SECONDS_BETWEEN_REPORTS", 0)
    X = np.random.default_rng(0).random((60_000, 20)).astype("float32")
    net(engine=engine, verbose=1, epochs=1, batch_size=100).fit(X, X[:, 0] > 0.5)
    steps = [int(step) for step in re.findall(r"(\d+)/600", capsys.readouterr().out)]
    assert steps == sorted(steps)
    assert any(0 < step < 600 for step in steps)
    assert steps[-1] == 600


def test_verbose_and_callbacks_go_together(cancer, capsys, engine):
    log = Events()
    net(engine=engine, verbose=2).set_callbacks(log).fit(*cancer)
    lines = lines_of(capsys.readouterr().out)
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    assert len(log.epochs()) == 3


def test_nothing_is_printed_by_default(cancer, capsys, engine):
    net(engine=engine).set_callbacks(Events()).fit(*cancer)
    assert capsys.readouterr() == ("", "")


# ------------------------------------------------------------------- pipelines in searches


def searched(engine, monitor=None, **params):
    clf = net(engine=engine, epochs=2, **params)
    if monitor is not None:
        clf.set_callbacks(monitor)
    steps = [("scale", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", clf)]
    return GridSearchCV(Pipeline(steps), {"net__learning_rate": [0.01, 0.1]}, cv=2)


def test_a_search_has_the_epochs_of_every_fit(cancer):
    for threads in (None, 2):
        log = Events()
        with parallel_config("threading", n_jobs=threads):
            searched("auto").set_callbacks(log).fit(*cancer)
        assert len(log.epochs()) == len(set(log.epochs())) == 2 * (2 * 2 + 1)
        begun = sorted(path for event, path in log.events if event == "begin")
        assert begun == sorted(path for event, path in log.events if event == "end")
        assert log.events[-1][0] == "teardown"
        assert sum(event in ("setup", "teardown") for event, _ in log.events) == 2


def test_a_callback_on_a_search_stops_every_training(cancer):
    search = searched("auto").set_callbacks(StopAfter(1)).fit(*cancer)
    assert search.best_estimator_["net"].n_iter_ == 1


def in_two(backend):
    return parallel_config(backend, n_jobs=2, **({"inner_max_num_threads": 1} if backend == "loky" else {}))


# Processes with networks that need no TensorFlow, which each of them would have to import.
@pytest.mark.parametrize(
    ("backend", "engine"), [("sequential", "compiled"), ("threading", "compiled"), ("loky", "numpy")]
)
def test_a_progress_bar_goes_down_to_the_networks(cancer, backend, engine, capsys):
    bar = ProgressBar(max_propagation_depth=None)
    with in_two(backend):
        searched(engine).set_callbacks(bar).fit(*cancer)
    out = capsys.readouterr().out
    bars = [line for line in out.splitlines() if "DNNClassifier - fit" in line]
    assert len(bars) == 5
    assert all("100%" in line for line in bars)


def test_the_scores_of_epochs_come_back_from_threads_and_processes(cancer):
    found = {}
    for backend in ("sequential", "threading", "loky"):
        monitor = ScoringMonitor(scoring="neg_log_loss")
        with in_two(backend):
            searched("auto", monitor).fit(*cancer)
        data = monitor.get_logs().data_as_pandas
        data = data[data.task_name == "epoch"].sort_values("task_id_path")
        found[backend] = data[["task_id_path", "neg_log_loss"]].reset_index(drop=True)
    assert len(found["sequential"]) == 2 * (2 * 2 + 1)
    assert found["sequential"].neg_log_loss.nunique() > 5
    pd.testing.assert_frame_equal(found["threading"], found["sequential"], check_exact=True)
    pd.testing.assert_frame_equal(found["loky"], found["sequential"], check_exact=True)


def test_the_validation_rows_of_a_pipeline_are_not_scored(cancer):
    X, y = cancer
    keeper = Keeper()
    pipeline = make_pipeline(StandardScaler(), net(validation_split=0.25).set_callbacks(keeper))
    pipeline.fit(X, y)
    train = np.setdiff1d(np.arange(len(y)), pipeline.validation_indices_)
    assert_array_equal(keeper.X, pipeline[0].transform(X[train]))
    assert_array_equal(keeper.y, y[train])


def test_sample_weights_are_told_with_metadata_routing_too(cancer):
    X, y = cancer
    weight = np.linspace(1, 2, len(y))
    keeper = Keeper()
    with config_context(enable_metadata_routing=True):
        clf = net().set_fit_request(sample_weight=True).set_callbacks(keeper)
        make_pipeline("passthrough", clf).fit(X, y, sample_weight=weight)
    assert_array_equal(keeper.metadata["sample_weight"], weight)


@pytest.mark.parametrize("as_list", [False, True], ids=["dict", "list"])
def test_scorers_and_callbacks_get_the_rows_of_several_inputs(as_list):
    def build():
        inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((3,), name="b")}
        joined = keras.layers.Concatenate()(list(inputs.values()))
        return keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(joined))

    rng = np.random.default_rng(0)
    X, y = {"a": rng.random((60, 2)), "b": rng.random((60, 3))}, np.arange(60) % 2
    X, keeper = list(X.values()) if as_list else X, Keeper()
    clf = KerasClassifier(build, loss="binary_crossentropy", epochs=2, random_state=0, scoring="roc_auc")
    clf.set_params(validation_split=0.25).set_callbacks(keeper).fit(X, y)
    assert np.isfinite(clf.history_["val_roc_auc"]).all()
    assert type(keeper.X) is type(X)
    assert [len(part) for part in (keeper.X if as_list else keeper.X.values())] == [45, 45]
    given = clf.set_params(validation_split=None).fit(X, y, X_val=X, y_val=y)
    proba = given.predict_proba(X)[:, 1]
    assert given.history_["val_roc_auc"][-1] == pytest.approx(roc_auc_score(y, proba))
