"""The network of the tabular estimators."""

import math

from skdl._backend import keras
from skdl._tabular._layers import FoldDense, FoldsFirst, MemberOutput, MemberScale, PeriodicEmbedding
from skdl._tabular._losses import MemberCrossentropy, MemberSquaredError

# Share of the steps in which the learning rate rises.
RISE = 0.05


def tabular_network(
    n_features,
    n_numeric,
    *,
    n_folds,
    n_members,
    hidden_layer_sizes,
    activation,
    numeric_embedding,
    dropout,
    units,
    classify,
):
    """Build an ensemble of multilayer perceptrons for each fold, not compiled.

    Parameters
    ----------
    n_features, n_numeric : int
        Encoded features, of which the numeric ones come first.
    n_folds, n_members : int
    hidden_layer_sizes : sequence of int
    activation : str
    numeric_embedding : bool
        Whether numeric features get periodic functions.
    dropout : float
        Share of the units of each hidden layer that is dropped in a step of training.
    units : int
        Number of classes, or of columns of numbers.
    classify : bool

    Returns
    -------
    keras.Model
        From shape (n_rows, n_folds, n_features) to (n_rows, n_folds, 1, units).
    """
    inputs = keras.Input((n_folds, n_features))
    x = FoldsFirst()(inputs)
    if numeric_embedding and n_numeric:
        x = PeriodicEmbedding(n_numeric)(x)
    x = MemberScale(n_members)(x)
    for size in hidden_layer_sizes:
        x = FoldDense(size, activation)(x)
        if dropout:
            x = keras.layers.Dropout(dropout)(x)
    # No half precision under a mixed policy.
    dtype = keras.config.dtype_policy().variable_dtype
    return keras.Model(inputs, MemberOutput(units, probabilities=classify, dtype=dtype)(x))


def compile_network(model, *, n_steps, learning_rate, weight_decay, classify):
    """Compile it: each member's own loss, and Adam.

    Parameters
    ----------
    model : keras.Model
        As of `tabular_network`.
    n_steps : int or None
        Of the whole training, over which the learning rate falls to zero after a short rise;
        None where a callback sets it.
    learning_rate, weight_decay : float
    classify : bool
    """
    rate = float(learning_rate)
    if n_steps is not None:
        rise = math.ceil(n_steps * RISE)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, n_steps - rise), warmup_target=rate, warmup_steps=rise
        )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=float(weight_decay), beta_2=0.95, epsilon=1e-10)
    optimizer.exclude_from_weight_decay(var_names=["bias", "phases"])
    model.compile(optimizer, MemberCrossentropy() if classify else MemberSquaredError())
