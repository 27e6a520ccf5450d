"""`skdl.save` and `skdl.load`: estimators in files that run no code."""

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict, defaultdict
from functools import partial

import joblib
import numpy as np
import pytest
import skops.io
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from imblearn.under_sampling import RandomUnderSampler
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ProgressBar
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import skdl
from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, KerasRegressor, make_pipeline
from skdl._backend import keras
from skdl._persistence import _files

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = (X[:, 0] > 0.3).astype(int)
NAMES = np.array(["no", "yes"])[Y]
IMAGES = RNG.uniform(size=(20, 8, 8, 1))


class Times(layers.Layer):
    """A layer whose configuration is complete."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.w * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


class Forgetful(Times):
    """Its configuration leaves out what it was made with."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(factor, **kwargs)

    def get_config(self):
        return layers.Layer.get_config(self)


class Unwritable(layers.Layer):
    """Takes an array, and has no configuration."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def call(self, inputs):
        return inputs * self.table


class Net(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.drop, self.out = layers.Dense(units), layers.Dropout(0.3), layers.Dense(1)

    def call(self, inputs, training=False):
        return self.out(self.drop(self.hidden(inputs), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def absolute(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def huber(y_true, y_pred):
    return absolute(y_true, y_pred)


def times_two(meta):
    return keras.Sequential([keras.Input((4,)), Times(2.0), layers.Dropout(0.3), layers.Dense(1)])


def forgetful(meta):
    return keras.Sequential([keras.Input((4,)), Forgetful(3.0), layers.Dense(1)])


def unwritable(meta):
    return keras.Sequential([keras.Input((4,)), Unwritable(np.ones(4)), layers.Dense(1)])


def with_lambda(meta):
    return keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: 2 * x), layers.Dense(1)])


def own_net(meta):
    return Net(3)


def regressor(model, **kwargs):
    return KerasRegressor(model, **{"loss": "mse", "optimizer": "adam", "random_state": 0, **kwargs})


def decaying(**left_out):
    """An optimizer that decays the weights fast, but for those left out."""
    optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.9)
    optimizer.exclude_from_weight_decay(**left_out)
    return optimizer


def with_undecayed_kernel(meta):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.compile(decaying(var_list=[model.layers[0].kernel]), "mse")
    return model


def with_undecayed_bias(meta):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
    optimizers = keras.optimizers.OptimizerMap(
        decaying(var_names=["bias"]), {".*kernel": keras.optimizers.Adam()}
    )
    model.compile(keras.optimizers.MultiOptimizer(optimizers), "mse")
    return model


class Hasty(keras.optimizers.SGD):
    """An optimizer whose configuration leaves out what it was made with."""

    def __init__(self, haste=1.0, **kwargs):
        super().__init__(**kwargs)
        self.haste = haste


class Scaled(keras.losses.Loss):
    """A loss whose configuration leaves out what it was made with."""

    def __init__(self, factors=(1.0,), **kwargs):
        super().__init__(**kwargs)
        self.factors = factors

    def call(self, y_true, y_pred):
        return self.factors[0] * keras.ops.square(y_true - y_pred)


OWN = [Times, Net, absolute, times_two, own_net, with_undecayed_kernel, with_undecayed_bias]
SETTINGS = {"epochs": 2, "random_state": 0}


def make(name):
    """Make an estimator, and give rows and target for it."""
    net = DNNClassifier((3,), dropout=0.3, **SETTINGS)
    made = {
        "classifier": (net, X, NAMES),
        "multiclass": (net, X, np.digitize(X[:, 0], [-0.5, 0.5])),
        "multilabel": (net, X, (X > 0).astype(int)),
        "random state": (DNNClassifier((3,), epochs=1, random_state=np.random.RandomState(0)), X, Y),
        "regressor": (DNNRegressor((3,), early_stopping=True, **SETTINGS), X, X[:, :2]),
        "images": (CNNClassifier(**SETTINGS), IMAGES, np.arange(20) % 2),
        "callbacks": (
            DNNRegressor((3,), callbacks=keras.callbacks.EarlyStopping("loss", patience=2), **SETTINGS),
            X,
            Y,
        ),
        "instances": (
            DNNRegressor((3,), optimizer=keras.optimizers.SGD(0.1, momentum=0.5), epochs=2, random_state=0),
            X,
            Y,
        ),
        "model instance": (
            KerasClassifier(
                keras.Sequential([keras.Input((4,)), layers.Dense(2, activation="softmax")]),
                loss="sparse_categorical_crossentropy",
                random_state=0,
            ),
            X,
            Y,
        ),
        "own layer": (regressor(times_two), X, Y),
        "own model": (regressor(own_net), X, Y),
        "own loss": (regressor(times_two, loss=absolute), X, Y),
        "undecayed by name": (
            regressor(times_two, optimizer=decaying(var_names=["bias", "w$"]), epochs=2),
            X,
            Y,
        ),
        "undecayed in an optimizer": (
            DNNRegressor(
                (3,),
                optimizer=keras.optimizers.LossScaleOptimizer(decaying(var_names=["bias"])),
                **SETTINGS,
            ),
            X,
            Y,
        ),
        "undecayed kernel": (KerasRegressor(with_undecayed_kernel, random_state=0), X, Y),
        "several optimizers": (KerasRegressor(with_undecayed_bias, random_state=0), X, Y),
        "pipeline": (make_pipeline(StandardScaler(), SMOTE(random_state=0), net), X, Y),
        "imblearn's pipeline": (make_imblearn_pipeline(RandomUnderSampler(random_state=0), net), X, Y),
        "search": (
            GridSearchCV(make_pipeline(SMOTE(random_state=0), net), {"dnnclassifier__epochs": [1, 2]}, cv=2),
            X,
            Y,
        ),
        "calibrated": (CalibratedClassifierCV(net, cv=2), X, Y),
    }
    return made[name]


FITTED = [
    *(
        "classifier",
        "multiclass",
        "multilabel",
        "random state",
        "regressor",
        "images",
        "callbacks",
        "instances",
    ),
    *("model instance", "own layer", "own model", "own loss", "pipeline", "imblearn's pipeline", "search"),
    "calibrated",
]


@pytest.fixture(scope="module")
def fitted():
    done = {}

    def get(name):
        if name not in done:
            estimator, rows, target = make(name)
            done[name] = estimator.fit(rows, target), rows, target
        return done[name]

    return get


@pytest.fixture(scope="module")
def file(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "clf.skdl"
    skdl.save(fitted("classifier")[0], path)
    return path


@pytest.mark.parametrize("name", FITTED)
def test_a_loaded_estimator_is_as_it_was(fitted, name, tmp_path):
    estimator, rows, _ = fitted(name)
    skdl.save(estimator, tmp_path / "estimator.skdl")
    again = skdl.load(tmp_path / "estimator.skdl", trusted=OWN)
    assert type(again) is type(estimator)
    assert again.get_params(deep=False).keys() == estimator.get_params(deep=False).keys()
    assert_array_equal(again.predict(rows), estimator.predict(rows))
    if hasattr(estimator, "predict_proba"):
        assert_array_equal(again.predict_proba(rows), estimator.predict_proba(rows))
    if hasattr(estimator, "history_"):
        assert again.history_ == estimator.history_


UNDECAYED = ["undecayed by name", "undecayed in an optimizer", "undecayed kernel", "several optimizers"]


@pytest.mark.parametrize("name", ["classifier", "regressor", "own layer", "own model", *UNDECAYED])
def test_training_goes_on_as_without_the_file(name, tmp_path):
    estimator, rows, target = make(name)
    estimator.set_params(**({"early_stopping": False} if name == "regressor" else {}))
    skdl.save(estimator, tmp_path / "unfitted.skdl")
    skdl.save(estimator.fit(rows, target), tmp_path / "estimator.skdl")
    unfitted = skdl.load(tmp_path / "unfitted.skdl", trusted=OWN).fit(rows, target)
    assert_array_equal(unfitted.predict(rows), estimator.predict(rows))
    again = skdl.load(tmp_path / "estimator.skdl", trusted=OWN)
    assert_array_equal(
        again.partial_fit(rows, target).predict(rows), estimator.partial_fit(rows, target).predict(rows)
    )
    assert_array_equal(again.fit(rows, target).predict(rows), unfitted.predict(rows))


def test_an_unfitted_estimator_is_saved(tmp_path):
    skdl.save(make_pipeline(StandardScaler(), DNNClassifier((3,), **SETTINGS)), tmp_path / "net.skdl")
    again = skdl.load(tmp_path / "net.skdl").fit(X, Y)
    once = make_pipeline(StandardScaler(), DNNClassifier((3,), **SETTINGS)).fit(X, Y)
    assert_array_equal(again.predict_proba(X), once.predict_proba(X))


def test_a_process_that_imports_only_skdl_loads_a_file(fitted, tmp_path):
    paths = {}
    for name in ("classifier", "pipeline", "search", "images"):
        estimator, rows, _ = fitted(name)
        paths[name] = str(tmp_path / f"{name}.skdl"), rows
        skdl.save(estimator, paths[name][0])
    joblib.dump(paths, tmp_path / "paths")
    script = (
        "import sys, skdl\n"
        "first = skdl.load(sys.argv[1])\n"
        "import joblib\n"
        "paths = joblib.load(sys.argv[2])\n"
        "done = {name: skdl.load(path).predict_proba(X) for name, (path, X) in paths.items()}\n"
        "joblib.dump(done, sys.argv[3])"
    )
    arguments = [paths["classifier"][0], str(tmp_path / "paths"), str(tmp_path / "results")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    for name, probabilities in joblib.load(tmp_path / "results").items():
        assert_allclose(probabilities, fitted(name)[0].predict_proba(fitted(name)[1]), rtol=1e-5)


# What is not trusted, or can't be saved.


def test_own_classes_and_functions_must_be_trusted(fitted, tmp_path):
    path = tmp_path / "own.skdl"
    skdl.save(fitted("own loss")[0], path)
    here = __name__
    with pytest.raises(ValueError, match=rf"not trusted: \['{here}.Times', '{here}.absolute'.*trusted="):
        skdl.load(path)
    with pytest.raises(ValueError, match=r"not trusted: \['.*Times'\]"):
        skdl.load(path, trusted=[absolute, times_two])
    skdl.load(path, trusted=[f"{here}.Times", absolute, f"{here}.times_two"])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (forgetful, "comes back from its configuration as another.*get_config"),
        (unwritable, "configuration.*get_config"),
        (with_lambda, "A lambda can't be saved without code"),
    ],
)
def test_a_model_that_its_configuration_does_not_restore_is_not_saved(build, message, tmp_path):
    reg = regressor(build).initialize(X, Y)
    with pytest.raises((TypeError, ValueError), match=message):
        skdl.save(reg, tmp_path / "reg.skdl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"optimizer": Hasty(2.0)}, "Hasty comes back .* its attribute 'haste' is 2.0, and 1.0 when it is"),
        ({"loss": Scaled((2.0,))}, r"Scaled .* its attribute 'factors' is \(2.0,\), and \(1.0,\) when"),
    ],
)
def test_what_its_configuration_does_not_restore_is_not_saved(params, message, tmp_path):
    reg = regressor(times_two, **params)
    with pytest.raises(ValueError, match=message):
        skdl.save(reg, tmp_path / "reg.skdl")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(**{"loss": "mse", **params})
    with pytest.raises(ValueError, match=message):
        skdl.save(KerasRegressor(model, random_state=0).fit(X, Y), tmp_path / "reg.skdl")


def test_variables_of_another_model_that_are_not_decayed_are_not_saved(tmp_path):
    other = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    reg = DNNRegressor((3,), optimizer=decaying(var_list=[other.layers[0].bias]))
    with pytest.raises(TypeError, match=r"belong to another model.*var_names=\[...\]"):
        skdl.save(reg, tmp_path / "reg.skdl")
    with pytest.raises(TypeError, match=r"belong to another model.*var_names=\[...\]"):
        reg.fit(X, Y)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantized_network_is_saved_without_the_state_of_its_optimizer(mode, tmp_path):
    net = DNNClassifier((8,), epochs=1, random_state=0).fit(X, Y)
    exact = net.predict_proba(X)
    net.model_.quantize(mode)
    with pytest.warns(UserWarning, match="was quantized.* state of its optimizer is not saved"):
        skdl.save(net, tmp_path / "net.skdl")
    again = skdl.load(tmp_path / "net.skdl")
    assert_array_equal(again.predict_proba(X), net.predict_proba(X))
    assert np.abs(again.predict_proba(X) - exact).max() > 0
    assert again.model_.layers[0].kernel.dtype == "int8"
    assert again.partial_fit(X, Y).n_iter_ == 2


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize` method")
def test_a_quantized_network_that_does_not_come_back_is_not_saved(tmp_path):
    net = DNNClassifier((8,), epochs=1, random_state=0).fit(X, Y)
    net.model_.quantize("float8")
    with (
        pytest.warns(UserWarning, match="was quantized"),
        pytest.raises(ValueError, match=r"comes back from its configuration as another.*pickle"),
    ):
        skdl.save(net, tmp_path / "net.skdl")


def test_a_network_whose_layers_were_frozen_later_is_saved(tmp_path):
    net = regressor(times_two, epochs=2).fit(X, Y)
    net.model_.layers[0].trainable = False
    with pytest.warns(UserWarning, match="frozen or thawed"):
        skdl.save(net, tmp_path / "net.skdl")
    again = skdl.load(tmp_path / "net.skdl", trusted=OWN)
    assert_array_equal(again.predict(X), net.predict(X))
    assert not again.model_.layers[0].trainable


def test_a_class_of_a_function_is_not_saved(tmp_path):
    class Local(Times):
        pass

    reg = regressor(keras.Sequential([keras.Input((4,)), Local(2.0), layers.Dense(1)])).fit(X, Y)
    with pytest.raises(TypeError, match=r"Local.* can't be saved: it is defined in a function"):
        skdl.save(reg, tmp_path / "reg.skdl")


def test_a_builder_without_a_name_is_not_saved(tmp_path):
    def local(meta):
        return times_two(meta)

    with pytest.raises(TypeError, match=r"local.* is defined in a function.*module"):
        skdl.save(make_pipeline(StandardScaler(), regressor(local)), tmp_path / "reg.skdl")


def test_callbacks_are_saved_without_what_they_make_anew(tmp_path):
    path = str(tmp_path / "log.csv")
    callbacks = [keras.callbacks.ReduceLROnPlateau("loss"), keras.callbacks.CSVLogger(path)]
    net = DNNRegressor((3,), callbacks=callbacks, epochs=2, random_state=0).fit(X, Y)
    skdl.save(net, tmp_path / "net.skdl")
    again = skdl.load(tmp_path / "net.skdl")
    assert again.callbacks_[0].model is again.model_ or again.callbacks_[0].model is None
    assert_array_equal(again.partial_fit(X, Y).predict(X), net.partial_fit(X, Y).predict(X))


class Keeping(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.values, self.epochs = defaultdict(list), defaultdict(list)
        self.counts, self.order = Counter(), OrderedDict(a=1)

    def on_epoch_end(self, epoch, logs=None):
        self.values["loss"].append(logs["loss"])
        self.epochs[epoch].append(logs["loss"])
        self.counts["epochs"] += 1


def test_dicts_of_a_callback_keep_their_classes(tmp_path):
    net = DNNRegressor((3,), callbacks=Keeping(), epochs=2, random_state=0).fit(X, Y)
    skdl.save(net, tmp_path / "net.skdl")
    (again,) = skdl.load(tmp_path / "net.skdl", trusted=[Keeping, Counter]).callbacks_
    for name in ("values", "epochs", "counts", "order"):
        assert getattr(again, name) == getattr(net.callbacks_[0], name)
    assert again.values["unknown"] == []
    assert again.counts["unknown"] == 0
    assert type(again.order) is OrderedDict


def test_a_progress_bar_and_a_schedule_need_no_trust(tmp_path):
    X, y = load_iris(return_X_y=True)
    schedule = keras.optimizers.schedules.CosineDecay(0.01, decay_steps=5)
    clf = DNNClassifier((4,), epochs=1, learning_rate=schedule, random_state=0)
    clf.set_callbacks(ProgressBar()).fit(X, y)
    skdl.save(clf, tmp_path / "clf.skdl")
    loaded = skdl.load(tmp_path / "clf.skdl")
    assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert_array_equal(loaded.fit(X, y).predict_proba(X), clf.predict_proba(X))
    assert loaded.learning_rate.get_config() == schedule.get_config()


def test_namesakes_are_not_saved(tmp_path):
    other = type("Times", (Times,), {})
    model = keras.Sequential([keras.Input((4,)), Times(2.0), other(3.0), layers.Dense(1)])
    with pytest.raises(ValueError, match="Two parts of this model have the name 'Times'"):
        skdl.save(regressor(model).fit(X, Y), tmp_path / "reg.skdl")


def test_a_function_of_one_of_kerass_names_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="Two parts of this model have the name 'huber'"):
        skdl.save(regressor(times_two, loss=huber).fit(X, Y), tmp_path / "reg.skdl")


def test_trusted_is_a_list(file):
    with pytest.raises(TypeError, match="must be a list"):
        skdl.load(file, trusted="sklearn")


# Damage and malice.


def _outcome(path):
    try:
        return skdl.load(path)
    except ValueError:
        return None


def test_a_damaged_file_is_an_error(file, tmp_path):
    data, path = file.read_bytes(), tmp_path / "damaged.skdl"
    places = np.linspace(0, len(data) - 1, 200).astype(int)
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="damaged"):
            skdl.load(path)
        path.write_bytes(data[:place])
        with pytest.raises(ValueError, match="damaged"):
            skdl.load(path)


def test_a_file_of_an_earlier_layout_is_an_error(file, tmp_path):
    path = tmp_path / "early.skdl"
    path.write_bytes(file.read_bytes().replace(b"skdl 2\n", b"skdl 1\n", 1))
    with pytest.raises(ValueError, match=r"early\.skdl is not a file of skdl\.save in this version"):
        skdl.load(path)


def _with_checksum(body, path):
    path.write_bytes(_files._MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    return path


def _body(file):
    return file.read_bytes()[len(_files._MAGIC) + 65 :]


class Dangerous:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_in_the_place_of_the_estimator_is_not_executed(file, tmp_path):
    header = _body(file).partition(b"\n")[0]
    payload = pickle.dumps(Dangerous(tmp_path / "made"))
    path = _with_checksum(header + b"\n" + payload, tmp_path / "crafted.skdl")
    with pytest.raises(ValueError, match="no estimator"):
        skdl.load(path)
    assert not (tmp_path / "made").exists()


def _rewritten(file, change, path):
    """Write a file with another content, whose checksum is right."""
    header, _, payload = _body(file).partition(b"\n")
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            archive.writestr(name, change(name, old.read(name)))
    return _with_checksum(header + b"\n" + new.getvalue(), path)


def test_pickles_among_the_arrays_are_not_executed(file, tmp_path):
    bad = io.BytesIO()
    np.save(bad, np.array([Dangerous(tmp_path / "made")], dtype=object), allow_pickle=True)
    path = _rewritten(
        file, lambda name, data: bad.getvalue() if name.endswith("npy") else data, tmp_path / "crafted.skdl"
    )
    with pytest.raises(ValueError, match="allow_pickle"):
        skdl.load(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["system", "mkdir"])
def test_functions_of_others_are_not_trusted(file, name, tmp_path):
    def change(entry, data):
        if entry != "schema.json":
            return data
        schema = json.loads(data)
        node = {"__class__": name, "__module__": "os", "__loader__": "FunctionNode", "__id__": 1}
        schema["content"]["content"]["epochs"] = node
        return json.dumps(schema)

    with pytest.raises(ValueError, match=f"not trusted: .*os.{name}"):
        skdl.load(_rewritten(file, change, tmp_path / "crafted.skdl"))


def _with_layer(layer, data):
    """Put a layer into the configuration of a model in Keras's format."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                config["config"]["layers"].insert(1, layer)
                content = json.dumps(config)
            archive.writestr(name, content)
    return new.getvalue()


