"""What each metric of Keras means for each form of target: its value by NumPy, or an error."""

import functools
import pickle
import re

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from keras import losses, metrics
from numpy.testing import assert_allclose
from scipy.special import expit, softmax
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, TransformerMixin

import skdl
from skdl import DNNClassifier, DNNRegressor, HistoryDisplay, KerasClassifier, KerasRegressor, diagnose

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4)).astype("float32")
BINARY = (X[:, 0] + 0.5 * RNG.normal(size=150) > 0.4).astype(int)
CLASSES = np.digitize(X[:, 0] + 0.5 * RNG.normal(size=150), [-0.3, 0.6])
LABELS = (X[:, :3] + 0.5 * RNG.normal(size=(150, 3)) > [-0.2, 0.3, 0.6]).astype(int)
NUMBERS = np.abs(X @ RNG.normal(size=(4, 3)) + 1)
SPARSE, CATEGORICAL, BINARY_LOSS = (
    losses.SparseCategoricalCrossentropy,
    losses.CategoricalCrossentropy,
    losses.BinaryCrossentropy,
)


def ending(units, activation=None):
    return lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, activation=activation)])


def dnn(**params):
    return DNNClassifier((6,), learning_rate=0.02, **params)


def wrapped(units, activation=None, **params):
    return KerasClassifier(
        ending(units, activation), optimizer="adam", optimizer__learning_rate=0.1, **params
    )


# For each form of target: an estimator, the target, and the outputs that metrics are to compare with it.
FORMS = {
    "binary": (dnn, BINARY),
    "binary from logits": (functools.partial(dnn, loss=BINARY_LOSS(from_logits=True)), BINARY),
    "binary from logits, by a wrapper": (
        functools.partial(wrapped, 1, loss=functools.partial(losses.binary_crossentropy, from_logits=True)),
        BINARY,
    ),
    "two classes": (functools.partial(wrapped, 2, "softmax", loss=SPARSE()), BINARY),
    "two columns": (functools.partial(wrapped, 2, "softmax", loss="categorical_crossentropy"), BINARY),
    "classes": (dnn, CLASSES),
    "classes from logits": (functools.partial(wrapped, 3, loss=SPARSE(from_logits=True)), CLASSES),
    "columns": (functools.partial(dnn, loss="categorical_crossentropy"), CLASSES),
    "columns from logits": (functools.partial(wrapped, 3, loss=CATEGORICAL(from_logits=True)), CLASSES),
    "labels": (dnn, LABELS),
    "labels from logits": (functools.partial(dnn, loss=BINARY_LOSS(from_logits=True)), LABELS),
    "number": (functools.partial(DNNRegressor, (6,)), NUMBERS[:, 0]),
    "numbers": (functools.partial(DNNRegressor, (6,)), NUMBERS),
}


def encoded(form):
    y = FORMS[form][1]
    if "columns" in form:
        return np.eye(y.max() + 1)[y]
    return y.reshape(len(y), -1)


# Plain values, of targets and probabilities of shape (n_samples, n_units).

EPS = 1e-7


def flat(function, **params):
    return lambda y, p: function(y.ravel(), (p > 0.5).astype(int).ravel(), **params)


def count(actual, predicted):
    return lambda y, p: np.sum((y == actual) & ((p > 0.5) == predicted))


def by_threshold(y, p):
    """Return the counts that AUC and its kin have at Keras's thresholds."""
    thresholds = np.r_[-EPS, np.arange(1, 199) / 199, 1 + EPS].reshape(-1, 1)
    y, above = y.ravel() == 1, p.ravel() > thresholds
    tp, fp = (above & y).sum(axis=1), (above & ~y).sum(axis=1)
    return tp, fp, y.sum() - tp, (~y).sum() - fp


def auc(y, p):
    tp, fp, fn, tn = by_threshold(y, p)
    value = -np.trapezoid(tp / (tp + fn), fp / (fp + tn))
    assert value == pytest.approx(sk.roc_auc_score(y.ravel(), p.ravel()), abs=0.01)
    return value


def best(wanted, other):
    """Return the largest value of one rate where the other is at least one half."""

    def value(y, p):
        tp, fp, fn, tn = by_threshold(y, p)
        precision = np.divide(tp, tp + fp, out=np.zeros(len(tp)), where=tp + fp > 0)
        rates = {
            "precision": precision,
            "recall": tp / (tp + fn),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
        }
        return rates[wanted][rates[other] >= 0.5].max(initial=0)

    return value


