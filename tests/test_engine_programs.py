"""Which models share a compiled program: each variant trains as if it were alone.

Every family holds variants that differ in one thing. Each is trained alone, then beside the programs
of all others, and one of them by Keras's own ``fit``.
"""

import collections
import contextlib
import functools
import operator
import types

import engine_training
import numpy as np
import pytest

from skdl import CNNClassifier, TabularClassifier, _engine
from skdl._backend import keras, seeded, tf
from skdl._engine import _program

N, D = 40, 6
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)).astype("float32")
Y = rng.integers(0, 3, size=N)
T = rng.normal(size=(N, 1)).astype("float32")
WORDS = rng.integers(0, 5, size=(N, 4))

layers, optimizers, losses, ops = keras.layers, keras.optimizers, keras.losses, keras.ops
L2, RMSprop = keras.regularizers.L2, optimizers.RMSprop
config = types.SimpleNamespace(alpha=1.0)
SETTINGS = {"alpha": 1.0}


def net(*inner, optimizer=None, loss="sparse_categorical_crossentropy", metrics=(), **compile_args):
    """A classifier with some layers between a dense one and the output."""
    model = keras.Sequential([keras.Input((D,)), layers.Dense(5, activation="tanh"), *inner])
    model.add(layers.Dense(3, activation="softmax"))
    return compiled(model, optimizer, loss, list(metrics), **compile_args)


def compiled(model, optimizer=None, loss="sparse_categorical_crossentropy", metrics=(), **compile_args):
    model.compile(optimizer or optimizers.SGD(0.05), loss=loss, metrics=list(metrics) or None, **compile_args)
    return model


def with_optimizer(*args, cls=optimizers.SGD, **kwargs):
    return lambda: net(optimizer=cls(*args, **kwargs))


def with_layer(cls, *args, **kwargs):
    return lambda: net(cls(*args, **kwargs))


def dense(**kwargs):
    return with_layer(layers.Dense, 5, **kwargs)


def penalty(strength):
    return lambda w: strength * ops.sum(ops.square(w))


def clipped(largest):
    return lambda w: ops.clip(w, -largest, largest)


class Penalty(keras.regularizers.Regularizer):
    def __init__(self, strength):
        self.strength = strength

    def __call__(self, w):
        return self.strength * ops.sum(ops.abs(w))


class Clipped(keras.constraints.Constraint):
    def __init__(self, largest):
        self.largest = largest

    def __call__(self, w):
        return ops.clip(w, -self.largest, self.largest)


def functional(connect):
    def make():
        x = keras.Input((D,))
        h = layers.Dense(D, activation="tanh")(x)
        return compiled(keras.Model(x, layers.Dense(3, activation="softmax")(connect(h, x))))

    return make


def shared_layer(same):
    def make():
        x, layer = keras.Input((D,)), layers.Dense(D, activation="tanh")
        h = (layer if same else layers.Dense(D, activation="tanh"))(layer(x))
        return compiled(keras.Model(x, layers.Dense(3, activation="softmax")(h)))

    return make


def nested(activation):
    def make():
        inner = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation=activation)])
        return net(inner)

    return make


def two_outputs(weights=(1.0, 0.3), names=("a", "b"), losses_of=None):
    def make():
        x = keras.Input((D,))
        h = layers.Dense(5, activation="relu")(x)
        first = layers.Dense(3, activation="softmax", name=names[0])(h)
        model = keras.Model(x, [first, layers.Dense(1, name=names[1])(h)])
        both = losses_of or ["sparse_categorical_crossentropy", "mse"]
        return compiled(model, loss=both, loss_weights=list(weights))

    return make


def two_inputs(combine):
    def make():
        a, b = keras.Input((D,)), keras.Input((D,))
        h = combine()([layers.Dense(4)(a), layers.Dense(4)(b)])
        return compiled(keras.Model([a, b], layers.Dense(3, activation="softmax")(h)))

    return make


def recurrent(cls=layers.SimpleRNN, mask_zero=True, **kwargs):
    def make():
        model = keras.Sequential(
            [keras.Input((4,), dtype="int32"), layers.Embedding(5, 3, mask_zero=mask_zero)]
        )
        model.add(cls(3, **kwargs))
        model.add(layers.Dense(3, activation="softmax"))
        return compiled(model)

    return make


