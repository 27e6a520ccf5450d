"""Networks whose Keras model is made when somebody asks for it: the same as if it had always been there."""

import copy
import gc
import pickle
import threading
import warnings

import joblib
import numpy as np
import pytest
import sklearn.utils
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.preprocessing import StandardScaler

import skdl
from skdl import CNNClassifier, DNNClassifier, DNNRegressor, KerasClassifier, clear_caches, set_cache_limit
from skdl._backend import keras, private, tf
from skdl._engine import _epochs, _rules, _template

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X).astype("float32")
SIZES, OTHERS = (12, 5), (7, 20)


def classifier(sizes=SIZES, seed=1, **params):
    return DNNClassifier(sizes, **{"epochs": 2, "random_state": seed, **params})


def regressor(sizes=SIZES, seed=1, **params):
    return DNNRegressor(sizes, **{"epochs": 2, "random_state": seed, **params})


def is_deferred(net):
    return "model_" not in vars(net)


def state(model):
    """Return all that a model holds after its training, but its names."""
    variables = private.training_variables(model)
    compiled = model.get_compile_config()
    compiled["optimizer"]["config"].pop("name")
    layers = [layer.get_config() for layer in model.layers]
    for config in layers:
        config.pop("name")
    history = model.history
    return (
        [(v.value.numpy().tobytes(), v.shape, v.dtype, v.trainable) for v in variables],
        [(type(layer), config) for layer, config in zip(model.layers, layers, strict=True)],
        [getattr(getattr(layer, "kernel_initializer", None), "seed", None) for layer in model.layers],
        compiled,
        (model.built, model.compiled, model.stop_training, model.optimizer.built, model.metrics_names),
        (history.history, history.epoch, history.params, history.model is model),
    )


def same(first, second, X=X):
    """Compare two fitted estimators: first what needs no model, then the models."""
    assert first.history_ == second.history_
    assert first.best_epoch_ == second.best_epoch_
    assert (first.engine_, first.engine_reason_) == (second.engine_, second.engine_reason_)
    assert np.array_equal(first.predict(X), second.predict(X))
    if hasattr(first, "predict_proba"):
        assert np.array_equal(first.predict_proba(X), second.predict_proba(X))
    assert state(first.model_) == state(second.model_)


def alone_and_after_others(make, X=X, Y=Y, others=OTHERS, **fit_args):
    """Return an estimator, the first of its kind that is fitted, and one like it, fitted after others."""
    clear_caches()
    alone = make(SIZES, 1).fit(X, Y, **fit_args)
    assert not is_deferred(alone)
    clear_caches()
    for seed in (5, 6):
        make(others, seed).fit(X, Y, **fit_args)
    after = make(SIZES, 1).fit(X, Y, **fit_args)
    return alone, after


def after_others(*args, **params):
    _, after = alone_and_after_others(*args, **params)
    assert is_deferred(after)
    return after


KINDS = {
    "plain": {},
    "deep": {"activation": "tanh", "optimizer": "rmsprop"},
    "rate": {"learning_rate": 0.03, "optimizer": "adagrad"},
    "momentum": {"optimizer": "sgd", "optimizer__momentum": 0.9, "optimizer__clipnorm": 1.0},
    "decay": {"optimizer": "adamw", "optimizer__weight_decay": 0.01, "learning_rate": np.float32(0.01)},
    "ftrl": {"optimizer": "ftrl", "activation": "sigmoid"},
    "dropout": {"dropout": 0.3},
    "metrics": {"metrics": ["accuracy", "sparse_top_k_categorical_accuracy"]},
    "validated": {"validation_split": 0.3, "metrics": "accuracy"},
    "weighted": {"class_weight": "balanced", "shuffle": False, "batch_size": -1},
    "loss": {"loss": "kl_divergence"},
}


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_a_fit_after_others_of_its_kind_is_what_it_is_alone(params):
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, **params))
    assert is_deferred(after)
    same(alone, after)


# A case for each parameter: what comes after networks that differ from it in that alone.
OTHER_VALUES = {
    "hidden_layer_sizes": [(7, 20), (12,), (12, 5, 3), (1, 5)],
    "activation": ["tanh"],
    "dropout": [0.3],
    "batch_norm": [True],
    "l2_regularization": [0.1],
    "optimizer": ["sgd"],
    "optimizer__momentum": [0.5, 0.9],
    "optimizer__nesterov": [True],
    "learning_rate": [0.1, None],
    "loss": ["kl_divergence"],
    "metrics": [None, ["accuracy", "sparse_top_k_categorical_accuracy"]],
    "epochs": [1, 3],
    "batch_size": [16, None, -1],
    "shuffle": [False],
    "validation_split": [0.3, None],
    "early_stopping": [True],
    "n_iter_no_change": [2],
    "scoring": ["accuracy"],
    "engine": ["keras"],
    "class_weight": ["balanced", {0: 1, 1: 2, 2: 9}],
    "callbacks": [[]],
    "warm_start": [True],
    "verbose": [0],
    "random_state": [5],
}
USUAL = {"learning_rate": 0.03, "optimizer": "sgd", "validation_split": 0.2, "metrics": ["accuracy"]}


