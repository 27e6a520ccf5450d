"""Variables that are made quickly, where TensorFlow lets them."""

import contextlib

from skdl._backend import private
from skdl._backend._start import import_keras


def quick_variables():
    """Make TensorFlow's variables more quickly while it is entered; see `private.quick_variables`.

    Returns
    -------
    context manager
    """
    import_keras()  # quietly, before any module of TensorFlow's is imported
    try:
        return private.quick_variables()
    except private.Unavailable:
        return contextlib.nullcontext()
