"""The network of the tabular estimators: layers, losses, learning rate.

Inside the network an array has the axes (folds, members, rows, features): all members of all
folds are trained at the same time, by matrix products over the folds. Weights are those of the
neural-tangent parametrisation: stored with unit variance and multiplied by a constant in
the forward pass. So one learning rate fits all of them, and a constant changes the rate of one
kind of weight.
"""

import math
import time

from skdl._backend import keras

ops = keras.ops
register = keras.saving.register_keras_serializable("skdl")

# Share of the steps in which the learning rate rises.
RISE = 0.05


def _stretched(scale):
    """Return the initial values whose product with ``scale`` has unit variance."""
    return keras.initializers.RandomNormal(stddev=1 / scale)


@register
class FoldsFirst(keras.layers.Layer):
    """Put the axis of the folds before that of the rows."""

    def call(self, x):
        """Turn (n_rows, n_folds, n_features) into (n_folds, n_rows, n_features)."""
        return ops.transpose(x, (1, 0, 2))

    def compute_output_shape(self, input_shape):
        """Return (n_folds, n_rows, n_features)."""
        return input_shape[1], input_shape[0], input_shape[2]


@register
class PeriodicEmbedding(keras.layers.Layer):
    """Append to the first features, the numeric ones, a few periodic functions of each.

    Feature x becomes [x, W2 cos(2 pi (w1 x) + b1) + b2], with weights of its own for each fold.

    Parameters
    ----------
    n_numeric : int
        Number of numeric features.
    n_frequencies : int, default=16
    n_outputs : int, default=3
        Functions of a feature.
    frequency_scale : float, default=0.1
        Standard deviation of the initial frequencies w1.
    **kwargs : dict
        As of ``keras.layers.Layer``.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned
       MLPs and boosted trees on tabular data", NeurIPS 2024, arXiv 2407.04491, "PBLD".
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv 2203.05556.
    """

    def __init__(self, n_numeric, n_frequencies=16, n_outputs=3, frequency_scale=0.1, **kwargs):
        super().__init__(**kwargs)
        self.n_numeric, self.n_frequencies = n_numeric, n_frequencies
        self.n_outputs, self.frequency_scale = n_outputs, frequency_scale

    def build(self, input_shape):
        """Make the weights."""
        each = input_shape[0], self.n_numeric
        uniform = keras.initializers.RandomUniform
        # W2 and b2 are multiplied by a constant in `call`; see the docstring of the module.
        self.frequencies = self.add_weight(
            shape=(*each, 1, self.n_frequencies),
            initializer=keras.initializers.RandomNormal(stddev=self.frequency_scale),
            name="frequencies",
        )
        self.phases = self.add_weight(
            shape=(*each, 1, self.n_frequencies), initializer=uniform(-math.pi, math.pi), name="phases"
        )
        self.kernel = self.add_weight(
            shape=(*each, self.n_frequencies, self.n_outputs), initializer=uniform(-1, 1), name="kernel"
        )
        self.bias = self.add_weight(shape=(*each, 1, self.n_outputs), initializer=uniform(-1, 1), name="bias")

    def call(self, x):
        """Return features of shape (n_folds, n_rows, n_features + n_numeric * n_outputs)."""
        numeric = ops.transpose(x[..., : self.n_numeric], (0, 2, 1))[..., None]
        waves = ops.cos(2 * math.pi * numeric * self.frequencies + self.phases)
        scale = 1 / math.sqrt(self.n_frequencies)
        embedded = (ops.matmul(waves, self.kernel) + self.bias) * scale
        embedded = ops.transpose(embedded, (0, 2, 1, 3))
        embedded = ops.reshape(embedded, (x.shape[0], -1, self.n_numeric * self.n_outputs))
        return ops.concatenate([x, embedded], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape with the functions appended."""
        return (*input_shape[:-1], input_shape[-1] + self.n_numeric * self.n_outputs)

    def get_config(self):
        """Return the parameters."""
        return {
            **super().get_config(),
            "n_numeric": self.n_numeric,
            "n_frequencies": self.n_frequencies,
            "n_outputs": self.n_outputs,
            "frequency_scale": self.frequency_scale,
        }


@register
class MemberScale(keras.layers.Layer):
    """Give each member of the ensemble its own scaling of the features.

    Members share all other weights but the last layer. They differ because the scalings start at random.

    Parameters
    ----------
    n_members : int
    rate : float, default=6.0
        How much faster than the other weights the scalings learn.
    **kwargs : dict
        As of ``keras.layers.Layer``.

    References
    ----------
    .. [1] Y. Gorishniy, A. Kotelnikov and A. Babenko, "TabM: advancing tabular deep learning
       with parameter-efficient ensembling", ICLR 2025, arXiv 2410.24210, "TabM-mini".
    """

    def __init__(self, n_members, rate=6.0, **kwargs):
        super().__init__(**kwargs)
        self.n_members, self.rate = n_members, rate

    def build(self, input_shape):
        """Make the scalings."""
        self.scale = self.add_weight(
            shape=(input_shape[0], self.n_members, 1, input_shape[-1]),
            initializer=_stretched(self.rate),
            name="scale",
        )

    def call(self, x):
        """Return features of shape (n_folds, n_members, n_rows, n_features)."""
        return x[:, None] * (self.scale * self.rate)

    def compute_output_shape(self, input_shape):
        """Return the shape with an axis of members."""
        return input_shape[0], self.n_members, *input_shape[1:]

    def get_config(self):
        """Return the parameters."""
        return {**super().get_config(), "n_members": self.n_members, "rate": self.rate}


@register
class FoldDense(keras.layers.Layer):
    """Dense layer with weights of its own for each fold, which the members of a fold share.

    Computes ``activation(x W / sqrt(n_inputs) + rate b)``.

    Parameters
    ----------
    units : int
    activation : str, callable or None, default=None
    rate : float, default=0.1
        How much slower than the kernel the bias learns.
    **kwargs : dict
        As of ``keras.layers.Layer``.
    """

    def __init__(self, units, activation=None, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.activation = keras.activations.get(activation)

    def build(self, input_shape):
        """Make kernel and bias."""
        n_folds, n_inputs = input_shape[0], input_shape[-1]
        self.kernel = self.add_weight(
            shape=(n_folds, n_inputs, self.units), initializer=_stretched(1.0), name="kernel"
        )
        self.bias = self.add_weight(
            shape=(n_folds, 1, self.units), initializer=_stretched(self.rate), name="bias"
        )

    def call(self, x):
        """Return an array of shape (n_folds, n_members, n_rows, units)."""
        n_folds, n_members, _, n_inputs = x.shape
        # The rows of all members of a fold go through one matrix product.
        flat = ops.reshape(x, (n_folds, -1, n_inputs))
        flat = ops.matmul(flat, self.kernel * (1 / math.sqrt(n_inputs))) + self.bias * self.rate
        return ops.reshape(self.activation(flat), (n_folds, n_members, -1, self.units))

    def compute_output_shape(self, input_shape):
        """Return the shape with ``units`` features."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Return the parameters."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "rate": self.rate,
        }


