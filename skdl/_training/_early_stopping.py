"""Early stopping that keeps finite weights."""

import numpy as np

from skdl._backend import keras
from skdl._training._outcome import check_watched


class FiniteEarlyStopping(keras.callbacks.EarlyStopping):
    """Stops early, and takes no epoch as the best whose loss or weights are not finite.

    Keras takes the first epoch whatever its value, and looks at the value of ``monitor`` alone:
    the accuracy of a network that predicts NaN is a number.
    """

    def on_epoch_end(self, epoch, logs=None):
        """Take an epoch that diverged as one without improvement."""
        check_watched(self.monitor, logs or {})
        watched = ("loss", "val_loss", self.monitor)
        values = [value for name, value in (logs or {}).items() if name in watched]
        if np.isfinite(values).all() and _all_finite(self.model.weights):
            super().on_epoch_end(epoch, logs)
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True


def _all_finite(weights):
    # As float32, since NumPy knows no bfloat16 of its own.
    return all(np.isfinite(np.asarray(weight, np.float32)).all() for weight in weights)
