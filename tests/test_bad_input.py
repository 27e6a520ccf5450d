"""Bad input gets scikit-learn's kind of error before any training, and the estimator stays as it was."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import scale

from skdl import (
    BaseWrapper,
    CNNClassifier,
    DNNClassifier,
    DNNRegressor,
    KerasClassifier,
    KerasRegressor,
    TabularRegressor,
)

IRIS = load_iris(return_X_y=True)
X, Y = scale(IRIS[0]).astype("float32"), IRIS[1]
NAMES = np.array(["setosa", "versicolor", "virginica"])
TRAINED = []


class Recording(keras.Model):
    """Records that it was trained."""

    def train_step(self, data):
        TRAINED.append(self)
        return super().train_step(data)


def build(meta, units=None):
    inputs = keras.Input((meta["n_features_in_"],))
    classes = meta.get("n_classes_")
    units = units or classes or meta["n_outputs_"]
    return Recording(inputs, layers.Dense(units, activation="softmax" if classes else None)(inputs))


SPARSE = "sparse_categorical_crossentropy"


def keras_classifier(model=build, **params):
    return KerasClassifier(model, **{"loss": SPARSE, "random_state": 0, "batch_size": -1, **params})


def keras_regressor(model=build, **params):
    return KerasRegressor(model, **{"loss": "mse", "random_state": 0, "batch_size": -1, **params})


class _Recorded:
    def _keras_build_fn(self):
        model = super()._keras_build_fn()
        return Recording(model.inputs[0], model.outputs[0])


class RecordedDNNClassifier(_Recorded, DNNClassifier):
    pass


class RecordedDNNRegressor(_Recorded, DNNRegressor):
    pass


def dnn_classifier(**params):
    return RecordedDNNClassifier((4,), **{"epochs": 1, "batch_size": -1, "random_state": 0, **params})


def dnn_regressor(**params):
    return RecordedDNNRegressor((4,), **{"epochs": 1, "batch_size": -1, "random_state": 0, **params})


CLASSIFIERS = [keras_classifier, dnn_classifier]
REGRESSORS = [keras_regressor, dnn_regressor]
EVERY = pytest.mark.parametrize("make", CLASSIFIERS + REGRESSORS)
EVERY_CLASSIFIER = pytest.mark.parametrize("make", CLASSIFIERS)


def state(estimator):
    """What an estimator is made of, its weights included."""
    model = vars(estimator).get("model_")
    kept = {name: value for name, value in vars(estimator).items() if name != "_routed_params"}
    found = None if model is None else [w.copy() for w in model.get_weights()]
    return kept, dict(estimator._routed_params), found


def assert_same_state(estimator, before):
    after = state(estimator)
    assert list(after[0]) == list(before[0])
    for name, value in before[0].items():
        assert after[0][name] is value or (isinstance(value, dict) and after[0][name] == value), name
    assert after[1] == before[1]
    for now, was in zip(after[2] or [], before[2] or [], strict=True):
        assert_array_equal(now, was)


def assert_refused(estimator, error, match, *args, method="fit", **kwargs):
    """A call raises before it trains, and leaves the estimator as it was."""
    before = state(estimator)
    TRAINED.clear()
    with pytest.raises(error, match=match):
        getattr(estimator, method)(*args, **kwargs)
    assert not TRAINED
    assert_same_state(estimator, before)


@pytest.fixture(scope="module")
def fitted():
    """One fitted estimator of each kind, and what it predicted."""
    return {make: make().fit(X, Y) for make in CLASSIFIERS + REGRESSORS}


def assert_refused_fresh_and_fitted(make, fitted, error, match, *args, **kwargs):
    assert_refused(make(), error, match, *args, **kwargs)
    predicted = fitted[make].predict(X)
    assert_refused(fitted[make], error, match, *args, **kwargs)
    assert_array_equal(fitted[make].predict(X), predicted)


def test_the_recorder_records(fitted):
    TRAINED.clear()
    for make in CLASSIFIERS + REGRESSORS:
        make(run_eagerly=True).fit(X, Y) if "keras" in make.__name__ else make().fit(X, Y)
    assert len(TRAINED) >= 4


# Data


def with_value(value):
    bad = X.copy()
    bad[3, 1] = value
    return bad


@EVERY
@pytest.mark.parametrize(("value", "words"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_not_a_number_or_infinity(make, value, words, fitted):
    match = f"Input X contains {words}"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, with_value(value), Y)
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, sparse.csr_array(with_value(value)), Y)
    assert_refused(fitted[make], ValueError, match, with_value(value), method="predict")
    assert_refused(fitted[make], ValueError, match, with_value(value), Y, method="partial_fit")


@EVERY
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number_in_the_target(make, value, fitted):
    y = Y.astype(float)
    y[3] = value
    assert_refused_fresh_and_fitted(make, fitted, ValueError, "Input y contains (NaN|infinity)", X, y)


@EVERY
@pytest.mark.parametrize("value", [np.nan, -1.0, "text"])
def test_bad_sample_weights(make, value, fitted):
    weight = np.ones(150).astype(object if isinstance(value, str) else float)
    weight[3] = value
    match = "sample_weight contains NaN|Negative values in data passed to `sample_weight`|could not convert"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, sample_weight=weight)


@EVERY
def test_sample_weights_of_other_length_or_all_zero(make, fitted):
    for weight, match in (
        (np.ones(149), r"sample_weight.shape == \(149,\), expected \(150,\)"),
        (np.zeros(150), "at least one non-zero number"),
    ):
        assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, sample_weight=weight)


@EVERY
def test_empty_arrays(make, fitted):
    assert_refused_fresh_and_fitted(make, fitted, ValueError, r"Found array with 0 sample\(s\)", X[:0], Y[:0])
    assert_refused_fresh_and_fitted(make, fitted, ValueError, r"0 feature\(s\)", X[:, :0], Y)
    assert_refused(fitted[make], ValueError, r"0 sample\(s\)", X[:0], method="predict")


@EVERY_CLASSIFIER
def test_one_class_only(make, fitted):
    match = r"needs rows of at least 2 classes, but the data contains only one class: 1\."
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, np.ones(150, dtype=int))
    one = (Y == 1).astype(float)  # no other class has any weight
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, sample_weight=one)


@EVERY
def test_x_and_y_of_different_length(make, fitted):
    match = r"inconsistent numbers of samples: \[150, 149\]"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y[:-1])
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, X_val=X, y_val=Y[:-1])


@EVERY
def test_no_target(make, fitted):
    assert_refused_fresh_and_fitted(make, fitted, ValueError, "requires y to be passed", X, None)


@EVERY
def test_no_rows_at_all(make, fitted):
    assert_refused_fresh_and_fitted(make, fitted, ValueError, "Expected 2D array, got scalar array", None, Y)
    assert_refused(fitted[make], ValueError, "Expected 2D array, got scalar array", None, method="predict")


@EVERY
@pytest.mark.parametrize(
    ("odd", "error", "match"),
    [
        ("a", ValueError, "could not convert string to float"),
        ([1.0], ValueError, "setting an array element with a sequence"),
        (object(), TypeError, "must be a string or a real number"),
    ],
)
def test_objects_of_several_kinds(make, odd, error, match, fitted):
    mixed = X.astype(object)
    mixed[3, 1] = odd
    assert_refused_fresh_and_fitted(make, fitted, error, match, mixed, Y)


@EVERY
def test_text_instead_of_numbers(make, fitted):
    text = np.array([["a", "b"]] * 150)
    assert_refused_fresh_and_fitted(make, fitted, ValueError, "could not convert string to float", text, Y)


METHODS = ["predict", "score", "partial_fit"]


@pytest.mark.parametrize(
    ("make", "method"),
    [(make, method) for make in CLASSIFIERS + REGRESSORS for method in METHODS]
    + [(make, "predict_proba") for make in CLASSIFIERS],
)
def test_another_number_of_features(make, method, fitted):
    args = (X[:, :3], Y) if method in ("score", "partial_fit") else (X[:, :3],)
    match = "X has 3 features, but .* is expecting 4 features"
    assert_refused(fitted[make], ValueError, match, *args, method=method)


@EVERY
def test_validation_rows_with_another_number_of_features(make, fitted):
    match = "X has 3 features, but .* is expecting 4 features"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, X_val=X[:, :3], y_val=Y)


@EVERY
def test_prediction_before_fit(make):
    for method in ("predict", "predict_proba", "score"):
        if hasattr(make(), method):
            args = (X, Y) if method == "score" else (X,)
            assert_refused(make(), NotFittedError, "is not fitted yet", *args, method=method)


@EVERY
def test_half_of_the_validation_data(make, fitted):
    for given, missing in (({"X_val": X}, "X_val"), ({"y_val": Y}, "y_val")):
        match = f"only {missing} is given; give both or neither"
        assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, **given)
    match = "sample_weight_val needs X_val and y_val"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, sample_weight_val=np.ones(150))


@EVERY
def test_validation_data_of_another_form(make, fitted):
    for given, kind in ((0.2, "float"), ((X, Y, None, None), "tuple of length 4")):
        match = rf"must be a tuple \(X_val, y_val\) .* got {kind}"
        assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, validation_data=given)
    match = "got validation_data and X_val. Pass either"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, X_val=X, validation_data=(X, Y))


@EVERY_CLASSIFIER
def test_labels_of_the_validation_rows_that_training_lacks(make, fitted):
    match = r"y_val contains labels that y does not: \['other'\]; classes of y: \['setosa', 'versicolor'"
    y_val = np.append(NAMES[Y][1:], "other")
    assert_refused(make(), ValueError, match, X, NAMES[Y], X_val=X, y_val=y_val)
    match = r"y_val contains labels that y does not: \[7\]; classes of y: \[0, 1, 2\]"
    assert_refused_fresh_and_fitted(make, fitted, ValueError, match, X, Y, X_val=X, y_val=np.append(Y[1:], 7))


@EVERY_CLASSIFIER
def test_a_continuous_target_for_a_classifier(make, fitted):
    y = np.linspace(0, 1, 150)
    assert_refused_fresh_and_fitted(make, fitted, ValueError, "Unknown label type: continuous", X, y)


@EVERY_CLASSIFIER
def test_class_weights_of_unknown_labels_or_words(make):
    match = r"class_weight has labels that y does not: \['x'\]; classes of y: \['setosa'"
    assert_refused(make(class_weight={"x": 2.0}), ValueError, match, X, NAMES[Y])
    match = "The 'class_weight' parameter of .* must be .* Got 'even' instead"
    assert_refused(make(class_weight="even"), ValueError, match, X, Y)


@EVERY_CLASSIFIER
def test_a_split_that_can_not_hold_every_class(make):
    y = np.where(np.arange(150) == 0, 1, 0)
    with pytest.warns(UserWarning, match=r"none of the labels \[1\].*give X_val and y_val"):
        clf = make(validation_split=0.2).fit(X, y)
    assert clf.classes_.tolist() == [0, 1]
    assert "val_loss" in clf.history_


@EVERY
def test_early_stopping_without_rows_to_watch(make):
    clf = make(early_stopping=True, validation_split=0)
    assert_refused(clf, ValueError, "validation_split=0 holds none out: give X_val and y_val", X, Y)
    clf = make(early_stopping=True)
    assert_refused(clf, ValueError, "partial_fit does not support early_stopping", X, Y, method="partial_fit")


def test_images_that_are_none():
    clf = CNNClassifier(2, epochs=1)
    assert_refused(clf, ValueError, r"rows of 4 numbers.*give image_shape=\(height, width\)", X, Y)
    clf = CNNClassifier(2, epochs=1, image_shape=(3, 3))
    assert_refused(clf, ValueError, r"image_shape=\(3, 3\) does not fit rows of shape \(4,\)", X, Y)


def test_rows_of_too_many_dimensions():
    match = "dim <= 2 is required by .*CNNClassifier for images"
    assert_refused(dnn_classifier(), ValueError, match, X.reshape(150, 2, 2), Y)


# Builders


@pytest.mark.parametrize("returned", [None, 5, [1], keras.Model], ids=str)
def test_a_builder_that_returns_no_model(returned):
    def forgets(meta):
        return returned

    match = r"builder 'forgets' must return a keras.Model, but returned .*Does it end with 'return model'"
    assert_refused(keras_classifier(forgets), TypeError, match, X, Y)


def test_something_that_builds_nothing():
    assert_refused(keras_classifier(None), ValueError, "model=None, but there is nothing to build", X, Y)
    assert_refused(keras_classifier("mlp"), ValueError, "The 'model' parameter .* Got 'mlp' instead", X, Y)
    both = KerasClassifier(build, build_fn=build, loss=SPARSE)
    assert_refused(both, ValueError, "Both model and build_fn are given; give model alone", X, Y)

    class Own(KerasClassifier):
        def _keras_build_fn(self):
            return build({"n_features_in_": 4, "n_classes_": 3})

    assert_refused(Own(build, loss=SPARSE), ValueError, "leave one of them out", X, Y)


def test_a_builder_that_fails_is_not_hidden():
    def fails(meta):
        raise RuntimeError("out of ideas")

    assert_refused(keras_classifier(fails), RuntimeError, "out of ideas", X, Y)


@pytest.mark.parametrize(
    ("units", "loss", "y", "match"),
    [
        (2, SPARSE, Y, r"output has 2 units, but 3 classes with .* need 3 units"),
        (1, SPARSE, Y, r"output has 1 unit, but 3 classes with .* need 3 units"),
        (1, SPARSE, Y[:100], r"output has 1 unit, but 2 classes with .* need 2 units\."),
        (1, "categorical_crossentropy", Y[:100], r"output has 1 unit, but 2 classes with .* need 2 units\."),
        (3, "binary_crossentropy", Y[:100], r"3 units, but 2 classes .* need 2 units, or one sigmoid unit"),
        (2, "binary_crossentropy", 1 - np.eye(3, dtype=int)[Y], r"output has 2 units, but the target has 3"),
    ],
)
def test_a_model_whose_output_does_not_fit_the_classes(units, loss, y, match):
    clf = keras_classifier(loss=loss, model__units=units)
    assert_refused(clf, ValueError, match, X[: len(y)], y)


def test_a_model_whose_output_does_not_fit_the_numbers():
    model = keras_regressor(model__units=2)
    assert_refused(model, ValueError, "output has 2 units, but the target has 1 column", X, Y)
    match = "output has 2 units, but the target has 3 columns. End the model with a layer of 3"
    assert_refused(model, ValueError, match, X, np.column_stack([Y, Y, Y]))


def test_a_model_that_takes_other_rows():
    def narrow(meta):
        return build({**meta, "n_features_in_": 3})

    match = r"model takes rows of shape \(3,\), but X has rows of shape \(4,\)"
    assert_refused(keras_classifier(narrow), ValueError, match, X, Y)


def test_another_number_of_outputs():
    def two(meta):
        inputs = keras.Input((4,))
        return keras.Model(inputs, [layers.Dense(1)(inputs), layers.Dense(1)(inputs)])

    match = "The target needs a model with 1 output, but this one has 2"
    assert_refused(keras_regressor(two), ValueError, match, X, Y)


def without_loss(meta):
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])


def test_no_loss_or_another_loss_than_the_models():
    match = "There is no loss: give the parameter loss, or return a compiled model"
    assert_refused(KerasClassifier(without_loss), ValueError, match, X, Y)
    assert_refused(KerasClassifier(without_loss, loss=[None]), ValueError, match, X, Y)

    def compiled(meta):
        model = build(meta)
        model.compile("sgd", "categorical_crossentropy")
        return model

    match = "loss='sparse_.*', but the model is compiled with 'categorical_crossentropy'"
    assert_refused(keras_classifier(compiled), ValueError, match, X, Y)


# Parameters


@EVERY
def test_a_misspelt_parameter_in_set_params(make):
    estimator = make()
    match = "Invalid parameter 'epohcs' for estimator .* Did you mean 'epochs'?"
    assert_refused(estimator, ValueError, match, method="set_params", epohcs=3)
    match = "Invalid parameter 'optimiser__learning_rate' for estimator"
    assert_refused(estimator, ValueError, match, method="set_params", optimiser__learning_rate=3)
    assert_refused(estimator, ValueError, "nonsense", method="set_params", epochs=7, nonsense=1)


@EVERY
@pytest.mark.parametrize(("name", "valid"), [("fit__epohcs", "epochs"), ("predict__batchsize", "batch_size")])
def test_a_misspelt_routed_parameter_at_construction(make, name, valid):
    match = f"Invalid parameter '{name}'.* Did you mean '{valid}'?"
    assert_refused(make(**{name: 3}), ValueError, match, X, Y)


@pytest.mark.parametrize("make", [keras_classifier, keras_regressor])
def test_a_misspelt_parameter_that_may_be_the_builders_is_refused_by_fit(make):
    match = "Invalid parameter 'epohcs'.* Did you mean 'epochs'?"
    assert_refused(make(epohcs=3), ValueError, match, X, Y)


@pytest.mark.parametrize("kind", [DNNClassifier, DNNRegressor, CNNClassifier])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("epohcs", " Did you mean 'epochs'?"),
        ("optimiser__momentum", " Did you mean 'optimizer__momentum'?"),
        ("model__units", ""),
        ("nonsense", ""),
    ],
)
def test_a_ready_made_estimator_refuses_a_misspelt_argument_at_once(kind, name, hint):
    match = re.escape(f"{kind.__name__}() got an unexpected keyword argument {name!r}.{hint}")
    with pytest.raises(TypeError, match=match):
        kind(**{name: 3})
    assert kind(optimizer__momentum=0.5).optimizer__momentum == 0.5


def test_a_parameter_that_the_builder_does_not_take():
    match = "Invalid parameter 'model__unit'.* Did you mean 'units'?"
    assert_refused(keras_classifier(model__unit=3), ValueError, match, X, Y)


@EVERY
def test_misspelt_arguments_of_fit_and_predict(make, fitted):
    match = "unexpected argument 'epohcs'. Did you mean 'epochs'?"
    assert_refused_fresh_and_fitted(make, fitted, TypeError, match, X, Y, epohcs=2)
    match = "unexpected argument 'batchsize'. Did you mean 'batch_size'?"
    assert_refused(fitted[make], TypeError, match, X, method="predict", batchsize=2)


@EVERY
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("batch_size", "all"),
        ("validation_split", 1.0),
        ("validation_split", -0.1),
        ("shuffle", "yes"),
        ("early_stopping", 1.5),
        ("n_iter_no_change", 0),
        ("verbose", 3),
        ("random_state", "seed"),
        ("warm_start", None),
        ("optimizer", 3),
        ("callbacks", "EarlyStopping"),
    ],
)
def test_parameters_out_of_range(make, name, value):
    match = f"The '{name}' parameter of .* must be .* Got {value!r} instead"
    assert_refused(make(**{name: value}), ValueError, match, X, Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", 0),
        ("hidden_layer_sizes", "big"),
        ("hidden_layer_sizes", (5, 0)),
        ("hidden_layer_sizes", (5, 2.5)),
        ("dropout", 1.0),
        ("batch_norm", 2),
        ("l2_regularization", -1.0),
        ("learning_rate", 0.0),
        ("loss", None),
        ("activation", "rleu"),
    ],
)
@pytest.mark.parametrize("make", [RecordedDNNClassifier, RecordedDNNRegressor])
def test_parameters_of_the_network_out_of_range(make, name, value):
    match = f"{name}.* must .*{re.escape(repr(value))}"
    assert_refused(make(**{name: value}), ValueError, match, X, Y)


@EVERY
@pytest.mark.parametrize(
    ("kind", "given", "meant"),
    [
        ("optimizer", "adma", "Adam"),
        ("loss", "mean_squared_eror", "mean_squared_error"),
        ("metric", "AUUC", "AUC"),
    ],
)
def test_unknown_names(make, kind, given, meant):
    name = "metrics" if kind == "metric" else kind
    match = f"Unknown {kind} '{given}'. Did you mean '{meant}'?"
    assert_refused(make(**{name: given}), ValueError, match, X, Y)


@EVERY
@pytest.mark.parametrize("name", ["crossentropy", "cross_entropy", "CrossEntropy", "log_loss"])
def test_a_cross_entropy_without_a_kind_is_answered_by_both(make, name):
    match = (
        f"Unknown loss '{name}'.*three classes or more is \"sparse_categorical_crossentropy\", that of two"
    )
    assert_refused(make(loss=name), ValueError, match, X, Y)


METRICS_OF_COLUMNS = [
    *("AUC", "auc", "Precision", "recall", "f1_score", "categorical_accuracy", "binary_accuracy"),
    *(keras.metrics.AUC, keras.metrics.Recall(name="mine"), keras.metrics.FalsePositives),
    *(keras.metrics.PrecisionAtRecall(0.5), keras.metrics.categorical_accuracy),
    *("mse", "mean_absolute_error", "r2_score", "hinge", "kl_divergence", keras.metrics.Accuracy),
    *(keras.metrics.mean_squared_error, keras.metrics.RootMeanSquaredError(), keras.metrics.Mean),
]


@EVERY_CLASSIFIER
@pytest.mark.parametrize("metric", METRICS_OF_COLUMNS, ids=lambda m: getattr(m, "__name__", None))
def test_metrics_that_cannot_compare_class_numbers(make, metric):
    match = r'one column for each class.*"categorical_crossentropy".*scoring="roc_auc_ovr"'
    assert_refused(make(metrics=["accuracy", metric], loss=SPARSE), ValueError, match, X, Y)
    assert_refused(make(metrics=metric, loss=SPARSE), ValueError, match, X, NAMES[Y])


def test_metrics_that_cannot_compare_class_numbers_in_a_compiled_model():
    def compiled(meta):
        model = build(meta)
        model.compile("sgd", SPARSE, weighted_metrics=["AUC"])
        return model

    assert_refused(KerasClassifier(compiled), ValueError, "The metric AUC does not fit the target", X, Y)


@EVERY_CLASSIFIER
@pytest.mark.parametrize(
    "metric", ["sparse_categorical_accuracy", keras.metrics.SparseTopKCategoricalAccuracy]
)
def test_metrics_that_cannot_compare_columns(make, metric):
    estimator = make(metrics=[metric], loss="categorical_crossentropy")
    assert_refused(estimator, ValueError, 'class number.*without "sparse"', X, Y)


@EVERY_CLASSIFIER
@pytest.mark.parametrize(
    ("metric", "loss", "advice"),
    [
        (keras.metrics.MeanIoU(3), SPARSE, "sparse_y_true=True, sparse_y_pred=False"),
        (keras.metrics.MeanIoU(3, sparse_y_pred=False), "categorical_crossentropy", "sparse_y_true=False"),
    ],
)
def test_intersections_over_unions_of_other_forms(make, metric, loss, advice):
    assert_refused(make(metrics=[metric], loss=loss), ValueError, advice, X, Y)


def test_metrics_that_can_are_computed():
    class OfCodes(keras.metrics.AUC):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(keras.ops.one_hot(keras.ops.cast(y_true[:, 0], "int32"), 3), y_pred)

    settings = {"hidden_layer_sizes": (), "epochs": 1, "batch_size": -1, "random_state": 0}
    one = DNNClassifier(loss="categorical_crossentropy", metrics=["AUC"], **settings).fit(X, Y)
    other = DNNClassifier(metrics=OfCodes(name="auc"), **settings).fit(X, Y)
    np.testing.assert_allclose(one.history_["auc"], other.history_["auc"], rtol=1e-5)
    iou = DNNClassifier(metrics=[keras.metrics.MeanIoU(3, sparse_y_pred=False, name="iou")], **settings)
    assert 0 < iou.fit(X, Y).history_["iou"][0] < 1
    brier = DNNClassifier(loss="categorical_crossentropy", metrics=["mse"], **settings).fit(X, Y)
    assert 0 < brier.history_["mean_squared_error"][0] < 1
    two = DNNClassifier(metrics=["AUC", "Precision", "binary_accuracy"], **settings)
    assert set(two.fit(X, Y > 0).history_) == {"loss", "auc", "precision", "binary_accuracy"}


@EVERY_CLASSIFIER
def test_several_columns_of_several_classes(make):
    match = r"2 columns with several classes each.*MultiOutputClassifier.*target_encoder"
    assert_refused(make(), ValueError, match, X, np.column_stack([Y, Y]))


@EVERY
def test_parameters_that_an_optimizer_does_not_take(make):
    for optimizer in ("sgd", keras.optimizers.SGD(), keras.optimizers.SGD):
        estimator = make(optimizer=optimizer, optimizer__momentun=0.5)
        assert_refused(estimator, ValueError, "momentun", X, Y)


@EVERY
@pytest.mark.parametrize("callbacks", [[5], [int], {"a": "b"}], ids=str)
def test_callbacks_that_are_none(make, callbacks):
    assert_refused(make(callbacks=callbacks), TypeError, "callbacks must be a keras.callbacks.Callback", X, Y)


@EVERY
def test_parameters_that_a_callback_does_not_take(make):
    for callbacks in (keras.callbacks.EarlyStopping, keras.callbacks.EarlyStopping()):
        estimator = make(callbacks=callbacks, callbacks__patiense=3)
        assert_refused(estimator, ValueError, "patiense", X, Y)


def test_learning_rate_given_twice():
    clf = dnn_classifier(learning_rate=0.1, optimizer__learning_rate=0.1)
    assert_refused(clf, ValueError, "Both learning_rate and optimizer__learning_rate", X, Y)


# While training


def test_an_error_in_the_middle_of_training_leaves_everything_as_it_was(fitted):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("the disk is full")

    for make in CLASSIFIERS:
        for warm_start in (False, True):
            clf = make(warm_start=warm_start).fit(X, Y)
            before, predicted = state(clf), clf.predict_proba(X)
            with pytest.raises(RuntimeError, match="the disk is full"):
                clf.fit(X, Y, callbacks=[Fails()])
            assert_same_state(clf, before)
            assert_array_equal(clf.predict_proba(X), predicted)
        clf = make()
        before = state(clf)
        with pytest.raises(RuntimeError, match="the disk is full"):
            clf.fit(X, Y, callbacks=[Fails()])
        assert_same_state(clf, before)


def test_base_wrapper_refuses_the_same():
    def autoencoder(meta):
        return build({"n_features_in_": meta["n_features_in_"], "n_outputs_": meta["n_features_in_"]})

    model = BaseWrapper(autoencoder, loss="mse")
    assert_refused(model, ValueError, "Input X contains NaN", with_value(np.nan), X)
    assert_refused(model, ValueError, "inconsistent numbers of samples", X, X[:-1])
    assert_refused(model, ValueError, "Did you mean 'epochs'?", method="set_params", epohcs=1)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("history", "history_"),
        ("evaluate", r"score\(X, y\)"),
        ("summary", r"model_.summary\(\)"),
        ("get_weights", r"model_.get_weights\(\)"),
        ("save", "skdl.save.*model_.save"),
        ("compile", "parameters optimizer, loss and metrics"),
    ],
)
@EVERY
def test_attributes_of_keras_models_say_what_to_write_instead(make, name, instead):
    estimator = make()
    assert not hasattr(estimator, name)
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; .*{instead}"):
        getattr(estimator, name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_iter", "epochs"),
        ("learning_rate_init", "learning_rate"),
        ("solver", "optimizer"),
        ("alpha", "l2_regularization"),
        ("validation_fraction", "validation_split"),
        ("patience", "n_iter_no_change"),
    ],
)
def test_parameters_of_other_networks_say_what_is_meant(name, meant):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'. Did you mean '{meant}'?"):
        DNNClassifier(**{name: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter '{name}'.* Did you mean '{meant}'?"):
        DNNClassifier().set_params(**{name: 1})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_iter", "epochs"),
        ("learning_rate", "optimizer__learning_rate"),
        ("hidden_layer_sizes", "model__hidden_layer_sizes"),
    ],
)
def test_parameters_of_other_networks_say_what_is_meant_in_a_wrapper(name, meant):
    match = f"Invalid parameter '{name}'.* Did you mean '{meant}'?"
    assert_refused(keras_classifier(**{name: 1}), ValueError, match, X, Y)
    assert_refused(keras_classifier(), ValueError, match, method="set_params", **{name: 1})


def test_an_argument_of_the_builder_says_how_it_is_given():
    def sized(meta, units=3):
        return build(meta)

    match = "Invalid parameter 'units'.* The builder takes 'units': write 'model__units'"
    assert_refused(keras_classifier(sized), ValueError, match, method="set_params", units=5)


@pytest.mark.parametrize("make", [DNNRegressor, TabularRegressor])
def test_targets_of_three_dimensions(make):
    with pytest.raises(ValueError, match=r"Found y with dim 3.*expects dim <= 2: reshape it"):
        make(epochs=1).fit(X, np.ones((len(X), 1, 3)))


def test_dates_are_no_numbers():
    dates = np.datetime64("2020-01-01") + np.arange(len(X))
    with pytest.raises(
        ValueError, match=r"DNNRegressor predicts numbers, but y holds dates .* Turn them into"
    ):
        DNNRegressor(epochs=1).fit(X, dates)


@pytest.mark.parametrize(
    "weights", [{0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: np.inf, 1: 1}, {0: 0, 1: 0}], ids=repr
)
def test_weights_of_classes_that_are_no_weights(weights):
    with pytest.raises(
        ValueError, match="class_weight must hold finite numbers of at least 0, and one above 0"
    ):
        DNNClassifier(epochs=1, class_weight=weights).fit(X, Y)


@EVERY_CLASSIFIER
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_whose_weights_times_class_weights_are_all_zero(make, method):
    clf = make(class_weight={0: 0, 1: 0, 2: 1}).fit(X, Y)
    match = "nothing to learn from: sample_weight times class_weight is 0 for each of the 100 rows"
    assert_refused(clf, ValueError, match, X, Y, sample_weight=(Y < 2) * 1.0, method=method)


@EVERY_CLASSIFIER
def test_a_batch_of_a_class_of_weight_zero(make):
    clf = make(class_weight={0: 0, 1: 1, 2: 1}).fit(X, Y)
    match = "nothing to learn from: sample_weight times class_weight is 0 for each of the 50 rows"
    assert_refused(clf, ValueError, match, X[Y == 0], Y[Y == 0], method="partial_fit")
    clf.partial_fit(X[Y < 2], Y[Y < 2])
    assert np.isfinite(clf.predict_proba(X)).all()


def test_labels_that_all_have_weight_zero():
    labels = np.column_stack([Y > 0, Y > 1]).astype(int)
    clf = dnn_classifier(class_weight=[{0: 0, 1: 1}, {0: 0, 1: 1}])
    with pytest.raises(ValueError, match="nothing to learn from"):
        clf.fit(X, labels).partial_fit(X[:50], labels[:50])


@pytest.mark.parametrize("weights", [{0: "1"}, {0: None}, {0: [1, 2]}], ids=repr)
def test_weights_of_classes_that_are_no_numbers(weights):
    assert_refused(dnn_classifier(class_weight=weights), ValueError, "must hold finite numbers", X, Y)


def test_a_list_of_class_weights_that_has_no_dicts():
    labels = np.column_stack([Y > 0, Y > 1]).astype(int)
    clf = dnn_classifier(class_weight=[1, 2])
    assert_refused(clf, TypeError, "must hold one dict for each column of y", X, labels)


@pytest.mark.parametrize("weight", [1e308, 5e-324])
def test_only_the_ratios_of_weights_count_however_large_they_are(weight):
    args = {"hidden_layer_sizes": (3,), "epochs": 2, "random_state": 0}
    plain = DNNClassifier(**args).fit(X, Y, sample_weight=np.ones(len(X)))
    weighted = DNNClassifier(**args).fit(X, Y, sample_weight=np.full(len(X), weight))
    np.testing.assert_array_equal(weighted.predict_proba(X), plain.predict_proba(X))


def test_sparse_input_with_long_indices():
    rows = sparse.csr_matrix(X)
    rows.indices, rows.indptr = rows.indices.astype(np.int64), rows.indptr.astype(np.int64)
    clf = DNNClassifier((3,), epochs=1, random_state=0).fit(rows, Y)
    np.testing.assert_allclose(clf.predict_proba(rows), clf.predict_proba(X), rtol=1e-5)


def test_images_that_can_not_be():
    with pytest.raises(ValueError, match=r"Images have the shape .* but X has rows of shape \(4, 4, 2, 2\)"):
        CNNClassifier(2, epochs=1).fit(np.zeros((150, 4, 4, 2, 2)), Y)
    with pytest.raises(ValueError, match=r"Images of shape \(1, 1, 1\) are too small .* Give fewer filters"):
        CNNClassifier(2, epochs=1).fit(np.zeros((150, 1, 1)), Y)
