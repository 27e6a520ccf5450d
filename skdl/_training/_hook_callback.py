"""The hooks of a training as a callback of Keras's."""

from skdl._backend import keras


class HookCallback(keras.callbacks.Callback):
    """Calls the hooks of a training of Keras's.

    Parameters
    ----------
    hooks : list of EpochHook
    """

    def __init__(self, hooks):
        super().__init__()
        self.hooks = hooks

    def on_train_begin(self, logs=None):
        """Begin the training."""
        for hook in self.hooks:
            hook.begin(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        """Act before an epoch."""
        for hook in self.hooks:
            hook.epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """Act after an epoch, and stop the training where a hook says so."""
        for hook in self.hooks:
            if hook.epoch_end(epoch, logs):
                self.model.stop_training = True

    def on_train_end(self, logs=None):
        """End the training."""
        for hook in self.hooks:
            hook.end()
