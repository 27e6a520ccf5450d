"""The estimators: a signature and a builder each, over one base."""

from skdl._estimators._convolutional import CNNClassifier
from skdl._estimators._dense import DNNClassifier, DNNRegressor
from skdl._estimators._tabular import TabularClassifier, TabularRegressor
from skdl._estimators._wrappers import BaseWrapper, KerasClassifier, KerasRegressor

__all__ = [
    "BaseWrapper",
    "CNNClassifier",
    "DNNClassifier",
    "DNNRegressor",
    "KerasClassifier",
    "KerasRegressor",
    "TabularClassifier",
    "TabularRegressor",
]
