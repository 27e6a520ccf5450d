"""ONNX models predict what the estimators predict that they were written from."""

import subprocess
import sys
import textwrap
from functools import partial

import keras
import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
from imblearn.over_sampling import SMOTE
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline as make_sklearn_pipeline
from sklearn.pipeline import make_union
from sklearn.preprocessing import (
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

import skdl
from skdl import (
    BaseWrapper,
    CNNClassifier,
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    TabularClassifier,
    TabularRegressor,
    make_pipeline,
    to_onnx,
)
from skdl._dense._formulas import ACTIVATIONS

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (1000, 4))
CODES = (X[:, :2] > 3) @ [1, 1]
NAMES = np.array(["low", "mid", "high"])[CODES]
SHORT = {"epochs": 2, "batch_size": 100, "random_state": 0}
Dense, Classifier, Regressor = (
    keras.layers.Dense,
    partial(DNNClassifier, **SHORT),
    partial(DNNRegressor, **SHORT),
)


def frame():
    """Return a table of numbers, integers, flags and text, with gaps among the numbers."""
    table = pd.DataFrame(X, columns=list("abcd"))
    table["count"], table["flag"] = np.arange(1000) % 7, X[:, 0] > 3
    table["town"] = np.array(["Ulm", "Köln", "Bonn"])[RNG.permutation(CODES)]
    table.loc[::9, "a"] = np.nan
    return table


TABLE = frame()
IMAGES = RNG.integers(0, 255, (40, 8, 8)).astype("uint8")
LABELS = (X > 3).astype(int)