def test_all_parameters_have_a_case():
    routed = {name for name in OTHER_VALUES if "__" in name}
    assert {*OTHER_VALUES} - routed == {*DNNClassifier().get_params(deep=False)}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_what_differs_in_one_parameter_is_not_taken_for_the_same(name):
    usual = {"hidden_layer_sizes": SIZES, "epochs": 2, "random_state": 1, **USUAL}
    usual |= {"optimizer": "adam"} if name == "optimizer" else {}
    usual |= {"loss": "categorical_crossentropy"} if name == "loss" else {}
    onehot = np.eye(3)[Y] if name == "loss" else Y
    clear_caches()
    alone = DNNClassifier(**usual).fit(X, onehot)
    clear_caches()
    for value in OTHER_VALUES[name]:
        for _ in range(2):
            DNNClassifier(**{**usual, name: value}).fit(X, onehot)
    for _ in range(3):
        after = DNNClassifier(**usual).fit(X, onehot)
        assert np.array_equal(after.predict_proba(X), alone.predict_proba(X))
        assert after.history_ == alone.history_
    assert is_deferred(after)
    same(alone, after)


def test_a_rate_that_the_optimizer_keeps_in_another_place_is_used(monkeypatch):
    monkeypatch.setattr(private, "learning_rate_of", lambda optimizer: None)
    clear_caches()
    alone = classifier(learning_rate=0.5).fit(X, Y)
    clear_caches()
    for seed in (1, 2, 3):
        classifier(seed=seed, learning_rate=1e-4).fit(X, Y)
    after = classifier(learning_rate=0.5).fit(X, Y)
    assert not is_deferred(after)
    same(alone, after)


# What has its width in the graph is not shared by other widths.
@pytest.mark.parametrize("params", [{"batch_norm": True}, {"l2_regularization": 0.01}], ids=str)
def test_kinds_that_are_of_one_width(params):
    def make(sizes, seed):
        return classifier(sizes, seed, **params)

    alone, after = alone_and_after_others(make)
    assert not is_deferred(after)
    same(alone, after)
    alone, after = alone_and_after_others(make, others=SIZES)
    assert is_deferred(after)
    same(alone, after)


@pytest.mark.parametrize(
    "sizes",
    [(1,), (3, 1), (), 9, [9, 4], np.array([9, 4])],
    ids=["one", "ends", "none", "int", "list", "array"],
)
def test_sizes_of_all_forms(sizes):
    alone, after = alone_and_after_others(lambda _, seed: classifier(sizes, seed), others=sizes)
    assert is_deferred(after)
    same(alone, after)


def test_a_layer_of_one_unit_is_of_a_kind_of_its_own():
    clear_caches()
    for seed in (1, 2):
        classifier((8, 8), seed).fit(X, Y)
    narrow = classifier((8, 1), 3).fit(X, Y)
    assert not is_deferred(narrow)
    assert [kernel.shape for kernel in narrow.coefs_] == [(4, 8), (8, 1), (1, 3)]


TARGETS = {
    "two classes": (classifier, X[:100], np.array(["no", "yes"])[Y[:100]]),
    "labels": (classifier, X, np.c_[Y == 0, Y > 0, Y == 1, Y != 1].astype(int)),
    "one-hot": (lambda *args: classifier(*args, loss="categorical_crossentropy"), X, np.eye(3)[Y]),
    "number": (regressor, X[:, :3], X[:, 3]),
    "numbers": (regressor, X[:, :3], X[:, 2:]),
    "wide floats": (classifier, X.astype(float), Y),
    "integers": (regressor, Y[:, None], X[:, 0]),
}


@pytest.mark.parametrize(("make", "X", "Y"), TARGETS.values(), ids=TARGETS)
def test_targets_of_all_kinds(make, X, Y):
    alone, after = alone_and_after_others(make, X, Y)
    assert is_deferred(after)
    same(alone, after, X)


def test_arguments_of_fit():
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, len(X))
    how = {"sample_weight": weight, "X_val": X[::3], "y_val": Y[::3], "sample_weight_val": weight[::3] + 1}
    alone, after = alone_and_after_others(classifier, **how)
    assert is_deferred(after)
    same(alone, after)


