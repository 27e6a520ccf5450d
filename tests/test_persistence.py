"""Models and estimators copied, pickled and saved: all that they hold comes along."""

import collections
import copy
import functools
import pickle
import random
import threading

import cloudpickle
import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from skdl import DNNClassifier, DNNRegressor, KerasClassifier, KerasRegressor
from skdl._backend import keras, tf
from skdl._persistence import Packed, copied

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = X.sum(axis=1)


class Linear(layers.Layer):
    """As Keras's guide writes a layer: variables in ``build``, no ``get_config``."""

    def __init__(self, units=3):
        super().__init__()
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, inputs):
        return inputs @ self.w + self.b


class Other(layers.Layer):
    """A second layer with a ``build`` of its own."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", trainable=False)

    def call(self, inputs):
        return inputs * self.scale


class Tabled(layers.Layer):
    """Takes an array, and has no ``get_config``."""

    def __init__(self, table):
        super().__init__()
        self.table = np.asarray(table)

    def call(self, inputs):
        return inputs * self.table


class Forgetful(Linear):
    """Its ``get_config`` leaves out what it was made with."""

    def get_config(self):
        return {"name": self.name}


class Mlp(layers.Layer):
    """Other layers in lists, dicts and named attributes, one of them twice."""

    def __init__(self):
        super().__init__()
        self.blocks = [Linear(4), Linear(4)]
        self.named = {"head": layers.Dense(2), "again": self.blocks[0]}
        self.noise = layers.GaussianNoise(0.1)

    def call(self, inputs, training=False):
        for block in self.blocks:
            inputs = keras.ops.relu(block(inputs))
        return self.named["head"](self.noise(self.named["again"](inputs), training=training))


class Scaled:
    """A callable object as an activation."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return x * self.factor


def scaled(x, factor):
    return x * factor


class WithConfig(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="tanh")
        self.out = layers.Dense(1)

    def call(self, inputs):
        return self.out(self.hidden(inputs))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class WithoutConfig(keras.Model):
    def __init__(self, matrix):
        super().__init__()
        self.matrix = keras.ops.convert_to_tensor(matrix)
        self.hidden, self.dropout, self.out = Mlp(), layers.Dropout(0.3), layers.Dense(1)

    def call(self, inputs, training=False):
        return self.out(self.dropout(self.hidden(inputs @ self.matrix), training=training))


class Rows(keras.Model):
    """A functional model of a class of the user's own."""

    def train_step(self, data):
        return super().train_step(data)


class OwnLoss(keras.losses.Loss):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** self.power, axis=-1)


class OwnMetric(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="own")
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.sum(keras.ops.abs(y_pred)))

    def result(self):
        return self.total


class OwnSchedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start / (1.0 + keras.ops.cast(step, "float32"))


class OwnOptimizer(keras.optimizers.SGD):
    def __init__(self, rate):
        super().__init__(rate, momentum=0.9)


def around(*hidden):
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(1)])


def functional():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, activation="relu")
    hidden = shared(inputs)
    hidden = hidden + shared(layers.Dropout(0.5, seed=3)(hidden))
    return inputs, layers.Dense(1)(layers.BatchNormalization()(hidden))


def capturing():
    """A function that uses a variable of its surroundings."""
    variable = keras.Variable(2.0, trainable=False, name="captured")
    return layers.Lambda(lambda x: x * variable, output_shape=(4,))


def frozen():
    model = around(layers.Dense(3), Linear())
    model.layers[0].trainable = False
    return model


def subclassed(model):
    model(X)
    return model


def adapted():
    normalization = layers.Normalization()
    normalization.adapt(X)
    return around(normalization, layers.Dense(2))


def locked():
    layer = Linear()
    layer.lock = threading.Lock()
    return around(layer)


def deep():
    inputs = hidden = keras.Input((4,))
    for _ in range(300):
        hidden = layers.Activation("tanh")(hidden)
    return keras.Model(inputs, layers.Dense(1)(hidden))


