"""Losses of ensembles whose members are trained each for itself."""

from skdl._backend import keras

ops = keras.ops
register = keras.saving.register_keras_serializable("skdl")


class _MemberLoss(keras.losses.Loss):
    """Mean over the members of a fold; one number for each row and fold.

    Folds are independent of each other: what is added up here is what each would be trained on
    alone.
    """

    def call(self, y_true, y_pred):
        """Return losses of shape (n_rows, n_folds).

        Parameters
        ----------
        y_true : tensor of shape (n_rows, n_folds) or (n_rows, n_folds, n_outputs)
        y_pred : tensor of shape (n_rows, n_folds, n_members, n_outputs)
        """
        return ops.mean(self.of_members(y_true, y_pred), axis=2)


@register
class MemberCrossentropy(_MemberLoss):
    """Cross-entropy of integer classes and logarithms of probabilities."""

    def of_members(self, y_true, y_pred):
        """Return losses of shape (n_rows, n_folds, n_members)."""
        hit = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        return -ops.sum(hit[:, :, None] * y_pred, axis=-1)


@register
class MemberSquaredError(_MemberLoss):
    """Squared error, averaged over the outputs."""

    def of_members(self, y_true, y_pred):
        """Return losses of shape (n_rows, n_folds, n_members)."""
        return ops.mean(ops.square(y_true[:, :, None] - y_pred), axis=-1)
