"""One workload for one contender, in this process: ``python benchmarks/workloads.py search skdl``.

Prints a line of JSON with the seconds (or megabytes) measured. Imports are not counted where
nothing else is said, compiling is. `run.py` calls this in turn for each contender.
"""

import argparse
import importlib
import itertools
import json
import os
import statistics
import sys
import time
import warnings

import numpy as np

STARTED = time.perf_counter()
EPOCHS, BATCH = 30, 32


def breast_cancer():
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X).astype("float32"), y


def mnist_like(rows):
    """Random pixels of MNIST's shape: what they show does not change the time."""
    rng = np.random.default_rng(0)
    return rng.random((rows, 784), dtype="float32"), rng.integers(0, 10, rows)


def dense(layers, learning_rate=1e-3, n_features=30, n_units=1):
    """The network of the breast-cancer workloads, in plain Keras."""
    import keras

    several = n_units > 1
    model = keras.Sequential([keras.Input((n_features,))])
    for units in layers:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(n_units, activation="softmax" if several else "sigmoid"))
    loss = "sparse_categorical_crossentropy" if several else "binary_crossentropy"
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def scikeras_builder(layers=(64, 32), learning_rate=1e-3):
    return dense(layers, learning_rate)


def wrapped_builder(X, y, layers, learning_rate):
    """For ``keras.wrappers``, which gives the model one column per class."""
    model = dense(layers, learning_rate, n_units=2)
    model.compile(model.optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def torch_network(layers=(64, 32)):
    import torch

    sizes, stack = [30, *layers], []
    for n_in, n_out in itertools.pairwise(sizes):
        stack += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    return torch.nn.Sequential(*stack, torch.nn.Linear(sizes[-1], 2))


def classifier(contender, layers=(64, 32), epochs=EPOCHS):
    """An estimator and the names of its two searched parameters."""
    if contender == "skdl":
        from skdl import DNNClassifier

        net = DNNClassifier(layers, epochs=epochs, batch_size=BATCH, random_state=0)
        return net, "hidden_layer_sizes", "learning_rate"
    if contender == "sklearn":
        from sklearn.neural_network import MLPClassifier

        net = MLPClassifier(
            layers, max_iter=epochs, n_iter_no_change=epochs, batch_size=BATCH, random_state=0, alpha=0
        )
        return net, "hidden_layer_sizes", "learning_rate_init"
    if contender == "scikeras":
        from scikeras.wrappers import KerasClassifier

        net = KerasClassifier(
            scikeras_builder,
            model__layers=layers,
            model__learning_rate=1e-3,
            epochs=epochs,
            batch_size=BATCH,
            verbose=0,
            random_state=0,
        )
        return net, "model__layers", "model__learning_rate"
    if contender == "keras.wrappers":
        from keras.wrappers import SKLearnClassifier

        class Wrapped(SKLearnClassifier):
            # clone drops fit_kwargs, so each fit of a search would train one epoch.
            def fit(self, X, y):
                return super().fit(X, y, epochs=epochs, batch_size=BATCH, verbose=0)

        net = Wrapped(wrapped_builder, model_kwargs={"layers": layers, "learning_rate": 1e-3})
        return net, "model_kwargs", None
    if contender == "skorch":
        import torch
        from skorch import NeuralNetClassifier

        torch.manual_seed(0)
        net = NeuralNetClassifier(
            torch_network,
            module__layers=layers,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=epochs,
            batch_size=BATCH,
            train_split=None,
            verbose=0,
        )
        return net, "module__layers", "lr"
    raise SystemExit(f"{contender!r} can't be searched")


def search(contender, backend=None, *, script=False):
    """Five folds, two architectures, three learning rates, behind a scaler and SMOTE.

    As a whole script with all its imports but NumPy's, if asked for.
    """
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline
    from joblib import parallel_config
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    net, layers, rate = classifier(contender)
    steps = [("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("net", net)]
    if contender == "skorch":
        steps.insert(2, ("float32", FunctionTransformer(lambda X: X.astype("float32"))))
    architectures, rates = [(64, 32), (32,)], [1e-3, 3e-3, 1e-2]
    if rate is None:  # all in one parameter
        choices = [{"layers": a, "learning_rate": r} for a in architectures for r in rates]
        grid = {f"net__{layers}": choices}
    else:
        grid = {f"net__{layers}": architectures, f"net__{rate}": rates}
    searching = GridSearchCV(Pipeline(steps), grid, cv=5, error_score="raise")
    if not script:
        warm_imports(contender)
    start = STARTED if script else time.perf_counter()
    if backend:  # the start of processes is counted
        with parallel_config(backend, n_jobs=2):
            searching.fit(X, y)
    else:
        searching.fit(X, y)
    return time.perf_counter() - start


def architectures(contender):
    """Fifteen widths, three folds, twenty epochs, behind a scaler."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    warnings.simplefilter("ignore")  # MLPClassifier: twenty epochs are no convergence
    if contender == "builder":
        from skdl import KerasClassifier

        net, layers = (
            KerasClassifier(scikeras_builder, layers=(8,), batch_size=BATCH, random_state=0),
            "layers",
        )
        net.set_params(epochs=20)
    else:
        net, layers, _ = classifier(contender, (8,), 20)
    grid = {f"net__{layers}": [(units,) for units in range(8, 65, 4)]}
    searching = GridSearchCV(
        Pipeline([("scaler", StandardScaler()), ("net", net)]), grid, cv=3, error_score="raise"
    )
    warm_imports(contender)
    start = time.perf_counter()
    searching.fit(X, y)
    return time.perf_counter() - start


def random_search(contender):
    """Thirty draws of layers, activation, rate and batch size, three folds of a table of 4,600 x 57."""
    from sklearn.datasets import make_classification
    from sklearn.model_selection import RandomizedSearchCV

    X, y = make_classification(4_600, 57, n_informative=20, random_state=0)
    warnings.simplefilter("ignore")
    net, layers, rate = classifier(contender, (8,), 20)
    rng = np.random.default_rng(0)
    sizes = [tuple(map(int, rng.integers(8, 129, rng.integers(1, 4)))) for _ in range(200)]
    choices = {layers: sizes, rate: np.logspace(-4, -2, 20), "activation": ["relu", "tanh"]}
    choices["batch_size"] = [32, 64]
    if contender == "skdl":
        choices["dropout"] = [0.0, 0.2]
    searching = RandomizedSearchCV(net, choices, n_iter=30, cv=3, random_state=0, error_score="raise")
    warm_imports(contender)
    start = time.perf_counter()
    searching.fit(X.astype("float32"), y)
    return time.perf_counter() - start


def larger_search(contender, backend=None):
    """Two architectures, three rates, three folds, thirty epochs, 5,000 rows of 40 numbers.

    By processes that have run a search before, as in a session.
    """
    from joblib import parallel_config
    from sklearn.base import clone
    from sklearn.datasets import make_classification
    from sklearn.model_selection import GridSearchCV

    X, y = make_classification(5_000, 40, n_informative=20, random_state=0)
    warnings.simplefilter("ignore")
    net, layers, rate = classifier(contender)
    grid = {layers: [(64, 32), (32,)], rate: [1e-3, 3e-3, 1e-2]}
    searching = GridSearchCV(net, grid, cv=3, error_score="raise")
    warm_imports(contender)
    with parallel_config(backend or "threading", n_jobs=2 if backend else 1):
        if backend == "loky":
            clone(searching).fit(X[:100].astype("float32"), y[:100])
        start = time.perf_counter()
        searching.fit(X.astype("float32"), y)
    return time.perf_counter() - start


def warm_imports(contender):
    """Import what the contender would import in its first fit."""
    if contender in ("builder", "compiled", "scikeras", "keras", "keras.wrappers"):
        import keras

        keras.ops.zeros((1,))
    if contender in ("skdl", "builder", "compiled"):
        importlib.import_module("skdl._estimators._wrappers")
    if contender == "skorch":
        import torch

        torch.zeros(1)


def importing(contender):
    """The import of a classifier, with all that it needs to be made."""
    start = time.perf_counter()
    classifier(contender)
    return time.perf_counter() - start


def elimination(contender):
    """Features are left out one by one, from 25 to 1; each fit trains 20 epochs on 500 rows."""
    from sklearn.datasets import make_classification
    from sklearn.feature_selection import RFE

    X, y = make_classification(500, 25, n_informative=10, random_state=0)
    warnings.simplefilter("ignore")  # MLPClassifier: twenty epochs are no convergence
    net = classifier(contender, (32,), 20)[0]
    selecting = RFE(
        net, n_features_to_select=1, importance_getter=lambda net: np.abs(net.coefs_[0]).sum(axis=1)
    )
    warm_imports(contender)
    start = time.perf_counter()
    selecting.fit(X.astype("float32"), y)
    return time.perf_counter() - start


def one_fit(contender, X, y, layers, epochs, batch=BATCH):
    warm_imports(contender)
    start = time.perf_counter()
    if contender == "keras":
        dense(layers).fit(X, y, epochs=epochs, batch_size=batch, verbose=0)
    else:
        classifier(contender, layers, epochs)[0].set_params(batch_size=batch).fit(X, y)
    return time.perf_counter() - start


def warm_fit(contender):
    one_fit(contender, *breast_cancer(), (64, 32), 50)
    return statistics.median(one_fit(contender, *breast_cancer(), (64, 32), 50) for _ in range(5))


def random_table(rows, columns):
    """Random numbers, and whether the first of a row is positive."""
    X = np.random.default_rng(0).standard_normal((rows, columns), dtype="float32")
    return X, (X[:, 0] > 0).astype(int)


def mnist_dense(contender):
    X, y = mnist_like(60_000)
    layers = (128, 64, 32, 16)
    warm_imports(contender)
    start = time.perf_counter()
    if contender == "keras":
        model = dense(layers, n_features=784, n_units=10)
        model.fit(X, y, epochs=5, batch_size=32, verbose=0)
    else:
        warnings.simplefilter("ignore")  # MLPClassifier: five epochs are no convergence
        classifier(contender, layers, 5)[0].fit(X, y)
    return time.perf_counter() - start


def mnist_convolutional(contender):
    import keras

    X, y = mnist_like(6_000)
    X = X.reshape(-1, 28, 28, 1)
    settings = {"kernel_size": [5, 2], "pool_size": 2, "padding": "same", "dropout": 0.25}
    warm_imports(contender)
    start = time.perf_counter()
    if contender == "keras":
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(32, 5, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(64, 2, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Dropout(0.25),
                layers.Flatten(),
                layers.Dense(1000, activation="relu"),
                layers.Dropout(0.25),
                layers.Dense(10, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(X, y, epochs=3, batch_size=100, verbose=0)
    else:
        from skdl import CNNClassifier

        net = CNNClassifier(
            (32, 64), hidden_layer_sizes=(1000,), epochs=3, batch_size=100, random_state=0, **settings
        )
        net.fit(X, y)
    return time.perf_counter() - start


def predict(contender, rows, repeats):
    X, y = breast_cancer()
    net = classifier("skdl", epochs=1)[0].fit(X, y)
    X = np.tile(X, (-(-rows // len(X)), 1))[:rows]

    def call():
        if contender == "skdl":
            net.predict_proba(X)
        else:
            np.asarray(net.model_(X, training=False))

    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def resident_mb():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory_of_fits(contender):
    """Growth over 300 fits of one architecture, after the first 20."""
    X, y = breast_cancer()
    for fit in range(320):
        if fit == 20:
            before = resident_mb()
        classifier(contender, (32,), 2)[0].fit(X, y)
    return resident_mb() - before


def memory_of_architectures(contender, n=1_000, engine="auto"):
    """Growth over many architectures in turn, after the first 20."""
    X, y = breast_cancer()
    for fit in range(n):
        if fit == 20:
            before = resident_mb()
        net = classifier(contender, (8 + fit % 60, 4 + fit // 60), 3)[0].set_params(engine=engine)
        net.fit(X, y).predict(X[:5])
    return resident_mb() - before


def serve_hundred(contender):
    """Seconds of a prediction of one row, by a hundred models in turn."""
    X, y = breast_cancer()
    models = [classifier(contender, (4 + units % 40,), 1)[0].fit(X, y) for units in range(100)]
    for model in models:
        model.predict_proba(X[:1])
    times = []
    for model in models * 5:
        started = time.perf_counter()
        model.predict_proba(X[:1])
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def peak_of_fit(contender, rows=5_000_000, columns=20, batch=8192, **params):
    """Peak memory of a fit of many rows of numbers, in MB above that before."""
    X, y = random_table(rows, columns)
    net = classifier(contender, (16,), 1)[0].set_params(batch_size=batch, **params)
    net.fit(X[:20_000], y[:20_000])
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forget the peak so far
    before = resident_mb()
    net.fit(X, y)
    with open("/proc/self/status") as file:
        (peak,) = (int(line.split()[1]) / 2**10 for line in file if line.startswith("VmHWM"))
    return peak - before


def steps_of_its_own(contender, kind):
    """Two epochs of a network that is no chain of dense layers."""
    import keras

    layers, rng = keras.layers, np.random.default_rng(0)

    class Scaled(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=shape[-1:], initializer="ones")

        def call(self, x):
            return x * self.scale

    y = rng.integers(0, 2, 4_000)
    if kind == "recurrent":
        X, stack = rng.random((4_000, 20, 8), dtype="float32"), [keras.Input((20, 8)), layers.LSTM(32)]
    elif kind == "embedding":
        X = rng.integers(0, 1_000, (4_000, 30))
        stack = [keras.Input((30,), dtype="int32"), layers.Embedding(1_000, 16)]
        stack.append(layers.GlobalAveragePooling1D())
    else:
        X = rng.random((4_000, 30), dtype="float32")
        stack = [keras.Input((30,)), Scaled(), layers.Dense(32, "relu"), Scaled()]

    def build():
        model = keras.Sequential([*stack, layers.Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    warm_imports(contender)
    start = time.perf_counter()
    if contender == "keras":
        build().fit(X, y, epochs=2, batch_size=BATCH, verbose=0)
    else:
        from skdl import KerasClassifier

        KerasClassifier(build, epochs=2, batch_size=BATCH, random_state=0).fit(X, y)
    return time.perf_counter() - start


def short_fit(contender):
    return one_fit(contender, *(part[:100] for part in breast_cancer()), (64, 32), 2)


WORKLOADS = {
    "importing": importing,
    "architectures": architectures,
    "random_search": random_search,
    "larger_search": larger_search,
    "larger_search_threads": lambda contender: larger_search(contender, "threading"),
    "larger_search_processes": lambda contender: larger_search(contender, "loky"),
    "search": search,
    "search_script": lambda contender: search(contender, script=True),
    "search_threads": lambda contender: search(contender, "threading"),
    "elimination": elimination,
    "first_fit": lambda contender: one_fit(contender, *breast_cancer(), (64, 32), 50),
    "short_fit": short_fit,
    "warm_fit": warm_fit,
    "large_table": lambda contender: one_fit(contender, *random_table(1_000_000, 30), (64, 32), 1, 1024),
    "mnist_dense": mnist_dense,
    "mnist_convolutional": mnist_convolutional,
    "recurrent": lambda contender: steps_of_its_own(contender, "recurrent"),
    "embedding": lambda contender: steps_of_its_own(contender, "embedding"),
    "own_layers": lambda contender: steps_of_its_own(contender, "own layers"),
    "predict_many": lambda contender: predict(contender, 100_000, 100),
    "serve_hundred": serve_hundred,
    "memory_of_fits": memory_of_fits,
    "memory_of_architectures": memory_of_architectures,
    "memory_of_programs": lambda contender: memory_of_architectures(contender, 80, engine="compiled"),
    "peak_of_fit": peak_of_fit,
    "peak_of_large_table": lambda contender: peak_of_fit(contender, 1_000_000, 30, 1024),
    "peak_of_fit_validated": lambda contender: peak_of_fit(
        contender, **({"validation_split": 0.1} if contender == "skdl" else {"early_stopping": True})
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("contender")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    measured = WORKLOADS[args.workload](args.contender)
    sys.stdout.write(json.dumps({"measured": measured}) + "\n")


if __name__ == "__main__":
    main()
