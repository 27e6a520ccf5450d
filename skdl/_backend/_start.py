"""TensorFlow and Keras, imported once and quietly."""

import contextlib
import os
import re
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
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
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
            output.seek(0)
            for line in output:
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
