"""Columns of DataFrames as the inputs of a model, and layers that learn from the rows to train on."""

import copy
import pickle

import cloudpickle
import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdl import DNNRegressor, KerasClassifier, KerasRegressor, load, save

layers = keras.layers
N = 48
rng = np.random.default_rng(0)
TEXTS = np.array(["good day", "bad day", "a good thing", "very bad thing"], dtype=object)
COLUMNS = {
    "text": TEXTS[rng.integers(0, 4, N)],
    "age": rng.integers(20, 60, N),
    "income": rng.normal(50, 20, N),
    "loan": rng.normal(5, 2, N),
    "word": rng.integers(0, 9, N),
    "image": rng.random((N, 4, 4)),
}
Y = np.where([text.find("good") >= 0 for text in COLUMNS["text"]], "yes", "no")
T = COLUMNS["income"] - COLUMNS["age"]


def frame(library, columns=tuple(COLUMNS)):
    if library == "dict":
        return {name: COLUMNS[name] for name in columns}
    if library == "pandas":
        return pd.DataFrame({name: list(COLUMNS[name]) for name in columns})
    return pl.DataFrame({name: COLUMNS[name].tolist() for name in columns})


# Each makes an input and what the model computes of it.
BRANCHES = {
    "text": lambda: (
        x := keras.Input((), dtype="string", name="text"),
        layers.GlobalAveragePooling1D()(
            layers.Embedding(20, 2)(
                layers.TextVectorization(max_tokens=20, output_sequence_length=3, name="words")(x)
            )
        ),
    ),
    "age": lambda: (x := keras.Input((1,), name="age"), layers.Normalization(name="scaled_age")(x)),
    "numbers": lambda: (x := keras.Input((2,), name="numbers"), layers.Normalization(name="scaled")(x)),
    "word": lambda: (x := keras.Input((), dtype="int32", name="word"), layers.Embedding(9, 2)(x)),
    "image": lambda: (x := keras.Input((4, 4, 1), name="image"), layers.Flatten()(x)),
}
NUMBERS = {"numbers": ["income", "loan"]}


def build(branches, form="list", units=1, activation="sigmoid"):
    made = [BRANCHES[branch]() for branch in branches]
    x = layers.Concatenate()([output for _, output in made]) if len(made) > 1 else made[0][1]
    inputs = [each for each, _ in made]
    if form == "dict":
        inputs = {each.name: each for each in inputs}
    return keras.Model(inputs, layers.Dense(units, activation)(x))


def classifier(branches, form="list", **params):
    inputs = NUMBERS if "numbers" in branches else None
    settings = {"loss": "binary_crossentropy", "optimizer": "adam", "epochs": 2, "random_state": 0}
    return KerasClassifier(
        build, model__branches=branches, model__form=form, **{"inputs": inputs, **settings, **params}
    )


def arrays(branches):
    """Return what plain Keras takes."""
    shaped = {
        "text": COLUMNS["text"],
        "age": COLUMNS["age"].astype("float32")[:, None],
        "numbers": np.column_stack([COLUMNS["income"], COLUMNS["loan"]]).astype("float32"),
        "word": COLUMNS["word"].astype("int32"),
        "image": COLUMNS["image"].astype("float32")[..., None],
    }
    import tensorflow as tf

    return {name: tf.convert_to_tensor(shaped[name]) for name in branches}


def names_of(branches):
    return [c for name in branches for c in (NUMBERS["numbers"] if name == "numbers" else [name])]


COMBINATIONS = [
    ("text",),
    ("text", "age"),
    ("age", "word"),
    ("numbers", "image"),
    ("word", "numbers", "text"),
    ("text", "age", "numbers", "word", "image"),
]


LIBRARIES = ["pandas", "polars", "dict"]
# The library of the rows to train on, and the form of the inputs; each library with both forms.
TRAININGS = [
    pytest.param(branches, LIBRARIES[i % 3], ("list", "dict")[i % 2], id="+".join(branches))
    for i, branches in enumerate(COMBINATIONS)
]


@pytest.mark.parametrize(("branches", "library", "form"), TRAININGS)
def test_a_frame_gives_what_plain_keras_gives(branches, library, form):
    fitted = classifier(branches, form).fit(frame(library, names_of(branches)), Y)
    assert fitted.engine_ == "compiled"
    inputs = arrays(branches)
    expected = fitted.model_.predict(
        inputs if form == "dict" else list(inputs.values()) if len(branches) > 1 else inputs[branches[0]],
        verbose=0,
    )
    for each in LIBRARIES:
        ours = fitted.predict_proba(frame(each, names_of(branches)))[:, 1]
        np.testing.assert_allclose(ours, expected.ravel(), rtol=1e-6, err_msg=each)
    assert list(fitted.feature_names_in_) == names_of(branches)
    assert fitted.n_features_in_ == len(names_of(branches))


