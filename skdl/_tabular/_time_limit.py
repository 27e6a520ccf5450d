"""Training that ends in time."""

import math
import time

from skdl._backend import keras
from skdl._tabular._network import RISE


class TimedDecay(keras.callbacks.Callback):
    """End the training within a time limit, and let the learning rate fall to zero by then.

    Parameters
    ----------
    learning_rate : float
        The highest one.
    epochs : int
        After which the training ends anyway.
    seconds : float
        After ``started``.
    started : float
        As of ``time.perf_counter``.

    Notes
    -----
    It acts between epochs, and one epoch is always trained.
    """

    def __init__(self, learning_rate, epochs, seconds, started):
        super().__init__()
        self.learning_rate, self.epochs = learning_rate, epochs
        self.seconds, self.started = seconds, started
        self.first = None

    def on_epoch_begin(self, epoch, logs=None):
        """Set the learning rate by the epochs trained or the time gone, whichever is further."""
        now = time.perf_counter()
        if self.first is None:
            self.first = now
        gone = (now - self.first) / max(self.started + self.seconds - self.first, 1e-9)
        progress = min(max((epoch + 0.5) / self.epochs, gone), 1.0)
        self.model.optimizer.learning_rate = self.learning_rate * min(
            progress / RISE, 0.5 * (1 + math.cos(math.pi * progress))
        )
        self.begun = now

    def on_epoch_end(self, epoch, logs=None):
        """Stop where another epoch would end too late."""
        now = time.perf_counter()
        # The first one includes what TensorFlow compiles.
        another = (now - self.begun) * (0.5 if epoch == 0 else 1)
        if now + another > self.started + self.seconds:
            self.model.stop_training = True
