"""From parameters to a compiled Keras model, and from rows to its outputs."""

from skdl._model._arguments import PREDICT_PARAMS, check_arguments
from skdl._model._builder import build, find_builder, runs_user_code
from skdl._model._callbacks import acts_on_predict, make_callbacks
from skdl._model._compile import compile_model
from skdl._model._networks import cnn, mlp
from skdl._model._predict import count_nan, predict_outputs
from skdl._model._shapes import check_input, output_shapes
from skdl._model._spec import ModelSpec

__all__ = [
    "PREDICT_PARAMS",
    "ModelSpec",
    "acts_on_predict",
    "build",
    "check_arguments",
    "check_input",
    "cnn",
    "compile_model",
    "count_nan",
    "find_builder",
    "make_callbacks",
    "mlp",
    "output_shapes",
    "predict_outputs",
    "runs_user_code",
]
