"""Dense networks as values: what is read, drawn, kept and refused."""

import inspect
import pickle
import random
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from threadpoolctl import threadpool_info, threadpool_limits

from skdl import _dense
from skdl._dense._epochs import draw_masks
from skdl._dense._network import _FIXED, _PARAMETERS, LAYERS
from skdl._dense._optimizers import COMMON, SCHEDULES
from skdl._dense._state import uniform

SOFTMAX = ("Dense", {"units": 3, "activation": "softmax"})
SPARSE = ("SparseCategoricalCrossentropy", {})
ACCURACY = ("SparseCategoricalAccuracy", {"name": "accuracy"})
NUMBERS = {"loss": ("MeanSquaredError", {}), "metrics": []}


def network_of(
    layers=(SOFTMAX,), *, n_inputs=4, loss=SPARSE, optimizer=("Adam", {}), metrics=(ACCURACY,), **kwargs
):
    return _dense.network_of((n_inputs,), layers, loss=loss, optimizer=optimizer, metrics=metrics, **kwargs)


def data(n=50, n_inputs=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_inputs)).astype("float32"), rng.integers(0, 3, n)


HIDDEN = [("Dense", {"units": 8, "activation": "relu"}), ("Dropout", {"rate": 0.3}), SOFTMAX]


# Random numbers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [(0, 0), (1, 0), (123456789, 7), (2**31 - 2, 0), (2**40 + 3, 5)])
@pytest.mark.parametrize("n", [1, 4, 37])
def test_uniform_numbers_are_tensorflows_to_the_bit(seed, dtype, n):
    as_keras = [s % (2**31 - 2) for s in seed]
    expected = tf.random.stateless_uniform((n,), seed=as_keras, dtype=dtype)
    np.testing.assert_array_equal(uniform(np.array([seed]), n, dtype)[0], expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 7, 130])
def test_initial_weights_are_kerass_to_the_bit(units, dtype):
    network = network_of([("Dense", {"units": units})], n_inputs=31, dtype=dtype, **NUMBERS)
    kernel, bias = _dense.initial_state(network, 7).get_weights()
    seed = random.Random(7).randint(1, 10**9)
    np.testing.assert_array_equal(kernel, keras.initializers.GlorotUniform(seed)((31, units), dtype))
    assert kernel.dtype == dtype
    assert not bias.any()


