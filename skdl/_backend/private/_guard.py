"""What happens where a private name is missing or is something else than it was."""

import functools
import sys

_LIBRARIES = {"google", "keras", "skdl", "tensorflow", "wrapt", *sys.stdlib_module_names} - {"__main__"}


class Unavailable(Exception):
    """A private name of Keras or TensorFlow is missing, or is not what it was."""


def guarded(function):
    """Let a function of this package raise `Unavailable` where it does not find what it needs.

    An error that comes from other code than Keras's and TensorFlow's stays as it is: a
    model's own class may raise an ``AttributeError``, too.
    """
    name = getattr(function, "__name__", "a private name")

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except (AttributeError, ImportError, TypeError) as error:
            if not _modules(error) <= _LIBRARIES:
                raise
            raise Unavailable(f"{name}: {type(error).__name__}: {error}") from error

    return call


def _modules(error):
    """Return the top-level modules whose code an error came through."""
    modules, entry = set(), error.__traceback__
    while entry is not None:
        modules.add(entry.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        entry = entry.tb_next
    return modules
