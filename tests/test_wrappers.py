"""KerasClassifier, KerasRegressor, BaseWrapper: what scikeras's documentation shows, and better."""

import copy
import functools
import importlib
import pickle
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import NamedTuple

import joblib
import keras
import numpy as np
import pytest
from joblib import parallel_config
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.metrics import accuracy_score, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, StandardScaler, scale

from skdl import BaseWrapper, ClassifierLabelEncoder, KerasClassifier, KerasRegressor


def _iris():
    X, y = load_iris(return_X_y=True)
    return scale(X).astype("float32"), y


def _cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X)[:200].astype("float32"), y[:200]


def _diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X).astype("float32"), scale(y)


IRIS, CANCER, DIABETES = _iris(), _cancer(), _diabetes()
NAMES = np.array(["setosa", "versicolor", "virginica"])


def softmax(meta, units=8):
    """Build a classifier with one unit per class, not compiled."""
    return keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            layers.Dense(units, activation="relu"),
            layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )


def sigmoid(meta):
    """Build a classifier of two classes with one unit."""
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), layers.Dense(1, activation="sigmoid")])


def linear(meta):
    """Build a linear regressor."""
    return keras.Sequential([keras.Input((meta["n_features_in_"],)), layers.Dense(meta["n_outputs_"])])


def classifier(model=softmax, **params):
    given = {"loss": "sparse_categorical_crossentropy", "batch_size": -1, "random_state": 0, **params}
    return KerasClassifier(model, **given)


def regressor(model=linear, **params):
    given = {"loss": "mean_squared_error", "batch_size": -1, "random_state": 0, **params}
    return KerasRegressor(model, **given)


def weights_equal(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a.get_weights(), b.get_weights(), strict=True))


@pytest.fixture(scope="module")
def fitted():
    """A classifier fitted on iris, with names for labels. For tests that only look."""
    clf = classifier(optimizer="adam", optimizer__learning_rate=0.02, epochs=15, batch_size=16, metrics="acc")
    X, y = IRIS
    return clf.fit(X, NAMES[y])


# Basic usage


def test_a_classifier_gives_back_the_labels_it_was_given(fitted):
    X, y = IRIS
    assert_array_equal(fitted.classes_, NAMES)
    assert set(fitted.predict(X)) <= set(NAMES)
    assert fitted.score(X, NAMES[y]) > 0.9


def test_probabilities_are_one_column_per_class_and_agree_with_predict(fitted):
    X, _ = IRIS
    proba = fitted.predict_proba(X)
    assert proba.shape == (150, 3)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(NAMES[proba.argmax(axis=1)], fitted.predict(X))


def test_history_has_one_entry_per_epoch_under_keras_names(fitted):
    assert set(fitted.history_) == {"loss", "acc"}
    assert len(fitted.history_["loss"]) == fitted.n_iter_ == fitted.current_epoch == 15
    assert fitted.history_["loss"][-1] < fitted.history_["loss"][0] / 2


def test_predictions_are_those_of_the_keras_model(fitted):
    X, _ = IRIS
    assert_allclose(fitted.predict_proba(X), fitted.model_.predict(X, verbose=0), atol=1e-6)


def test_a_regressor_predicts_numbers_in_the_shape_of_the_target():
    X, y = DIABETES
    reg = regressor(optimizer="sgd", optimizer__learning_rate=0.1, epochs=30).fit(X, y)
    assert reg.score(X, y) > 0.45
    assert reg.predict(X[:1]).shape == (1,)
    both = regressor().fit(X, np.column_stack([y, -y]))
    assert both.predict(X[:3]).shape == (3, 2)
    assert regressor().fit(X, y.reshape(-1, 1)).predict(X[:3]).shape == (3, 1)


def test_in_a_pipeline_the_scaler_comes_first():
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), classifier(epochs=10, batch_size=16, optimizer="adam"))
    pipe.set_params(kerasclassifier__optimizer__learning_rate=0.05)
    assert pipe.fit(X, y).score(X, y) > 0.85