def test_seeds_are_drawn_in_the_order_in_which_keras_draws_them():
    random.seed(7)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, bias_initializer="ones"),
            keras.layers.Dropout(0.3),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(5),
            keras.layers.Dropout(0.2, seed=11),
            keras.layers.Dense(3),
        ]
    )
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    state = _dense.initial_state(network_of(layers, **NUMBERS), 7)
    for ours, theirs in zip(state.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    expected = [layer.seed_generator.state.numpy() for layer in model.layers if hasattr(layer, "rate")]
    np.testing.assert_array_equal(state.draws, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masks_are_those_of_kerass_dropout(dtype):
    generator = keras.random.SeedGenerator(12)
    generator.next()
    state = generator.state.numpy().copy()
    masks = np.empty((3, 5, 7), dtype)
    draw_masks(masks, 0.3, state, 3)
    for mask in masks:
        expected = keras.random.dropout(np.ones((4, 7), dtype), 0.3, seed=generator)
        np.testing.assert_array_equal(mask[:4], expected)


# Descriptions


def fields(class_name, module, defaults, **required):
    """Check that configuration and signature of one of Keras's classes have the fields that are read."""
    cls = getattr(module, class_name)
    config = cls(**required).get_config()
    known = {*defaults, *_FIXED, "name", "dtype"}
    assert set(config) <= known
    assert set(inspect.signature(cls).parameters) - {"kwargs"} <= known
    return config


@pytest.mark.parametrize("class_name", LAYERS)
def test_the_fields_of_a_layer_are_kerass(class_name):
    required = {"Dense": {"units": 3}, "Activation": {"activation": "relu"}, "Dropout": {"rate": 0.5}}
    given = required.get(class_name, {})
    config = fields(class_name, keras.layers, LAYERS[class_name], **given)
    network = network_of([(class_name, given), SOFTMAX])
    assert network == network_of([(class_name, config), SOFTMAX])


@pytest.mark.parametrize("class_name", _dense.OPTIMIZERS)
def test_the_fields_and_defaults_of_an_optimizer_are_kerass(class_name):
    defaults = {**COMMON, **_dense.OPTIMIZERS[class_name].defaults}
    config = fields(class_name, keras.optimizers, defaults)
    # Of the learning rate, Keras tells its float32.
    read = {
        name: float(np.float32(value)) if name == "learning_rate" else value
        for name, value in defaults.items()
    }
    assert {name: read[name] for name in config if name in read} == {
        n: v for n, v in config.items() if n in read
    }


@pytest.mark.parametrize("class_name", _dense.MEASURES)
@pytest.mark.parametrize("module", [keras.losses, keras.metrics])
def test_the_fields_of_a_loss_or_metric_are_kerass(class_name, module):
    if hasattr(module, class_name):
        fields(class_name, module, _PARAMETERS.get(_dense.MEASURES[class_name], {}))


@pytest.mark.parametrize("class_name", SCHEDULES)
def test_the_fields_of_a_schedule_are_kerass(class_name):
    required = {name: 1.0 for name, default in SCHEDULES[class_name][1].items() if default is None}
    config = fields(class_name, keras.optimizers.schedules, SCHEDULES[class_name][1], **required)
    assert {
        name: config[name] for name, default in SCHEDULES[class_name][1].items() if default is not None
    } == {name: default for name, default in SCHEDULES[class_name][1].items() if default is not None}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"layers": [("Conv1D", {})]}, "layer of class Conv1D"),
        ({"layers": [("Dense", {"units": 3, "lora_rank": 2})]}, "lora_rank=2"),
        ({"layers": [("Dense", {"units": 3, "future": None})]}, "Dense has future=None"),
        ({"layers": [("Dense", {"units": 3, "trainable": False})]}, "trainable=False"),
        ({"layers": [("Dense", {"units": 3, "kernel_constraint": {}})]}, "kernel_constraint"),
        ({"layers": [("Dense", {"units": 3, "dtype": "mixed_float16"})]}, "mixed_float16"),
        ({"layers": [("Dense", {"units": 3, "dtype": {"class_name": "Own", "config": {}}})]}, "dtype"),
        ({"layers": [("Dense", {"units": 3, "activation": "glu"})]}, "activation that is not covered"),
        ({"layers": [("Dense", {"units": 3, "activation": {"class_name": "function"}})]}, "activation that"),
        (
            {"layers": [("Dense", {"units": 3, "kernel_regularizer": {"class_name": "Own"}})]},
            "regularizer Own",
        ),
        ({"layers": [("Dropout", {"rate": 1.0}), SOFTMAX]}, "rate=1.0"),
        ({"layers": [("Dropout", {"rate": 0.5, "noise_shape": (None, 1)}), SOFTMAX]}, "noise_shape"),
        ({"layers": [("BatchNormalization", {"renorm": True}), SOFTMAX]}, "renorm=True"),
        ({"layers": [("BatchNormalization", {"beta_regularizer": "l2"}), SOFTMAX]}, "beta_regularizer"),
        ({"layers": [("ReLU", {"max_value": 2.0}), SOFTMAX]}, "max_value=2.0"),
        ({"layers": [("ReLU", {"threshold": 1.0}), SOFTMAX]}, "threshold=1.0"),
        ({"layers": [SOFTMAX, ("Flatten", {})]}, "Flatten is not the first"),
        ({"layers": [SOFTMAX, ("Dropout", {"rate": 0.5})]}, "Dropout is the last layer"),
        ({"layers": [("Activation", {"activation": "relu"})]}, "no Dense layer"),
        ({"loss": ("Dice", {})}, "Dice"),
        ({"loss": ("SparseCategoricalAccuracy", {})}, "The loss is sparse_categorical_accuracy"),
        ({"loss": ("Poisson", {})}, "The loss is poisson"),
        ({"loss": ("MeanAbsolutePercentageError", {})}, "The loss is mean_absolute_percentage_error"),
        (
            {"layers": [("Dense", {"units": 3, "activation": "hard_sigmoid"})]},
            "from_logits=False behind hard_sigmoid",
        ),
        (
            {"loss": ("SparseCategoricalCrossentropy", {"from_logits": True})},
            "from_logits=True behind softmax",
        ),
        ({"loss": ("SparseCategoricalCrossentropy", {"ignore_class": 1})}, "ignore_class=1"),
        ({"loss": ("SparseCategoricalCrossentropy", {"reduction": "sum"})}, "reduction='sum'"),
        ({"loss": ("Huber", {"reduction": "mean"}), "metrics": []}, "does not tell its delta"),
        ({"metrics": [("AUC", {})]}, "AUC"),
        ({"metrics": [("MeanSquaredError", {})]}, "does not fit the loss"),
        ({"metrics": [("SparseCategoricalAccuracy", {"name": "loss"})]}, "does not fit the loss"),
        ({"metrics": [("SparseCategoricalAccuracy", {"dtype": "float16"})]}, "another dtype"),
        ({"optimizer": ("Nadam", {})}, "The optimizer is Nadam"),
        ({"optimizer": ("Adam", {"gradient_accumulation_steps": 2})}, "gradient_accumulation_steps=2"),
        ({"optimizer": ("Adam", {"loss_scale_factor": 2.0})}, "loss_scale_factor=2.0"),
        ({"optimizer": ("Adam", {"learning_rate": {"class_name": "Own"}})}, "The learning rate"),
        ({"optimizer": ("Adam", {"use_ema": True})}, "use_ema=True"),
        ({"optimizer": ("Adam", {"amsgrad": True})}, "amsgrad=True"),
        ({"dtype": "bfloat16"}, "float type"),
        ({"n_inputs": None}, "shape of a row"),
    ],
)
def test_what_is_not_covered_is_refused_with_the_reason(given, reason):
    with pytest.raises(_dense.NotDense, match=reason):
        network_of(**given)