@pytest.fixture(scope="module", params=["pandas", "polars"])
def with_plain(request):
    """Return a fitted network, its frame, and what plain Keras predicts for the same arrays."""
    X, inputs = frame(request.param), arrays(COMBINATIONS[-1])
    fitted = classifier(COMBINATIONS[-1]).fit(X, Y)
    return fitted, X, fitted.model_.predict(list(inputs.values()), verbose=0).ravel()


def in_a_file(fitted, X, folder):
    save(fitted, folder / "network.skdl")
    return load(folder / "network.skdl", trusted=[f"{__name__}.build"]).predict_proba(X)


def in_two_jobs(fitted, X, backend):
    with parallel_config(backend, n_jobs=2):
        halves = Parallel()(delayed(fitted.predict_proba)(part) for part in (X[:20], X[20:]))
    return np.concatenate(halves)


WAYS = {
    "reordered": lambda fitted, X, folder: fitted.predict_proba(X[list(X.columns)[::-1]]),
    "clone": lambda fitted, X, folder: clone(fitted).fit(X, Y).predict_proba(X),
    "deepcopy": lambda fitted, X, folder: copy.deepcopy(fitted).predict_proba(X),
    "pickle": lambda fitted, X, folder: pickle.loads(pickle.dumps(fitted)).predict_proba(X),
    "file": in_a_file,
    "pipeline": lambda fitted, X, folder: make_pipeline(FunctionTransformer(), fitted).predict_proba(X),
    "threads": lambda fitted, X, folder: in_two_jobs(fitted, X, "threading"),
    "processes": lambda fitted, X, folder: in_two_jobs(fitted, X, "loky"),
}


@pytest.mark.parametrize("way", WAYS)
def test_in_each_way_predictions_are_those_of_plain_keras(with_plain, way, tmp_path):
    fitted, X, expected = with_plain
    np.testing.assert_allclose(WAYS[way](fitted, X, tmp_path)[:, 1], expected, rtol=1e-6)


TYPES = {
    "age": {
        "pandas": ["float64", "float32", "float16", "int8", "uint64", "Int64", "Float32", "object"],
        "polars": [pl.Float64, pl.Float32, pl.Int8, pl.UInt64],
    },
    "word": {"pandas": ["int8", "uint64", "Int32", "float64"], "polars": [pl.Int8, pl.UInt64, pl.Float64]},
    "text": {
        "pandas": ["object", "string", "category"],
        "polars": [pl.String, pl.Categorical, pl.Enum(sorted(set(TEXTS)))],
    },
}


@pytest.mark.parametrize(
    ("column", "dtype"),
    [(column, dtype) for column, kinds in TYPES.items() for kind in kinds.values() for dtype in kind],
    ids=str,
)
def test_a_column_of_any_type_is_what_plain_keras_takes(with_plain, column, dtype):
    fitted, _, expected = with_plain
    if isinstance(dtype, str):
        X = frame("pandas").astype({column: dtype})
    else:
        X = frame("polars").with_columns(pl.col(column).cast(dtype))
    np.testing.assert_allclose(fitted.predict_proba(X)[:, 1], expected, rtol=1e-6)


def test_training_is_that_of_keras():
    X = frame("pandas")
    branches = COMBINATIONS[-1]
    ours, keras_own = classifier(branches).fit(X, Y), classifier(branches, engine="keras").fit(X, Y)
    np.testing.assert_allclose(ours.predict_proba(X), keras_own.predict_proba(X), rtol=1e-4)
    np.testing.assert_allclose(ours.history_["loss"], keras_own.history_["loss"], rtol=1e-5)


def test_layers_learn_from_the_rows_to_train_on_alone():
    X = frame("pandas", names_of(("numbers", "text")))
    train, held_out = np.arange(32), np.arange(32, N)
    fitted = classifier(("numbers", "text")).fit(
        X.iloc[train], Y[train], X_val=X.iloc[held_out], y_val=Y[held_out]
    )
    known = X.iloc[train]
    mean = np.asarray(fitted.model_.get_layer("scaled").mean).ravel()
    np.testing.assert_allclose(mean, known[["income", "loan"]].mean(), rtol=1e-5)
    words = set(fitted.model_.get_layer("words").get_vocabulary(include_special_tokens=False))
    assert words == {word for text in known["text"] for word in text.split()}


