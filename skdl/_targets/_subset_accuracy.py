"""The accuracy of several labels; imported where it is used, since the class derives from Keras's."""

from skdl._backend import keras

ops = keras.ops


def all_right(y_true, y_pred, threshold=0.5):
    """Return 1 for each row whose labels are all right, else 0."""
    predicted = ops.cast(y_pred > threshold, y_pred.dtype)
    return ops.cast(ops.all(ops.equal(ops.cast(y_true, y_pred.dtype), predicted), axis=-1), y_pred.dtype)


@keras.saving.register_keras_serializable("skdl")
class SubsetAccuracy(keras.metrics.MeanMetricWrapper):
    """Share of the rows whose labels are all right, as of `sklearn.metrics.accuracy_score`."""

    def __init__(self, name="accuracy", dtype=None, threshold=0.5):
        super().__init__(fn=all_right, name=name, dtype=dtype, threshold=threshold)
        self.threshold = threshold
        self._direction = "up"  # more is better, for callbacks

    def get_config(self):
        """Return the arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}