def signs(y):
    return np.where(y > 0, 1, -1)


def cosine(y, p):
    norms = np.linalg.norm(y, axis=1) * np.linalg.norm(p, axis=1)
    return np.mean(np.sum(y * p, axis=1) / np.where(norms > 0, norms, 1))


def pearson(y, p):
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(y, p, strict=True)])


def concordance(y, p):
    covariance = np.mean((y - y.mean(1, keepdims=True)) * (p - p.mean(1, keepdims=True)), axis=1)
    return np.mean(2 * covariance / (y.var(1) + p.var(1) + (y.mean(1) - p.mean(1)) ** 2))


def codes(function, **params):
    return lambda y, p: function(y.ravel().astype(int), np.argmax(p, axis=1), **params)


def classes(function, **params):
    return lambda y, p: function(np.argmax(y, axis=1), np.argmax(p, axis=1), **params)


def top_two(y, p):
    y = y.ravel() if y.shape[1] == 1 else np.argmax(y, axis=1)
    return np.mean([label in order for label, order in zip(y, np.argsort(p, axis=1)[:, -2:], strict=True)])


def log_loss(y, p):
    p = p if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)
    return sk.log_loss(y.ravel() if y.shape[1] == 1 else np.argmax(y, axis=1), p)


def nonzero(y, p):
    # Keras's logarithms have an offset.
    return np.mean(p - y * np.log(p + EPS))