def test_layers_of_a_chain_learn_from_an_array():
    X = rng.normal(3, 2, (N, 3)).astype("float32")

    def chain():
        return keras.Sequential([keras.Input((3,)), layers.Normalization(), layers.Dense(1, "sigmoid")])

    fitted = KerasClassifier(chain, loss="binary_crossentropy", random_state=0).fit(X, Y)
    np.testing.assert_allclose(np.ravel(fitted.model_.layers[0].mean), X.mean(axis=0), rtol=1e-5)
    as_it_is = clone(fitted).set_params(adapt=False).fit(X, Y)
    assert not np.any(as_it_is.model_.layers[0].mean)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e4])
def test_a_number_that_is_constant_in_training_is_scaled_as_by_standard_scaler(constant):
    X = pd.DataFrame({"a": rng.normal(3, 2, N), "b": np.full(N, constant)}).astype("float32")
    new = pd.DataFrame({"a": [4.0], "b": [constant + 1]}, dtype="float32")
    expected = StandardScaler().fit(X).transform(new)

    def chain():
        return keras.Sequential([keras.Input((2,)), layers.Normalization(), layers.Dense(1)])

    scale = KerasRegressor(chain, loss="mse", random_state=0).fit(X, T).model_.layers[0]
    np.testing.assert_allclose(scale(new.to_numpy()), expected, rtol=1e-4)
    features = keras.utils.FeatureSpace({"a": "float_normalized", "b": "float_normalized"})
    fitted = KerasRegressor(build_of_features, model__features=features, loss="mse", random_state=0).fit(X, T)
    encoded = keras.Model(fitted.model_.inputs, fitted.model_.layers[-3].output)
    values = encoded({name: new[[name]].to_numpy() for name in new})
    np.testing.assert_allclose(values, expected, rtol=1e-4)


def test_what_was_adapted_or_set_stays_and_a_new_fit_learns_anew():
    def known(mean=None):
        layer = layers.Normalization(mean=mean, variance=None if mean is None else 1.0)
        return keras.Sequential([keras.Input((1,)), layer, layers.Dense(1)])

    X = rng.normal(3, 2, (N, 1)).astype("float32")
    given = KerasRegressor(known, model__mean=7.0, loss="mse", random_state=0).fit(X, T)
    assert np.ravel(given.model_.layers[0].mean) == [7]
    learnt = KerasRegressor(known, loss="mse", random_state=0, warm_start=True).fit(X, T)
    learnt.fit(X + 100, T)  # goes on
    np.testing.assert_allclose(np.ravel(learnt.model_.layers[0].mean), X.mean(), rtol=1e-5)
    learnt.set_params(warm_start=False).fit(X + 100, T)
    np.testing.assert_allclose(np.ravel(learnt.model_.layers[0].mean), X.mean() + 100, rtol=1e-5)


def test_predictions_before_the_training_leave_nothing_behind():
    X = rng.normal(3, 2, (N, 1)).astype("float32")

    def chain():
        return keras.Sequential([keras.Input((1,)), layers.Normalization(), layers.Dense(1)])

    estimator = KerasRegressor(chain, loss="mse", random_state=0, warm_start=True).initialize(X, T)
    estimator.predict(X)
    estimator.fit(X, T)
    np.testing.assert_allclose(np.ravel(estimator.model_.layers[0].mean), X.mean(), rtol=1e-5)
    np.testing.assert_allclose(estimator.predict(X), np.ravel(estimator.model_(X)), rtol=1e-5)


