"""TensorFlow and Keras, imported once and quietly; seeds that stay local.

Every other module takes ``keras`` and ``tf`` from here, so that there is one
place that imports them and one that knows about their global state.
"""

import contextlib
import os
import random
import re
import sys
import tempfile
import threading

import numpy as np

# What TensorFlow 2.21 writes to the standard error by merely starting. Lines that
# come before its logging is initialised ignore TF_CPP_MIN_LOG_LEVEL, hence the
# filter. 303 is CUDA's word for "this machine has no driver at all".
_CHATTER = re.compile(
    rb"^(WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]\d{4} [\d:.]+ "
    rb"|To enable the following instructions:"
    rb"|E\d{4} .*cuInit.*\(303\)$)"
)


def _flush():
    if sys.stderr is not None:
        sys.stderr.flush()


@contextlib.contextmanager
def _without_chatter():
    """Hold back the standard error and let through all but start-up chatter."""
    _flush()
    try:
        real = os.dup(2)
    except OSError:  # there is none, as in a window without a console
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            quiet = False
            raise
        else:
            quiet = True
        finally:
            _flush()
            os.dup2(real, 2)
            held.seek(0)
            for line in held:
                if not (quiet and _CHATTER.match(line.rstrip())):
                    os.write(real, line)
            os.close(real)


def _import_tensorflow():
    if "tensorflow" in sys.modules:
        import tensorflow as tf
    else:
        tf = _import_quietly()
    return tf


def _import_quietly():
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow as tf

        return tf
    with _without_chatter():
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        try:
            import tensorflow as tf

            # Looks for devices now, while its complaint about a missing CUDA
            # driver is held back; the level that was read stays for the process.
            tf.config.list_physical_devices("GPU")
        finally:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
    return tf


tf = _import_tensorflow()


def _let_gpu_memory_grow():
    """Take a GPU's memory as it is needed, so that several processes can share it.

    TensorFlow takes all of it at once otherwise. Left alone where the user has chosen,
    or has started TensorFlow already.
    """
    if "TF_FORCE_GPU_ALLOW_GROWTH" in os.environ:
        return
    for gpu in tf.config.list_physical_devices("GPU"):
        if tf.config.experimental.get_memory_growth(gpu) is None:
            with contextlib.suppress(RuntimeError, ValueError):
                tf.config.experimental.set_memory_growth(gpu, True)


_let_gpu_memory_grow()

import keras  # noqa: E402  (after TensorFlow, so that its chatter is held back)

if keras.config.backend() != "tensorflow":
    raise ImportError(
        f"skdl needs Keras on the TensorFlow backend, but it is configured for "
        f"{keras.config.backend()!r}. Set the environment variable KERAS_BACKEND=tensorflow "
        "before Keras is first imported."
    )

from skdl import _private  # noqa: E402


def _follow_thread_limit():
    """Give TensorFlow's pools as many threads as the process may have.

    joblib and Dask tell their workers by OMP_NUM_THREADS, which TensorFlow's own pools
    do not look at: two workers on two cores would run four threads. What the user has
    set stays, as do pools that run already.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if not limit.isdigit() or int(limit) == 0 or _private.tensorflow_has_started():
        return
    for name in ("intra_op", "inter_op"):
        by_user = f"TF_NUM_{name.replace('_', '').upper()}_THREADS" in os.environ
        if not by_user and getattr(tf.config.threading, f"get_{name}_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{name}_parallelism_threads")(int(limit))


_follow_thread_limit()

_forked_from = None


def _remember_fork():
    global _forked_from
    if _private.tensorflow_has_started():
        _forked_from = os.getppid()


# A fork copies TensorFlow's state but not its threads: the first operation of the child
# would wait for ever. Before TensorFlow's first operation there are no threads to miss.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)


def check_not_forked():
    """Refuse to go on in a process in which TensorFlow would hang.

    Raises
    ------
    RuntimeError
        If this process was forked from one that had used TensorFlow.
    """
    if _forked_from is not None:
        raise RuntimeError(
            f"This process was forked from process {_forked_from} after TensorFlow had started there, and "
            "TensorFlow's threads do not survive a fork: it would hang. Use joblib's loky or threading "
            "backend, or start processes with multiprocessing.get_context('spawn')."
        )


# Two threads that seed must not restore each other's state.
_seeding = threading.RLock()


@contextlib.contextmanager
def seeded(seed, *, user_code=True):
    """Seed what runs inside, and put back all that it touches.

    Keras and TensorFlow draw from the seed in this thread alone. A user's code may draw
    from NumPy's and Python's global generators too. These belong to the process: they are
    seeded for this time, and get back their states after. What another thread draws from
    them meanwhile, it draws again later.

    Parameters
    ----------
    seed : int
        In ``[0, 2**32)``.
    user_code : bool, default=True
        Whether code that is not Keras's runs inside. Otherwise nothing global is seeded.
    """
    with _seeding, quick_variables(), _private.keras_seeded(seed):
        if not user_code:
            yield
            return
        before = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


quick_variables = _private.quick_variables
