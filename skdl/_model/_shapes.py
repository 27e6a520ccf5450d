"""Shapes of a model's input and output, compared with the data before training."""

from skdl._backend import keras, seeded


def check_input(model, x):
    """Refuse rows that a model does not take.

    Parameters
    ----------
    model : keras.Model
    x : array, or nested lists or dicts of arrays
        One row, encoded.

    Raises
    ------
    ValueError
        If the row has another shape than the model's input.
    """
    expected = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(expected, tuple) or not hasattr(x, "shape"):
        return
    given = x.shape if len(x.shape) == len(expected) else (*x.shape, 1)
    if len(given) != len(expected) or any(
        want is not None and want != got for want, got in zip(expected[1:], given[1:], strict=True)
    ):
        raise ValueError(
            f"The model takes rows of shape {expected[1:]}, but X has rows of shape {x.shape[1:]}. "
            "Let the builder take meta, and size the input by meta['n_features_in_'] or "
            "meta['X_shape_'][1:]."
        )


def output_shapes(model, x, *, seed, expected=None):
    """Return the shapes of a model's outputs, building it where it is not built.

    Parameters
    ----------
    model : keras.Model
    x : array, or nested lists or dicts of arrays
        One row, encoded.
    seed : int
        Of the weights, where the model is not built.
    expected : int, default=None
        Number of outputs that the target needs.

    Returns
    -------
    list of tuple

    Raises
    ------
    ValueError
        If there are more or fewer outputs than the target needs, or one that is always 1.
    """
    from skdl import _engine  # which imports TensorFlow

    outputs = getattr(model, "outputs", None)
    if not (model.built and outputs and all(isinstance(each, keras.KerasTensor) for each in outputs)):
        with seeded(seed):
            outputs = keras.tree.flatten(_engine.forward(model, x))
    if expected is not None and expected != len(outputs):
        raise ValueError(
            f"The target needs a model with {expected} output{'s' * (expected != 1)}, but this one "
            f"has {len(outputs)}."
        )
    last = model.layers[-1] if type(model) is keras.Sequential else None
    if outputs[0].shape[-1] == 1 and getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            "The model ends in a softmax of one unit, which is 1 whatever the input. Give the last layer "
            'activation="sigmoid", or one unit for each class.'
        )
    return [output.shape for output in outputs]


def ends_in_probabilities(model, in_rows):
    """Tell whether the last layer of a model makes sure that its outputs are probabilities.

    Parameters
    ----------
    model : keras.Model
    in_rows : bool
        Whether those of a row must add up to one, unless there is one unit.

    Returns
    -------
    bool
        False also where the layers do not tell.
    """
    if type(model) is not keras.Sequential or len(model.outputs) != 1:
        return False
    activation = getattr(model.layers[-1], "activation", None)
    if activation is keras.activations.softmax or isinstance(model.layers[-1], keras.layers.Softmax):
        return True
    return activation is keras.activations.sigmoid and (not in_rows or model.output_shape[-1] == 1)
