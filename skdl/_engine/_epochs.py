"""Whole epochs of training as one program.

It calls the model's own ``train_step`` and ``test_step``, so Keras keeps its meaning and
only the Python between the steps goes.
"""

import numpy as np

from skdl._backend import private, tf
from skdl._engine._data import tensors
from skdl._engine._pass import Pass, call_if, function_of
from skdl._engine._program import Program


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
        stop_on_nan,
    ):
        with private.without_graph_optimiser(not optimise):
            how = {"xla": xla, "keras_only": keras_only}
            reset = function_of(model.reset_metrics)
            alone = validation is None and not stop_on_nan
            training = Pass(
                *(model, "train_step", train),
                batch_size=batch_size,
                stop_on_nan=stop_on_nan,
                reset=reset if alone else None,
                **how,
            )
            testing = validation and Pass(
                model, "test_step", validation, batch_size=validation_batch_size, **how
            )
            parts = [reset.get_concrete_function()]
        self._training, self._testing, self._reset = training, testing, reset
        passes = [p for p in (training, testing) if p]
        self.xla = any(p.chunk is not None for p in passes)
        self.labels = [(p is testing, *bound) for p in passes for bound in p.labels]
        self.names = [*training.names, *(f"val_{name}" for name in (testing.names if testing else ()))]
        self.n_train_names = len(training.names)
        self.from_metrics = all(p.from_metrics for p in passes)
        self.n_carried = len(training.specs)
        self._launched = (training.chunk_steps, batch_size) if training.ends_epochs else None
        self.nothing_carried = [np.zeros((), s.dtype.as_numpy_dtype) for s in training.specs]
        variables = private.training_variables(model)
        settings = [p.settings for p in passes]
        parts += [part for p in passes for part in p.parts]
        super().__init__(parts, variables, settings, optimise=optimise)

    def _loop(self):
        if self._training.ends_epochs:
            return self._training.chunk
        training, testing = self._training, self._testing

        def epochs(orders, begin, end, evaluate, carried, data, validation_data):
            def validate():
                self._reset()
                nothing = [tf.zeros(s.shape, s.dtype) for s in testing.specs]
                _, carried = testing(validation_data, tf.range(tf.shape(validation_data[0])[0]), nothing)
                return testing.logs(carried)

            def finish(e, carried):
                logs = training.logs(carried)
                if testing:
                    skipped = tf.fill([len(testing.names)], tf.constant(np.nan, tf.float64))
                    logs = tf.concat([logs, tf.cond(evaluate[e], validate, lambda: skipped)], 0)
                return logs

            def epoch(e, steps, history, carried):
                call_if(begin, self._reset)
                steps, carried = training(data, orders[e], carried)
                nothing = tf.zeros([len(self.names)], tf.float64)
                logs = tf.cond(end, lambda: finish(e, carried), lambda: nothing)
                return e + 1, steps, history.write(e, logs), carried

            n_epochs = tf.shape(orders)[0]
            history = tf.TensorArray(tf.float64, n_epochs, element_shape=(len(self.names),))
            _, steps, history, carried = tf.while_loop(
                lambda e, *_: e < n_epochs,
                epoch,
                (tf.constant(0), tf.constant(0), history, list(carried)),
                parallel_iterations=1,
            )
            return history.stack(), steps, carried

        arguments = [
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((), tf.bool),
            tf.TensorSpec((), tf.bool),
            tf.TensorSpec((None,), tf.bool),
            training.specs,
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
        self._training = self._testing = self._reset = None

    def run(self, handles, orders, *, begin, end, evaluate, carried, data, validation_data):
        """Train for as many epochs as there are orders.

        Parameters
        ----------
        handles : list of tf.Tensor
            Of the variables, in the order of the traced model's.
        orders : ndarray of int32 of shape (n_epochs, n_rows)
            Rows in the order in which each epoch visits them; one epoch may be given in
            parts, in one call each.
        begin, end : bool
            Whether these are the beginning and the end of epochs.
        evaluate : ndarray of bool of shape (n_epochs,)
            After which epochs to validate.
        carried : list of scalar
            Logs of the part before; ``nothing_carried`` at the beginning.
        data, validation_data : nested tf.Tensor; the latter may be None

        Returns
        -------
        history : ndarray of shape (n_epochs, n_names)
            NaN where an epoch was not validated; of no meaning where it did not end.
        steps : int
            Made in the last epoch.
        carried : list of scalar
        """
        if self._launched:
            history = self._launch(handles, orders, begin, tf.nest.flatten(data))
            return history, -(-orders.shape[1] // self._launched[1]), []
        history, steps, *carried = self(
            handles,
            tensors(orders),
            tf.constant(begin),
            tf.constant(end),
            tf.constant(evaluate),
            *map(tf.constant, carried),
            *tf.nest.flatten(data),
            *(tf.nest.flatten(validation_data) if validation_data is not None else ()),
        )
        return history.numpy(), int(steps), [c.numpy() for c in tf.nest.flatten(carried)]

    def _launch(self, handles, orders, begin, data):
        """Run epochs without a look at what is between them, and return their logs.

        One launch of XLA may go on from one epoch to the next.
        """
        most, size = self._launched
        n_epochs, n = orders.shape
        in_epoch = -(-n // size)
        rows = np.zeros((n_epochs, in_epoch * size), np.int32)
        rows[:, :n] = orders
        rows = rows.reshape(-1, size)
        n_rows = np.tile(np.minimum(size, n - size * np.arange(in_epoch, dtype=np.int32)), n_epochs)
        begins = np.arange(len(rows)) % in_epoch == 0
        begins[0] = begin
        logs = []
        for first in range(0, len(rows), most):
            steps = [each[first : first + most] for each in (n_rows, begins, rows)]
            n_steps = len(steps[0])
            steps = [np.pad(s, [(0, most - n_steps), *[(0, 0)] * (s.ndim - 1)]) for s in steps]
            *flags, these = map(tf.constant, steps)
            batches = [tf.gather(t, these) for t in data]
            *_, found = tf.nest.flatten(self(handles, *flags, *batches))
            logs.append(found.numpy()[:n_steps])
        return np.concatenate(logs)[in_epoch - 1 :: in_epoch]