def prepared(make, change):
    def changed():
        model = make()
        change(model)
        return model

    return changed


def frozen(*places):
    def change(model):
        for place in places:
            model.layers[place].trainable = False
        compiled(model)

    return change


def frozen_late(*places):
    def change(model):
        model.optimizer.build(model.trainable_variables)
        for place in places:
            model.layers[place].trainable = False

    return change


def optimizer_built(order):
    def change(model):
        model.optimizer.build(order(model.trainable_variables))

    return change


class Scaled(layers.Layer):
    """Multiplies by a number that it holds under any name."""

    def __init__(self, name, value):
        super().__init__()
        object.__setattr__(self, name, value)
        self.held_as = name

    def call(self, x):
        return number(getattr(self, self.held_as)) * x


def number(value):
    if callable(value):
        return value(1.0)
    if isinstance(value, dict):
        return value["alpha"]
    return value if isinstance(value, float) else value.alpha


class Slots:
    __slots__ = ("alpha",)

    def __init__(self, alpha):
        self.alpha = alpha


class Dict(dict):
    pass


Pair = collections.namedtuple("Pair", ["alpha"])


def from_config(x):
    return config.alpha * x


def from_globals(x):
    return globals()["SETTINGS"]["alpha"] * x


def from_function_attribute(x):
    return from_function_attribute.alpha * x


def reads_global(method):
    def read(self, x):
        return SETTINGS["alpha"] * method(self, x)

    return read


class Decorated(layers.Layer):
    @reads_global
    def call(self, x):
        return x


@contextlib.contextmanager
def set_everywhere(alpha):
    config.alpha = SETTINGS["alpha"] = from_function_attribute.alpha = alpha
    try:
        yield
    finally:
        config.alpha = SETTINGS["alpha"] = 1.0


class OwnSGD(optimizers.SGD):
    pass


class Signed(optimizers.SGD):
    """Has attributes that Keras uses elsewhere."""

    def __init__(self, *args, history=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.history = history

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(self.history * gradient, variable, learning_rate)


class Momentum(keras.Sequential):
    """Keeps a moving average in its training step, as momentum-contrast models do."""

    momentum = 0.9

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.momentum * self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return {"loss": loss}


def momentum_model(value, as_attribute="momentum"):
    def make():
        model = Momentum([keras.Input((D,)), layers.Dense(5), layers.Dense(3, activation="softmax")])
        object.__setattr__(model, as_attribute, value)
        return compiled(model)

    return make


class Error(losses.Loss):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def call(self, y_true, y_pred):
        return losses.sparse_categorical_crossentropy(y_true, y_pred) ** self.power


class Share(keras.metrics.Metric):
    def __init__(self, scale, name="share"):
        super().__init__(name=name)
        self.scale = scale
        self.total = self.add_weight(initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(self.scale * ops.mean(y_pred[:, 0]))

    def result(self):
        return self.total


class Own(layers.Layer):
    """As Keras's guide writes it, with an initializer, a slice and a range besides."""

    def __init__(self, units, reach=slice(0, 3)):
        super().__init__()
        self.units, self.reach, self.places = units, reach, range(2)
        self.initializer = keras.initializers.GlorotUniform(seed=1)

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], self.units), initializer=self.initializer)

    def call(self, x):
        return ops.matmul(x, self.w)[:, self.reach]


class Array(layers.Layer):
    """Takes an array, and has no get_config."""

    def __init__(self, array):
        super().__init__()
        self.array = array

    def call(self, x):
        return x * ops.convert_to_tensor(self.array, x.dtype)


def one_hot_loss(y_true, y_pred):
    """Clips by Keras's epsilon, which a cross-entropy of logits does not."""
    columns = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), 3)
    return losses.kl_divergence(columns, y_pred)


class Activation:
    def __init__(self, slope):
        self.slope = slope

    def __call__(self, x):
        return self.slope * x


def replaced_call(factor):
    def change(model):
        layer = model.layers[0]
        layer.call = lambda x, training=None: factor * type(layer).call(layer, x)

    return change


def attribute(place, name, value):
    return lambda model: setattr(model.layers[place], name, value)


def of_kernel(name, value):
    return lambda model: setattr(model.layers[0].kernel, name, value)


