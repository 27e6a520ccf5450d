"""The training engine, tested on Keras models: no estimator is involved."""

import contextlib
import gc
import os
import re
import threading
import warnings
import weakref

import engine_training
import numpy as np
import pytest
from tensorflow.python.eager import context as tf_context
from tensorflow.python.ops import gen_resource_variable_ops

from skdl import _arrays, _engine
from skdl._arrays import epoch_order
from skdl._backend import keras, seeded, tf
from skdl._engine import _forward, _program

N, D = 75, 6  # two full batches of 32, and a partial one
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)).astype("float32")
Y = (X[:, 0] + 0.5 * rng.normal(size=N) > 0).astype("int64")
T = (X[:, :1] - X[:, 1:2]).astype("float32")
W = rng.uniform(0.2, 2.0, size=N).astype("float32")


def mlp(
    optimizer="sgd",
    *,
    inner=(),
    units=8,
    learning_rate=0.05,
    cls=keras.Sequential,
    seed=0,
    metrics=("accuracy",),
    **compile_args,
):
    """A small classifier, built under a seed; by default with the optimizer that is compiled soonest."""
    with seeded(seed):
        layers = [keras.layers.Dense(units, activation="relu"), *(make() for make in inner)]
        model = cls([keras.Input((D,)), *layers, keras.layers.Dense(3, activation="softmax")])
        if isinstance(optimizer, str):
            optimizer = keras.optimizers.get(
                {"class_name": optimizer, "config": {"learning_rate": learning_rate}}
            )
        compile_args = {"loss": "sparse_categorical_crossentropy", **compile_args}
        model.compile(optimizer, metrics=list(metrics) or None, **compile_args)
    return model


def train(model, x=X, y=Y, sample_weight=None, *, engine="compiled", epochs=4, batch_size=32, seed=7, **args):
    return engine_training.train(
        model, x, y, sample_weight, engine=engine, epochs=epochs, batch_size=batch_size, seed=seed, **args
    )


def same_bits(a, b):
    return all(np.array_equal(u, v, equal_nan=True) for u, v in zip(a, b, strict=True))


def traced(f):
    before = _engine.compilations()["training"]
    result = f()
    return result, _engine.compilations()["training"] - before


