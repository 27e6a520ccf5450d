"""The parts of the tabular estimators: encoders, folds, layers, losses, defaults."""

import time

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax, softmax

from skdl._tabular._encoder import TableEncoder, TableReader
from skdl._tabular._ensemble import MemberCrossentropy, MemberSquaredError, keras_network, set_state
from skdl._tabular._fold_networks import (
    TabularNetwork,
    TabularState,
    TimeLimit,
    evaluate,
    predict,
    train_epoch,
)
from skdl._tabular._folds import (
    default_batch_size,
    default_epochs,
    default_folds,
    default_members,
    side_by_side,
)
from skdl._training._plan import Rows


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "number": [1.0, 2.0, np.nan, 4.0],
            "text": ["x", "y", None, "x"],
            "flag": [True, False, True, True],
            "category": pd.Categorical([1, 2, 1, 2]),
            "constant": [5, 5, 5, 5],
            "nullable": pd.array([1, None, 3, 4], dtype="Int64"),
        }
    )


# Reading a table.


def test_columns_that_are_neither_numbers_nor_booleans_are_categories(table):
    assert TableReader().fit(table).is_categorical_.tolist() == [False, True, False, True, False, False]


def test_a_table_is_read_as_floats_with_nan_where_something_is_missing(table):
    read = TableReader().fit_transform(table)
    nan = np.nan
    expected = [[1, 0, 1, 0, 5, 1], [2, 1, 0, 1, 5, nan], [nan, nan, 1, 0, 5, 3], [4, 0, 1, 1, 5, 4]]
    np.testing.assert_array_equal(read, expected)


def test_an_unseen_category_is_a_missing_one(table):
    reader = TableReader().fit(table)
    other = table.assign(text=["new", "y", None, "x"])
    np.testing.assert_array_equal(reader.transform(other)[:, 1], [np.nan, 1, np.nan, 0])


@pytest.mark.parametrize(
    "features", [[1, 3], ["text", "category"], [False, True, False, True, False, False]], ids=str
)
def test_categories_are_named_as_in_histogram_gradient_boosting(table, features):
    reader = TableReader(features).fit(table)
    assert np.flatnonzero(reader.is_categorical_).tolist() == [1, 3]


def test_a_list_of_no_names_makes_no_column_a_category(table):
    numbers = table[["number", "flag", "constant"]].astype({"constant": "category"})
    assert not TableReader([]).fit(numbers).is_categorical_.any()


@pytest.mark.parametrize("features", [[9], ["colour"], [True], [-1]], ids=str)
def test_categories_that_are_no_columns_are_refused(table, features):
    with pytest.raises(ValueError, match="categorical_features must be 'from_dtype'"):
        TableReader(features).fit(table)


def test_objects_of_numpy_are_told_apart_by_their_values(table):
    reader = TableReader().fit(table[["number", "text", "flag"]].to_numpy(object))
    assert reader.is_categorical_.tolist() == [False, True, False]


def test_text_in_a_column_of_numbers_is_refused_by_name(table):
    reader = TableReader().fit(table)
    with pytest.raises(ValueError, match="'number' was numeric in fit"):
        reader.transform(table.assign(number=["a", "b", "c", "d"]))


def test_dates_are_refused_with_what_to_do():
    dates = pd.DataFrame({"when": pd.to_datetime(["2020-01-01", "2021-01-01"])})
    with pytest.raises(TypeError, match=r"'when' holds dates or durations\. Turn it into numbers"):
        TableReader(None).fit_transform(dates)


# Encoding it.


def test_numbers_are_scaled_by_quartiles_and_bent():
    x = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])
    z = (x - 2) / 2
    encoded = TableEncoder([False]).fit_transform(x)[:, 0]
    np.testing.assert_allclose(encoded, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)


def test_without_quartiles_the_range_scales():
    x = np.array([[0.0]] * 9 + [[10.0]])
    z = 2 * x / 10
    encoded = TableEncoder([False]).fit_transform(x)[:, 0]
    np.testing.assert_allclose(encoded, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)


@pytest.mark.parametrize(
    "values", [[5, 5, 5], [1e300, -1e300, 1.0], [np.inf, -np.inf, 0], [1e-300, 0, 2e-300]]
)
def test_no_column_of_numbers_breaks_the_scale(values):
    x = TableReader().fit_transform(np.array(values, float)[:, None])
    encoded = TableEncoder([False]).fit_transform(x)
    assert np.isfinite(encoded).all()
    assert np.abs(encoded).max() <= 3


