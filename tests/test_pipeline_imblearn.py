"""imblearn's own tests of its Pipeline, as installed, with skdl's Pipeline in its place."""

import importlib.util
import sys
from collections.abc import Collection

import imblearn.pipeline
import pytest
from imblearn.tests import test_pipeline as upstream

import skdl._pipeline

# Does not apply: it asserts an error that imblearn raises for scikit-learn before 1.4.
OF_OLD_SKLEARN = "test_transform_input_sklearn_version"

# test_pipeline_memory_transformer fits a LogisticRegression that does not converge, with imblearn's
# own Pipeline too.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _with_skdl(tests):
    """Run the file of the test module again, so that what is made at its import is skdl's too."""
    spec = importlib.util.spec_from_file_location(f"{tests.__name__}_with_skdl", tests.__file__)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its classes are pickled: by `memory`
    with pytest.MonkeyPatch.context() as patch:
        for name in ("Pipeline", "make_pipeline"):
            patch.setattr(imblearn.pipeline, name, getattr(skdl._pipeline, name))
        spec.loader.exec_module(module)
    return module


def _listed(mark):
    # imblearn 0.14.2 parametrizes one test by a generator, which pytest 9 deprecates.
    if mark.name == "parametrize" and not isinstance(mark.args[1], Collection):
        return pytest.mark.parametrize(mark.args[0], list(mark.args[1])).mark
    return mark


module = _with_skdl(upstream)
collected = {
    name: test for name, test in vars(module).items() if name.startswith("test_") and name != OF_OLD_SKLEARN
}
for test in collected.values():
    test.pytestmark = [_listed(mark) for mark in getattr(test, "pytestmark", [])]
globals().update(collected)
del test  # or pytest collects the loop's variable


def test_of_imblearn_none_is_left_out():
    defined = {name for name in vars(upstream) if name.startswith("test_")}
    assert defined - set(collected) == {OF_OLD_SKLEARN}
    assert len(collected) >= 50


def test_of_imblearn_none_is_skipped():
    for name, test in collected.items():
        for mark in test.pytestmark:
            assert mark.name not in ("skip", "xfail"), name
            assert mark.name != "skipif" or not any(mark.args), name


def test_of_imblearn_all_see_the_pipeline_of_skdl():
    assert module.Pipeline is skdl._pipeline.Pipeline
    assert module.make_pipeline is skdl._pipeline.make_pipeline
    pipelines = [
        argument
        for mark in collected["test_verbose"].pytestmark
        for arguments in mark.args[1]
        for argument in arguments
        if isinstance(argument, imblearn.pipeline.Pipeline)
    ]
    assert pipelines
    assert all(isinstance(pipeline, skdl._pipeline.Pipeline) for pipeline in pipelines)
