"""Functions of scikeras 0.13.0, its last release: they look up losses and metrics, and make objects."""

import functools
import importlib.util
from pathlib import Path


@functools.cache
def scikeras_utils():
    """Return scikeras's module of these functions, executed without scikeras's ``__init__``.

    That replaces the ``__reduce__`` of Keras's models, losses, metrics and optimizers for the whole process.
    Who imports scikeras wants it, a user of skdl does not.
    """
    (folder,) = importlib.util.find_spec("scikeras").submodule_search_locations
    spec = importlib.util.spec_from_file_location("skdl._scikeras_utils", Path(folder, "_utils.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
