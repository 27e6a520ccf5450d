"""What ``keras.Model.fit`` builds before its first step."""

from skdl._backend import keras, private, seeded


def build(model, batch, *, seed):
    """Build a model, its loss, its metrics and its optimizer, where they are not yet.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    batch : tuple (x,), (x, y) or (x, y, sample_weight) of nested tensors or None
    seed : int
        For what is drawn while building.
    """
    batch = (*batch, None, None)[:3]
    user_code = not _build_common(model, batch[1])
    with seeded(seed, user_code=user_code):
        private.build_all(model, batch)


def _build_common(model, y):
    """Build loss and metrics from the shapes alone, as their first call would.

    Keras finds these shapes by tracing the model and every metric, which takes longer
    than the training of a small network. Done only where nothing else is built on the
    way: one output, Keras's own model, metrics that are means.

    Returns
    -------
    bool
        Whether only the optimizer is left to be built.
    """
    loss, metrics = private.compiled_parts(model)
    common = type(model) in private.functional_classes()
    if not common or not all(layer.built for layer in private.flat_layers(model)):
        return False
    outputs = getattr(model, "outputs", None)
    if not isinstance(outputs, list) or len(outputs) != 1 or private.nests_output(model):
        return False
    if y is None or keras.tree.is_nested(y):
        return False
    wanted = keras.tree.flatten(private.given_metrics(model))
    if not all(map(_is_mean, wanted)):
        return False
    y = keras.KerasTensor(y.shape, keras.backend.standardize_dtype(y.dtype))
    if metrics is not None and not metrics.built:
        metrics.build(y, outputs[0])
    if loss is not None and not loss.built:
        loss.build(y, outputs[0])
    return True


def _is_mean(metric):
    if isinstance(metric, str) and metric.lower() not in ("accuracy", "acc"):
        metric = private.known_metrics().get(metric)
        return isinstance(metric, type) and issubclass(metric, private.mean_metric())
    return metric is None or isinstance(metric, str | private.mean_metric())
