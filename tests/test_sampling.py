"""What skdl.Pipeline gives to samplers, and what it does with what they return."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.base import BaseSampler
from imblearn.combine import SMOTEENN
from imblearn.over_sampling import (
    ADASYN,
    SMOTE,
    SMOTENC,
    SVMSMOTE,
    BorderlineSMOTE,
    RandomOverSampler,
)
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from imblearn.under_sampling import ClusterCentroids, RandomUnderSampler, TomekLinks
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdl import DNNClassifier, make_pipeline

RNG = np.random.default_rng(0)
N_ROWS = (40, 12, 8)
CLASSES = np.repeat([0, 1, 2], N_ROWS)
X = RNG.normal(size=(60, 3)) + CLASSES[:, np.newaxis]
TWO = np.minimum(CLASSES, 1)


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps what `fit` was given."""

    def fit(self, X, y):
        self.X_, self.y_, self.classes_ = X, y, np.arange(2)
        return self

    def predict(self, X):
        return np.zeros(len(X))


def seen(X, y, *steps, **params):
    """Return the data that reach the estimator behind some steps."""
    recorder = make_pipeline(*steps, Recorder(), **params).fit(X, y)[-1]
    return recorder.X_, recorder.y_


# One-hot targets.

CONTAINERS = {
    "ndarray": np.asarray,
    "integers": lambda y: y.astype(int),
    "DataFrame": lambda y: pd.DataFrame(y, columns=list("abc")[: y.shape[1]], index=np.arange(len(y)) + 5),
    "flags": lambda y: pd.DataFrame(y, columns=list("abc")[: y.shape[1]]).astype(bool),
    "polars": lambda y: pl.DataFrame(y, schema=list("abc")[: y.shape[1]]),
    "sparse": sparse.csr_array,
}


def dense(y):
    return y.toarray() if sparse.issparse(y) else np.asarray(y)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("classes", [TWO, CLASSES], ids=["two", "three"])
@pytest.mark.parametrize("sampler", [SMOTE(random_state=0), RandomUnderSampler(random_state=0)])
def test_one_hot_rows_are_one_hot_rows_behind_a_sampler(sampler, classes, container):
    y = CONTAINERS[container](np.eye(classes.max() + 1)[classes])
    X_res, y_res = seen(X, y, sampler)
    X_expected, expected = sampler.fit_resample(X, classes)
    assert_array_equal(X_res, X_expected)
    assert type(y_res) is type(y)
    assert dense(y_res).dtype == dense(y).dtype
    assert_array_equal(dense(y_res), np.eye(classes.max() + 1)[expected])
    if isinstance(y, pd.DataFrame):
        assert list(y_res.columns) == list(y.columns)
        assert_array_equal(y_res.index, np.arange(len(y_res)))


def test_a_column_without_ones_stays():
    y = np.eye(4)[CLASSES]
    assert_array_equal(seen(X, y, SMOTE(random_state=0))[1].sum(axis=0), [40, 40, 40, 0])


def test_several_samplers_and_fit_resample_give_one_hot_rows(tmp_path):
    y = np.eye(2)[TWO]
    steps = SMOTE(random_state=0), TomekLinks()
    _, expected = make_imblearn_pipeline(*steps).fit_resample(X, TWO)
    for memory in (None, str(tmp_path), str(tmp_path)):
        assert_array_equal(seen(X, y, *steps, memory=memory)[1], np.eye(2)[expected])
        assert_array_equal(make_pipeline(*steps, memory=memory).fit_resample(X, y)[1], np.eye(2)[expected])


def test_other_targets_reach_a_sampler_as_they_are():
    for y in (TWO, TWO[:, np.newaxis], np.array(["no", "yes"])[TWO], pd.Series(TWO, name="target")):
        X_res, y_res = seen(X, y, RandomOverSampler(random_state=0))
        X_expected, expected = RandomOverSampler(random_state=0).fit_resample(X, y)
        assert_array_equal(X_res, X_expected)
        assert type(y_res) is type(expected)
        assert_array_equal(y_res, expected)
    with pytest.raises(ValueError, match="Multilabel"):
        seen(X, np.c_[TWO, 1 - TWO, TWO], SMOTE())


def network(**params):
    return DNNClassifier((4,), epochs=2, random_state=0, **{"loss": "categorical_crossentropy", **params})


@pytest.mark.parametrize("container", ["ndarray", "DataFrame", "sparse"])
@pytest.mark.parametrize("classes", [TWO, CLASSES], ids=["two", "three"])
def test_a_network_trains_on_one_hot_rows_behind_a_sampler(classes, container):
    one_hot = np.eye(classes.max() + 1)[classes]
    y = CONTAINERS[container](one_hot)
    pipeline = make_pipeline(SMOTE(random_state=0, k_neighbors=2), network(validation_split=0.2)).fit(X, y)
    predicted = pipeline.predict(X)
    assert predicted.shape == one_hot.shape
    assert_array_equal(predicted.sum(axis=1), 1)
    assert len(pipeline[-1].history_["val_loss"]) == 2
    assert 0 <= pipeline.score(X, one_hot) <= 1


