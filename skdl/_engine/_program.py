"""Whole epochs of training as one TensorFlow program.

A program calls the model's own ``train_step`` and ``test_step``, so Keras keeps its
meaning and only the Python between the steps goes. It is traced from one model, and
runs any other that is built alike: the variables that it captured are handed to it
anew at each call. So programs have no state, any number of threads can run one at the
same time, and a model's weights are never anyone else's.
"""

import contextlib
import weakref

import numpy as np
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework.func_graph import dismantle_func_graph

from skdl._backend import tf
from skdl._engine import _early_stopping
from skdl._engine._data import row_spec

# Rows gathered for one launch of an XLA program: enough to hide what a launch costs,
# few enough to stay in a processor's cache.
CHUNK_BYTES, CHUNK_STEPS = 2**22, 32

# Operations with a state of their own: random ones that continue their sequence from
# call to call, and calls back into Python, which see the objects of the traced model.
_WITH_STATE = {
    "EagerPyFunc",
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "PyFunc",
    "PyFuncStateless",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
}


class NotCompilable(Exception):
    """The reason why a training cannot be run as a program."""


class Layout:
    """How nested tensors with rows are put together.

    Attributes
    ----------
    structure : nested tf.TensorSpec
    specs : list of tf.TensorSpec
        The structure, flat.
    key : str
        Equal where layouts are equal.
    """

    def __init__(self, data):
        self.structure = tf.nest.map_structure(row_spec, data)
        self.specs = tf.nest.flatten(self.structure)
        self.key = repr(self.structure)

    def function(self, method):
        """Return ``method`` of the nested data as a function of the flat tensors."""

        @tf.function(autograph=False, input_signature=self.specs)
        def function(*flat):
            return method(tf.nest.pack_sequence_as(self.structure, flat))

        return function


@contextlib.contextmanager
def _without_graph_optimiser(skip):
    """Leave out TensorFlow's graph optimiser in this thread.

    It costs a quarter of a second for each program, which small networks never repay,
    and XLA has its own.
    """
    if not skip:
        yield
        return
    context = tf_context.context()
    before = context.function_call_options
    config = config_pb2.ConfigProto()
    config.CopyFrom(context.config)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    context.function_call_options = tf_context.FunctionCallOptions(config_proto=config)
    try:
        yield
    finally:
        context.function_call_options = before


class Program:
    """A traced function that runs with the variables of any model built alike.

    Parameters
    ----------
    model : keras.Model
        Whose variables are captured.
    function : tf.function
        With an input signature.
    optimise : bool
        Whether TensorFlow's graph optimiser is worth its time.
    user_code : bool
        Whether the function may hold what Keras's own classes do not.

    Attributes
    ----------
    shared : bool
        Whether other models than the one that was traced may be run.
    """

    @staticmethod
    def variables(model):
        """Return the variables that training a model reads or writes, in a fixed order."""
        held = [*model.variables, *(model.optimizer.variables if model.optimizer is not None else ())]
        for metric in [*model.metrics, *model._get_own_metrics()]:
            held += metric.variables
        return [v.value for v in {id(v): v for v in held}.values()]

    def __init__(self, model, function, *, optimise, user_code):
        self._optimise = optimise
        with _without_graph_optimiser(not optimise):
            concrete = function.get_concrete_function()
        position = {id(v.handle): i for i, v in enumerate(self.variables(model))}
        # What is no variable of the model (a table, a constant that a layer holds, a
        # process-wide generator) can't be taken from another model.
        self._captures = [position.get(id(c), c) for c in concrete.captured_inputs]
        self.shared = all(isinstance(c, int) for c in self._captures)
        if user_code and self.shared:
            definition = concrete.graph.as_graph_def()
            functions = [f.node_def for f in definition.library.function]
            operations = {node.op for nodes in [definition.node, *functions] for node in nodes}
            self.shared = not operations & _WITH_STATE
        self._owner = weakref.ref(model)
        if not self.shared:
            kept = {id(v.handle) for v in self.variables(model)}
            self._kept = [v for v in concrete.graph.variables if id(v.handle) not in kept]
        self._function = concrete.inference_fn
        _dismantle(self._function)

    def runs(self, model):
        """Whether the program may be run with the variables of this model."""
        return self.shared or self._owner() is model

    def __call__(self, model, *args):
        held = self.variables(model)
        captures = [held[c].handle if isinstance(c, int) else c for c in self._captures]
        with _without_graph_optimiser(not self._optimise):
            return self._function.call_with_captures(args, {}, captures)


