"""The state of a model in training: put back where something fails."""

import contextlib

from skdl._backend import tf
from skdl._engine._loop import training_variables


@contextlib.contextmanager
def rolled_back_where_it_fails(model):
    """Put a model back as it was where something inside raises.

    Weights, the optimizer's variables, the states of seed generators and of metrics get back their
    values. Variables that are made inside get those with which they were made.
    """
    compiled, before, made = model.compiled, [], []
    if model.built:
        before = [(v.value, v.value.read_value()) for v in training_variables(model)]

    def noted(next_creator, **arguments):
        variable = next_creator(**arguments)
        made.append((variable, arguments["initial_value"]))
        return variable

    try:
        with tf.variable_creator_scope(noted):
            yield
    except BaseException:
        for variable, value in (*made, *before):
            variable.assign(value() if callable(value) else value)
        model.compiled = compiled
        raise