@pytest.mark.parametrize("params", [{}, {"dropout": 0.3}, {"activation": "sigmoid"}], ids=str)
def test_with_xla(params, monkeypatch):
    monkeypatch.setattr(_rules, "XLA_STEPS", 1)
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, **params))
    # Without padding a program is compiled for each width.
    assert is_deferred(after) == (params.get("activation") != "sigmoid")
    same(alone, after)


def test_long_trainings_make_many_calls(monkeypatch):
    monkeypatch.setattr(skdl._engine._training, "_ORDERS", 4 * len(X))  # four epochs in a call
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, epochs=30))
    assert is_deferred(after)
    same(alone, after)


def test_many_rows_are_predicted_in_the_same_blocks(monkeypatch):
    monkeypatch.setattr(skdl._engine._forward, "_BYTES", 2**12)
    monkeypatch.setattr(skdl._engine._forward, "_ROWS", (4, 64))
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed), others=(60, 50))
    assert np.array_equal(after.predict_proba(X), alone.predict_proba(X))
    assert np.array_equal(after.predict_proba(X, batch_size=9), alone.predict_proba(X, batch_size=9))
    assert is_deferred(after)


# What needs the model: the first fit of a kind, and all that is not told by plain values.


CALLBACK = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
AT_ONCE = {
    "keras": {"engine": "keras"},
    "callbacks": {"callbacks": CALLBACK},
    "stopping": {"early_stopping": True, "validation_split": 0.3},
    "scoring": {"scoring": "accuracy", "validation_split": 0.3},
    "function": {"activation": keras.ops.tanh},
    "optimizer": {"optimizer": keras.optimizers.Adam(0.01)},
    "schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.9)},
    "averages": {"optimizer__use_ema": True},
    "fit": {"fit__validation_freq": 2, "validation_split": 0.3},
}


@pytest.mark.parametrize("params", AT_ONCE.values(), ids=AT_ONCE)
def test_what_needs_its_model_has_it_at_once(params):
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, **params))
    assert not is_deferred(after)
    same(alone, after)


def linear():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])


class Own(DNNClassifier):
    def _keras_build_fn(self):
        return linear()


@pytest.mark.parametrize(
    ("make", "X"),
    [
        (lambda _, seed: Own(epochs=1, random_state=seed), X),
        (
            lambda _, seed: KerasClassifier(
                linear, loss="sparse_categorical_crossentropy", epochs=1, random_state=seed
            ),
            X,
        ),
        (
            lambda _, seed: CNNClassifier((2,), kernel_size=1, epochs=1, random_state=seed),
            X.reshape(-1, 2, 2),
        ),
    ],
    ids=["subclass", "builder", "convolutional"],
)
def test_other_networks_have_their_models_at_once(make, X):
    alone, after = alone_and_after_others(make, X)
    assert not is_deferred(after)
    same(alone, after, X)


def test_large_networks_have_their_models_at_once():
    clear_caches()
    for seed in (1, 2):
        classifier((8,), seed, epochs=1).fit(X, Y)
    large = classifier((200_000,), 3, epochs=1)
    assert not is_deferred(large.fit(X, Y))


def test_a_program_that_was_dropped_is_compiled_again():
    set_cache_limit(0)
    try:
        alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, epochs=1))
        regressor(epochs=1).fit(X, Y)
        again = classifier(epochs=1).fit(X, Y)
    finally:
        set_cache_limit()
    assert not is_deferred(again)
    same(alone, after)
    same(alone, again)


def test_a_network_that_draws_in_another_way_has_its_model_at_once(monkeypatch):
    monkeypatch.setattr(
        _template.Template, "values", lambda self, *args: [tf.zeros(())] * len(self.variables)
    )
    alone, after = alone_and_after_others(classifier)
    assert not is_deferred(after)
    same(alone, after)


def test_other_releases_have_their_models_at_once(monkeypatch):
    monkeypatch.setattr(skdl._engine._probe, "TESTED", ())
    monkeypatch.setattr(skdl._engine._probe, "why_unusable", lambda: None)
    assert not is_deferred(alone_and_after_others(classifier)[1])


def test_names_that_a_scope_gives_another_meaning():
    def relu(x):
        return keras.ops.tanh(x)

    clear_caches()
    plain, _ = (classifier(seed=seed).fit(X, Y) for seed in (1, 2))
    with keras.saving.custom_object_scope({"relu": relu}):
        scoped = classifier().fit(X, Y)
    assert not is_deferred(scoped)
    same(plain, classifier().fit(X, Y))


# The model.


