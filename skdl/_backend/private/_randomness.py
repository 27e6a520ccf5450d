"""Private names behind variables and random numbers."""

import contextlib
import functools
import random
import threading

from skdl._backend._start import keras, tf
from skdl._backend.private._guard import guarded

# Variables.


@guarded
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
    from tensorflow.python.eager import context

    return tf.variable_creator_scope(functools.partial(_make_variable, context.context))


def _make_variable(context, next_creator, **kwargs):
    if not tf.executing_eagerly() or tf.distribute.has_strategy():
        return next_creator(**kwargs)
    name = f"{context().scope_name}{kwargs.get('name') or 'Variable'}:0"
    # With a slash, TensorFlow takes the name as it is.
    variable = next_creator(**{**kwargs, "name": "variable/"})
    if not hasattr(variable, "_handle_name"):
        return next_creator(**kwargs)
    variable._handle_name = name
    return variable


# Random numbers.


def _replaced(attributes):
    # Looked up here, where a missing name is still told as one.
    return _exchanged(attributes, [(module, name, getattr(module, name)) for module, name, _ in attributes])


@contextlib.contextmanager
def _exchanged(attributes, before):
    for module, name, value in attributes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


class _OwnRandom:
    """Stands for the module ``random`` where Keras draws seeds from it: in one thread only."""

    def __init__(self, seed):
        self._thread, self._own = threading.get_ident(), random.Random(seed)

    def __getattr__(self, name):
        return getattr(self._own if threading.get_ident() == self._thread else random, name)


@guarded
def keras_seeded(seed):
    """Let Keras and TensorFlow draw from a seed in this thread; others notice nothing.

    Keras draws the seeds of layers and initialisers from Python's ``random``, and keeps a
    generator for each thread. TensorFlow's operations take a seed each, which is asked for
    in one place, when they are made. An operation that runs at once is put into a function
    of its own: its kernel would otherwise be kept, and go on where an earlier operation
    with the same seeds stopped.

    Returns
    -------
    context manager
    """
    from tensorflow.python.framework import random_seed
    from tensorflow.python.ops import gen_random_ops

    thread, drawn, tensorflow_seed = threading.get_ident(), random.Random(seed), random_seed.get_seed

    def get_seed(op_seed):
        if threading.get_ident() != thread:
            return tensorflow_seed(op_seed)
        # Never (0, 0), which asks for a random seed.
        return seed % 2**31, (
            drawn.randint(1, 2**31 - 1) if op_seed is None else op_seed % 2**31 or 2**31 - 1
        )

    def at_once(operation):
        @functools.wraps(operation)
        def run(*args, **kwargs):
            if threading.get_ident() != thread or not tf.executing_eagerly():
                return operation(*args, **kwargs)
            return tf.function(lambda: operation(*args, **kwargs), autograph=False)()

        return run

    replaced = [(random_seed, "get_seed", get_seed)]
    replaced += [(gen_random_ops, name, at_once(getattr(gen_random_ops, name))) for name in _WITH_SEEDS]
    replaced += [(keras.src.random.seed_generator, "python_random", _OwnRandom(seed))]
    state = keras.src.backend.common.global_state
    name = keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR
    return _replacing(_replaced(replaced), state, name)


@contextlib.contextmanager
def _replacing(attributes, state, name):
    generator = state.get_global_attribute(name)
    with attributes:
        state.set_global_attribute(name, None)
        try:
            yield
        finally:
            state.set_global_attribute(name, generator)


_WITH_SEEDS = (
    "multinomial",
    "parameterized_truncated_normal",
    "random_gamma",
    "random_poisson_v2",
    "random_shuffle",
    "random_standard_normal",
    "random_uniform",
    "random_uniform_int",
    "truncated_normal",
)
