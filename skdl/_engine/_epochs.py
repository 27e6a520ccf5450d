"""Whole epochs of training as one program.

It calls the model's own ``train_step`` and ``test_step``, so Keras keeps its meaning and
only the Python between the steps goes.
"""

import numpy as np

from skdl._backend import private, tf
from skdl._engine import _early_stopping
from skdl._engine._data import tensors
from skdl._engine._dropout import drawing_layers, drawn
from skdl._engine._program import NotCompilable, Program, resized
from skdl._engine._traced import Graph

# Rows gathered for one launch of an XLA program: enough to hide what a launch costs,
# few enough to stay in a processor's cache.
CHUNK_BYTES, CHUNK_STEPS = 2**22, 32


def _carried(logs, names):
    return [tf.nest.flatten(logs[name])[0] for name in names]


def _drawn_before(model, method, keras_only):
    """Return the layers whose random numbers are drawn before the steps, or None: XLA can't be used."""
    # Who asks for XLA gets its numbers, as from Keras's fit.
    if method == "test_step" or model.jit_compile:
        return []
    layers = drawing_layers(model)
    return layers if keras_only or not layers else None


def _function(function):
    return tf.function(function, autograph=False, input_signature=[])


def _scalars(logs, what):
    """Check that logs are named numbers, as the history of a program must be."""
    if not isinstance(logs, dict):
        raise NotCompilable(f"{what} returns no dict of logs")
    for name, value in logs.items():
        value = tf.convert_to_tensor(value)
        if value.shape.rank != 0 or not (value.dtype.is_floating or value.dtype.is_integer):
            raise NotCompilable(f"{what} gives {name!r}, which is not one number")


