"""The accuracy of several labels. Imported where it is used, since its base is Keras's."""

from skdl._backend import keras

ops = keras.ops


def all_right(y_true, y_pred, threshold=0.5):
    """Return for each row whether all of its labels are right: 1 or 0.

    Parameters
    ----------
    y_true, y_pred : tensor of shape (n_rows, n_labels)
    threshold : float, default=0.5
        A label is predicted where the output is above it.
    """
    predicted = ops.cast(y_pred > threshold, y_pred.dtype)
    return ops.cast(ops.all(ops.equal(ops.cast(y_true, y_pred.dtype), predicted), axis=-1), y_pred.dtype)


@keras.saving.register_keras_serializable("skdl")
class SubsetAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of the rows in which every label is right, as `sklearn.metrics.accuracy_score` has it.

    Parameters
    ----------
    name : str, default="accuracy"
    dtype : str or keras.DTypePolicy, default=None
    threshold : float, default=0.5
        A label is predicted where the output is above it.
    """

    def __init__(self, name="accuracy", dtype=None, threshold=0.5):
        super().__init__(fn=all_right, name=name, dtype=dtype, threshold=threshold)
        self.threshold = threshold
        self._direction = "up"  # more is better, for callbacks

    def get_config(self):
        """Return the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}
