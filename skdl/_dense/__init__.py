"""Dense networks in NumPy: Keras's arithmetic without TensorFlow."""

from skdl._dense._chain import Network, NotDense
from skdl._dense._evaluate import evaluate, predict
from skdl._dense._optimizers import OPTIMIZERS, finish_training
from skdl._dense._reading import MEASURES, network_of
from skdl._dense._row_losses import SCORES
from skdl._dense._state import State, blank_state, initial_state, n_seeds
from skdl._dense._train_epoch import train_epoch

__all__ = [
    "MEASURES",
    "OPTIMIZERS",
    "SCORES",
    "Network",
    "NotDense",
    "State",
    "blank_state",
    "evaluate",
    "finish_training",
    "initial_state",
    "n_seeds",
    "network_of",
    "predict",
    "train_epoch",
]
