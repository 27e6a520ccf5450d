"""Networks in NumPy against the same networks in Keras: random ones, batch by batch."""

import os
from functools import partial

import keras
import numpy as np
import pytest

from skdl import _dense

N_NETWORKS = int(os.environ.get("SKDL_DENSE_NETWORKS", 20))
ACTIVATIONS = ("relu leaky_relu elu selu softplus silu gelu tanh sigmoid hard_sigmoid linear softmax").split()


def pair(layer):
    return type(layer).__name__, layer.get_config()


def described(model, loss, metrics, **kwargs):
    """Return the network that the parts of a compiled Keras model describe."""
    return _dense.network_of(
        model.input_shape[1:],
        [pair(layer) for layer in model.layers],
        loss=loss,
        optimizer=pair(model.optimizer),
        metrics=metrics,
        **kwargs,
    )


def state_of(model, network):
    """Return the state of a Keras model that has not been trained."""
    state = _dense.blank_state(network)
    state.set_weights(model.get_weights())
    generators = [layer.seed_generator for layer in model.layers if getattr(layer, "rate", 0)]
    state.draws[...] = np.array([g.state.numpy() for g in generators], np.int64).reshape(-1, 2)
    return state


def keras_epoch(model, x, y, weight, order, batch_size):
    """Train a Keras model for one epoch in a given order, and return its logs."""
    w = None if weight is None else weight[order]
    history = model.fit(
        x[order], y[order], sample_weight=w, batch_size=batch_size, shuffle=False, epochs=1, verbose=0
    )
    return {name: values[0] for name, values in history.history.items()}


def keras_evaluation(model, x, y, weight):
    """Return the logs of a Keras model, which two steps without a trace compute."""
    model.run_eagerly = True
    batch_size = len(x) // 2 + 1
    return model.evaluate(x, y, sample_weight=weight, batch_size=batch_size, verbose=0, return_dict=True)


def random_optimizer(rng):
    common = {}
    if rng.random() < 0.3:
        common[rng.choice(["clipnorm", "global_clipnorm", "clipvalue"])] = float(rng.choice([0.01, 0.5]))
    if rng.random() < 0.2:
        common["weight_decay"] = 0.01
    schedules = keras.optimizers.schedules
    rate = rng.choice(
        [
            1e-3,
            1e-2,
            schedules.ExponentialDecay(1e-2, 7, 0.8, staircase=bool(rng.random() < 0.5)),
            schedules.CosineDecay(1e-3, 20, warmup_target=1e-2, warmup_steps=5),
        ]
    )
    rate = float(rate) if isinstance(rate, float) else rate
    name, extra = rng.choice(
        [
            ("SGD", {}),
            ("SGD", {"momentum": 0.9}),
            ("SGD", {"momentum": 0.9, "nesterov": True}),
            ("Adam", {}),
            ("AdamW", {}),
            ("RMSprop", {}),
            ("RMSprop", {"momentum": 0.5, "epsilon": 1e-3}),
        ]
    )
    return getattr(keras.optimizers, name)(rate, **extra, **common)