def test_three_dimensional_rows_reach_the_model_as_they_are():
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].reshape(-1, 8, 8) / 16, y[:200]

    def build(meta):
        return keras.Sequential(
            [
                keras.Input(meta["X_shape_"][1:]),
                layers.Flatten(),
                layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )

    clf = classifier(build).fit(X, y)
    assert clf.X_shape_ == (200, 8, 8)
    assert clf.predict_proba(X[:4]).shape == (4, 10)


# What builders get


def test_a_builder_gets_meta_params_and_compile_arguments():
    seen = {}

    def build(meta, params, compile_kwargs, units):
        seen.update(meta=meta, params=params, compile_kwargs=compile_kwargs, units=units)
        model = softmax(meta, units)
        model.compile(**compile_kwargs)
        return model

    clf = classifier(build, optimizer="adam", optimizer__learning_rate=0.5, metrics=["acc"], model__units=3)
    clf.fit(*IRIS)
    assert seen["units"] == 3
    assert seen["params"] == clf.get_params(deep=False)
    meta = seen["meta"]
    assert {"n_features_in_", "X_shape_", "X_dtype_", "y_dtype_", "y_ndim_", "target_type_"} <= set(meta)
    assert (meta["n_features_in_"], meta["n_classes_"], meta["target_type_"]) == (4, 3, "multiclass")
    assert isinstance(seen["compile_kwargs"]["optimizer"], keras.optimizers.Adam)
    assert_allclose(float(seen["compile_kwargs"]["optimizer"].learning_rate), 0.5)
    assert clf.model_.optimizer is seen["compile_kwargs"]["optimizer"]


@pytest.mark.parametrize("name", ["units", "model__units"])
def test_builder_parameters_are_given_with_or_without_prefix(name):
    clf = classifier(**{name: 5})
    assert clf.get_params()[name] == 5
    assert clone(clf).fit(*IRIS).model_.layers[0].units == 5


def test_a_builder_parameter_with_prefix_has_the_last_word():
    assert classifier(units=5, model__units=6).fit(*IRIS).model_.layers[0].units == 6


def test_a_builder_keeps_its_own_defaults():
    assert classifier().fit(*IRIS).model_.layers[0].units == 8


class _Builder:
    """A builder that is an object."""

    def __init__(self, units):
        self.units = units

    def __call__(self, meta):
        return softmax(meta, self.units)

    def build(self, meta):
        return softmax(meta, self.units)


@pytest.mark.parametrize(
    "builder",
    [functools.partial(softmax, units=7), _Builder(7), _Builder(7).build, lambda meta: softmax(meta, 7)],
    ids=["partial", "object", "method", "lambda"],
)
def test_anything_callable_builds(builder):
    assert classifier(builder).fit(*IRIS).model_.layers[0].units == 7


def test_a_builder_with_kwargs_gets_everything():
    seen = {}

    def build(**kwargs):
        seen.update(kwargs)
        return softmax(kwargs["meta"])

    classifier(build, depth=2, model__width=3).fit(*IRIS)
    assert {"meta", "params", "compile_kwargs", "depth", "width"} == set(seen)


def test_build_fn_still_works_and_warns():
    with pytest.warns(FutureWarning, match="use model="):
        clf = KerasClassifier(build_fn=softmax, loss="sparse_categorical_crossentropy").fit(*IRIS)
    assert clf.predict(IRIS[0]).shape == (150,)


def test_a_model_compiled_by_its_builder_is_not_compiled_again():
    def build(meta):
        model = softmax(meta)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
        return model

    clf = KerasClassifier(build, random_state=0).fit(*IRIS)
    assert isinstance(clf.model_.optimizer, keras.optimizers.SGD)
    assert set(clf.history_) == {"loss", "acc"}


def test_parameters_without_effect_on_a_compiled_model_are_named():
    def build(meta):
        model = softmax(meta)
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    clf = KerasClassifier(build, optimizer="adam", optimizer__learning_rate=0.1, random_state=0)
    with pytest.warns(UserWarning, match=r"no effect: \['optimizer', 'optimizer__learning_rate'\]"):
        clf.fit(*IRIS)


# Routing


@pytest.mark.parametrize(
    "optimizer",
    ["sgd", "SGD", keras.optimizers.SGD, keras.optimizers.SGD(learning_rate=9.0)],
    ids=["name", "NAME", "class", "instance"],
)
def test_optimizer_parameters_reach_the_optimizer(optimizer):
    clf = classifier(optimizer=optimizer, optimizer__learning_rate=0.25, optimizer__momentum=0.5).fit(*IRIS)
    assert isinstance(clf.model_.optimizer, keras.optimizers.SGD)
    assert float(clf.model_.optimizer.learning_rate) == 0.25
    assert clf.model_.optimizer.momentum == 0.5


def test_an_optimizer_instance_is_copied_and_keeps_its_other_parameters():
    mine = keras.optimizers.SGD(learning_rate=0.25, momentum=0.75)
    clf = classifier(optimizer=mine, epochs=2).fit(*IRIS)
    assert clf.model_.optimizer is not mine
    assert (float(clf.model_.optimizer.learning_rate), clf.model_.optimizer.momentum) == (0.25, 0.75)
    assert int(mine.iterations) == 0
    assert clf.fit(*IRIS).current_epoch == 2


def test_parameters_route_into_parameters():
    clf = classifier(
        optimizer="sgd",
        optimizer__learning_rate=keras.optimizers.schedules.ExponentialDecay,
        optimizer__learning_rate__initial_learning_rate=0.5,
        optimizer__learning_rate__decay_steps=1,
        optimizer__learning_rate__decay_rate=0.5,
        epochs=2,
    ).fit(*IRIS)
    assert_allclose(float(clf.model_.optimizer.learning_rate), 0.125)


def test_loss_parameters_reach_the_loss():
    clf = classifier(sigmoid, loss=keras.losses.BinaryCrossentropy, loss__label_smoothing=0.5).fit(*CANCER)
    assert clf.model_.loss.label_smoothing == 0.5
    plain = classifier(sigmoid, loss="binary_crossentropy").fit(*CANCER)
    assert plain.history_["loss"] != clf.history_["loss"]


def two_outputs(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    return keras.Model(
        inputs,
        {
            "first": layers.Dense(1, activation="sigmoid", name="first")(inputs),
            "second": layers.Dense(1, activation="sigmoid", name="second")(inputs),
        },
    )


class TwoColumns(TransformerMixin, BaseEstimator):
    """Encoder of a target with two columns of 0 and 1 for `two_outputs`."""

    def fit(self, y):
        return self

    def transform(self, y):
        return {"first": y[:, 0].astype("float32"), "second": y[:, 1].astype("float32")}

    def inverse_transform(self, y, return_proba=False):
        y = np.column_stack([y["first"], y["second"]])
        return y if return_proba else (y > 0.5).astype(int)

    def get_metadata(self):
        return {"n_outputs_expected_": 2, "my_own_": "metadata"}


class TwoColumnClassifier(KerasClassifier):
    @property
    def target_encoder(self):
        return TwoColumns()

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        return np.mean([accuracy_score(t, p, **kwargs) for t, p in zip(y_true.T, y_pred.T, strict=True)])


TWO_COLUMNS = np.column_stack([CANCER[1], CANCER[0][:, 0] > 0]).astype(int)


def test_parameters_of_several_losses_and_metrics_are_routed_by_name():
    clf = TwoColumnClassifier(
        two_outputs,
        loss={"first": keras.losses.BinaryCrossentropy, "second": keras.losses.BinaryCrossentropy},
        loss__label_smoothing=0.1,
        loss__second__label_smoothing=0.3,
        metrics={"first": keras.metrics.BinaryAccuracy, "second": [keras.metrics.BinaryAccuracy]},
        metrics__first__threshold=0.25,
        batch_size=-1,
        random_state=0,
    ).fit(CANCER[0], TWO_COLUMNS)
    losses = clf.model_.loss
    assert (losses["first"].label_smoothing, losses["second"].label_smoothing) == (0.1, 0.3)
    assert {"first_binary_accuracy", "second_binary_accuracy"} < set(clf.history_)
    wrapped = clf.model_.get_compile_config()["metrics"]["first"]
    assert wrapped["config"]["threshold"] == 0.25


@pytest.mark.parametrize(
    ("metrics", "routed", "keys"),
    [
        ("accuracy", {}, {"accuracy"}),
        (["acc", "mse"], {}, {"acc", "mean_squared_error"}),
        (keras.metrics.AUC, {"metrics__curve": "PR"}, {"auc"}),
        ([keras.metrics.AUC, "accuracy"], {"metrics__0__name": "area"}, {"area", "accuracy"}),
        (keras.metrics.BinaryAccuracy(threshold=0.3, name="mine"), {}, {"mine"}),
        (keras.metrics.binary_accuracy, {}, {"binary_accuracy"}),
        (["AUC", "Precision", "recall"], {}, {"auc", "precision", "recall"}),
    ],
    ids=["name", "names", "class", "list", "instance", "function", "classes-by-name"],
)
def test_metrics_are_recorded_under_their_names(metrics, routed, keys):
    clf = classifier(sigmoid, loss="binary_crossentropy", metrics=metrics, **routed)
    for _ in range(2):  # the names must not depend on what was fitted before
        assert set(clone(clf).fit(*CANCER).history_) == {"loss", *keys}


def test_a_metric_instance_is_copied():
    mine = keras.metrics.BinaryAccuracy(threshold=0.3)
    classifier(sigmoid, loss="binary_crossentropy", metrics=[mine]).fit(*CANCER)
    assert float(mine.result()) == 0.0


def test_fit_parameters_have_the_last_word_over_those_of_the_signature():
    clf = classifier(epochs=1, fit__epochs=2, fit__validation_split=0.2, fit__batch_size=50).fit(*IRIS)
    assert clf.current_epoch == 2
    assert "val_loss" in clf.history_
    assert int(clf.model_.optimizer.iterations) == 2 * 3  # 120 rows in batches of 50


def test_arguments_of_fit_are_for_this_fit_alone():
    clf = classifier().fit(*IRIS, epochs=3, validation_split=0.2, batch_size=60)
    assert clf.current_epoch == 3
    assert "val_loss" in clf.history_
    assert int(clf.model_.optimizer.iterations) == 3 * 2
    assert clf.fit(*IRIS).current_epoch == 1
    assert set(clf.history_) == {"loss"}


def test_validation_data_may_be_given_in_the_way_of_keras():
    X, y = IRIS
    clf = classifier().fit(X, y, validation_data=(X[::2], y[::2]))
    same = classifier().fit(X, y, X_val=X[::2], y_val=y[::2])
    assert clf.history_["val_loss"] == same.history_["val_loss"]


class CountBatches(keras.callbacks.Callback):
    batches = []

    def on_predict_batch_end(self, batch, logs=None):
        self.batches.append(batch)


def test_predict_parameters_and_arguments(fitted):
    X, _ = IRIS
    clf = copy.deepcopy(fitted).set_params(predict__callbacks=CountBatches, predict__batch_size=50)
    CountBatches.batches.clear()
    assert_array_equal(clf.predict(X), fitted.predict(X))
    assert CountBatches.batches == [0, 1, 2]
    CountBatches.batches.clear()
    clf.predict(X, batch_size=-1)
    assert CountBatches.batches == [0]
    assert len(fitted.predict(X, steps=2, batch_size=10)) == 20


def test_compile_parameters_reach_compile():
    clf = classifier(compile__weighted_metrics=["acc"], compile__loss_weights=[2.0])
    plain = classifier().fit(*IRIS)
    clf.fit(*IRIS)
    assert set(clf.history_) == {"loss", "acc"}
    assert_allclose(clf.history_["loss"][0], 2 * plain.history_["loss"][0], rtol=1e-5)


def test_score_parameters_reach_the_scorer(fitted):
    X, y = IRIS
    clf = copy.deepcopy(fitted).set_params(score__normalize=False)
    assert clf.score(X, NAMES[y]) == pytest.approx(150 * fitted.score(X, NAMES[y]))
    weights = (y == 0).astype(float)
    assert fitted.score(X, NAMES[y], sample_weight=weights) == 1.0


def test_a_subclass_scores_by_its_own_scorer():
    class ByError(KerasRegressor):
        @staticmethod
        def scorer(y_true, y_pred, **kwargs):
            return -mean_squared_error(y_true, y_pred, **kwargs)

    X, y = DIABETES
    reg = ByError(linear, loss="mse", random_state=0).fit(X, y)
    assert reg.score(X, y) == -mean_squared_error(y, reg.predict(X))


def test_routed_parameters_are_parameters_like_any_other():
    clf = classifier(optimizer__learning_rate=0.5, model__units=3)
    assert clf.optimizer__learning_rate == 0.5
    assert clf.get_params()["model__units"] == 3
    assert "model__units=3" in repr(clf)
    assert clone(clf).get_params() == clf.get_params()
    clf.set_params(callbacks__patience=2)  # not given before
    assert clf.get_params()["callbacks__patience"] == 2
    clf.optimizer__learning_rate = 0.25
    assert clf.get_params()["optimizer__learning_rate"] == 0.25
    assert not [name for name in vars(clf) if "__" in name]


def test_a_search_reaches_every_kind_of_parameter():
    class Stop(keras.callbacks.Callback):
        def __init__(self, after):
            super().__init__()
            self.after = after

        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 >= self.after:
                self.model.stop_training = True

    grid = [
        {
            "model__units": [3],
            "optimizer__learning_rate": [0.5],
            "callbacks__after": [2],
            "batch_size": [20],
        },
        {"loss": [keras.losses.CategoricalCrossentropy], "loss__label_smoothing": [0.5]},
    ]
    clf = classifier(epochs=3, optimizer="sgd", callbacks=Stop, callbacks__after=9)
    search = GridSearchCV(clf, grid, cv=2, refit=False, error_score="raise").fit(*IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    first = clone(clf).set_params(**search.cv_results_["params"][0]).fit(*IRIS)
    assert first.model_.layers[0].units == 3
    assert float(first.model_.optimizer.learning_rate) == 0.5
    assert first.current_epoch == 2
    assert int(first.model_.optimizer.iterations) == 2 * 8
    assert clone(clf).set_params(**search.cv_results_["params"][1]).fit(*IRIS).model_.loss.label_smoothing


# Callbacks


class Recorder(keras.callbacks.Callback):
    """Remembers the epochs it saw; has a parameter."""

    def __init__(self, tag="a", other=None):
        super().__init__()
        self.tag, self.other = tag, other
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)


@pytest.mark.parametrize(
    ("callbacks", "routed", "tags"),
    [
        (Recorder, {"callbacks__tag": "b"}, ["b"]),
        (Recorder("c"), {"callbacks__tag": "b"}, ["b"]),
        ([Recorder, Recorder("d")], {"callbacks__tag": "b", "callbacks__1__tag": "d"}, ["b", "d"]),
        ([Recorder, Recorder], {"callbacks__tag": "b", "callbacks__1__tag": "c"}, ["b", "c"]),
        ((Recorder, Recorder), {}, ["a", "a"]),
        ({"x": Recorder, "y": Recorder}, {"callbacks__y__tag": "b"}, ["a", "b"]),
        ({"x": [Recorder, Recorder]}, {"callbacks__x__1__tag": "b"}, ["a", "b"]),
    ],
    ids=["class", "routed", "mixed", "list", "tuple", "dict", "nested"],
)
def test_callbacks_of_classes_and_with_parameters_are_made_for_each_fit(callbacks, routed, tags):
    clf = classifier(callbacks=callbacks, epochs=2, **routed).fit(*IRIS)
    assert [callback.tag for callback in clf.callbacks_] == tags
    assert all(callback.epochs == [0, 1] for callback in clf.callbacks_)
    first = clf.callbacks_
    clf.fit(*IRIS)
    assert all(callback.epochs == [0, 1] for callback in clf.callbacks_)
    assert not {id(callback) for callback in first} & {id(callback) for callback in clf.callbacks_}


class Losses(keras.callbacks.Callback):
    """Keras's own example of a callback, and the models that it has seen."""

    def __init__(self):
        super().__init__()
        self.losses, self.models = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(logs["loss"])
        self.models.append(weakref.ref(self.model))


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("wrapped", [lambda cb: cb, lambda cb: [cb], lambda cb: {"mine": cb}])
def test_a_callback_instance_is_the_one_that_is_called(engine, wrapped):
    mine = Losses()
    clf = classifier(callbacks=wrapped(mine), epochs=3, engine=engine).fit(*IRIS)
    assert mine.losses == clf.history_["loss"]
    assert [model() for model in mine.models] == [clf.model_] * 3
    assert clf.callbacks_ == [mine]
    assert mine.model is None


@pytest.mark.parametrize("engine", ["compiled", "keras"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_callback_instance_given_to_a_call_is_called(method, engine):
    mine = Losses()
    clf = classifier(engine=engine)
    getattr(clf, method)(*IRIS, callbacks=mine)
    assert mine.losses == clf.history_["loss"]
    assert mine.model is None


def test_early_stopping_given_as_an_instance_starts_anew_in_each_fit():
    mine = keras.callbacks.EarlyStopping("loss", min_delta=0.05, patience=2, restore_best_weights=True)
    clf = classifier(callbacks=mine, epochs=30, random_state=0)
    first = clf.fit(*IRIS).history_["loss"]
    stopped = mine.stopped_epoch
    assert clf.fit(*IRIS).history_["loss"] == first
    assert 0 < mine.stopped_epoch == stopped < 29


def test_a_search_leaves_a_callback_instance_untouched():
    mine = Losses()
    clf = classifier(callbacks=mine)
    search = GridSearchCV(clf, {"optimizer": ["sgd", "adam"]}, cv=2).fit(*IRIS)
    assert mine.losses == []
    (watched,) = search.best_estimator_.callbacks_
    assert watched is not mine
    assert watched.losses == search.best_estimator_.history_["loss"]


def test_threads_of_joblib_get_callback_instances_of_their_own():
    mine = Losses()
    with parallel_config("threading", n_jobs=2):
        results = cross_validate(classifier(callbacks=mine, epochs=2), *IRIS, cv=3, return_estimator=True)
    assert mine.losses == []
    watched = [clf.callbacks_[0] for clf in results["estimator"]]
    assert len({id(each) for each in watched}) == 3
    assert [each.losses for each in watched] == [clf.history_["loss"] for clf in results["estimator"]]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_a_callback_that_ends_a_fit_by_an_exception_keeps_what_it_saw_and_no_model(engine):
    class Pruned(Exception):
        pass

    class Prunes(Losses):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == 1:
                raise Pruned

    mine = Prunes()
    with pytest.raises(Pruned):
        classifier(callbacks=mine, epochs=4, engine=engine).fit(*IRIS)
    assert len(mine.losses) == 2
    assert mine.model is None


def test_a_callback_that_cannot_be_copied_is_called():
    class Locked(Losses):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

    mine = Locked()
    clf = classifier(callbacks=mine).fit(*IRIS)
    assert mine.losses == clf.history_["loss"]
    with pytest.raises(TypeError, match=r"can't be copied with the parameters \{'losses': 1\}.*class"):
        clf.set_params(callbacks__losses=1).fit(*IRIS)


def test_callbacks_of_the_signature_of_fit_parameters_and_of_the_call_all_run():
    clf = classifier(callbacks=Recorder("a"), fit__callbacks=Recorder("b"))
    clf.fit(*IRIS, callbacks=[Recorder("c")])
    assert [callback.tag for callback in clf.callbacks_] == ["a", "b", "c"]
    assert all(callback.epochs == [0] for callback in clf.callbacks_)


def test_a_callback_that_forgets_to_call_its_parent_is_taken():
    class Careless(keras.callbacks.Callback):
        def __init__(self, after):
            self.after = after

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch + 1 == self.after

    assert classifier(callbacks=[Careless(2)], epochs=4).fit(*IRIS).current_epoch == 2


def test_a_callback_may_look_at_its_model_when_it_gets_it():
    class Counts(keras.callbacks.Callback):
        def set_model(self, model):
            super().set_model(model)
            self.n_layers = len(model.layers)

    clf = classifier(callbacks=Counts).fit(*IRIS)
    assert clf.callbacks_[0].n_layers == 2
    assert clf.callbacks_[0].model is None  # its model would be pickled twice


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: keras.callbacks.EarlyStopping("loss", patience=1),
        lambda folder: keras.callbacks.ReduceLROnPlateau("loss"),
        lambda folder: keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2),
        lambda folder: keras.callbacks.TerminateOnNaN(),
        lambda folder: keras.callbacks.CSVLogger(folder / "log.csv"),
        lambda folder: keras.callbacks.ModelCheckpoint(folder / "best.keras", monitor="loss"),
        lambda folder: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
        lambda folder: keras.callbacks.BackupAndRestore(folder / "backup"),
        lambda folder: keras.callbacks.SwapEMAWeights(),
    ],
    ids=lambda make: make.__code__.co_names[-1] if make.__code__.co_names else "",
)
def test_every_callback_of_keras_runs_twice(make, tmp_path):
    optimizer = keras.optimizers.SGD(learning_rate=0.01, use_ema=True)
    clf = classifier(callbacks=make(tmp_path), epochs=2, optimizer=optimizer)
    for _ in range(2):
        clf.fit(*IRIS)
        assert np.isfinite(clf.history_["loss"]).all()
        assert clf.current_epoch == 2


# Subclasses


class MLP(KerasClassifier):
    """As scikeras's tutorial writes it: names a routed parameter that it doesn't store."""

    def __init__(
        self,
        hidden_layer_sizes=(5,),
        optimizer="adam",
        optimizer__learning_rate=0.001,
        epochs=2,
        verbose=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.optimizer = optimizer
        self.epochs = epochs
        self.verbose = verbose

    def _keras_build_fn(self, compile_kwargs):
        model = keras.Sequential([keras.Input((self.n_features_in_,))])
        for size in self.hidden_layer_sizes:
            model.add(layers.Dense(size, activation="relu"))
        if self.target_type_ == "binary":
            model.add(layers.Dense(1, activation="sigmoid"))
            loss = "binary_crossentropy"
        else:
            model.add(layers.Dense(self.n_classes_, activation="softmax"))
            loss = "sparse_categorical_crossentropy"
        model.compile(loss=loss, optimizer=compile_kwargs["optimizer"])
        return model


def learning_rate(estimator):
    return round(float(estimator.model_.optimizer.learning_rate), 6)


def test_a_routed_parameter_named_by_a_subclass_has_its_default():
    clf = MLP(random_state=0)
    assert clf.get_params()["optimizer__learning_rate"] == clf.optimizer__learning_rate == 0.001
    assert learning_rate(clf.fit(*IRIS)) == 0.001


def test_a_routed_parameter_named_by_a_subclass_reaches_the_optimizer_and_survives():
    clf = MLP(optimizer__learning_rate=0.25, random_state=0)
    assert learning_rate(clone(clf).fit(*IRIS)) == 0.25
    assert learning_rate(clone(clf).set_params(optimizer__learning_rate=0.5).fit(*CANCER)) == 0.5
    assert pickle.loads(pickle.dumps(clf)).get_params() == clf.get_params()
    assert copy.deepcopy(clf).get_params() == clf.get_params()
    search = GridSearchCV(clf, {"optimizer__learning_rate": [0.125]}, cv=2).fit(*IRIS)
    assert learning_rate(search.best_estimator_) == 0.125


def test_a_subclass_takes_the_parameters_it_passes_up():
    clf = MLP((4, 3), batch_size=75, random_state=0, callbacks=Recorder, callbacks__tag="mine")
    assert {"batch_size", "class_weight", "hidden_layer_sizes"} <= set(clf.get_params())
    clf = clone(clf).fit(*IRIS)
    assert [layer.units for layer in clf.model_.layers] == [4, 3, 3]
    assert int(clf.model_.optimizer.iterations) == 4
    assert clf.callbacks_[0].tag == "mine"


def test_several_outputs_with_an_encoder_and_a_scorer_of_their_own():
    X, y = CANCER[0], TWO_COLUMNS
    clf = TwoColumnClassifier(
        two_outputs, loss="binary_crossentropy", optimizer="adam", optimizer__learning_rate=0.05, epochs=20
    ).fit(X, y)
    assert clf.my_own_ == "metadata"
    assert clf.predict(X).shape == y.shape
    assert clf.predict_proba(X).shape == y.shape
    expected = np.mean([accuracy_score(y[:, i], clf.predict(X)[:, i]) for i in (0, 1)])
    assert clf.score(X, y) == expected > 0.9


class BinaryAndClass(TransformerMixin, BaseEstimator):
    """Encoder of a column of two labels and a column of several, for a list of two outputs."""

    def fit(self, y):
        self.encoders_ = [LabelEncoder().fit(column) for column in y.T]
        return self

    def transform(self, y):
        return [encoder.transform(column) for encoder, column in zip(self.encoders_, y.T, strict=True)]

    def inverse_transform(self, y, return_proba=False):
        if return_proba:
            return np.column_stack(y)
        codes = [(y[0] > 0.5).astype(int).ravel(), y[1].argmax(axis=1)]
        pairs = zip(self.encoders_, codes, strict=True)
        return np.column_stack([encoder.inverse_transform(code) for encoder, code in pairs])

    def get_metadata(self):
        return {"n_classes_": [len(e.classes_) for e in self.encoders_], "n_outputs_expected_": 2}


class BinaryAndClassClassifier(KerasClassifier):
    @property
    def target_encoder(self):
        return BinaryAndClass()

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        return np.mean(y_true == y_pred)


def test_outputs_of_different_kinds_as_a_list():
    X, y = IRIS
    y = np.column_stack([y == 0, y]).astype(int)

    def build(meta):
        inputs = keras.Input((meta["n_features_in_"],))
        outputs = [
            layers.Dense(1, activation="sigmoid")(inputs),
            layers.Dense(meta["n_classes_"][1], activation="softmax")(inputs),
        ]
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(0.1), ["binary_crossentropy", "sparse_categorical_crossentropy"])
        return model

    clf = BinaryAndClassClassifier(build, epochs=20, validation_split=0.2, random_state=0).fit(X, y)
    assert clf.predict(X).shape == (150, 2)
    assert clf.predict_proba(X).shape == (150, 4)
    assert clf.score(X, y) > 0.85


def parts(X):
    return [X[:, 0], X[:, 1:]]


class TwoInputs(KerasRegressor):
    @property
    def feature_encoder(self):
        return FunctionTransformer(parts)


def join(meta):
    inputs = [keras.Input((1,)), keras.Input((9,))]
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))


