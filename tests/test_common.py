"""scikit-learn's own conformance checks, over every estimator."""

import inspect

import keras
import pytest
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import (
    check_param_validation,
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    estimator_checks_generator,
    parametrize_with_checks,
)

import skdl

# With mini-batches a row that is given twice falls into two batches, one of weight two
# into one: the training differs, whatever the scaling. Full batches pass, see below.
MINI_BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "mini-batches",
    "check_sample_weight_equivalence_on_sparse_data": "mini-batches",
}


class Builder:
    """Builds a small network for any target; a function with a repr that tests can be named by."""

    def __repr__(self):
        return "build"

    def __call__(self, meta, compile_kwargs):
        return build(meta, compile_kwargs)


def build(meta, compile_kwargs):
    """A small network for any target, as a user would write it."""
    kind, classes = meta["target_type_"], meta.get("n_classes_")
    if classes is None:
        units, activation, loss = meta["n_outputs_"], "linear", "mean_squared_error"
    elif kind == "multiclass":
        units, activation, loss = classes, "softmax", "sparse_categorical_crossentropy"
    else:
        units, activation, loss = 1 if kind == "binary" else classes, "sigmoid", "binary_crossentropy"
    model = keras.Sequential(
        [
            keras.Input((meta["n_features_in_"],)),
            keras.layers.Dense(20, activation="relu"),
            keras.layers.Dense(units, activation=activation),
        ]
    )
    model.compile(optimizer=compile_kwargs["optimizer"], loss=loss)
    return model


# Settings with which an estimator learns something in a moment; those of its own come last.
SMALL = {"epochs": 12, "hidden_layer_sizes": (20,), "learning_rate": 0.02}
WRAPPER = {"model": Builder(), "optimizer": "adam", "optimizer__learning_rate": 0.02}
FOLDS = {"n_members": 2, "n_folds": 2}
OWN = {
    "KerasClassifier": WRAPPER,
    "KerasRegressor": WRAPPER,
    # Compiled anew for each shape of the data, which takes less time with fewer weights and without Adam.
    "CNNClassifier": {
        **{"filters": (4,), "image_shape": (1, -1), "kernel_size": (1, 3), "pool_size": None},
        **{"hidden_layer_sizes": (), "optimizer": "sgd", "learning_rate": 0.1},
    },
    "TabularClassifier": {**FOLDS, "learning_rate": 0.015},
    "TabularRegressor": {**FOLDS, "learning_rate": 0.1},
}


def estimators(batch_size):
    """Return every public estimator, small."""
    found = []
    for name in skdl.__all__:
        kind = getattr(skdl, name)
        if not inspect.isclass(kind) or not issubclass(kind, ClassifierMixin | RegressorMixin):
            continue
        settings = {key: value for key, value in SMALL.items() if key in kind().get_params()}
        found.append(kind(**{**settings, "batch_size": batch_size, **OWN.get(name, {})}))
    return found


# Some checks have targets of large numbers, on which a DNNRegressor rightly says so.
@pytest.mark.filterwarnings("ignore:The standard deviation of the target:UserWarning")
@parametrize_with_checks(estimators(16), expected_failed_checks=lambda estimator: MINI_BATCHES)
def test_conforms_to_scikit_learn(estimator, check):
    check(estimator)


def peer(estimator):
    """Return the estimator of scikit-learn that takes the same data."""
    of_tables = "n_folds" in estimator.get_params()
    if is_classifier(estimator):
        return HistGradientBoostingClassifier() if of_tables else MLPClassifier()
    return HistGradientBoostingRegressor() if of_tables else MLPRegressor()


@pytest.mark.parametrize("estimator", estimators(16), ids=lambda estimator: type(estimator).__name__)
def test_at_least_as_many_checks_apply_as_to_scikit_learns_own_estimators(estimator):
    def names(estimator):
        return {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)}

    assert names(estimator) >= names(peer(estimator))


def without_folds(estimators):
    """Return those that divide no rows into folds: a row that is given twice falls into two of them."""
    return [each for each in estimators if "n_folds" not in each.get_params()]


@pytest.fixture
def double_precision():
    """Float64, since the check allows 1e-7 and two float32 sums in another order differ by that."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    "estimator", without_folds(estimators(-1)), ids=lambda estimator: type(estimator).__name__
)
@pytest.mark.parametrize(
    "check",
    [check_sample_weight_equivalence_on_dense_data, check_sample_weight_equivalence_on_sparse_data],
    ids=["dense", "sparse"],
)
def test_with_full_batches_a_weight_of_two_is_the_row_given_twice(estimator, check):
    check(type(estimator).__name__, estimator)


EVERY_KIND = pytest.mark.parametrize(
    "estimator", estimators(16), ids=lambda estimator: type(estimator).__name__
)


@EVERY_KIND
def test_the_attributes_of_an_unfitted_estimator_can_be_listed(estimator):
    assert {"fit", "get_params", "target_encoder"} <= set(dir(estimator))
    assert not hasattr(estimator, "model_")


@EVERY_KIND
def test_every_parameter_has_a_constraint_and_is_validated(estimator):
    # Routed parameters, which have no constraint, are for the other tests.
    plain = {name: value for name, value in estimator.get_params().items() if "__" not in name}
    check_param_validation(type(estimator).__name__, type(estimator)(**plain))
