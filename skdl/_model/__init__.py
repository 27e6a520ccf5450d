"""From parameters to a compiled Keras model, and from rows to its outputs."""

from skdl._model._arguments import PREDICT_PARAMS, check_arguments, check_routed_params
from skdl._model._builder import build, find_builder, runs_user_code
from skdl._model._callbacks import acts_on_predict, make_callbacks
from skdl._model._compile import compile_model
from skdl._model._dense_state import described_network, initial_state, keras_model, read_state, write_state
from skdl._model._networks import cnn, mlp, sequential
from skdl._model._predict import asks_keras, count_nan, dense_outputs, predict_outputs, widened
from skdl._model._shapes import check_input, ends_in_probabilities, output_shapes
from skdl._model._spec import ModelSpec

__all__ = [
    "PREDICT_PARAMS",
    "ModelSpec",
    "acts_on_predict",
    "asks_keras",
    "build",
    "check_arguments",
    "check_input",
    "check_routed_params",
    "cnn",
    "compile_model",
    "count_nan",
    "dense_outputs",
    "described_network",
    "ends_in_probabilities",
    "find_builder",
    "initial_state",
    "keras_model",
    "make_callbacks",
    "mlp",
    "output_shapes",
    "predict_outputs",
    "read_state",
    "runs_user_code",
    "sequential",
    "widened",
    "write_state",
]
