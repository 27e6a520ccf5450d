"""Variables that are made quickly, where TensorFlow lets them."""

import contextlib

from skdl._backend import private


def quick_variables():
    """Make TensorFlow's variables more quickly while it is entered; see `private.quick_variables`.

    Returns
    -------
    context manager
    """
    try:
        return private.quick_variables()
    except private.Unavailable:
        return contextlib.nullcontext()