@pytest.mark.parametrize(
    "layer",
    [
        keras.saving.serialize_keras_object(layers.Lambda(lambda x: __import__("os").mkdir("made") or x)),
        {"module": "os", "class_name": "system", "config": {}, "registered_name": "system"},
        {"module": "keras.utils", "class_name": "get_file", "config": {}, "registered_name": None},
    ],
    ids=["lambda", "another module", "a function of Keras"],
)
def test_code_in_a_models_configuration_is_not_executed(fitted, layer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    skdl.save(fitted("images")[0], tmp_path / "net.skdl")
    path = _rewritten(
        tmp_path / "net.skdl",
        lambda name, data: _with_layer(layer, data) if name.endswith("bin") else data,
        tmp_path / "crafted",
    )
    with pytest.raises((TypeError, ValueError)):
        skdl.load(path)
    assert {each.name for each in tmp_path.iterdir()} == {"net.skdl", "crafted"}


# The file itself.


def test_other_versions_are_warned_of(file, tmp_path):
    header, _, payload = _body(file).partition(b"\n")
    versions = json.loads(header)["versions"]
    header = json.dumps({"versions": {**versions, "keras": "2.0"}}).encode()
    path = _with_checksum(header + b"\n" + payload, tmp_path / "old.skdl")
    with pytest.warns(UserWarning, match=r"other versions: keras 2\.0 \(here 3"):
        skdl.load(path)


def test_saving_replaces_a_file_as_a_whole_or_not_at_all(fitted, file, tmp_path, monkeypatch):
    path = tmp_path / "clf.skdl"
    path.write_bytes(file.read_bytes())

    def full(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        skdl.save(fitted("regressor")[0], path)
    assert path.read_bytes() == file.read_bytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_permissions_of_other_new_files(file, tmp_path):
    (tmp_path / "other").touch()
    assert file.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["classifier", "images", "own model", "pipeline"])
def test_a_file_is_as_large_as_the_weights_and_the_optimizers_state(fitted, name, tmp_path):
    estimator, _, _ = fitted(name)
    skdl.save(estimator, tmp_path / "estimator.skdl")
    model = (estimator[-1] if name == "pipeline" else estimator).model_
    n_bytes = sum(v.numpy().nbytes for v in [*model.variables, *model.optimizer.variables])
    assert (tmp_path / "estimator.skdl").stat().st_size <= 1.05 * n_bytes + 40 * 1024


def test_samplers_are_saved_without_the_rows_that_they_keep(fitted, tmp_path):
    pipeline, _, _ = fitted("pipeline")
    skdl.save(pipeline, tmp_path / "pipeline.skdl")
    assert hasattr(pipeline[1], "nn_k_")
    assert not hasattr(skdl.load(tmp_path / "pipeline.skdl")[1], "nn_k_")


@pytest.mark.parametrize("ensemble", [VotingClassifier, partial(StackingClassifier, cv=2)])
def test_an_ensemble_has_its_estimators_by_name_and_once(ensemble, tmp_path):
    net = make_pipeline(SMOTE(random_state=0), DNNClassifier((3,), **SETTINGS))
    clf = ensemble([("net", net), ("line", LogisticRegression())]).fit(X, NAMES)
    skdl.save(clf, tmp_path / "clf.skdl")
    again = skdl.load(tmp_path / "clf.skdl")
    assert again.named_estimators_.net is again.estimators_[0]
    assert not hasattr(again.named_estimators_.net[0], "nn_k_")
    assert hasattr(clf.named_estimators_.net[0], "nn_k_")
    assert_array_equal(again.predict(X), clf.predict(X))


def with_an_empty_input(meta):
    inputs = {"given": keras.Input((4,), name="given"), "none": keras.Input((0,), name="none")}
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(list(inputs.values()))))