def test_the_model_is_made_once_and_stays():
    net = after_others(classifier)
    before = net.predict_proba(X)
    model = net.model_
    assert net.model_ is model
    assert "_deferred" not in vars(net)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    assert not np.array_equal(net.predict_proba(X), before)


def test_a_model_that_the_user_sets_is_used():
    net, other = after_others(classifier), classifier(seed=8).fit(X, Y)
    net.model_ = other.model_
    for each in (net, pickle.loads(pickle.dumps(net))):
        assert np.array_equal(each.predict_proba(X), other.predict_proba(X))
        assert np.array_equal(each.coefs_[0], other.coefs_[0])


def test_threads_get_one_model():
    net = after_others(classifier)
    start, models, expected = threading.Barrier(8), [], net.predict_proba(X)

    def ask():
        start.wait()
        models.append(net.model_)
        assert np.array_equal(net.predict_proba(X), expected)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(models) == 8
    assert len(set(map(id, models))) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.set_params(hidden_layer_sizes=(3,), activation="tanh", optimizer="sgd", loss="mse"),
        lambda net: net.set_params(learning_rate=0.5, random_state=9),
        lambda net: net.hidden_layer_sizes.append(3),
        lambda net: net.metrics.append("mse"),
        lambda net: clear_caches(),
        lambda net: keras.utils.clear_session(),
        lambda net: [classifier((30, 9), seed).fit(X, Y) for seed in (3, 4)],
    ],
    ids=["parameters", "seed", "list", "metrics", "caches", "session", "others"],
)
def test_what_happens_after_the_fit_does_not_change_the_model(change):
    def make(_, seed):
        return classifier([12, 5], seed, metrics=["accuracy"])

    alone, after = alone_and_after_others(make)
    assert is_deferred(after)
    change(after)
    same(alone, after)


def test_another_float_type_is_told():
    net = after_others(classifier)
    expected, before = net.predict(X), keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        with pytest.raises(RuntimeError, match=r"float type.*'float64'.*'float32'.*set_floatx"):
            state(net.model_)
    finally:
        keras.config.set_floatx(before)
    assert np.array_equal(net.predict(X), expected)
    assert net.model_.count_params() > 0


def test_a_builder_may_ask_for_the_model():
    net = after_others(classifier)
    expected = net.predict_proba(X)

    def build():
        return keras.Sequential(
            [*net.model_.layers[:-1], keras.layers.Dense(3, activation="softmax", name="new")]
        )

    def tuned():
        return KerasClassifier(build, loss="sparse_categorical_crossentropy", random_state=0).fit(X, Y)

    first, second = tuned(), tuned()
    assert np.array_equal(net.predict_proba(X), expected)
    assert np.array_equal(first.predict_proba(X), second.predict_proba(X))
    own = set(map(id, net.model_.variables))
    assert not own & {id(v) for each in (first, second) for v in each.model_.variables}


def test_a_function_of_the_users_may_ask_for_the_model_while_it_is_traced():
    net = after_others(classifier)
    expected = net.predict_proba(X)
    outputs = tf.function(lambda x: net.model_(x))(X)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    assert np.array_equal(net.predict_proba(X), expected)


def test_the_trained_model_goes_on_as_any_other():
    for go_on in (
        lambda net: net.partial_fit(X, Y),
        lambda net: net.set_params(warm_start=True).fit(X, Y),
        lambda net: net.model_.fit(X, Y, epochs=1, verbose=0, shuffle=False) and net,
        lambda net: net.set_params(validation_split=0.3, early_stopping=True).fit(X, Y),
    ):
        alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, dropout=0.2))
        assert is_deferred(after)
        go_on(alone), go_on(after)
        assert np.array_equal(alone.predict_proba(X), after.predict_proba(X))
        assert alone.history_ == after.history_


def test_warm_start_from_the_first_fit():
    alone, after = alone_and_after_others(lambda sizes, seed: classifier(sizes, seed, warm_start=True))
    assert is_deferred(after)
    same(alone.fit(X, Y), after.fit(X, Y))


def test_a_failing_fit_leaves_what_was_fitted():
    net = after_others(classifier)
    expected = net.predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        net.fit(np.full_like(X, np.nan), Y)
    with pytest.raises(ValueError, match="features"):
        net.partial_fit(X[:, :2], Y)
    assert np.array_equal(net.predict_proba(X), expected)
    assert net.fit(X, Y).initialized_