def decay(rate):
    return optimizers.schedules.ExponentialDecay(0.05, decay_steps=2, decay_rate=rate)


class Schedule(optimizers.schedules.LearningRateSchedule):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, step):
        return self.rate / (1.0 + ops.cast(step, "float32"))


class Drawn(layers.Layer):
    """Draws while it is traced."""

    def call(self, x):
        return x * np.random.default_rng().uniform(1, 1.0001) + np.random.uniform()


def lora(rank):
    return lambda model: (model.layers[0].enable_lora(rank), compiled(model))


def policy(name):
    @contextlib.contextmanager
    def during():
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(name)
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)

    return during


def epsilon(value):
    @contextlib.contextmanager
    def during():
        before = keras.config.epsilon()
        keras.config.set_epsilon(value)
        try:
            yield
        finally:
            keras.config.set_epsilon(before)

    return during


def alpha(value):
    return lambda: set_everywhere(value)


scaled = [
    lambda a: a,
    lambda a: types.SimpleNamespace(alpha=a),
    Pair,
    lambda a: Dict(alpha=a),
    lambda a: collections.defaultdict(lambda: a),
    Slots,
    lambda a: functools.partial(operator.mul, a),
    lambda a: a.__mul__,
    lambda a: lambda x: a * x,
]
attributes = (
    "momentum",
    "nesterov",
    "weight_decay",
    "clipvalue",
    "optimizer",
    "loss",
    "history",
    "_variables",
    "_x",
)

