"""The target of a fit: what it is, which output fits it, how it is encoded."""

from skdl._targets._encoders import ClassifierLabelEncoder, RegressorTargetEncoder, StandardizedTargetEncoder
from skdl._targets._output import probabilities
from skdl._targets._target import DiscreteTarget, NumberTarget, Target, learnt_by

__all__ = [
    "ClassifierLabelEncoder",
    "DiscreteTarget",
    "NumberTarget",
    "RegressorTargetEncoder",
    "StandardizedTargetEncoder",
    "Target",
    "learnt_by",
    "probabilities",
]