def test_an_interrupted_training_keeps_its_network(monkeypatch):
    clear_caches()
    for seed in (2, 3):
        classifier(seed=seed, epochs=30).fit(X, Y)
    run, calls = _epochs.TrainProgram.run, []

    def interrupted(*args, **kwargs):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(run(*args, **kwargs))
        return calls[-1]

    with monkeypatch.context() as patched:
        patched.setattr(_epochs.TrainProgram, "run", interrupted)
        patched.setattr(skdl._engine._training, "_ORDERS", 4 * len(X))  # four epochs in a call
        with pytest.warns(ConvergenceWarning, match="interrupted after 12 of 30 epochs"):
            net = classifier(epochs=30).fit(X, Y)
    assert is_deferred(net)
    assert net.n_iter_ == 12
    whole = classifier(epochs=net.n_iter_).fit(X, Y)
    assert net.history_ == whole.history_
    assert np.array_equal(net.predict_proba(X), whole.predict_proba(X))
    assert state(net.model_)[0] == state(whole.model_)[0]


def test_a_diverged_training_is_told():
    how = {"learning_rate": 1e30, "optimizer": "sgd", "epochs": 5}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seed in (1, 2):
            regressor(seed=seed, **how).fit(X, Y)
    net = regressor(seed=3, **how)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        net.fit(X, Y)
    assert is_deferred(net)
    with pytest.raises(ValueError, match=r"predicts NaN for 150 of 150 rows\. The training diverged"):
        net.predict(X)


# Copies, files, displays and searches.


COPIES = {
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "joblib": lambda net: joblib.hash(net) and net,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_have_the_model(copied):
    alone, after = alone_and_after_others(classifier)
    assert is_deferred(after)
    copy_of_it = copied(after)
    assert np.array_equal(copy_of_it.predict_proba(X), alone.predict_proba(X))
    assert state(copy_of_it.model_)[0] == state(alone.model_)[0]


def test_files_have_the_model(tmp_path):
    net = after_others(classifier)
    expected = net.predict_proba(X)
    skdl.save(net, tmp_path / "net.skdl")
    assert np.array_equal(skdl.load(tmp_path / "net.skdl").predict_proba(X), expected)


def test_a_clone_is_not_fitted():
    net = clone(after_others(classifier))
    assert not net.initialized_
    assert not hasattr(net, "model_")
    assert not {"model_", "_deferred"} & set(vars(net))


def test_predictions_change_nothing_and_need_no_model():
    net = after_others(classifier)
    before = dict(vars(net))
    net.predict(X), net.predict_proba(X), net.score(X, Y), net.predict(X[:1])
    assert net.initialized_
    assert vars(net) == before
    assert is_deferred(net)
    assert "model_" in dir(net)
    assert "model_" in sklearn.utils.estimator_html_repr(net)


def test_callbacks_of_a_prediction_get_the_model():
    net, seen = after_others(classifier), []
    watch = keras.callbacks.LambdaCallback(on_predict_end=lambda logs: seen.append(watch.model))
    net.predict(X, callbacks=[watch])
    assert seen == [net.model_]


def test_a_search_has_the_same_scores_with_and_without_models(monkeypatch):
    def searched(n_jobs=1):
        clear_caches()
        grid = {"hidden_layer_sizes": [(6,), (20,), (9,)], "learning_rate": [1e-3, 0.03]}
        search = GridSearchCV(classifier(epochs=3), grid, cv=3, error_score="raise")
        with joblib.parallel_config("threading", n_jobs=n_jobs):
            return search.fit(X, Y)

    alone, in_threads = searched(), searched(n_jobs=2)
    monkeypatch.setattr(DNNClassifier, "_defer", lambda *args: None)
    expected = searched()
    assert not is_deferred(expected.best_estimator_)
    for search in (alone, in_threads):
        assert is_deferred(search.best_estimator_)
        for name in ("mean_test_score", "split1_test_score", "rank_test_score"):
            assert np.array_equal(search.cv_results_[name], expected.cv_results_[name])
        same(search.best_estimator_, expected.best_estimator_)


def test_estimators_that_cross_validation_returns_have_their_models():
    clear_caches()
    result = cross_validate(classifier(), X, Y, cv=3, return_estimator=True)
    assert [is_deferred(net) for net in result["estimator"]] == [False, True, True]
    assert len({net.model_.get_weights()[0].tobytes() for net in result["estimator"]}) == 3


def test_an_estimator_that_is_gone_leaves_nothing():
    def n_models():
        gc.collect()
        return sum(issubclass(type(each), keras.Model) for each in gc.get_objects())

    net = after_others(classifier)
    before = n_models()
    for seed in range(5):
        classifier(seed=seed).fit(X, Y).predict(X)
    assert n_models() == before
    assert net.model_ is not None
    assert n_models() > before
    del net
    assert n_models() == before