class _Pass:
    """One pass through data, a batch at a time: part of a program.

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
    drawing : list of keras.layers.Dropout
        Those whose random numbers are drawn before the steps.
    """

    def __init__(self, model, method, layout, *, batch_size, xla, keras_only, stop_on_nan=False):
        self.layout, self.batch_size, self.stop_on_nan = layout, batch_size, stop_on_nan
        drawing = _drawn_before(model, method, keras_only) if xla else []
        xla, self.drawing = xla and drawing is not None, drawing or []
        concrete = self._trace(getattr(model, method))
        graph = Graph(concrete) if xla else None
        xla = xla and graph.safe_in_xla(keras_only=keras_only)
        self.takes_fewer = xla and graph.safe_for_fewer_rows()
        if self.drawing and not self.takes_fewer:
            # The smaller batch would draw in its own way.
            xla, self.drawing = False, []
            concrete = self._trace(getattr(model, method))
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
            self.results = _function(lambda: self._row(model.get_metrics_result()))
        self.names = list(metrics if self.from_metrics else logs)
        if self.from_metrics:
            self.parts.append(self.results.get_concrete_function())
        carried = [] if self.from_metrics else list(logs)
        if stop_on_nan and "loss" not in carried and "loss" in logs:
            carried.append("loss")
        self.carried = carried
        self.specs = [tf.TensorSpec((), logs[name].dtype) for name in carried]
        self.chunk = self._chunk() if xla else None
        # All that the pass does with its parts. The names themselves have no meaning to it.
        self.settings = (
            *(layout.key, batch_size, self.chunk is not None, self.takes_fewer, len(self.drawing)),
            *(stop_on_nan, len(self.names)),
            *([sorted(logs).index(name) for name in carried], stop_on_nan and "loss" in carried),
        )

    def _trace(self, method):
        self.step = self.layout.function(method, n_numbers=len(self.drawing))
        return self.step.get_concrete_function()

    def _go_on(self, more, logs):
        """Whether to make another step: where there are more, and the loss is finite."""
        if self.stop_on_nan and "loss" in self.carried:
            more &= tf.math.is_finite(logs[self.carried.index("loss")])
        return more

    def _chunk(self):
        """Return an XLA program of up to ``self.chunk_steps`` batches."""
        row_bytes = sum(s.dtype.size * np.prod(s.shape[1:], dtype=int) for s in self.layout.specs)
        self.chunk_steps = int(np.clip(CHUNK_BYTES // (row_bytes * self.batch_size), 1, CHUNK_STEPS))
        specs = [
            tf.TensorSpec((self.chunk_steps, self.batch_size, *s.shape[1:]), s.dtype)
            for s in self.layout.with_numbers(len(self.drawing))
        ]

        @tf.function(
            autograph=False,
            jit_compile=True,
            input_signature=[tf.TensorSpec((), tf.int32), self.specs, specs],
        )
        def chunk(n_rows, logs, batches):
            def body(i, _):
                batch = [b[i] for b in batches]
                if self.takes_fewer:
                    n = tf.minimum(self.batch_size, n_rows - i * self.batch_size)
                    batch = [private.first_rows(t, n) for t in batch]
                return i + 1, _carried(self.step(*batch), self.carried)

            return tf.while_loop(
                lambda i, logs: self._go_on(i * self.batch_size < n_rows, logs),
                body,
                (tf.constant(0), [tf.identity(v) for v in logs]),
                parallel_iterations=1,
            )

        return chunk

    def __call__(self, flat, order, logs, units=()):
        """Return the number of steps made and the logs that are carried.

        Parameters
        ----------
        flat : list of tf.Tensor with n_rows rows each
        order : tf.Tensor of shape (n_visited,)
            Rows to visit.
        logs : list of tf.Tensor
            Those carried from the part of the pass before, or zeros.
        units : list of tf.Tensor of shape (2,)
            Of each layer that draws, see `skdl._engine._dropout.drawn`.
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
        in_chunks = n if self.takes_fewer else n // size * size

        def many(done, logs):
            rows = order[done * size : tf.minimum((done + self.chunk_steps) * size, in_chunks)]
            n_rows = tf.size(rows)
            rows = tf.pad(rows, [[0, self.chunk_steps * size - n_rows]])
            rows = tf.reshape(rows, (self.chunk_steps, size))
            how = {"n_steps": -(-n_rows // size), "most_steps": self.chunk_steps, "batch_size": size}
            numbers = [drawn(*each, **how) for each in zip(self.drawing, units, strict=True)]
            steps, logs = self.chunk(n_rows, logs, [*(tf.gather(t, rows) for t in flat), *numbers])
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


class TrainProgram(Program):
    """Epochs of training, with validation and early stopping.

    Parameters
    ----------
    model : keras.Model
        Compiled and built, as are its metrics and its optimizer.
    train, validation : Layout or None
        Of ``(x, y)`` or ``(x, y, sample_weight)``.
    batch_size, validation_batch_size : int
    xla : bool
        Compile with XLA where it computes the same, or run TensorFlow's operations one by one.
    keras_only : bool
        Whether the model is of Keras's own parts alone.
    optimise : bool
        As for `Program`.
    stopping : {None, "stop", "restore"}
        Evaluate an ``EarlyStopping`` callback, and keep the best weights or not.
    stop_on_nan : bool

    Attributes
    ----------
    names : list of str
        Columns of the history, as the model that was traced names them.
    n_train_names : int
        How many of them are of training; the others are of validation.
    xla : bool
        Whether it is compiled with XLA.
    labels : list of (bool, int, int)
        What must hold for XLA: whether it is about validation data, the position of an
        array of class labels, and the number of classes.
    """

    def __init__(
        self,
        model,
        train,
        validation,
        *,
        batch_size,
        validation_batch_size,
        xla,
        keras_only,
        optimise,
        stopping,
        stop_on_nan,
    ):
        with private.without_graph_optimiser(not optimise):
            how = {"xla": xla, "keras_only": keras_only}
            training = _Pass(
                model, "train_step", train, batch_size=batch_size, stop_on_nan=stop_on_nan, **how
            )
            testing = validation and _Pass(
                model, "test_step", validation, batch_size=validation_batch_size, **how
            )
            reset = _function(model.reset_metrics)
            parts = [reset.get_concrete_function()]
        self._training, self._testing, self._reset = training, testing, reset
        passes = [p for p in (training, testing) if p]
        self.xla = any(p.chunk is not None for p in passes)
        self.labels = [(p is testing, *bound) for p in passes for bound in p.labels]
        self.names = [*training.names, *(f"val_{name}" for name in (testing.names if testing else ()))]
        self.n_train_names = len(training.names)
        self.from_metrics = all(p.from_metrics for p in passes)
        self.n_carried = len(training.specs)
        self.n_drawing = len(training.drawing)
        self.nothing_carried = [np.zeros((), s.dtype.as_numpy_dtype) for s in training.specs]
        variables = private.training_variables(model)
        self._stopping = stopping
        self._weights = model.weights if stopping == "restore" else []
        places = {id(variable): i for i, variable in enumerate(variables)}
        self._weight_places = [places[id(w)] for w in self._weights]
        settings = stopping, self._weight_places, [p.settings for p in passes]
        parts += [part for p in passes for part in p.parts]
        super().__init__(parts, variables, settings, optimise=optimise)

    def _loop(self):
        training, testing, weights = self._training, self._testing, self._weights
        state_specs = [
            *_early_stopping.STATE_SPECS,
            # Of any shape: the graph must not depend on the width of layers.
            *(tf.TensorSpec([None] * len(w.shape), w.value.dtype) for w in weights),
        ]
        rule_specs = list(_early_stopping.RULE_SPECS)
        if self._stopping is None:
            rule_specs, state_specs = [], []

        def pack(state):
            return _early_stopping.Stopping(*state[:5], tuple(state[5:]))

        def epochs(
            orders, begin, end, evaluate, first_epoch, carried, units, rule, state, data, validation_data
        ):
            def validate():
                self._reset()
                nothing = [tf.zeros(s.shape, s.dtype) for s in testing.specs]
                _, carried = testing(validation_data, tf.range(tf.shape(validation_data[0])[0]), nothing)
                return testing.logs(carried)

            def reset():
                self._reset()
                return tf.constant(True)

            def finish(e, carried, state):
                logs = training.logs(carried)
                if testing:
                    skipped = tf.fill([len(testing.names)], tf.constant(np.nan, tf.float64))
                    logs = tf.concat([logs, tf.cond(evaluate[e], validate, lambda: skipped)], 0)
                stop = tf.constant(False)
                if state:
                    updated, stop = _early_stopping.update(
                        pack(state), _early_stopping.Rule(*rule), first_epoch + e, logs, weights
                    )
                    state = [*updated[:5], *updated.weights]
                return logs, stop, list(state)

            def epoch(e, stop, steps, history, carried, state):
                tf.cond(begin, reset, lambda: tf.constant(False))
                steps, carried = training(data, orders[e], carried, units)
                nothing = tf.zeros([len(self.names)], tf.float64)
                logs, stop, state = tf.cond(
                    end,
                    lambda: finish(e, carried, state),
                    lambda: (nothing, tf.constant(False), [tf.identity(s) for s in state]),
                )
                return e + 1, stop, steps, history.write(e, logs), carried, state

            n_epochs = tf.shape(orders)[0]
            history = tf.TensorArray(tf.float64, n_epochs, element_shape=(len(self.names),))
            done, stop, steps, history, carried, state = tf.while_loop(
                lambda e, stop, *_: (e < n_epochs) & ~stop,
                epoch,
                (tf.constant(0), tf.constant(False), tf.constant(0), history, list(carried), list(state)),
                parallel_iterations=1,
            )
            return history.stack()[:done], stop, steps, carried, state

        arguments = [
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((), tf.bool),
            tf.TensorSpec((), tf.bool),
            tf.TensorSpec((None,), tf.bool),
            tf.TensorSpec((), tf.int32),
            training.specs,
            [tf.TensorSpec((2,), tf.int32)] * self.n_drawing,
            rule_specs,
            state_specs,
            training.layout.specs,
            testing.layout.specs if testing else [],
        ]

        @tf.function(autograph=False, input_signature=tf.nest.flatten(arguments))
        def flat_epochs(*flat):
            return epochs(*tf.nest.pack_sequence_as(arguments, flat))

        return flat_epochs

    def _finish(self):
        super()._finish()
        for traced in filter(None, (self._training, self._testing)):
            # Its functions refer to it, and it to them.
            vars(traced).clear()
        self._training = self._testing = self._reset = self._weights = None

    def run(
        self,
        model,
        orders,
        *,
        begin,
        end,
        evaluate,
        first_epoch,
        carried,
        stopping,
        data,
        validation_data,
        shapes,
        units=(),
    ):
        """Train a model for as many epochs as there are orders, or until it stops early.

        Parameters
        ----------
        model : keras.Model
        orders : ndarray of int32 of shape (n_epochs, n_rows)
            Rows in the order in which each epoch visits them; one epoch may be given in
            parts, in one call each.
        begin, end : bool
            Whether these are the beginning and the end of epochs.
        evaluate : ndarray of bool of shape (n_epochs,)
            After which epochs to validate.
        first_epoch : int
        carried : list of scalar
            Logs of the part before; ``nothing_carried`` at the beginning.
        stopping : tuple (Rule, Stopping) or None
        data, validation_data : nested tf.Tensor; the latter may be None
        shapes : tuple of tuple
            Of the variables while they are trained, see `skdl._engine._widths.padded_shapes`.
        units : list of (int, int)
            Of each layer that draws, see `skdl._engine._dropout.drawn`.

        Returns
        -------
        history : ndarray of shape (n_epochs_done, n_names)
            NaN where an epoch was not validated; zeros where it did not end.
        stop : bool
        steps : int
            Made in the last epoch.
        carried : list of scalar
        state : Stopping or None
        """
        rule, state = stopping or ((), None)
        weights = state.weights if state else ()
        best = [resized(w, shapes[i]) for w, i in zip(weights, self._weight_places, strict=True)]
        history, stop, steps, *rest = self(
            private.training_variables(model),
            tensors(orders),
            tf.constant(begin),
            tf.constant(end),
            tf.constant(evaluate),
            tf.constant(first_epoch, tf.int32),
            *map(tf.constant, carried),
            *map(tf.constant, units),
            *rule,
            *(state[:5] if state else ()),
            *best,
            *tf.nest.flatten(data),
            *(tf.nest.flatten(validation_data) if validation_data is not None else ()),
            shapes=shapes,
        )
        rest = tf.nest.flatten(rest)
        carried, rest = [c.numpy() for c in rest[: self.n_carried]], rest[self.n_carried :]
        best = tuple(resized(new, tuple(w.shape)) for new, w in zip(rest[5:], weights, strict=True))
        state = _early_stopping.Stopping(*rest[:5], best) if stopping else None
        return history.numpy(), bool(stop), int(steps), carried, state