ERRORS = {
    metrics.MeanSquaredError(): sk.mean_squared_error,
    metrics.RootMeanSquaredError(): lambda y, p: np.sqrt(np.mean((y - p) ** 2)),
    metrics.MeanAbsoluteError(): sk.mean_absolute_error,
    metrics.MeanAbsolutePercentageError(): lambda y, p: 100 * np.mean(np.abs(y - p) / np.maximum(y, EPS)),
    metrics.MeanSquaredLogarithmicError(): lambda y, p: np.mean(
        (np.log1p(y) - np.log(np.maximum(p, EPS) + 1)) ** 2
    ),
    metrics.LogCoshError(): lambda y, p: np.mean(np.log(np.cosh(p - y))),
    metrics.R2Score(): sk.r2_score,
}
POISSON = {metrics.Poisson(): nonzero}
COLUMNS = {
    metrics.BinaryAccuracy(): lambda y, p: np.mean((p > 0.5) == y),
    metrics.BinaryCrossentropy(): lambda y, p: -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)),
    metrics.AUC(): auc,
    metrics.TruePositives(): count(1, True),
    metrics.FalsePositives(): count(0, True),
    metrics.TrueNegatives(): count(0, False),
    metrics.FalseNegatives(): count(1, False),
    metrics.Precision(): flat(sk.precision_score),
    metrics.Recall(): flat(sk.recall_score),
    metrics.PrecisionAtRecall(0.5): best("precision", "recall"),
    metrics.RecallAtPrecision(0.5): best("recall", "precision"),
    metrics.SensitivityAtSpecificity(0.5): best("sensitivity", "specificity"),
    metrics.SpecificityAtSensitivity(0.5): best("specificity", "sensitivity"),
    metrics.BinaryIoU(): flat(sk.jaccard_score, average="macro"),
    metrics.Hinge(): lambda y, p: np.mean(np.maximum(1 - signs(y) * p, 0)),
    metrics.SquaredHinge(): lambda y, p: np.mean(np.maximum(1 - signs(y) * p, 0) ** 2),
    **ERRORS,
    **POISSON,
}
OF_BINARY = {
    "accuracy": flat(sk.accuracy_score),
    "crossentropy": log_loss,
    metrics.F1Score(): flat(sk.f1_score),
    metrics.F1Score(threshold=0.3, name="careful"): lambda y, p: sk.f1_score(y, p > 0.3),
    metrics.FBetaScore(beta=2.0): flat(sk.fbeta_score, beta=2),
    **COLUMNS,
}
OF_CODES = {
    "accuracy": codes(sk.accuracy_score),
    "crossentropy": log_loss,
    metrics.SparseCategoricalAccuracy(): codes(sk.accuracy_score),
    metrics.SparseTopKCategoricalAccuracy(2): top_two,
    metrics.SparseCategoricalCrossentropy(): log_loss,
    metrics.IoU(3, [0, 1], sparse_y_pred=False): codes(sk.jaccard_score, average="macro", labels=[0, 1]),
    metrics.MeanIoU(3, sparse_y_pred=False): codes(sk.jaccard_score, average="macro"),
}
OF_COLUMNS = {
    "accuracy": classes(sk.accuracy_score),
    "crossentropy": log_loss,
    metrics.CategoricalAccuracy(): classes(sk.accuracy_score),
    metrics.TopKCategoricalAccuracy(2): top_two,
    metrics.CategoricalCrossentropy(): log_loss,
    metrics.KLDivergence(): log_loss,
    metrics.CategoricalHinge(): lambda y, p: np.mean(
        np.maximum(np.max((1 - y) * p, axis=1) - np.sum(y * p, axis=1) + 1, 0)
    ),
    metrics.CosineSimilarity(): cosine,
    metrics.F1Score(): classes(sk.f1_score, average=None),
    metrics.F1Score("macro", name="macro"): classes(sk.f1_score, average="macro"),
    metrics.FBetaScore("weighted", beta=2.0): classes(sk.fbeta_score, beta=2, average="weighted"),
    metrics.IoU(3, [0, 1], sparse_y_true=False, sparse_y_pred=False): classes(
        sk.jaccard_score, average="macro", labels=[0, 1]
    ),
    metrics.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False): classes(sk.jaccard_score, average="macro"),
    metrics.OneHotIoU(3, [0]): classes(sk.jaccard_score, average="macro", labels=[0]),
    metrics.OneHotMeanIoU(3): classes(sk.jaccard_score, average="macro"),
    **{metric: value for metric, value in COLUMNS.items() if "crossentropy" not in metric.name},
}
OF_LABELS = {
    "accuracy": lambda y, p: sk.accuracy_score(y, (p > 0.5).astype(int)),
    "crossentropy": lambda y, p: -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)),
    metrics.F1Score(): lambda y, p: sk.f1_score(y, (p > 0.5).astype(int), average=None),
    metrics.FBetaScore("micro", beta=2.0): lambda y, p: sk.fbeta_score(
        y, (p > 0.5).astype(int), beta=2, average="micro"
    ),
    metrics.CosineSimilarity(): cosine,
    **COLUMNS,
}
OF_NUMBERS = {
    **ERRORS,
    metrics.Poisson(): lambda y, p: np.mean(p - y * np.log(np.where(p > 0, p, np.nan) + EPS)),
    metrics.KLDivergence(): lambda y, p: np.mean(
        np.sum(np.clip(y, EPS, 1) * np.log(np.clip(y, EPS, 1) / np.clip(p, EPS, 1)), axis=1)
    ),
}


def of_three_classes(metric):
    return isinstance(metric, metrics.IoU) and not isinstance(metric, metrics.BinaryIoU)


# Without a threshold for probabilities of a softmax, or an option for logits, there is no right value.
FROM_SIGMOID = {
    metric: value
    for metric, value in {**OF_BINARY, **OF_LABELS}.items()
    if metric not in {*ERRORS, *POISSON} and not re.search("_at_|careful|cosine", getattr(metric, "name", ""))
}
TABLE = {
    "binary": OF_BINARY,
    "binary from logits": {m: OF_BINARY[m] for m in FROM_SIGMOID if m in OF_BINARY},
    "two classes": {m: value for m, value in OF_CODES.items() if not of_three_classes(m)},
    "two columns": {m: value for m, value in OF_COLUMNS.items() if not of_three_classes(m)},
    "classes": OF_CODES,
    "classes from logits": OF_CODES,
    "columns": OF_COLUMNS,
    "columns from logits": {
        m: value
        for m, value in OF_COLUMNS.items()
        if isinstance(m, str)
        or re.search("categorical_[ac]|hinge|f1|fbeta|macro|^io_u|mean_io|one_hot", m.name)
    },
    "labels": OF_LABELS,
    "labels from logits": {m: OF_LABELS[m] for m in FROM_SIGMOID if m in OF_LABELS},
    "number": OF_NUMBERS,
    "numbers": {
        **OF_NUMBERS,
        metrics.CosineSimilarity(): cosine,
        metrics.PearsonCorrelation(): pearson,
        metrics.ConcordanceCorrelation(): concordance,
    },
}
TABLE["binary from logits, by a wrapper"] = TABLE["binary from logits"]
ARGUMENTS = {
    **dict.fromkeys(("PrecisionAtRecall", "RecallAtPrecision"), (0.5,)),
    **dict.fromkeys(("SensitivityAtSpecificity", "SpecificityAtSensitivity"), (0.5,)),
    **dict.fromkeys(("MeanIoU", "OneHotMeanIoU"), (2,)),
    **{name: (2, [0, 1]) for name in ("IoU", "OneHotIoU")},
    "MeanMetricWrapper": (lambda y, p: keras.ops.mean(p, axis=-1),),
}
# What is no metric of its own: the base, and a wrapper around the user's own functions.
EVERY_METRIC = sorted(
    {each for each in vars(metrics).values() if isinstance(each, type)}
    - {metrics.Metric, metrics.MeanMetricWrapper},
    key=lambda each: each.__name__,
)


