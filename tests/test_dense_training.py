"""Dense networks that are trained in NumPy: by the estimators, and as Keras trains them."""

import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.preprocessing import StandardScaler, scale

from skdl import DNNClassifier, DNNRegressor, KerasClassifier, KerasRegressor

IRIS = scale(load_iris().data), load_iris().target
CANCER = scale(load_breast_cancer().data)[:150], load_breast_cancer().target[:150]
DIABETES = scale(load_diabetes().data)[:120], scale(load_diabetes().target)[:120]
LABELS = np.column_stack([IRIS[1] == 0, IRIS[1] > 0, IRIS[0][:, 0] > 0]).astype(int)


def run(code):
    """Run code in a process in which TensorFlow, Keras and skops can't be imported."""
    head = """
        import sys
        for name in ("tensorflow", "keras", "skops", "scikeras"):
            sys.modules[name] = None  # importing it raises
        import numpy as np
        from skdl import DNNClassifier, DNNRegressor, make_pipeline
        X = np.random.default_rng(0).normal(size=(80, 4))
        y = (X[:, 0] > 0).astype(int)
    """
    code = textwrap.dedent(head) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_search_over_dense_networks_imports_no_tensorflow():
    printed = run(
        """
        from imblearn.over_sampling import SMOTE
        from sklearn.model_selection import GridSearchCV
        from sklearn.preprocessing import StandardScaler
        pipe = make_pipeline(StandardScaler(), SMOTE(random_state=0), DNNClassifier((4,), epochs=2))
        grid = {"dnnclassifier__learning_rate": [0.01, 0.1], "dnnclassifier__optimizer": ["adam", "sgd"]}
        search = GridSearchCV(pipe, grid, scoring="roc_auc", cv=2).fit(X, y)
        print(search.best_estimator_[-1].engine_)
        """
    )
    assert printed == ["numpy"]


def test_nothing_that_dense_networks_do_by_themselves_imports_tensorflow():
    printed = run(
        """
        import copy, pickle
        from sklearn.base import clone
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.callback import ProgressBar
        from sklearn.model_selection import cross_val_score
        clf = DNNClassifier((6, 3), epochs=3, early_stopping=True, scoring="roc_auc", dropout=0.2,
                            batch_norm=True, l2_regularization=0.01, class_weight="balanced",
                            optimizer__clipnorm=1.0, metrics=["accuracy", "mse"], random_state=0)
        clf.fit(X, y, sample_weight=np.linspace(0, 1, 80))
        again = pickle.loads(pickle.dumps(clf))
        print((again.predict_proba(X) == clf.predict_proba(X)).all())
        copy.deepcopy(clf).set_params(early_stopping=False).partial_fit(X, y)
        clone(clf).set_params(warm_start=True).fit(X, y).score(X, y)
        repr(clf), clf._repr_html_(), clf.get_params(), clf.coefs_, clf.intercepts_
        cross_val_score(clf, X, y, cv=2)
        CalibratedClassifierCV(clf, cv=2).fit(X, y)
        labels = np.column_stack([y, 1 - y, X[:, 1] > 0]).astype(int)
        DNNClassifier((3,), epochs=1).fit(X, labels).predict(X)
        DNNClassifier((3,), epochs=1, loss="categorical_crossentropy").fit(X, y)
        DNNClassifier((3,), epochs=1).fit(X, np.arange(80) % 3).predict_log_proba(X)
        DNNRegressor((3,), epochs=1, loss="huber", validation_split=0.2, verbose=2).fit(X, X).predict(X)
        print("tensorflow" in sys.modules and sys.modules["tensorflow"] is None)
        """
    )
    assert printed[0] == printed[-1] == "True"


