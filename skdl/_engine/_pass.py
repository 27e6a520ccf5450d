"""One pass through data, a batch at a time: part of a program of training."""

import numpy as np

from skdl._backend import private, tf
from skdl._engine._program import NotCompilable, may_use_gpu
from skdl._engine._traced import Graph

# Rows gathered for one launch of an XLA program: enough to hide what a launch costs, few enough to
# stay in a processor's cache. A launch costs 0.2 ms, and from Python 0.6.
CHUNK_BYTES, CHUNK_STEPS, MORE_STEPS = 2**22, 32, 512


def _carried(logs, names):
    return [tf.nest.flatten(logs[name])[0] for name in names]


def call_if(condition, function):
    """Call a function in a graph, if a condition holds."""

    def call():
        function()
        return tf.constant(True)

    tf.cond(condition, call, lambda: tf.constant(False))


def function_of(function):
    """Return a function without arguments as a tf.function."""
    return tf.function(function, autograph=False, input_signature=[])


def _scalars(logs, what):
    """Check that logs are named numbers, as the history of a program must be."""
    if not isinstance(logs, dict):
        raise NotCompilable(f"{what} returns no dict of logs")
    for name, value in logs.items():
        value = tf.convert_to_tensor(value)
        if value.shape.rank != 0 or not (value.dtype.is_floating or value.dtype.is_integer):
            raise NotCompilable(f"{what} gives {name!r}, which is not one number")


