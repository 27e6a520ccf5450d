"""Functions of scikeras 0.13.0, its last release: they look up losses and metrics, and make objects.

Only this module imports scikeras, on first use.
"""

import functools
import sys
import threading

from skdl._backend import keras

_importing = threading.Lock()


def scikeras_utils():
    """Return scikeras's module of these functions."""
    with _importing:  # else threads take each other's modules out
        return _imported()


@functools.cache
def _imported():
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
        from scikeras import _utils

        return _utils
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