def test_a_network_with_an_input_of_no_columns_is_saved(tmp_path):
    rows = {"given": X, "none": X[:, :0]}
    reg = regressor(with_an_empty_input).fit(rows, Y)
    skdl.save(reg, tmp_path / "reg.skdl")
    again = skdl.load(tmp_path / "reg.skdl", trusted=[with_an_empty_input])
    assert_array_equal(again.predict(rows), reg.predict(rows))


def test_skops_dumps_and_reads_estimators(fitted, file):
    estimator, rows, _ = fitted("classifier")
    data = skops.io.dumps(estimator)
    again = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    assert_array_equal(again.predict_proba(rows), estimator.predict_proba(rows))
    assert f"{DNNClassifier.__module__}.DNNClassifier" in skops.io.get_untrusted_types(file=file)


def linear():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    "regressor",
    [
        DNNRegressor((3,), loss="huber", loss__delta=0.01, engine="compiled", epochs=2, random_state=0),
        KerasRegressor(linear, loss=keras.losses.Huber(delta=0.01), random_state=0),
    ],
    ids=["routed", "object"],
)
def test_a_loss_keeps_the_arguments_that_its_configuration_lacks(regressor, tmp_path):
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(40, 2)), rng.normal(size=40)
    regressor.fit(features, target)
    skdl.save(regressor, tmp_path / "network.skdl")
    loaded = skdl.load(tmp_path / "network.skdl", trusted=[f"{__name__}.linear"])
    for each in (regressor, loaded):
        each.partial_fit(features, target)
    np.testing.assert_array_equal(loaded.predict(features), regressor.predict(features))
    loss = [each.model_.evaluate(features, target, verbose=0) for each in (regressor, loaded)]
    assert loss[0] == pytest.approx(loss[1], rel=1e-6)


def with_lookup(lookup):
    x = keras.Input((1,), dtype="string", name="city")
    hidden = layers.Flatten()(layers.Embedding(9, 2)(lookup(x)))
    return keras.Model(x, layers.Dense(1)(hidden))


@pytest.mark.parametrize("is_adapted", [True, False])
def test_a_layer_among_the_parameters_keeps_its_vocabulary(tmp_path, is_adapted):
    cities = np.array(["Rome", "Oslo", "Rome"], dtype=object)
    lookup = layers.StringLookup(max_tokens=9)
    if is_adapted:
        lookup.adapt(cities)
    network = KerasRegressor(with_lookup, model__lookup=lookup, loss="mse", random_state=0)
    network.fit(cities, [0.0, 1.0, 2.0])
    skdl.save(network, tmp_path / "network.skdl")
    loaded = skdl.load(tmp_path / "network.skdl", trusted=[f"{__name__}.with_lookup"])
    assert loaded.get_params()["model__lookup"].get_vocabulary() == lookup.get_vocabulary()
    assert_array_equal(loaded.predict(cities), network.predict(cities))