def test_a_column_tells_where_a_number_was_missing():
    x = np.array([[1.0], [np.nan], [3.0]])
    encoded = TableEncoder([False]).fit_transform(x)[:, 0]
    assert encoded[:, 1].tolist() == [0, 1, 0]
    assert encoded[1, 0] == 0  # the median


def test_categories_become_columns_and_missing_ones_a_category():
    encoder = TableEncoder([True]).fit(np.array([[0.0], [1.0], [2.0], [np.nan]]))
    np.testing.assert_array_equal(encoder.transform(np.array([[1.0], [np.nan]]))[:, 0], np.eye(4)[[1, 3]])


def test_a_missing_category_that_fit_has_not_seen_is_none_of_them():
    encoder = TableEncoder([True]).fit(np.array([[0.0], [1.0], [2.0]]))
    np.testing.assert_array_equal(encoder.transform(np.array([[np.nan]]))[:, 0], [[0, 0, 0]])


def test_all_folds_get_the_same_rows():
    x = np.arange(16.0).reshape(8, 2)
    encoded = TableEncoder([False, False], n_folds=4).fit_transform(x)
    assert encoded.shape == (8, 4, 2)
    assert (encoded == encoded[:, :1]).all()


def test_numbers_come_first():
    encoder = TableEncoder([True, False, False]).fit(np.arange(12.0).reshape(4, 3))
    assert (encoder.n_numeric_, encoder.n_encoded_) == (2, 6)


def test_infinite_numbers_and_gaps_are_encoded():
    x = TableReader().fit_transform(np.array([[np.inf, 1], [np.inf, 2], [np.nan, 3]]))
    assert np.isfinite(TableEncoder([False, False]).fit_transform(x)).all()


def test_a_number_that_never_changes_is_left_out():
    x = np.array([[1.0, 5.0, np.nan], [2.0, 5.0, np.nan], [3.0, 5.0, np.nan]])
    encoder = TableEncoder([False, False, False]).fit(x)
    assert (encoder.n_numeric_, encoder.n_encoded_) == (1, 1)
    assert encoder.transform(x + 1).shape == (3, 1, 1)


def test_a_table_in_which_nothing_changes_is_kept():
    assert TableEncoder([False, True]).fit(np.zeros((4, 2))).n_encoded_ == 2


def test_what_correlated_columns_differ_in_is_a_column(rng):
    common, difference = rng.normal(size=(2, 200))
    x = np.stack([common, common + 0.01 * difference, rng.normal(size=200)], axis=1)
    encoder = TableEncoder([False] * 3).fit(x)
    assert (encoder.n_numeric_, encoder.n_encoded_) == (3, 4)
    assert abs(np.corrcoef(encoder.transform(x)[:, 0, 3], difference)[0, 1]) > 0.9


@pytest.mark.parametrize("n", [30, 2000])
def test_columns_without_correlation_have_no_minor_components(n, rng):
    assert TableEncoder([False] * 20).fit(rng.normal(size=(n, 20))).n_encoded_ == 20


def test_equal_columns_differ_in_nothing(rng):
    x = rng.normal(size=(50, 1)).repeat(2, axis=1)
    assert TableEncoder([False] * 2).fit(x).n_encoded_ == 2


# Folds.


def folds(n_folds, y, *, weight=None, held_out=None, holds_folds_out=True):
    """Return the rows side by side; their features are their numbers, from 1 on."""
    encoded = np.arange(1.0, len(y) + 1)[:, None, None].repeat(n_folds, axis=1)
    rows, random_state = Rows(encoded, np.array(y)[:, None], weight), np.random.RandomState(0)
    return side_by_side(rows, held_out, n_folds, True, holds_folds_out, random_state)


def numbers(rows, fold):
    """Return the sorted numbers of the rows of a fold that count."""
    return sorted(rows.X[rows.weight[:, fold] > 0, fold, 0])


def test_each_row_is_held_out_once_and_trains_the_other_folds():
    train, held_out = folds(3, np.zeros(10))
    assert sorted(held_out.X[held_out.weight > 0]) == list(range(1, 11))
    for fold in range(3):
        assert sorted(numbers(train, fold) + numbers(held_out, fold)) == list(range(1, 11))


