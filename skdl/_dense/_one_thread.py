"""One thread for small products of matrices.

Threads that wait for each other make small products ten times as slow where others use the processor's
cores, and the last bits of a product may depend on their number, so on ``n_jobs``. Large products have as
many threads as BLAS takes. With OpenBLAS 0.3.31 their bits did not depend on the number.
"""

import contextlib
import functools
import threading

from threadpoolctl import ThreadpoolController

# Multiplications of a step. Up to the first number no BLAS divides a product, and setting the number of
# threads takes longer than the step. From the second one on two threads are faster than one, on two cores.
_TINY, _LARGE = 2**14, 2**23
# The number belongs to the process: the first one inside sets it, the last one puts it back.
_lock = threading.Lock()
_limits = []
_n_inside = 0


@functools.cache
def _controller():
    return ThreadpoolController()


@contextlib.contextmanager
def one_blas_thread(n_products):
    """Keep NumPy's products of matrices to one thread, unless a step has very few or many multiplications.

    May be nested, and used by several threads at once.
    """
    if not _TINY < n_products < _LARGE:
        yield
        return
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