def predicted(model, X):
    """Return the outputs of an ONNX model, for one array or for a column each."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    if isinstance(X, pd.DataFrame):
        columns = {name: np.asarray(X[name])[:, None] for name in X}
        as_text = np.vectorize(str, otypes=[object])
        return session.run(
            None, {name: v if v.dtype.kind in "biuf" else as_text(v) for name, v in columns.items()}
        )
    return session.run(None, {"X": X})


def check(estimator, X, *, empty=True):
    """Compare an ONNX model with the estimator for all rows, one and none."""
    model = to_onnx(estimator, X)
    for rows in (X, X[:1]):
        outputs = predicted(model, rows)
        labels = estimator.predict(rows)
        if len(outputs) == 2:
            np.testing.assert_array_equal(outputs[0], labels)
            if hasattr(estimator, "predict_proba"):  # hard voting has none
                np.testing.assert_allclose(outputs[1], estimator.predict_proba(rows), atol=1e-5)
        else:
            np.testing.assert_allclose(outputs[0], np.reshape(labels, outputs[0].shape), rtol=1e-5, atol=1e-5)
    if empty:
        assert [output.shape for output in predicted(model, X[:0])] == [
            (0, *output.shape[1:]) for output in outputs
        ]
    return model


# Dense networks.


@pytest.mark.parametrize("y", [CODES, CODES * 2.0, CODES == 1, NAMES, NAMES == "mid", NAMES.astype(object)])
def test_classes_of_any_type_come_back(y):
    check(Classifier((5,)).fit(X, y), X)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_rows_are_given_in_the_type_of_the_sample(dtype):
    rows = X.clip(0).astype(dtype)
    model = check(Classifier((5,)).fit(rows, NAMES), rows)
    (given,) = onnxruntime.InferenceSession(model.SerializeToString()).get_inputs()
    names = {"float32": "float", "float64": "double"}
    assert given.type == f"tensor({names.get(dtype, dtype)})"


def test_one_hot_targets():
    model = check(Classifier((5,), loss="categorical_crossentropy").fit(X, np.eye(3)[CODES]), X)
    assert [output.shape for output in predicted(model, X)] == [(1000, 3)] * 2


@pytest.mark.parametrize(
    "loss", ["BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy"]
)
def test_logits_become_probabilities(loss):
    loss = getattr(keras.losses, loss)(from_logits=True)
    y = NAMES if "ategorical" in loss.name else NAMES == "mid"
    check(Classifier((5,), loss=loss).fit(X, y), X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_of_dense_networks(activation):
    check(Regressor((6,), activation=activation).fit(X - 3, X[:, 0]), X - 3)


def test_normalisation_and_dropout():
    def build(meta):
        layers = [
            Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(0.3),
            keras.layers.Dropout(0.5),
        ]
        return keras.Sequential([keras.Input((4,)), *layers, keras.layers.ELU(0.7), Dense(1, "sigmoid")])

    clf = KerasClassifier(build, loss="binary_crossentropy", optimizer="adam", **SHORT).fit(X, NAMES == "low")
    model = check(clf, X)
    assert {"Dropout", "BatchNormalization"}.isdisjoint({node.op_type for node in model.graph.node})


def test_normalization_layers_are_constants_of_the_graph():
    def build(meta):
        rows = keras.Input((4,))
        inner = keras.Sequential([keras.Input((4,)), keras.layers.Normalization(), Dense(3)])
        return keras.Model(rows, Dense(1, "sigmoid")(inner(keras.layers.Normalization()(rows))))

    clf = KerasClassifier(build, loss="binary_crossentropy", optimizer="adam", **SHORT).fit(X, NAMES == "low")
    before = clf.predict_proba(X)
    check(clf, X)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_without_a_sample_inputs_are_those_of_fit():
    clf = Classifier((5,)).fit(X, NAMES)
    of_net = to_onnx(clf)
    of_pipeline = to_onnx(make_pipeline(StandardScaler(), Classifier((5,))).fit(X, NAMES))
    np.testing.assert_allclose(predicted(of_net, X.astype("float32"))[1], clf.predict_proba(X), atol=1e-5)
    assert predicted(of_pipeline, X)[1].shape == (1000, 3)
    frame = pd.DataFrame(X, columns=list("abcd"))
    with pytest.raises(ValueError, match="needs X_sample"):
        to_onnx(Classifier((5,)).fit(frame, NAMES))


# Models that tf2onnx converts.


class Wave(keras.layers.Layer):
    def call(self, x):
        return keras.ops.sin(x) + keras.ops.mean(x, axis=-1, keepdims=True)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(5, "relu"), Dense(3, "softmax")

    def call(self, x):
        return self.out(self.hidden(x))


def with_own_layer(meta):
    rows = keras.Input((4,))
    joined = keras.layers.Concatenate()([Wave()(Dense(4)(rows)), rows])
    return keras.Model(rows, Dense(3, "softmax")(joined))


@pytest.mark.parametrize("build", [with_own_layer, lambda: Subclassed()], ids=["own layer", "own model"])
def test_models_of_any_kind(build):
    clf = KerasClassifier(build, loss="sparse_categorical_crossentropy", optimizer="adam", **SHORT)
    before = keras.config.floatx(), "object" in vars(np)
    check(make_pipeline(StandardScaler(), clf).fit(X, NAMES), X)
    assert (keras.config.floatx(), "object" in vars(np)) == before


def test_recurrent_networks():
    """skl2onnx can't sort their nodes, and onnxruntime's LSTM takes at least one row."""

    def build(meta):
        return keras.Sequential([keras.Input((4, 1)), keras.layers.LSTM(3), Dense(2)])

    reg = KerasRegressor(build, loss="mse", optimizer="adam", **SHORT)
    check(reg.fit(X[:, :, None], X[:, :2]), X[:, :, None], empty=False)


def test_integers_for_embeddings():
    def build(meta):
        rows = keras.Input((4,), dtype="int32")
        return keras.Model(
            rows, Dense(3, "softmax")(keras.layers.Flatten()(keras.layers.Embedding(20, 2)(rows)))
        )

    rows = X.clip(0).astype(int)
    clf = KerasClassifier(build, loss="sparse_categorical_crossentropy", optimizer="adam", **SHORT)
    check(clf.fit(rows, NAMES), rows)


def test_a_wrapper_that_decodes_nothing():
    net = BaseWrapper(
        lambda: keras.Sequential([keras.Input((4,)), Dense(4)]), loss="mse", optimizer="adam", **SHORT
    )
    check(net.fit(X, X), X)


# Tabular estimators.

SMALL = {
    "hidden_layer_sizes": 4,
    "n_members": 2,
    "n_folds": 2,
    "epochs": 1,
    "batch_size": 256,
    "random_state": 0,
}


def test_arrays_for_tabular_estimators():
    rows = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
    check(TabularRegressor(**SMALL).fit(rows, X[:, :2] * 100), rows)


def test_correlated_and_constant_columns_for_tabular_estimators():
    rows = np.c_[X, X + np.random.default_rng(1).normal(scale=0.1, size=X.shape), np.ones(len(X))]
    clf = TabularClassifier(**SMALL).fit(rows, NAMES)
    assert clf.feature_encoder_.n_encoded_ > rows.shape[1]
    check(clf, rows)


def test_raw_tables_for_tabular_estimators():
    table = TABLE.assign(level=pd.Categorical(TABLE["count"] % 4), gone=TABLE["town"].where(TABLE["flag"]))
    clf = TabularClassifier(**SMALL).fit(table, NAMES)
    model = check(clf, table)
    extremes = {"a": [np.inf, -np.inf], "count": [-5, 10**9], "town": ["Rom", "Ulm"], "level": [9, 0]}
    unknown = table[:2].assign(**extremes)
    np.testing.assert_allclose(predicted(model, unknown)[1], clf.predict_proba(unknown), atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_similar_rows_for_tabular_estimators(kind):
    rng = np.random.RandomState(0)
    rows, y = rng.randn(200, 4), rng.randint(3, size=200)
    rows, y = np.concatenate([rows, rows + 1e-3 * rng.randn(200, 4)]), np.concatenate([y, y])
    estimator = TabularClassifier if kind == "classes" else TabularRegressor
    fitted = estimator(**{**SMALL, "n_folds": 3, "batch_size": 32}).fit(rows, y)
    assert fitted.neighbors_.share > 0.1
    check(fitted, rows[::2] + 0.01)


# Every estimator with every kind of target.


def branched(meta):
    """Return a network that is no dense chain, for any target."""
    rows = keras.Input((4,))
    joined = keras.layers.Concatenate()([Dense(4, "relu")(rows), rows])
    activation, loss = {
        "binary": ("sigmoid", "binary_crossentropy"),
        "multilabel-indicator": ("sigmoid", "binary_crossentropy"),
        "multiclass": ("softmax", "sparse_categorical_crossentropy"),
    }.get(meta["target_type_"], (None, "mse"))
    n = 1 if meta["target_type_"] == "binary" else meta.get("n_classes_", meta["n_outputs_"])
    model = keras.Model(rows, Dense(n, activation)(joined))
    model.compile("adam", loss)
    return model


CLASSIFIERS = {
    "dense": (Classifier((5,)), X),
    "wrapper": (KerasClassifier(branched, **SHORT), X),
    "images": (CNNClassifier(**SHORT), IMAGES),
    "table": (TabularClassifier(**SMALL), TABLE),
}


@pytest.mark.parametrize("y", [NAMES, np.where(CODES == 1, "yes", "no"), LABELS])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_with_every_target(name, y):
    """Tabular estimators take no rows of several labels."""
    clf, rows = CLASSIFIERS[name]
    if name != "table" or y.ndim == 1:
        check(clf.fit(rows, y[: len(rows)]), rows)


@pytest.mark.parametrize("y", [X[:, 0], X[:, :2]])
@pytest.mark.parametrize("reg", [Regressor((5,)), KerasRegressor(branched, **SHORT)])
def test_every_regressor_with_every_target(reg, y):
    outputs = predicted(check(reg.fit(X, y), X), X)
    assert [output.shape for output in outputs] == [(1000, y[0].size)]


# Pipelines.


PIPELINES = {
    "scaled": make_pipeline(StandardScaler(), Classifier((5,))),
    "sampled": make_pipeline(MinMaxScaler(), SMOTE(random_state=0), Classifier((5,))),
    "passed": make_pipeline("passthrough", RobustScaler(), Classifier((5,))),
    "nested": make_pipeline(make_sklearn_pipeline(StandardScaler(), PCA(3)), Normalizer(), Classifier((5,))),
    "joined": make_pipeline(make_union(PCA(2), StandardScaler()), SelectKBest(k=4), Classifier((5,))),
    "imputed": make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), Classifier((5,))),
    "searched": GridSearchCV(
        make_pipeline(StandardScaler(), Classifier((5,))), {"dnnclassifier__epochs": [1, 2]}, cv=2
    ),
    "frozen": FrozenEstimator(make_pipeline(StandardScaler(), Classifier((5,))).fit(X, NAMES)),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines(name):
    rows = X
    if name == "imputed":
        rows = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
        rows[:, 3] = X[:, 3]
    check(PIPELINES[name].fit(rows, NAMES), rows)


SCALED = make_pipeline(StandardScaler(), SMOTE(random_state=0), Classifier((5,)))
LINE = LogisticRegression()


@pytest.mark.parametrize("y", [CODES, NAMES, NAMES == "low"])
@pytest.mark.parametrize(
    "ensemble",
    [
        VotingClassifier([("net", SCALED), ("line", LINE)], voting="soft"),
        VotingClassifier([("net", SCALED), ("line", LINE)]),
        BaggingClassifier(Classifier((5,)), 2, max_features=0.5, random_state=0),
        StackingClassifier([("net", Classifier((5,))), ("line", LINE)], cv=2),
    ],
    ids=["soft voting", "voting", "bagging", "stacking"],
)
def test_ensembles(ensemble, y):
    if y.dtype == bool and type(ensemble) is not BaggingClassifier:
        y = y.astype(int)  # skl2onnx writes no flags for these
    check(ensemble.fit(X, y), X)


@pytest.mark.parametrize(
    ("method", "inside"),
    [
        ("sigmoid", Classifier((5,))),
        ("sigmoid", SCALED),
        ("sigmoid", make_pipeline(StandardScaler(), LINE)),
        ("isotonic", LINE),
        ("temperature", SCALED),
        ("temperature", LINE),
    ],
)
def test_calibrated_classifiers(method, inside):
    for y, ensemble in ((NAMES, True), (NAMES == "low", False)):
        calibrated = CalibratedClassifierCV(inside, method=method, cv=2, ensemble=ensemble)
        check(make_pipeline(MinMaxScaler(), calibrated).fit(X, y), X)


def test_isotonic_calibration_has_the_steps_of_scikit_learn():
    """They are steep, so that they are compared for the scores of the written network."""
    calibrated = CalibratedClassifierCV(SCALED, method="isotonic", cv=2, ensemble=False).fit(X, NAMES)
    (pair,) = calibrated.calibrated_classifiers_
    scores = predicted(to_onnx(pair.estimator, X), X)[1]
    steps = np.column_stack(
        [each.predict(score) for each, score in zip(pair.calibrators, scores.T, strict=True)]
    )
    labels, probabilities = predicted(to_onnx(calibrated, X), X)
    np.testing.assert_allclose(probabilities, steps / steps.sum(axis=1, keepdims=True), atol=1e-12)
    assert np.mean(labels == calibrated.predict(X)) > 0.99


def test_isotonic_calibration_where_a_class_never_is_the_last():
    """Rows of which each calibrated probability is 0 get the same share of each class."""
    calibrated = CalibratedClassifierCV(Classifier((5,)), method="isotonic", cv=2).fit(X[::20], CODES[::20])
    assert (calibrated.predict_proba(X) == 0).any()
    check(calibrated, X)


def test_saturated_probabilities_keep_their_order():
    """onnxruntime's own Sigmoid is 0 below -18, and off by half at -16."""
    rows = np.linspace(-40, 20, 500)[:, None]
    clf = Classifier((), epochs=1).fit(rows, rows[:, 0] > 0)
    clf.model_.set_weights([np.ones((1, 1)), np.zeros(1)])
    np.testing.assert_allclose(predicted(to_onnx(clf, rows), rows)[1], clf.predict_proba(rows), rtol=1e-5)