def test_one_hot_rows_behind_a_sampler_in_searches_and_with_weights():
    y = np.eye(2)[TWO]
    rows = np.random.default_rng(0).permutation(60)
    shuffled, y = X[rows], y[rows]
    pipeline = make_pipeline(RandomUnderSampler(random_state=0), network())
    scores = cross_val_score(pipeline, shuffled, y, cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    assert (scores > 0).any()
    grid = {"randomundersampler": [SMOTE(random_state=0), "passthrough"], "dnnclassifier__epochs": [1]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(shuffled, y)
    assert search.predict(shuffled).shape == (60, 2)
    weights = np.where(shuffled[:, 0] > 0, 2.0, 1.0)
    weighted = pipeline.fit(shuffled, y, dnnclassifier__sample_weight=weights).predict_proba(shuffled)
    assert np.abs(weighted - pipeline.fit(shuffled, y).predict_proba(shuffled)).max() > 0


# Whole numbers and flags.

INTERPOLATING = [
    SMOTE(random_state=0),
    ADASYN(random_state=0),
    SMOTEENN(random_state=0),
    ClusterCentroids(random_state=0),
    RandomOverSampler(shrinkage=0.5, random_state=0),
]


@pytest.mark.parametrize("sampler", INTERPOLATING, ids=lambda sampler: type(sampler).__name__)
@pytest.mark.parametrize(
    ("whole", "floats"), [("uint8", "float32"), ("int64", "float64"), ("bool", "float32")]
)
def test_a_sampler_that_computes_rows_gets_floats(sampler, whole, floats):
    numbers = (X > 0.5).astype(whole) if whole == "bool" else (50 + 20 * X).astype(whole)
    with warnings.catch_warnings():
        # More clusters are asked for than there are different rows of flags.
        warnings.filterwarnings("ignore", "Number of distinct clusters", ConvergenceWarning)
        X_res, _ = seen(numbers, TWO, sampler)
        expected, _ = sampler.fit_resample(numbers.astype(floats), TWO)
    assert_array_equal(X_res, expected)
    assert X_res.dtype == expected.dtype


def test_synthetic_images_lie_between_their_neighbours():
    images = np.r_[RNG.integers(0, 256, (50, 4)), RNG.integers(100, 120, (10, 4))].astype("uint8")
    y = np.repeat([0, 1], [50, 10])
    X_res, y_res = seen(images, y, SMOTE(random_state=0))
    assert X_res[y_res == 1].min() >= 100
    assert X_res[y_res == 1].max() <= 120
    # What imbalanced-learn does: 10 - 12 is 254.
    X_res, y_res = SMOTE(random_state=0).fit_resample(images, y)
    assert X_res[y_res == 1].max() > 120


def test_flags_are_shares_in_synthetic_rows():
    frame = pd.DataFrame({"share": X[:, 0], "is_new": np.arange(60) % 2 == 0})
    flags = seen(frame, TWO, SMOTE(random_state=0))[0]["is_new"]
    assert flags[60:].between(0.01, 0.99).any()
    # What imbalanced-learn does: all but 0 is true.
    assert_array_equal(SMOTE(random_state=0).fit_resample(frame, TWO)[0]["is_new"], flags > 0)


@pytest.mark.parametrize("sampler", INTERPOLATING, ids=lambda sampler: type(sampler).__name__)
def test_whole_numbers_and_flags_of_a_frame_become_floats(sampler):
    frame = pd.DataFrame(
        {
            "share": X[:, 0],
            "visits": (3 * X[:, 1]).astype(int),
            "is_new": X[:, 2] > 0,
            "age": pd.array((10 * X[:, 1]).astype(int), dtype="Int64"),
            "owns": pd.array(X[:, 0] > 0, dtype="boolean"),
            "level": (X[:, 2] > 0.5).astype("uint8"),
        }
    )
    X_res, _ = seen(frame, TWO, sampler)
    types = [f"float{n}" for n in (64, 64, 32, 64, 64, 32)]
    assert X_res.dtypes.astype(str).to_dict() == dict(zip(frame.columns, types, strict=True))


def test_counts_in_sparse_rows_become_floats():
    counts = sparse.csr_array(np.abs(3 * X).astype(int))
    expected, _ = SMOTE(random_state=0).fit_resample(counts.astype(float), TWO)
    for given in (counts, pd.DataFrame.sparse.from_spmatrix(counts)):
        X_res, _ = seen(given, TWO, SMOTE(random_state=0))
        assert_array_equal(dense(X_res), expected.toarray())


@pytest.mark.parametrize(
    "sampler",
    [
        RandomOverSampler(random_state=0),
        RandomUnderSampler(random_state=0),
        TomekLinks(),
        SMOTENC([1], random_state=0),
        SMOTEENN(smote=SMOTENC([1], random_state=0)),
        ClusterCentroids(voting="hard", random_state=0),
    ],
)
def test_a_sampler_that_selects_rows_or_knows_categories_gets_the_types_as_they_are(sampler):
    frame = pd.DataFrame({"share": X[:, 0], "visits": (3 * X[:, 1]).astype("int8")})
    X_res, _ = seen(frame, TWO, sampler)
    assert X_res.dtypes.astype(str).to_list() == ["float64", "int8"]


def test_missing_numbers_before_smote_are_said_to_be_missing():
    frame = pd.DataFrame({"age": pd.array([pd.NA, *range(59)], dtype="Int64")})
    with pytest.raises(ValueError, match="contains NaN"):
        seen(frame, TWO, SMOTE(random_state=0))


@pytest.mark.parametrize("sampler", [SMOTE(random_state=0), RandomUnderSampler(random_state=0)])
def test_a_polars_frame_before_a_sampler_is_refused_in_words(sampler):
    frame = pl.DataFrame(X)
    with pytest.raises(
        TypeError, match=rf"{type(sampler).__name__}\) does not take the polars DataFrame.*to_numpy"
    ):
        seen(frame, TWO, sampler)


class OwnSampler(BaseEstimator):
    """A sampler that knows nothing of imbalanced-learn, and takes polars."""

    def fit_resample(self, X, y):
        return X[:30], y[:30]


def test_a_sampler_of_ones_own_gets_the_data_as_they_are():
    for given in (pl.DataFrame(X), (3 * X).astype("int8"), [[1, 2]] * 60):
        X_res, y_res = seen(given, TWO, OwnSampler())
        assert type(X_res) is type(given)
        assert_array_equal(np.asarray(X_res), np.asarray(given)[:30])
        assert_array_equal(y_res, TWO[:30])


# Warnings.


def apart():
    """Two classes far from each other."""
    return X + 100 * TWO[:, np.newaxis], TWO


@pytest.mark.parametrize("sampler", [BorderlineSMOTE(random_state=0), SVMSMOTE(random_state=0)])
@pytest.mark.parametrize("method", ["fit", "fit_resample"])
def test_a_sampler_that_leaves_the_classes_imbalanced_is_warned_of(sampler, method):
    steps = [sampler, Recorder()] if method == "fit" else [sampler]
    with pytest.warns(
        UserWarning, match=rf"{type(sampler).__name__}\) made \d+ of 20 rows of class 1"
    ) as raised:
        getattr(make_pipeline(*steps), method)(*apart())
    assert len(raised) == 1
    assert raised[0].filename == __file__


def test_one_warning_for_the_classes_of_a_one_hot_target():
    X, y = apart()
    with pytest.warns(UserWarning, match="made 0 of 20 rows of class 1, so the classes stay imbalanced"):
        make_pipeline(BorderlineSMOTE(random_state=0), Recorder()).fit(X, np.eye(2)[y])


class MakesNothing(BaseOverSampler):
    def _fit_resample(self, X, y):
        return X, y


class MakesLess(BaseSampler):
    _sampling_type = "clean-sampling"
    _parameter_constraints: dict = {"sampling_strategy": "no_validation"}

    def _fit_resample(self, X, y):
        return X[::2], y[::2]


def test_samplers_of_others_are_looked_at_too():
    with pytest.warns(UserWarning, match=r"'makesnothing' \(MakesNothing\) made 0 of 20 rows of class 1"):
        seen(X, TWO, MakesNothing())
    assert len(seen(X, TWO, MakesLess())[0]) == 30


@pytest.mark.parametrize(
    "sampler",
    [
        *INTERPOLATING,
        SMOTE(sampling_strategy={1: 25}, random_state=0),
        SMOTE(sampling_strategy=0.7, random_state=0),
    ],
)
def test_a_sampler_that_does_what_it_is_asked_for_is_not_warned_of(sampler):
    seen(X, TWO, sampler)


def test_a_sampler_that_draws_once_for_all_fits_is_warned_of(tmp_path):
    with pytest.warns(
        UserWarning, match=r"'smote' \(SMOTE\) has no random_state.*smote__random_state=0"
    ) as raised:
        make_pipeline(SMOTE(), Recorder(), memory=str(tmp_path)).fit(X, TWO)
    assert len(raised) == 1
    assert raised[0].filename == __file__
    seen(X, TWO, SMOTE())
    seen(X, TWO, TomekLinks(), SMOTE(random_state=0), memory=str(tmp_path))
