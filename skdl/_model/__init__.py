"""From parameters to a compiled Keras model, and from rows to its outputs."""

from skdl._model._build import (
    PREDICT_PARAMS,
    ModelSpec,
    build,
    check_arguments,
    check_routed_params,
    find_builder,
    is_plain,
    runs_user_code,
)
from skdl._model._compile import acts_on_predict, compile_model, make_callbacks
from skdl._model._dense_state import (
    described_network,
    initial_state,
    keras_model,
    read_state,
    sequential,
    write_state,
)
from skdl._model._outputs import (
    asks_keras,
    check_input,
    count_nan,
    dense_outputs,
    ends_in_probabilities,
    output_shapes,
    predict_outputs,
    widened,
)

__all__ = [
    "PREDICT_PARAMS",
    "ModelSpec",
    "acts_on_predict",
    "asks_keras",
    "build",
    "check_arguments",
    "check_input",
    "check_routed_params",
    "compile_model",
    "count_nan",
    "dense_outputs",
    "described_network",
    "ends_in_probabilities",
    "find_builder",
    "initial_state",
    "is_plain",
    "keras_model",
    "make_callbacks",
    "output_shapes",
    "predict_outputs",
    "read_state",
    "runs_user_code",
    "sequential",
    "widened",
    "write_state",
]
