"""The network of the tabular estimators as a Keras model: layer, losses, learning rate.

`skdl._tabular._fold_networks` computes the same in NumPy, and draws the weights, which are zero until
`set_state`. The model is made where Keras trains, and where ``model_`` is asked for.
"""

import math

from skdl._backend import keras
from skdl._tabular._fold_networks import BETA_1, BETA_2, EPSILON, TabularNetwork

ops = keras.ops
register = keras.saving.register_keras_serializable("skdl")


@register
class FoldNetworks(keras.layers.Layer):
    """All members of the networks of all folds, by products of matrices over the folds.

    Arrays have the axes (folds, members, rows, features). Each number x is followed by periodic functions
    W2 cos(2 pi w1 x + b1) + b2: "PBLD" of Holzmüller et al. 2024, arXiv 2407.04491, after Gorishniy et al.
    2022, arXiv 2203.05556. The members of a fold share all weights but a scaling of the features and the last
    layer: "TabM-mini" of Gorishniy et al. 2025, arXiv 2410.24210. Weights are those of the neural-tangent
    parametrisation: they are multiplied by a constant. So one learning rate fits all of them.

    In training the outputs have the shape (n_rows, n_folds, n_members, n_units), since each member has a loss
    of its own. Otherwise they are averaged over the members, of which one is left; of classes the
    probabilities are averaged, whose logarithms are the outputs.
    """

    def __init__(self, network, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.network = TabularNetwork(*network)  # given as a list by a configuration
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, input_shape):
        """Make the weights."""
        self.parts = [
            self.add_weight((self.network.n_folds, *v.shape), "zeros", name=v.name)
            for v in self.network.variables()
        ]

    def call(self, x, training=False):
        """Return outputs for rows of shape (n_rows, n_folds, n_features)."""
        sizes, variables = self.network, self.network.variables()
        w = {v.name: part * v.rate for v, part in zip(variables, self.parts, strict=True)}
        x = ops.transpose(x, (1, 0, 2))
        if sizes.n_numeric:
            numbers = ops.transpose(x[..., : sizes.n_numeric], (0, 2, 1))[:, :, None]
            waves = ops.cos(2 * math.pi * numbers * w["frequencies"] + w["phases"])
            waves = ops.matmul(ops.transpose(w["waves"], (0, 1, 3, 2)), waves) + w["waves_bias"]
            waves = ops.reshape(waves, (sizes.n_folds, waves.shape[1] * waves.shape[2], -1))
            x = ops.concatenate([x, ops.transpose(waves, (0, 2, 1))], axis=-1)
        x = x[:, None] * w["scale"]
        # The rows of all members of a fold go through one product.
        x = ops.reshape(x, (sizes.n_folds, -1, x.shape[-1]))
        for i in range(len(sizes.hidden)):
            x = ops.silu(ops.matmul(x, w[f"kernel_{i}"]) + w[f"bias_{i}"])
            x = self.dropout(x, training=training)
        x = ops.reshape(x, (sizes.n_folds, sizes.n_members, -1, x.shape[-1]))
        x = ops.transpose(ops.matmul(x, w["output"]) + w["output_bias"], (2, 0, 1, 3))
        if sizes.classify:
            x = ops.log_softmax(x, axis=-1)
        if training:
            return x
        if sizes.classify:
            return ops.logsumexp(x, axis=2, keepdims=True) - math.log(sizes.n_members)
        return ops.mean(x, axis=2, keepdims=True)


# Each fold is trained as it would be alone: losses have the shape (n_rows, n_folds), and are the means over
# the members, for predictions of shape (n_rows, n_folds, n_members, n_outputs).


@register
class MemberCrossentropy(keras.losses.Loss):
    """Cross-entropy of integer classes and logarithms of probabilities."""

    def call(self, y_true, y_pred):
        """Return the losses."""
        hit = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        return ops.mean(-ops.sum(hit[:, :, None] * y_pred, axis=-1), axis=2)


@register
class MemberSquaredError(keras.losses.Loss):
    """Squared error, averaged over the outputs."""

    def call(self, y_true, y_pred):
        """Return the losses."""
        return ops.mean(ops.square(y_true[:, :, None] - y_pred), axis=(2, 3))


def keras_network(network, dropout=0.0):
    """Return the Keras model of a `TabularNetwork`, not compiled, with weights of zero.

    It maps (n_rows, n_folds, n_features) to (n_rows, n_folds, 1, n_units).
    """
    inputs = keras.Input((network.n_folds, network.n_features))
    # There is no half precision, also under a mixed policy.
    layer = FoldNetworks(network, dropout, dtype=keras.config.dtype_policy().variable_dtype)
    return keras.Model(inputs, layer(inputs))


def set_state(model, state):
    """Give a model of `keras_network` the weights of a `TabularState`, and compile it for its training."""
    model.set_weights(state.get_weights())
    rate, schedule = float(state.learning_rate), state.schedule()
    if schedule is not None:
        rate = keras.optimizers.schedules.CosineDecay(**schedule)
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=float(state.weight_decay), beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "phases"])
    # Keras numbers losses without a name.
    classify = state.network.classify
    model.compile(optimizer, MemberCrossentropy(name="loss") if classify else MemberSquaredError(name="loss"))