def test_several_inputs_through_a_feature_encoder():
    X, y = DIABETES
    reg = TwoInputs(
        join, loss="mse", optimizer="sgd", optimizer__learning_rate=0.1, epochs=20, random_state=0
    )
    reg.set_params(batch_size=-1, validation_split=0.1).fit(X, y)
    assert reg.score(X, y) > 0.4
    again = pickle.loads(pickle.dumps(reg))
    assert_array_equal(again.predict(X), reg.predict(X))


class Several(list):
    pass


class Pair(NamedTuple):
    first: np.ndarray
    others: np.ndarray


@pytest.mark.parametrize("pack", [Several, Pair._make])
def test_a_feature_encoder_may_return_its_own_kind_of_list_or_tuple(pack, monkeypatch):
    (X, y), params = DIABETES, {"loss": "mse", "optimizer": "sgd", "random_state": 0, "validation_split": 0.1}
    expected = TwoInputs(join, **params).fit(X, y).predict(X)
    packed = property(lambda self: FunctionTransformer(lambda X: pack(parts(X))))
    monkeypatch.setattr(TwoInputs, "feature_encoder", packed)
    assert_array_equal(TwoInputs(join, **params).fit(X, y).predict(X), expected)


class AutoEncoder(BaseWrapper, TransformerMixin):
    """Compresses rows: two sub-models that share the layers of the one that is trained."""

    def _keras_build_fn(self, encoding_dim, meta):
        n = meta["n_features_in_"]
        inputs, codes = keras.Input((n,)), keras.Input((encoding_dim,))
        encoder = keras.Model(inputs, layers.Dense(encoding_dim, activation="relu")(inputs))
        decoder = keras.Model(codes, layers.Dense(n, activation="sigmoid")(codes))
        self.encoder_model_ = BaseWrapper(encoder, verbose=self.verbose)
        self.decoder_model_ = BaseWrapper(decoder, verbose=self.verbose)
        return keras.Model(inputs, decoder(encoder(inputs)))

    def _initialize(self, X, y=None):
        X, _ = super()._initialize(X=X, y=y)
        codes = self.encoder_model_.initialize(X).predict(X)
        self.decoder_model_.initialize(codes)
        return X, X

    def initialize(self, X):
        self._initialize(X=X, y=X)
        return self

    def fit(self, X, *, sample_weight=None):
        super().fit(X=X, y=X, sample_weight=sample_weight)
        return self

    def score(self, X):
        return 1 - mean_squared_error(self.predict(X), X)

    def transform(self, X):
        return self.encoder_model_.predict(self.feature_encoder_.transform(X))

    def inverse_transform(self, X):
        return self.feature_encoder_.inverse_transform(self.decoder_model_.predict(X))


