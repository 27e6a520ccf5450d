"""Each formula of the dense networks in NumPy, against Keras's and against finite differences."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from skdl import _dense
from skdl._dense._epochs import passes
from skdl._dense._formulas import ACTIVATIONS, LOSSES, SCORES, target_of, values_of
from skdl._dense._optimizers import OPTIMIZERS, SCHEDULES, optimizer_step
from skdl._targets._subset_accuracy import SubsetAccuracy

ACTIVATION_SETTINGS = [(name, {}) for name in ACTIVATIONS]
ACTIVATION_SETTINGS += [("elu", {"alpha": 0.3}), ("leaky_relu", {"negative_slope": 0.01})]
# With all kinks.
POINTS = np.concatenate([np.linspace(-8, 8, 161), [-0.5, 0.0, 0.5, 1e-3, -1e-3, 30.0, -30.0]])


@pytest.mark.parametrize(("name", "settings"), ACTIVATION_SETTINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_activation_and_its_derivative_are_kerass_also_at_kinks(name, settings, dtype):
    z = POINTS.astype(dtype).reshape(-1, 4)
    g = np.linspace(0.5, 1.5, z.size).astype(dtype).reshape(z.shape)
    function, backward = ACTIVATIONS[name]
    with tf.GradientTape() as tape, np.errstate(over="ignore"):
        x = tf.constant(z)
        tape.watch(x)
        expected = getattr(keras.activations, name)(x, **settings)
        y = function(z, **settings)
    slope = tape.gradient(expected, x, output_gradients=tf.constant(g))
    found = backward(g, z, y, **settings)
    assert y.dtype == found.dtype == dtype
    tolerance = {"rtol": 2e-5, "atol": 2e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    if name == "gelu" and dtype == "float64":
        tolerance = {"rtol": 1e-7, "atol": 1e-8}  # TensorFlow's erf
    if name in ("gelu", "silu"):
        tolerance["atol"] *= 5  # differences of numbers of the size of z
    np.testing.assert_allclose(y, expected.numpy(), **tolerance)
    np.testing.assert_allclose(found, slope.numpy(), **tolerance)


def targets_and_predictions(name, rng, n=64, k=4):
    """Return target, prediction and Keras's function for a loss, with numbers outside of all limits."""
    p = rng.random((n, k)) + 0.1 if name == "poisson" else rng.normal(size=(n, k))
    if "categorical" in name or "softmax" in name:
        t = np.eye(k)[rng.integers(0, k, n)]
    elif "binary" in name or "sigmoid" in name or "subset" in name:
        t = rng.integers(0, 2, (n, k)).astype(float)
    else:
        t = np.abs(rng.normal(size=(n, k)))
    public = {
        "sigmoid_crossentropy": "binary_crossentropy",
        "softmax_crossentropy": "categorical_crossentropy",
    }
    function = getattr(keras.losses, public.get(name, name), None)
    return t, p, partial(function, from_logits=True) if name in public else function


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_derivative_are_kerass(name):
    t, p, function = targets_and_predictions(name, np.random.default_rng(0))
    settings = {"delta": 1.0} if name == "huber" else {}
    values, gradient = LOSSES[name]
    single = (
        values(t.astype("f"), p.astype("f"), **settings),
        gradient(t.astype("f"), p.astype("f"), **settings),
    )
    assert [array.dtype for array in single] == ["float32"] * 2
    g = gradient(t, p, **settings)
    with tf.GradientTape() as tape:
        q = tf.constant(p)
        tape.watch(q)
        expected = function(tf.constant(t), q)
    np.testing.assert_allclose(values(t, p, **settings), expected.numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(g, tape.gradient(expected, q).numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_the_derivative_of_a_loss_is_that_of_finite_differences(name):
    t, p, _ = targets_and_predictions(name, np.random.default_rng(1))
    t, p = t[1:], p[1:]  # without numbers at the limits
    settings = {"delta": 0.7} if name == "huber" else {}
    values, gradient = LOSSES[name]
    g = gradient(t, p, **settings)
    for column in range(p.shape[1]):
        step = 1e-6 * (np.arange(p.shape[1]) == column)
        slope = (values(t, p + step, **settings) - values(t, p - step, **settings)) / 2e-6
        np.testing.assert_allclose(g[:, column], slope, rtol=1e-4, atol=1e-6)


def one_layer(kind, n_inputs=3, n_units=3, dtype="float64", **config):
    """Return a network that has a layer between two dense ones."""
    names = {"batch_normalization": "BatchNormalization", "dropout": "Dropout", "dense": "Dense"}
    middle = (names.get(kind, "Activation"), config or {"activation": kind})
    network = _dense.network_of(
        (n_inputs,),
        [("Dense", {"units": n_units}), middle, ("Dense", {"units": 2, "kernel_regularizer": "l1_l2"})],
        loss=("MeanSquaredError", {}),
        optimizer=("SGD", {}),
        dtype=dtype,
    )
    return _dense.initial_state(network, 1)


LAYERS = [
    ("dense", {"units": 4, "bias_initializer": "ones"}),
    ("dense", {"units": 4, "use_bias": False}),
    ("batch_normalization", {"beta_initializer": "ones"}),
    ("batch_normalization", {"center": False}),
    ("batch_normalization", {"scale": False}),
    ("dropout", {"rate": 0.4}),
    *((name, {}) for name in ACTIVATIONS),
]


@pytest.mark.parametrize(("kind", "config"), LAYERS)
def test_the_gradient_of_a_network_is_that_of_finite_differences(kind, config):
    state = one_layer(kind, **config)
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
    gradient, masks = np.empty_like(state.weights), [rng.choice([0.0, 2.0], (1, 7, 3))]
    layers = passes(state, gradient, masks, 7)

    def output():
        a = x
        for forward, _ in layers:
            a = forward(a, 0)
        return (a * direction).sum()

    output()
    d = direction.copy()
    for _, backward in reversed(layers):
        d = backward(d)
    found, numeric = gradient.copy(), np.empty_like(gradient)
    for i in range(len(state.weights)):
        was = state.weights[i]
        state.weights[i] = was + 1e-6
        above = output()
        state.weights[i] = was - 1e-6
        numeric[i] = (above - output()) / 2e-6
        state.weights[i] = was
    np.testing.assert_allclose(found, numeric, rtol=1e-5, atol=1e-6)


OPTIMIZER_SETTINGS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {}),
    ("Adam", {"clipnorm": 0.5}),
    ("AdamW", {"epsilon": 1e-4}),
    ("Adam", {"global_clipnorm": 0.5}),
    ("RMSprop", {"clipvalue": 0.1}),
    ("RMSprop", {"momentum": 0.5, "epsilon": 1e-3}),
    ("RMSprop", {"rho": 0.8}),
]