MODELS = {
    "own build": lambda: around(Linear(), Other(), Linear(2)),
    "an array, no get_config": lambda: around(Tabled([1.0, 2.0, 3.0, 4.0])),
    "incomplete get_config": lambda: around(Forgetful(5)),
    "layers within layers": lambda: around(Mlp()),
    "partial": lambda: around(layers.Dense(3, activation=functools.partial(scaled, factor=3.0))),
    "callable object": lambda: around(layers.Dense(3, activation=Scaled(2.0))),
    "lambda of a partial": lambda: around(layers.Lambda(functools.partial(scaled, factor=3.0))),
    "lambda": lambda: around(layers.Lambda(lambda x: -3 * x)),
    "captured variable": lambda: around(capturing()),
    "shared layer and an operation": lambda: keras.Model(*functional()),
    "functional of an own class": lambda: Rows(*functional()),
    "nested": lambda: around(keras.Sequential([layers.Dense(4), around(Linear())]), layers.Dense(2)),
    "subclassed with get_config": lambda: subclassed(WithConfig()),
    "subclassed without": lambda: subclassed(WithoutConfig(np.eye(4, dtype="float32"))),
    "frozen": frozen,
    "dropout and noise": lambda: around(layers.Dropout(0.4), layers.GaussianNoise(0.3)),
    "recurrent": lambda: around(layers.Reshape((2, 2)), layers.LSTM(3, recurrent_dropout=0.2)),
    "statistics": adapted,
    "a lock": locked,
    "300 layers": deep,
}
COMPILED = {
    "names": lambda: {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]},
    "functions": lambda: {"loss": lambda a, b: keras.ops.abs(a - b), "metrics": [scaled_error]},
    "own objects": lambda: {"optimizer": OwnOptimizer(0.1), "loss": OwnLoss(2.0), "metrics": [OwnMetric()]},
    "own schedule": lambda: {"optimizer": keras.optimizers.Adam(OwnSchedule(0.1)), "loss": "mse"},
    "average, accumulation": lambda: {
        "optimizer": keras.optimizers.Adam(use_ema=True, gradient_accumulation_steps=2),
        "loss": "mse",
    },
    "loss scaling": lambda: {
        "optimizer": keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()),
        "loss": "mse",
    },
}


def scaled_error(y_true, y_pred):
    return 2 * keras.ops.abs(y_true - y_pred)


def pickled(model):
    return pickle.loads(cloudpickle.dumps(model))


def every_variable(model):
    return [*model.variables, *(model.optimizer.variables if model.compiled else [])]


def trained(model, **compiled):
    model.compile(**{"optimizer": "adam", "loss": "mse", "run_eagerly": True, **compiled})
    model.fit(X, Y, batch_size=40, verbose=0)
    return model


