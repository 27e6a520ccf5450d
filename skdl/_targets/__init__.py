"""The target of a fit: what it is, which output fits it, how it is encoded."""

from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder, StandardizedTargetEncoder
from skdl._targets._metrics import meant
from skdl._targets._output import (
    check_probabilities,
    output_function,
    probabilities,
    read_loss,
    takes_one_hot,
)
from skdl._targets._target import DiscreteTarget, NumberTarget, OneHotTarget, Target, is_one_hot, learnt_by

__all__ = [
    "ClassifierLabelEncoder",
    "DiscreteTarget",
    "NumberTarget",
    "OneHotTarget",
    "RegressorTargetEncoder",
    "StandardizedTargetEncoder",
    "Target",
    "check_probabilities",
    "is_one_hot",
    "learnt_by",
    "meant",
    "output_function",
    "probabilities",
    "read_loss",
    "takes_one_hot",
]