@pytest.mark.parametrize(
    "decision",
    [
        FixedThresholdClassifier(SCALED, threshold=0.2),
        FixedThresholdClassifier(SCALED, threshold=0.2, pos_label=1),
        TunedThresholdClassifierCV(Classifier((5,)), scoring="f1", cv=2),
        TunedThresholdClassifierCV(LINE, cv=2),
    ],
    ids=["fixed", "first class", "tuned for f1 of class 1", "tuned"],
)
def test_thresholds(decision):
    y = np.where(NAMES == "high", 1, 2)
    check(decision.fit(X, y), X)
    assert (decision.predict(X) != decision.estimator_.predict(X)).any()
    check(make_pipeline(StandardScaler(), FixedThresholdClassifier(SCALED, threshold=0.9)).fit(X, y == 1), X)


@pytest.mark.parametrize(
    "transformed",
    [
        {"transformer": StandardScaler()},
        {"transformer": MinMaxScaler()},
        {"func": np.log1p, "inverse_func": np.expm1},
        {"func": np.sqrt, "inverse_func": np.square},
    ],
)
def test_targets_that_are_transformed(transformed):
    y = np.exp(np.abs(X[:, :2]))
    for target in (y, y[:, 0]):
        reg = TransformedTargetRegressor(make_pipeline(StandardScaler(), Regressor((5,))), **transformed)
        check(reg.fit(X, target), X)


