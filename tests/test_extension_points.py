"""What subclasses may override, as scikeras has it: builder, encoders, scorer."""

import contextlib
import functools
import pickle
import sys
import types

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

from skdl import (
    BaseWrapper,
    ClassifierLabelEncoder,
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    RegressorTargetEncoder,
)

X, Y = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


# The builder


class Softmax(KerasClassifier):
    """Keeps what its builder was given."""

    def _keras_build_fn(self, units, meta, params, compile_kwargs):
        self.given_ = {"units": units, "meta": meta, "params": params, "compile_kwargs": compile_kwargs}
        return keras.Sequential(
            [
                keras.Input((meta["n_features_in_"],)),
                layers.Dense(units, activation="relu"),
                layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )


def no_such_name(self, units=None):
    return np.no_such_name


@pytest.mark.parametrize("kind", [property, functools.cached_property], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["model_", "target_encoder", "mine"])
def test_an_attribute_error_inside_of_a_property_is_told_as_itself(name, kind):
    attribute = kind(no_such_name)
    if kind is functools.cached_property:
        attribute.__set_name__(KerasClassifier, name)
    clf = type("Mine", (KerasClassifier,), {name: attribute})()
    with pytest.raises(AttributeError, match="module 'numpy' has no attribute 'no_such_name'"):
        getattr(clf, name)


@pytest.mark.parametrize("name", ["_keras_build_fn", "target_encoder", "feature_encoder"])
def test_an_attribute_error_while_the_model_is_made_is_told_as_itself(name):
    attribute = no_such_name if name == "_keras_build_fn" else property(no_such_name)
    clf = type("Mine", (Softmax,), {name: attribute})(loss="sparse_categorical_crossentropy", model__units=3)
    with pytest.raises(AttributeError, match="module 'numpy' has no attribute 'no_such_name'"):
        clf.fit(X, Y)
    assert not clf.__sklearn_is_fitted__()
    assert not hasattr(clf, "model_")


def test_a_builder_of_a_subclass_gets_what_it_asks_for():
    clf = Softmax(loss="sparse_categorical_crossentropy", model__units=3, optimizer="sgd", random_state=0)
    given = clf.fit(X, Y).given_
    assert given["units"] == 3
    assert given["params"] == clf.get_params()
    assert isinstance(given["compile_kwargs"]["optimizer"], keras.optimizers.SGD)
    assert given["meta"]["n_features_in_"] == 4
    assert given["meta"]["X_shape_"] == (150, 4)
    assert given["meta"]["target_type_"] == "multiclass"
    assert_array_equal(given["meta"]["classes_"], [0, 1, 2])


class Tanh(DNNClassifier):
    """A ready-made estimator with one more layer."""

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width

    def _keras_build_fn(self):
        base = super()._keras_build_fn()
        outputs = layers.Dense(self.n_classes_, activation="softmax")(
            layers.Dense(self.width, activation="tanh")(base.layers[0].output)
        )
        return keras.Model(base.inputs, outputs)


def test_a_ready_made_estimator_can_be_built_otherwise():
    clf = Tanh(7, hidden_layer_sizes=(5,), epochs=2, optimizer__beta_1=0.8, random_state=0)
    clf = clone(clf).fit(X, Y)
    assert [layer.units for layer in clf.model_.layers[1:]] == [5, 7, 3]
    assert clf.model_.optimizer.beta_1 == 0.8
    search = GridSearchCV(clf, {"width": [2, 4], "learning_rate": [0.1]}, cv=2).fit(X, Y)
    assert search.best_params_["width"] in (2, 4)


def test_the_signature_of_a_subclass_counts_with_that_of_its_parents():
    assert {"width", "hidden_layer_sizes", "epochs"} <= set(Tanh().get_params())
    with pytest.raises(
        TypeError, match=r"Tanh\(\) got an unexpected keyword argument 'widht'. Did you mean 'width'"
    ):
        Tanh(widht=3)


def test_ready_made_estimators_are_no_wrappers():
    assert not issubclass(DNNClassifier, BaseWrapper)
    assert not hasattr(DNNClassifier(), "model")


# Encoders


class Remembers(BaseEstimator, TransformerMixin):
    """Passes on what it is given, and tells what it has learnt from."""

    def fit(self, X, y=None):
        self.n_rows_ = len(X)
        return self

    def transform(self, X):
        return X

    def inverse_transform(self, y):
        return y.ravel()

    def get_metadata(self):
        return {"my_own_": self.n_rows_}


class RemembersFeatures(KerasRegressor):
    @property
    def feature_encoder(self):
        return Remembers()


def linear(meta):
    model = keras.Sequential([keras.Input((meta["n_features_in_"],)), layers.Dense(1)])
    model.my_own = meta.get("my_own_")
    return model


def test_what_an_encoder_tells_becomes_an_attribute_and_goes_to_the_builder():
    reg = RemembersFeatures(linear, loss="mse", random_state=0).fit(*DIABETES)
    assert reg.my_own_ == reg.model_.my_own == 442


class Scaled(KerasRegressor):
    """Standardises features and target itself."""

    @property
    def feature_encoder(self):
        return StandardScaler()

    @property
    def target_encoder(self):
        return StandardisedTarget()


class StandardisedTarget(RegressorTargetEncoder):
    def fit(self, y):
        super().fit(y)
        self.mean_, self.scale_ = y.mean(), y.std()
        return self

    def transform(self, y):
        return (super().transform(y) - self.mean_) / self.scale_

    def inverse_transform(self, y):
        return super().inverse_transform(y) * self.scale_ + self.mean_


def scaled(**params):
    return Scaled(linear, loss="mse", optimizer="adam", epochs=2, random_state=0, **params)


def scaler_of(features):
    """A scaler of the rows in the type in which the model gets them."""
    return StandardScaler().fit(features.astype("float32"))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_encoders_turn_features_and_target_and_predictions_back(kind):
    features, y = DIABETES
    reg = scaled(optimizer__learning_rate=0.05).set_params(epochs=30).fit(features, y.astype(kind))
    assert reg.score(features, y) > 0.4
    assert reg.predict(features.astype(kind)).dtype == kind


def test_encoders_learn_nothing_from_rows_held_out():
    features, y = DIABETES
    reg = scaled(validation_split=0.3)
    train, held_out = clone(reg)._split_validation(features, y)
    reg.fit(features, y)
    assert_array_equal(reg.feature_encoder_.mean_, scaler_of(features[train]).mean_)
    assert reg.target_encoder_.mean_ == pytest.approx(y[train].mean())
    given = scaled().fit(features[train], y[train], X_val=features[held_out], y_val=y[held_out])
    assert_array_equal(given.feature_encoder_.mean_, reg.feature_encoder_.mean_)


def test_encoders_learn_nothing_from_rows_of_no_weight():
    features, y = DIABETES
    weight = np.arange(len(y)) % 2
    reg = scaled().fit(features, y, sample_weight=weight)
    assert_array_equal(reg.feature_encoder_.mean_, scaler_of(features[weight == 1]).mean_)


def test_every_class_is_known_also_where_its_rows_are_held_out():
    class Sees(KerasClassifier):
        @property
        def target_encoder(self):
            return ClassifierLabelEncoder(loss=self.loss)

    def build(meta):
        return keras.Sequential([keras.Input((4,)), layers.Dense(meta["n_classes_"], activation="softmax")])

    clf = Sees(build, loss="sparse_categorical_crossentropy", validation_split=0.5, random_state=0).fit(X, Y)
    assert_array_equal(clf.classes_, [0, 1, 2])


def test_target_encoders_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match=r"sorted labels, each once; got \['b', 'a'\]"):
        ClassifierLabelEncoder(categories=[["b", "a"]]).fit(np.array(["a", "b"]))
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        ClassifierLabelEncoder().fit(np.array([0.5, 1.7, 2.2]))
    with pytest.raises(ValueError, match="y has 3 columns, but RegressorTargetEncoder was fitted on 2"):
        RegressorTargetEncoder().fit(np.zeros((4, 2))).transform(np.zeros((4, 3)))
    several = ClassifierLabelEncoder().fit(np.array([[0, 1], [1, 2], [2, 0]]))
    with pytest.raises(NotImplementedError, match="write a target_encoder"):
        several.inverse_transform(np.zeros((3, 2)))


