"""What the package is to those who install, import and change it."""

import ast
import re
import subprocess
import sys
import textwrap
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skdl

ROOT = Path(__file__).parent.parent


def table_of_modules():
    """Return for each module of the table in ARCHITECTURE.md those that it may import from."""
    lines = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.M)
    return {module: set(re.findall(r"`(\w+)`", allowed)) for module, allowed in lines}


# There are no cycles.
ALLOWED = table_of_modules()

# Underscored attributes of other objects, and why they are no private names of Keras or TensorFlow.
UNDERSCORED = {
    "_replace": "of named tuples, documented by Python",
    "_getframe": "of sys, documented by Python",
    "_parameter_constraints": "scikit-learn's protocol for its estimators",
    "_prefixes": "skdl's, of the mixin for routed parameters",
    "_routed_params": "skdl's, of the mixin for routed parameters",
    "_layers": "skdl's, of DNNClassifier, which DNNRegressor has too",
    "_split_validation": "skdl's, between a Pipeline and its last step",
    "_fit_all": "skdl's, between a Pipeline and one inside",
    "_onnx_parts": "skdl's, between to_onnx and an estimator",
    **dict.fromkeys(
        (
            "_can_fit_resample",
            "_can_fit_transform",
            "_check_method_params",
            "_final_estimator",
            "_fit_resample_one",
            "_fit_transform_one",
            "_get_metadata_for_step",
            "_validate_steps",
        ),
        "of imbalanced-learn's Pipeline, which skdl's extends",
    ),
}


def modules():
    return {
        path.relative_to(ROOT / "skdl").with_suffix("").parts[0]: path
        for path in sorted((ROOT / "skdl").rglob("*.py"))
        if path.name != "__init__.py" or path.parent.name != "skdl"
    }


def sources(module):
    folder = ROOT / "skdl" / module
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def imported(path):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**{k: v for k, v in __import__("os").environ.items() if k[:3] != "TF_"}, **environment},
    )


def test_every_module_is_in_the_table():
    assert set(modules()) == set(ALLOWED)


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_from_those_in_the_table(module):
    names = {name for path in sources(module) for name in imported(path) if name.startswith("skdl.")}
    assert {name.split(".")[1] for name in names} - {module} == ALLOWED[module]


def test_there_are_no_cycles_between_files():
    def dotted(path):
        return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    paths = {dotted(path): path for path in (ROOT / "skdl").rglob("*.py") if path.parent.name != "skdl"}
    paths |= {dotted(path): path for path in (ROOT / "skdl").glob("_*.py") if path.name != "__init__.py"}
    graph = {}
    for name, path in paths.items():
        found = {each for each in imported(path) if each in paths}
        # "from package import module" is no use of what the package itself defines.
        graph[name] = {each for each in found if not (each in name and any(f"{each}." in f for f in found))}
    assert len(list(TopologicalSorter(graph).static_order())) == len(paths)


@pytest.mark.parametrize("module", ["_engine", "_model", "_targets", "_training"])
def test_below_the_estimators_no_one_looks_into_an_estimator(module):
    looked_at = [
        f"{path.name}:{node.lineno}"
        for path in sources(module)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and "estimator" in (getattr(node.value, "id", ""), getattr(node.value, "attr", ""))
    ]
    assert looked_at == []


def test_no_two_files_have_one_name():
    names = [path.name for path in (ROOT / "skdl").rglob("*.py") if path.name != "__init__.py"]
    assert {name for name in names if names.count(name) > 1} == set()


def test_no_module_imports_scikeras():
    importers = {
        module
        for module in ALLOWED
        for path in sources(module)
        if any(name.split(".")[0] == "scikeras" for name in imported(path))
    }
    assert importers == set()


def private_names(path):
    """Attributes in a file that only their own object's class should know."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Attribute) or (node.attr[:2] == "__" and node.attr[-2:] == "__"):
            continue
        of = node.value
        own = getattr(of, "id", "") in ("self", "cls") or ast.unparse(of).startswith("super(")
        if node.attr == "src" or (node.attr.startswith("_") and not own and node.attr not in UNDERSCORED):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_private_names_of_keras_and_tensorflow_are_in_one_place():
    private = ROOT / "skdl" / "_backend" / "private.py"
    files = [path for path in (ROOT / "skdl").rglob("*.py") if path != private]
    assert [found for path in files for found in private_names(path)] == []
    # The search itself finds such names.
    assert any("optimizer._var_key" in found for found in private_names(private))
    assert any("function._clone" in found for found in private_names(private))


def test_importing_skdl_imports_no_tensorflow():
    code = "import sys, skdl; print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    assert python(code).stdout.strip() == "[]"


def test_first_use_is_quiet_and_leaves_the_environment_alone():
    code = (
        "import os, numpy as np, skdl;"
        "clf = skdl.DNNClassifier((3,), epochs=1, random_state=0);"
        "clf.fit(np.eye(8), np.arange(8) % 2).predict(np.eye(8));"
        "print([name for name in os.environ if name.startswith('TF_')])"
    )
    done = python(code)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_tensorflows_chatter_is_kept_where_the_user_asks_for_it():
    assert "oneDNN" in python("from skdl._backend import tf; tf.constant", TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_errors_of_the_import_are_not_held_back():
    code = (
        "import sys, os;"
        "from importlib.abc import MetaPathFinder\n"
        "class Broken(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'tensorflow':\n"
        "            os.write(2, b'E0000 00:00:1.0 1 x.cc:1] the reason\\n')\n"
        "            raise ImportError('broken')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "try:\n    from skdl._backend import tf\n    tf.constant\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = python(code)
    assert (done.stdout.strip(), "the reason" in done.stderr) == ("broken", True)


BESIDE_SCIKERAS = """
    import pickle
    import keras
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    print(keras.Model.__reduce__.__module__, pickle.loads(pickle.dumps(model)).count_params())
    import scikeras.wrappers
    print(scikeras.wrappers.KerasClassifier.__module__)
