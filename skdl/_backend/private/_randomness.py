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


class _Seeds:
    """What Keras and TensorFlow draw from a seed in one thread."""

    def __init__(self, seed):
        self._thread = threading.get_ident()
        self._of_keras, self._of_operations = random.Random(), random.Random()
        self.seed(seed)

    def seed(self, seed):
        """Draw from another seed from here on."""
        self._graph = seed % 2**31
        self._of_keras.seed(seed)
        self._of_operations.seed(seed)

    def __getattr__(self, name):
        """Stand for the module ``random``, from which Keras draws."""
        return getattr(self._of_keras if self.are_of_this_thread() else random, name)

    def are_of_this_thread(self):
        """Return whether the calling thread is the one that is seeded."""
        return threading.get_ident() == self._thread

    def of_operation(self, seed):
        """Return the two seeds of an operation. They are never (0, 0), which asks for a random seed."""
        if seed is None:
            return self._graph, self._of_operations.randint(1, 2**31 - 1)
        return self._graph, seed % 2**31 or 2**31 - 1


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
        Enters with a function that seeds anew.
    """
    from tensorflow.python.framework import random_seed
    from tensorflow.python.ops import gen_random_ops

    seeds, tensorflow_seed = _Seeds(seed), random_seed.get_seed

    def get_seed(op_seed):
        return seeds.of_operation(op_seed) if seeds.are_of_this_thread() else tensorflow_seed(op_seed)

    def at_once(operation):
        @functools.wraps(operation)
        def run(*args, **kwargs):
            if not seeds.are_of_this_thread() or not tf.executing_eagerly():
                return operation(*args, **kwargs)
            return tf.function(lambda: operation(*args, **kwargs), autograph=False)()

        return run

    replaced = [(random_seed, "get_seed", get_seed)]
    replaced += [(gen_random_ops, name, at_once(getattr(gen_random_ops, name))) for name in _WITH_SEEDS]
    replaced += [(keras.src.random.seed_generator, "python_random", seeds)]
    state = keras.src.backend.common.global_state
    names = (
        keras.src.random.seed_generator.GLOBAL_SEED_GENERATOR,
        keras.src.utils.rng_utils.GLOBAL_RANDOM_SEED,
    )
    return _replacing(_replaced(replaced), state, names, seeds.seed)


@contextlib.contextmanager
def _replacing(attributes, state, names, seed):
    before = {name: state.get_global_attribute(name) for name in names}
    with attributes:
        state.set_global_attribute(names[0], None)
        try:
            yield seed
        finally:
            for name, value in before.items():
                state.set_global_attribute(name, value)


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
