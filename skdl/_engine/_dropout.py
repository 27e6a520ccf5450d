"""Dropout in the programs that XLA compiles.

XLA takes longer to draw the random numbers of a step than to make the step, and it draws others than
TensorFlow's kernels. So the numbers of some steps are drawn before these steps, by the kernels, and
as Keras draws them: from the state of a generator of each layer, which grows by one with each step.
"""

from skdl._backend import keras, private, tf


def drawing_layers(model):
    """Return the layers that draw random numbers in training, if these can be drawn beforehand.

    Parameters
    ----------
    model : keras.Model
        Built.

    Returns
    -------
    list of keras.layers.Dropout, or None
        In the order in which they are called. None if something else draws, too.
    """
    generators = private.seed_generators(model)
    if not generators:
        return []
    if type(model) not in private.functional_classes():
        return None
    called = private.layer_graph(model).operations
    layers = [layer for layer in called if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1]
    drawn_from = [id(layer.seed_generator) for layer in layers]
    if sorted(drawn_from) != sorted(map(id, generators)) or not all(map(_draws_a_matrix, layers)):
        return None
    return layers


def _draws_a_matrix(layer):
    of_units = layer.noise_shape is None and len(layer.output.shape) == 2
    return of_units and layer.compute_dtype == "float32"


def drawn(state, n_units, n_steps, most_steps, batch_size):
    """Return the numbers that a layer draws in its next steps, as part of a program.

    The numbers of a smaller batch are the first ones of a full batch.

    Parameters
    ----------
    state : tf.Tensor of shape (2,)
        Of the layer's generator.
    n_units : tf.Tensor of shape (2,)
        Numbers of units: those that the layer draws for, and the size of its input.
    n_steps, most_steps, batch_size : int or tf.Tensor of shape ()

    Returns
    -------
    tf.Tensor of shape (most_steps, batch_size, n_units)
        Zero after the steps, and where the input has more units than the layer draws for.
    """
    own, size = tf.unstack(n_units)
    # Keras 3.15: the generator's state, and the seed that it gives to TensorFlow.
    steps = tf.range(tf.cast(n_steps, state.dtype))
    states = state + tf.stack([tf.zeros_like(steps), steps], axis=1)
    seeds = tf.cast(states % (tf.int32.max - 1), tf.int32)

    def one(i, numbers):
        return i + 1, numbers.write(i, tf.random.stateless_uniform((batch_size, own), seeds[i]))

    numbers = tf.TensorArray(tf.float32, n_steps, element_shape=(None, None))
    numbers = tf.while_loop(lambda i, _: i < n_steps, one, (tf.constant(0), numbers))[1].stack()
    return tf.pad(numbers, [[0, most_steps - n_steps], [0, 0], [0, size - own]])


def draw(handle, *args):
    """Return what `drawn` does, now; with the handle of the state."""
    with private.without_graph_optimiser():
        state = tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.int64)
        return _drawn(state, *map(tf.constant, args))


_drawn = tf.function(
    drawn,
    autograph=False,
    input_signature=[tf.TensorSpec((2,), tf.int64), tf.TensorSpec((2,), tf.int32)]
    + [tf.TensorSpec((), tf.int32)] * 3,
)
