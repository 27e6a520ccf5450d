"""TensorFlow and Keras, imported when they are first used, and quietly; seeds that stay local.

Every other module takes ``keras`` and ``tf`` from here. What is private to them is in
`skdl._backend.private` alone.
"""

import os
import sys

from skdl._backend import private
from skdl._backend._seeds import drawing_from, seeded
from skdl._backend._start import floatx, keras, keras_is_imported, tf

_forked_from = None


def _remember_fork():
    global _forked_from
    try:
        if "tensorflow" in sys.modules and private.tensorflow_has_started():
            _forked_from = os.getppid()
    except private.Unavailable:  # TensorFlow does not tell
        pass


# A fork copies TensorFlow's state but not its threads: the first operation of the child would wait for ever.
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