def random_case(seed):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    n_inputs, n, batch_size = int(rng.integers(1, 40)), int(rng.integers(20, 200)), int(rng.integers(1, 65))
    n = min(n, 20 * batch_size)
    penalty = rng.choice([None, keras.regularizers.L2(0.01), keras.regularizers.L1(0.001)])
    penalty = penalty if rng.random() < 0.4 else None
    layers = [keras.Input((n_inputs,))]
    normalized = rng.random() < 0.2 and batch_size > 8
    if rng.random() < 0.2:
        layers.append(keras.layers.Dropout(0.1))
    for _ in range(rng.integers(0, 4)):
        units = int(rng.integers(1, 131))
        activation = str(rng.choice(ACTIVATIONS)) if rng.random() < 0.7 else "relu"
        own = [
            keras.layers.ReLU(),
            keras.layers.ReLU(negative_slope=0.1),
            keras.layers.LeakyReLU(),
            keras.layers.ELU(0.5),
        ]
        has_own = rng.random() < 0.2
        layers.append(
            keras.layers.Dense(
                units,
                activation=None if has_own else activation,
                use_bias=rng.random() < 0.9,
                kernel_regularizer=penalty,
                kernel_initializer=str(rng.choice(["glorot_uniform", "he_normal", "orthogonal"])),
            )
        )
        if normalized:
            scale, center = rng.random(2) < 0.8
            layers.append(
                keras.layers.BatchNormalization(momentum=0.9, scale=bool(scale), center=bool(center))
            )
        if has_own:
            layers.append(own[rng.integers(len(own))])
        if rng.random() < 0.3:
            layers.append(keras.layers.Dropout(float(rng.choice([0.1, 0.5]))))
    kind = rng.choice(["binary", "multilabel", "sparse", "onehot", "regression"])
    k = {"binary": 1, "regression": int(rng.integers(1, 4))}.get(kind, int(rng.integers(2, 8)))
    if kind == "regression":
        y = rng.normal(size=(n, k)).astype("float32")
        name = str(rng.choice(["MeanSquaredError", "MeanAbsoluteError", "Huber"]))
        loss, output = getattr(keras.losses, name)(), "linear"
        metrics = [keras.metrics.MeanSquaredError(), keras.metrics.RootMeanSquaredError()]
    elif kind in ("binary", "multilabel"):
        y = rng.integers(0, 2, (n, k)).astype("float32")
        loss = keras.losses.BinaryCrossentropy(label_smoothing=float(rng.choice([0, 0.1])))
        output = "sigmoid"
        metrics = [keras.metrics.BinaryAccuracy(name="accuracy")]
    else:
        classes, output = rng.integers(0, k, n), "softmax"
        y = classes if kind == "sparse" else np.eye(k, dtype="float32")[classes]
        loss = {
            "sparse": keras.losses.SparseCategoricalCrossentropy,
            "onehot": keras.losses.CategoricalCrossentropy,
        }[kind]()
        metric = {
            "sparse": keras.metrics.SparseCategoricalAccuracy,
            "onehot": keras.metrics.CategoricalAccuracy,
        }[kind]
        metrics = [metric(name="accuracy")]
    layers.append(keras.layers.Dense(k, activation=output))
    x = rng.normal(size=(n, n_inputs)).astype("float32")
    x[rng.random(n) < 0.1] = 0  # where all units are at their kinks
    weight = rng.random(n).astype("float32") * 2 if rng.random() < 0.4 else None
    return rng, keras.Sequential(layers), loss, metrics, x, y, weight, batch_size, normalized


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_a_random_network_trains_as_in_keras(seed, request):
    if seed % 10 == 9:
        for what in ("floatx", "dtype_policy"):
            change = getattr(keras.config, f"set_{what}")
            request.addfinalizer(partial(change, getattr(keras.config, what)()))
            change("float64")
    rng, model, loss, metrics, x, y, weight, batch_size, normalized = random_case(seed)
    model.compile(random_optimizer(rng), loss, metrics=metrics, jit_compile=False)
    loss_config = {**loss.get_config(), **({"delta": 1.0} if type(loss).__name__ == "Huber" else {})}
    network = described(
        model,
        (type(loss).__name__, loss_config),
        [pair(m) for m in metrics],
        dtype=keras.config.floatx(),
    )
    state = state_of(model, network)
    for _ in range(max(1, min(3, 60 // -(-len(x) // batch_size)))):
        order = rng.permutation(len(x))
        expected = keras_epoch(model, x, y, weight, order, batch_size)
        logs = _dense.train_epoch(state, x, y, weight, order, batch_size)
        assert list(logs) == list(expected)
        assert logs == pytest.approx(expected, rel=1e-2 if normalized else 1e-4, abs=1e-5)
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if normalized else {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(_dense.predict(state, x), model(x).numpy(), **tolerance)
    evaluated = keras_evaluation(model, x, y, weight)
    assert _dense.evaluate(state, x, y, weight) == pytest.approx(evaluated, rel=tolerance["rtol"], abs=1e-4)
    if normalized:
        return
    for ours, theirs in zip(state.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)
    for ours, theirs in zip(state.optimizer_variables(), model.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=1e-5)


OUTPUTS_AND_LOSSES = [
    ("sigmoid", "CategoricalCrossentropy", {}),  # of logits: Keras goes back behind softmax and sigmoid
    ("softmax", "BinaryCrossentropy", {}),
    ("softmax", "CategoricalCrossentropy", {"label_smoothing": 0.1}),
    ("linear", "CategoricalCrossentropy", {"from_logits": True}),
    ("linear", "SparseCategoricalCrossentropy", {"from_logits": True}),
    ("linear", "BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
    ("softplus", "MeanSquaredError", {}),
    ("linear", "MeanAbsoluteError", {}),
]


@pytest.mark.parametrize(("output", "name", "settings"), OUTPUTS_AND_LOSSES)
def test_a_loss_behind_an_output_is_kerass(output, name, settings):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, classes = rng.normal(size=(40, 5)).astype("float32"), rng.integers(0, 3, 40)
    y = classes if name.startswith("Sparse") else np.eye(3, dtype="float32")[classes]
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation=output)])
    metrics = [name] if hasattr(keras.metrics, name) else []
    metrics = [
        getattr(keras.metrics, each)(**settings) if "Cross" in each else getattr(keras.metrics, each)()
        for each in metrics
    ]
    loss = getattr(keras.losses, name)(**settings)
    # A few steps take less time than a trace.
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=metrics, run_eagerly=True)
    network = described(model, (name, settings), [pair(metric) for metric in metrics])
    state = state_of(model, network)
    weight = rng.random(40).astype("float32")
    expected = keras_epoch(model, x, y, weight, np.arange(40), 16)
    assert _dense.train_epoch(state, x, y, weight, np.arange(40), 16) == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(state.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    evaluated = keras_evaluation(model, x, y, weight)
    assert _dense.evaluate(state, x, y, weight) == pytest.approx(evaluated, rel=1e-5)
