"""TensorFlow and Keras, imported quietly, and not before something of them is used."""

import contextlib
import functools
import importlib
import json
import os
import subprocess
import sys

# What TensorFlow 2.21 writes to the standard error by merely starting. Lines that come before its logging is
# initialised ignore TF_CPP_MIN_LOG_LEVEL. 303 is CUDA's word for "this machine has no driver at all".
_CHATTER = (
    "^(WARNING: All log messages before absl::InitializeLog"
    "|[IW][0-9]{4} [0-9:.]+ "
    "|To enable the following instructions:"
    r"|E[0-9]{4} .*cuInit.*\(303\)$)"
)


@contextlib.contextmanager
def _without_chatter():
    """Let the standard error pass through sed, which takes out start-up chatter.

    Another process also passes on what TensorFlow says where it ends this one, as without AVX.
    """
    try:
        real = os.dup(2)
    except OSError:  # there is none, as in a window without a console
        yield
        return
    try:
        command = ["sed", "-E", f"/{_CHATTER}/d"]
        sed = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=real, env={**os.environ, "LC_ALL": "C"})
    except OSError:  # there is no such program
        os.close(real)
        yield
        return
    _flush()
    os.dup2(sed.stdin.fileno(), 2)
    try:
        yield
    finally:
        _flush()
        os.dup2(real, 2)
        os.close(real)
        try:
            sed.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            # A process that was started meanwhile, as by another thread, keeps the pipe open, so sed runs on.
            # Python need not warn of it.
            sed.returncode = 0


def _flush():
    if sys.stderr is not None:
        sys.stderr.flush()


def _import_quietly():
    if sys.modules.get("tensorflow") or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return importlib.import_module("tensorflow")
    with _without_chatter():
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        try:
            tf = importlib.import_module("tensorflow")
            # Looks for devices now, while its complaint about a missing CUDA
            # driver is held back; the level that was read stays for the process.
            tf.config.list_physical_devices("GPU")
        finally:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
    return tf


def _follow_thread_limit(tf):
    """Give TensorFlow's pools the number of threads that joblib and Dask tell workers by OMP_NUM_THREADS."""
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if not limit.isdigit() or int(limit) == 0:
        return
    for name in ("intra_op", "inter_op"):
        by_user = f"TF_NUM_{name.replace('_', '').upper()}_THREADS" in os.environ
        if not by_user and getattr(tf.config.threading, f"get_{name}_parallelism_threads")() == 0:
            with contextlib.suppress(RuntimeError):  # TensorFlow has made its threads
                getattr(tf.config.threading, f"set_{name}_parallelism_threads")(int(limit))


@functools.cache
def _tensorflow():
    tf = _import_quietly()
    if "TF_FORCE_GPU_ALLOW_GROWTH" not in os.environ:
        # Several processes share a GPU where each takes its memory as it is needed.
        for gpu in tf.config.list_physical_devices("GPU"):
            if tf.config.experimental.get_memory_growth(gpu) is None:
                with contextlib.suppress(RuntimeError, ValueError):
                    tf.config.experimental.set_memory_growth(gpu, True)
    _follow_thread_limit(tf)
    return tf


@functools.cache
def import_keras():
    """Return Keras, with TensorFlow as its backend."""
    _tensorflow()  # first, so that its chatter is held back
    keras = importlib.import_module("keras")
    if keras.config.backend() != "tensorflow":
        raise ImportError(
            f"skdl needs Keras on the TensorFlow backend, but it is configured for "
            f"{keras.config.backend()!r}. Set the environment variable KERAS_BACKEND=tensorflow "
            "before Keras is first imported."
        )
    return keras


class _Lazy:
    """A module that is imported when something of it is asked for."""

    def __init__(self, load):
        self._load = load

    def __getattr__(self, name):
        return getattr(self._load(), name)

    def __reduce__(self):
        return "tf" if self._load is _tensorflow else "keras"


tf, keras = _Lazy(_tensorflow), _Lazy(import_keras)


def keras_is_imported():
    """Whether there is Keras in this process: without it, nothing can be an object of Keras's."""
    return sys.modules.get("keras") is not None


def floatx():
    """Return the name of Keras's default float type, without importing Keras for it."""
    return keras.config.floatx() if keras_is_imported() else _configured_floatx()


@functools.cache
def _configured_floatx():
    # As Keras 3.15 reads it when it is imported.
    folder = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    try:
        with open(os.path.join(folder, "keras.json"), encoding="utf-8") as file:
            return json.load(file)["floatx"]
    except (OSError, ValueError, KeyError):
        return "float32"
