"""Seeds that stay local."""

import contextlib
import random
import threading

import numpy as np

from skdl._backend import private
from skdl._backend._start import keras
from skdl._backend._variables import quick_variables

# Two threads that seed must not restore each other's state.
_seeding = threading.RLock()


@contextlib.contextmanager
def seeded(seed, *, user_code=True):
    """Seed what runs inside, and put back all that it touches.

    Keras and TensorFlow draw from the seed in this thread alone. A user's code may draw
    from NumPy's and Python's global generators too. These belong to the process: they are
    seeded for this time, and get back their states after. What another thread draws from
    them meanwhile, it draws again later. Where Keras's and TensorFlow's private names are
    other ones, ``keras.utils.set_random_seed`` seeds these two for the whole process.

    Parameters
    ----------
    seed : int
        In ``[0, 2**32)``.
    user_code : bool, default=True
        Whether code that is not Keras's runs inside. Otherwise nothing global is seeded.
    """
    with _seeding, quick_variables():
        try:
            local = private.keras_seeded(seed)
        except private.Unavailable:
            with _global_states_kept():
                keras.utils.set_random_seed(seed)
                yield
            return
        with local:
            if not user_code:
                yield
                return
            with _global_states_kept():
                random.seed(seed)
                np.random.seed(seed)
                yield


@contextlib.contextmanager
def _global_states_kept():
    """Put back the states of Python's and NumPy's generators; Keras's and TensorFlow's can't be read."""
    before = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
