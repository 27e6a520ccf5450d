"""TensorFlow and Keras, imported once and quietly; seeds that stay local.

Every other module takes ``keras`` and ``tf`` from here, so that there is one
place that imports them and one that knows about their global state.
"""

import contextlib
import itertools
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


@contextlib.contextmanager
def _without_chatter():
    """Hold back the standard error and let through all but start-up chatter."""
    sys.stderr.flush()
    real = os.dup(2)
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
            sys.stderr.flush()
            os.dup2(real, 2)
            held.seek(0)
            for line in held:
                if not (quiet and _CHATTER.match(line.rstrip())):
                    os.write(real, line)
            os.close(real)


def _follow_thread_limit(tf):
    """Give TensorFlow's pools as many threads as the process may have.

    joblib and Dask tell their workers by OMP_NUM_THREADS, which TensorFlow's own pools
    do not look at: two workers on two cores would run four threads. What the user has
    set stays, as do pools that run already.
    """
    from tensorflow.python.eager import context

    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if not limit.isdigit() or int(limit) == 0 or context.context()._context_handle is not None:
        return
    for name in ("intra_op", "inter_op"):
        by_user = f"TF_NUM_{name.replace('_', '').upper()}_THREADS" in os.environ
        if not by_user and getattr(tf.config.threading, f"get_{name}_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{name}_parallelism_threads")(int(limit))


def _import_tensorflow():
    if "tensorflow" in sys.modules:
        import tensorflow as tf
    else:
        tf = _import_quietly()
    _follow_thread_limit(tf)
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

from tensorflow.python.eager import context as _tf_context  # noqa: E402

_forked_from = None


def _remember_fork():
    global _forked_from
    if _tf_context.context()._context_handle is not None:
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


class _Seed(int):
    """A seed that starts TensorFlow's random operations anew once it is used.

    ``tf.random.set_seed`` does so by clearing the cache of all kernels at once, which
    costs every compiled function some 0.1 s at its next call, though Keras draws from
    stateless operations alone. TensorFlow reduces the seed modulo 2^31 whenever an
    operation with a state needs it, and only then.
    """

    used = False

    def __mod__(self, other):
        if not self.used:
            self.used = True
            _tf_context.context().clear_kernel_cache()
        return int(self) % other


class _OwnRandom:
    """Stands for the module ``random`` where Keras draws seeds from it.

    The thread that seeds gets numbers of its own: others, such as those of a Dask
    worker, draw from the module at any time, and would change what comes next.
    """

    def __init__(self, seed):
        self._thread, self._own = threading.get_ident(), random.Random(seed)

    def __getattr__(self, name):
        return getattr(self._own if threading.get_ident() == self._thread else random, name)


# Seeding goes through process-wide generators, which two threads must not share.
_seeding = threading.RLock()


@contextlib.contextmanager
def seeded(seed):
    """Seed Python, NumPy, TensorFlow and Keras inside, restore all of them after.

    Keras draws the seeds of layers and initialisers from Python's ``random``, here
    unmoved by other threads; a user's builder may draw from any of them. Whatever draws
    makes variables too, hence `quick_variables`.

    Parameters
    ----------
    seed : int
        In ``[0, 2**32)``.
    """
    with _seeding, quick_variables():
        context = _tf_context.context()
        generator = keras.src.backend.common.global_state
        drawing = keras.src.random.seed_generator
        name = drawing.GLOBAL_SEED_GENERATOR
        before = random.getstate(), np.random.get_state(), drawing.python_random
        tensorflow_before = {key: vars(context)[key] for key in ("_seed", "_rng") if key in vars(context)}
        keras_generator = generator.get_global_attribute(name)
        random.seed(seed)
        np.random.seed(seed)
        drawing.python_random = _OwnRandom(seed)
        vars(context).update(_seed=_Seed(seed), _rng=random.Random(seed))
        generator.set_global_attribute(name, None)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            drawing.python_random = before[2]
            # tf.random.set_seed would restart the user's sequence of op seeds, and
            # there is no generator to put back where no seed was ever set.
            vars(context).pop("_rng", None)
            vars(context).update(tensorflow_before)
            generator.set_global_attribute(name, keras_generator)


def quick_variables():
    """Make TensorFlow's variables at a fifth of their cost while it is entered.

    Every variable is made by a kernel that TensorFlow 2.21 keeps under the variable's
    name. Keras numbers its layers, so each name is a new one: another kernel to be built,
    0.4 ms and some 30 KB that are never freed. Here the kernels' names are alike; the
    variables themselves have the names that they would have had.

    Returns
    -------
    context manager
    """
    return tf.variable_creator_scope(_make_variable)


# Kernels of variables under names of their own are cleared after so many, some 30 MB.
_NAMED_PER_CLEARING = 1024
_named = itertools.count(1)


def _make_variable(next_creator, **kwargs):
    if not tf.executing_eagerly() or tf.distribute.has_strategy():
        # As in Keras's own fit, which makes the optimizer's variables while it traces.
        if next(_named) % _NAMED_PER_CLEARING == 0:
            _tf_context.context().clear_kernel_cache()
        return next_creator(**kwargs)
    name = f"{_tf_context.context().scope_name}{kwargs.get('name') or 'Variable'}:0"
    # With a slash, TensorFlow takes the name as it is.
    variable = next_creator(**{**kwargs, "name": "variable/"})
    variable._handle_name = name
    return variable
