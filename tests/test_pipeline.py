"""skdl.Pipeline: validation rows that no step has seen, callbacks that reach the steps."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.datasets import make_imbalance
from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline as ImblearnPipeline
from imblearn.under_sampling import (
    AllKNN,
    CondensedNearestNeighbour,
    EditedNearestNeighbours,
    InstanceHardnessThreshold,
    NearMiss,
    NeighbourhoodCleaningRule,
    OneSidedSelection,
    RandomUnderSampler,
    RepeatedEditedNearestNeighbours,
    TomekLinks,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
    clone,
    is_classifier,
)
from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor
from sklearn.callback._callback_context import get_context_path
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_iris, load_linnerud
from sklearn.decomposition import PCA, KernelPCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline as SklearnPipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import _num_samples, check_is_fitted

import skdl
from skdl import Pipeline, make_pipeline

SCALERS = {
    "minmax": MinMaxScaler(),
    "standard": StandardScaler(),
    "robust": RobustScaler(),
    "quantile": QuantileTransformer(n_quantiles=50, random_state=0),
}
SAMPLERS = {
    "SMOTE": SMOTE(random_state=0),
    "BorderlineSMOTE": BorderlineSMOTE(random_state=0),
    "ADASYN": ADASYN(random_state=0),
    "RandomOverSampler": RandomOverSampler(random_state=0),
    "RandomUnderSampler": RandomUnderSampler(random_state=0),
    "SMOTEENN": SMOTEENN(random_state=0),
    "SMOTETomek": SMOTETomek(random_state=0),
}


class _Recorder(CallbackSupportMixin, BaseEstimator):
    """Stands for skdl's estimators: their protocol, with a tree inside; keeps what `fit` was given."""

    _parameter_constraints: dict = {"epochs": [int]}

    def __init__(self, early_stopping=True, validation_split=0.25, random_state=0, epochs=2):
        self.early_stopping = early_stopping
        self.validation_split = validation_split
        self.random_state = random_state
        self.epochs = epochs

    def _split_validation(self, X, y):
        if not self.early_stopping:
            return None
        rows = np.arange(_num_samples(X))
        stratify = y if is_classifier(self) else None
        size, seed = self.validation_split, self.random_state
        return tuple(train_test_split(rows, test_size=size, random_state=seed, stratify=stratify))

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        root = self._init_callback_context(max_subtasks=self.epochs)
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        for epoch in range(self.epochs):
            task = root.subcontext(task_name=f"epoch-{epoch}")
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        if X_val is None and self._split_validation(X, y) is not None:
            self.split_itself_ = True
        self.X_, self.y_, self.sample_weight_ = X, y, sample_weight
        self.X_val_, self.y_val_, self.sample_weight_val_ = X_val, y_val, sample_weight_val
        tree = DecisionTreeClassifier if is_classifier(self) else DecisionTreeRegressor
        self.tree_ = tree(max_depth=3, random_state=0).fit(X, y, sample_weight)
        if is_classifier(self):
            self.classes_ = self.tree_.classes_
        root.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def predict(self, X):
        return self.tree_.predict(X)


class Recorder(ClassifierMixin, _Recorder):
    def predict_proba(self, X):
        return self.tree_.predict_proba(X)


class RegressorRecorder(RegressorMixin, _Recorder):
    pass


class TransformingRecorder(TransformerMixin, Recorder):
    def transform(self, X):
        return self.tree_.apply(X)[:, np.newaxis]

    def fit_predict(self, X, y):
        raise AssertionError("would be fitted on resampled rows only")


@pytest.fixture(scope="module")
def cancer():
    """Breast cancer with 200 benign tumours and 40 malignant ones."""
    X, y = load_breast_cancer(return_X_y=True)
    return make_imbalance(X, y, sampling_strategy={0: 40, 1: 200}, random_state=0)


@pytest.fixture(scope="module")
def patients(cancer):
    """The same, as a DataFrame with text columns and missing values."""
    X, y = cancer
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(X[:, :5], columns=["radius", "texture", "perimeter", "area", "smoothness"])
    frame["clinic"] = rng.choice(["north", "south", "west"], size=len(y))
    frame["grade"] = np.where(frame["radius"] > 14, "high", "low")
    frame.index = [f"patient-{i}" for i in range(len(y))]
    return frame, pd.Series(np.where(y == 0, "malignant", "benign"), index=frame.index)


def own_split(X, y, **params):
    return Recorder(**params)._split_validation(X, y)


# ------------------------------------------------------------------ held-out rows


@pytest.mark.parametrize(
    ("scaler", "sampler"),
    [*((scaler, "SMOTE") for scaler in SCALERS), *(("robust", each) for each in SAMPLERS if each != "SMOTE")],
)
def test_no_step_sees_a_held_out_row(cancer, scaler, sampler):
    X, y = cancer
    pipeline = Pipeline(
        [("scaler", clone(SCALERS[scaler])), ("sampler", clone(SAMPLERS[sampler])), ("clf", Recorder())]
    ).fit(X, y)
    clf, held_out = pipeline["clf"], pipeline.validation_indices_
    train = np.setdiff1d(np.arange(len(y)), held_out)
    assert_array_equal(np.sort(held_out), np.sort(own_split(X, y)[1]))

    # What reaches training is what a chain makes that knows the training rows alone ...
    order = own_split(X, y)[0]
    assert_array_equal(np.sort(order), train)
    reference_scaler = clone(SCALERS[scaler]).fit(X[order])
    X_ref, y_ref = clone(SAMPLERS[sampler]).fit_resample(reference_scaler.transform(X[order]), y[order])
    assert_array_equal(clf.X_, X_ref)
    assert_array_equal(clf.y_, y_ref)

    # ... and validation is on every held-out row, once, with the balance of the data.
    assert_array_equal(clf.X_val_, reference_scaler.transform(X[held_out]))
    assert_array_equal(clf.y_val_, y[held_out])
    assert_array_equal(np.bincount(clf.y_val_), [10, 50])

    # Whatever stands in the held-out rows, training is the same.
    X_other = X.copy()
    X_other[held_out] = 1e6 * np.random.RandomState(0).standard_normal((len(held_out), X.shape[1]))
    other = clone(pipeline).fit(X_other, y)
    assert_array_equal(other.validation_indices_, held_out)
    assert_array_equal(other["clf"].X_, clf.X_)
    assert_array_equal(other["clf"].y_, clf.y_)

    assert_array_equal(clone(pipeline).fit(X, y).predict(X), pipeline.predict(X))
    assert not hasattr(clf, "split_itself_")