def test_columns_of_a_frame_are_inputs_of_their_own_types():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["count", "a", "flag"]),
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        (OrdinalEncoder(), ["count"]),
        remainder="passthrough",
    )
    model = check(make_pipeline(columns, Classifier((5,))).fit(TABLE, NAMES), TABLE)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    types = {each.name: each.type[7:-1] for each in session.get_inputs()}
    doubles = dict.fromkeys("abcd", "double")
    assert types == {**doubles, "count": "int64", "flag": "bool", "town": "string"}
    unknown = TABLE[:2].assign(town="Rom")
    np.testing.assert_allclose(
        predicted(model, unknown)[1],
        make_pipeline(columns, Classifier((5,))).fit(TABLE, NAMES).predict_proba(unknown),
        atol=1e-5,
    )


def test_types_of_columns_are_those_of_all_rows():
    numbers = pl.DataFrame({"a": range(1002), "b": [*range(1001), None]})
    clf = TabularClassifier(**SMALL).fit(numbers, np.arange(1002) % 2)
    session = onnxruntime.InferenceSession(to_onnx(clf, numbers).SerializeToString())
    assert [each.type for each in session.get_inputs()] == ["tensor(int64)", "tensor(double)"]
    columns = {name: numbers[name].to_numpy()[:, None] for name in numbers.columns}
    np.testing.assert_allclose(session.run(None, columns)[1], clf.predict_proba(numbers), atol=1e-5)


