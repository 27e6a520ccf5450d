"""The network of the tabular estimators as a Keras model: layers, losses, learning rate.

`skdl._tabular._fold_networks` computes the same in NumPy, and draws the weights, which are zero until
`set_state`. The model is made where Keras trains, and where ``model_`` is asked for.

In the network an array has the axes (folds, members, rows, features). All members of all folds are trained
at the same time, by products of matrices over the folds. Weights are those of the neural-tangent
parametrisation: they are multiplied by a constant in the forward pass. So one learning rate fits all of them.
"""

import math

from skdl._backend import keras
from skdl._tabular._fold_networks import (
    BETA_1,
    BETA_2,
    BIAS_RATE,
    EPSILON,
    MEMBER_RATE,
    N_FREQUENCIES,
    N_WAVES,
)

ops = keras.ops
register = keras.saving.register_keras_serializable("skdl")


@register
class PeriodicEmbedding(keras.layers.Layer):
    """Append to the first features, the numeric ones, a few periodic functions of each.

    Feature x becomes [x, W2 cos(2 pi w1 x + b1) + b2], with weights of its own for each fold: "PBLD" of
    Holzmüller et al. 2024, arXiv 2407.04491, after Gorishniy et al. 2022, arXiv 2203.05556.
    """

    def __init__(self, n_numeric, **kwargs):
        super().__init__(**kwargs)
        self.n_numeric = n_numeric

    def build(self, input_shape):
        """Make the weights."""
        each = input_shape[1], self.n_numeric
        self.frequencies = self.add_weight((*each, 1, N_FREQUENCIES), "zeros", name="frequencies")
        self.phases = self.add_weight((*each, 1, N_FREQUENCIES), "zeros", name="phases")
        self.kernel = self.add_weight((*each, N_FREQUENCIES, N_WAVES), "zeros", name="kernel")
        self.bias = self.add_weight((*each, 1, N_WAVES), "zeros", name="bias")

    def call(self, x):
        """Return features of shape (n_rows, n_folds, n_features + n_numeric * N_WAVES)."""
        numeric = ops.transpose(x[..., : self.n_numeric], (1, 2, 0))[..., None]
        waves = ops.cos(2 * math.pi * numeric * self.frequencies + self.phases)
        embedded = (ops.matmul(waves, self.kernel) + self.bias) * (1 / math.sqrt(N_FREQUENCIES))
        embedded = ops.transpose(embedded, (2, 0, 1, 3))
        embedded = ops.reshape(embedded, (-1, x.shape[1], self.n_numeric * N_WAVES))
        return ops.concatenate([x, embedded], axis=-1)


@register
class MemberScale(keras.layers.Layer):
    """Put the folds first, and give each member its own scaling of the features, which starts at random.

    Members share all other weights but the last layer: "TabM-mini" of Gorishniy et al. 2025, arXiv
    2410.24210.
    """

    def __init__(self, n_members, **kwargs):
        super().__init__(**kwargs)
        self.n_members = n_members

    def build(self, input_shape):
        """Make the scalings."""
        _, n_folds, n_inputs = input_shape
        self.scale = self.add_weight((n_folds, self.n_members, 1, n_inputs), "zeros", name="scale")

    def call(self, x):
        """Return features of shape (n_folds, n_members, n_rows, n_features)."""
        return ops.transpose(x, (1, 0, 2))[:, None] * (self.scale * MEMBER_RATE)


@register
class FoldDense(keras.layers.Layer):
    """Compute ``silu(x W / sqrt(n_inputs) + BIAS_RATE b)`` with weights that the members of a fold share."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        """Make kernel and bias."""
        n_folds, n_inputs = input_shape[0], input_shape[-1]
        self.kernel = self.add_weight((n_folds, n_inputs, self.units), "zeros", name="kernel")
        self.bias = self.add_weight((n_folds, 1, self.units), "zeros", name="bias")

    def call(self, x):
        """Return an array of shape (n_folds, n_members, n_rows, units)."""
        n_folds, n_members, _, n_inputs = x.shape
        # The rows of all members of a fold go through one matrix product.
        flat = ops.reshape(x, (n_folds, -1, n_inputs))
        flat = ops.matmul(flat, self.kernel * (1 / math.sqrt(n_inputs))) + self.bias * BIAS_RATE
        return ops.reshape(ops.silu(flat), (n_folds, n_members, -1, self.units))


@register
class MemberOutput(keras.layers.Layer):
    """Last layer, one for each member; with ``probabilities`` its outputs are logarithms of those of classes.

    In training the result has the shape (n_rows, n_folds, n_members, units), since each member has a loss of
    its own. Otherwise it is averaged over the members, of which one is left; of classes the probabilities are
    averaged.
    """

    def __init__(self, units, probabilities=False, **kwargs):
        super().__init__(**kwargs)
        self.units, self.probabilities = units, probabilities

    def build(self, input_shape):
        """Make kernel and bias."""
        n_folds, n_members, _, n_inputs = input_shape
        self.kernel = self.add_weight((n_folds, n_members, n_inputs, self.units), "zeros", name="kernel")
        self.bias = self.add_weight((n_folds, n_members, 1, self.units), "zeros", name="bias")

    def call(self, x, training=False):
        """Return outputs, rows first."""
        kernel = self.kernel * (1 / math.sqrt(x.shape[-1]))
        x = ops.matmul(x, kernel) + self.bias * BIAS_RATE
        x = ops.transpose(x, (2, 0, 1, 3))
        if self.probabilities:
            x = ops.log_softmax(x, axis=-1)
        if training:
            return x
        if self.probabilities:
            return ops.logsumexp(x, axis=2, keepdims=True) - math.log(x.shape[2])
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
    x = PeriodicEmbedding(network.n_numeric)(inputs) if network.n_numeric else inputs
    x = MemberScale(network.n_members)(x)
    for size in network.hidden:
        x = FoldDense(size)(x)
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
    # The outputs have no half precision, also under a mixed policy.
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.Model(inputs, MemberOutput(network.n_units, network.classify, dtype=dtype)(x))


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