@pytest.mark.parametrize("scaler", SCALERS)
def test_no_step_sees_a_held_out_row_of_mixed_columns(patients, scaler):
    X, y = patients
    numbers, words = list(X.columns[:5]), ["clinic", "grade"]
    scale = ColumnTransformer(
        [("numbers", clone(SCALERS[scaler]), numbers)],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    encode = ColumnTransformer(
        [("words", OneHotEncoder(), words)], remainder="passthrough", sparse_threshold=0
    )
    smote = SMOTENC(categorical_features=words, random_state=0)
    pipeline = make_pipeline(scale, smote, encode, Recorder()).fit(X, y)

    train, held_out = own_split(X, y)
    scale, smote, encode = clone(scale), clone(smote), clone(encode)
    X_ref, y_ref = smote.fit_resample(scale.fit_transform(X.iloc[train]), y.iloc[train])
    assert_array_equal(pipeline[-1].X_, encode.fit_transform(X_ref))
    assert_array_equal(pipeline[-1].y_, y_ref)
    assert_array_equal(pipeline[-1].X_val_, encode.transform(scale.transform(X.iloc[held_out])))
    pd.testing.assert_series_equal(pipeline[-1].y_val_, y.iloc[held_out])
    assert pipeline[-1].y_val_.value_counts().to_dict() == {"benign": 50, "malignant": 10}
    assert set(clone(pipeline).fit(X, y).predict(X)) == {"benign", "malignant"}


@pytest.mark.parametrize("sampler", ["passthrough", *SAMPLERS])
@pytest.mark.parametrize("scaler", SCALERS)
def test_text_columns_and_missing_values_go_in_as_a_dataframe(patients, scaler, sampler):
    X, y = patients
    X = X.mask(np.random.RandomState(0).uniform(size=X.shape) < 0.05)
    numbers = make_pipeline(SimpleImputer(), clone(SCALERS[scaler]))
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("numbers", numbers, list(X.columns[:5])), ("words", words, ["clinic", "grade"])], sparse_threshold=0
    )
    sampler = sampler if sampler == "passthrough" else clone(SAMPLERS[sampler])
    pipeline = clone(make_pipeline(columns, sampler, Recorder())).fit(X, y)

    train, held_out = own_split(X, y)
    reference = clone(columns).fit(X.iloc[train], y.iloc[train])
    assert_array_equal(pipeline[-1].X_val_, reference.transform(X.iloc[held_out]))
    assert_array_equal(pipeline.feature_names_in_, X.columns)
    assert set(pipeline.predict(X)) == {"benign", "malignant"}
    assert_array_equal(pickle.loads(pickle.dumps(pipeline)).predict_proba(X), pipeline.predict_proba(X))


def test_held_out_rows_are_those_of_the_estimator_alone(cancer):
    X, y = cancer
    for seed in range(3):
        pipeline = make_pipeline(SMOTE(), Recorder(random_state=seed)).fit(X, y)
        assert_array_equal(pipeline.validation_indices_, own_split(X, y, random_state=seed)[1])


def test_a_random_state_instance_is_drawn_from_once(cancer):
    X, y = cancer
    rng = np.random.RandomState(0)
    pipeline = make_pipeline(SMOTE(random_state=0), Recorder(random_state=rng)).fit(X, y)
    reference = np.random.RandomState(0)
    _, held_out = own_split(X, y, random_state=reference)
    assert_array_equal(pipeline.validation_indices_, held_out)
    assert_array_equal(pipeline[-1].y_val_, y[held_out])
    assert_array_equal(rng.get_state()[1], reference.get_state()[1])
    first = pipeline.validation_indices_
    assert not np.array_equal(pipeline.fit(X, y).validation_indices_, first)


def test_nothing_is_held_out_where_none_is_wanted(cancer):
    X, y = cancer
    pipeline = make_pipeline(StandardScaler(), Recorder(early_stopping=False)).fit(X, y)
    assert pipeline.validation_indices_ is None
    assert pipeline[-1].X_val_ is None
    assert_array_equal(pipeline[-1].y_, y)


def test_another_final_estimator_gets_what_imblearn_gives_it(cancer):
    X, y = cancer
    steps = [("scaler", StandardScaler()), ("smote", SMOTE(random_state=0))]
    for final in (DecisionTreeClassifier(random_state=0), HistGradientBoostingClassifier(max_iter=5)):
        pipeline = clone(Pipeline([*steps, ("clf", final)])).fit(X, y)
        theirs = clone(ImblearnPipeline([*steps, ("clf", final)])).fit(X, y)
        assert pipeline.validation_indices_ is None
        assert_array_equal(pipeline.predict_proba(X), theirs.predict_proba(X))


def test_a_later_fit_without_validation_forgets_the_rows(cancer):
    X, y = cancer
    pipeline = Pipeline([("clf", Recorder())]).fit(X, y)
    assert len(pipeline.validation_indices_) == 60
    pipeline.set_params(clf__early_stopping=False).fit(X, y)
    assert pipeline.validation_indices_ is None


def test_sparse_input(cancer):
    X, y = cancer
    for make in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        pipeline = make_pipeline(
            StandardScaler(with_mean=False), RandomOverSampler(random_state=0), Recorder()
        ).fit(make(X), y)
        scaled = StandardScaler(with_mean=False).fit(X[own_split(X, y)[0]]).transform(X)
        assert sparse.issparse(pipeline[-1].X_val_)
        assert_allclose(pipeline[-1].X_val_.toarray(), scaled[pipeline.validation_indices_])


def test_lists_of_texts():
    texts = ["good film", "bad film", "good plot", "bad plot"] * 10
    labels = ["pos", "neg"] * 20
    pipeline = make_pipeline(CountVectorizer(), RandomOverSampler(random_state=0), Recorder()).fit(
        texts, labels
    )
    assert pipeline[-1].y_val_ == [labels[i] for i in pipeline.validation_indices_]
    assert list(pipeline.predict(["good film", "bad film"])) == ["pos", "neg"]


def test_several_targets():
    X, y = load_linnerud(return_X_y=True, as_frame=True)
    pipeline = make_pipeline(StandardScaler(), RegressorRecorder()).fit(X, y)
    pd.testing.assert_frame_equal(pipeline[-1].y_val_, y.iloc[pipeline.validation_indices_])
    assert pipeline.predict(X).shape == y.shape


def test_steps_that_cannot_work_are_named(cancer):
    with pytest.raises(ValueError, match="The pipeline is empty"):
        Pipeline([]).fit(*cancer)
    with pytest.raises(TypeError, match=r"Expected an estimator instance \(StandardScaler\(\)\)"):
        make_pipeline(StandardScaler, Recorder()).fit(*cancer)
    with pytest.raises(ValueError, match=r"got cfl__sample_weight, but there is no step 'cfl'.*\['clf'\]"):
        Pipeline([("nothing", None), ("clf", Recorder())]).fit(*cancer, cfl__sample_weight=None)


