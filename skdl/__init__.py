"""Keras networks that are true scikit-learn estimators."""

import ast
import importlib
from pathlib import Path

__version__ = "0.1.0"

# Public name -> the module that defines it, from the imports in __init__.pyi. A name is loaded on first use
# (PEP 562), so that ``import skdl`` does not take the time of scikit-learn's import.
_DEFINED_IN = {
    alias.name: statement.module
    for statement in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    if isinstance(statement, ast.ImportFrom)
    for alias in statement.names
}

__all__ = sorted(_DEFINED_IN)


def __getattr__(name):
    if name not in _DEFINED_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_DEFINED_IN[name]), name)
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