def assert_goes_on_alike(model, again):
    """Values, predictions and what further training makes of them are equal, to the bit."""
    assert [v.path for v in every_variable(again)] == [v.path for v in every_variable(model)]
    for one, other in zip(every_variable(model), every_variable(again), strict=True):
        assert one is not other
        assert one.trainable == other.trainable
        assert_array_equal(one, other)
    assert_array_equal(again(X), model(X))
    before = [np.array(v) for v in every_variable(model)]
    fit = {"batch_size": 40, "shuffle": False, "verbose": 0}
    history = again.fit(X, Y, **fit).history
    for variable, value in zip(every_variable(model), before, strict=True):
        assert_array_equal(variable, value)
    assert model.fit(X, Y, **fit).history == history
    for one, other in zip(every_variable(model), every_variable(again), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_of_a_model_goes_on_alike_and_apart(name):
    model = trained(MODELS[name]())
    again = copied(model)
    assert type(again) is type(model)
    assert [layer.trainable for layer in again._flatten_layers()] == [
        layer.trainable for layer in model._flatten_layers()
    ]
    assert_goes_on_alike(model, again)


@pytest.mark.parametrize("name", COMPILED)
def test_a_copy_is_compiled_alike(name):
    model = trained(around(Linear()), **COMPILED[name]())
    assert_goes_on_alike(model, copied(model))


def test_a_copy_with_an_optimizer_inside_of_another_hashes_alike_and_goes_into_checkpoints(tmp_path):
    model = trained(around(layers.Dense(2)), **COMPILED["loss scaling"]())
    again = copied(model)
    assert joblib.hash(Packed(again)) == joblib.hash(Packed(model))
    names = [
        {name for name, _ in tf.train.list_variables(tf.train.Checkpoint(each).save(tmp_path / folder))}
        for folder, each in (("one", model), ("other", again))
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("trained_before", [False, True])
def test_a_copy_of_a_model_decays_the_same_variables(trained_before):
    model = around(layers.Dense(3))
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.9)
    optimizer.exclude_from_weight_decay(var_list=[model.layers[0].kernel], var_names=["_2/bias"])
    model.compile(optimizer, "mse")
    if trained_before:
        model.fit(X, Y, verbose=0)
    again = copied(model)
    for each in (model, again):
        each.fit(X, Y, verbose=0, shuffle=False)
    for one, other in zip(model.weights, again.weights, strict=True):
        assert_array_equal(one, other)


def test_a_parameter_of_an_optimizer_leaves_what_it_does_not_decay():
    optimizer = keras.optimizers.AdamW(0.5, weight_decay=0.9)
    optimizer.exclude_from_weight_decay(var_names=["kernel", "bias"])
    params = {"epochs": 2, "random_state": 0, "engine": "compiled"}
    reg = DNNRegressor((3,), optimizer=optimizer, optimizer__learning_rate=0.1, **params)
    plain = DNNRegressor((3,), optimizer="adam", learning_rate=0.1, **params)
    assert_array_equal(reg.fit(X, Y).predict(X), plain.fit(X, Y).predict(X))


def test_what_an_optimizer_does_not_decay_counts_in_every_engine():
    def predicted(engine, left_out=None):
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.9)
        if left_out is not None:
            optimizer.exclude_from_weight_decay(var_names=left_out)
        reg = DNNRegressor((3,), optimizer=optimizer, epochs=2, random_state=0, engine=engine)
        return reg.fit(X, Y).predict(X)

    assert_allclose(predicted("auto", ["bias"]), predicted("keras", ["bias"]), rtol=1e-5)
    assert np.abs(predicted("auto", ["bias"]) - predicted("auto")).max() > 1e-3


def test_tables_are_copied():
    words = np.array([["a"], ["b"], ["c"], ["d"]])
    lookup = layers.StringLookup()
    lookup.adapt(words)
    vectorizer = layers.TextVectorization(output_sequence_length=2)
    vectorizer.adapt(words)
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, [layers.Embedding(5, 2)(lookup(inputs)), vectorizer(inputs)])
    again = copied(model)
    lookup.adapt(np.array([["z"], ["y"], ["x"], ["w"]]))
    for one, other in zip(copied(model)(tf.constant(words)), again(tf.constant(words)), strict=True):
        assert one.shape == other.shape
    assert again.layers[1].get_vocabulary() == ["[UNK]", "d", "c", "b", "a"]
    assert_array_equal(again(tf.constant(words))[1], model(tf.constant(words))[1])


class OfTensorFlow(layers.Layer):
    """TensorFlow's own objects as attributes."""

    def __init__(self):
        super().__init__()
        self.generator = tf.random.Generator.from_seed(1)
        self.offset = tf.Variable([1.0, 2.0, 3.0, 4.0], trainable=False)
        self.double = tf.function(lambda x: 2 * x)
        pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2])
        self.table = tf.lookup.StaticHashTable(pairs, 0)

    def call(self, inputs):
        return self.double(inputs) + self.offset


@pytest.mark.parametrize("through", [copied, lambda model: pickle.loads(pickle.dumps(Packed(model))).thing])
def test_tensorflows_objects_are_copied(through):
    model = around(OfTensorFlow())
    layer, again = model.layers[0], through(model).layers[0]
    assert_array_equal(again(X), layer(X))
    assert_array_equal(again.table.lookup(tf.constant(["b", "c"])), [2, 0])
    assert_array_equal(again.generator.normal([3]), layer.generator.normal([3]))
    again.offset.assign([0.0] * 4)
    assert_array_equal(layer.offset, [1.0, 2.0, 3.0, 4.0])