def test_a_kernel_matrix_is_cut_along_both_axes(cancer):
    X, y = cancer
    kernel = rbf_kernel(StandardScaler().fit_transform(X))
    pipeline = make_pipeline(KernelPCA(n_components=3, kernel="precomputed", random_state=0), Recorder())
    pipeline.fit(kernel, y)
    train, held_out = own_split(X, y)
    reference = clone(pipeline[0]).fit(kernel[np.ix_(train, train)])
    assert_allclose(pipeline[-1].X_val_, reference.transform(kernel[np.ix_(held_out, train)]))


def test_X_and_y_of_different_length_are_refused_before_anything_is_fitted(cancer):
    X, y = cancer
    pipeline = make_pipeline(StandardScaler(), Recorder())
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[240, 239\]"):
        pipeline.fit(X, y[1:])
    assert not hasattr(pipeline[0], "mean_")


# ------------------------------------------------------- parameters with a row each


def test_sample_weight_is_divided_with_the_rows(cancer):
    X, y = cancer
    weights = np.linspace(1, 2, len(y))
    names = np.array([f"row-{i}" for i in range(len(y))])

    class Grouped(FunctionTransformer):
        def fit(self, X, y=None, groups=None, name=None):
            self.groups_, self.name_ = groups, name
            return super().fit(X, y)

        def fit_transform(self, X, y=None, **params):
            return self.fit(X, y, **params).transform(X)

    pipeline = Pipeline([("groups", Grouped()), ("scaler", StandardScaler()), ("clf", Recorder())])
    pipeline.fit(
        X,
        y,
        clf__sample_weight=list(weights),
        scaler__sample_weight=pd.Series(weights),
        groups__groups=names,
        groups__name="ward",
    )
    train, held_out = own_split(X, y)
    clf = pipeline["clf"]
    assert_array_equal(clf.sample_weight_, weights[train])
    assert_array_equal(clf.sample_weight_val_, weights[held_out])
    assert_array_equal(pipeline["groups"].groups_, names[train])
    assert pipeline["groups"].name_ == "ward"
    reference = StandardScaler().fit(X[train], sample_weight=weights[train])
    assert_array_equal(pipeline["scaler"].mean_, reference.mean_)
    assert weights[0] == 1  # the caller's array is as it was


def test_an_estimator_without_sample_weight_val_gets_none(cancer):
    class Plain(Recorder):
        def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None):
            return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val)

    X, y = cancer
    pipeline = Pipeline([("clf", Plain())]).fit(X, y, clf__sample_weight=np.ones(len(y)))
    assert len(pipeline["clf"].sample_weight_) == 180
    assert pipeline["clf"].sample_weight_val_ is None


SELECTING_SAMPLERS = [
    AllKNN(),
    CondensedNearestNeighbour(random_state=0),
    EditedNearestNeighbours(),
    InstanceHardnessThreshold(estimator=DecisionTreeClassifier(max_depth=3), random_state=0, cv=2),
    NearMiss(),
    NeighbourhoodCleaningRule(),
    OneSidedSelection(random_state=0),
    RandomOverSampler(random_state=0),
    RandomUnderSampler(random_state=0),
    RepeatedEditedNearestNeighbours(),
    TomekLinks(),
]


@pytest.mark.parametrize("sampler", SELECTING_SAMPLERS, ids=lambda sampler: type(sampler).__name__)
def test_weights_follow_their_rows_through_a_sampler_that_selects_rows(cancer, sampler):
    X, y = cancer
    # Each row is known by its weight.
    weights = np.random.RandomState(0).permutation(len(y)) + 1.0
    pipeline = Pipeline([("sampler", clone(sampler)), ("scaler", StandardScaler()), ("clf", Recorder())])
    pipeline.fit(X, y, clf__sample_weight=weights, scaler__sample_weight=pd.Series(weights))
    clf = pipeline["clf"]
    rows = np.argsort(weights)[clf.sample_weight_.astype(int) - 1]
    assert_array_equal(clf.X_, pipeline["scaler"].transform(X[rows]))
    assert_array_equal(clf.y_, y[rows])
    train, held_out = own_split(X, y)
    assert set(rows) <= set(train)
    assert_array_equal(clf.sample_weight_val_, weights[held_out])
    reference = StandardScaler().fit(X[rows], sample_weight=weights[rows])
    assert_allclose(pipeline["scaler"].mean_, reference.mean_)


def test_weights_follow_their_rows_through_several_samplers_and_an_inner_pipeline(cancer):
    X, y = cancer
    weights = np.random.RandomState(0).permutation(len(y)) + 1.0
    inner = Pipeline([("under", RandomUnderSampler(random_state=0)), ("clf", Recorder())])
    pipeline = Pipeline(
        [("over", RandomOverSampler(sampling_strategy=0.5, random_state=0)), ("off", None), ("inner", inner)]
    ).fit(X, y, inner__clf__sample_weight=weights)
    clf = pipeline["inner"]["clf"]
    rows = np.argsort(weights)[clf.sample_weight_.astype(int) - 1]
    assert_array_equal(clf.X_, X[rows])
    assert len(rows) == 150


@config_context(enable_metadata_routing=True)
def test_with_routing_weights_follow_their_rows_through_a_sampler(cancer):
    X, y = cancer
    weights = np.random.RandomState(0).permutation(len(y)) + 1.0
    clf = Recorder().set_fit_request(sample_weight=True)
    pipeline = make_pipeline(RandomUnderSampler(random_state=0), clf).fit(X, y, sample_weight=weights)
    rows = np.argsort(weights)[pipeline[-1].sample_weight_.astype(int) - 1]
    assert_array_equal(pipeline[-1].X_, X[rows])
    with pytest.raises(ValueError, match="clf__sample_weight has an entry for each of the 180 rows"):
        Pipeline([("smote", SMOTE()), ("clf", clf)]).fit(X, y, sample_weight=weights)


class Shuffler(BaseEstimator):
    """A sampler that returns as many rows as it gets, in another order, and does not say which."""

    sample_indices_ = None

    def fit_resample(self, X, y):
        order = np.random.RandomState(0).permutation(len(y))
        return X[order], y[order]


class Doubler(BaseEstimator):
    """A sampler that says which rows it has chosen, and returns each of them twice."""

    def fit_resample(self, X, y):
        self.sample_indices_ = np.arange(len(y))
        return np.concatenate([X, X]), np.concatenate([y, y])


