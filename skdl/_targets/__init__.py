"""The target of a fit: its kind, the output layer that fits it, and its encoding."""

from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder, StandardizedTargetEncoder
from skdl._targets._metrics import fitting_metric
from skdl._targets._output import (
    SHORT_NAMES,
    check_probabilities,
    output_function,
    probabilities,
    read_loss,
    takes_one_hot,
)
from skdl._targets._target import (
    DiscreteTarget,
    NumberTarget,
    OneHotTarget,
    Target,
    encoder_metadata,
    is_one_hot,
)

__all__ = [
    "SHORT_NAMES",
    "ClassifierLabelEncoder",
    "DiscreteTarget",
    "NumberTarget",
    "OneHotTarget",
    "RegressorTargetEncoder",
    "StandardizedTargetEncoder",
    "Target",
    "check_probabilities",
    "encoder_metadata",
    "fitting_metric",
    "is_one_hot",
    "output_function",
    "probabilities",
    "read_loss",
    "takes_one_hot",
]