def test_an_estimator_mapped_from_a_file_trains_on_and_leaves_the_file(tmp_path):
    path = tmp_path / "net.joblib"
    net = DNNClassifier((64, 64), random_state=0).fit(X, Y > 0)
    joblib.dump(net, path)
    before = path.read_bytes()
    again = joblib.load(path, mmap_mode="r").partial_fit(X, Y > 0)
    assert_array_equal(again.predict_proba(X), net.partial_fit(X, Y > 0).predict_proba(X))
    assert path.read_bytes() == before


def test_a_model_that_is_not_built_is_copied():
    again = copied(WithoutConfig(np.eye(4, dtype="float32")))
    assert not again.built
    assert again(X).shape == (40, 1)


def test_a_copy_can_be_copied_saved_and_cloned_by_keras(tmp_path):
    model = trained(keras.Model(*functional()))
    again = copied(copied(model))
    again.save(tmp_path / "model.keras")
    assert_array_equal(keras.saving.load_model(tmp_path / "model.keras")(X), model(X))
    assert keras.models.clone_model(again).count_params() == model.count_params()


def test_a_copy_has_its_own_calls_by_whatever_key_keras_gives_them(monkeypatch):
    for module in ("ops.function", "models.functional"):
        monkeypatch.setattr(
            f"keras.src.{module}.make_node_key", lambda operation, i: f"{i} of {id(operation)}"
        )
    model = keras.Model(*functional())
    assert copied(model).get_config() == model.get_config()


def test_copying_draws_no_random_numbers_and_changes_no_names():
    model = trained(MODELS["layers within layers"]())
    name = layers.Dense(1).name
    before = random.getstate(), np.random.get_state()[1].tolist()
    copied(model)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert int(layers.Dense(1).name.rpartition("_")[2]) == int(name.rpartition("_")[2]) + 1


def test_what_cannot_be_copied_is_named():
    class Reading(layers.Layer):
        def __init__(self):
            super().__init__(name="reader")
            self.rows = (i for i in range(3))

        def call(self, inputs):
            return inputs

    model = around(Reading())
    with pytest.raises(TypeError, match=r"Reading\(reader\) can't be .* 'rows' .*__getstate__"):
        copied(model)


def test_a_layer_says_itself_what_is_copied():
    class Counting(layers.Layer):
        def __init__(self):
            super().__init__()
            self.source = (i for i in range(3))

        def __getstate__(self):
            return {name: value for name, value in vars(self).items() if name != "source"}

        def __setstate__(self, state):
            vars(self).update(state, source=(i for i in range(3)))

        def call(self, inputs):
            return inputs

    again = copied(around(Counting()))
    assert next(again.layers[0].source) == 0


def test_objects_that_layers_share_stay_shared_in_a_copy():
    common = {"factor": np.ones(1)}
    one, other = Linear(), Linear()
    one.common = [common]
    other.held = Scaled(one.common[0]["factor"])
    again = copied(around(one, other))
    assert again.layers[1].held.factor is again.layers[0].common[0]["factor"]
    assert again.layers[1].held.factor is not common["factor"]


def test_parameters_are_copied_together():
    layer = layers.Dense(3)
    layer.build((None, 4))
    params = copied({"layer": layer, "list": [layer], "rate": 0.1, "function": scaled})
    assert params["list"][0] is params["layer"]
    assert params["layer"] is not layer
    assert_array_equal(params["layer"].kernel, layer.kernel)
    assert params["function"] is scaled
    assert layers.Dense(3)(X).shape == params["layer"](X).shape


# Estimators.


def build_own(meta):
    return around(Linear(4), layers.Dropout(0.3), Other(), Mlp())


def regressor(model=build_own, **kwargs):
    return KerasRegressor(model, **{"loss": "mse", "optimizer": "adam", "random_state": 0, **kwargs})


WAYS = {
    "pickle": lambda each: pickle.loads(pickle.dumps(each)),
    "cloudpickle": lambda each: pickle.loads(cloudpickle.dumps(each)),
    "deepcopy": copy.deepcopy,
}


