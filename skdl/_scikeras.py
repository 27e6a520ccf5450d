"""What skdl uses of scikeras.

The only module that imports scikeras (0.13.0, the last release). It passes on the routing
of parameters, the lookup of losses and metrics and the target encoders.
"""

import sys

from skdl._backend import keras


def _import_scikeras():
    """Import scikeras without what its import does to Keras.

    scikeras replaces the ``__reduce__`` of Keras's models, losses, metrics and
    optimizers for the whole process. Whoever imports it first wants that; a user of
    skdl never asked for it.
    """
    patched = {
        keras.Model: ("__reduce__", "__deepcopy__"),
        keras.losses.Loss: ("__reduce__",),
        keras.metrics.Metric: ("__reduce__",),
        keras.optimizers.Optimizer: ("__reduce__",),
    }
    imported_by_user = "scikeras" in sys.modules
    before = {cls: {name: vars(cls).get(name) for name in names} for cls, names in patched.items()}
    import scikeras

    if not imported_by_user:
        for cls, methods in before.items():
            for name, method in methods.items():
                if method is not None:
                    setattr(cls, name, method)
                elif name in vars(cls):
                    delattr(cls, name)
    return scikeras


_import_scikeras()

from scikeras._utils import (  # noqa: E402
    accepts_kwargs,
    get_loss_class_function_or_string,
    get_metric_class,
    has_param,
    route_params,
    try_to_convert_strings_to_classes,
    unflatten_params,
)
from scikeras.utils import loss_name, transformers  # noqa: E402

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
