"""Write the routed parameters that Keras has to `skdl/_estimators/_keras_params.pyi`, for type checkers.

Run ``make keras-params`` after an update of Keras; a test compares the file with the Keras that is
installed.
"""

import inspect
from pathlib import Path

import keras
from sklearn.metrics import accuracy_score, r2_score

from skdl._typing import FitArguments, PredictArguments

FILE = Path(__file__).parent.parent / "skdl" / "_estimators" / "_keras_params.pyi"
HEAD = '''"""Written by docs/make_keras_params.py (``make keras-params``)."""

from typing import Any, TypedDict

class RoutedParams(TypedDict, total=False):
'''


def names_of(function):
    """Return the names of the public keyword parameters of a function."""
    return {
        name
        for name, each in inspect.signature(function).parameters.items()
        if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL, each.POSITIONAL_ONLY) and name[0] != "_"
    }


def names_of_classes(module, base):
    """Return the names of the parameters of all classes of a module that derive from a base class."""
    classes = [cls for cls in vars(module).values() if inspect.isclass(cls) and issubclass(cls, base)]
    # A list of callbacks is no callback that a user gives parameters to.
    classes = [cls for cls in classes if cls is not keras.callbacks.CallbackList]
    made = {parent for cls in classes for parent in cls.__mro__ if "__init__" in vars(parent)} - {object}
    return set().union(*(names_of(cls.__init__) for cls in made)) - {"self"}


def text():
    """Return the content of the file."""
    metrics = names_of(accuracy_score) | names_of(r2_score)
    routed = {
        "optimizer": names_of_classes(keras.optimizers, keras.optimizers.Optimizer),
        "loss": names_of_classes(keras.losses, keras.losses.Loss),
        "metrics": names_of_classes(keras.metrics, keras.metrics.Metric),
        "callbacks": names_of_classes(keras.callbacks, keras.callbacks.Callback),
        "fit": set(FitArguments.__annotations__) - {"class_weight"},
        "predict": set(PredictArguments.__annotations__),
        "score": metrics - {"y_true", "y_pred", "sample_weight"},
    }
    names = [f"{prefix}__{name}" for prefix, group in routed.items() for name in sorted(group)]
    return HEAD + "".join(f"    {name}: Any\n" for name in names)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
