"""The programs of this process: traced once, kept for models that compute the same."""

import collections
import threading
import weakref
from numbers import Integral

from skdl._backend import private, seeded

# Bytes of programs kept, by their own estimate: those of some 250 small networks.
LIMIT = 2**30

_lock = threading.Lock()
_programs = collections.OrderedDict()
_of_models = weakref.WeakKeyDictionary()
_counts = collections.Counter()
_recent = []


class Recent:
    """What was used last, up to a number of entries. `clear_caches` empties it.

    Parameters
    ----------
    most : int
    """

    def __init__(self, most):
        self._most, self._entries = most, collections.OrderedDict()
        _recent.append(self)

    def get(self, key, default=None):
        """Return the entry of a key, or the default."""
        with _lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key, default)

    def put(self, key, entry):
        """Keep an entry, and drop those that were used the longest time ago."""
        with _lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)

    def clear(self):
        """Forget all entries."""
        with _lock:
            self._entries.clear()


def get(key):
    """Return the program of a key, or None."""
    with _lock:
        if key in _programs:
            _programs.move_to_end(key)
        return _programs.get(key)


def put(key, program):
    """Keep a program, and drop those that were used the longest time ago."""
    with _lock:
        _programs[key] = program
        _programs.move_to_end(key)
        _drop_oldest()


def _drop_oldest():
    total = sum(each.size for each in _programs.values())
    while total > LIMIT and len(_programs) > 1:
        total -= _programs.popitem(last=False)[1].size


def of_model(model):
    """Return the programs that are kept as long as a model lives.

    Returns
    -------
    dict
    """
    with _lock:
        return _of_models.setdefault(model, {})


def find(key, build, *, kind, seed):
    """Return the program of a key, tracing it where there is none.

    Parameters
    ----------
    key : hashable or None
        What the program computes, as `describe` tells. None where only the trace can
        tell: the model is traced, and programs with the same graph are compiled once.
    build : callable
        Without arguments; returns a new `Program`, not complete.
    kind : str
        What is counted by `compilations`.
    seed : int
        For what the model draws while it is traced.

    Returns
    -------
    Program
    """
    program = None if key is None else get(key)
    if program is not None:
        return program
    # Two threads must not trace the same.
    with seeded(seed, user_code=key is None):
        program = None if key is None else get(key)
        if program is not None:
            return program
        with private.short_call_stacks(), private.without_reduced_gradients():
            program = build()
            known = get((kind, program.digest)) if key is None and program.shared else None
            if known is not None:
                return program.adopt(known)
            program.complete()
        if key is None:
            key = kind, program.digest
        _counts[kind] += 1
        if program.shared:
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


def set_cache_limit(limit: int = 2**30) -> None:
    """Set how much memory compiled programs may take in this process.

    Beyond it, those that were used the longest time ago are dropped. Results do not change:
    a program that is needed again is compiled again. Programs for the predictions of a
    model are kept besides, as long as the model lives.

    Parameters
    ----------
    limit : int, default=2**30
        In bytes. The memory of a program is estimated from the size of its graph: some
        4 MB for the training of a small dense network. The last program is always kept.

    Raises
    ------
    ValueError
        If it is not an integer of at least 0.

    See Also
    --------
    clear_caches : Forget all compiled programs.

    Examples
    --------
    >>> from skdl import set_cache_limit
    >>> set_cache_limit(2**28)  # 256 MB
    >>> set_cache_limit()  # the default again
    """
    if not isinstance(limit, Integral) or isinstance(limit, bool) or limit < 0:
        raise ValueError(f"limit must be a number of bytes, an integer of at least 0; got {limit!r}.")
    global LIMIT
    with _lock:
        LIMIT = int(limit)
        _drop_oldest()


def clear_caches() -> None:
    """Forget all compiled programs.

    Results do not change: the next training or prediction compiles anew.
    """
    with _lock:
        _programs.clear()
        _of_models.clear()
    for each in _recent:
        each.clear()
