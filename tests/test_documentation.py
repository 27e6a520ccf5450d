"""Docstrings say what the signatures say."""

import inspect
import operator
import re
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.nodes import system_message
from numpydoc.validate import ERROR_MSGS, validate
from sklearn.base import BaseEstimator, is_classifier, is_regressor

import skdl

# What numpydoc would like besides: examples, "See Also" and long summaries everywhere, a
# description for each X and y, and a capital for names such as "scikit-learn".
NOT_ASKED = {"ES01", "EX01", "SA01", "SA03", "PR07", "RT02", "RT03", "GL01"}
ESTIMATORS = [
    cls
    for name in skdl.__all__
    if inspect.isclass(cls := getattr(skdl, name)) and issubclass(cls, skdl.BaseWrapper | BaseEstimator)
]
NETWORKS = [cls for cls in ESTIMATORS if not issubclass(cls, skdl.Pipeline)]


def names():
    """Every public class and function, and every public method of these that skdl defines."""
    for name in skdl.__all__:
        thing = getattr(skdl, name)
        yield f"skdl.{name}"
        for method in dir(thing) if inspect.isclass(thing) else ():
            function = inspect.unwrap(getattr(thing, method, None) or len)
            if method[0] != "_" and callable(function) and (function.__module__ or "").startswith("skdl"):
                yield f"skdl.{name}.{method}"


@pytest.mark.parametrize("name", list(names()))
def test_a_docstring_has_the_parameters_of_the_signature(name):
    asked = set(ERROR_MSGS) - NOT_ASKED
    if name == "skdl.Diagnosis":
        asked -= {"PR01"}  # a dataclass, whose parameters are its attributes
    assert [error for error in validate(name)["errors"] if error[0] in asked] == []


def test_the_tables_of_docstrings_are_read_as_tables():
    for name in names():
        doc = inspect.getdoc(operator.attrgetter(name.partition(".")[2])(skdl))
        tree = publish_doctree(doc, settings_overrides={"warning_stream": False})
        # The roles and sections of Sphinx and numpydoc are unknown to docutils alone.
        messages = [message.astext() for message in tree.findall(system_message)]
        assert [message for message in messages if "Malformed table" in message] == [], name


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: cls.__name__)
def test_a_docstring_has_the_defaults_of_the_signature(cls):
    written = dict(re.findall(r"^    (\w+) : .*, default=(.+)$", cls.__doc__, re.M))
    defaults = {
        name: f'"{p.default}"' if isinstance(p.default, str) else repr(p.default)
        for name, p in inspect.signature(cls).parameters.items()
        if p.kind is not p.VAR_KEYWORD
    }
    assert written == defaults


@pytest.mark.parametrize("cls", NETWORKS, ids=lambda cls: cls.__name__)
def test_a_docstring_speaks_of_its_own_kind_of_target(cls):
    assert not re.search(r"\{\w+\}", cls.__doc__.replace('{"', ""))
    assert is_classifier(cls()) or "class_weight" not in cls.__doc__
    assert is_classifier(cls()) or "stratified" not in cls.__doc__
    assert not is_regressor(cls()) or "cross-entropy" not in cls.__doc__
    assert not is_classifier(cls()) or "mean squared error" not in cls.__doc__


def test_the_reference_lists_all_public_names():
    page = (Path(__file__).parent.parent / "docs" / "reference" / "index.rst.in").read_text()
    listed = re.findall(r"^   ([A-Za-z_]+)$", page, re.M)
    # docs/conf.py puts in their place what these folders define.
    listed.remove("ESTIMATORS")
    folders = ("skdl._estimators.", "skdl._tabular.")
    listed += [name for name, module in skdl._DEFINED_IN.items() if module.startswith(folders)]
    assert sorted(listed) == skdl.__all__