def _dismantle(function):
    """Take the Python graphs of a function and of those that it calls apart.

    TensorFlow's runtime has its own. Python's are full of cycles, some 3 MB for each
    program, which would also keep the runtime's until the garbage collector comes by.
    """
    for called in function.children:
        _dismantle(called)
    graph, function._cached_graph = function._cached_graph, None
    if graph is not None:
        dismantle_func_graph(graph)


def _carried(logs, names):
    return [tf.nest.flatten(logs[name])[0] for name in names]


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
        Compile the full batches with XLA. The last, smaller one runs without: XLA would
        compile anew for each number of rows.
    stop_on_nan : bool
        End the pass after the batch that made the loss NaN or infinite.
    """

    def __init__(self, model, method, layout, *, batch_size, xla, stop_on_nan=False):
        self.layout, self.batch_size, self.stop_on_nan = layout, batch_size, stop_on_nan
        self.step = layout.function(getattr(model, method))
        logs = self.step.get_concrete_function().structured_outputs
        _scalars(logs, method)
        metrics = model.get_metrics_result()
        # As Keras has it: the logs of the last step, unless they are the metrics', which
        # are then read once at the end of the epoch.
        self.from_metrics = set(logs) == set(metrics)
        if self.from_metrics:
            _scalars(metrics, "a metric")
        self.names = list(metrics if self.from_metrics else logs)
        carried = [] if self.from_metrics else list(logs)
        if stop_on_nan and "loss" not in carried and "loss" in logs:
            carried.append("loss")
        self.carried = carried
        self.nothing = [tf.zeros((), tf.as_dtype(logs[name].dtype)) for name in carried]
        self.chunk = self._chunk() if xla else None

    def _go_on(self, more, logs):
        """Whether to make another step: where there are more, and the loss is finite."""
        if self.stop_on_nan and "loss" in self.carried:
            more &= tf.math.is_finite(logs[self.carried.index("loss")])
        return more

    def _chunk(self):
        """Return an XLA program of up to ``self.chunk_steps`` full batches."""
        row_bytes = sum(s.dtype.size * np.prod(s.shape[1:], dtype=int) for s in self.layout.specs)
        self.chunk_steps = int(np.clip(CHUNK_BYTES // (row_bytes * self.batch_size), 1, CHUNK_STEPS))
        specs = [
            tf.TensorSpec((self.chunk_steps, self.batch_size, *s.shape[1:]), s.dtype)
            for s in self.layout.specs
        ]

        @tf.function(autograph=False, jit_compile=True, input_signature=[tf.TensorSpec((), tf.int32), *specs])
        def chunk(steps, *batches):
            def body(i, logs):
                return i + 1, _carried(self.step(*(b[i] for b in batches)), self.carried)

            return tf.while_loop(
                lambda i, logs: self._go_on(i < steps, logs),
                body,
                (tf.constant(0), [tf.identity(v) for v in self.nothing]),
                parallel_iterations=1,
            )

        return chunk

    def __call__(self, flat, order):
        """Return the number of steps made and the logs that are carried.

        Parameters
        ----------
        flat : list of tf.Tensor with n_rows rows each
        order : tf.Tensor of shape (n_visited,)
            Rows to visit.
        """
        n = tf.size(order)
        size = self.batch_size

        def one(done, logs):
            rows = order[done * size : (done + 1) * size]
            return done + 1, _carried(self.step(*(tf.gather(t, rows) for t in flat)), self.carried)

        start = (tf.constant(0), [tf.identity(v) for v in self.nothing])
        if self.chunk is None:
            return tf.while_loop(
                lambda done, logs: self._go_on(done * size < n, logs), one, start, parallel_iterations=1
            )
        full = n // size
        padded = tf.concat([order, tf.zeros(self.chunk_steps * size, order.dtype)], 0)

        def many(done, logs):
            rows = tf.reshape(
                padded[done * size : (done + self.chunk_steps) * size], (self.chunk_steps, size)
            )
            steps, logs = self.chunk(
                tf.minimum(self.chunk_steps, full - done), *(tf.gather(t, rows) for t in flat)
            )
            return done + steps, logs

        done, logs = tf.while_loop(
            lambda done, logs: self._go_on(done < full, logs), many, start, parallel_iterations=1
        )
        return tf.cond(
            self._go_on(full * size < n, logs),
            lambda: one(done, logs),
            lambda: (tf.identity(done), [tf.identity(v) for v in logs]),
        )

    def logs(self, model, carried):
        """Return the logs of the pass, a float64 tensor of shape (n_names,)."""
        values = (
            model.get_metrics_result() if self.from_metrics else dict(zip(self.carried, carried, strict=True))
        )
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
        Compile with XLA, or run TensorFlow's operations one by one.
    optimise, user_code : bool
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
        optimise,
        user_code,
        stopping,
        stop_on_nan,
    ):
        self.xla, self.proven = xla, False
        n_train = len(train.specs)
        with _without_graph_optimiser(not optimise):
            training = _Pass(
                model, "train_step", train, batch_size=batch_size, xla=xla, stop_on_nan=stop_on_nan
            )
            testing = validation and _Pass(
                model, "test_step", validation, batch_size=validation_batch_size, xla=xla
            )
        self.names = [*training.names, *(f"val_{name}" for name in (testing.names if testing else ()))]
        self.n_train_names = len(training.names)
        self.from_metrics = training.from_metrics and (not testing or testing.from_metrics)
        weights = model.weights if stopping == "restore" else []
        state_specs = [
            *_early_stopping.STATE_SPECS,
            *(tf.TensorSpec(w.shape, w.value.dtype) for w in weights),
        ]
        if stopping is None:
            rule_specs, state_specs = [], []
        else:
            rule_specs = list(_early_stopping.RULE_SPECS)

        def pack(state):
            return _early_stopping.Stopping(*state[:5], tuple(state[5:]))

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec((None, None), tf.int32),
                tf.TensorSpec((None,), tf.bool),
                tf.TensorSpec((), tf.int32),
                *rule_specs,
                *state_specs,
                *train.specs,
                *(validation.specs if validation else ()),
            ],
        )
        def epochs(orders, evaluate, first_epoch, *rest):
            rule, rest = rest[: len(rule_specs)], rest[len(rule_specs) :]
            state, rest = rest[: len(state_specs)], rest[len(state_specs) :]
            data, validation_data = rest[:n_train], rest[n_train:]

            def validate():
                model.reset_metrics()
                _, carried = testing(validation_data, tf.range(tf.shape(validation_data[0])[0]))
                return testing.logs(model, carried)

            def epoch(e, stop, steps, history, state):
                model.reset_metrics()
                steps, carried = training(data, orders[e])
                logs = training.logs(model, carried)
                if testing:
                    skipped = tf.fill([len(testing.names)], tf.constant(np.nan, tf.float64))
                    logs = tf.concat([logs, tf.cond(evaluate[e], validate, lambda: skipped)], 0)
                if state:
                    updated, stop = _early_stopping.update(
                        pack(state), _early_stopping.Rule(*rule), first_epoch + e, logs, weights
                    )
                    state = [*updated[:5], *updated.weights]
                return e + 1, stop, steps, history.write(e, logs), list(state)

            n_epochs = tf.shape(orders)[0]
            history = tf.TensorArray(tf.float64, n_epochs, element_shape=(len(self.names),))
            done, stop, steps, history, state = tf.while_loop(
                lambda e, stop, *_: (e < n_epochs) & ~stop,
                epoch,
                (tf.constant(0), tf.constant(False), tf.constant(0), history, list(state)),
                parallel_iterations=1,
            )
            return history.stack()[:done], stop, steps, list(state)

        super().__init__(model, epochs, optimise=optimise, user_code=user_code)
        for traced in filter(None, (training, testing)):
            # Its functions refer to it, and it to them.
            vars(traced).clear()

    def run(self, model, orders, evaluate, first_epoch, stopping, data, validation_data):
        """Train a model for as many epochs as there are orders, or until it stops early.

        Parameters
        ----------
        model : keras.Model
        orders : ndarray of int32 of shape (n_epochs, n_rows)
            Rows in the order in which each epoch visits them.
        evaluate : ndarray of bool of shape (n_epochs,)
            After which epochs to validate.
        first_epoch : int
        stopping : tuple (Rule, Stopping) or None
        data, validation_data : nested tf.Tensor; the latter may be None

        Returns
        -------
        history : ndarray of shape (n_epochs_done, n_names)
            NaN where an epoch was not validated.
        stop : bool
        steps : int
            Made in the last epoch.
        state : Stopping or None
        """
        rule, state = stopping or ((), ())
        history, stop, steps, state = self(
            model,
            tf.constant(orders),
            tf.constant(evaluate),
            tf.constant(first_epoch, tf.int32),
            *rule,
            *((*state[:5], *state.weights) if state else ()),
            *tf.nest.flatten(data),
            *(tf.nest.flatten(validation_data) if validation_data is not None else ()),
        )
        state = _early_stopping.Stopping(*state[:5], tuple(state[5:])) if stopping else None
        return history.numpy(), bool(stop), int(steps), state