def test_a_further_batch_is_not_learnt_from_even_where_the_first_is_standardised():
    X = np.tile([[-1.0], [1.0]], (N // 2, 1)).astype("float32")

    def chain():
        return keras.Sequential([keras.Input((1,)), layers.Normalization(), layers.Dense(1)])

    estimator = KerasRegressor(chain, loss="mse", random_state=0).partial_fit(X, T)
    estimator.partial_fit(X + 100, T)
    assert np.ravel(estimator.model_.layers[0].mean) == [0]


def test_a_model_that_is_given_is_not_adapted_itself():
    model = keras.Sequential([keras.Input((1,)), layers.Normalization(), layers.Dense(1)])
    X = rng.normal(3, 2, (N, 1)).astype("float32")
    fitted = KerasRegressor(model, loss="mse", random_state=0).fit(X, T)
    assert np.any(fitted.model_.layers[0].mean)
    assert not np.any(model.layers[0].mean)


def test_lookups_and_bins_learn():
    def model():
        a = keras.Input((1,), dtype="string", name="text")
        b, c = keras.Input((1,), dtype="int64", name="word"), keras.Input((1,), name="income")
        parts = [
            layers.Flatten()(layers.Embedding(9, 2)(layers.StringLookup(max_tokens=9)(a))),
            layers.Flatten()(layers.Embedding(12, 2)(layers.IntegerLookup(max_tokens=12)(b))),
            layers.Flatten()(layers.Embedding(4, 2)(layers.Discretization(num_bins=4)(c))),
        ]
        return keras.Model([a, b, c], layers.Dense(1, "sigmoid")(layers.Concatenate()(parts)))

    X = frame("pandas", ["text", "word", "income"])
    fitted = KerasClassifier(model, loss="binary_crossentropy", epochs=2, random_state=0).fit(X, Y)
    learnt = {type(layer).__name__: layer for layer in fitted.model_.layers}
    assert set(learnt["StringLookup"].get_vocabulary(include_special_tokens=False)) == set(X["text"])
    assert set(learnt["IntegerLookup"].get_vocabulary(include_special_tokens=False)) == set(X["word"])
    assert len(learnt["Discretization"].bin_boundaries) == 3
    loaded = cloudpickle.loads(cloudpickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_columns_are_taken_by_name():
    X = frame("pandas")
    fitted = classifier(COMBINATIONS[-1]).fit(X, Y)
    np.testing.assert_array_equal(fitted.predict_proba(X[X.columns[::-1]]), fitted.predict_proba(X))
    with pytest.raises(ValueError, match=r"missing are \['age'\], new are \['height'\]"):
        fitted.predict(X.rename(columns={"age": "height"}))
    with pytest.raises(ValueError, match="X is a ndarray, but KerasClassifier was fitted on the columns"):
        fitted.predict(X.to_numpy())


@pytest.mark.parametrize(
    ("branches", "columns", "inputs", "message"),
    [
        (("age", "word"), ["age"], None, "the input 'word' has no column 'word'"),
        (("age", "word"), ["age", "word", "loan"], None, r"the columns \['loan'\] belong to no input"),
        (("age", "word"), ["age", "word"], {"height": "age"}, r"inputs names \['height'\]"),
        (("numbers", "word"), ["income", "word"], {"numbers": "income"}, r"shape \(2,\).* shape \(1,\)"),
        (
            ("text", "word"),
            ["word", "age"],
            {"text": "age"},
            "holds numbers .*, but the input 'text' takes",
        ),
        (("age", "word"), ["text", "word"], {"age": "text"}, "holds text, but the input 'age' takes numbers"),
        (("age", "word"), ["age", "income"], {"word": "income"}, "(can't hold|no int32)"),
    ],
)
def test_what_does_not_match_is_refused_before_training(branches, columns, inputs, message):
    with pytest.raises(ValueError, match=message):
        classifier(branches, inputs=inputs).fit(frame("pandas", columns), Y)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("income", np.where(np.arange(N) == 3, np.nan, 1.0), "column 'income' of X contains NaN"),
        ("text", np.where(np.arange(N) == 3, None, "a"), "'text' of X has 1 missing values"),
        ("image", [np.zeros((i % 2 + 1, 4)) for i in range(N)], "arrays of the shapes"),
        ("image", [np.zeros((4, 4)) if i else "none" for i in range(N)], "must have one shape|must hold"),
        ("age", pd.date_range("2026-01-01", periods=N), "datetime64"),
        ("age", pd.array([None, *range(N - 1)], dtype="Int64"), "'age' of X"),
    ],
)
def test_values_that_no_input_can_take_are_refused(column, values, message):
    X = frame("pandas")
    X[column] = values
    with pytest.raises(ValueError, match=message):
        classifier(COMBINATIONS[-1]).fit(X, Y)


def test_integers_keep_their_values():
    def model():
        a = keras.Input((), dtype="int64", name="a")
        b = keras.Input((1,), name="b")
        flags = layers.Reshape((1,))(layers.Lambda(lambda x: keras.ops.cast(x % 2, "float32"))(a))
        return keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([flags, b])))

    large = 2**24 + np.arange(N)  # odd numbers are none in float32
    X = pd.DataFrame({"a": large, "b": np.zeros(N)})
    fitted = KerasRegressor(model, loss="mse", optimizer="sgd", epochs=300, random_state=0).fit(X, large % 2)
    assert fitted.score(X, large % 2) > 0.9


def test_a_builder_reads_the_columns():
    seen = {}

    def model(meta):
        seen.update(meta["column_types_"])
        inputs = [keras.Input((1,), name=name) for name in meta["feature_names_in_"]]
        return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))

    X = frame("pandas", ["age", "income"])
    KerasRegressor(model, loss="mse", random_state=0).fit(X, T)
    assert seen == {"age": "int64", "income": "float64"}