@pytest.mark.parametrize(
    ("sampler", "n_returned"),
    [(SMOTE(), 300), (Shuffler(), 180), (Doubler(), 360), (SMOTEENN(random_state=0), r"\d+")],
)
def test_weights_are_refused_behind_a_sampler_that_does_not_say_which_rows_it_returns(
    cancer, sampler, n_returned
):
    X, y = cancer
    pipeline = Pipeline([("sampler", sampler), ("scaler", StandardScaler()), ("clf", Recorder())])
    for step in ("scaler", "clf"):
        with pytest.raises(
            ValueError,
            match=rf"{step}__sample_weight has an entry for each of the 180 rows before the sampler 'sampler'"
            rf".*{type(sampler).__name__} returns {n_returned} rows.*sampler='passthrough'",
        ):
            pipeline.fit(X, y, **{f"{step}__sample_weight": np.ones(len(y))})
    assert not hasattr(pipeline["scaler"], "mean_")
    pipeline.fit(X, y, clf__sample_weight=None)
    pipeline.set_params(sampler="passthrough").fit(X, y, clf__sample_weight=np.ones(len(y)))


def test_weights_for_the_rows_that_a_sampler_returns_are_refused(cancer):
    X, y = cancer
    pipeline = Pipeline([("under", RandomUnderSampler()), ("clf", Recorder(early_stopping=False))])
    with pytest.raises(ValueError, match=r"clf__sample_weight has 80 entries, but .* 'under' is given 240"):
        pipeline.fit(X, y, clf__sample_weight=np.ones(80))


def test_no_row_of_weight_zero_is_held_out(cancer):
    X, y = cancer
    weights = np.random.RandomState(0).randint(3, size=len(y)).astype(float)
    weighted = np.flatnonzero(weights)
    for steps, prefix in (
        ([("clf", Recorder())], "clf__"),
        ([("inner", Pipeline([("clf", Recorder())]))], "inner__clf__"),
    ):
        pipeline = Pipeline(steps).fit(X, y, **{f"{prefix}sample_weight": weights})
        _, held_out = own_split(X[weighted], y[weighted])
        assert_array_equal(pipeline.validation_indices_, weighted[held_out])


@pytest.mark.parametrize("validation_split", [0.2, None])
def test_a_network_alone_and_in_a_pipeline_are_the_same_with_weights_of_zero(cancer, validation_split):
    X, y = StandardScaler().fit_transform(cancer[0]), cancer[1]
    weights = np.random.RandomState(0).randint(3, size=len(y)).astype(float)
    settings = {"batch_size": -1, "validation_split": validation_split, "random_state": 0}
    net = skdl.DNNClassifier((4,), epochs=2, **settings)
    alone = clone(net).fit(X, y, sample_weight=weights)
    pipeline = Pipeline([("off", None), ("clf", net)]).fit(X, y, clf__sample_weight=weights)
    assert pipeline["clf"].history_ == alone.history_
    assert_array_equal(pipeline.predict_proba(X), alone.predict_proba(X))


# -------------------------------------------------------------- validation data given


@pytest.fixture
def given(cancer):
    X, X_val, y, y_val = train_test_split(*cancer, stratify=cancer[1], random_state=0)
    return X, y, X_val, y_val


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(), SMOTE(random_state=0)],
        [SMOTE(random_state=0), StandardScaler()],
        [StandardScaler(), SMOTE(random_state=0), PCA(n_components=3, random_state=0)],
        [SMOTE(random_state=0)],
        ["passthrough", StandardScaler(), None],
        [],
    ],
    ids=["sampler last", "sampler first", "sampler between", "sampler alone", "passthrough", "no step"],
)
@pytest.mark.parametrize("final", [Recorder(), Recorder(early_stopping=False)])
def test_X_val_takes_the_way_of_new_data(given, steps, final):
    X, y, X_val, y_val = given
    weights = np.linspace(1, 2, len(y_val))
    pipeline = clone(make_pipeline(*steps, final))
    pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    expected = X_val
    for step in pipeline[:-1]:
        if hasattr(step, "transform"):
            expected = step.transform(expected)
    assert_array_equal(pipeline[-1].X_val_, expected)
    assert_array_equal(pipeline[-1].y_val_, y_val)
    assert_array_equal(pipeline[-1].sample_weight_val_, weights)
    assert pipeline.validation_indices_ is None
    alone = clone(ImblearnPipeline(pipeline.steps)).set_params(recorder__early_stopping=False).fit(X, y)
    assert_array_equal(pipeline[-1].X_, alone[-1].X_)


def test_X_val_reaches_an_estimator_of_scikit_learn(given):
    X, y, X_val, y_val = given
    clf = HistGradientBoostingClassifier(early_stopping=True, max_iter=20, random_state=0)
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), clf)
    pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    X_ref, y_ref = SMOTE(random_state=0).fit_resample(scaler.transform(X), y)
    alone = clone(clf).fit(X_ref, y_ref, X_val=scaler.transform(X_val), y_val=y_val)
    assert_array_equal(pipeline[-1].validation_score_, alone.validation_score_)


def test_step__X_val_is_handed_on_as_it_is_where_no_transformer_stands_before(given):
    X, y, X_val, y_val = given
    pipeline = Pipeline([("off", None), ("smote", SMOTE(random_state=0)), ("clf", Recorder())])
    pipeline.fit(X, y, clf__X_val=X_val, clf__y_val=y_val)
    assert pipeline["clf"].X_val_ is X_val
    assert pipeline.validation_indices_ is None
    pipeline.fit(X, y, clf__y_val=y_val)  # not replaced by rows held out: the estimator may object
    assert pipeline["clf"].y_val_ is y_val
    assert pipeline["clf"].X_val_ is None
    assert len(pipeline["clf"].y_) == 300


@pytest.mark.parametrize("final", [Recorder(), HistGradientBoostingClassifier(early_stopping=True)])
def test_validation_data_past_the_transformers_are_refused(given, final):
    X, y, X_val, y_val = given
    pipeline = Pipeline([("scaler", StandardScaler()), ("smote", SMOTE()), ("clf", clone(final))])
    for params in ({"clf__X_val": X_val, "clf__y_val": y_val}, {"clf__validation_data": (X_val, y_val)}):
        name = next(iter(params))
        with pytest.raises(
            ValueError, match=rf"{name} would reach 'clf' without the transformers \['scaler'\].*X_val=X_val"
        ):
            pipeline.fit(X, y, **params)
    inner = Pipeline([("scaler", StandardScaler()), ("clf", Recorder())])
    with pytest.raises(ValueError, match=r"clf__X_val would reach 'clf' without the transformers"):
        Pipeline([("inner", inner)]).fit(X, y, inner__clf__X_val=X_val, inner__clf__y_val=y_val)


def test_a_share_given_to_fit_is_refused_where_steps_come_first(given):
    X, y, _, _ = given
    pipeline = Pipeline([("scaler", StandardScaler()), ("clf", Recorder())])
    with pytest.raises(ValueError, match=r"clf__validation_split.*set_params\(clf__validation_split=0.2\)"):
        pipeline.fit(X, y, clf__validation_split=0.2)