@pytest.fixture(scope="module")
def autoencoder():
    X = load_digits().data / 16
    model = AutoEncoder(loss="binary_crossentropy", encoding_dim=16, optimizer="adam", epochs=5)
    return X, model.set_params(random_state=0, optimizer__learning_rate=0.01).fit(X)


def test_the_parts_of_an_autoencoder_have_the_trained_weights(autoencoder):
    X, model = autoencoder
    codes = model.transform(X)
    assert codes.shape == (len(X), 16)
    assert_allclose(model.inverse_transform(codes), model.predict(X), atol=1e-5)
    assert model.score(X) > clone(model).initialize(X).score(X) + 0.02


def test_an_autoencoder_pickles_with_its_parts(autoencoder):
    X, model = autoencoder
    again = pickle.loads(pickle.dumps(model))
    assert_allclose(again.transform(X), model.transform(X), atol=1e-6)
    assert_allclose(again.predict(X), model.predict(X), atol=1e-6)


def test_base_wrapper_is_neither_classifier_nor_regressor_and_needs_a_scorer():
    X, y = DIABETES
    model = BaseWrapper(linear_of_ten, loss="mse", random_state=0).fit(X, y)
    assert model.predict(X).shape == (len(X), 1)
    assert model._estimator_type is None if hasattr(model, "_estimator_type") else True
    with pytest.raises(NotImplementedError, match="scorer"):
        model.score(X, y)