def test_frames_go_through_pipelines_samplers_searches_and_scorers():
    branches = ("text", "age")
    X = frame("pandas", names_of(branches))
    estimator = classifier(branches)
    assert cross_val_score(estimator, X, Y, cv=2, error_score="raise").shape == (2,)
    sampled = make_imblearn_pipeline(RandomOverSampler(random_state=0), estimator).fit(X, Y)
    assert sampled.predict(X).shape == (N,)
    search = GridSearchCV(estimator, {"model__branches": [("text", "age")], "epochs": [1]}, cv=2).fit(X, Y)
    assert search.best_estimator_.predict(X).shape == (N,)
    importance = permutation_importance(sampled, X, Y, n_repeats=1, random_state=0)
    assert importance.importances_mean.shape == (2,)


def test_the_output_of_a_column_transformer_flows_on_by_name():
    scaler = make_column_transformer((StandardScaler(), ["income"]), remainder="passthrough")
    scaler.set_output(transform="pandas").set_params(verbose_feature_names_out=False)
    X = frame("pandas", ["age", "income", "word"])

    def model():
        inputs = [keras.Input((1,), name="income"), keras.Input((2,), name="rest")]
        return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))

    regressor = KerasRegressor(model, inputs={"rest": ["word", "age"]}, loss="mse", random_state=0)
    pipeline = make_pipeline(scaler, regressor).fit(X, T)
    table = scaler.transform(X)
    expected = pipeline[-1].model_.predict(
        [table[["income"]].to_numpy("float32"), table[["word", "age"]].to_numpy("float32")], verbose=0
    )
    np.testing.assert_allclose(pipeline.predict(X), expected.ravel(), rtol=1e-6)


def test_validation_rows_weights_and_early_stopping_work_with_frames():
    branches = ("text", "numbers")
    X = frame("pandas", names_of(branches))
    fitted = classifier(branches, validation_split=0.25, early_stopping=True, scoring="roc_auc", epochs=3)
    fitted.fit(X, Y, sample_weight=np.arange(N) % 3)
    assert len(fitted.history_["val_roc_auc"]) == len(fitted.history_["loss"])


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_searches_in_threads_and_processes_give_the_same(backend):
    X = frame("pandas", names_of(("text", "age")))
    one = cross_val_score(classifier(("text", "age")), X, Y, cv=2, scoring="neg_log_loss")
    with parallel_config(backend, n_jobs=2):
        two = cross_val_score(classifier(("text", "age")), X, Y, cv=2, scoring="neg_log_loss")
    np.testing.assert_allclose(two, one, rtol=1e-6)


def test_copies_pickles_and_files_predict_the_same(tmp_path):
    X = frame("pandas")
    fitted = classifier(COMBINATIONS[-1]).fit(X, Y)
    expected = fitted.predict_proba(X)
    assert clone(fitted).get_params()["inputs"] == NUMBERS
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict_proba(X), expected)
    save(fitted, tmp_path / "network.skdl")
    trusted = [f"{__name__}.build"]
    np.testing.assert_array_equal(load(tmp_path / "network.skdl", trusted=trusted).predict_proba(X), expected)


def test_a_list_of_arrays_is_taken_in_the_order_of_the_inputs():
    branches = ("text", "numbers", "word")
    inputs = arrays(branches)
    X = [COLUMNS["text"], inputs["numbers"].numpy(), COLUMNS["word"]]
    listed = classifier(branches, inputs=None).fit(X, Y)
    named = classifier(branches).fit(frame("pandas", names_of(branches)), Y)
    np.testing.assert_array_equal(
        listed.predict_proba(X), named.predict_proba(frame("pandas", names_of(branches)))
    )


def test_a_subclass_that_takes_a_dict_gets_one():
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs):
            return self.dense(keras.ops.concatenate([inputs["age"], inputs["numbers"]], axis=1))

    X = frame("pandas", ["age", "income", "loan"]).astype("float32")
    fitted = KerasRegressor(lambda: Sum(), inputs=NUMBERS, loss="mse", random_state=0).fit(X, T)
    inputs = {"age": X[["age"]].to_numpy(), "numbers": X[["income", "loan"]].to_numpy()}
    np.testing.assert_allclose(fitted.predict(X), fitted.model_.predict(inputs, verbose=0).ravel(), rtol=1e-6)


def test_a_frame_of_numbers_for_one_input_is_an_array_as_before():
    X = frame("pandas", ["age", "income"])

    def model():
        return keras.Sequential([keras.Input((2,)), layers.Dense(1)])

    fitted = KerasRegressor(model, loss="mse", random_state=0).fit(X, T)
    of_array = KerasRegressor(model, loss="mse", random_state=0).fit(X.to_numpy(), T)
    assert fitted.engine_ == "numpy"
    np.testing.assert_array_equal(fitted.predict(X), of_array.predict(X.to_numpy()))
    with pytest.raises(ValueError, match="holds text"):
        fitted.fit(frame("pandas", ["text", "age"]), T)