ESTIMATORS = {
    "own layers": regressor,
    "own loss": lambda: regressor(loss=OwnLoss(2.0), metrics=[OwnMetric()]),
    "own optimizer": lambda: regressor(optimizer=OwnOptimizer(OwnSchedule(0.1))),
    "model instance": lambda: regressor(MODELS["subclassed without"]()),
    "subclassed": lambda: regressor(subclassed(WithConfig())),
    "ready-made": lambda: DNNClassifier((3,), dropout=0.5, random_state=0),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_training_goes_on_as_without_the_detour_and_clones_train_alike(name):
    y = Y > 0 if name == "ready-made" else Y
    fitted = ESTIMATORS[name]().fit(X, y)
    before = fitted.predict(X)
    assert_array_equal(clone(fitted).fit(X, y).predict(X), before)
    copies = {way: through(fitted) for way, through in WAYS.items()}
    ahead = fitted.partial_fit(X, y)
    for way, again in copies.items():
        assert_array_equal(again.predict(X), before, err_msg=way)
        assert_array_equal(again.partial_fit(X, y).predict(X), ahead.predict(X), err_msg=way)
        assert again.history_ == ahead.history_, way


def test_partial_fit_after_loading_equals_going_on():
    straight, saved = (regressor().fit(X, Y) for _ in range(2))
    for _ in range(2):
        saved = WAYS["pickle"](saved).partial_fit(X, Y)
        straight.partial_fit(X, Y)
    assert_array_equal(saved.predict(X), straight.predict(X))


def test_a_clone_has_parameters_of_its_own():
    layer = Linear()
    reg = regressor(lambda layer: around(layer), model__layer=layer, metrics=[OwnMetric()])
    again = clone(reg)
    assert again.model__layer is not layer
    assert type(again.model__layer) is Linear
    assert again.metrics[0] is not reg.metrics[0]


@pytest.mark.parametrize("model", [build_own, MODELS["own build"]()], ids=["builder", "instance"])
def test_estimators_with_own_layers_go_to_worker_processes(model):
    one, two = (cross_val_score(regressor(model), X, Y, cv=2, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert_array_equal(one, two)


def test_a_search_over_a_model_with_own_layers_pickles():
    search = GridSearchCV(regressor(MODELS["own build"]()), {"epochs": [1, 2]}, cv=2).fit(X, Y)
    assert_array_equal(WAYS["pickle"](search).predict(X), search.predict(X))


def test_build_fn_given_as_a_model_is_not_trained_in_place():
    model = MODELS["own build"]()
    before = model.get_weights()
    with pytest.warns(FutureWarning, match="build_fn is called model now"):
        KerasRegressor(build_fn=model, loss="mse").fit(X, Y)
    for one, other in zip(model.get_weights(), before, strict=True):
        assert_array_equal(one, other)


def _same_model(model):
    return lambda: model


def _same_layer(layer):
    return lambda: around(layer, layers.Dense(2))


def _built(layer):
    layer.build((None, 4))
    return layer


@pytest.mark.parametrize(
    "build",
    [lambda: _same_model(MODELS["own build"]()), lambda: _same_layer(_built(layers.Dense(3)))],
    ids=["model", "layer"],
)
def test_a_builder_that_returns_what_was_there_before_gives_each_fit_a_copy(build):
    build = build()
    given = next(layer for layer in build().layers)
    before = given.get_weights()
    one, two = (regressor(build).fit(X, Y) for _ in range(2))
    assert_array_equal(one.model_.layers[0].get_weights()[0], two.model_.layers[0].get_weights()[0])
    assert_array_equal(given.get_weights()[0], before[0])
    assert not np.array_equal(one.model_.layers[0].get_weights()[0], before[0])


def test_a_builder_that_returns_a_trained_model_again_is_an_error():
    model = keras.Sequential([layers.Dense(1)])
    reg = regressor(_same_model(model)).fit(X, Y)
    with pytest.raises(ValueError, match=r"returned the model .* before"):
        reg.fit(X, Y)


def test_a_layer_among_the_parameters_is_copied_for_each_fit():
    layer = _built(layers.Dense(3))
    before = layer.get_weights()
    reg = regressor(lambda layer: around(layer), model__layer=layer)
    one, two = (reg.fit(X, Y).model_ for _ in range(2))
    assert_array_equal(one.get_weights()[0], two.get_weights()[0])
    assert_array_equal(layer.get_weights()[0], before[0])


def build_dense():
    return around(layers.Dense(3))


@pytest.mark.parametrize("kind", ["CSVLogger", "TensorBoard"])
def test_open_files_are_left_out(kind, tmp_path):
    path = str(tmp_path / "log")
    callback = getattr(keras.callbacks, kind)(path)
    reg = regressor(build_dense, callbacks=[callback]).fit(X, Y)
    search = GridSearchCV(reg, {"epochs": [1]}, cv=2).fit(X, Y)
    for each in (reg, search):
        for way in WAYS.values():
            assert_array_equal(way(each).predict(X), each.predict(X))
    assert_array_equal(clone(reg).fit(X, Y).predict(X), reg.predict(X))


def test_a_callback_and_the_estimator_have_one_model():
    class Watching(keras.callbacks.Callback):
        pass

    reg = regressor(callbacks=[Watching]).fit(X, Y)
    reg.callbacks_[0].set_model(reg.model_)
    reg.model = reg.callbacks = None
    again = copy.deepcopy(reg)
    assert again.callbacks_[0].model is again.model_


def test_classification_works_from_a_pickle_too():
    def build(meta):
        return keras.Sequential([keras.Input((4,)), Linear(), layers.Dense(1, activation="sigmoid")])

    clf = KerasClassifier(build, loss="binary_crossentropy", random_state=0).fit(X, Y > 0)
    assert_array_equal(WAYS["cloudpickle"](clf).predict_proba(X), clf.predict_proba(X))


class HoldsItsEstimator(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.seen = epoch


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "copy"])
def test_a_callback_that_holds_its_estimator_has_the_copy_after_copying(way):
    callback = HoldsItsEstimator()
    reg = regressor(callbacks=[callback])
    callback.estimator = reg
    callback.others = {"clones": [clone(reg)]}
    reg.fit(X, Y)
    other = {
        "pickle": lambda: pickle.loads(pickle.dumps(reg)),
        "deepcopy": lambda: copy.deepcopy(reg),
        "copy": lambda: copy.copy(reg),
    }[way]()
    assert_array_equal(other.predict(X), reg.predict(X))
    if way == "copy":
        assert other.callbacks[0] is callback
    else:
        assert other.callbacks[0].estimator is other
        assert other.callbacks[0].others["clones"][0].callbacks[0].estimator is not reg
    assert other.callbacks[0].seen == 0


def test_a_clone_of_an_estimator_whose_callback_holds_it_trains():
    callback = HoldsItsEstimator()
    reg = regressor(callbacks=callback)
    callback.estimator = reg
    other = clone(reg).fit(X, Y)
    assert other.callbacks is not callback
    assert other.callbacks.seen == 0
    assert not hasattr(callback, "seen")


class FromInputs(keras.Model):
    """A class that Keras gives another base when it is first called with inputs and outputs."""


def test_a_functional_model_of_an_own_class_is_unpickled_in_a_process_that_made_none():
    model = FromInputs(*functional())
    pickled = pickle.dumps(Packed(model))
    FromInputs.__bases__ = (keras.Model,)
    assert_array_equal(pickle.loads(pickled).thing(X), model(X))


class Slotted:
    __slots__ = ("layer",)


@pytest.mark.parametrize("kind", ["slots", "deque", "partial"])
def test_a_layer_is_found_wherever_a_parameter_keeps_it(kind):
    layer = _built(layers.Dense(3))
    slotted = Slotted()
    slotted.layer = layer
    value = {
        "slots": slotted,
        "deque": collections.deque([layer]),
        "partial": functools.partial(print, [layer]),
    }[kind]
    again = clone(regressor(lambda held: None, model__held=value)).model__held
    found = {"slots": lambda v: v.layer, "deque": lambda v: v[0], "partial": lambda v: v.args[0][0]}[kind](
        again
    )
    assert found is not layer
    assert_array_equal(found.kernel, layer.kernel)