def test_folds_have_their_share_of_each_class():
    _, held_out = folds(3, np.repeat([0, 1], [30, 6]))
    assert held_out.y.sum(axis=0).tolist() == [2, 2, 2]


def test_what_fills_up_a_fold_has_no_weight():
    train, _ = folds(3, np.zeros(10), weight=np.arange(1.0, 11))
    assert (train.weight == 0).sum(axis=0).tolist() == [1, 0, 0]
    np.testing.assert_allclose(train.weight.mean(axis=0), 1, rtol=1e-6)
    ratios = train.weight[:, 1] / train.X[:, 1, 0]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)


def test_copies_hold_all_rows_in_orders_of_their_own():
    train, held_out = folds(2, np.zeros(20), holds_folds_out=False)
    assert numbers(train, 0) == numbers(train, 1) == list(range(1, 21))
    assert (train.X[:, 0] != train.X[:, 1]).any()
    assert held_out is None


def test_given_rows_are_held_out_from_all_folds():
    given = Rows(np.full((4, 2, 1), 7.0), np.zeros((4, 1)))
    _, held_out = folds(2, np.zeros(20), held_out=given, holds_folds_out=False)
    np.testing.assert_array_equal(held_out.X, given.X)
    np.testing.assert_array_equal(held_out.weight, np.ones((4, 2)))


# The Keras model, against its formulas.


@pytest.mark.parametrize("classify", [True, False])
def test_members_have_outputs_of_their_own_in_training_and_are_averaged_otherwise(rng, classify):
    network = TabularNetwork(3, 2, 2, 4, (6, 5), 2, classify)
    model, rows = keras_network(network), rng.rand(5, 2, 3).astype("float32")
    model.set_weights([rng.randn(*weight.shape) for weight in model.weights])
    w = {weight.name: weight.numpy() for weight in model.weights}
    outputs = np.empty((5, 2, 4, 2))
    for fold, member in np.ndindex(2, 4):
        x = rows[:, fold]
        for feature in range(2):
            angles = 2 * np.pi * rows[:, fold, feature] * w["frequencies"][fold, feature]
            waves = np.cos(angles + w["phases"][fold, feature]).T
            waves = waves @ w["waves"][fold, feature] + w["waves_bias"][fold, feature].T
            x = np.hstack([x, waves / np.sqrt(16)])
        x = x * 6 * w["scale"][fold, member]
        for i in range(2):
            z = x @ w[f"kernel_{i}"][fold] / np.sqrt(x.shape[1]) + 0.1 * w[f"bias_{i}"][fold]
            x = z / (1 + np.exp(-z))
        outputs[:, fold, member] = x @ w["output"][fold, member] / np.sqrt(5)
        outputs[:, fold, member] += 0.1 * w["output_bias"][fold, member]
    trained = log_softmax(outputs, axis=-1) if classify else outputs
    np.testing.assert_allclose(model(rows, training=True), trained, rtol=1e-3, atol=1e-4)
    average = np.asarray(model(rows, training=False))[:, :, 0]
    if classify:
        np.testing.assert_allclose(np.exp(average), softmax(outputs, -1).mean(axis=2), rtol=1e-3)
    else:
        np.testing.assert_allclose(average, outputs.mean(axis=2), rtol=1e-3, atol=1e-4)


def test_losses_are_those_of_each_member(rng):
    logs = log_softmax(rng.randn(5, 2, 3, 4), axis=-1).astype("float32")
    y = rng.randint(4, size=(5, 2))
    hit = np.take_along_axis(logs, y[:, :, None, None].repeat(3, axis=2), axis=-1)[..., 0]
    np.testing.assert_allclose(MemberCrossentropy().call(y, logs), -hit.mean(axis=2), rtol=1e-5)
    target = rng.randn(5, 2, 4).astype("float32")
    squares = ((target[:, :, None] - logs) ** 2).mean(axis=-1).mean(axis=2)
    np.testing.assert_allclose(MemberSquaredError().call(target, logs), squares, rtol=1e-5)


def test_the_network_is_read_back_as_it_was_saved(rng, tmp_path):
    model = keras_network(TabularNetwork(3, 2, 2, 3, (4,), 2, True), dropout=0.1)
    x = rng.rand(5, 2, 3).astype("float32")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert model.output_shape == (None, 2, 1, 2)