@pytest.mark.parametrize("container", [tuple, list])
def test_validation_data_in_one_as_in_keras(given, container):
    X, y, X_val, y_val = given
    weights = np.linspace(1, 2, len(y_val))
    pipeline = make_pipeline(StandardScaler(), Recorder())
    pipeline.fit(X, y, validation_data=container((X_val, y_val)))
    assert_array_equal(pipeline[-1].X_val_, StandardScaler().fit(X).transform(X_val))
    assert_array_equal(pipeline[-1].y_val_, y_val)
    assert pipeline[-1].sample_weight_val_ is None
    assert pipeline.validation_indices_ is None
    pipeline.fit(X, y, validation_data=container((X_val, y_val, weights)))
    assert_array_equal(pipeline[-1].sample_weight_val_, weights)
    pipeline.fit(X, y, validation_data=None)
    assert len(pipeline.validation_indices_) == 45
    with config_context(enable_metadata_routing=True):
        clf = Recorder().set_fit_request(X_val=True, y_val=True)
        routed = make_pipeline(StandardScaler(), clf, transform_input=["X_val"])
        routed.fit(X, y, validation_data=container((X_val, y_val)))
    assert_array_equal(routed[-1].y_val_, y_val)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"validation_data": (1, 2, 3, 4)}, "a tuple .X_val, y_val.*got tuple of length 4"),
        ({"validation_data": 0.2}, "a tuple .X_val, y_val.*got float"),
        ({"validation_data": ([1], [2]), "X_val": [1]}, "got validation_data and X_val. Pass either"),
    ],
)
def test_validation_data_of_another_form_are_refused(given, params, message):
    X, y, _, _ = given
    with pytest.raises(ValueError, match=message):
        make_pipeline(StandardScaler(), Recorder()).fit(X, y, **params)


def test_X_val_None_is_as_not_given(given):
    X, y, _, _ = given
    pipeline = Pipeline([("clf", Recorder())])
    for params in ({"X_val": None, "y_val": None}, {"clf__X_val": None, "clf__y_val": None}):
        pipeline.fit(X, y, **params)
        assert_array_equal(pipeline.validation_indices_, own_split(X, y)[1])
        assert len(pipeline["clf"].y_val_) == 45


@pytest.mark.parametrize(("left_out", "given_alone"), [("y_val", "X_val"), ("X_val", "y_val")])
def test_half_of_the_validation_data_is_refused(given, left_out, given_alone):
    X, y, X_val, y_val = given
    params = {"X_val": X_val, "y_val": y_val}
    del params[left_out]
    with pytest.raises(ValueError, match=f"but only {given_alone} is given; give both"):
        make_pipeline(StandardScaler(), Recorder()).fit(X, y, **params)


def test_validation_data_are_refused_where_the_last_step_takes_none(given):
    X, y, X_val, y_val = given
    inner = make_pipeline(DummyClassifier())
    for final, called in ((DummyClassifier(), "DummyClassifier"), ("passthrough", "'passthrough'")):
        pipeline = Pipeline([("scaler", StandardScaler()), ("last", final)])
        message = f"does not accept the X_val parameter here: the final step 'last' is {called}, whose fit"
        with pytest.raises(ValueError, match=message):
            pipeline.fit(X, y, X_val=X_val, y_val=y_val)
        assert not hasattr(pipeline["scaler"], "mean_")
    with pytest.raises(
        ValueError, match="does not accept the X_val parameter here: the final step 'pipeline'"
    ):
        make_pipeline(StandardScaler(), inner).fit(X, y, X_val=X_val, y_val=y_val)


def test_validation_data_given_twice_are_refused(given):
    X, y, X_val, y_val = given
    with pytest.raises(
        ValueError, match=r"X_val was given twice to Pipeline\.fit: as X_val and as clf__X_val"
    ):
        Pipeline([("clf", Recorder())]).fit(X, y, X_val=X_val, y_val=y_val, clf__X_val=X_val)


def test_validation_data_of_different_length_are_refused(given):
    X, y, X_val, y_val = given
    pipeline = make_pipeline(StandardScaler(), Recorder())
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[60, 59\]"):
        pipeline.fit(X, y, X_val=X_val, y_val=y_val[1:])


# ---------------------------------------------------------------- metadata routing


@pytest.mark.parametrize("routing", [False, True])
def test_rows_held_out_need_no_routing_and_no_request(cancer, routing):
    X, y = cancer
    weights = np.linspace(1, 2, len(y))
    train, held_out = own_split(X, y)
    with config_context(enable_metadata_routing=routing):
        clf = Recorder()
        scaler = StandardScaler()
        if routing:
            clf.set_fit_request(sample_weight=True)
            scaler.set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scaler", scaler), ("clf", clf)])
        pipeline.fit(X, y, **{"sample_weight" if routing else "clf__sample_weight": weights})
    assert_array_equal(pipeline.validation_indices_, held_out)
    assert_array_equal(pipeline["clf"].sample_weight_, weights[train])
    assert_array_equal(pipeline["clf"].sample_weight_val_, weights[held_out])
    assert_array_equal(pipeline["clf"].X_val_, StandardScaler().fit(X[train]).transform(X[held_out]))


@config_context(enable_metadata_routing=True)
@pytest.mark.parametrize("steps", [[StandardScaler(), SMOTE()], [SMOTE(), StandardScaler()], [SMOTE()]])
def test_transform_input_works_wherever_the_sampler_stands(given, steps):
    X, y, X_val, y_val = given
    clf = Recorder().set_fit_request(X_val=True, y_val=True)
    pipeline = make_pipeline(*steps, clf, transform_input=["X_val"]).fit(X, y, X_val=X_val, y_val=y_val)
    expected = X_val
    for step in pipeline[:-1]:
        expected = step.transform(expected) if hasattr(step, "transform") else expected
    assert_array_equal(pipeline[-1].X_val_, expected)
    assert pipeline.validation_indices_ is None


@config_context(enable_metadata_routing=True)
def test_with_routing_what_is_not_requested_is_refused_as_in_scikit_learn(given):
    X, y, X_val, y_val = given
    pipeline = make_pipeline(StandardScaler(), Recorder())
    with pytest.raises(UnsetMetadataPassedError, match="X_val"):
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)


@config_context(enable_metadata_routing=True)
def test_with_routing_transform_gets_its_part_of_the_metadata(cancer):
    class Shifter(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None, shift=None):
            self.fitted_ = True
            return self

        def transform(self, X, shift=None):
            return X if shift is None else X + np.asarray(shift)[:, np.newaxis]

        def fit_transform(self, X, y=None, shift=None):
            return self.fit(X, y).transform(X, shift)

    X, y = cancer
    shift = np.arange(len(y))
    shifter = Shifter().set_fit_request(shift=True).set_transform_request(shift=True)
    pipeline = make_pipeline(shifter, Recorder()).fit(X, y, shift=shift)
    train, held_out = own_split(X, y)
    assert_array_equal(pipeline[-1].X_, X[train] + shift[train][:, np.newaxis])
    assert_array_equal(pipeline[-1].X_val_, X[held_out] + shift[held_out][:, np.newaxis])