def test_numbers_as_objects_are_numbers():
    def model():
        return keras.Sequential([keras.Input((2,)), layers.Dense(1)])

    X = frame("pandas", ["age", "income"])
    fitted = KerasRegressor(model, loss="mse", random_state=0).fit(X.astype(object), T)
    of_floats = KerasRegressor(model, loss="mse", random_state=0).fit(X, T)
    np.testing.assert_array_equal(fitted.predict(X.astype(object)), of_floats.predict(X))
    assert fitted.column_types_ == {"age": "int64", "income": "float64"}
    with pytest.raises(ValueError, match="'age' of X has 1 missing values"):
        fitted.fit(X.astype(object).assign(age=pd.Series([None, *X["age"][1:]], dtype=object)), T)
    with pytest.raises(ValueError, match="'age' of X holds datetime64"):
        fitted.fit(X.assign(age=pd.date_range("2026-01-01", periods=N)), T)


def pair(names, dtype="float32", keys=None):
    def model():
        inputs = [keras.Input((1,), name=name, dtype=dtype) for name in names]
        parts = [layers.Lambda(lambda x: keras.ops.cast(x, "float32"))(x) for x in inputs]
        parts = [layers.Normalization(name=f"of_{name}")(x) for name, x in zip(names, parts, strict=True)]
        output = layers.Dense(1)(layers.Concatenate()(parts))
        return keras.Model(dict(zip(keys, inputs, strict=True)) if keys else inputs, output)

    return KerasRegressor(model, loss="mse", random_state=0)


def mean_of(fitted, name):
    return np.ravel(fitted.model_.get_layer(name).mean)