# The network in NumPy, against the Keras model.

NETWORKS = [
    TabularNetwork(5, 3, 2, 3, (8, 8), 3, True),
    TabularNetwork(4, 4, 3, 1, (8, 6, 4), 2, True),
    TabularNetwork(3, 0, 1, 2, (7,), 2, False),
    TabularNetwork(6, 2, 2, 4, (16,), 1, False),
    TabularNetwork(4, 2, 2, 2, (), 3, True),
]


@pytest.fixture(params=NETWORKS, ids=str)
def both(request, rng):
    """A state, the Keras model with its weights, and rows with targets and weights."""
    network = request.param
    state = TabularState.initial(network, rng)
    parts = state.parts(state.weights)
    parts["output_bias"][...] = rng.randn(network.n_units)
    parts["output"][...] = rng.randn(*parts["output"].shape)
    state.learning_rate, state.weight_decay, state.n_steps = 0.02, 0.1, 12
    model = keras_network(network)
    model.run_eagerly = True  # a few steps take less time than a trace
    set_state(model, state)
    x = rng.randn(40, network.n_folds, network.n_features).astype("float32")
    if network.classify:
        y = rng.randint(network.n_units, size=(40, network.n_folds)).astype("float32")
    else:
        y = rng.randn(40, network.n_folds, network.n_units).astype("float32")
    weight = rng.rand(40, network.n_folds).astype("float32")
    return state, model, x, y, weight / weight.mean(axis=0)


def test_numpy_predicts_what_the_model_predicts(both):
    state, model, x, _, _ = both
    np.testing.assert_allclose(predict(state, x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_probabilities_too_small_for_their_type_have_logarithms(both):
    state, model, x, y, weight = both
    state.parts(state.weights)["output_bias"][..., 0] += 500
    model.set_weights(state.get_weights())
    np.testing.assert_allclose(predict(state, x), model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)
    assert np.isfinite(evaluate(state, x, y, weight)["loss"])


def test_weights_go_to_the_model_and_back(both):
    state, model, _, _, _ = both
    before = state.weights.copy()
    state.set_weights(model.get_weights())
    np.testing.assert_allclose(state.weights, before, rtol=1e-6)


def test_numpy_trains_as_keras_does(both):
    state, model, x, y, weight = both
    history = model.fit(x, y, sample_weight=weight, batch_size=16, epochs=2, shuffle=False, verbose=0)
    losses = [train_epoch(state, x, y, weight, np.arange(40), 16)["loss"] for _ in range(2)]
    np.testing.assert_allclose(losses, history.history["loss"], rtol=1e-4)
    for own, of_keras in zip(state.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(own, of_keras, rtol=1e-4, atol=1e-5)
    evaluated = model.evaluate(x, y, sample_weight=weight, verbose=0)
    assert evaluate(state, x, y, weight)["loss"] == pytest.approx(evaluated, rel=1e-3)


def test_an_error_in_a_thread_is_raised(both):
    state, _, x, y, weight = both
    with pytest.raises(IndexError):
        train_epoch(state, x, y, weight, np.array([0, 99]), 2)


# What follows from the size of a table.


def test_more_rows_mean_fewer_epochs_and_folds_and_larger_batches():
    sizes = [100, 1000, 10_000, 100_000]
    epochs = [default_epochs(n, 40_000, 12) for n in sizes]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] >= 1
    assert default_folds(500) > default_folds(50_000) > 1
    assert default_members(5) * 5 == 10
    assert default_batch_size(500) < default_batch_size(50_000)


class _Trained:
    """Has a learning rate, as the state of a network."""

    learning_rate = 1.0


def test_a_timed_training_stops_where_another_epoch_would_end_too_late():
    network = _Trained()
    timed = TimeLimit(network, 0.5, epochs=1000, deadline=0.0)
    timed.epoch_begin(0)
    assert network.learning_rate < 0.5
    assert timed.epoch_end(0, {})
    late = TimeLimit(network, 0.5, epochs=1000, deadline=time.perf_counter() + 1000)
    late.epoch_begin(500)
    assert network.learning_rate == pytest.approx(0.25, rel=1e-2)
    assert not late.epoch_end(500, {})