def test_without_routing_transform_input_names_the_way_out(given):
    X, y, X_val, y_val = given
    pipeline = make_pipeline(StandardScaler(), Recorder(), transform_input=["X_val"])
    with pytest.raises(ValueError, match=r"can only be set if metadata routing is enabled.*leave.*out"):
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)


# ----------------------------------------------------------- a Pipeline as inner step


@pytest.mark.parametrize("Inner", [Pipeline, SklearnPipeline, ImblearnPipeline])
@pytest.mark.parametrize("last", [PCA(n_components=3, random_state=0), "passthrough"])
def test_a_pipeline_of_transformers_is_a_step_as_any_other(cancer, Inner, last):
    X, y = cancer
    inner = Inner([("scaler", StandardScaler()), ("last", last)])
    pipeline = Pipeline([("inner", inner), ("smote", SMOTE(random_state=0)), ("clf", Recorder())])
    pipeline = clone(pipeline).fit(X, y)
    train, held_out = own_split(X, y)
    reference = clone(inner)
    X_ref, _ = SMOTE(random_state=0).fit_resample(reference.fit_transform(X[train]), y[train])
    assert_array_equal(pipeline["clf"].X_, X_ref)
    assert_array_equal(pipeline["clf"].X_val_, reference.transform(X[held_out]))
    assert_array_equal(pipeline.predict(X), pipeline["clf"].predict(reference.transform(X)))
    search = GridSearchCV(pipeline, {"inner__scaler": [StandardScaler(), MinMaxScaler()]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    assert pipeline[:1].transform(X).shape == reference.transform(X).shape


@pytest.mark.parametrize("Inner", [Pipeline, SklearnPipeline])
def test_callbacks_reach_the_steps_of_an_inner_pipeline(cancer, Inner):
    steps = [("inner", Inner([("scaler", StandardScaler())])), ("clf", Recorder())]
    ours = events_of(lambda: clone(Pipeline(steps)), *cancer)
    theirs = events_of(lambda: clone(SklearnPipeline(steps)), *cancer)
    assert ours == theirs


@config_context(enable_metadata_routing=True)
def test_with_routing_metadata_reach_the_steps_of_an_inner_pipeline(cancer):
    X, y = cancer
    weights = np.linspace(1, 2, len(y))
    inner = SklearnPipeline([("scaler", StandardScaler().set_fit_request(sample_weight=True))])
    clf = Recorder().set_fit_request(sample_weight=False)
    pipeline = Pipeline([("inner", inner), ("clf", clf)]).fit(X, y, sample_weight=weights)
    train, _ = own_split(X, y)
    reference = StandardScaler().fit(X[train], sample_weight=weights[train])
    assert_array_equal(pipeline["inner"]["scaler"].mean_, reference.mean_)


def test_a_pipeline_with_a_sampler_is_no_inner_step(cancer):
    for inner in (
        ImblearnPipeline([("scaler", StandardScaler()), ("smote", SMOTE())]),
        Pipeline([("smote", SMOTE()), ("scaler", StandardScaler())]),
        SklearnPipeline([("deeper", Pipeline([("smote", SMOTE()), ("last", "passthrough")]))]),
    ):
        pipeline = Pipeline([("inner", inner), ("clf", Recorder())])
        with pytest.raises(
            TypeError, match=r"'inner' is a Pipeline with the samplers \['(deeper__)?smote'\].*outer"
        ):
            pipeline.fit(*cancer)


# ------------------------------------------------------------ a Pipeline as last step


@pytest.mark.parametrize("routing", [False, True])
def test_rows_are_held_out_before_the_first_step_of_the_outermost_pipeline(cancer, routing):
    X, y = cancer
    with config_context(enable_metadata_routing=routing):
        inner = Pipeline([("scaler", StandardScaler()), ("clf", Recorder())])
        pipeline = Pipeline([("smote", SMOTE(random_state=0)), ("inner", inner)]).fit(X, y)
    train, held_out = own_split(X, y)
    X_ref, _ = SMOTE(random_state=0).fit_resample(X[train], y[train])
    scaler = StandardScaler().fit(X_ref)
    clf = pipeline["inner"]["clf"]
    assert_array_equal(pipeline.validation_indices_, held_out)
    assert pipeline["inner"].validation_indices_ is None
    assert_array_equal(clf.X_, scaler.transform(X_ref))
    assert_array_equal(clf.X_val_, scaler.transform(X[held_out]))
    assert_array_equal(clf.y_val_, y[held_out])


@pytest.mark.parametrize("routing", [False, True])
def test_weights_reach_the_last_estimator_of_nested_pipelines(cancer, routing):
    X, y = cancer
    weights = np.linspace(1, 2, len(y))
    with config_context(enable_metadata_routing=routing):
        clf = Recorder()
        if routing:
            clf.set_fit_request(sample_weight=True)
        inner = Pipeline([("pca", PCA(n_components=2)), ("clf", clf)])
        pipeline = Pipeline([("pca", PCA(n_components=5)), ("inner", inner)])
        pipeline.fit(X, y, **{"sample_weight" if routing else "inner__clf__sample_weight": weights})
    train, held_out = own_split(X, y)
    clf = pipeline["inner"]["clf"]
    assert_array_equal(clf.sample_weight_, weights[train])
    assert_array_equal(clf.sample_weight_val_, weights[held_out])


def test_X_val_goes_through_nested_pipelines(given):
    X, y, X_val, y_val = given
    weights = np.ones(len(y_val))
    pipeline = make_pipeline(SMOTE(), make_pipeline(StandardScaler(), Recorder()))
    pipeline.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=weights)
    inner = pipeline[-1]
    assert_array_equal(inner[-1].X_val_, inner[0].transform(X_val))
    assert_array_equal(inner[-1].sample_weight_val_, weights)


# ---------------------------------------------------------------------- callbacks


class LocalEventLog:
    """Notes each event of the estimator that it is set on, with the path of its task."""

    def __init__(self):
        self.events = []

    def _note(self, hook, context):
        path = "/".join(task.task_name for task in get_context_path(context))
        self.events.append((hook, context.estimator_name, path))

    def setup(self, estimator, context):
        self._note("setup", context)

    def teardown(self, estimator, context):
        self._note("teardown", context)

    def on_fit_task_begin(self, estimator, context):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._note("end", context)


class EventLog(LocalEventLog):
    """The same, for the estimators inside too: scikit-learn propagates what has this attribute."""

    max_propagation_depth = None


def events_of(make, X, y, method="fit"):
    log = EventLog()
    estimator = make().set_callbacks(log)
    getattr(estimator, method)(X, y)
    assert not hasattr(estimator, "_callback_fit_ctx")
    return log.events


@pytest.mark.parametrize(
    ("steps", "method"),
    [
        ([StandardScaler(), LogisticRegression()], "fit"),
        ([StandardScaler(), "passthrough", None, LogisticRegression()], "fit"),
        ([StandardScaler(), Recorder(early_stopping=False)], "fit"),
        ([StandardScaler(), Recorder()], "fit"),
        ([StandardScaler(), StandardScaler()], "fit"),
        ([StandardScaler(), StandardScaler()], "fit_transform"),
        ([StandardScaler(), "passthrough"], "fit"),
        ([StandardScaler(), "passthrough"], "fit_transform"),
    ],
)
def test_callbacks_get_the_events_of_scikit_learns_pipeline(cancer, steps, method):
    X, y = cancer
    steps = [(f"step{i}", step) for i, step in enumerate(steps)]
    ours = events_of(lambda: clone(Pipeline(steps)), X, y, method)
    theirs = events_of(lambda: clone(SklearnPipeline(steps)), X, y, method)
    assert ours == theirs
    assert len(ours) >= 2 + 2 * (1 + len(steps))


def test_callbacks_get_the_events_of_scikit_learns_pipeline_in_fit_predict(cancer):
    class Clusters(CallbackSupportMixin, KMeans):
        pass

    X, y = cancer
    steps = [("scaler", StandardScaler()), ("clusters", Clusters(2, random_state=0, n_init=1))]
    ours = events_of(lambda: clone(Pipeline(steps)), X, y, "fit_predict")
    assert ours == events_of(lambda: clone(SklearnPipeline(steps)), X, y, "fit_predict")


def test_a_sampler_is_a_task_and_epochs_are_subtasks(cancer):
    events = events_of(lambda: make_pipeline(StandardScaler(), SMOTE(), Recorder(epochs=1)), *cancer)
    assert events == [
        ("setup", "Pipeline", "fit"),
        ("begin", "Pipeline", "fit"),
        ("begin", "StandardScaler", "fit/fit"),
        ("end", "StandardScaler", "fit/fit"),
        ("begin", "Pipeline", "fit/fit-resample-smote"),
        ("end", "Pipeline", "fit/fit-resample-smote"),
        ("begin", "Recorder", "fit/fit"),
        ("begin", "Recorder", "fit/fit/epoch-0"),
        ("end", "Recorder", "fit/fit/epoch-0"),
        ("end", "Recorder", "fit/fit"),
        ("end", "Pipeline", "fit"),
        ("teardown", "Pipeline", "fit"),
    ]


def test_fit_resample_has_its_events(cancer):
    events = events_of(lambda: make_pipeline(StandardScaler(), "passthrough"), *cancer, "fit_resample")
    assert [path for _, _, path in events if "final" in path] == [
        "fit-resample/fit-resample-final-estimator"
    ] * 2


def test_callbacks_are_torn_down_when_a_step_fails(cancer):
    class Failing(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            raise RuntimeError("the step failed")

    log = EventLog()
    pipeline = make_pipeline(StandardScaler(), Failing(), Recorder()).set_callbacks(log)
    with pytest.raises(RuntimeError, match="the step failed"):
        pipeline.fit(*cancer)
    assert log.events[-1] == ("teardown", "Pipeline", "fit")
    assert not any(hasattr(step, "_skl_callbacks") for step in pipeline)
    assert not any(hasattr(step, "_parent_callback_ctx") for step in pipeline)


def test_a_callback_of_a_step_knows_where_it_stands(cancer):
    log = LocalEventLog()
    pipeline = make_pipeline(SMOTE(), Recorder(epochs=1).set_callbacks(log)).fit(*cancer)
    assert log.events[0] == ("setup", "Recorder", "fit/fit")
    assert ("end", "Recorder", "fit/fit/epoch-0") in log.events
    assert clone(pipeline)[-1]._skl_callbacks == [log]


def test_a_step_from_the_cache_has_no_events_as_in_scikit_learn(cancer, tmp_path):
    X, y = cancer
    counts = {}
    for Class in (Pipeline, SklearnPipeline):
        memory = str(tmp_path / Class.__module__)
        pipeline = Class([("scaler", StandardScaler()), ("clf", Recorder(epochs=1))], memory=memory)
        counts[Class] = []
        for _ in range(2):
            log = EventLog()
            pipeline.set_callbacks(log).fit(X, y)
            counts[Class].append(len(log.events))
            assert not hasattr(pipeline["scaler"], "_skl_callbacks")
    assert counts[Pipeline] == counts[SklearnPipeline] == [10, 8]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_search_shows_its_progress_without_warnings(cancer, n_jobs, capsys):
    pipeline = Pipeline(
        [("scaler", MinMaxScaler()), ("smote", SMOTE(random_state=0)), ("clf", LogisticRegression())]
    )
    grid = {"clf__C": [0.1, 1.0], "smote": [SMOTE(random_state=0), "passthrough"]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).set_callbacks(ProgressBar())
    search.fit(*cancer)  # warnings are errors in tests
    assert "Pipeline - fit" in capsys.readouterr().out
    assert search.best_score_ > 0.8


def test_a_search_has_the_events_that_it_has_over_scikit_learns_pipeline(cancer):
    X, y = cancer
    steps = [("scaler", StandardScaler()), ("clf", LogisticRegression())]
    events = {}
    for Class in (Pipeline, SklearnPipeline):
        log = EventLog()
        GridSearchCV(Class(steps), {"clf__C": [0.1, 1.0]}, cv=2).set_callbacks(log).fit(X, y)
        events[Class] = log.events
    assert events[Pipeline] == events[SklearnPipeline]
    assert (
        sum("fit-transform-scaler" in path or "StandardScaler" == name for _, name, path in events[Pipeline])
        == 10
    )


def test_a_scoring_monitor_is_set_on_the_step_that_it_scores(cancer):
    X, y = cancer
    pipeline = make_pipeline(StandardScaler(), skdl.DNNClassifier((4,), epochs=2, random_state=0))
    monitor = ScoringMonitor(scoring="accuracy")
    with pytest.raises(
        TypeError, match=r"pipeline\['dnnclassifier'\].set_callbacks.*has DNNClassifier scored"
    ):
        pipeline.set_callbacks(ProgressBar(), monitor)
    assert not hasattr(pipeline, "_skl_callbacks")
    pipeline["dnnclassifier"].set_callbacks(monitor)
    pipeline.fit(X, y)
    scores = monitor.get_logs().data_as_pandas
    assert scores["task_name"].to_list() == ["fit", "epoch", "epoch"]
    assert scores["accuracy"].iloc[-1] == pipeline.score(X, y)


def test_a_final_estimator_without_callbacks_gets_scikit_learns_warning(cancer):
    pipeline = make_pipeline(MinMaxScaler(), DummyClassifier()).set_callbacks(EventLog())
    with pytest.warns(UserWarning, match="DummyClassifier does not support callbacks") as caught:
        pipeline.fit(*cancer)
    assert len(caught) == 1


# -------------------------------------------------- what imblearn's Pipeline does too


def test_grid_over_scalers_samplers_and_parameters(cancer):
    X, y = cancer
    pipeline = Pipeline(
        [("scaler", StandardScaler()), ("sampler", SMOTE(random_state=0)), ("clf", Recorder())]
    )
    grid = {
        "scaler": [SCALERS["minmax"], SCALERS["quantile"]],
        "sampler": [SAMPLERS["SMOTE"], SAMPLERS["RandomUnderSampler"], "passthrough", None],
        "clf__early_stopping": [True, False],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.8
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    held_out = search.best_estimator_.validation_indices_
    assert (held_out is not None) == search.best_params_["clf__early_stopping"]
    nested = GridSearchCV(pipeline, {"sampler__k_neighbors": [3, 5]}, cv=2).fit(X, y)
    assert nested.best_estimator_["sampler"].k_neighbors in (3, 5)


def test_cross_validation_in_processes_gives_the_same(cancer):
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), Recorder())
    assert_array_equal(
        cross_val_score(pipeline, *cancer, cv=3, n_jobs=2), cross_val_score(pipeline, *cancer, cv=3)
    )


@pytest.mark.parametrize("verbose", [False, True])
def test_memory_keeps_steps_fitted_on_the_training_rows(cancer, tmp_path, verbose):
    X, y = cancer
    pipeline = Pipeline(
        [("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("clf", Recorder())],
        memory=str(tmp_path),
        verbose=verbose,
    )
    scaler = pipeline["scaler"]
    first = pipeline.fit(X, y)["clf"].X_
    assert not hasattr(scaler, "mean_")
    again = clone(pipeline).set_params(verbose=not verbose).fit(X, y)
    assert_array_equal(again["clf"].X_, first)
    assert len(list(tmp_path.rglob("output.pkl"))) == 2
    assert_array_equal(again.validation_indices_, own_split(X, y)[1])
    other = clone(pipeline).set_params(clf__random_state=1).fit(X, y)
    assert not np.array_equal(other["clf"].X_, first)
    assert len(list(tmp_path.rglob("output.pkl"))) == 4


def test_slices_names_and_lengths(cancer):
    X, y = cancer
    pipeline = Pipeline([("scaler", StandardScaler()), ("smote", SMOTE()), ("clf", Recorder())]).fit(X, y)
    assert type(pipeline[:-1]) is Pipeline
    assert len(pipeline) == 3
    assert pipeline[:1].transform(X).shape == X.shape
    assert pipeline["clf"] is pipeline[-1] is pipeline.named_steps["clf"] is pipeline.named_steps.clf
    assert pipeline.n_features_in_ == X.shape[1]
    assert_array_equal(pipeline.classes_, [0, 1])
    check_is_fitted(pipeline)
    assert is_classifier(pipeline)


def test_set_output_gives_the_estimator_frames(patients):
    X, y = patients
    X = X[["radius", "texture"]]
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), Recorder()).set_output(
        transform="pandas"
    )
    clf = pipeline.fit(X, y)[-1]
    assert list(clf.X_.columns) == list(clf.X_val_.columns) == ["radius", "texture"]
    assert list(clf.X_val_.index) == list(X.index[pipeline.validation_indices_])


def test_clone_pickle_and_repr(cancer):
    X, y = cancer
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), Recorder())
    assert "validation_indices_" not in vars(clone(pipeline.fit(X, y)))
    copy = pickle.loads(pickle.dumps(pipeline))
    assert_array_equal(copy.predict(X), pipeline.predict(X))
    assert_array_equal(copy.validation_indices_, pipeline.validation_indices_)
    assert "Pipeline(steps=[('standardscaler', StandardScaler())" in repr(pipeline)
    html = estimator_html_repr(pipeline)
    assert all(name in html for name in ("StandardScaler", "SMOTE", "Recorder"))


