"""Whatever the data are: accepted or refused as scikit-learn does it, in its words, and left as they were.

``make fuzz`` runs thousands of cases, ``make test`` the same few each time.
"""

import copy
import datetime
import os
import tempfile
import traceback
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skdl import CNNClassifier, DNNClassifier, DNNRegressor

CASES = int(os.environ.get("SKDL_FUZZ_CASES", "0"))
often = settings(
    max_examples=CASES or 20,
    derandomize=not CASES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SETTINGS = {"epochs": 1, "batch_size": 8, "random_state": 0}


# Data


@st.composite
def numbers(draw, n, d):
    """Rows of numbers: of many types, sizes and layouts."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.normal(size=(n, d))
    values *= draw(st.sampled_from([1, 1, 1, 1e-3, 1e-30, 1e-300, 1e3, 1e30, 1e300]))
    dtype = draw(
        st.sampled_from(["f8", "f8", "f4", "f4", "f2", ">f8", "i8", "i2", "u1", "?", "O", "c8", "U4"])
    )
    with np.errstate(all="ignore"):
        if dtype in ("i8", "i2", "u1", "?"):
            values = rng.integers(0, 2 if dtype == "?" else 100, size=(n, d))
        values = values.astype(dtype)
    if values.dtype.kind in "fOc":
        # Rarely, or hardly a case were accepted.
        special = draw(st.sampled_from([None] * 8 + [np.nan, np.inf, -np.inf]))
        if special is not None:
            values[draw(st.integers(0, n - 1)), draw(st.integers(0, d - 1))] = special
    return draw(laid_out(values))


@st.composite
def laid_out(draw, values):
    layout = draw(st.sampled_from(["C", "C", "F", "strided", "reversed", "read-only"]))
    if layout == "F":
        values = np.asfortranarray(values)
    elif layout == "strided":
        values = np.repeat(values, 2, axis=0)[::2]
    elif layout == "reversed":
        values = values[::-1]
    elif layout == "read-only":
        values = values.copy()
        values.flags.writeable = False
    return values


def mapped(values):
    """The same values in a file."""
    with tempfile.TemporaryFile() as file:
        array = np.memmap(file, values.dtype, "w+", shape=values.shape)
    array[:] = values
    return array


CONTAINERS = {
    "array": lambda values: values,
    "list": lambda values: values.tolist(),
    "pandas": pd.DataFrame,
    "named": lambda values: pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])]),
    "polars": lambda values: pl.DataFrame(np.ascontiguousarray(values)),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "memory map": mapped,
    "flat": lambda values: values[:, 0],
    "deep": lambda values: values[:, :, None],
    "none": lambda values: None,
    "scalar": lambda values: 3.0,
    "empty": lambda values: values[:0],
    "matrix": np.asmatrix,
}


@st.composite
def features(draw, n, d):
    """What a user may hand over as X."""
    values = draw(numbers(n, d))
    # Most often an array, since the others are refused for what they are.
    names = (
        ["array"] * 10 + ["list", "pandas", "named", "polars", "csr", "csc", "memory map"] * 2 + [*CONTAINERS]
    )
    container = draw(st.sampled_from(names))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # of np.matrix
            return CONTAINERS[container](values)
    except (TypeError, ValueError, pl.exceptions.PolarsError):  # it does not take such values
        return values


LABELS = {
    "numbers": lambda codes: codes,
    "far": lambda codes: np.array([-7, 10**6, 3])[codes],
    "unsigned": lambda codes: codes.astype("u1"),
    "floats": lambda codes: codes.astype("f4"),
    "text": lambda codes: np.array(["b", "a", "cc"])[codes],
    "objects": lambda codes: np.array(["b", "a", "cc"], object)[codes],
    "mixed": lambda codes: np.array(["b", 1, None], object)[codes],
    "number objects": lambda codes: np.array([2, 1, 0], object)[codes],
    "bools": lambda codes: codes > 0,
    "list": lambda codes: codes.tolist(),
    "list of text": lambda codes: np.array(["b", "a", "cc"])[codes].tolist(),
    "series": lambda codes: pd.Series(codes, index=range(5, 5 + len(codes))),
    "categories": lambda codes: pd.Series(np.array(["b", "a", "cc"])[codes]).astype("category"),
    "nullable": lambda codes: pd.Series(codes).astype("Int64"),
    "polars": lambda codes: pl.Series(codes),
    "column": lambda codes: codes[:, None],
    "frame": lambda codes: pd.DataFrame({"y": codes}),
    "one class": lambda codes: np.zeros_like(codes),
    "bytes": lambda codes: np.array([b"b", b"a", b"cc"])[codes],
    "dates": lambda codes: np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]")[codes],
    "date objects": lambda codes: np.array([datetime.date(2020, 1, 1 + code) for code in codes], object),
    "complex": lambda codes: codes.astype(complex),
    "not a number": lambda codes: np.where(codes == 1, np.nan, codes),
    "infinite": lambda codes: np.where(codes == 1, np.inf, codes),
    "fractions": lambda codes: codes + 0.5 * (codes > 0) + np.linspace(0, 0.1, len(codes)),
    "huge": lambda codes: codes * 1e300,
    "float32 at most": lambda codes: codes * 3e38,
    "labels": lambda codes: np.column_stack([codes > 0, codes == 0]).astype(int),
    "three labels": lambda codes: np.column_stack([codes > 0, codes == 0, codes < 2]).astype(int),
    "sparse labels": lambda codes: sparse.csr_array(np.column_stack([codes > 0, codes == 0]).astype(int)),
    "two columns": lambda codes: np.column_stack([codes, codes[::-1]]),
    "two columns of numbers": lambda codes: np.column_stack([codes, codes[::-1]]) + 0.25,
    "no columns": lambda codes: np.zeros((len(codes), 0)),
    "deep": lambda codes: codes[:, None, None],
    "short": lambda codes: codes[1:],
    "ragged": lambda codes: [[code] * (1 + code) for code in codes],
    "text for numbers": lambda codes: codes.astype(str),
    "none": lambda codes: None,
    "read-only": lambda codes: np.frombuffer(codes.astype("i8").tobytes(), "i8"),
}


@st.composite
def targets(draw, n):
    codes = np.random.default_rng(draw(st.integers(0, 99))).integers(0, draw(st.integers(2, 3)), n)
    return LABELS[draw(st.sampled_from([*LABELS, *["numbers", "text", "fractions", "far"] * 4]))](codes)


WEIGHTS = {
    "ones": np.ones,
    "list": lambda n: [0.5] * n,
    "integers": lambda n: np.arange(1, n + 1),
    "some zero": lambda n: np.where(np.arange(n) % 3 == 0, 0.0, 1.0),
    "all zero": np.zeros,
    "negative": lambda n: -np.ones(n),
    "not a number": lambda n: np.full(n, np.nan),
    "infinite": lambda n: np.full(n, np.inf),
    "huge": lambda n: np.full(n, 1e308),
    "tiny": lambda n: np.full(n, 5e-324),
    "long": lambda n: np.ones(n + 1),
    "column": lambda n: np.ones((n, 1)),
    "two columns": lambda n: np.ones((n, 2)),
    "text": lambda n: np.array(["a"] * n),
    "series": lambda n: pd.Series(np.ones(n), index=range(7, 7 + n)),
    "number": lambda n: 2.0,
}
weights = st.sampled_from([None] * 24 + [*WEIGHTS])


# Judging


def attempt(function):
    """Return the result of a call and None, or None and its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            try:
                return function(), None
            except Exception as error:
                return None, error


def assert_refused_in_words(error):
    """It is an error of scikit-learn's kind, and none that TensorFlow or Keras met."""
    told = "".join(traceback.format_exception(error))
    assert isinstance(error, ValueError | TypeError), told
    assert not type(error).__module__.startswith(("tensorflow", "keras")), told
    modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert not any(name.startswith(("tensorflow", "keras.src")) for name in modules), told


def assert_same(given, before):
    assert type(given) is type(before)
    assert repr(plain(given)) == repr(plain(before))


def plain(data):
    """Return data as lists: their text is the same where the data are, NaN included."""
    if sparse.issparse(data):
        data = data.tocoo()
        return data.shape, [np.asarray(each).tolist() for each in (data.row, data.col, data.data)]
    if isinstance(data, pl.DataFrame):
        return data.to_dict(as_series=False)
    if isinstance(data, pd.DataFrame | pd.Series):
        return data.to_dict()
    return data.tolist() if hasattr(data, "tolist") else data


def described(data):
    kind = type(data).__name__
    return f"{kind} {getattr(data, 'dtype', '')} {getattr(data, 'shape', '')}"


def fit_both(ours, theirs, X, y, weight, **further):
    """Fit both to copies; compare what they accept, and how."""
    before = copy.deepcopy((X, y, weight))
    by_oracle = copy.deepcopy((X, y))
    fitted, error = attempt(lambda: ours.fit(X, y, sample_weight=weight, **further))
    for now, was in zip((X, y, weight), before, strict=True):
        assert_same(now, was)
    expected, refusal = attempt(lambda: theirs.fit(*by_oracle, sample_weight=before[2]))
    event("accepted" if error is None else f"refused: {type(error).__name__}")
    if error is not None:
        assert_refused_in_words(error)
        assert not hasattr(ours, "model_")
    return fitted, error, expected, refusal


def told(error):
    return "".join(traceback.format_exception(error)) if error else "accepted"


# Where skdl says no and scikit-learn's networks say yes, or the reverse: each for a reason.
STRICTER = (
    "needs rows of at least 2 classes",  # nothing can be learnt from one
    "too large for dtype('float32')",  # they compute in float64
    "predicts numbers, but y holds dates",  # as nanoseconds, they diverge
    "Negative values in data passed to `sample_weight`",
    "Complex data not supported",  # theirs drop the imaginary part of objects in polars
)


def may_be_stricter(error):
    return any(words in str(error) for words in STRICTER)


def may_be_laxer(refusal):
    """Whether skdl takes what scikit-learn's networks refuse."""
    return any(
        words in str(refusal)
        for words in (
            "Solver produced non-finite parameter weights",  # skdl warns, and refuses to predict
            # Numbers that are written as text: they are taken by their fit, too.
            "not compatible with arrays of bytes/strings",
            "can't multiply sequence by non-int",
            "ufunc 'subtract' did not contain a loop",
            # Numbers that are objects.
            "ufunc 'expit' not supported for the input types",
            "has no callable exp method",
        )
    )


def fit_or_refuse_alike(data, ours, theirs):
    """Fit both on drawn data; what one takes and the other refuses must have a reason.

    Return both fitted, X and y, or None where one refuses.
    """
    n = data.draw(st.integers(1, 24))
    X, y = data.draw(features(n, data.draw(st.sampled_from([1, 3])))), data.draw(targets(n))
    weight = data.draw(weights)
    weight = None if weight is None else WEIGHTS[weight](n)
    fitted, error, expected, refusal = fit_both(ours, theirs, X, y, weight)
    if error is not None and refusal is None:
        assert may_be_stricter(error), told(error)
    if error is not None or refusal is not None:
        assert error is not None or may_be_laxer(refusal), (described(X), described(y), told(refusal))
        return None
    return fitted, expected, X, y


@often
@given(data=st.data())
def test_classifiers_accept_and_refuse_as_scikit_learn(data):
    ours, theirs = DNNClassifier((3,), **SETTINGS), MLPClassifier((3,), max_iter=1, random_state=0)
    both = fit_or_refuse_alike(data, ours, theirs)
    if both is None:
        return
    fitted, expected, X, y = both
    if isinstance(expected.classes_, np.ndarray) and np.ndim(y) == 1:
        np.testing.assert_array_equal(fitted.classes_, expected.classes_)
    compare_predictions(fitted, expected, X, "predict", "predict_proba")


@often
@given(data=st.data())
def test_regressors_accept_and_refuse_as_scikit_learn(data):
    ours = DNNRegressor((3,), **SETTINGS)
    theirs = MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, random_state=0)
    both = fit_or_refuse_alike(data, ours, theirs)
    if both is not None:
        fitted, expected, X, _ = both
        compare_predictions(fitted, expected, X, "predict")


