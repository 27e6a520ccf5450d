"""The state of a model in training: taken before, and put back where training fails."""

from skdl._backend import private, tf


class Snapshot:
    """Values of all variables that training a model changes.

    Weights, the optimizer's variables, the states of seed generators and of metrics.

    Parameters
    ----------
    model : keras.Model
    """

    def __init__(self, model):
        self._model = model
        self._values = [(v, v.value.read_value()) for v in _variables(model)]

    def restore(self):
        """Give all variables their values back; the optimizer's that are new become zero."""
        for variable, value in self._values:
            variable.value.assign(value)
        known = {id(variable) for variable, _ in self._values}
        for variable in _variables(self._model):
            if id(variable) not in known:
                variable.value.assign(tf.zeros_like(variable.value))


def _variables(model):
    if not model.built:
        return []
    try:
        return private.training_variables(model)
    except private.Unavailable:
        # All but the variables of metrics that a layer holds, which each epoch resets.
        return [
            *model.variables,
            *(model.optimizer.variables if model.optimizer is not None else ()),
            *(variable for metric in model.metrics for variable in metric.variables),
        ]