def test_names_go_before_places():
    X = pd.DataFrame({"0": COLUMNS["age"], "1": COLUMNS["income"]})
    fitted = pair(["1", "0"]).fit(X, T)
    np.testing.assert_allclose(mean_of(fitted, "of_0"), X["0"].mean(), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_layers_learn_where_inputs_have_other_names_than_their_keys():
    X = frame("pandas", ["age", "income"])
    fitted = pair(["a", "b"], keys=["income", "age"]).fit(X, T)
    np.testing.assert_allclose(mean_of(fitted, "of_b"), X["age"].mean(), rtol=1e-5)


@pytest.mark.parametrize(("dtype", "value"), [("float32", 1e300), ("float16", 1e6), ("bool", 2.5)])
def test_numbers_that_an_input_cannot_hold_are_refused(dtype, value):
    X = pd.DataFrame({"a": np.arange(N) % 2, "b": np.arange(N) % 2})
    fitted = pair(["a", "b"], dtype).fit(X, T)
    with pytest.raises(ValueError, match=f"'a' of X holds numbers that the input 'a' of {dtype} can't hold"):
        fitted.predict(X.assign(a=value))


def test_the_only_key_of_a_dict_gets_its_column():
    def model():
        age = keras.Input((1,), name="age")
        return keras.Model({"age": age}, layers.Dense(1)(age))

    X = frame("pandas", ["age"])
    fitted = KerasRegressor(model, loss="mse", random_state=0).fit(X, T)
    expected = fitted.model_.predict({"age": X.to_numpy("float32")}, verbose=0)
    np.testing.assert_allclose(fitted.predict(X), expected.ravel(), rtol=1e-6)


def test_a_frame_without_rows_is_refused():
    X = frame("pandas", ["text", "age"])
    fitted = classifier(("text", "age")).fit(X, Y)
    with pytest.raises(ValueError, match="but no rows"):
        fitted.predict(X[:0])


def test_text_that_reads_like_a_missing_value_is_text():
    X = pd.DataFrame({"text": np.where(Y == "yes", "NaT", "<NA>")})
    fitted = classifier(("text",)).fit(X, Y)
    assert set(fitted.model_.get_layer("words").get_vocabulary(include_special_tokens=False)) == {"nat", "na"}


def inner_model(kind):
    """Return a model with a Normalization inside, which gets half of what the model gets."""
    normalize = layers.Normalization(name="inner")
    if kind == "sequential":
        return keras.Sequential([layers.Rescaling(0.5), normalize], name="part")
    if kind == "two levels":
        return keras.Sequential([layers.Rescaling(0.5), keras.Sequential([normalize])], name="part")
    x = keras.Input((3,), name="x")
    return keras.Model({"x": x} if kind == "dict" else x, normalize(layers.Rescaling(0.5)(x)), name="part")


@pytest.mark.parametrize("kind", ["sequential", "functional", "dict", "two levels"])
def test_layers_of_models_inside_learn_from_what_reaches_them(kind):
    def model():
        x = keras.Input((3,))
        scaled = layers.Rescaling(4.0)(x)
        return keras.Model(x, layers.Dense(1)(inner_model(kind)({"x": scaled} if kind == "dict" else scaled)))

    X = rng.normal(3, 2, (N, 3)).astype("float32")
    X[-1] = 1e6
    fitted = KerasRegressor(model, loss="mse", random_state=0)
    fitted.fit(X[:-1], T[:-1], X_val=X[-1:], y_val=T[-1:])
    part = fitted.model_.get_layer("part")
    inner = (part.layers[-1] if kind == "two levels" else part).get_layer("inner")
    np.testing.assert_allclose(np.ravel(inner.mean), 2 * X[:-1].mean(axis=0), rtol=1e-5)


def test_a_layer_for_two_inputs_learns_from_the_rows_of_both():
    def model():
        inputs = [keras.Input((2,), name=name) for name in ("a", "b")]
        normalize = layers.Normalization(name="shared")
        return keras.Model(inputs, layers.Dense(1)(layers.Add()([normalize(x) for x in inputs])))

    a, b = rng.normal(3, 2, (N, 2)), rng.normal(30, 5, (N, 2))
    b[-1] = 1e6
    X = pd.DataFrame({"a": list(a), "b": list(b)})
    fitted = KerasRegressor(model, loss="mse", random_state=0)
    fitted.fit(X[:-1], T[:-1], X_val=X[-1:], y_val=T[-1:])
    shared, both = fitted.model_.get_layer("shared"), np.concatenate([a[:-1], b[:-1]])
    np.testing.assert_allclose(np.ravel(shared.mean), both.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(shared.variance), both.var(axis=0), rtol=1e-4)


def test_layers_of_wrappers_are_not_adapted_which_is_said():
    def model(adapted):
        layer = layers.Normalization(name="inner")
        if adapted:
            layer.adapt(X)
        parts = [layers.Reshape((1, 3)), layers.TimeDistributed(layer), layers.Flatten(), layers.Dense(1)]
        return keras.Sequential([keras.Input((3,)), *parts])

    X = rng.normal(3, 2, (N, 3)).astype("float32")
    with pytest.warns(UserWarning, match="'inner' in '.*' have not learnt"):
        KerasRegressor(model, model__adapted=False, loss="mse", random_state=0).fit(X, T)
    KerasRegressor(model, model__adapted=True, loss="mse", random_state=0).fit(X, T)
    KerasRegressor(model, model__adapted=False, adapt=False, loss="mse", random_state=0).fit(X, T)


def build_of_features(features, units=2):
    hidden = layers.Dense(units)(features.get_encoded_features())
    return keras.Model(dict(features.get_inputs()), layers.Dense(1)(hidden))


def with_features(**params):
    kinds = {
        "age": "float_normalized",
        "income": "float_discretized",
        "word": "integer_categorical",
        "text": keras.utils.FeatureSpace.string_categorical(num_oov_indices=1),
    }
    features = keras.utils.FeatureSpace(kinds, crosses=[("text", "word")])
    settings = {"loss": "mse", "random_state": 0, **params}
    return KerasRegressor(build_of_features, model__features=features, **settings)


FEATURES = ["text", "age", "word", "income"]


@pytest.mark.parametrize("library", ["pandas", "polars", "dict"])
def test_a_feature_space_learns_from_the_rows_to_train_on_alone(library):
    held_out = {"text": ["unseen"], "age": [1e6], "word": [99], "income": [1e6]}
    X = frame(library, FEATURES)
    made = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "dict": dict}[library]
    fitted = with_features().fit(X, T, X_val=made(held_out), y_val=[0.0])
    assert not fitted.get_params()["model__features"].built
    learnt = {type(layer).__name__: layer for layer in fitted.model_.layers}
    np.testing.assert_allclose(np.ravel(learnt["Normalization"].mean), COLUMNS["age"].mean(), rtol=1e-5)
    assert set(learnt["StringLookup"].get_vocabulary(include_special_tokens=False)) == set(TEXTS)
    assert set(learnt["IntegerLookup"].get_vocabulary(include_special_tokens=False)) == set(COLUMNS["word"])
    assert max(learnt["Discretization"].bin_boundaries) < 1e3
    inputs = {name: np.asarray(COLUMNS[name])[:, None] for name in FEATURES}
    inputs["text"] = keras.ops.convert_to_tensor(inputs["text"].tolist(), "string")
    inputs["word"] = inputs["word"].astype("int32")
    expected = fitted.model_.predict({**inputs, **as_float32(inputs, ["age", "income"])}, verbose=0)
    np.testing.assert_allclose(fitted.predict(X), expected.ravel(), rtol=1e-6)