def compare_predictions(ours, theirs, X, *methods):
    """Both predict arrays of the same shape and kind, or both refuse."""
    for method in methods:
        predict, expect = getattr(ours, method), getattr(theirs, method)
        before = copy.deepcopy(X)
        found, error = attempt(lambda predict=predict: predict(X))
        assert_same(X, before)
        expected, refusal = attempt(lambda expect=expect: expect(X))
        event("predicted" if error is None else f"not predicted: {type(error).__name__}")
        if error is not None:
            assert_refused_in_words(error)
            # Also of a network that diverged, or of numbers beyond float32.
            assert refusal is not None or "predicts NaN" in str(error) or may_be_stricter(error), told(error)
            continue
        if refusal is not None:
            assert may_be_laxer(refusal), told(refusal)
            continue
        assert found.shape == expected.shape or found.shape == (*expected.shape, 1)  # a column stays one
        # Labels that are objects stay objects, as in scikit-learn's trees.
        kinds = {each.dtype.kind.replace("O", "U") for each in (found, expected)}
        # Of objects in polars, scikit-learn's networks make numbers that are objects.
        assert len(kinds) == 1 or (expected.dtype == object and found.dtype.kind == "f"), kinds


@pytest.fixture(scope="module")
def fitted():
    """Networks of both kinds that were fitted to plain data."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
    number = X @ [1.0, 2.0, 3.0]
    pairs = [
        (DNNClassifier((3,), **SETTINGS), MLPClassifier((3,), max_iter=1), y),
        (DNNRegressor((3,), **SETTINGS), MLPRegressor(hidden_layer_sizes=(3,), max_iter=1), number),
        (
            DNNClassifier((3,), **SETTINGS),
            MLPClassifier((3,), max_iter=1),
            np.column_stack([y == "no", X[:, 1] > 0]),
        ),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(ours.fit(X, y), theirs.fit(X, y)) for ours, theirs, y in pairs]


@often
@given(data=st.data())
def test_predictions_are_accepted_and_refused_as_by_scikit_learn(fitted, data):
    ours, theirs = data.draw(st.sampled_from(fitted))
    X = data.draw(features(data.draw(st.integers(1, 40)), data.draw(st.sampled_from([3, 3, 3, 3, 1, 4]))))
    methods = ["predict", "predict_proba"] if hasattr(ours, "predict_proba") else ["predict"]
    compare_predictions(ours, theirs, X, *methods)


# What scikit-learn's networks have not: class weights, rows to validate on, splits, images.

CLASS_WEIGHTS = [
    *(None, None, "balanced", {0: 1, 1: 2, 2: 1}, {0: 1.5}, {}, {0: 0, 1: 1, 2: 1}),
    *(
        {0: -1, 1: 1},
        {0: np.nan, 1: 1},
        {0: np.inf},
        {0: 0, 1: 0, 2: 0},
        {"x": 1},
        {0: "a"},
        {0: None},
        "all",
        3,
    ),
    *([1, 2], [{0: 1, 1: 1}]),
]
SPLITS = [None, None, 0, 0.2, 0.5, 0.99, 1e-9, 1, 1.5, -0.1, np.nan, "half"]


@often
@given(data=st.data())
def test_weights_and_validation_rows_are_used_or_refused_in_words(data):
    n = data.draw(st.integers(2, 24))
    d = data.draw(st.sampled_from([1, 3]))
    X = np.random.default_rng(0).normal(size=(n, d))
    codes = np.arange(n) % data.draw(st.integers(2, 3))
    y = LABELS[data.draw(st.sampled_from(["numbers", "text", "floats", "labels", "series", "objects"]))](
        codes
    )
    params = {
        "class_weight": data.draw(st.sampled_from(CLASS_WEIGHTS)),
        "validation_split": data.draw(st.sampled_from(SPLITS)),
        "early_stopping": data.draw(st.booleans()),
    }
    clf = DNNClassifier((3,), **SETTINGS, **params)
    call = {}
    if data.draw(st.booleans()):
        call = {"X_val": data.draw(features(4, d)), "y_val": data.draw(targets(4))}
        weight = data.draw(weights)
        call["sample_weight_val"] = None if weight is None else WEIGHTS[weight](4)
    before = copy.deepcopy((X, y, call))
    _, error = attempt(lambda: clf.fit(X, y, **call))
    event("accepted" if error is None else f"refused: {type(error).__name__}")
    assert_same(X, before[0])
    assert_same(y, before[1])
    for name, value in call.items():
        assert_same(value, before[2][name])
    if error is not None:
        assert_refused_in_words(error)
        assert not hasattr(clf, "model_")
        return
    assert clf.predict(X).shape == np.shape(y)
    if call or params["early_stopping"] or params["validation_split"]:
        assert "val_loss" in clf.history_


@often
@given(data=st.data())
def test_images_are_learnt_or_refused_in_words(data):
    n = data.draw(st.integers(2, 9))
    sides = data.draw(st.lists(st.sampled_from([1, 2, 4, 4, 4, 8]), min_size=1, max_size=4))
    dtype = data.draw(st.sampled_from(["f4", "f8", "u1", "i8", "?", "U1"]))
    X = data.draw(laid_out(np.random.default_rng(0).integers(0, 2, size=(n, *sides)).astype(dtype)))
    shape = data.draw(st.sampled_from([None, None, (4, 4), (2, 2, 1), (4,), (0, 4), "4x4", (4.0, 4.0)]))
    clf = CNNClassifier(filters=(2,), image_shape=shape, **SETTINGS)
    before = X.copy()
    y = np.arange(n) % 2
    _, error = attempt(lambda: clf.fit(X, y))
    event("accepted" if error is None else f"refused: {type(error).__name__}")
    assert_same(X, before)
    if error is None:
        assert clf.predict(X).shape == (n,)
    else:
        assert_refused_in_words(error)
