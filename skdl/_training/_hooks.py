"""What skdl itself does between the epochs of a training, whichever engine trains."""

import numpy as np

from skdl._training._outcome import check_watched


class EpochHook:
    """Acts between the epochs of a training.

    Attributes
    ----------
    network : keras.Model or skdl._dense.State
        What is trained; has ``get_weights`` and ``set_weights``.
    asks_estimator : bool
        Whether it asks the estimator for predictions or for a copy after an epoch.
    """

    network = None
    asks_estimator = False

    def begin(self, network):
        """Begin a training."""
        self.network = network

    def epoch_begin(self, epoch):
        """Act before an epoch."""

    def epoch_end(self, epoch, logs):
        """Act after an epoch, and return whether to stop the training.

        Parameters
        ----------
        epoch : int
        logs : dict of str to float
            Losses and metrics of the epoch; what is added becomes part of the history.
        """
        return False

    def end(self):
        """End the training; not called where it fails."""


class EarlyStopping(EpochHook):
    """Stops where a value has not improved for some epochs, and restores the best weights.

    As ``keras.callbacks.EarlyStopping`` with ``restore_best_weights``, but no epoch is the best
    whose losses, value or weights are not finite: the accuracy of a network that predicts NaN is
    a number.

    Parameters
    ----------
    monitor : str
        Name of the value in the history.
    greater_is_better : bool
    patience : int
        Number of epochs.
    """

    def __init__(self, monitor, greater_is_better, patience):
        self.monitor, self.greater_is_better, self.patience = monitor, greater_is_better, patience
        self.best, self.wait, self.best_epoch, self.stopped_epoch = None, 0, 0, 0
        self.best_weights = None

    def epoch_end(self, epoch, logs):
        """Keep the weights of the best epoch, and return whether to stop."""
        check_watched(self.monitor, logs)
        if self.monitor not in logs:  # an epoch without validation
            return False
        if self._improves(logs):
            self.best, self.best_epoch, self.wait = logs[self.monitor], epoch, 0
            self.best_weights = self.network.get_weights()
            return False
        self.wait += 1
        if self.wait < self.patience or epoch == 0:
            return False
        self.stopped_epoch = epoch
        return True

    def _improves(self, logs):
        watched = [logs[name] for name in ("loss", "val_loss", self.monitor) if name in logs]
        if not np.isfinite(watched).all():
            return False
        if self.best is not None:
            gain = logs[self.monitor] - self.best
            if not (gain > 0 if self.greater_is_better else gain < 0):
                return False
        return all_finite(self.network.get_weights())

    def end(self):
        """Restore the weights of the best epoch."""
        if self.best_weights is not None:
            self.network.set_weights(self.best_weights)


def all_finite(weights):
    """Whether all weights are finite numbers."""
    # As float32, since NumPy knows no bfloat16 of its own.
    return all(np.isfinite(np.asarray(each, np.float32)).all() for each in weights if each.dtype.kind in "fV")