class Halved(keras.Sequential):
    """With a train_step of its own, and logs of its own."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True)) / 2
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return {"loss": loss, "largest": keras.ops.max(gradients[0])}

    def test_step(self, data):
        x, y = data
        return {"loss": self.compute_loss(x, y, self(x, training=False))}


def two_outputs():
    with seeded(0):
        x = keras.Input((D,))
        h = keras.layers.Dense(8, activation="relu")(x)
        model = keras.Model(
            x, [keras.layers.Dense(3, activation="softmax", name="a")(h), keras.layers.Dense(1, name="b")(h)]
        )
        model.compile(
            "sgd",
            loss=["sparse_categorical_crossentropy", "mse"],
            loss_weights=[1.0, 0.3],
            metrics=[["accuracy"], ["mae"]],
        )
    return model


def regularised():
    l1l2 = keras.regularizers.L1L2(1e-2, 1e-2)
    return mlp(inner=[lambda: keras.layers.Dense(5, kernel_regularizer=l1l2, activity_regularizer="l2")])


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=3, decay_rate=0.8)


optimizers = keras.optimizers
CASES = {
    "dense": (lambda: mlp("adam"), {}),
    "weighted validation": (mlp, {"validation_data": (X[:50], Y[:50], W[:50])}),
    "momentum": (lambda: mlp(optimizers.SGD(0.05, momentum=0.9, nesterov=True)), {}),
    "adamw": (lambda: mlp(optimizers.AdamW(0.01, weight_decay=0.1)), {}),
    "rmsprop": (lambda: mlp("rmsprop"), {}),
    "clipnorm, schedule": (lambda: mlp(optimizers.SGD(decay(), clipnorm=0.1)), {}),
    "clipvalue, ema": (
        lambda: mlp(
            optimizers.SGD(0.5, clipvalue=0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2)
        ),
        {},
    ),
    "global_clipnorm, accumulation": (
        lambda: mlp(optimizers.SGD(0.5, global_clipnorm=0.1, gradient_accumulation_steps=2)),
        {},
    ),
    "batch normalisation": (
        lambda: mlp(inner=[keras.layers.BatchNormalization]),
        {"validation_data": (X[:40], Y[:40])},
    ),
    "penalties": (regularised, {}),
    "dropout": (lambda: mlp(inner=[lambda: keras.layers.Dropout(0.3, seed=3)]), {}),
    "sample weights, loss function": (
        lambda: mlp(
            loss=lambda a, b: keras.losses.sparse_categorical_crossentropy(a, b) ** 2,
            weighted_metrics=["accuracy"],
        ),
        {"sample_weight": W},
    ),
    "regression": (
        lambda: mlp(loss="mse", metrics=["mae", keras.metrics.R2Score()]),
        {"y": np.repeat(T, 3, 1)},
    ),
    "auc": (
        lambda: mlp(loss="categorical_crossentropy", metrics=[keras.metrics.AUC(name="auc")]),
        {"y": np.eye(3)[Y]},
    ),
    "two outputs": (two_outputs, {"y": [Y, T], "validation_data": (X[:40], [Y[:40], T[:40]])}),
    "own train_step": (lambda: mlp("sgd", cls=Halved, metrics=[]), {"validation_data": (X[:40], Y[:40])}),
    "one batch": (mlp, {"batch_size": 100}),
    "whole batches": (mlp, {"x": X[:64], "y": Y[:64]}),
    "single rows": (mlp, {"x": X[:9], "y": Y[:9], "batch_size": 1}),
    "validation_freq": (mlp, {"validation_data": (X[:40], Y[:40]), "validation_freq": 2}),
    "double precision": (mlp, {"x": X.astype("float64")}),
    # Random numbers, weights of rows, branches of the graph and weights that no gradient changes.
    "XLA": (
        lambda: mlp(
            optimizers.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2),
            inner=[keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.3, seed=3)],
        ),
        {"validation_data": (X[:32], Y[:32], W[:32])},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_weights_and_history_equal_those_of_keras(case):
    make, args = CASES[case]
    args = {"x": X, "y": Y, "epochs": 3, **args}
    ours, theirs = make(), make()
    ours.jit_compile = theirs.jit_compile = case == "XLA"
    # A few steps take less time than a trace. Keras 3.15 has another mean loss of two outputs there.
    theirs.run_eagerly = case not in ("XLA", "two outputs")
    history = train(ours, **args, shuffle=False)
    assert (history.engine, history.reason) == ("compiled", None)
    args = {"batch_size": 32, "validation_batch_size": args.get("batch_size", 32), **args}
    with seeded(7):
        expected = theirs.fit(**args, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4)
    assert list(history.history) == list(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, atol=1e-4, rtol=1e-4)
        assert all(type(value) is float for value in history.history[name])
    assert history.epoch == expected.epoch
    assert history.params == expected.params
    assert history.model is ours
    assert ours.history is history


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_both_paths_visit_the_rows_in_the_same_order(engine):
    model = mlp("sgd")
    history = train(model, engine=engine, initial_epoch=2, epochs=5)
    again = mlp("sgd")
    for epoch in range(2, 5):
        order = epoch_order(X, seed=7, epoch=epoch, shuffle=True)
        again.fit(X[order], Y[order], batch_size=32, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert history.engine == engine
    assert history.epoch == [2, 3, 4]


def test_same_bits_cold_and_warm():
    def run():
        model = mlp(inner=[lambda: keras.layers.Dropout(0.5)])
        history = train(model, validation_data=(X[:40], Y[:40]))
        return [*model.get_weights(), *map(np.array, history.history.values())]

    _engine.clear_caches()
    cold, n_cold = traced(run)
    warm, n_warm = traced(run)
    train(mlp(units=5), x=X[:50], y=Y[:50])
    train(mlp(learning_rate=0.5), x=X[:50], y=Y[:50])
    after_others = run()
    _engine.clear_caches()
    again, n_again = traced(run)
    assert (n_cold, n_warm, n_again) == (1, 0, 1)
    assert same_bits(cold, warm)
    assert same_bits(cold, after_others)
    assert same_bits(cold, again)


@pytest.mark.parametrize(
    "changed",
    [
        {"inner": [lambda: keras.layers.Dense(4)]},
        {"optimizer": "adam"},
        {"optimizer": optimizers.Adam(0.01, beta_1=0.8)},
        {"loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=2)},
        {"metrics": []},
        {"inner": [lambda: keras.layers.Dropout(0.1)]},
        {"inner": [lambda: keras.layers.Activation(lambda x: 2 * x)]},
        {"inner": [lambda: keras.layers.Activation(lambda x: 3 * x)]},
    ],
    ids=["depth", "optimizer", "beta", "loss", "metrics", "dropout", "double", "triple"],
)
def test_what_differs_is_compiled_anew(changed):
    train(mlp())
    model, twin = mlp(**changed), mlp(**changed)
    _, n = traced(lambda: train(model))
    assert n == 1
    if not isinstance(changed.get("optimizer"), optimizers.Optimizer):
        _, n = traced(lambda: train(twin))
        assert n == 0
        assert same_bits(model.get_weights(), twin.get_weights())


SCALE = 1.0


def scaled_loss(y_true, y_pred):
    return SCALE * keras.losses.sparse_categorical_crossentropy(y_true, y_pred)


def test_a_global_that_a_loss_reads_is_part_of_the_program(monkeypatch):
    first = train(mlp(loss=scaled_loss)).history["loss"][0]
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    second = train(mlp(loss=scaled_loss)).history["loss"][0]
    assert second > 2 * first


def test_what_a_model_holds_is_part_of_its_program():
    class Scaled(keras.Sequential):
        scale = 1.0

        def compute_loss(self, *args, **kwargs):
            return self.scale * super().compute_loss(*args, **kwargs)

    losses = []
    for scale in (1.0, 3.0):
        model = mlp("sgd", cls=Scaled)
        model.scale = scale
        losses.append(train(model).history["loss"][0])
    assert losses[1] > 2 * losses[0]


def test_opaque_models_are_compiled_for_themselves_alone():
    class Locked(keras.layers.Layer):
        def __init__(self, factor):
            super().__init__()
            self.held = {"lock": threading.Lock(), "factor": factor}

        def call(self, x):
            return self.held["factor"] * x

    _engine.clear_caches()
    models = [mlp("sgd", inner=[lambda f=f: Locked(f)]) for f in (1.0, 0.0)]
    _, n = traced(lambda: list(map(train, 2 * models)))
    assert n == 2
    assert not same_bits(models[0].get_weights(), models[1].get_weights())


def test_stateful_random_operations_are_not_shared():
    class Noise(keras.layers.Layer):
        def call(self, x, training=False):
            return x + tf.random.normal(tf.shape(x)) if training else x

    def run():
        model = mlp(inner=[Noise])
        train(model)
        return model.get_weights()

    first = run()
    assert same_bits(first, run())


def test_a_fitted_model_keeps_its_weights():
    first, second = mlp(), mlp(seed=1)
    train(first)
    before = [w.copy() for w in first.get_weights()]
    train(second)
    assert same_bits(before, first.get_weights())
    assert not same_bits(before, second.get_weights())


def test_two_threads_give_what_each_gives_alone():
    def run(seed, out):
        for i in range(2):
            model = mlp(units=10 + i, seed=seed)
            train(model, seed=seed)
            out.append(model.get_weights())

    alone = {seed: [] for seed in (1, 2)}
    for seed, out in alone.items():
        run(seed, out)
    _engine.clear_caches()
    together = {seed: [] for seed in (1, 2)}
    threads = [threading.Thread(target=run, args=item) for item in together.items()]
    _, n = traced(lambda: ([t.start() for t in threads], [t.join() for t in threads]))
    assert n == 2  # two widths
    for seed in alone:
        assert len(together[seed]) == 2
        assert all(same_bits(a, b) for a, b in zip(alone[seed], together[seed], strict=True))


def test_programs_are_kept_by_their_size(monkeypatch):
    _engine.clear_caches()
    train(mlp(units=2), epochs=1)
    ((_, size),) = _program._store.functions.values()
    monkeypatch.setattr(_program._store, "limit", _program._store.limit)
    _engine.set_cache_limit(int(3.5 * size))
    for units in range(3, 9):
        train(mlp(units=units), epochs=1)
    assert len(_program._store.functions) == 3
    _, n = traced(lambda: train(mlp(units=8), epochs=1))
    assert n == 0
    _, n = traced(lambda: train(mlp(units=3), epochs=1))
    assert n == 1


def test_many_architectures_in_turn_compile_once():
    _engine.clear_caches()
    for expected in (4, 0):
        assert traced(lambda: [train(mlp(units=units), epochs=1) for units in range(20, 24)])[1] == expected


@pytest.mark.parametrize("limit", [-1, 1.5, "1 GB", True])
def test_a_limit_that_is_no_number_of_bytes(limit):
    with pytest.raises(ValueError, match="limit must be a number of bytes"):
        _engine.set_cache_limit(limit)


@pytest.mark.parametrize(
    "array",
    [
        np.linspace(0, 1, 21).reshape(7, 3),
        np.linspace(0, 1, 21).reshape(7, 3)[::2, ::-1],
        np.arange(21, dtype=">f8").reshape(3, 7).T,
        np.arange(21, dtype=">i4"),
        np.arange(8, dtype=np.uint8),
        np.array([True, False]),
        np.array(["a", "bc"]),
    ],
    ids=lambda array: f"{array.dtype.str}{list(array.strides)}",
)
def test_large_arrays_become_the_same_tensors_as_small_ones(array, monkeypatch):
    small = _program.tensors({"x": array})["x"]
    monkeypatch.setattr(_program, "LARGE", 1)
    large = _program.tensors({"x": array})["x"]
    assert large.dtype == small.dtype
    np.testing.assert_array_equal(large.numpy(), small.numpy())
    expected = large.numpy().copy()
    np.copyto(array, array[::-1].copy())
    np.testing.assert_array_equal(large.numpy(), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i8", "u1", "U2"])
def test_rows_taken_are_those_of_numpy(dtype, monkeypatch):
    array = np.arange(60).reshape(10, 3, 2).astype(dtype)
    index = np.array([7, 2, 2, 9])
    monkeypatch.setattr(_arrays, "LARGE", 1)
    monkeypatch.setattr(_program, "LARGE", 1)
    rows = _arrays.rows_of(array, index)
    np.testing.assert_array_equal(rows, array[index])
    assert rows.dtype == array.dtype
    if dtype != "U2":
        np.testing.assert_array_equal(_program.tensors(rows).numpy(), array[index])


def test_rows_taken_become_a_tensor_without_a_copy(monkeypatch):
    monkeypatch.setattr(_arrays, "LARGE", 1)
    monkeypatch.setattr(_program, "LARGE", 1)
    given = np.arange(64, dtype="f4").reshape(32, 2)
    taken = _arrays.rows_of(given, np.arange(32))
    tensors = [_program.tensors(array) for array in (given, taken)]
    given[:], taken[:] = 0, 0
    assert tensors[0].numpy().any()
    assert not tensors[1].numpy().any()


def test_what_is_dropped_is_gone():
    def functions():
        gc.collect()
        return {name for name in tf_context.context().list_function_names() if "__wrapped__" not in name}

    _engine.clear_caches()
    before = functions()
    model = mlp()
    train(model, validation_data=(X, Y))
    _engine.forward(model, X)
    assert functions() > before
    _engine.clear_caches()
    assert functions() == before


def test_programs_of_a_model_go_with_it(monkeypatch):
    monkeypatch.setattr(_program._store, "limit", 0)
    _engine.clear_caches()
    train(mlp(units=2), validation_data=(X, Y))
    gc.collect()
    assert not _program._store.of_models
    assert len(_program._store.functions) == 1


def test_operations_remember_the_users_code_alone():
    class Looking(keras.Sequential):
        def call(self, inputs, training=None):
            x = super().call(inputs, training=training)
            files[:] = [frame.filename for frame in tf.add(x, 0.0).op.traceback]
            return x

    files = []
    train(mlp(cls=Looking))
    assert __file__ in files
    libraries = tuple(os.path.dirname(library.__file__) for library in (keras, tf))
    assert not [file for file in files if file.startswith(libraries)]


def test_nothing_global_changes():
    np.random.seed(5)
    tf.random.set_seed(5)
    expected = np.random.rand(), tf.random.uniform(()).numpy()
    np.random.seed(5)
    tf.random.set_seed(5)
    train(mlp())
    assert (np.random.rand(), tf.random.uniform(()).numpy()) == expected
    assert tf.config.optimizer.get_experimental_options().get("disable_meta_optimizer", False) is False


def test_variables_of_models_have_the_names_that_they_would_have_and_one_kernel(monkeypatch):
    def names():
        network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="last")], name="network")
        optimizer = keras.optimizers.Adam(name="adam")
        optimizer.build(network.trainable_variables)
        return [v.value.name for v in [*network.variables, *optimizer.variables]]

    def spy(*args, **kwargs):
        kernels.add(kwargs["debug_name"])
        return var_handle_op(*args, **kwargs)

    plain, kernels = names(), set()
    var_handle_op = gen_resource_variable_ops.var_handle_op
    monkeypatch.setattr(gen_resource_variable_ops, "var_handle_op", spy)
    with seeded(0):
        assert names() == plain
    assert len(kernels) == 1


@pytest.mark.parametrize("case", ["dense", "dropout", "weighted validation", "own train_step"])
def test_an_epoch_in_parts_is_the_same_epoch(case, monkeypatch):
    make, args = CASES[case]
    args = {"x": X, "y": Y, "epochs": 3, "batch_size": 8, **args}
    calls, call = [], _program.Program.__call__
    monkeypatch.setattr(_program.Program, "__call__", lambda *args: calls.append(args) or call(*args))

    def result(first_steps, seconds):
        monkeypatch.setattr(_program, "_FIRST_STEPS", first_steps)
        monkeypatch.setattr(_program, "_SECONDS", seconds)
        calls.clear()
        model = make()
        history = train(model, **args)
        return len(calls), repr(history.history), model.get_weights()

    n_whole, history, weights = result(1000, 3600)
    n_parts, history_in_parts, weights_in_parts = result(1, 0)
    assert n_parts > 2 * n_whole
    assert history_in_parts == history
    assert same_bits(weights_in_parts, weights)


def test_training_goes_on_where_it_stopped():
    whole, parts = mlp(), mlp()
    train(whole, epochs=6)
    train(parts, epochs=2)
    train(parts, epochs=6, initial_epoch=2)
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


# Early stopping


@pytest.mark.parametrize("restore", [False, True])
def test_early_stopping_is_that_of_keras(restore):
    noise = np.random.default_rng(3).integers(0, 3, N)
    results = []
    for engine in ("compiled", "keras"):
        stopper = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=restore)
        model = mlp(learning_rate=0.1)
        validation = X[:30], noise[::-1][:30]
        history = train(
            model, X, noise, validation_data=validation, epochs=12, callbacks=[stopper], engine=engine
        )
        state = [stopper.wait, stopper.best_epoch, stopper.stopped_epoch, history.epoch, model.stop_training]
        results.append((state, model.get_weights()))
    (ours, weights), (theirs, expected) = results
    assert ours == theirs
    for a, b in zip(weights, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_early_stopping_warns_of_what_is_not_there():
    with pytest.warns(UserWarning, match="val_loss"):
        train(mlp(), callbacks=[keras.callbacks.EarlyStopping()], epochs=1)


# Callbacks

of_keras = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@of_keras
def test_reduce_lr_on_plateau():
    results = {}
    for engine in ("compiled", "keras"):
        callback = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.2, factor=0.5)
        history = train(mlp(), callbacks=[callback], engine=engine, epochs=6)
        results[engine] = history.history
    assert list(results["compiled"]) == list(results["keras"])
    np.testing.assert_allclose(results["compiled"]["loss"], results["keras"]["loss"], atol=1e-4)
    np.testing.assert_allclose(results["compiled"]["learning_rate"], results["keras"]["learning_rate"])
    assert results["compiled"]["learning_rate"][-1] < 0.01


@of_keras
def test_learning_rate_scheduler_recompiles_nothing():
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, lr: 0.05 / (1 + epoch))
    train(mlp())
    model = mlp()
    history, n = traced(lambda: train(model, callbacks=[schedule]))
    expected = train(mlp(), callbacks=[schedule], engine="keras")
    assert n == 0
    np.testing.assert_allclose(history.history["learning_rate"], [0.05, 0.025, 0.05 / 3, 0.0125])
    np.testing.assert_allclose(history.history["loss"], expected.history["loss"], atol=1e-4)


@of_keras
def test_model_checkpoint(tmp_path):
    path = str(tmp_path / "{epoch}.weights.h5")
    model = mlp()
    train(model, callbacks=[keras.callbacks.ModelCheckpoint(path, save_weights_only=True)])
    saved = mlp(seed=2)
    train(saved, epochs=1)
    saved.load_weights(tmp_path / "4.weights.h5")
    assert same_bits(saved.get_weights(), model.get_weights())
    saved.load_weights(tmp_path / "1.weights.h5")
    assert not same_bits(saved.get_weights(), model.get_weights())


def test_csv_logger(tmp_path):
    history = train(mlp(), callbacks=[keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))])
    log = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    np.testing.assert_allclose(log["loss"], history.history["loss"], rtol=1e-6)


def test_tensorboard(tmp_path):
    callback = keras.callbacks.TensorBoard(str(tmp_path), histogram_freq=1)
    train(mlp(), validation_data=(X[:40], Y[:40]), callbacks=[callback])
    assert list(tmp_path.glob("train/events*"))
    assert list(tmp_path.glob("validation/events*"))
    reason = engine_training.why_not(
        mlp(),
        X,
        Y,
        batch_size=32,
        callbacks=[keras.callbacks.TensorBoard(str(tmp_path), update_freq="batch")],
    )
    assert "TensorBoard looks at every batch" in reason


def test_terminate_on_nan(capsys):
    weights = W.copy()
    weights[40] = np.nan
    for engine in ("compiled", "keras"):
        model = mlp("sgd")
        history = train(
            model,
            X,
            Y,
            weights,
            engine=engine,
            shuffle=False,
            callbacks=[keras.callbacks.TerminateOnNaN()],
            validation_data=(X, Y),
        )
        assert ": Invalid loss, terminating training\n" in capsys.readouterr().out
        assert history.epoch == [0]
        assert np.isnan(history.history["loss"]).all()
    with pytest.raises(RuntimeError, match="batch"):
        train(
            mlp("sgd"),
            X,
            Y,
            weights,
            shuffle=False,
            callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)],
        )


class Watcher(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.weights = self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        assert not same_bits(self.weights, self.model.get_weights())
        assert int(self.model.optimizer.iterations.numpy()) == 3 * (epoch + 1)
        assert set(logs) == {"accuracy", "loss"}
        if epoch == 1:
            self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])
            self.model.optimizer.learning_rate = 0.0
        if epoch == 2:
            assert not any(w.any() for w in self.model.get_weights())
            self.model.stop_training = True
        self.weights = [w + 1 for w in self.weights]

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_a_callback_sees_and_changes_the_live_model():
    class Gentle(Watcher):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                self.weights = [w + 1 for w in self.weights]
            super().on_epoch_end(epoch, logs)

    callback = Gentle()
    model = mlp()
    history = train(model, callbacks=[callback], epochs=10)
    assert callback.model is model
    assert history.epoch == [0, 1, 2]
    assert callback.seen == ["begin", "end"]


class Freeze(keras.callbacks.Callback):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.change(self.model)


def set_frozen(model):
    model.layers[0].trainable = False


def loss_exchanged(model):
    model.compile_loss = None
    model.loss = "mse"


@pytest.mark.parametrize("change", [set_frozen, loss_exchanged])
def test_what_a_callback_exchanges_has_no_effect_without_compiling_as_under_keras(change):
    results = []
    for engine in ("compiled", "keras"):
        model = mlp("sgd", learning_rate=0.1)
        train(model, epochs=3, callbacks=[Freeze(change)], engine=engine)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_layer_unfrozen_between_two_fits_has_no_effect_without_compiling_as_under_keras():
    results = []
    for engine in ("compiled", "keras"):
        model = mlp("sgd", learning_rate=0.1)
        model.layers[0].trainable = False
        model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        first = model.layers[0].kernel.numpy()
        train(model, epochs=1, engine=engine)
        model.layers[0].trainable = True
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A layer's `trainable` state has changed")
            train(model, epochs=2, initial_epoch=1, engine=engine)
        np.testing.assert_array_equal(model.layers[0].kernel.numpy(), first)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_model_that_a_callback_compiles_is_traced_anew():
    def compiled_with_one_layer_frozen(model):
        set_frozen(model)
        model.compile("sgd", "sparse_categorical_crossentropy")
        frozen.append(model.layers[0].kernel.numpy())

    frozen, model = [], mlp("sgd", learning_rate=0.1)
    train(model, epochs=3, callbacks=[Freeze(compiled_with_one_layer_frozen)])
    np.testing.assert_array_equal(model.layers[0].kernel.numpy(), frozen[0])


def test_what_cannot_be_traced_from_some_epoch_on_is_raised_and_trains_no_second_time():
    def exchange(model):
        seen.append(model.get_weights())
        model.train_step = lambda data: {"loss": float(data[0][0, 0])}
        model.compile("sgd", "sparse_categorical_crossentropy")

    seen, begun = [], []
    model = mlp("sgd")
    callbacks = [Freeze(exchange), keras.callbacks.LambdaCallback(on_train_begin=begun.append)]
    with pytest.raises(TypeError):
        train(model, epochs=3, callbacks=callbacks, engine="auto")
    assert len(begun) == len(seen) == 1
    assert same_bits(seen[0], model.get_weights())


def test_verbose_prints_epochs(capsys):
    train(mlp(), verbose=2, epochs=2)
    out = capsys.readouterr().out
    assert "Epoch 1/2" in out
    assert "accuracy: " in out


# What is not compiled


class BatchHook(keras.callbacks.Callback):
    def on_batch_begin(self, batch, logs=None):
        pass


class OwnFit(keras.Sequential):
    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


def sparse(x):
    import scipy.sparse

    return scipy.sparse.csr_array(x)


@pytest.mark.parametrize(
    ("make", "args", "reason"),
    [
        (lambda: mlp(run_eagerly=True), {}, "runs eagerly"),
        (lambda: mlp(steps_per_execution=2), {}, "steps_per_execution is 2"),
        (lambda: mlp(cls=OwnFit), {}, "OwnFit has a fit of its own"),
        (mlp, {"callbacks": [BatchHook()]}, r"BatchHook looks at every batch \(on_batch_begin\)"),
        (
            mlp,
            {"callbacks": [keras.callbacks.LambdaCallback(on_train_batch_end=print)]},
            "on_train_batch_end",
        ),
        (mlp, {"callbacks": [keras.callbacks.ModelCheckpoint("x.keras", save_freq=3)]}, "ModelCheckpoint"),
        (mlp, {"x": X.astype(complex)}, "data of type complex128"),
        (mlp, {"x": X.tolist()}, "not an array"),
        (mlp, {"y": Y[:-1]}, "numbers of rows differ"),
        (mlp, {"x": X[:0], "y": Y[:0]}, "no rows"),
        (mlp, {"steps_per_epoch": 3}, "steps_per_epoch=3"),
        (mlp, {"batch_size": -2}, "batch_size is -2"),
    ],
)
def test_why_not(make, args, reason):
    args = {"x": X, "y": Y, "batch_size": 32, **args}
    model = make()
    assert re.search(reason, engine_training.why_not(model, **args))
    with pytest.raises(ValueError, match=r"engine='compiled' can't run this training"):
        train(model, **args)


def test_reasons_are_kept():
    history = train(mlp(run_eagerly=True), engine="auto", epochs=1)
    assert (history.engine, history.reason) == ("keras", "the model runs eagerly")
    history = train(mlp(), engine="keras", epochs=1)
    assert (history.engine, history.reason) == ("keras", "engine='keras' was asked for")


def test_a_metric_with_a_value_for_each_class_is_recorded_as_by_keras():
    results = []
    for engine in ("compiled", "keras"):
        model = mlp(loss="categorical_crossentropy", metrics=[keras.metrics.F1Score()])
        history = train(model, y=np.eye(3, dtype="float32")[Y], engine=engine, epochs=2)
        results.append(np.array(history.history["f1_score"]))
    assert results[0].shape == (2, 3)
    np.testing.assert_allclose(*results, atol=1e-5)


def test_callbacks_act_around_the_validation_as_under_keras():
    class Around(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            seen.append("begin")

        def on_test_end(self, logs=None):
            seen.append(sorted(logs))

    for engine in ("compiled", "keras"):
        seen = []
        train(mlp(), validation_data=(X, Y), epochs=1, callbacks=[Around()], engine=engine)
        assert seen == ["begin", ["accuracy", "loss"]]


class Untraceable(keras.Sequential):
    def train_step(self, data):
        if float(data[0][0, 0]) > 0:
            pass
        return super().train_step(data)


class Misspelt(keras.Sequential):
    def train_step(self, data):
        return {"loss": self.compute_loss(*data, self(data[0]), weights=None)}


class Absent(keras.Sequential):
    def train_step(self, data):
        return self.absent


@pytest.mark.parametrize(
    ("cls", "error", "match"),
    [
        (Untraceable, TypeError, "float"),
        (Misspelt, TypeError, "weights"),
        (Absent, AttributeError, "absent"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "compiled", "keras"])
def test_an_error_of_the_model_is_told_as_it_is(cls, error, match, engine):
    model = mlp(metrics=())
    model.__class__ = cls
    with pytest.raises(error, match=match):
        train(model, engine=engine)


def test_a_fit_of_the_instance_is_seen():
    model = mlp()
    model.fit = lambda *args, **kwargs: None
    assert engine_training.why_not(model, X, Y, batch_size=32) == "Sequential has a fit of its own"


def test_failure_in_a_training_is_raised():
    with pytest.raises(tf.errors.InvalidArgumentError, match="label"):
        train(mlp(), y=Y + 5)
    assert train(mlp()).engine == "compiled"


# The forward pass


def test_forward_is_predict():
    model, big = mlp(), rng.normal(size=(3001, D)).astype("float32")
    np.testing.assert_allclose(_engine.forward(model, big), model.predict(big, verbose=0), atol=1e-6)
    assert _engine.forward(model, big).dtype == np.float32
    np.testing.assert_allclose(_engine.forward(model, sparse(big)), _engine.forward(model, big), atol=1e-6)
    a, b = _engine.forward(two_outputs(), big[:50], batch_size=8)
    assert a.shape == (50, 3)
    assert b.shape == (50, 1)


def test_forward_compiles_once_for_all_sizes_and_models():
    _engine.clear_caches()
    before = _engine.compilations()["forward"]
    for n in (1, 2, 31, 32, 33, 75, 1, 64):
        model = mlp(seed=n, inner=[lambda: keras.layers.Dropout(0.5)])
        assert _engine.forward(model, X[:n]).shape == (min(n, N), 3)
    assert _engine.compilations()["forward"] == before + 1


def test_a_prediction_that_failed_once_is_compiled_the_next_time(monkeypatch):
    model, expected = mlp(), _engine.forward(mlp(), X)

    def no_memory(*args):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    with monkeypatch.context() as short:
        short.setattr(_forward.Program, "__init__", no_memory)
        np.testing.assert_allclose(_engine.forward(model, X), expected, rtol=1e-5)
    calls, step = [], type(model).predict_step
    monkeypatch.setattr(type(model), "predict_step", lambda *args: calls.append(args) or step(*args))
    for _ in range(3):
        _engine.forward(model, X)
    assert len(calls) == 1  # traced


def test_a_row_is_predicted_alike_in_any_company():
    model = mlp(units=64, inner=[keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.5)])
    together = _engine.forward(model, X)
    alone = np.concatenate([_engine.forward(model, X[i : i + 1]) for i in range(N)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(together, _engine.forward(model, X))


def test_forward_keeps_a_predict_step():
    class Doubled(keras.Sequential):
        def predict_step(self, data):
            return 2 * super().predict_step(data)

    model = mlp(cls=Doubled)
    np.testing.assert_allclose(_engine.forward(model, X).sum(1), 2, atol=1e-5)


def test_forward_of_an_eager_model():
    class Counting(keras.Sequential):
        def predict_step(self, data):
            return super().predict_step(data).numpy()

    model = mlp(cls=Counting)
    assert _engine.forward(model, X, batch_size=20).shape == (N, 3)


@pytest.mark.parametrize("fails", [False, True])
def test_training_by_keras_lets_its_data_go(fails):
    def fail(epoch, logs):
        raise RuntimeError("mine")

    x, y, x_val = X.copy(), Y.copy(), X[:20].copy()
    held = [weakref.ref(array) for array in (x, y, x_val)]
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=fail)] if fails else []
    with contextlib.suppress(RuntimeError):
        train(mlp(), x, y, validation_data=(x_val, Y[:20]), engine="keras", callbacks=callbacks)
    del x, y, x_val
    gc.collect()
    assert not [ref for ref in held if ref() is not None]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_graphs_of_trainings_and_predictions_are_freed(engine):
    graphs = []

    class Looking(keras.layers.Layer):
        def call(self, inputs):
            if not tf.executing_eagerly():
                graphs.append(weakref.ref(tf.compat.v1.get_default_graph()))
            return keras.ops.silu(inputs)

    model = mlp(inner=[Looking])
    train(model, engine=engine)
    _engine.forward(model, X)
    del model
    _engine.clear_caches()
    gc.collect()
    assert len(graphs) > 2
    assert not [ref for ref in graphs if ref() is not None]


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_gradients_of_the_users_serve_further_models(engine):
    @tf.function
    @tf.custom_gradient
    def doubled_gradient(x):
        return x, lambda upstream: 2 * upstream

    class Doubling(keras.layers.Layer):
        def build(self, shape):
            self.shift = self.add_weight(shape=(), initializer="zeros")

        def call(self, inputs):
            return doubled_gradient(inputs + self.shift)

    models = [mlp(inner=[Doubling]) for _ in range(2)]
    for model in models:
        train(model, engine=engine)
    assert same_bits(*(model.get_weights() for model in models))


def test_a_model_that_predicted_is_freed():
    model = mlp()
    train(model)
    _engine.forward(model, X)
    held = weakref.ref(model)
    del model
    gc.collect()
    assert held() is None