@register
class MemberOutput(keras.layers.Layer):
    """Last layer, one for each member; the average of the members where it is not trained.

    Parameters
    ----------
    units : int
    probabilities : bool, default=False
        Whether the outputs are logarithms of probabilities of classes.
    rate : float, default=0.1
        How much slower than the kernel the bias learns.
    **kwargs : dict
        As of ``keras.layers.Layer``.

    Notes
    -----
    In training the result has the shape (n_rows, n_folds, n_members, units), since each member
    has a loss of its own. Otherwise it is averaged over the members, of which one is left; of
    classes the probabilities are averaged.
    """

    def __init__(self, units, probabilities=False, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self.units, self.probabilities, self.rate = units, probabilities, rate

    def build(self, input_shape):
        """Make kernel and bias."""
        n_folds, n_members, _, n_inputs = input_shape
        self.kernel = self.add_weight(
            shape=(n_folds, n_members, n_inputs, self.units), initializer="zeros", name="kernel"
        )
        self.bias = self.add_weight(
            shape=(n_folds, n_members, 1, self.units), initializer="zeros", name="bias"
        )

    def start_at(self, values):
        """Set the biases so that the network predicts these values, one for each unit, for all rows."""
        self.bias.assign(ops.broadcast_to(values / self.rate, self.bias.shape))

    def call(self, x, training=False):
        """Return outputs, rows first."""
        kernel = self.kernel * (1 / math.sqrt(x.shape[-1]))
        x = ops.matmul(x, kernel) + self.bias * self.rate
        x = ops.transpose(x, (2, 0, 1, 3))
        if self.probabilities:
            x = ops.log_softmax(x, axis=-1)
        if training:
            return x
        if self.probabilities:
            return ops.logsumexp(x, axis=2, keepdims=True) - math.log(x.shape[2])
        return ops.mean(x, axis=2, keepdims=True)

    def compute_output_shape(self, input_shape):
        """Return the shape where it is not trained."""
        return input_shape[2], input_shape[0], 1, self.units

    def get_config(self):
        """Return the parameters."""
        return {
            **super().get_config(),
            "units": self.units,
            "probabilities": self.probabilities,
            "rate": self.rate,
        }


class _MemberLoss(keras.losses.Loss):
    """Mean of the losses of the members, for each row and fold. Each fold is trained as it would be alone."""

    def call(self, y_true, y_pred):
        """Return losses (n_rows, n_folds) of predictions (n_rows, n_folds, n_members, n_outputs)."""
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


def tabular_network(
    n_features,
    n_numeric,
    *,
    n_folds,
    n_members,
    hidden_layer_sizes,
    dropout,
    units,
    classify,
):
    """Return a model, not compiled, of an ensemble of multilayer perceptrons for each fold.

    It maps (n_rows, n_folds, n_features) to (n_rows, n_folds, 1, units). The first ``n_numeric`` features get
    periodic functions.
    """
    inputs = keras.Input((n_folds, n_features))
    x = FoldsFirst()(inputs)
    if n_numeric:
        x = PeriodicEmbedding(n_numeric)(x)
    x = MemberScale(n_members)(x)
    for size in hidden_layer_sizes:
        x = FoldDense(size, "silu")(x)
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
    # The outputs have no half precision, also under a mixed policy.
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.Model(inputs, MemberOutput(units, probabilities=classify, dtype=dtype)(x))


def compile_network(model, *, n_steps, learning_rate, weight_decay, classify):
    """Compile the model of `tabular_network` with AdamW and a loss of its own for each member.

    In ``n_steps`` the learning rate rises shortly and falls to zero; with None, a callback sets it.
    """
    rate = float(learning_rate)
    if n_steps is not None:
        rise = math.ceil(n_steps * RISE)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, n_steps - rise), warmup_target=rate, warmup_steps=rise
        )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=float(weight_decay), beta_2=0.95, epsilon=1e-10)
    optimizer.exclude_from_weight_decay(var_names=["bias", "phases"])
    # Keras numbers losses without a name.
    loss = MemberCrossentropy(name="loss") if classify else MemberSquaredError(name="loss")
    model.compile(optimizer, loss)


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
        # The first epoch includes the time for compiling.
        another = (now - self.begun) * (0.5 if epoch == 0 else 1)
        if now + another > self.started + self.seconds:
            self.model.stop_training = True
