"""The programs of this process: traced once, kept for models that are built alike."""

import collections
import contextlib
import functools
import gc
import sys
import threading
import weakref

from tensorflow.python.eager import context as tf_context
from tensorflow.python.util import tf_stack

from skdl._backend import seeded

# Programs kept, some 5 to 10 MB each. A search has two for each architecture, one to
# train and one to predict.
CAPACITY = 16

# TensorFlow keeps the kernels that ran a function until all kernels are cleared at once,
# after which the other programs are set up anew, some 30 ms each.
_DROPPED_PER_CLEARING = 8

_LIBRARIES = {"imblearn", "joblib", "keras", "numpy", "sklearn", "tensorflow", *sys.stdlib_module_names}
_LIBRARIES -= {"__main__"}

_lock = threading.Lock()
_programs = collections.OrderedDict()
_counts = collections.Counter()


class Same:
    """A key that is equal for one object only, for as long as it lives."""

    def __init__(self, thing):
        self._ref, self._hash = weakref.ref(thing), id(thing)

    def __hash__(self):
        return self._hash

    def __eq__(self, other):
        thing = self._ref()
        return thing is not None and isinstance(other, Same) and other._ref() is thing


def get(key):
    """Return the program of a key, or None."""
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
        return _programs.get(key)


def put(key, program):
    """Keep a program, and drop the one that was used the longest time ago."""
    with _lock:
        _programs[key] = program
        _programs.move_to_end(key)
        while len(_programs) > CAPACITY:
            _programs.popitem(last=False)
            _counts["dropped"] += 1
            if _counts["dropped"] % _DROPPED_PER_CLEARING == 0:
                tf_context.context().clear_kernel_cache()


def find(model, key, build, *, kind, seed):
    """Return the program of a key that runs a model, tracing it where there is none.

    Parameters
    ----------
    model : keras.Model
    key : hashable
    build : callable
        Without arguments; returns a new `Program`.
    kind : str
        What is counted by `compilations`.
    seed : int
        For what the model draws while it is traced.

    Returns
    -------
    key : hashable
        Under which the program is kept.
    program : Program
    """
    program = _running(model, key)
    if program is None:
        # Tracing is serial anyway, and two threads need not trace the same.
        with seeded(seed):
            program = _running(model, key)
            if program is None:
                with _tracing():
                    program = build()
                _counts[kind] += 1
                put(key if program.shared else (key, Same(model)), program)
    return (key if program.shared else (key, Same(model))), program


@contextlib.contextmanager
def _tracing():
    """Trace a program inside, with short call stacks and without garbage collections.

    Tracing makes objects by the hundred thousand and nothing that only the collector
    could free, but sets off a search through all objects of the process, which takes as
    long as the tracing. Programs are traced one at a time, so no other thread is here.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        with _TracesOfUserCode():
            yield
    finally:
        if enabled:
            gc.enable()


class _TracesOfUserCode(tf_stack.StackTraceFilter):
    """Leaves libraries' files out of the call stack that TensorFlow keeps of each operation.

    For the hundreds of operations of a step TensorFlow 2.21 writes down some fifty frames
    each when it first runs the function, and never frees these 3 MB. What remains are the
    user's own code, to which an error refers, and ours: XLA crashes where nothing does.
    """

    def get_filtered_filenames(self):
        """Return the files of which no frame is kept."""
        return _library_files()


@functools.cache
def _library_files():
    modules = [m for name, m in list(sys.modules.items()) if name.partition(".")[0] in _LIBRARIES]
    # Not by getattr, at which some modules load others.
    files = (getattr(module, "__dict__", {}).get("__file__") for module in modules)
    return frozenset(file for file in files if isinstance(file, str))


def _running(model, key):
    for each in (key, (key, Same(model))):
        program = get(each)
        if program is not None and program.runs(model):
            return program
    return None


def replace(key, build, *, kind, seed):
    """Trace a program to be kept in the place of another one, and return it."""
    with seeded(seed), _tracing():
        program = build()
    _counts[kind] += 1
    put(key, program)
    return program


def compilations():
    """Return how many programs this process has compiled so far.

    Returns
    -------
    dict of str to int
        ``"training"`` and ``"forward"``.
    """
    return {kind: _counts[kind] for kind in ("training", "forward")}


def clear_caches():
    """Forget all compiled programs.

    Results do not change: the next training or prediction compiles anew.
    """
    with _lock:
        _programs.clear()
        tf_context.context().clear_kernel_cache()