def test_fit_transform_has_a_row_for_each_row_where_rows_are_held_out(given):
    X, y, X_val, y_val = given
    pipeline = make_pipeline(StandardScaler(), SMOTE(random_state=0), TransformingRecorder())
    Xt = pipeline.fit_transform(X, y)
    assert_array_equal(Xt, clone(pipeline).fit(X, y).transform(X))
    assert len(Xt) == len(X)
    assert_array_equal(pipeline.validation_indices_, own_split(X, y)[1])
    assert_array_equal(pipeline.fit_predict(X, y), pipeline.predict(X))
    pipeline.fit_transform(X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(pipeline[-1].y_val_, y_val)
    with pytest.raises(ValueError, match="does not accept the X_val parameter"):
        make_pipeline(SMOTE(), StandardScaler()).fit_transform(X, y, X_val=X_val, y_val=y_val)


def test_fit_transform_of_a_step_without_it_gets_the_resampled_targets(cancer):
    class Means:
        def fit(self, X, y):
            self.means_ = np.array([X[y == label].mean(axis=0) for label in np.unique(y)])
            return self

        def transform(self, X):
            return X - self.means_[0]

    X, y = cancer
    Xt = make_pipeline(SMOTE(random_state=0), Means()).fit_transform(X, y)
    assert len(Xt) == 400


def test_fit_resample_and_fit_predict(cancer):
    X, y = cancer
    X_res, y_res = make_pipeline(StandardScaler(), SMOTE(random_state=0)).fit_resample(X, y)
    assert_array_equal(np.bincount(y_res), [200, 200])
    assert len(X_res) == 400
    labels = make_pipeline(StandardScaler(), KMeans(2, n_init=1, random_state=0)).fit_predict(X)
    assert len(labels) == len(X)


def test_without_y():
    X, _ = load_iris(return_X_y=True)

    class Density(_Recorder):
        def fit(self, X, y=None, *, X_val=None, y_val=None):
            self.X_, self.X_val_ = X, X_val
            return self

    pipeline = make_pipeline(StandardScaler(), Density()).fit(X)
    train, held_out = Density()._split_validation(X, None)
    assert_array_equal(pipeline[-1].X_val_, StandardScaler().fit(X[train]).transform(X[held_out]))
    pipeline.fit(X[:100], X_val=X[100:])
    assert len(pipeline[-1].X_) == 100


def test_importing_the_pipeline_costs_no_tensorflow():
    code = "import sys; from skdl import Pipeline, make_pipeline; print('tensorflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
    assert {"Pipeline", "make_pipeline"} <= set(skdl.__all__)