def test_a_network_whose_initial_weights_are_unknown_takes_them_from_elsewhere():
    network = network_of([("Dense", {"units": 3, "kernel_initializer": "he_normal"})], **NUMBERS)
    with pytest.raises(_dense.NotDense, match="Keras draws the first values of a kernel"):
        _dense.initial_state(network, 0)
    state = _dense.blank_state(network)
    state.set_weights([np.ones((4, 3)), np.zeros(3)])
    np.testing.assert_array_equal(_dense.predict(state, np.ones((1, 4))), [[4, 4, 4]])


def test_rows_of_several_axes_are_made_flat():
    network = _dense.network_of(
        (2, 3), [("Flatten", {}), SOFTMAX], loss=SPARSE, optimizer=("SGD", {"learning_rate": 0.1})
    )
    state = _dense.initial_state(network, 1)
    x, y = data(20, 6)
    logs = _dense.train_epoch(state.copy(), x.reshape(20, 2, 3), y, None, np.arange(20), 8)
    flat = _dense.network_of((6,), [SOFTMAX], loss=SPARSE, optimizer=("SGD", {"learning_rate": 0.1}))
    assert logs == _dense.train_epoch(_dense.initial_state(flat, 1), x, y, None, np.arange(20), 8)
    with pytest.raises(_dense.NotDense, match="Flatten is not the first"):
        _dense.network_of((2, 3), [SOFTMAX], loss=SPARSE, optimizer=("SGD", {}))


def test_metrics_of_one_name_are_counted_as_in_keras():
    network = network_of(metrics=[ACCURACY, ("SparseCategoricalCrossentropy", {}), ACCURACY])
    names = ["accuracy", "sparse_categorical_crossentropy", "accuracy_1"]
    assert [metric.name for metric in network.metrics] == names


# States and training


def trained(network=None, *, n_epochs=3, n=50):
    network = network or network_of(HIDDEN)
    state = _dense.initial_state(network, 1)
    x, y = data(n)
    for epoch in range(n_epochs):
        order = np.random.default_rng(epoch).permutation(n)
        logs = _dense.train_epoch(state, x, y, None, order, 16)
    return state, logs


def same(state, other):
    arrays = ("weights", "statistics", "slots", "draws")
    return all(np.array_equal(getattr(state, a), getattr(other, a)) for a in arrays)


def test_a_copy_or_pickle_goes_on_where_the_state_stopped_and_shares_nothing():
    state, _ = trained()
    copies = state.copy(), pickle.loads(pickle.dumps(state))
    x, y = data()
    expected = _dense.train_epoch(state, x, y, None, np.arange(50), 16)
    for copy in copies:
        assert not same(copy, state)
        assert _dense.train_epoch(copy, x, y, None, np.arange(50), 16) == expected
        assert same(copy, state)
        assert copy.iterations == 16


def test_results_are_the_same_bits_whatever_runs_beside():
    # Wide enough for products of several threads, which add up in another order.
    layers = [("Dense", {"units": 500}), ("Dropout", {"rate": 0.3}), ("Dense", {"units": 128}), SOFTMAX]
    network = network_of(layers)
    with threadpool_limits(1):
        expected, logs = trained(network, n=100)
    found = [None] * 4

    def run(i):
        found[i] = trained(network, n=100)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state, their_logs in found:
        assert same(state, expected)
        assert their_logs == logs