CASES = {
    "plain": {},
    "several layers, penalty": {
        "hidden_layer_sizes": (9, 5),
        "activation": "tanh",
        "l2_regularization": 0.01,
    },
    "linear, one batch": {"hidden_layer_sizes": (), "batch_size": -1, "shuffle": False},
    "dropout": {"dropout": 0.4, "hidden_layer_sizes": (12, 7)},
    "sgd": {"optimizer": "sgd", "optimizer__momentum": 0.9, "optimizer__nesterov": True},
    "rmsprop": {"optimizer": "RMSprop", "learning_rate": 0.003},
    "adamw": {"optimizer": "adamw", "optimizer__weight_decay": 0.1, "optimizer__global_clipnorm": 0.5},
    "stopping": {"early_stopping": True, "n_iter_no_change": 1, "learning_rate": 0.2, "epochs": 12},
    "held out": {"validation_split": 0.3, "batch_size": 7, "activation": "gelu"},
    "loss, schedule": {
        "loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9),
    },
    "logits": {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
}


def assert_like(ours, keras_s):
    assert ours.engine_ == "numpy"
    assert keras_s.engine_ == "keras"
    assert list(ours.history_) == list(keras_s.history_)
    for name, values in keras_s.history_.items():
        np.testing.assert_allclose(ours.history_[name], values, rtol=1e-4, atol=1e-6, err_msg=name)
    for a, b in zip(ours.model_.get_weights(), keras_s.model_.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_classes_are_learnt_as_by_keras(case):
    params = {"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **CASES[case]}
    ours, keras_s = (DNNClassifier(**params, engine=each).fit(*IRIS) for each in ("auto", "keras"))
    probabilities = ours.predict_proba(IRIS[0])
    assert_like(ours, keras_s)
    np.testing.assert_allclose(probabilities, keras_s.predict_proba(IRIS[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["two classes", "labels", "weights", "class_weight", "numbers"])
def test_every_target_is_learnt_as_by_keras(kind):
    params, fit_params = {"epochs": 3, "random_state": 0}, {}
    cls, (X, y) = DNNClassifier, CANCER
    if kind == "labels":
        X, y = IRIS[0], LABELS
    if kind == "weights":
        fit_params["sample_weight"] = np.linspace(0, 2, len(y))
    if kind == "class_weight":
        params["class_weight"] = {0: 3, 1: 0.5}
    if kind == "numbers":
        cls, X, y = DNNRegressor, DIABETES[0], np.column_stack([DIABETES[1], DIABETES[0][:, 0]])
    ours, keras_s = (cls((6,), **params, engine=each).fit(X, y, **fit_params) for each in ("numpy", "keras"))
    assert_like(ours, keras_s)


def test_the_model_is_made_when_it_is_asked_for_and_changes_nothing():
    X, y = CANCER
    net = DNNClassifier((6,), dropout=0.3, epochs=2, random_state=0).fit(X, y)
    other = pickle.loads(pickle.dumps(net))
    before = net.predict_proba(X)
    assert "model_" not in vars(net)
    model = net.model_
    assert net.model_ is model
    np.testing.assert_array_equal(net.predict_proba(X), before)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], before[:, 1], rtol=1e-5)
    for a, b in zip(net.partial_fit(X, y).coefs_, other.partial_fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert net.model_ is model
    model.set_weights([np.zeros_like(each) for each in model.get_weights()])
    assert (net.predict_proba(X) == 0.5).all()


def test_a_training_of_keras_goes_on_where_the_estimator_stopped():
    X, y = IRIS
    params = {"epochs": 2, "optimizer": "adam", "shuffle": False, "random_state": 0}
    ours, keras_s = (DNNClassifier((6,), **params, engine=each).fit(X, y) for each in ("auto", "keras"))
    for net in (ours, keras_s):
        net.model_.fit(X, y, shuffle=False, verbose=0)
    assert int(ours.model_.optimizer.iterations) == int(keras_s.model_.optimizer.iterations) == 15
    for a, b in zip(ours.model_.get_weights(), keras_s.model_.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def chain(units=5, dropout=0.2, dense=()):
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(units, activation="relu", **dict(dense)),
            keras.layers.Dropout(dropout),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
            keras.layers.Softmax(),
        ]
    )


def functional(units=5):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(units, kernel_initializer="he_normal", use_bias=False)(inputs)
    x = keras.layers.LeakyReLU()(x)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize("build", [chain, functional])
def test_a_chain_that_a_builder_makes_is_trained_in_numpy(build):
    params = {"loss": "sparse_categorical_crossentropy", "optimizer": "rmsprop", "metrics": "accuracy"}
    params |= {"epochs": 3, "validation_split": 0.2, "random_state": 0}
    ours, keras_s = (KerasClassifier(build, **params, engine=each).fit(*IRIS) for each in ("auto", "keras"))
    assert_like(ours, keras_s)
    for a, b in zip(ours.model_.optimizer.variables, keras_s.model_.optimizer.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-5)


class Own(keras.layers.Dense):
    """A subclass, which may do anything."""


def shared():
    layer, inputs = keras.layers.Dense(4), keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(layer(layer(inputs))))


def frozen():
    model = chain()
    model.layers[0].trainable = False
    return model


def branched():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x + inputs))


class Subclass(keras.Sequential):
    """A model of its own class."""


