"""Types of the public signatures, for type checkers and editors."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

import numpy as np

if TYPE_CHECKING:
    import keras

# Arrays, sparse matrices, DataFrames of any library, nested lists: what scikit-learn takes.
MatrixLike: TypeAlias = Any
ArrayLike: TypeAlias = Any

Model: TypeAlias = "Callable[..., Any] | keras.Model"
Optimizer: TypeAlias = "str | keras.optimizers.Optimizer | type[keras.optimizers.Optimizer]"
LearningRate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"
Loss: TypeAlias = "str | Callable[..., Any] | keras.losses.Loss"
Losses: TypeAlias = "Loss | list[Loss] | Mapping[str, Loss]"
Metric: TypeAlias = "str | Callable[..., Any] | keras.metrics.Metric"
Metrics: TypeAlias = "Metric | Iterable[Any] | Mapping[str, Any]"
Callback: TypeAlias = "keras.callbacks.Callback | type[keras.callbacks.Callback]"
Callbacks: TypeAlias = "Callback | Iterable[Callback] | Mapping[str, Callback]"
ClassWeight: TypeAlias = "Mapping[Any, float] | list[Mapping[Any, float]] | Literal['balanced']"
Sizes: TypeAlias = int | Iterable[int]
RandomState: TypeAlias = int | np.random.RandomState
Engine: TypeAlias = Literal["auto", "numpy", "compiled", "keras"]
Scoring: TypeAlias = str | Callable[..., float]
Verbose: TypeAlias = int | Literal["auto"]


class Splitter(Protocol):
    """A splitter of scikit-learn, such as ``GroupShuffleSplit(1)``."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Return pairs of positions: rows to train on, rows to validate on."""

    def get_n_splits(self, *args: Any, **kwargs: Any) -> Any:
        """Return the number of these pairs."""


class FitArguments(TypedDict, total=False):
    """Further arguments of `fit`: those of ``keras.Model.fit``."""

    batch_size: Any
    callbacks: Any
    class_weight: Any
    epochs: Any
    initial_epoch: Any
    shuffle: Any
    steps_per_epoch: Any
    validation_batch_size: Any
    validation_data: Any
    validation_freq: Any
    validation_split: Any
    validation_steps: Any
    verbose: Any


class PredictArguments(TypedDict, total=False):
    """Further arguments of `predict`: those of ``keras.Model.predict``."""

    batch_size: Any
    callbacks: Any
    steps: Any
    verbose: Any
