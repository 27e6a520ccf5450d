"""The bridge from the epochs of a training to scikit-learn's callbacks."""

from skdl._backend import keras
from skdl._persistence import copy_model


class EpochTasks(keras.callbacks.Callback):
    """Makes each epoch a task of the fit, on which scikit-learn's callbacks are called.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted; its ``_keep_history`` turns a history into attributes.
    context : sklearn.callback.CallbackContext
        The task of the whole fit.
    **data : dict
        ``X``, ``y`` and ``metadata`` of the training rows, or functions that return them,
        for callbacks that ask for them.
    """

    def __init__(self, estimator, context, **data):
        super().__init__()
        self.estimator, self.context, self.data = estimator, context, data
        self._history = {}

    def on_epoch_begin(self, epoch, logs=None):
        """Open the task of an epoch."""
        self._task = self.context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, epoch, logs=None):
        """Close it, and stop the training where a callback asks for that."""
        for name, value in (logs or {}).items():
            self._history.setdefault(name, []).append(value)
        stop = self._task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self._attributes, **self.data
        )
        if stop:
            self.model.stop_training = True

    def _attributes(self):
        """Return what makes a copy of the estimator as if training ended here.

        With a copy of the model, since the callback may keep it while training goes on.
        """
        return {"model_": copy_model(self.model), **self.estimator._learnt_from(self._history)}