@pytest.fixture(params=["float32", "float64"])
def floatx(request):
    was = keras.config.floatx()
    keras.config.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(was)


@pytest.mark.parametrize(("name", "settings"), OPTIMIZER_SETTINGS)
def test_twenty_steps_of_an_optimizer_are_kerass(name, settings, floatx):
    rng = np.random.default_rng(0)
    network = _dense.network_of(
        (6,),
        [("Dense", {"units": 5})],
        loss=("MeanSquaredError", {}),
        optimizer=(name, settings),
        dtype=floatx,
    )
    state = _dense.initial_state(network, 3)
    theirs = getattr(keras.optimizers, name)(**settings)
    variables = [keras.Variable(array) for array in state.get_weights()]
    theirs.build(variables)
    gradient = np.empty_like(state.weights)
    step = optimizer_step(state, gradient)
    for _ in range(20):
        given = rng.normal(size=gradient.size).astype(floatx)
        theirs.apply([tf.constant(g) for g in state.views(given)], variables)
        gradient[...] = given
        step()
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if floatx == "float32" else {"rtol": 1e-9, "atol": 1e-10}
    for ours, expected in zip(state.get_weights(), variables, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), **tolerance)
    for ours, expected in zip(state.optimizer_variables(), theirs.variables, strict=True):
        np.testing.assert_allclose(ours, expected.numpy(), **tolerance)
        assert ours.dtype == expected.numpy().dtype


def test_all_optimizers_are_compared():
    assert {name for name, _ in OPTIMIZER_SETTINGS} == set(OPTIMIZERS)


RATES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8}),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.8, "staircase": True},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "alpha": 0.1}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 10, "warmup_target": 0.5, "warmup_steps": 5},
    ),
]


@pytest.mark.parametrize(("name", "config"), RATES)
def test_a_learning_rate_follows_kerass_schedule(name, config):
    schedule = getattr(keras.optimizers.schedules, name)(**config)
    described = keras.saving.serialize_keras_object(schedule)
    network = _dense.network_of(
        (2,),
        [("Dense", {"units": 1})],
        loss=("MeanSquaredError", {}),
        optimizer=("SGD", {"learning_rate": described}),
    )
    state = _dense.initial_state(network, 1)
    for step in range(30):
        state.iterations = step
        np.testing.assert_allclose(state.current_learning_rate(), float(schedule(step)), rtol=1e-6)


def test_all_schedules_are_compared():
    assert {name for name, _ in RATES} == set(SCHEDULES)


@pytest.mark.parametrize(("class_name", "function"), _dense.MEASURES.items())
def test_a_metric_is_kerass(class_name, function):
    config = {"from_logits": True} if "Crossentropy" in class_name else {}
    rng = np.random.default_rng(0)
    metric_class = (
        SubsetAccuracy if class_name == "SubsetAccuracy" else getattr(keras.metrics, class_name, None)
    )
    if metric_class is None:
        assert hasattr(keras.losses, class_name)
        return
    t, p, _ = targets_and_predictions(function, rng)
    metric = metric_class(**config)
    p, weight = p.astype("float32"), rng.random(len(p))
    y = t.argmax(axis=1) if function.startswith("sparse") else t.astype("float32")
    sparse = function.startswith("sparse")
    network = _dense.network_of(
        (2,),
        [("Dense", {"units": 4})],
        loss=("SparseCategoricalCrossentropy", {"from_logits": True}) if sparse else ("MeanSquaredError", {}),
        optimizer=("SGD", {}),
        metrics=[(class_name, metric.get_config())],
    )
    (measure,) = network.metrics
    values = values_of(measure, target_of(measure, y, 4, "float32"), p)
    metric.update_state(y, p, sample_weight=weight)
    mean = np.average(values, weights=weight)
    assert measure.name == metric.name
    assert (np.sqrt(mean) if measure.root else mean) == pytest.approx(float(metric.result()), rel=1e-5)


def test_scores_are_the_accuracies():
    assert set(SCORES) == {name for name in _dense.MEASURES.values() if name.endswith("accuracy")}
