"""Seeds that stay local."""

import contextlib
import functools
import operator
import random
import threading

import numpy as np

from skdl._backend import private
from skdl._backend._start import keras, tf

# Two threads that seed the generators of the process must not restore each other's state.
_seeding = threading.RLock()


@contextlib.contextmanager
def seeded(seed, *, user_code=True):
    """Seed building and tracing, put back all that they touch, and yield the seeds that the user's code sets.

    Keras and TensorFlow draw from the seed in this thread alone. A user's code (``user_code``) may draw from
    NumPy's and Python's global generators too, which are seeded for this time, under a lock. Where it sets a
    seed, by ``keras.utils.set_random_seed`` or one of the functions that this calls, all draw from that seed
    from there on.
    """
    set_by_user, thread = [], threading.get_ident()

    def heard(module, function):
        function = getattr(function, "__wrapped__", function)  # not that of a `seeded` around this one

        @functools.wraps(function)
        def set_seed(*args, **kwargs):
            own = threading.get_ident() == thread
            if own:
                set_by_user.append(_as_integer(*args[:1], *kwargs.values()))
                seed_anew(set_by_user[-1])
            if not own or module is not tf.random:  # TensorFlow's own seed stays unchanged
                function(*args, **kwargs)

        return set_seed

    with drawing_from(seed) as seed_anew, contextlib.ExitStack() as stack:
        if user_code:
            stack.enter_context(_seeding)
            stack.enter_context(_global_states_kept())
            random.seed(seed)
            np.random.seed(seed)
            for module, name in ((random, "seed"), (np.random, "seed"), (tf.random, "set_seed")):
                function = getattr(module, name)
                stack.callback(setattr, module, name, function)
                setattr(module, name, heard(module, function))
        yield set_by_user


@contextlib.contextmanager
def drawing_from(seed):
    """Let Keras and TensorFlow draw from a seed in this thread, without a lock; yield what seeds them."""

    def seed_process(seed):
        with _seeding, _global_states_kept():
            keras.utils.set_random_seed(seed)

    with contextlib.ExitStack() as stack:
        try:
            seed_anew = stack.enter_context(private.keras_seeded(seed))
        except private.Unavailable:
            seed_anew = seed_process
            seed_process(seed)
        stack.enter_context(tf.variable_creator_scope(private.made_by_one_kernel))
        yield seed_anew


def _as_integer(seed=None, *others):
    """Return an integer for what may be given as a seed; another one each time for None."""
    if seed is None:
        return random.SystemRandom().getrandbits(31)
    try:
        return operator.index(seed)
    except TypeError:
        return random.Random(repr(seed)).getrandbits(31)


@contextlib.contextmanager
def _global_states_kept():
    """Put back the states of Python's and NumPy's generators; Keras's and TensorFlow's can't be read."""
    before = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
