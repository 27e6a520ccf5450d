"""What TensorFlow does with the process: its threads, and forks of it."""

import contextlib
import os
import sys

from skdl._backend import private
from skdl._backend._start import first_of_all


def _has_started():
    """Whether TensorFlow has made its threads; None where it does not tell."""
    if "tensorflow" not in sys.modules:
        return False
    try:
        return private.tensorflow_has_started()
    except private.Unavailable:
        return None


@first_of_all
def _follow_thread_limit(tf):
    """Give TensorFlow's pools the number of threads that joblib and Dask tell workers by OMP_NUM_THREADS."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if not limit.isdigit() or int(limit) == 0 or _has_started():
        return
    for name in ("intra_op", "inter_op"):
        by_user = f"TF_NUM_{name.replace('_', '').upper()}_THREADS" in os.environ
        if not by_user and getattr(tf.config.threading, f"get_{name}_parallelism_threads")() == 0:
            with contextlib.suppress(RuntimeError):  # it has started
                getattr(tf.config.threading, f"set_{name}_parallelism_threads")(int(limit))


_forked_from = None


def _remember_fork():
    global _forked_from
    if _has_started():
        _forked_from = os.getppid()


# A fork copies TensorFlow's state but not its threads: the first operation of the child
# would wait for ever. Before TensorFlow's first operation there are no threads to miss.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)


def check_not_forked():
    """Refuse to go on in a process that was forked from one that had used TensorFlow, which would hang."""
    if _forked_from is not None:
        raise RuntimeError(
            f"This process was forked from process {_forked_from} after TensorFlow had started there, and "
            "TensorFlow's threads do not survive a fork: it would hang. Use joblib's loky or threading "
            "backend, or start processes with multiprocessing.get_context('spawn')."
        )