def name_of(metric):
    return metric if isinstance(metric, str) else metric.name


@pytest.fixture
def engine_of(form):
    """Compile the form with the most metrics alone: a few eager steps of the others take less time."""
    tf.config.run_functions_eagerly(form != "columns")
    yield "compiled" if form == "columns" else "keras"
    tf.config.run_functions_eagerly(False)


# Keras reads rows by functions of tf.data, which are compiled nevertheless.
@pytest.mark.filterwarnings("ignore:Even though the `tf.config:UserWarning")
@pytest.mark.parametrize("form", FORMS)
def test_a_metric_has_the_value_of_scikit_learn_or_numpy(form, engine_of):
    make, target = FORMS[form]
    given = list(TABLE[form])
    estimator = make(metrics=given, epochs=2, batch_size=60, random_state=0)
    estimator.fit(X[:60], target[:60], X_val=X[60:], y_val=target[60:])
    assert estimator.engine_ == engine_of
    y, outputs = encoded(form)[60:], np.asarray(estimator.model_(X[60:]), dtype=np.float64)
    proba = outputs
    if "logits" in form:
        assert outputs.min() < 0
        sigmoid = outputs.shape[1] == 1 or "labels" in form
        proba = expit(outputs) if sigmoid else softmax(outputs, axis=1)
    wrong = {}
    for metric, value in TABLE[form].items():
        got = estimator.history_[f"val_{name_of(metric)}"][-1]
        # A hinge is one of decisions, not of probabilities.
        expected = value(y, outputs if "hinge" in name_of(metric) else proba)
        if not np.allclose(got, expected, rtol=2e-4, atol=2e-5, equal_nan=True):
            wrong[name_of(metric)] = got, expected
    assert not wrong