# name: variants, each a function that makes a model, or such a function and a context.
FAMILIES = {
    "units": [net, lambda: net(layers.Dense(4)), lambda: net(layers.Dense(6))],
    "activations": [dense(activation=a) for a in ("relu", "tanh", "gelu", "selu", tf.nn.relu6, ops.silu)],
    "activations of the user's": [
        dense(activation=lambda x: 2 * x),
        dense(activation=lambda x: 3 * x),
        dense(activation=functools.partial(keras.activations.leaky_relu, negative_slope=0.1)),
        dense(activation=functools.partial(keras.activations.leaky_relu, negative_slope=0.3)),
        dense(activation=Activation(2.0)),
        dense(activation=Activation(0.5)),
    ],
    "bias": [dense(), dense(use_bias=False)],
    "kernel regularizers": [
        *(dense(), dense(kernel_regularizer=L2(0.1)), dense(kernel_regularizer=L2(0.2))),
        *(dense(kernel_regularizer="l1"), dense(bias_regularizer=L2(0.1))),
        *(dense(kernel_regularizer=penalty(0.1)), dense(kernel_regularizer=penalty(0.2))),
        *(dense(kernel_regularizer=Penalty(0.1)), dense(kernel_regularizer=Penalty(0.2))),
    ],
    "regularizers set on the variable": [prepared(net, of_kernel("regularizer", L2(s))) for s in (0.1, 0.3)],
    "activity regularizers": [
        *(dense(activity_regularizer=L2(0.1)), dense(activity_regularizer=L2(0.3))),
        *(dense(activity_regularizer=penalty(0.1)), dense(activity_regularizer=penalty(0.2))),
        *(dense(activity_regularizer=Penalty(0.1)), dense(activity_regularizer=Penalty(0.2))),
    ],
    "constraints": [
        *(dense(kernel_constraint=keras.constraints.MaxNorm(m)) for m in (0.5, 0.9)),
        *(dense(kernel_constraint=clipped(m)) for m in (0.1, 0.2)),
        *(dense(kernel_constraint=Clipped(m)) for m in (0.1, 0.2)),
        dense(bias_constraint="non_neg"),
    ],
    "constraints set on the variable": [
        prepared(net, of_kernel("constraint", Clipped(s))) for s in (0.1, 0.2)
    ],
    "dropout": [with_layer(layers.Dropout, r, seed=s) for r, s in ((0.2, 1), (0.4, 1), (0.2, 2))],
    "noise": [with_layer(layers.GaussianNoise, r, seed=1) for r in (0.1, 0.2)],
    "batch normalisation": [
        with_layer(layers.BatchNormalization, **kwargs)
        for kwargs in ({}, {"momentum": 0.5}, {"epsilon": 0.1}, {"center": False}, {"scale": False})
    ]
    + [with_layer(layers.BatchNormalization, trainable=False)],
    "normalisation": [
        *(with_layer(layers.LayerNormalization, epsilon=e) for e in (1e-3, 1e-1)),
        with_layer(layers.UnitNormalization),
        with_layer(layers.RMSNormalization),
    ],
    "layers with numbers": [
        *(with_layer(layers.LeakyReLU, s) for s in (0.1, 0.3)),
        *(with_layer(layers.ELU, s) for s in (0.5, 1.0)),
        *(with_layer(layers.ReLU, max_value=v) for v in (0.5, None)),
        with_layer(layers.PReLU),
        *(with_layer(layers.Rescaling, s) for s in (0.5, 2.0)),
    ],
    "lambda layers": [
        *(with_layer(layers.Lambda, lambda x, by: by * x, arguments={"by": by}) for by in (1.0, 2.0)),
        with_layer(layers.Lambda, lambda x: 3 * x),
        with_layer(layers.Lambda, lambda x: x + 1),
        *(with_layer(layers.Lambda, functools.partial(operator.mul, by)) for by in (0.5, 0.25)),
    ],
    "functional": [
        *(functional(f) for f in (lambda h, x: h + x, lambda h, x: h * x, lambda h, x: x - h)),
        *(functional(f) for f in (lambda h, x: h + 2 * x, lambda h, x: h + 3 * x, lambda h, x: h[:, :3])),
        functional(lambda h, x: layers.Concatenate()([h, x])),
        functional(lambda h, x: ops.where(h > 0, h, x)),
    ],
    "shared layers": [shared_layer(True), shared_layer(False)],
    "nested models": [nested("relu"), nested("tanh")],
    "two outputs": [
        two_outputs(),
        two_outputs(weights=(0.3, 1.0)),
        two_outputs(names=("b", "a")),
        two_outputs(losses_of=["sparse_categorical_crossentropy", "mae"]),
    ],
    "two inputs": [two_inputs(layers.Add), two_inputs(layers.Multiply), two_inputs(layers.Subtract)],
    "recurrent": [
        *(recurrent(), recurrent(mask_zero=False), recurrent(go_backwards=True)),
        *(recurrent(activation="relu"), recurrent(layers.GRU)),
    ],
    "frozen": [net, prepared(net, frozen(0)), prepared(net, frozen(1))],
    "frozen after the optimizer was built": [
        prepared(net, change) for change in (frozen_late(), frozen_late(0), frozen_late(1))
    ],
    "order of the optimizer's variables": [
        *(prepared(net, optimizer_built(order)) for order in (list, lambda v: v[::-1])),
        prepared(with_optimizer(0.01, cls=optimizers.Adam), optimizer_built(lambda v: v[1:] + v[:1])),
    ],
    "LoRA": [prepared(net, lora(1)), prepared(net, lora(2))],
    "float64": [(net, policy("float32")), (net, policy("float64"))],
    "bfloat16": [(net, policy("float32")), (net, policy("mixed_bfloat16"))],
    "epsilon": [(lambda: net(loss=one_hot_loss), epsilon(e)) for e in (1e-7, 0.2)],
    "losses": [
        net,
        lambda: net(loss=losses.SparseCategoricalCrossentropy(ignore_class=2)),
        lambda: net(loss=lambda a, b: losses.sparse_categorical_crossentropy(a, b) ** 2),
        lambda: net(loss=lambda a, b: losses.sparse_categorical_crossentropy(a, b) ** 3),
        lambda: net(loss=Error(1)),
        lambda: net(loss=Error(2)),
        lambda: net(loss_weights=0.5),
    ],
    "metrics": [
        *(lambda s=s: net(metrics=[Share(s)]) for s in (1.0, 2.0)),
        lambda: net(metrics=["accuracy"]),
        lambda: net(metrics=["accuracy", "sparse_top_k_categorical_accuracy"]),
        lambda: net(weighted_metrics=["accuracy"]),
        *(lambda k=k: net(metrics=[keras.metrics.SparseTopKCategoricalAccuracy(k)]) for k in (1, 2)),
    ],
    "SGD": [
        *(with_optimizer(0.05), with_optimizer(0.05, momentum=0.5), with_optimizer(0.05, momentum=0.9)),
        *(with_optimizer(0.05, momentum=0.9, nesterov=True), with_optimizer(0.05, clipnorm=0.1)),
        *(with_optimizer(0.05, clipnorm=0.2), with_optimizer(0.05, clipvalue=0.01)),
        *(with_optimizer(0.05, clipvalue=0.02), with_optimizer(0.05, global_clipnorm=0.1)),
        *(with_optimizer(0.05, weight_decay=0.1), with_optimizer(0.05, weight_decay=0.2)),
        with_optimizer(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
        with_optimizer(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3),
        with_optimizer(0.05, gradient_accumulation_steps=2),
    ],
    "optimizers": [
        *(with_optimizer(0.01, cls=optimizers.Adam), with_optimizer(0.01, cls=optimizers.Adam, beta_1=0.5)),
        *(
            with_optimizer(0.01, cls=optimizers.Adam, epsilon=0.1),
            with_optimizer(0.01, cls=optimizers.RMSprop),
        ),
        *(with_optimizer(0.01, cls=optimizers.Adam, amsgrad=True), with_optimizer(0.01, cls=optimizers.Lion)),
        *(with_optimizer(0.01, cls=optimizers.AdamW), with_optimizer(0.01, cls=optimizers.Adafactor)),
    ],
    "weight decay of some": [
        prepared(
            with_optimizer(0.05, weight_decay=0.5),
            lambda model, name=name: model.optimizer.exclude_from_weight_decay(var_names=[name]),
        )
        for name in ("bias", "kernel")
    ],
    "schedules": [
        *(with_optimizer(decay(r)) for r in (0.5, 0.9)),
        *(with_optimizer(Schedule(r)) for r in (0.05, 0.1)),
    ],
    "optimizers of the user's": [
        with_optimizer(0.05, cls=OwnSGD, momentum=0.5),
        with_optimizer(0.05, cls=OwnSGD, momentum=0.95),
        with_optimizer(0.05, cls=OwnSGD, nesterov=True, momentum=0.95),
        *(with_optimizer(0.05, cls=Signed, history=h) for h in (1.0, -1.0)),
    ],
    "models of the user's": [
        *(momentum_model(m) for m in (0.9, 0.1)),
        *(
            prepared(momentum_model(m), lambda model: setattr(model, "momentum", model.momentum / 2))
            for m in (0.9, 0.1)
        ),
    ],
    "layers of the user's": [
        *(with_layer(Own, 4), with_layer(Own, 5), with_layer(Own, 4, reach=slice(0, 2))),
        *(with_layer(Array, np.full(5, v)) for v in (0.5, 1.5)),
    ],
    "values reached from a function": [
        (with_layer(layers.Lambda, f), alpha(a))
        for f in (from_config, from_globals, from_function_attribute)
        for a in (1.0, 2.0)
    ],
    "values reached from a decorator": [(with_layer(Decorated), alpha(a)) for a in (1.0, 2.0)],
    "methods replaced on the instance": [prepared(net, replaced_call(f)) for f in (1.0, 2.0)],
    "attributes set afterwards": [
        net,
        prepared(net, attribute(0, "activation", keras.activations.relu)),
        prepared(net, attribute(0, "activation", Activation(0.5))),
        prepared(net, attribute(0, "activity_regularizer", L2(0.5))),
    ],
    "numbers that a layer holds": [
        with_layer(Scaled, name, make(a))
        for make, name in zip(scaled, attributes, strict=True)
        for a in (0.5, 2.0)
    ],
}


def parts(variant):
    return variant if isinstance(variant, tuple) else (variant, contextlib.nullcontext)


def data_of(model):
    inputs = WORDS if model.inputs[0].dtype == "int32" else X
    x = [inputs] * len(model.inputs) if len(model.inputs) > 1 else inputs
    return x, [Y, T] if len(model.outputs) > 1 else Y


def trained(variant, engine="auto", **args):
    """Return the weights and the history of a variant's training, as one list."""
    make, during = parts(variant)
    with during():
        with seeded(0):
            model = make()
        # A few steps take less time than a trace. Keras 3.15 has another mean loss of two outputs there.
        model.run_eagerly = engine == "keras" and len(model.outputs) == 1
        x, y = data_of(model)
        args = {"batch_size": 20, "epochs": 2, "seed": 3, **args}
        history = engine_training.train(model, x, y, engine=engine, **args)
    assert engine != "auto" or history.engine == "compiled", history.reason
    return [*model.get_weights(), *map(np.array, history.history.values())]


def same_bits(a, b):
    return len(a) == len(b) and all(
        u.shape == v.shape and np.array_equal(u, v, equal_nan=True) for u, v in zip(a, b, strict=True)
    )


def check_trains_as_if_alone(train, variants, monkeypatch):
    """Train each variant without any other program, then beside those of all; return the results.

    Programs are found by their keys. A variant whose keys no other one has compiles its own in any
    company, so that the first of them stands for these.
    """
    alone, stores, everyone = [], [], _program._Store()
    everyone.limit = float("inf")
    for variant in variants:
        stores.append(_program._Store())
        monkeypatch.setattr(_program, "_store", stores[-1])
        alone.append(train(variant))
        everyone.functions.update(stores[-1].functions)
        everyone.of_alike.update(stores[-1].of_alike)
    times = collections.Counter(key for store in stores for key in (*store.functions, *store.of_alike))
    monkeypatch.setattr(_program, "_store", everyone)
    for number, (variant, expected, store) in enumerate(zip(variants, alone, stores, strict=True)):
        if number == 0 or any(times[key] > 1 for key in (*store.functions, *store.of_alike)):
            assert same_bits(train(variant), expected), f"variant {number}"
    return alone


@pytest.mark.parametrize("name", FAMILIES)
def test_each_variant_trains_as_if_it_were_alone(name, monkeypatch):
    variants = FAMILIES[name]
    assert len(variants) > 1
    alone = check_trains_as_if_alone(trained, variants, monkeypatch)
    assert not all(same_bits(result, alone[0]) for result in alone), "these variants do not differ"
    # bfloat16 has 8 bits of mantissa.
    tolerance = {"atol": 1e-2} if name == "bfloat16" else {"atol": 1e-5, "rtol": 1e-4}
    for ours, theirs in zip(alone[-1], trained(variants[-1], engine="keras"), strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


# Estimators of skdl's, whose models are told apart by their configurations.

IMAGES = rng.random((24, 8, 8, 1)).astype("float32")
CNN = {
    "filters": (4,),
    "hidden_layer_sizes": (5,),
    "optimizer": "SGD",
    "epochs": 2,
    "batch_size": 8,
    "random_state": 0,
}
TABULAR = {
    "hidden_layer_sizes": (4,),
    "n_folds": 2,
    "n_members": 2,
    "epochs": 2,
    "batch_size": 16,
    "random_state": 0,
}
OTHERS = {
    "cnn": [
        *({"activation": "tanh"}, {"dropout": 0.5}, {"pool_size": None}, {"padding": "valid"}),
        *({"kernel_size": 2}, {"filters": (5,)}, {"hidden_layer_sizes": ()}, {"metrics": None}),
        *({"optimizer": "RMSprop"}, {"optimizer__momentum": 0.9}, {"optimizer__clipnorm": 0.01}),
        *({"optimizer__weight_decay": 0.5}, {"optimizer__use_ema": True}, {"learning_rate": 0.1}),
        *({"loss": "kl_divergence"}, {"loss__from_logits": True}),
        # Keras's configurations of these lack the parameter.
        *({"loss": "huber", "loss__delta": delta} for delta in (0.01, 0.1)),
        *({"loss__dtype": "float64"}, {"loss__dtype": "bfloat16"}),
        *({"class_weight": {0: 9.0}}, {"random_state": 1}, {"batch_size": 24}, {"scoring": "accuracy"}),
        *({"optimizer": optimizers.SGD(0.1)}, {"callbacks": keras.callbacks.TerminateOnNaN()}),
    ],
    "tabular": [
        *({"hidden_layer_sizes": (5,)}, {"dropout": 0.5}, {"n_members": 3}, {"weight_decay": 0.5}),
        *({"learning_rate": 0.1}, {"random_state": 1}),
    ],
}


def fitted(kind, params):
    if kind == "cnn":
        estimator = CNNClassifier(**{**CNN, **params}).fit(IMAGES, Y[:24])
    else:
        estimator = TabularClassifier(**{**TABULAR, **params}, engine="compiled").fit(X, Y)
    assert estimator.engine_ == "compiled"
    proba = estimator.predict_proba(IMAGES if kind == "cnn" else X)
    return [*estimator.model_.get_weights(), proba, *map(np.array, estimator.history_.values())]


@pytest.mark.parametrize("kind", OTHERS)
def test_estimators_of_skdl_train_as_if_they_were_alone(kind, monkeypatch):
    check_trains_as_if_alone(functools.partial(fitted, kind), [{}, *OTHERS[kind]], monkeypatch)


@pytest.mark.parametrize("kind", OTHERS)
def test_an_estimator_of_skdl_is_traced_once(kind, monkeypatch):
    fitted(kind, {})
    monkeypatch.setattr("skdl._engine._program.Graph", None)  # a trace would fail
    fitted(kind, {"random_state": 7, "learning_rate": 0.5} if kind == "cnn" else {"random_state": 7})


def test_a_model_that_the_user_changed_is_traced():
    fitted("cnn", {})
    estimator = CNNClassifier(**CNN, warm_start=True).initialize(IMAGES, Y[:24])
    output = estimator.model_.layers[-1]
    output.call = lambda x, training=None: ops.ones((ops.shape(x)[0], 3)) / 3
    with pytest.raises(ValueError, match="No gradients"):
        estimator.fit(IMAGES, Y[:24])


def test_a_prediction_heeds_what_the_user_changed_after_the_training():
    fitted("cnn", {})
    estimator = CNNClassifier(**CNN).fit(IMAGES, Y[:24])
    estimator.model_.layers[-1].call = lambda x, training=None: ops.ones((ops.shape(x)[0], 3)) / 3
    np.testing.assert_allclose(estimator.predict_proba(IMAGES), 1 / 3, rtol=1e-6)


def softmax_of(temperature):
    def softmax(x):
        return ops.softmax(x / temperature)

    return softmax


@pytest.mark.parametrize("make", [softmax_of, lambda t: functools.partial(ops.multiply, t)])
def test_a_prediction_heeds_an_activation_of_the_users(make):
    for value in (1.0, 5.0):
        estimator = CNNClassifier(**CNN).fit(IMAGES, Y[:24])
        estimator.model_.layers[-1].activation = make(value)
        proba = estimator._predict_raw(IMAGES)
        logits = keras.Model(estimator.model_.inputs, estimator.model_.layers[-1].input)([IMAGES])
        expected = make(value)(logits @ estimator.model_.layers[-1].kernel + estimator.model_.layers[-1].bias)
        np.testing.assert_allclose(proba, expected, rtol=1e-4, atol=1e-6)


def test_functions_among_the_layers_of_a_subclass_are_traced():
    class Scaled(CNNClassifier):
        def _layers(self, row_shape, output):
            scale, layers = self.n_iter_no_change, super()._layers(row_shape, output)
            layers[0][1]["activation"] = lambda x: scale * ops.relu(x)
            return layers

    ours, theirs = (
        [Scaled(n_iter_no_change=scale, engine=engine, **CNN).fit(IMAGES, Y[:24]) for scale in (1, 50)][-1]
        for engine in ("compiled", "keras")
    )
    np.testing.assert_allclose(ours.history_["loss"], theirs.history_["loss"], rtol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(IMAGES), theirs.predict_proba(IMAGES), atol=1e-4)


def test_a_callback_that_changes_the_model_before_the_training_is_heeded():
    class Freeze(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.layers[0].trainable = False

    fitted("cnn", {})
    estimator = CNNClassifier(**CNN).fit(IMAGES, Y[:24], callbacks=[Freeze()])
    by_keras = CNNClassifier(**CNN, engine="keras").fit(IMAGES, Y[:24], callbacks=[Freeze()])
    for ours, theirs in zip(estimator.model_.get_weights(), by_keras.model_.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_models_without_weights_and_with_rows_of_other_shapes_share_no_program():
    for width in (1, 2):
        inputs = keras.Input((width,))
        identity = keras.Model(inputs, layers.Activation("linear")(inputs))
        assert _engine.forward(identity, X[:, :width]).shape == (N, width)
