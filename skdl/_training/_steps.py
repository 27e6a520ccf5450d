"""Numbers of rows that a model with states takes in a step."""

from skdl._backend import keras


def check_steps(model, n, size, rows):
    """Refuse rows that a model can't take in steps of equal size, where a layer keeps a state for each.

    Parameters
    ----------
    model : keras.Model
    n : int
        Number of rows.
    size : int
        Rows of a step.
    rows : str
        What these rows are, for the message.

    Raises
    ------
    ValueError
    """
    stateful = [layer.name for layer in _layers(model) if getattr(layer, "stateful", False)]
    fixed = {tensor.shape[0] for tensor in getattr(model, "inputs", None) or ()} - {None}
    if not stateful or len(fixed) != 1:
        return
    (fixed,) = fixed
    if size != fixed or n % fixed:
        raise ValueError(
            f"The layer {stateful[0]!r} keeps a state for each of {fixed} rows, so each step must have "
            f"{fixed}; got {n} {rows} in steps of {size}. Set batch_size={fixed}, and give a multiple of "
            f"{fixed} rows, or set stateful=False."
        )


def _layers(model):
    for layer in getattr(model, "layers", ()):
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
