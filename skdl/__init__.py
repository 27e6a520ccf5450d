"""Keras networks that are true scikit-learn estimators."""

import importlib

__version__ = "0.1.0.dev0"

# Public name -> the module that defines it. Loaded on first use (PEP 562), so
# that ``import skdl`` does not pay for the import of TensorFlow.
_HOMES = {
    "BaseWrapper": "_estimators",
    "KerasClassifier": "_estimators",
    "KerasRegressor": "_estimators",
    "DNNClassifier": "_estimators",
    "DNNRegressor": "_estimators",
    "CNNClassifier": "_estimators",
    "ClassifierLabelEncoder": "_targets",
    "RegressorTargetEncoder": "_targets",
    "Pipeline": "_pipeline",
    "make_pipeline": "_pipeline",
    "clear_caches": "_engine",
    "save": "_persistence",
    "load": "_persistence",
    "HistoryDisplay": "_display",
    "MisclassifiedDisplay": "_display",
    "SearchDisplay": "_display",
    "diagnose": "_diagnosis",
    "Diagnosis": "_diagnosis",
}
_SUBMODULES = ("datasets",)

__all__ = sorted([*_HOMES, *_SUBMODULES])


def __getattr__(name):
    if name in _HOMES:
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(set(globals()) | set(__all__))