class Settled(KerasClassifier):
    """Has no parameters: its author has settled them."""

    def __init__(self):
        super().__init__(loss="sparse_categorical_crossentropy", epochs=3, random_state=0)

    def _keras_build_fn(self):
        return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])


class SettledDense(DNNClassifier):
    def __init__(self, epochs=2):
        super().__init__((5,), epochs=epochs, validation_split=0.2, random_state=0)


@pytest.mark.parametrize(("make", "epochs"), [(Settled, 3), (SettledDense, 2)])
def test_a_subclass_may_leave_parameters_out_of_its_signature(make, epochs):
    clf = clone(make())
    assert_array_equal(clf.fit(X, Y).predict_proba(X), make().fit(X, Y).predict_proba(X))
    assert clf.n_iter_ == epochs
    assert pickle.loads(pickle.dumps(clf)).score(X, Y) == clf.score(X, Y)


class OnComponents(DNNRegressor):
    @property
    def feature_encoder(self):
        return PCA(3, random_state=0)


def test_a_ready_made_network_takes_the_rows_as_the_encoder_leaves_them():
    reg = OnComponents((4,), epochs=2, random_state=0).fit(*DIABETES)
    assert reg.model_.input_shape == (None, 3)
    assert reg.predict(DIABETES[0][:5]).shape == (5,)


# The scorer


class Balanced(DNNClassifier):
    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        return balanced_accuracy_score(y_true, y_pred, **kwargs)


def test_a_subclass_of_a_ready_made_estimator_scores_in_its_own_way():
    rows = np.r_[0:60, 100:105]
    clf = Balanced((4,), epochs=1, random_state=0).fit(X[rows], Y[rows])
    assert clf.score(X[rows], Y[rows]) == balanced_accuracy_score(Y[rows], clf.predict(X[rows]))


# What others see of it


def test_mlflow_does_not_take_encoders_for_the_users_estimators(monkeypatch):
    # As its autolog does: all fits of scikit-learn's classes are logged, unless it is disabled.
    logged, disabled = [], []

    @contextlib.contextmanager
    def disable_autologging():
        disabled.append(True)
        yield
        disabled.clear()

    module = types.SimpleNamespace(disable_autologging=disable_autologging)
    monkeypatch.setitem(sys.modules, "mlflow.utils.autologging_utils", module)
    for kind in (SklearnPipeline, OrdinalEncoder, FunctionTransformer):
        fit = kind.fit
        monkeypatch.setattr(
            kind,
            "fit",
            lambda self, *a, fit=fit, **k: (disabled or logged.append(self), fit(self, *a, **k))[1],
        )
    clf = Softmax(loss="sparse_categorical_crossentropy", model__units=2)
    clf.fit(X, Y).partial_fit(X, Y)
    assert not logged
    assert not disabled
    SklearnPipeline([("net", clone(clf))]).fit(X, Y)
    assert [type(each) for each in logged] == [SklearnPipeline]
