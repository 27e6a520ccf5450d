"""TensorFlow and Keras, imported quietly, and not before something of them is used."""

import contextlib
import functools
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile

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
    try:
        with tempfile.NamedTemporaryFile() as output, _passed_on_after_death(output.name, real):
            os.dup2(output.fileno(), 2)
            quiet = False
            try:
                yield
                quiet = True
            finally:
                _flush()
                os.dup2(real, 2)
                output.seek(0)
                for line in output:
                    if not (quiet and _CHATTER.match(line.rstrip())):
                        os.write(real, line)
    finally:
        os.close(real)


@contextlib.contextmanager
def _passed_on_after_death(path, real):
    """Let a shell write a file to the standard error if this process dies inside.

    As TensorFlow ends it on a processor without AVX: what it says is in the file then. The shell
    waits for a line, which it gets at the end, or for the end of this process.
    """
    command = 'read line || { cat "$1" >&2; rm -f "$1"; }'
    try:
        shell = subprocess.Popen(["/bin/sh", "-c", command, "sh", path], stdin=subprocess.PIPE, stderr=real)
    except OSError:  # there is no such shell
        yield
        return
    try:
        yield
    finally:
        shell.communicate(b"\n")


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


# Functions of TensorFlow that are called once it is imported, before anything is done with it.
_first_of_all = []


def first_of_all(function):
    """Call a function with TensorFlow once it is imported."""
    _first_of_all.append(function)
    return function


@first_of_all
def _let_gpu_memory_grow(tf):
    """Take a GPU's memory as it is needed, for several processes, where the user has not chosen."""
    if "TF_FORCE_GPU_ALLOW_GROWTH" in os.environ:
        return
    for gpu in tf.config.list_physical_devices("GPU"):
        if tf.config.experimental.get_memory_growth(gpu) is None:
            with contextlib.suppress(RuntimeError, ValueError):
                tf.config.experimental.set_memory_growth(gpu, True)


@functools.cache
def _tensorflow():
    tf = importlib.import_module("tensorflow") if sys.modules.get("tensorflow") else _import_quietly()
    for function in _first_of_all:
        function(tf)
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
