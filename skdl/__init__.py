"""Keras networks that are true scikit-learn estimators."""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Public name -> the module that defines it. Loaded on first use (PEP 562), so
# that ``import skdl`` does not pay for the import of TensorFlow.
_DEFINED_IN = {
    "BaseWrapper": "_estimators",
    "KerasClassifier": "_estimators",
    "KerasRegressor": "_estimators",
    "DNNClassifier": "_estimators",
    "DNNRegressor": "_estimators",
    "CNNClassifier": "_estimators",
    "TabularClassifier": "_estimators",
    "TabularRegressor": "_estimators",
    "ClassifierLabelEncoder": "_targets",
    "RegressorTargetEncoder": "_targets",
    "Pipeline": "_pipeline",
    "make_pipeline": "_pipeline",
    "clear_caches": "_engine",
    "set_cache_limit": "_engine",
    "save": "_persistence._files",
    "load": "_persistence._files",
    "to_onnx": "_onnx",
    "HistoryDisplay": "_display",
    "MisclassifiedDisplay": "_display",
    "SearchDisplay": "_display",
    "diagnose": "_diagnosis",
    "Diagnosis": "_diagnosis",
}
_SUBMODULES = ("datasets",)

__all__ = sorted([*_DEFINED_IN, *_SUBMODULES])

if TYPE_CHECKING:
    # The same names for type checkers and editors; a test compares the two.
    from skdl import datasets as datasets
    from skdl._diagnosis import Diagnosis as Diagnosis
    from skdl._diagnosis import diagnose as diagnose
    from skdl._display import HistoryDisplay as HistoryDisplay
    from skdl._display import MisclassifiedDisplay as MisclassifiedDisplay
    from skdl._display import SearchDisplay as SearchDisplay
    from skdl._engine import clear_caches as clear_caches
    from skdl._engine import set_cache_limit as set_cache_limit
    from skdl._estimators import BaseWrapper as BaseWrapper
    from skdl._estimators import CNNClassifier as CNNClassifier
    from skdl._estimators import DNNClassifier as DNNClassifier
    from skdl._estimators import DNNRegressor as DNNRegressor
    from skdl._estimators import KerasClassifier as KerasClassifier
    from skdl._estimators import KerasRegressor as KerasRegressor
    from skdl._estimators import TabularClassifier as TabularClassifier
    from skdl._estimators import TabularRegressor as TabularRegressor
    from skdl._onnx import to_onnx as to_onnx
    from skdl._persistence._files import load as load
    from skdl._persistence._files import save as save
    from skdl._pipeline import Pipeline as Pipeline
    from skdl._pipeline import make_pipeline as make_pipeline
    from skdl._targets import ClassifierLabelEncoder as ClassifierLabelEncoder
    from skdl._targets import RegressorTargetEncoder as RegressorTargetEncoder
else:
    # Hidden from type checkers, for which every name would exist otherwise.

    def __getattr__(name):
        if name in _DEFINED_IN:
            value = getattr(importlib.import_module(f"{__name__}.{_DEFINED_IN[name]}"), name)
            globals()[name] = value
            return value
        if name in _SUBMODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