"""


def test_skdl_leaves_keras_as_it_is_and_scikeras_works_as_ever_after_it():
    code = """
        import keras
        kinds = keras.Model, keras.losses.Loss, keras.metrics.Metric, keras.optimizers.Optimizer
        before = [kind.__reduce__ for kind in kinds]
        import skdl
        skdl.KerasClassifier
        import skdl._scikeras
        print(before == [kind.__reduce__ for kind in kinds], hasattr(keras.Model, "__deepcopy__"))
        import scikeras.wrappers
    """
    done = python(textwrap.dedent(code) + textwrap.dedent(BESIDE_SCIKERAS), TF_CPP_MIN_LOG_LEVEL="3")
    expected = ["True", "False", "scikeras._saving_utils", "3", "scikeras.wrappers"]
    assert done.stdout.split() == expected, done.stderr


def test_scikeras_works_as_ever_before_skdl_and_networks_are_saved_and_copied_beside_it(tmp_path):
    """Importing scikeras replaces methods of Keras's classes, for the whole process."""
    code = """
        import copy
        import numpy as np, skdl
        from sklearn.base import clone

        X, y = np.random.default_rng(0).random((60, 3)), np.arange(60) % 2
        layers = [keras.Input((3,)), keras.layers.Dropout(0.5, seed=0), keras.layers.Dense(1, "sigmoid")]
        model = keras.Sequential(layers)
        model.compile("sgd", keras.losses.BinaryCrossentropy(), metrics=[keras.metrics.MeanSquaredError()])
        for clf in (skdl.DNNClassifier((4,), epochs=1), skdl.KerasClassifier(model, epochs=1)):
            clf.fit(X, y)
            skdl.save(clf, PATH)
            copies = copy.deepcopy(clf), pickle.loads(pickle.dumps(clf)), skdl.load(PATH)
            further = [each.partial_fit(X, y).predict_proba(X) for each in (clf, *copies)]
            print(all(map(np.array_equal, further, further[1:])))
            clone(clf).fit(X, y)
    """
    head = f"PATH = {str(tmp_path / 'clf.skdl')!r}\nimport scikeras.wrappers, skdl._scikeras"
    parts = head, textwrap.dedent(BESIDE_SCIKERAS), textwrap.dedent(code)
    done = python("\n".join(parts), TF_CPP_MIN_LOG_LEVEL="3")
    expected = ["scikeras._saving_utils", "3", "scikeras.wrappers", "True", "True"]
    assert done.stdout.split() == expected, done.stderr


@pytest.mark.parametrize("name", skdl.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name in dir(skdl)
    assert getattr(skdl, name).__doc__.strip()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'skdl' has no attribute 'DNNClasifier'"):
        skdl.DNNClasifier  # noqa: B018


@pytest.mark.parametrize("name", [n for n in skdl.__all__ if n.endswith(("Classifier", "Regressor"))])
def test_an_estimator_is_at_most_four_classes_deep(name):
    def depth(cls):
        return cls.__module__.startswith("skdl.") and 1 + max(map(depth, cls.__bases__), default=0)

    assert depth(getattr(skdl, name)) <= 4


def test_no_file_is_a_drawer():
    assert not list((ROOT / "skdl").rglob("*util*"))


def test_the_changelog_names_the_version_in_work():
    assert re.search(
        r"^## (Unreleased|" + re.escape(skdl.__version__) + ")", (ROOT / "CHANGELOG.md").read_text(), re.M
    )


def test_the_architecture_page_names_what_is_in_the_files():
    named = re.findall(r"`([\w.]+)` in `(\w+/)?(\w+\.py)`", (ROOT / "ARCHITECTURE.md").read_text())
    files = {path.name: path for path in (ROOT / "skdl").rglob("*.py") if path.name != "__init__.py"}
    missing = [
        (name, file)
        for name, _, file in named
        if not re.search(rf"\b(def|class) {name.split('.')[-1]}\b", files[file].read_text())
    ]
    assert len(named) > 30
    assert missing == []
