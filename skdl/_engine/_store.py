"""The programs of this process: traced once, kept for models that compute the same."""

import collections
import threading
import weakref
from numbers import Integral

from skdl._backend import private, seeded

# Bytes of programs kept, by their own estimate: those of some 250 small networks.
LIMIT = 2**30

_lock = threading.Lock()
_recent = []


class Recent(collections.OrderedDict):
    """What was used last, up to a total size. `clear_caches` empties it.

    Parameters
    ----------
    most : callable
        Returns the total size. The entry used last is kept in any case.
    size : callable, default=None
        From an entry to its size; None for a number of entries.
    """

    def __init__(self, most, size=None):
        super().__init__()
        self._most, self._size = most, size or (lambda entry: 1)
        _recent.append(self)

    def get(self, key):
        """Return the entry of a key, or None."""
        with _lock:
            if key in self:
                self.move_to_end(key)
            return super().get(key)

    def put(self, key, entry):
        """Keep an entry, and drop those that were used the longest time ago."""
        with _lock:
            self[key] = entry
            self.move_to_end(key)
        self.drop_oldest()

    def drop_oldest(self):
        """Drop what is beyond the total size."""
        with _lock:
            total = sum(map(self._size, self.values()))
            while total > self._most() and len(self) > 1:
                total -= self._size(self.popitem(last=False)[1])


_programs = Recent(lambda: LIMIT, size=lambda program: program.size)
_of_models = weakref.WeakKeyDictionary()
_counts = collections.Counter()
get = _programs.get


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
            _programs.put(key, program)
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
    LIMIT = int(limit)
    _programs.drop_oldest()


def clear_caches() -> None:
    """Forget all compiled programs.

    Results do not change: the next training or prediction compiles anew.
    """
    with _lock:
        _of_models.clear()
        for each in _recent:
            each.clear()