@pytest.mark.parametrize("metric", EVERY_METRIC, ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("form", FORMS)
def test_every_other_metric_of_keras_is_refused_before_training(form, metric):
    make, target = FORMS[form]
    if metric in {type(each) for each in TABLE[form]} or ("two" in form and metric.__name__.endswith("IoU")):
        return
    metric = metric(*ARGUMENTS.get(metric.__name__, ()))
    with pytest.raises(ValueError, match=rf"The metric {type(metric).__name__} .*(Give|End|leave)"):
        make(metrics=["mse" if "number" in form else "accuracy", metric]).fit(X, target)


# Several outputs


class Pairs(TransformerMixin, BaseEstimator):
    """A class among three, and one of two, for a network of two heads."""

    n_outputs_expected_ = 2

    def fit(self, y):
        return self

    def transform(self, y):
        return {"a": y[:, 0], "b": y[:, 1:]}

    def inverse_transform(self, outputs, return_proba=False):
        return np.column_stack([np.argmax(outputs["a"], axis=1), outputs["b"] > 0])

    def get_metadata(self):
        return {"n_outputs_expected_": self.n_outputs_expected_}


class PairClassifier(KerasClassifier):
    @property
    def target_encoder(self):
        return Pairs()

    @staticmethod
    def scorer(y_true, y_pred, **kwargs):
        return np.mean(y_true == y_pred)


PAIRS = np.column_stack([CLASSES, BINARY])


def two_heads():
    inputs = keras.Input((4,))
    outputs = {
        "a": keras.layers.Dense(3, activation="softmax", name="a")(inputs),
        "b": keras.layers.Dense(1, name="b")(inputs),
    }
    return keras.Model(inputs, outputs)


def of_heads(**params):
    return PairClassifier(
        two_heads,
        **{
            "loss": {"a": "sparse_categorical_crossentropy", "b": BINARY_LOSS(from_logits=True)},
            "metrics": {"a": ["accuracy"], "b": ["accuracy", metrics.F1Score()]},
            "random_state": 0,
            **params,
        },
    )


def test_each_head_has_its_own_form():
    clf = of_heads(epochs=2).fit(X[:60], PAIRS[:60], X_val=X[60:], y_val=PAIRS[60:])
    first, second = clf.predict(X[60:]).T
    assert_allclose(clf.history_["val_a_accuracy"][-1], np.mean(first == CLASSES[60:]), rtol=1e-5)
    assert_allclose(clf.history_["val_b_accuracy"][-1], np.mean(second == BINARY[60:]), rtol=1e-5)
    assert_allclose(clf.history_["val_b_f1_score"][-1], sk.f1_score(BINARY[60:], second), rtol=1e-5)


@pytest.mark.parametrize(
    "metric", [metrics.CategoricalAccuracy(), metrics.OneHotMeanIoU(3), "sparse_categorical_accuracy"]
)
def test_a_metric_that_does_not_fit_a_head_is_refused(metric):
    with pytest.raises(ValueError, match=r"The metric \w+ does not fit .*one column of 0 and 1"):
        of_heads(metrics={"b": [metric]}).fit(X, PAIRS)
    with pytest.raises(ValueError, match=r"The metric AUC does not fit .* not one column for each class"):
        of_heads(metrics=[["AUC"], None]).fit(X, PAIRS)
    with pytest.raises(ValueError, match=r'The metric "acc" is one of classes, but the target is num'):
        of_heads(metrics={"b": ["acc"]}, loss={"a": SPARSE(), "b": "mse"}).fit(X, PAIRS)


# Where metrics come from


def test_metrics_of_a_model_that_its_builder_compiled_are_those_that_are_meant():
    def compiled():
        model = ending(1)()
        model.compile(
            "adam",
            BINARY_LOSS(from_logits=True),
            metrics=["accuracy"],
            weighted_metrics=[metrics.F1Score, keras.metrics.binary_crossentropy],
        )
        return model

    clf = KerasClassifier(compiled, random_state=0).fit(X[:60], BINARY[:60], X_val=X[60:], y_val=BINARY[60:])
    predicted, proba = clf.predict(X[60:]), clf.predict_proba(X[60:])
    assert_allclose(clf.history_["val_accuracy"], np.mean(predicted == BINARY[60:]), rtol=1e-5)
    assert_allclose(clf.history_["val_f1_score"], sk.f1_score(BINARY[60:], predicted), rtol=1e-5)
    assert_allclose(clf.history_["val_binary_crossentropy"], sk.log_loss(BINARY[60:], proba), rtol=1e-5)
    clf.partial_fit(X, BINARY)
    assert len(clf.history_["accuracy"]) == 2


def test_metrics_of_ones_own_are_taken_as_they_are():
    class Own(metrics.CategoricalAccuracy):
        """Of a name and a base of Keras's."""

    def mine(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1)

    kept = [Own(name="own"), mine, metrics.MeanMetricWrapper(mine, name="wrapped")]
    clf = dnn(metrics=kept, epochs=1, random_state=0).fit(X[:60], BINARY[:60], X_val=X, y_val=BINARY)
    assert clf.history_["val_own"] == [1.0]
    mean = pytest.approx(clf.predict_proba(X)[:, 1].mean())
    assert clf.history_["val_mine"][0] == clf.history_["val_wrapped"][0] == mean


@pytest.mark.parametrize("loss", [losses.Huber(), losses.BinaryCrossentropy], ids=["instance", "class"])
def test_a_loss_as_a_metric_which_is_averaged_over_batches_is_refused(loss):
    with pytest.raises(ValueError, match=r"metric is averaged over batches.*Give a metric of keras.metrics"):
        DNNRegressor(metrics=[loss]).fit(X, NUMBERS)
    assert "huber" in DNNRegressor((4,), metrics=[losses.huber], epochs=1).fit(X, NUMBERS).history_


def test_what_is_not_known_of_a_function_of_keras_is_said():
    with pytest.raises(ValueError, match=r"What Keras's tversky compares as a metric is not known"):
        dnn(metrics=[losses.tversky]).fit(X, BINARY)


@pytest.mark.parametrize(
    ("metric", "match"),
    [
        (metrics.Precision(class_id=0), "has top_k or class_id, but the network has one unit"),
        (metrics.Recall(top_k=1), "has top_k or class_id, but the network has one unit"),
    ],
)
def test_arguments_that_mean_nothing_for_one_unit_are_refused(metric, match):
    with pytest.raises(ValueError, match=match):
        dnn(metrics=[metric]).fit(X, BINARY)


def test_classes_that_a_metric_would_leave_out_are_refused():
    with pytest.raises(ValueError, match=r"has num_classes=2.*Give num_classes=3"):
        dnn(metrics=[metrics.MeanIoU(2, sparse_y_pred=False)]).fit(X, CLASSES)


@pytest.mark.parametrize("metric", [metrics.BinaryAccuracy(threshold=0.3), metrics.TruePositives([0.2, 0.5])])
def test_thresholds_of_probabilities_are_refused_for_logits(metric):
    with pytest.raises(ValueError, match="takes probabilities, but the loss takes logits"):
        dnn(metrics=[metric], loss=BINARY_LOSS(from_logits=True)).fit(X, BINARY)


@pytest.mark.parametrize("make", [DNNRegressor, functools.partial(KerasRegressor, ending(3), loss="mse")])
@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy"])
def test_a_regressor_has_no_accuracy(make, name):
    with pytest.raises(ValueError, match=r'The metric "?[aA].*"mean_absolute_error" or "r2_score"'):
        make(metrics=[name]).fit(X, NUMBERS)


def test_accuracy_of_several_labels_is_that_of_score_and_stops_by_it():
    clf = dnn(early_stopping=True, scoring="accuracy", epochs=30, n_iter_no_change=3, random_state=0)
    clf.fit(X[:100], LABELS[:100], X_val=X[100:], y_val=LABELS[100:])
    by_epoch = clf.history_["val_accuracy"]
    assert clf.best_epoch_ == int(np.argmax(by_epoch))
    assert_allclose(clf.score(X[100:], LABELS[100:]), max(by_epoch), rtol=1e-6)


def test_accuracy_of_several_labels_is_kept_by_pickles_and_files(tmp_path):

    clf = dnn(epochs=1, random_state=0).fit(X, LABELS)
    skdl.save(clf, tmp_path / "clf.skdl")
    for again in (pickle.loads(pickle.dumps(clf)), skdl.load(tmp_path / "clf.skdl")):
        again.partial_fit(X, LABELS, X_val=X, y_val=LABELS)
        assert_allclose(again.history_["val_accuracy"][-1], again.score(X, LABELS), rtol=1e-6)


def test_weights_count_in_the_accuracy_of_several_labels():
    weight = RNG.uniform(0.5, 2, size=90)
    clf = KerasClassifier(
        ending(3, "sigmoid"),
        loss="binary_crossentropy",
        compile__weighted_metrics=["accuracy"],
        random_state=0,
    )
    clf.fit(X[:60], LABELS[:60], X_val=X[60:], y_val=LABELS[60:], sample_weight_val=weight)
    expected = clf.score(X[60:], LABELS[60:], sample_weight=weight)
    assert_allclose(clf.history_["val_accuracy"], expected, rtol=1e-6)


# Metrics with a value for each class


@pytest.fixture(scope="module")
def by_class():
    names = np.array(["low", "middle", "high"])
    clf = dnn(loss="categorical_crossentropy", metrics=[metrics.F1Score(name="f1_score")], epochs=6)
    return clf.set_params(validation_split=0.3, fit__validation_freq=2, random_state=0).fit(X, names[CLASSES])


def test_a_metric_with_a_value_for_each_class_is_shown_for_each(by_class):
    assert [np.shape(value) for value in by_class.history_["f1_score"]] == [(3,)] * 6
    assert diagnose(by_class).n_epochs == diagnose(by_class.history_).n_epochs == 6
    display = HistoryDisplay.from_estimator(by_class)
    names = [f"f1_score[{name}]" for name in ("high", "low", "middle")]
    assert {"loss", "val_loss", *names, *(f"val_{name}" for name in names)} == set(display.lines_)
    (line,) = display.lines_["f1_score[low]"]
    assert_allclose(line.get_ydata(), [value[1] for value in by_class.history_["f1_score"]])
    (line,) = display.lines_["val_f1_score[low]"]
    assert_allclose(line.get_ydata(), [value[1] for value in by_class.history_["val_f1_score"][1::2]])
    assert display.plot(metrics="f1_score").axes_.shape == (3,)
    assert "f1_score[0]" in HistoryDisplay.from_history(by_class.history_).lines_
    plt.close("all")


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize(
    ("metric", "advice"),
    [
        (metrics.F1Score(name="mine"), 'Give the metric average="macro"'),
        (metrics.FBetaScore(name="mine"), 'Give the metric average="macro"'),
        (metrics.R2Score(class_aggregation=None, name="mine"), 'Give the metric class_aggregation="uniform'),
        (metrics.Precision([0.2, 0.5], name="mine"), "Give the metric one threshold"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_early_stopping_wants_one_number(metric, advice, early_stopping):
    clf = dnn(metrics=[metric], scoring="mine", early_stopping=early_stopping, epochs=10**6)
    with pytest.raises(ValueError, match=f"scoring='mine' has several values.*{advice}"):
        clf.set_params(loss="categorical_crossentropy", validation_split=0.3).fit(X, CLASSES)
    assert not hasattr(clf, "model_")


@pytest.mark.parametrize("early_stopping", [True, False])
def test_of_a_metric_of_ones_own_it_is_seen_after_an_epoch(early_stopping):
    class Several(metrics.F1Score):
        def get_config(self):
            return {"name": self.name}

    clf = dnn(metrics=[Several(name="mine")], scoring="mine", early_stopping=early_stopping, epochs=1)
    with pytest.raises(ValueError, match="scoring='mine' has several values"):
        clf.set_params(loss="categorical_crossentropy", validation_split=0.3).fit(X, CLASSES)
    assert not hasattr(clf, "history_")


def test_an_average_is_one_number(by_class):
    metric = metrics.F1Score("macro", name="mine")
    clf = dnn(metrics=[metric], scoring="mine", early_stopping=True, epochs=4, validation_split=0.3)
    clf.set_params(loss="categorical_crossentropy", random_state=0).fit(X, CLASSES)
    assert clf.best_epoch_ == np.argmax(clf.history_["val_mine"])
    clf = dnn(metrics=["f1_score"], scoring="f1_score", early_stopping=True, epochs=4, random_state=0)
    assert clf.fit(X, BINARY).best_epoch_ == np.argmax(clf.history_["val_f1_score"])


def test_a_metric_without_a_direction_is_refused_before_training():
    def mine(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1)

    with pytest.raises(ValueError, match=r"scoring='mine' .*does not say whether more or less is better"):
        dnn(metrics=[mine], scoring="mine", epochs=10**6, validation_split=0.3).fit(X, BINARY)


@pytest.mark.parametrize("scoring", ["b_accuracy", "b_f1_score", "b_loss", "a_accuracy"])
def test_early_stopping_by_a_metric_of_a_head(scoring):
    clf = of_heads(scoring=scoring, early_stopping=True, epochs=40, n_iter_no_change=2, batch_size=16)
    clf.fit(X[:100], PAIRS[:100], X_val=X[100:], y_val=PAIRS[100:])
    best = np.argmin if "loss" in scoring else np.argmax
    assert clf.best_epoch_ == best(clf.history_[f"val_{scoring}"])
    assert clf.n_iter_ == min(clf.best_epoch_ + 3, 40)


@pytest.mark.parametrize("scoring", ["accuracy", "f1_score"])
def test_a_score_that_several_heads_do_not_have_is_refused_before_training(scoring):
    with pytest.raises(ValueError, match=r"\['a_loss', 'b_loss', 'a_accuracy', 'b_accuracy', 'b_f1_score'\]"):
        of_heads(scoring=scoring, epochs=10**6, validation_split=0.3).fit(X, PAIRS)