OTHERS = {
    "own layer": lambda: keras.Sequential([keras.Input((4,)), Own(4), keras.layers.Dense(3, "softmax")]),
    "shared layer": shared,
    "frozen layer": frozen,
    "branch": branched,
    "constraint": lambda: chain(dense={"kernel_constraint": "max_norm"}),
    "activity": lambda: chain(dense={"activity_regularizer": "l2"}),
    "policy": lambda: chain(dense={"dtype": "mixed_bfloat16"}),
    "own activation": lambda: keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, lambda x: keras.ops.softmax(x))]
    ),
    "own model": lambda: Subclass([keras.Input((4,)), keras.layers.Dense(3, "softmax")]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_known_for_certain_is_trained_by_tensorflow(name):
    params = {"loss": "sparse_categorical_crossentropy", "random_state": 0}
    assert KerasClassifier(OTHERS[name], **params).fit(*IRIS).engine_ != "numpy"
    with pytest.raises(ValueError, match=r"engine='numpy' can't run this training: .+ Set engine='auto'"):
        KerasClassifier(OTHERS[name], **params, engine="numpy").fit(*IRIS)


@pytest.mark.parametrize(
    "params",
    [{"loss": "mape"}, {"optimizer": "nadam"}, {"optimizer": keras.optimizers.Nadam(0.01)}],
    ids=["loss", "name", "instance"],
)
def test_rare_losses_and_optimizers_are_compiled(params):
    X, y = DIABETES
    settings = {**params, "hidden_layer_sizes": 4, "epochs": 2, "metrics": ["mape"], "random_state": 0}
    net, same = (DNNRegressor(**settings, engine=each).fit(X, y) for each in ("auto", "keras"))
    assert net.engine_ == "compiled"
    np.testing.assert_allclose(net.predict(X), same.predict(X), rtol=1e-4, atol=1e-5)


class Counts(keras.callbacks.Callback):
    """Counts epochs."""

    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


def test_callbacks_of_keras_are_called_by_tensorflow():
    count = Counts()
    net = DNNClassifier((4,), epochs=3, callbacks=[count], random_state=0).fit(*IRIS)
    assert (net.engine_, count.epochs) == ("compiled", 3)
    plain = DNNClassifier((4,), epochs=3, random_state=0).fit(*IRIS)
    for a, b in zip(net.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_in_threads():
    X, y = CANCER

    def fitted(_=None):
        net = DNNClassifier((20, 10), dropout=0.2, batch_norm=True, epochs=3, random_state=3).fit(X, y)
        return net.predict_proba(X)

    alone = fitted()
    with ThreadPoolExecutor(4) as pool:
        for others in pool.map(fitted, range(8)):
            np.testing.assert_array_equal(others, alone)


def test_a_failed_fit_leaves_a_network_as_it_was():
    X, y = IRIS

    def broken(estimator, X, y):
        if len(calls) > 2:
            raise OSError("no score")
        calls.append(1)
        return 1.0

    net = DNNClassifier((4,), epochs=5, validation_split=0.2, random_state=0).fit(X, y)
    before, history = net.predict_proba(X), net.history_
    calls = []
    with pytest.raises(OSError, match="no score"):
        net.set_params(warm_start=True, scoring=broken, early_stopping=True).fit(X, y)
    np.testing.assert_array_equal(net.predict_proba(X), before)
    assert net.history_ == history


def test_a_scorer_sees_the_network_of_each_epoch():
    X, y = IRIS
    seen = []

    def score(estimator, X, y):
        seen.append((estimator.predict_proba(X[:1])[0, 0], estimator.model_.get_weights()[0][0, 0]))
        return len(seen)

    params = {
        "epochs": 3,
        "validation_split": 0.2,
        "early_stopping": True,
        "scoring": score,
        "random_state": 0,
    }
    net = DNNClassifier((4,), **params).fit(X, y)
    assert net.engine_ == "numpy"
    assert len(set(seen)) == 4  # one before training
    assert seen[-1][1] == net.model_.get_weights()[0][0, 0]


def test_progress_is_printed_as_keras_prints_it(capsys):
    KerasRegressor(
        lambda: keras.Sequential([keras.Input((10,)), keras.layers.Dense(1)]), loss="mse", epochs=2, verbose=2
    ).fit(*DIABETES)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert lines[1].startswith("4/4 - 0s - ")
    assert "step - loss: " in lines[1]


def test_names_of_activations_are_those_of_keras():
    from skdl._estimators._shared_params import NETWORK_CONSTRAINTS

    names = {name for name, value in vars(keras.activations).items() if callable(value)}
    options = NETWORK_CONSTRAINTS["activation"][0].options
    assert options == names - {"get", "serialize", "deserialize"}


def test_a_default_float_type_is_read_without_keras(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "backend": "tensorflow"}')
    code = (
        "import os, sys; os.environ['KERAS_HOME'] = sys.argv[1]; sys.modules['keras'] = None\n"
        "import numpy as np; from skdl import DNNRegressor\n"
        "X = np.eye(4); print(DNNRegressor((2,), epochs=1).fit(X, X[0]).coefs_[0].dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == "float64", done.stderr


def test_a_pipeline_over_scaled_rows_is_fitted_alike_in_a_frame():
    pd = pytest.importorskip("pandas")
    X, y = CANCER
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    scaler = StandardScaler().set_output(transform="pandas")
    a = DNNClassifier((4,), epochs=2, random_state=0).fit(scaler.fit_transform(frame), y)
    b = DNNClassifier((4,), epochs=2, random_state=0).fit(scaler.transform(frame).to_numpy(), y)
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])