def test_frames_without_a_column_transformer():
    numbers = TABLE[["count", "flag", "b"]]
    check(make_pipeline(StandardScaler(), Classifier((5,))).fit(numbers, NAMES), numbers)
    check(Classifier((5,)).fit(numbers, NAMES), numbers)
    texts = TABLE[["town", "count"]]
    check(make_pipeline(OneHotEncoder(), Classifier((5,))).fit(texts, NAMES), texts)
    select = make_column_transformer((StandardScaler(), make_column_selector(dtype_include="number")))
    check(
        make_pipeline(select, Classifier((5,))).fit(TABLE[["b", "count", "town"]], NAMES),
        TABLE[["b", "count", "town"]],
    )


# What is refused.


class OwnTarget(DNNClassifier):
    @property
    def target_encoder(self):
        return skdl.ClassifierLabelEncoder()


class OwnFeatures(DNNClassifier):
    @property
    def feature_encoder(self):
        return StandardScaler()


class OwnPredict(DNNClassifier):
    def predict(self, X, **kwargs):
        return super().predict(X, **kwargs)


class Renamed(DNNClassifier):
    pass


@pytest.mark.parametrize(
    ("cls", "name"),
    [(OwnTarget, "target_encoder"), (OwnFeatures, "feature_encoder"), (OwnPredict, "predict")],
)
def test_code_of_a_subclass_is_refused_by_name_before_writing(cls, name, tmp_path):
    pipeline = make_pipeline(StandardScaler(), cls((5,), **SHORT)).fit(X, NAMES)
    with pytest.raises(
        ValueError, match=f"{cls.__name__} can't be written as ONNX: its {name} is code of its own"
    ):
        to_onnx(pipeline, X, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_subclass_without_such_code_is_converted():
    check(Renamed((5,), **SHORT).fit(X, NAMES), X)


class Halves(TransformerMixin, BaseEstimator):
    """A transformer that does not tell how many columns it was fitted to."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X / 2

    def inverse_transform(self, X):
        return 2 * X


def test_what_skl2onnx_does_not_know_is_named():
    pipeline = make_pipeline(SplineTransformer(), Classifier((5,))).fit(X, NAMES)
    with pytest.raises(ValueError, match=r"(?s)register a converter .*SplineTransformer.*no corresponding"):
        to_onnx(pipeline, X)
    reg = Regressor((5,))
    for transformed, name in (
        ({"func": np.cbrt, "inverse_func": lambda y: y**3}, "inverse_func <lambda>"),
        ({"transformer": QuantileTransformer(n_quantiles=9)}, "QuantileTransformer"),
        ({"transformer": Halves()}, "with the Halves; it can with the transformers MaxAbsScaler"),
    ):
        with pytest.raises(ValueError, match=name):
            to_onnx(TransformedTargetRegressor(reg, **transformed).fit(X, X[:, 0]), X)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_model_that_computes_something_else_is_refused(method, monkeypatch, tmp_path):
    clf = Classifier((5,)).fit(X, NAMES)
    monkeypatch.setattr(Renamed, method, lambda self, X: getattr(super(Renamed, self), method)(X)[::-1])
    monkeypatch.setattr(getattr(Renamed, method), "__module__", "skdl.test")
    clf.__class__ = Renamed
    with pytest.raises(ValueError, match=f"differs from {method} of Renamed in"):
        to_onnx(clf, X, tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        to_onnx(make_pipeline(StandardScaler(), Classifier((5,))), X)


@pytest.mark.parametrize("missing", ["skl2onnx", "onnxruntime"])
def test_without_the_extra_one_error_says_what_to_install(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r'pip install "skdl\[onnx\]"'):
        to_onnx(Classifier((5,)).fit(X, NAMES), X)


# skl2onnx's own function, and other processes.


def test_skl2onnx_converts_the_estimators_itself():
    pipeline = make_sklearn_pipeline(StandardScaler(), Renamed((5,), **SHORT)).fit(X, NAMES)
    rows = X.astype("float32")
    labels, shares = predicted(skl2onnx.to_onnx(pipeline, rows[:1]), rows)
    np.testing.assert_array_equal(labels, pipeline.predict(rows))
    assert list(shares[0]) == ["high", "low", "mid"]  # as for scikit-learn's own classifiers
    model = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    np.testing.assert_allclose(predicted(model, X)[1], pipeline.predict_proba(X), atol=1e-5)


def test_classes_of_one_name_have_converters_of_their_own():
    clf = Renamed((5,), **SHORT).fit(X, NAMES)
    type("Renamed", (DNNRegressor,), {"__module__": "another"})
    model = skl2onnx.to_onnx(clf, X[:1], options={id(clf): {"zipmap": False}})
    np.testing.assert_allclose(predicted(model, X)[1], clf.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("estimator", "rows", "y"),
    [
        (make_pipeline(StandardScaler(), SMOTE(random_state=0), Classifier((5,))), X, NAMES),
        (KerasClassifier(branched, **SHORT), X, LABELS),
        (CNNClassifier(**SHORT), IMAGES, NAMES[:40] == "low"),
        (TabularRegressor(**SMALL), TABLE, X[:, :2]),
    ],
    ids=["Pipeline", "wrapper", "images", "table"],
)
def test_a_process_without_tensorflow_and_scikit_learn_predicts(estimator, rows, y, tmp_path):
    to_onnx(estimator.fit(rows, y), rows, tmp_path / "net.onnx")
    columns = {"X": rows}
    if isinstance(rows, pd.DataFrame):
        columns = {name: rows[[name]].to_numpy("U4" if name == "town" else None) for name in rows}
    np.savez(tmp_path / "rows.npz", **columns)
    code = """
        import sys
        for name in ("tensorflow", "keras", "sklearn", "pandas", "skdl", "skl2onnx", "onnx"):
            sys.modules[name] = None
        import numpy as np, onnxruntime
        columns = np.load("rows.npz").items()
        columns = {name: v.astype(object) if v.dtype.kind == "U" else v for name, v in columns}
        *labels, numbers = onnxruntime.InferenceSession("net.onnx").run(None, columns)
        np.savez("answers.npz", numbers=numbers, **({"labels": labels[0].astype(str)} if labels else {}))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)
    answers, method = np.load(tmp_path / "answers.npz"), "predict"
    if "labels" in answers:
        method = "predict_proba"
        np.testing.assert_array_equal(answers["labels"], estimator.predict(rows).astype(str))
    np.testing.assert_allclose(answers["numbers"], getattr(estimator, method)(rows), rtol=1e-5, atol=1e-5)


def test_dense_networks_are_written_without_tensorflow():
    code = """
        import sys
        import numpy as np, skdl
        X, y = np.random.default_rng(0).random((60, 3)), np.arange(60) % 2
        skdl.to_onnx(skdl.DNNClassifier((4,), epochs=1).fit(X, y), X)
        print("tensorflow" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")
