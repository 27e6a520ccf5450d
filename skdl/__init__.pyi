"""The public names of skdl. `__init__.py` reads them here, as type checkers and editors do."""

from skdl._diagnosis import Diagnosis as Diagnosis
from skdl._diagnosis import diagnose as diagnose
from skdl._display import HistoryDisplay as HistoryDisplay
from skdl._display import MisclassifiedDisplay as MisclassifiedDisplay
from skdl._display import SearchDisplay as SearchDisplay
from skdl._engine import clear_caches as clear_caches
from skdl._engine import set_cache_limit as set_cache_limit
from skdl._estimators._networks import CNNClassifier as CNNClassifier
from skdl._estimators._networks import DNNClassifier as DNNClassifier
from skdl._estimators._networks import DNNRegressor as DNNRegressor
from skdl._estimators._wrappers import BaseWrapper as BaseWrapper
from skdl._estimators._wrappers import KerasClassifier as KerasClassifier
from skdl._estimators._wrappers import KerasRegressor as KerasRegressor
from skdl._onnx import to_onnx as to_onnx
from skdl._persistence._files import load as load
from skdl._persistence._files import save as save
from skdl._pipeline import Pipeline as Pipeline
from skdl._pipeline import make_pipeline as make_pipeline
from skdl._tabular._tabular import TabularClassifier as TabularClassifier
from skdl._tabular._tabular import TabularRegressor as TabularRegressor
from skdl._targets._encoders import ClassifierLabelEncoder as ClassifierLabelEncoder
from skdl._targets._encoders import RegressorTargetEncoder as RegressorTargetEncoder

__version__: str