def linear_of_ten():
    return keras.Sequential([keras.Input((10,)), layers.Dense(1)])


def test_encoders_are_public_and_can_be_extended():
    class Reversed(KerasClassifier):
        @property
        def target_encoder(self):
            return ClassifierLabelEncoder(loss=self.loss, categories=[np.array([2, 1, 0])])

    with pytest.raises(ValueError, match="sorted"):
        Reversed(softmax, loss="sparse_categorical_crossentropy").fit(*IRIS)


# Custom losses and metrics


def squared(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


class Squared(keras.losses.Loss):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * squared(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Largest(keras.metrics.Metric):
    """The largest error so far."""

    def __init__(self, power=1, name="largest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.power = power
        self.value = self.add_variable((), "zeros", name="value")

    def update_state(self, y_true, y_pred, sample_weight=None):
        error = keras.ops.max(keras.ops.abs(y_true - y_pred))
        self.value.assign(keras.ops.maximum(self.value, error**self.power))

    def result(self):
        return self.value

    def get_config(self):
        return {**super().get_config(), "power": self.power}


@pytest.mark.parametrize(
    ("loss", "routed", "factor"),
    [
        (squared, {}, 1),
        (Squared, {}, 1),
        (Squared, {"loss__factor": 3.0}, 3),
        (Squared(3.0), {}, 3),
        ("mse", {}, 1),
        (keras.losses.mean_squared_error, {}, 1),
        (keras.losses.MeanSquaredError(), {}, 1),
    ],
    ids=["function", "class", "class with parameter", "instance", "name", "keras function", "keras instance"],
)
def test_losses_of_ones_own(loss, routed, factor):
    X, y = DIABETES
    expected = regressor().fit(X, y).history_["loss"][0] * factor
    assert_allclose(regressor(loss=loss, **routed).fit(X, y).history_["loss"][0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("metrics", "routed", "power"),
    [([Largest], {}, 1), (Largest, {"metrics__power": 2}, 2), ([Largest(power=2)], {}, 2)],
    ids=["class", "class with parameter", "instance"],
)
def test_metrics_of_ones_own(metrics, routed, power):
    X, y = DIABETES
    reg = regressor(metrics=metrics, epochs=2, optimizer__learning_rate=1e-9, **routed).fit(X, y)
    largest = np.abs(y - reg.predict(X)).max() ** power
    assert_allclose(reg.history_["largest"], [largest, largest], rtol=1e-4)
    assert set(regressor(metrics=[squared]).fit(X, y).history_) == {"loss", "squared"}


# Models that are there already


def prebuilt(compiled=True):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    if compiled:
        model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
def test_a_model_is_never_trained_in_place_and_gives_the_starting_weights(compiled):
    X, y = IRIS
    mine = prebuilt(compiled)
    before = mine.get_weights()
    clf = KerasClassifier(mine, epochs=2, random_state=0, **({} if compiled else SPARSE)).fit(X, y)
    assert clf.model_ is not mine
    assert clf.model is mine
    assert mine.compiled == compiled
    for weight, was, trained in zip(mine.get_weights(), before, clf.model_.get_weights(), strict=True):
        assert_array_equal(weight, was)
        assert not np.array_equal(weight, trained)
    first = [w.copy() for w in clf.model_.get_weights()]
    clf.fit(X, y)  # from the starting weights again
    for weight, was in zip(clf.model_.get_weights(), first, strict=True):
        assert_array_equal(weight, was)
    still = KerasClassifier(mine, random_state=0, optimizer__learning_rate=1e-12, optimizer="sgd", **SPARSE)
    if not compiled:
        for weight, was in zip(still.fit(X, y).model_.get_weights(), before, strict=True):
            assert_allclose(weight, was, atol=1e-6)


SPARSE = {"loss": "sparse_categorical_crossentropy"}


def test_a_clone_shares_the_model_but_not_the_training():
    mine = prebuilt()
    one = KerasClassifier(mine, random_state=0).fit(*IRIS)
    other = clone(one).set_params(epochs=3).fit(*IRIS)
    assert not weights_equal(one.model_, other.model_)
    assert weights_equal(mine, prebuilt())


def test_a_trained_model_predicts_after_initialize_alone(fitted):
    X, y = IRIS
    clf = KerasClassifier(fitted.model_, **SPARSE).initialize(X, NAMES[y])
    assert_array_equal(clf.predict(X), fitted.predict(X))
    assert clf.current_epoch == 0
    assert not hasattr(clf, "history_")


def test_fit_after_initialize_does_not_train_the_given_model():
    mine = prebuilt()
    KerasClassifier(mine, random_state=0, warm_start=True).initialize(*IRIS).fit(*IRIS)
    KerasClassifier(mine, random_state=0).initialize(*IRIS).partial_fit(*IRIS)
    assert weights_equal(mine, prebuilt())


def test_a_model_saved_by_keras_comes_back_through_initialize(fitted, tmp_path):
    X, y = IRIS
    fitted.model_.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    clf = KerasClassifier(loaded).initialize(X, NAMES[y])
    assert_array_equal(clf.predict_proba(X), fitted.predict_proba(X))


def test_initialize_builds_without_training():
    X, y = IRIS
    clf = classifier(epochs=5).initialize(X, y)
    assert clf.initialized_
    assert clf.current_epoch == 0
    assert clf.predict(X).shape == (150,)


class Subclassed(keras.Model):
    """A model that is built by its first call."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units, activation="softmax")

    def call(self, inputs):
        return self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.parametrize("given", [lambda: Subclassed(), Subclassed()], ids=["builder", "model"])
def test_subclassed_models_are_built_by_the_data(given):
    X, y = IRIS
    clf = KerasClassifier(given, random_state=0, **SPARSE).fit(X, y)
    assert clf.predict_proba(X).shape == (150, 3)
    again = copy.deepcopy(clf)
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))


def test_a_model_without_input_layer_is_built_by_the_data():
    model = keras.Sequential([layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.25), "sparse_categorical_crossentropy")
    clf = copy.deepcopy(clone(KerasClassifier(model, random_state=0))).fit(*IRIS)
    assert clf.predict_proba(IRIS[0]).shape == (150, 3)
    assert learning_rate(clf) == 0.25
    assert not model.built
    assert not clf.model.built


def test_a_models_own_train_step_is_used():
    class Counting(keras.Model):
        steps = 0

        def train_step(self, data):
            type(self).steps += 1  # while it is traced, or in each step
            return super().train_step(data)

    def build(meta):
        inputs = keras.Input((4,))
        return Counting(inputs, layers.Dense(3, activation="softmax")(inputs))

    classifier(build, run_eagerly=True, batch_size=50).fit(*IRIS)
    assert Counting.steps >= 3


def test_logits_become_probabilities():
    def logits(meta):
        return keras.Sequential([keras.Input((4,)), layers.Dense(3)])

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    proba = classifier(logits, loss=loss).fit(*IRIS).predict_proba(IRIS[0])
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert (proba >= 0).all()

    def one_logit(meta):
        return keras.Sequential([keras.Input((meta["n_features_in_"],)), layers.Dense(1)])

    clf = classifier(one_logit, loss=keras.losses.BinaryCrossentropy, loss__from_logits=True).fit(*CANCER)
    proba = clf.predict_proba(CANCER[0])
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(clf.predict(CANCER[0]), (proba[:, 1] > 0.5).astype(int))


# Pickling


OBJECTS = """
import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("lab")
class Registered(layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Unregistered(Registered):
    pass


def swish3(x):
    return x * ops.sigmoid(3 * x)


def loss_function(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


class LossClass(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return loss_function(y_true, y_pred)


def metric_function(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


class MetricClass(keras.metrics.MeanMetricWrapper):
    def __init__(self, name="metric_class", dtype=None):
        super().__init__(metric_function, name=name, dtype=dtype)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


class Rows(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def build(meta):
    inputs = keras.Input((meta["n_features_in_"],))
    hidden = layers.Dense(4, activation=swish3)(inputs)
    hidden = Unregistered(3.0)(Registered(0.5)(hidden))
    return Rows(inputs, layers.Dense(1)(hidden))
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Module `lab_objects` on disk, with custom objects of every kind."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "lab_objects.py").write_text(OBJECTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("lab_objects"), folder
        sys.modules.pop("lab_objects")


def _with_objects(module, kind):
    given = {
        "functions": {"loss": module.loss_function, "metrics": [module.metric_function]},
        "classes": {"loss": module.LossClass, "metrics": [module.MetricClass]},
        "instances": {"loss": module.LossClass(), "metrics": [module.MetricClass()]},
    }[kind]
    return regressor(module.build, **given)


KINDS = ["functions", "classes", "instances"]


@pytest.fixture(scope="module")
def with_objects(module):
    return {kind: _with_objects(module[0], kind).fit(*DIABETES) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_estimators_with_custom_objects_are_copied_whole(with_objects, kind, tmp_path):
    X, y = DIABETES
    reg = with_objects[kind]
    joblib.dump(reg, tmp_path / "reg.joblib")
    copies = {
        "pickle": pickle.loads(pickle.dumps(reg)),
        "deepcopy": copy.deepcopy(reg),
        "joblib": joblib.load(tmp_path / "reg.joblib"),
    }
    ahead = copy.deepcopy(reg).partial_fit(X, y)
    for way, again in copies.items():
        assert_array_equal(again.predict(X), reg.predict(X), err_msg=way)
        assert again.history_ == reg.history_, way
        assert again.get_params().keys() == reg.get_params().keys()
        assert type(again.model_) is type(reg.model_)
        # They go on alike, with the optimizer's state, and apart from each other.
        assert_array_equal(again.partial_fit(X, y).predict(X), ahead.predict(X), err_msg=way)
        assert not np.array_equal(again.predict(X), reg.predict(X)), way


@pytest.mark.parametrize("kind", KINDS)
def test_estimators_with_custom_objects_are_cloned(with_objects, kind):
    again = clone(with_objects[kind]).fit(*DIABETES)
    assert_array_equal(again.predict(DIABETES[0]), with_objects[kind].predict(DIABETES[0]))


def test_estimators_with_custom_objects_go_on_in_a_fresh_process(with_objects, module, tmp_path):
    X, y = DIABETES
    joblib.dump((with_objects, X, y), tmp_path / "all.joblib")
    script = """
        import sys, joblib
        estimators, X, y = joblib.load(sys.argv[1])
        results = {}
        for kind, reg in estimators.items():
            before = reg.predict(X)
            results[kind] = before, reg.partial_fit(X, y).predict(X)
        joblib.dump(results, sys.argv[2])
    """
    paths = [str(tmp_path / "all.joblib"), str(tmp_path / "results.joblib")]
    command = [sys.executable, "-c", textwrap.dedent(script), *paths]
    env = {"PYTHONPATH": ":".join([str(module[1]), *filter(None, sys.path)])}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    for kind, (before, after) in joblib.load(paths[1]).items():
        assert_allclose(before, with_objects[kind].predict(X), rtol=1e-5)
        ahead = copy.deepcopy(with_objects[kind]).partial_fit(X, y)
        assert_allclose(after, ahead.predict(X), rtol=1e-4, atol=1e-5)


def test_unfitted_estimators_pickle():
    clf = classifier(optimizer__learning_rate=0.5, callbacks=[Recorder("x")], metrics=[keras.metrics.AUC])
    again = pickle.loads(pickle.dumps(clf))
    assert again.get_params().keys() == clf.get_params().keys()
    assert again.optimizer__learning_rate == 0.5
    assert not again.initialized_


def test_a_model_given_as_parameter_pickles_and_deep_copies():
    clf = KerasClassifier(prebuilt(), random_state=0).fit(*IRIS)
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert weights_equal(again.model, clf.model)
        assert weights_equal(again.model_, clf.model_)
        assert again.fit(*IRIS).model_ is not again.model
        assert weights_equal(again.model_, clf.model_)


def _times(factor):
    def activation(x):
        return x * factor

    return activation


def _layer(factor):
    class Times(layers.Layer):
        def call(self, inputs):
            return inputs * factor

    return Times()


def relu(x):
    return -x


@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.Activation(_times(2.0)), layers.Activation(_times(-3.0))],
        lambda: [_layer(2.0), _layer(-3.0)],
        lambda: [layers.Activation(relu)],
    ],
    ids=["functions", "classes", "one of Keras's"],
)
@pytest.mark.parametrize("through", [copy.deepcopy, lambda reg: pickle.loads(pickle.dumps(reg))])
def test_namesakes_are_told_apart_by_a_copy(make, through):
    def build(meta):
        return keras.Sequential([keras.Input((10,)), layers.Dense(2), *make(), layers.Dense(1)])

    X, y = DIABETES
    reg = regressor(build).fit(X, y)
    reg.model = None  # a local function can't be pickled
    assert_array_equal(through(reg).predict(X), reg.predict(X))


def test_lambdas_are_told_apart_by_a_copy():
    def build(meta):
        inputs = keras.Input((meta["n_features_in_"],))
        hidden = layers.Lambda(lambda x: 2 * x)(layers.Dense(2)(inputs))
        return keras.Model(inputs, layers.Lambda(lambda x: -3 * x)(layers.Dense(1)(hidden)))

    X, y = DIABETES
    reg = regressor(build).fit(X, y)
    assert_array_equal(copy.deepcopy(reg).predict(X), reg.predict(X))


def test_a_model_of_custom_layers_is_cloned_and_searched(module):
    X, y = DIABETES
    model = module[0].build({"n_features_in_": 10})
    search = GridSearchCV(regressor(model), {"epochs": [1, 2]}, cv=2, error_score="raise").fit(X, y)
    assert not weights_equal(search.best_estimator_.model_, model)


# Going on with training


def test_partial_fit_trains_one_epoch_from_the_current_one():
    X, y = IRIS
    clf = classifier(epochs=3, callbacks=Recorder)
    for epoch in range(3):
        clf.partial_fit(X, y)
        assert clf.current_epoch == clf.n_iter_ == epoch + 1
        assert clf.callbacks_[0].epochs == [epoch]
    assert len(clf.history_["loss"]) == 3
    assert_allclose(clf.predict_proba(X), classifier(epochs=3).fit(X, y).predict_proba(X), atol=1e-6)


def test_partial_fit_goes_on_after_fit_and_fit_starts_anew():
    X, y = IRIS
    clf = classifier(epochs=2).fit(X, y)
    loss = clf.history_["loss"]
    clf.partial_fit(X, y)
    assert clf.history_["loss"][:2] == loss
    assert clf.current_epoch == 3
    assert clf.fit(X, y).history_["loss"] == loss


def test_partial_fit_takes_classes_that_come_later():
    X, y = IRIS
    clf = classifier().partial_fit(X[:60], NAMES[y[:60]], classes=NAMES)
    assert_array_equal(clf.classes_, NAMES)
    assert clf.predict_proba(X).shape == (150, 3)
    clf.partial_fit(X[90:], NAMES[y[90:]])
    clf.partial_fit(X[:10], NAMES[y[:10]])  # one class only, for once
    assert clf.current_epoch == 3
    with pytest.raises(ValueError, match="differs from the first call"):
        clf.partial_fit(X, NAMES[y], classes=NAMES[:2])


def test_partial_fit_refuses_labels_it_was_not_told():
    X, y = IRIS
    clf = classifier(sigmoid, loss="binary_crossentropy").partial_fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"not among the classes.*\[2\]"):
        clf.partial_fit(X, y)
    assert clf.current_epoch == 1


def test_warm_start_goes_on_from_the_weights_and_counts_anew():
    X, y = IRIS
    clf = classifier(epochs=3, warm_start=True, optimizer="adam", optimizer__learning_rate=0.05).fit(X, y)
    before, model = clf.history_["loss"], clf.model_
    clf.fit(X, y)
    assert clf.model_ is model
    assert clf.history_["loss"][0] < before[-1]
    assert clf.current_epoch == 3


def test_without_warm_start_fit_builds_a_new_model():
    clf = classifier()
    model = clf.fit(*IRIS).model_
    assert clf.fit(*IRIS).model_ is not model
    assert weights_equal(model, clf.model_)


def test_initial_epoch_is_counted_by_callbacks():
    clf = classifier(epochs=2, fit__initial_epoch=3, callbacks=Recorder).fit(*IRIS)
    assert clf.callbacks_[0].epochs[0] == 3


# Arguments of Keras that are the estimators' own


@pytest.mark.parametrize("name", ["class_weight", "sample_weight"])
def test_weights_are_not_given_to_keras_behind_the_estimators_back(name):
    X, y = load_iris(return_X_y=True)
    clf = KerasClassifier(lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]))
    with pytest.raises(ValueError, match=f"Invalid parameter 'fit__{name}'"):
        clf.set_params(**{f"fit__{name}": None}).fit(X, y)


class Both(keras.callbacks.Callback):
    """Acts on training and on predictions, and looks at its model in both."""

    def __init__(self):
        super().__init__()
        self.epochs, self.predictions = [], 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append((self.params["epochs"], len(self.model.layers)))

    def on_predict_end(self, logs=None):
        self.predictions += len(self.model.layers) == 2


def test_callbacks_of_fit_and_of_predict_are_called_there_and_keep_no_model():
    mine, theirs, of_call = Both(), Both(), Both()
    clf = classifier(callbacks=mine, epochs=3, predict__callbacks=[theirs]).fit(*IRIS)
    clf.predict(IRIS[0], callbacks=[of_call])
    assert mine.epochs == [(3, 2)] * 3
    assert [each.predictions for each in (mine, theirs, of_call)] == [0, 1, 1]
    assert [each.model for each in (mine, theirs, of_call)] == [None, None, None]


def test_callbacks_are_copied_neither_by_fit_nor_by_predict():
    class Copied(keras.callbacks.Callback):
        copies = 0

        def __deepcopy__(self, memo):
            Copied.copies += 1
            return Copied()

    X, y = load_iris(return_X_y=True)
    model = [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
    clf = KerasClassifier(
        lambda: keras.Sequential(model), loss="sparse_categorical_crossentropy", callbacks=[Copied()]
    ).fit(X, y)
    clf.predict(X)
    assert Copied.copies == 0
    assert clone(clf).callbacks[0] is not clf.callbacks[0]