def test_rows_of_weight_zero_do_not_change_the_direction():
    network = network_of([SOFTMAX], optimizer=("SGD", {"learning_rate": 1.0}))
    states = [_dense.initial_state(network, 1) for _ in range(2)]
    x, y = data(8)
    weight = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])
    _dense.train_epoch(states[0], x, y, weight, np.arange(8), 8)
    network_half = network_of([SOFTMAX], optimizer=("SGD", {"learning_rate": 0.5}))
    half = _dense.initial_state(network_half, 1)
    _dense.train_epoch(half, x, y, None, np.arange(4), 8)
    np.testing.assert_allclose(states[0].weights, half.weights, rtol=1e-5)


def test_long_epochs_are_made_in_blocks_without_a_change(monkeypatch):
    expected, logs = trained(n=200)
    monkeypatch.setattr("skdl._dense._epochs._BLOCK", 1)
    state, found = trained(n=200)
    assert same(state, expected)
    assert found == pytest.approx(logs, rel=1e-6)


def test_the_layout_of_the_rows_in_memory_changes_nothing():
    state, _ = trained()
    x, y = data()
    other = state.copy()
    expected = _dense.train_epoch(state, x, y, None, np.arange(50), 16)
    assert _dense.train_epoch(other, np.asfortranarray(x), y, None, np.arange(50), 16) == expected
    assert same(other, state)
    np.testing.assert_array_equal(_dense.predict(state, np.asfortranarray(x)), _dense.predict(state, x))


def test_evaluation_and_prediction_in_chunks_are_those_of_all_rows(monkeypatch):
    state, _ = trained()
    x, y = data()
    whole, output = _dense.evaluate(state, x, y), _dense.predict(state, x)
    monkeypatch.setattr("skdl._dense._epochs._CHUNK", 56)
    assert _dense.evaluate(state, x, y) == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(_dense.predict(state, x), output, rtol=1e-5)


def test_a_target_of_another_shape_is_refused():
    network = network_of([("Dense", {"units": 2})], **NUMBERS)
    state = _dense.initial_state(network, 1)
    with pytest.raises(ValueError, match="reshape"):
        _dense.train_epoch(state, np.ones((4, 4)), np.ones((4, 3)), None, np.arange(4), 2)


def test_a_diverging_training_warns_of_nothing():
    network = network_of(HIDDEN, optimizer=("SGD", {"learning_rate": 1e30}))
    _, logs = trained(network)
    assert np.isnan(logs["loss"])


def test_the_learning_rate_may_be_changed_between_epochs():
    state, _ = trained()
    state.learning_rate = 0.0
    before, (x, y) = state.weights.copy(), data()
    _dense.train_epoch(state, x, y, None, np.arange(50), 16)
    np.testing.assert_array_equal(state.weights, before)


@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "RMSprop"])
def test_gradients_that_stay_zero_leave_no_subnormal_numbers(optimizer):
    settings = {"momentum": 0.9} if optimizer == "SGD" else {}
    state = _dense.initial_state(network_of(optimizer=(optimizer, {**settings, "learning_rate": 1e-3})), 1)
    x, y = data(64)
    _dense.train_epoch(state, x, y, None, np.arange(64), 16)
    x[:, 0] = 0  # the first column's weights have no gradient from now on
    for _ in range(20):
        _dense.train_epoch(state, x, y, None, np.tile(np.arange(64), 40), 16)
    size = np.abs(state.slots)
    assert not np.any((size > 0) & (size < np.finfo("float32").tiny))
    assert np.all(size[0][:3] == 0)


def n_blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


def test_blas_has_one_thread_until_the_last_of_those_who_ask_for_it_leaves():
    before = n_blas_threads()
    first, second = _dense.one_blas_thread(2**20), _dense.one_blas_thread(2**20)
    with first:
        second.__enter__()
    assert set(n_blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert n_blas_threads() == before


def test_a_thread_limits_blas_also_where_another_one_has_done_so():
    before, seen = n_blas_threads(), []

    def train():
        with _dense.one_blas_thread(2**20):
            seen.append(n_blas_threads())
        seen.append(n_blas_threads())

    with threadpool_limits(2):
        limited = n_blas_threads()
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    assert seen == [[1] * len(before), limited]
    assert n_blas_threads() == before


@pytest.mark.parametrize("n_products", [1, 2**30])
def test_blas_keeps_its_threads_for_tiny_and_for_large_products(n_products):
    before = n_blas_threads()
    with _dense.one_blas_thread(n_products):
        assert n_blas_threads() == before


def test_a_failed_training_gives_the_threads_back():
    before = n_blas_threads()
    state = _dense.initial_state(network_of([("Dense", {"units": 300}), SOFTMAX]), 1)
    with pytest.raises(IndexError):
        _dense.train_epoch(state, *data(), None, np.arange(99), 16)
    assert n_blas_threads() == before
