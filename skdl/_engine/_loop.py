"""One pass through data as one program: the model's own steps in a loop of TensorFlow's."""

import copy
import time

from skdl._backend import keras, tf
from skdl._engine._program import Program
from skdl._engine._tensors import tensors

# Seconds of one call of a program, so that it can be interrupted from the keyboard. The first call makes
# few steps, and each further one at most eight times as many as the one before. The result is the same.
_SECONDS, _FIRST_STEPS, _FASTER = 0.5, 8, 8


class Pass:
    """One pass through data, a batch at a time, by a method of a model: "train_step" or "test_step".

    With ``stop_on_nan`` it ends after the batch that made the loss NaN or infinite.
    """

    def __init__(self, model, method, layout, variables, *, stop_on_nan=False):
        step = _step(model, method, layout)
        logs = step.get_concrete_function().structured_outputs
        # Keras takes the logs of the last step, unless the metrics of the model have their names.
        metrics = model.get_metrics_result()
        self._takes_metrics = not isinstance(logs, dict) or set(logs) == set(metrics)
        last = [] if self._takes_metrics else tf.nest.flatten(logs)
        self._names = None if self._takes_metrics else tf.nest.map_structure(lambda _: 0, logs)
        looks = stop_on_nan and isinstance(logs, dict) and "loss" in logs

        def loop(order, size, *flat):
            def body(i, go_on, last):
                rows = order[i * size : (i + 1) * size]
                logs = step(*(tf.gather(tensor, rows) for tensor in flat))
                go_on = tf.math.is_finite(logs["loss"]) if looks else go_on
                return i + 1, go_on, tf.nest.flatten(logs) if last else []

            start = [tf.zeros([n or 0 for n in each.shape], each.dtype) for each in last]
            i, go_on, last_logs = tf.while_loop(
                lambda i, go_on, _: go_on & (i * size < tf.size(order)),
                body,
                (tf.constant(0), tf.constant(True), start),
                shape_invariants=(tf.TensorShape(()), tf.TensorShape(()), [each.shape for each in last]),
                parallel_iterations=1,
            )
            return i, go_on, last_logs

        specs = [tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32), *layout.specs]
        kind = "training" if method == "train_step" else "validation"
        self.program = Program(loop, specs, variables, kind=kind)
        self.has_state, self.digest = self.program.has_state, self.program.digest
        self.is_for_others, self._most_steps = self.program.is_for_others, _FIRST_STEPS

    def of(self, variables):
        """Return the pass for the variables of another model that computes the same, or for none."""
        other = copy.copy(self)
        other.program = self.program.of(variables)
        return other

    def run(self, order, batch_size, data):
        """Visit rows of data in some order; return how many steps were made, and the last one's logs."""
        flat, visited, n_steps, last = tf.nest.flatten(data), 0, 0, None
        while visited < len(order):
            part = order[visited : visited + self._most_steps * batch_size]
            started = time.perf_counter()
            made, go_on, last = self.program(tensors(part), tf.constant(batch_size), *flat)
            made = int(made)  # waits for it
            seconds = time.perf_counter() - started
            in_time = int(made * _SECONDS / max(seconds, 1e-6))
            self._most_steps = min(max(in_time, 1), _FASTER * self._most_steps)
            visited, n_steps = visited + len(part), n_steps + made
            if not go_on:  # the loss is not finite
                break
        return n_steps, last

    def logs(self, model, last):
        """Return the logs of a pass as Keras has them, from those of its last step."""
        if self._takes_metrics:
            return dict(model.get_metrics_result())
        return tf.nest.pack_sequence_as(self._names, last)


def _step(model, method, layout):
    """Return a step of the model as a ``tf.function`` of flat tensors, by XLA where Keras does so."""
    method = getattr(model, method)

    # As Keras makes it: where the user compiled with ``jit_compile=True``, and on a GPU by itself.
    @tf.function(autograph=False, input_signature=layout.specs, jit_compile=model.jit_compile or None)
    def step(*flat):
        data = layout.nested(flat)
        if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
            return method(data)
        # Keras's optimizers then do not add their gradients up over replicas, of which there is one.
        # TensorFlow 2.21 registers a gradient for this sum at each trace, and keeps the graph for ever.
        return tf.distribute.get_replica_context().merge_call(lambda _: method(data))

    return step


def training_variables(model):
    """Return the variables that training a model reads or writes, in a fixed order."""
    optimizer = getattr(model, "optimizer", None)
    of_optimizer = optimizer.variables if optimizer is not None else []
    return list({id(v): v for v in (*model.variables, *of_optimizer, *model.metrics_variables)}.values())
