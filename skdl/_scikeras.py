"""What skdl uses of scikeras.

The only module that imports scikeras (0.13.0, the last release). It passes on the routing
of parameters, the lookup of losses and metrics and the target encoders.
"""

import sys

from skdl._backend import keras


def _import_scikeras():
    """Import a copy of scikeras that nobody else sees, without what its import does to Keras.

    scikeras replaces the ``__reduce__`` of Keras's models, losses, metrics and optimizers
    for the whole process. Who imports scikeras wants that, a user of skdl does not: both
    find Keras as they expect, in whatever order they import.
    """
    patched = {
        keras.Model: ("__reduce__", "__deepcopy__"),
        keras.losses.Loss: ("__reduce__",),
        keras.metrics.Metric: ("__reduce__",),
        keras.optimizers.Optimizer: ("__reduce__",),
    }
    before = {cls: {name: vars(cls).get(name) for name in names} for cls, names in patched.items()}
    of_user = _taken_out()
    try:
        from scikeras import _utils, utils
        from scikeras.utils import transformers

        return _utils, utils, transformers
    finally:
        _taken_out()
        sys.modules.update(of_user)
        for cls, methods in before.items():
            for name, method in methods.items():
                if method is not None:
                    setattr(cls, name, method)
                elif name in vars(cls):
                    delattr(cls, name)


def _taken_out():
    names = [name for name in sys.modules if name.partition(".")[0] == "scikeras"]
    return {name: sys.modules.pop(name) for name in names}


_utils, _public_utils, transformers = _import_scikeras()


class TargetReshaper(transformers.TargetReshaper):
    """Give a target two dimensions; a class that a pickle can name."""


transformers.TargetReshaper = TargetReshaper

accepts_kwargs = _utils.accepts_kwargs
get_loss_class_function_or_string = _utils.get_loss_class_function_or_string
get_metric_class = _utils.get_metric_class
has_param = _utils.has_param
route_params = _utils.route_params
try_to_convert_strings_to_classes = _utils.try_to_convert_strings_to_classes
unflatten_params = _utils.unflatten_params
loss_name = _public_utils.loss_name

__all__ = [
    "accepts_kwargs",
    "get_loss_class_function_or_string",
    "get_metric_class",
    "get_optimizer_class",
    "has_param",
    "loss_name",
    "route_params",
    "transformers",
    "try_to_convert_strings_to_classes",
    "unflatten_params",
]


def get_optimizer_class(optimizer):
    """Return the class of one of Keras's optimizers by its name.

    scikeras 0.13.0 made an optimizer, with variables, in order to ask for its class.

    Parameters
    ----------
    optimizer : str

    Returns
    -------
    type

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    known = {
        name.lower(): value
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type) and issubclass(value, keras.optimizers.Optimizer)
    }
    return known.get(optimizer.lower()) or type(keras.optimizers.get(optimizer))
