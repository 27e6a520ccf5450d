"""One thread for the products of matrices.

With several, the last bits depend on their number, so on ``n_jobs``; and where others use the processor's
cores, threads that wait for each other make small products ten times as slow and more.
"""

import contextlib
import functools
import threading

from threadpoolctl import ThreadpoolController

# The number belongs to the process: the first one inside sets it, the last one puts it back.
_lock = threading.Lock()
_limits = []
_n_inside = 0


@functools.cache
def _controller():
    return ThreadpoolController()


@contextlib.contextmanager
def one_blas_thread():
    """Keep NumPy's products of matrices to one thread; may be nested, and used by several threads at once."""
    global _n_inside
    with _lock:
        if not _n_inside:
            _limits.append(_controller().limit(limits=1, user_api="blas"))
        _n_inside += 1
    try:
        yield
    finally:
        with _lock:
            _n_inside -= 1
            if not _n_inside:
                _limits.pop().restore_original_limits()