class Pass:
    """One pass through data, a batch at a time.

    Parameters
    ----------
    model : keras.Model
    method : {"train_step", "test_step"}
    layout : Layout
    batch_size : int
    xla : bool
        Compile it with XLA, where that computes the same. The last, smaller batch is filled up, or
        else runs without: XLA would compile anew for each number of rows.
    keras_only : bool
        Whether the model is of Keras's own parts alone.
    stop_on_nan : bool
        End the pass after the batch that made the loss NaN or infinite.
    reset : tf.function, default=None
        What begins an epoch, where nothing but the logs of an epoch is wanted between two of them.

    Attributes
    ----------
    names : list of str
        Columns of the logs.
    from_metrics : bool
        Whether the logs are the results of the model's metrics.
    labels : list of (int, int)
        For XLA: position of an array that holds class labels, and the number of classes.
    takes_fewer : bool
        Whether the smaller batch is compiled with XLA, too.
    ends_epochs : bool
        Whether XLA compiles what ends and begins an epoch, too.
    """

    def __init__(self, model, method, layout, *, batch_size, xla, keras_only, stop_on_nan=False, reset=None):
        self.layout, self.batch_size, self.stop_on_nan = layout, batch_size, stop_on_nan
        concrete = self._trace(getattr(model, method))
        graph = Graph(concrete) if xla else None
        xla = xla and graph.safe_in_xla(keras_only=keras_only, drawing=bool(model.jit_compile))
        # Tried out on processors alone.
        self.takes_fewer = xla and graph.safe_for_fewer_rows() and not may_use_gpu()
        self.labels = graph.label_bounds() if xla else []
        self.parts = [concrete]
        logs = concrete.structured_outputs
        _scalars(logs, method)
        metrics = model.get_metrics_result()
        # As Keras has it: the logs of the last step, unless they are the metrics', which
        # are then read once at the end of the epoch.
        self.from_metrics = set(logs) == set(metrics)
        if self.from_metrics:
            _scalars(metrics, "a metric")
            self.results = function_of(lambda: self._row(model.get_metrics_result()))
        self.names = list(metrics if self.from_metrics else logs)
        if self.from_metrics:
            self.parts.append(self.results.get_concrete_function())
        carried = [] if self.from_metrics else list(logs)
        if stop_on_nan and "loss" not in carried and "loss" in logs:
            carried.append("loss")
        self.carried = carried
        self.specs = [tf.TensorSpec((), logs[name].dtype) for name in carried]
        between = [reset, self.results] if reset is not None and self.from_metrics else []
        graphs = [Graph(function.get_concrete_function()) for function in between if self.takes_fewer]
        self.ends_epochs = bool(graphs) and all(
            g.safe_in_xla(keras_only=keras_only, drawing=False) for g in graphs
        )
        self.reset = reset
        self.chunk = self._chunk() if xla else None
        # All that the pass does with its parts. The names themselves have no meaning to it.
        self.settings = (
            *(layout.key, batch_size, self.chunk is not None, self.takes_fewer, self.ends_epochs),
            *(stop_on_nan, len(self.names)),
            *([sorted(logs).index(name) for name in carried], stop_on_nan and "loss" in carried),
        )

    def _trace(self, method):
        self.step = self.layout.function(method)
        return self.step.get_concrete_function()

    def _go_on(self, more, logs):
        """Whether to make another step: where there are more, and the loss is finite."""
        if self.stop_on_nan and "loss" in self.carried:
            more &= tf.math.is_finite(logs[self.carried.index("loss")])
        return more

    def _chunk(self):
        """Return an XLA program of up to ``self.chunk_steps`` batches."""
        row_bytes = sum(s.dtype.size * np.prod(s.shape[1:], dtype=int) for s in self.layout.specs)
        most = MORE_STEPS if self.ends_epochs else CHUNK_STEPS
        self.chunk_steps = int(np.clip(CHUNK_BYTES // (row_bytes * self.batch_size), 1, most))
        flags = [tf.TensorSpec((self.chunk_steps,), tf.bool)] * self.ends_epochs
        specs = [
            tf.TensorSpec((self.chunk_steps, self.batch_size, *s.shape[1:]), s.dtype)
            for s in self.layout.specs
        ]

        arguments = [tf.TensorSpec((self.chunk_steps,), tf.int32), flags, self.specs, specs]

        @tf.function(autograph=False, jit_compile=True, input_signature=tf.nest.flatten(arguments))
        def chunk(*flat):
            n_rows, begins, logs, batches = tf.nest.pack_sequence_as(arguments, flat)

            def body(i, logs, rows):
                batch = [b[i] for b in batches]
                if self.takes_fewer:
                    batch = [private.first_rows(t, n_rows[i]) for t in batch]
                for flags in begins:
                    call_if(flags[i], self.reset)
                logs = _carried(self.step(*batch), self.carried)
                if begins:
                    rows = rows.write(i, self.results())
                return i + 1, logs, rows

            def more(i, logs, _):
                there = (i < self.chunk_steps) & (n_rows[tf.minimum(i, self.chunk_steps - 1)] > 0)
                return self._go_on(there, logs)

            rows = tf.TensorArray(tf.float64, self.chunk_steps, element_shape=(len(self.names),))
            start = (tf.constant(0), [tf.identity(v) for v in logs], rows)
            steps, logs, rows = tf.while_loop(more, body, start, parallel_iterations=1)
            return steps, logs, rows.stack() if begins else []

        return chunk

    def __call__(self, flat, order, logs):
        """Return the number of steps made and the logs that are carried.

        Parameters
        ----------
        flat : list of tf.Tensor with n_rows rows each
        order : tf.Tensor of shape (n_visited,)
            Rows to visit.
        logs : list of tf.Tensor
            Those carried from the part of the pass before, or zeros.
        """
        n = tf.size(order)
        size = self.batch_size

        def one(done, _):
            rows = order[done * size : (done + 1) * size]
            return done + 1, _carried(self.step(*(tf.gather(t, rows) for t in flat)), self.carried)

        start = (tf.constant(0), list(logs))
        if self.chunk is None:
            return tf.while_loop(
                lambda done, logs: self._go_on(done * size < n, logs), one, start, parallel_iterations=1
            )
        in_chunks, most = n if self.takes_fewer else n // size * size, self.chunk_steps

        def many(done, logs):
            rows = order[done * size : tf.minimum((done + most) * size, in_chunks)]
            n_rows = tf.clip_by_value(tf.size(rows) - size * tf.range(most), 0, size)
            rows = tf.reshape(tf.pad(rows, [[0, most * size - tf.size(rows)]]), (most, size))
            steps, logs, _ = self.chunk(n_rows, *logs, *(tf.gather(t, rows) for t in flat))
            return done + steps, logs

        done, logs = tf.while_loop(
            lambda done, logs: self._go_on(done * size < in_chunks, logs), many, start, parallel_iterations=1
        )
        if self.takes_fewer:
            return done, logs
        return tf.cond(
            self._go_on(in_chunks < n, logs),
            lambda: one(done, logs),
            lambda: (tf.identity(done), [tf.identity(v) for v in logs]),
        )

    def logs(self, carried):
        """Return the logs of the pass, a float64 tensor of shape (n_names,)."""
        if self.from_metrics:
            return self.results()
        return self._row(dict(zip(self.carried, carried, strict=True)))

    def _row(self, values):
        return tf.stack([tf.cast(values[name], tf.float64) for name in self.names])
