"""Seeds that stay local."""

import contextlib
import random
import threading

import numpy as np

from skdl._backend import private

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
    with _seeding, private.quick_variables(), private.keras_seeded(seed):
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
