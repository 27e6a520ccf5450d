"""Which of Keras's metrics compare what a network is trained on: class numbers, or one column per class."""

from skdl._backend import keras

# By name. All others of Keras's compare element by element: on class numbers TensorFlow fails in the
# middle of the first step, or broadcasts the shapes and returns wrong values.
_BY_SHAPE = frozenset({"accuracy", "acc", "crossentropy", "ce"})
_OF_CODES = frozenset(
    {"sparsecategoricalaccuracy", "sparsetopkcategoricalaccuracy", "sparsecategoricalcrossentropy"}
)
_BY_ARGUMENT = frozenset({"iou", "meaniou"})


def check_metrics(metrics, encoding, loss):
    """Refuse metrics that cannot compare a network's outputs, one for each class, with the target.

    Parameters
    ----------
    metrics : metrics as ``keras.Model.compile`` takes them
        Those of the user's own and subclasses are taken as they are.
    encoding : {"codes", "one-hot"}
        Of the target, see `Output`.
    loss : str, keras.losses.Loss, type, callable or None
        That decided it, for the message.

    Raises
    ------
    ValueError
        With what to use in place of the metric.
    """
    loss = getattr(loss, "__name__", loss)
    for metric in keras.tree.flatten(metrics):
        name = _keras_name(metric)
        stem = name.lower().replace("_", "")
        if not name or name in _BY_SHAPE:
            continue
        if stem in _BY_ARGUMENT:
            wanted = {"sparse_y_true": encoding == "codes", "sparse_y_pred": False}
            if any(getattr(metric, argument, True) != value for argument, value in wanted.items()):
                raise ValueError(
                    f"The metric {name} does not compare the target of the network with its outputs, one "
                    f"for each class, with loss={loss!r}. Give keras.metrics.{name}(..., "
                    f"{', '.join(f'{argument}={value}' for argument, value in wanted.items())})."
                )
        elif encoding == "codes" and stem not in _OF_CODES:
            raise ValueError(
                f"The metric {name} compares one column for each class, but with loss={loss!r} the target of "
                'the network is a class number. Give loss="categorical_crossentropy", for which the labels '
                "are encoded as columns; or leave the metric out, and score by scikit-learn, as with "
                'scoring="roc_auc_ovr" or "f1_macro".'
            )
        elif encoding == "one-hot" and stem in _OF_CODES:
            raise ValueError(
                f"The metric {name} takes a class number, but with loss={loss!r} the target of the network "
                'is one column for each class. Give the metric without "sparse", such as "accuracy".'
            )


def _keras_name(metric):
    """Return the name under which Keras knows a metric, "" for one of the user's own."""
    if isinstance(metric, str):
        return metric
    if isinstance(metric, keras.metrics.Metric):
        metric = type(metric)
    return metric.__name__ if getattr(metric, "__module__", "").startswith("keras.") else ""
