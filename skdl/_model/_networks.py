"""Functions that describe the layers of networks, and make a Keras model of them."""

from numbers import Integral

from skdl._backend import keras


def layer_sizes(sizes, name):
    """Return sizes of layers, given as one integer or several, as a list of int.

    Raises
    ------
    ValueError
        If they are no integers of at least 1. The message has the name of the parameter.
    """
    given = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if any(not isinstance(size, Integral) or size < 1 for size in given):
        raise ValueError(f"{name} must hold integers of at least 1, but is {sizes!r}.")
    # Keras takes no integers of NumPy, which searches over arrays give.
    return [int(size) for size in given]


def _hidden_layers(sizes, *, activation, dropout, batch_norm=False, l2_regularization=0.0):
    """Return class names and arguments of a stack of hidden layers."""
    penalty = _penalty(l2_regularization)
    described = []
    for size in layer_sizes(sizes, "hidden_layer_sizes"):
        if batch_norm:
            described += [
                ("Dense", {"units": size, **penalty}),
                ("BatchNormalization", {}),
                ("Activation", {"activation": activation}),
            ]
        else:
            described.append(("Dense", {"units": size, "activation": activation, **penalty}))
        if dropout:
            described.append(("Dropout", {"rate": dropout}))
    return described


def _penalty(l2):
    regularizer = {"class_name": "L2", "config": {"l2": l2}}
    return {"kernel_regularizer": regularizer} if l2 else {}


def sequential(input_shape, described):
    """Make a Keras model of layers.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    described : list of tuple (str, dict)
        Class name and arguments of each layer.

    Returns
    -------
    keras.Sequential
        Not compiled.
    """
    policy = keras.config.dtype_policy()
    if policy.compute_dtype != policy.variable_dtype:
        # The outputs have no half precision.
        name, arguments = described[-1]
        described = [*described[:-1], (name, {**arguments, "dtype": policy.variable_dtype})]
    layers = [getattr(keras.layers, name)(**arguments) for name, arguments in described]
    return keras.Sequential([keras.Input(shape=input_shape), *layers])


def mlp(
    input_shape,
    n_units,
    output_activation,
    *,
    hidden_layer_sizes,
    activation,
    dropout=0.0,
    batch_norm=False,
    l2_regularization=0.0,
):
    """Describe a multilayer perceptron.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_units : int
        Units of the output layer.
    output_activation : str
    hidden_layer_sizes : int or sequence of int
        Units of each hidden layer; an empty sequence gives a linear model.
    activation : str or callable
        Of the hidden layers.
    dropout : float, default=0.0
        Share of the units of each hidden layer that is dropped in a training step.
    batch_norm : bool, default=False
        Normalise between the linear part and the activation of each hidden layer.
    l2_regularization : float, default=0.0
        Adds ``l2_regularization * sum(w ** 2)`` over all kernels to the loss.

    Returns
    -------
    list of tuple (str, dict)
        Class name and arguments of each layer, for `sequential`.

    Raises
    ------
    ValueError
        If a row is no vector.
    """
    if len(input_shape) != 1:
        raise ValueError(
            f"Found array with dim {len(input_shape) + 1}, while dim <= 2 is required by a multilayer "
            "perceptron. Reshape it to (n_samples, n_features), or use CNNClassifier for images."
        )
    hidden = _hidden_layers(
        hidden_layer_sizes,
        activation=activation,
        dropout=dropout,
        batch_norm=batch_norm,
        l2_regularization=l2_regularization,
    )
    output = {"units": n_units, "activation": output_activation, **_penalty(l2_regularization)}
    return [*hidden, ("Dense", output)]


def cnn(
    input_shape,
    n_units,
    output_activation,
    *,
    filters,
    kernel_size,
    pool_size,
    padding,
    hidden_layer_sizes,
    activation,
    dropout=0.0,
):
    """Describe a convolutional network for images.

    One block of convolution, activation and max-pooling for each entry of ``filters``,
    then dropout, dense layers and the output layer.

    Parameters
    ----------
    input_shape : tuple (height, width, channels)
    n_units : int
        Units of the output layer.
    output_activation : str
    filters : int or sequence of int
        Filters of each convolution.
    kernel_size : int, pair of int, or list of these
        Height and width of the kernels, in pixels; a list has one entry per block.
    pool_size : int, pair of int, list of these, or None
        Height and width over which a maximum is taken, in pixels; None for no pooling.
    padding : {"valid", "same"}
    hidden_layer_sizes : int or sequence of int
        Units of each dense layer.
    activation : str or callable
    dropout : float, default=0.0
        Share of the units dropped before the dense layers and after each of them.

    Returns
    -------
    list of tuple (str, dict)
        Class name and arguments of each layer, for `sequential`.
    """
    described = []
    blocks, size = layer_sizes(filters, "filters"), list(input_shape[:2])
    for index, n_filters in enumerate(blocks):
        kernel, pool = (_per_block(size, index) for size in (kernel_size, pool_size))
        described.append(
            (
                "Conv2D",
                {"filters": n_filters, "kernel_size": kernel, "padding": padding, "activation": activation},
            )
        )
        if pool is not None and pool not in (1, (1, 1)):
            described.append(("MaxPooling2D", {"pool_size": pool}))
        size = [
            _reduced(n, k, p, padding) for n, k, p in zip(size, _pair(kernel), _pair(pool or 1), strict=True)
        ]
        if min(size) < 1:
            raise ValueError(
                f"Images of shape {tuple(input_shape)} are too small for {len(blocks)} blocks: nothing is "
                f"left of them after block {index + 1}, with kernel_size={kernel}, pool_size={pool} and "
                f"padding={padding!r}. Give fewer filters, or a smaller pool_size (None for no pooling)."
            )
    described.append(("Flatten", {}))
    if dropout:
        described.append(("Dropout", {"rate": dropout}))
    described += _hidden_layers(hidden_layer_sizes, activation=activation, dropout=dropout)
    return [*described, ("Dense", {"units": n_units, "activation": output_activation})]


def _pair(size):
    return (size, size) if isinstance(size, Integral) else tuple(size)


def _reduced(size, kernel, pool, padding):
    """Return the height or width of an image behind a convolution and its pooling."""
    return (size - (kernel - 1 if padding == "valid" else 0)) // pool


def _per_block(sizes, index):
    """Return the size for one block: a list has one for each, all else is for all."""
    return sizes[index] if isinstance(sizes, list) else sizes