def as_float32(inputs, names):
    return {name: inputs[name].astype("float32") for name in names}


def test_a_feature_space_is_copied_saved_and_searched(tmp_path):
    X = frame("pandas", FEATURES)
    fitted = clone(with_features()).fit(X, T)
    expected = fitted.predict(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X[FEATURES[::-1]]), expected)
    save(fitted, tmp_path / "network.skdl")
    loaded = load(tmp_path / "network.skdl", trusted=[f"{__name__}.build_of_features"])
    np.testing.assert_array_equal(loaded.predict(X), expected)
    np.testing.assert_allclose(clone(loaded).fit(X, T).predict(X), expected, rtol=1e-5)
    search = GridSearchCV(with_features(), {"model__units": [3]}, cv=2, error_score="raise").fit(X, T)
    assert search.predict(X).shape == (N,)


def test_a_feature_space_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"model__features is a FeatureSpace .* no columns \['text'\]"):
        with_features().fit(frame("pandas", FEATURES[1:]), T)
    with pytest.raises(ValueError, match="Give a DataFrame"):
        with_features().fit(frame("pandas", ["age", "word"]).to_numpy(), T)
    with pytest.raises(ValueError, match=r"need to call `\.adapt"):
        with_features(adapt=False).fit(frame("pandas", FEATURES), T)


TEXTS_ALONE = {
    "pandas": pd.Series,
    "polars": lambda texts: pl.Series("comment", texts.tolist()),
    "list": list,
    "array": np.array,
    "column": lambda texts: texts[:, None],
    "str": lambda texts: texts.astype(str)[:, None],
}


@pytest.fixture(scope="module")
def of_a_frame_of_text():
    """Probabilities of a network that was fitted to a frame with one column of text."""
    X = frame("pandas", ["text"])
    return classifier(("text",)).fit(X, Y).predict_proba(X)


@pytest.mark.parametrize("make", TEXTS_ALONE.values(), ids=TEXTS_ALONE)
def test_text_alone_is_the_column_of_the_only_input(make, of_a_frame_of_text):
    X = make(COLUMNS["text"])
    fitted = classifier(("text",)).fit(X, Y, X_val=X[:4], y_val=Y[:4])
    np.testing.assert_array_equal(fitted.predict_proba(X), of_a_frame_of_text)
    with pytest.raises(ValueError, match="holds text"):
        KerasRegressor(lambda: keras.Sequential([keras.Input((1,)), layers.Dense(1)]), loss="mse").fit(X, T)


@pytest.mark.parametrize("kind", ["pandas", "polars", "list", "array"])
def test_text_alone_is_cross_validated(kind):
    X = TEXTS_ALONE[kind](COLUMNS["text"])
    scores = cross_val_score(classifier(("text",), epochs=1), X, Y, cv=2, error_score="raise")
    assert scores.shape == (2,)


def test_validation_rows_may_have_their_columns_in_another_order():
    def model():
        inputs = [keras.Input((1,), name=name) for name in ("age", "income")]
        return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))

    X = frame("pandas", ["age", "income"])
    regressor = KerasRegressor(model, loss="mse", random_state=0)
    expected = clone(regressor).fit(X, T, X_val=X[:10], y_val=T[:10])
    reordered = regressor.fit(X, T, X_val=X[:10][["income", "age"]], y_val=T[:10])
    assert reordered.history_["val_loss"] == expected.history_["val_loss"]


def test_columns_for_an_input_without_a_name_are_refused():
    X = frame("pandas", ["age", "income"])
    regressor = KerasRegressor(
        lambda: keras.Sequential([layers.Dense(1)]), inputs={"numbers": ["age", "income"]}, loss="mse"
    )
    with pytest.raises(ValueError, match=r"Let it begin with keras.Input\(shape, name=...\)"):
        regressor.fit(X, T)


def test_rows_of_a_frame_of_numbers_lie_side_by_side_in_memory():
    seen = []

    class Looks(DNNRegressor):
        @property
        def feature_encoder(self):
            return FunctionTransformer(lambda X: seen.append(X.flags.c_contiguous) or X)

    X = pd.DataFrame(np.random.default_rng(0).random((N, 3)), columns=list("abc"))
    Looks((2,), epochs=1).fit(X, T).predict(X)
    assert set(seen) == {True}
