"""One training by a compiled program: its data, its program, its epochs and its callbacks."""

import math
import time
import warnings

import numpy as np

from skdl._backend import keras, private, tf
from skdl._engine import _early_stopping, _keras_only, _store
from skdl._engine._data import epoch_orders, n_rows, take, tensors
from skdl._engine._dropout import drawing_layers
from skdl._engine._epochs import TrainProgram
from skdl._engine._prepare import build
from skdl._engine._program import Layout, NotCompilable, shapes_of
from skdl._engine._rules import acts_before_training, heavy, wants_xla
from skdl._engine._snapshot import Snapshot
from skdl._engine._widths import of_any_width, padded_shapes, units

# Bounds of one call of a program, in seconds and in rows: so that it can be interrupted
# from the keyboard, and the orders of its epochs stay small. The first call makes few
# steps, and each further one at most eight times as many as the one before; the first of
# another training by the same program, which may be of a wider network, an eighth of these.
_SECONDS, _ORDERS, _FIRST_STEPS, _FASTER = 0.5, 2**22, 8, 8


def packed(x, y, sample_weight):
    """Return data as Keras's ``train_step`` takes them."""
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else (x,)


def _should_validate(epoch, validation_freq):
    if isinstance(validation_freq, int | np.integer):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq


def _reason(error, doing):
    lines = str(error).strip().splitlines()
    return f"{doing} raised {type(error).__name__}" + (f": {lines[0]}" if lines else "")


def ended_by_an_interrupt(callbacks):
    """Return the callbacks for which an interrupted training is done; a backup goes on later."""
    return [each for each in callbacks if not isinstance(each, keras.callbacks.BackupAndRestore)]


class Training:
    """One training by a compiled program.

    Parameters are those of `skdl._engine.train`. Making it changes nothing about the model but
    building what is not built yet.

    Raises
    ------
    NotCompilable
        If tracing the model shows that it can't be run as a program.
    """

    def __init__(
        self,
        model,
        x,
        y,
        sample_weight,
        *,
        validation_data,
        batch_size,
        epochs,
        initial_epoch,
        shuffle,
        seed,
        callbacks,
        verbose,
        validation_freq=1,
        validation_batch_size=None,
        **defaults,
    ):
        limit = keras.config.max_epochs()
        if limit and limit < epochs:
            warnings.warn(f"Limiting epochs to {limit}", stacklevel=4)
            epochs = limit
        self.model, self.callbacks, self.verbose = model, callbacks, verbose
        self.n, self.batch_size, self.validation_freq = n_rows(x), int(batch_size), validation_freq
        self.validation_batch_size = int(validation_batch_size or batch_size)
        self.epochs, self.initial_epoch, self.shuffle, self.seed = epochs, initial_epoch, shuffle, seed
        data = packed(x, y, sample_weight)
        self.steps = -(-self.n // self.batch_size)
        self.interrupted, self.has_begun = False, False
        self._build(data)
        self.data = tensors(data)
        self.validation = None
        if validation_data is not None:
            self.validation = tensors(packed(*(*validation_data, None, None)[:3]))
        self.stop_on_nan = any(type(c) is keras.callbacks.TerminateOnNaN for c in callbacks)
        self.stopper = self._evaluable_stopper()
        self._find()
        if self.stopper is not None and self.stopper.monitor not in self._names():
            self.stopper = None
            self._find()
        self.block_steps = max(_FIRST_STEPS, self.program.compiled.block_steps // _FASTER)

    def _build(self, data):
        """Build what is not built yet."""
        first_batch = tensors(take(data, slice(0, self.batch_size)))
        try:
            build(self.model, first_batch, seed=self.seed)
        except private.Unavailable:
            raise
        except Exception as error:
            raise NotCompilable(_reason(error, "building it")) from error

    def _evaluable_stopper(self):
        """Return the early stopping that the program can evaluate, or None.

        Next to other callbacks, or where there is something to print or to complain
        about, the callback itself looks after each epoch; the result is the same.
        """
        kinds = keras.callbacks.EarlyStopping, _early_stopping.FiniteEarlyStopping
        if self.verbose or len(self.callbacks) != 1 or type(self.callbacks[0]) not in kinds:
            return None
        (stopper,) = self.callbacks
        names = set(self.model.get_metrics_result())
        if self.validation is not None and self.validation_freq == 1:
            names |= {f"val_{name}" for name in names}
        return stopper if stopper.monitor in names else None

    def _find(self):
        """Find the program for the model as it is now."""
        model = self.model
        self.metric_names = self._metric_names()
        epochs = self.epochs - self.initial_epoch
        n_weights = self._n_weights()
        xla = wants_xla(model, n_weights=n_weights, n_rows=self.n, batch_size=self.batch_size, epochs=epochs)
        self.program = self._program(xla)
        if self.program.compiled.not_for_xla or not self._labels_in_range():
            self.program = self._program(xla=False)
        self._set_shapes()
        self._found_for = self._structure()

    def _metric_names(self):
        return list(self.model.get_metrics_result())

    def _goes_one_by_one(self):
        """Whether something acts after each epoch.

        Copying the variables to other shapes would then take longer than short epochs.
        """
        return self.stopper is None and bool(self.callbacks or self.verbose)

    def _set_shapes(self):
        """Find the shapes that the variables have in the program."""
        model, own = self.model, self._own_shapes()
        variables = private.training_variables(model)
        if self.described is None or not self.program.xla or self._goes_one_by_one():
            self.shapes = own
        else:
            n_rows = self.n * (self.epochs - self.initial_epoch)
            self.shapes = padded_shapes(model, variables, own, n_rows=n_rows)
        drawing = drawing_layers(model) if self.program.n_drawing else []
        self.units = list(
            zip(*(units(drawing, model, variables, each) for each in (own, self.shapes)), strict=True)
        )

    def _own_shapes(self):
        """Return the shapes of the variables in the network that is trained."""
        return shapes_of(private.training_variables(self.model))

    def _n_weights(self):
        """Return how many numbers the training changes."""
        trained = set(map(id, self.model.trainable_weights))
        variables = private.training_variables(self.model)
        return sum(
            math.prod(shape)
            for variable, shape in zip(variables, self._own_shapes(), strict=True)
            if id(variable) in trained
        )

    def _lent(self):
        """Return a context in which there are handles to run the program with."""
        return self.program.lent(private.training_variables(self.model), self.shapes)

    def _program(self, xla):
        model, train, validation = self.model, Layout(self.data), None
        how = {"of_any_width": None if xla and self._goes_one_by_one() else of_any_width}
        self.described = self._described(self.metric_names, **how)
        if self.validation is not None:
            validation = Layout(self.validation)
        settings = {
            "batch_size": self.batch_size,
            "validation_batch_size": self.validation_batch_size if validation else None,
            "xla": xla,
            "keras_only": self.described is not None,
            "optimise": heavy(model),
            "stopping": self.stopper and ("restore" if self.stopper.restore_best_weights else "stop"),
            "stop_on_nan": self.stop_on_nan,
        }
        key = self.described
        if key is not None:
            key = ("training", key, train.key, validation and validation.key, *settings.items())

        def trace():
            try:
                return TrainProgram(model, train, validation, **settings)
            except (NotCompilable, private.Unavailable):
                raise
            except Exception as error:
                raise NotCompilable(_reason(error, "tracing it")) from error

        return self._found(key, trace)

    def _described(self, names, **how):
        return _keras_only.describe(self.model, names, **how)

    def _found(self, key, trace):
        """Return the program of a key, traced where there is none."""
        # What a model draws while it is traced must not repeat when training goes on.
        return _store.find(key, trace, kind="training", seed=(self.seed + self.initial_epoch) % 2**32)

    def _labels_in_range(self):
        """Whether class labels are what an XLA program takes without a check."""
        flat = [tf.nest.flatten(data) for data in (self.data, self.validation)]
        for of_validation, position, n_classes in self.program.labels:
            labels = flat[of_validation][position]
            labels = np.asarray(labels)
            if not (labels.min(initial=0) >= 0 and labels.max(initial=0) < n_classes):
                return False
        return True

    def _structure(self):
        """Return what a callback may exchange that a program takes as fixed."""
        model = self.model
        rate = private.learning_rate_of(model.optimizer)
        flags = tuple(layer.trainable for layer in private.flat_layers(model))
        return id(model.optimizer), id(rate), id(private.loss_tracker(model)), flags

    def _may_be_changed(self):
        """Whether callbacks may have changed what the model computes before its first epoch."""
        return self.described is not None or any(map(acts_before_training, self.callbacks))

    def _names(self):
        """Return the columns of the history as this model names them."""
        program = self.program
        if not program.from_metrics:
            return program.names
        names = self.metric_names
        return [*names, *(f"val_{name}" for name in names if len(program.names) > len(names))]

    def _train(self, epochs, stopping=None, n_visited=None):
        """Train the first of some epochs, as many as fit into one call.

        Parameters
        ----------
        epochs : range
        stopping : tuple (Rule, Stopping), default=None
        n_visited : int, default=None
            Train one epoch on so many of its rows.

        Returns
        -------
        rows : ndarray of shape (n_epochs_done, n_names)
        stop : bool
        steps : int
            Made in the last epoch.
        state : Stopping or None
        validated : ndarray of bool of shape (n_epochs_done,)
        """
        n_epochs = min(len(epochs), self.block_steps // self.steps, max(1, _ORDERS // self.n))
        epochs = epochs[: max(1, n_epochs)]
        orders = epoch_orders(self.n, seed=self.seed, epochs=epochs, shuffle=self.shuffle)[:, :n_visited]
        evaluate = np.array([_should_validate(epoch, self.validation_freq) for epoch in epochs])
        args = {"evaluate": evaluate, "first_epoch": epochs[0], "stopping": stopping}
        carried, begin, steps = self.program.nothing_carried, True, 0
        if n_epochs == 0:
            # An epoch that takes long goes in parts.
            orders, whole = [], orders
            visited = 0
            while whole.shape[1] - visited > self.block_steps * self.batch_size:
                part = whole[:, visited : visited + self.block_steps * self.batch_size]
                _, _, done, carried, _ = self._call(part, begin=begin, end=False, carried=carried, **args)
                begin, visited, steps = False, visited + part.shape[1], steps + done
                if done * self.batch_size < part.shape[1]:
                    visited = whole.shape[1]  # the loss is not finite
            orders = whole[:, visited:]
        rows, stop, done, _, state = self._call(orders, begin=begin, end=True, carried=carried, **args)
        return rows, stop, steps + done, state, evaluate[: len(rows)]

    def _call(self, orders, **args):
        """Run the program, and measure how many steps a call may make."""
        proven = self.program.compiled.proven
        if self.program.xla and self.shapes not in proven:
            result = self._prove(orders, **args)
        else:
            started = time.perf_counter()
            result = self._run(orders, **args)
            seconds = time.perf_counter() - started
            if self.shapes in proven:
                steps = max(1, -(-orders.size // self.batch_size))
                fit = int(steps * _SECONDS / max(seconds, 1e-6))
                self.block_steps = int(np.clip(fit, 1, _FASTER * self.block_steps))
                self.program.compiled.block_steps = self.block_steps
        self.program.compiled.proven.add(self.shapes)
        self.has_begun = True
        return result

    def _run(self, orders, **args):
        data = {"data": self.data, "validation_data": self.validation}
        with self._lent() as handles:
            return self.program.run(handles, orders, **data, shapes=self.shapes, units=self.units, **args)

    def _prove(self, orders, **args):
        """Run an XLA program for the first time; where XLA can't compile it, another one.

        That it can't is no matter of luck, but of the graph. What fails without XLA, too,
        is an error of the model or the data, and says nothing about XLA.
        """
        before = Snapshot(self.model)
        try:
            return self._run(orders, **args)
        except tf.errors.OpError:
            before.restore()
            failed, self.program = self.program, self._program(xla=False)
            self._set_shapes()
            result = self._run(orders, **args)
            failed.compiled.not_for_xla = True
            return result

    def _logs(self, row, names, validated):
        n = len(names) if validated else self.program.n_train_names
        return dict(sorted(zip(names[:n], row[:n].tolist(), strict=True)))

    def run(self):
        """Train.

        Returns
        -------
        keras.callbacks.History
        """
        model = self.model
        callbacks = keras.callbacks.CallbackList(
            self.callbacks,
            add_history=True,
            add_progbar=self.verbose != 0,
            verbose=self.verbose,
            epochs=self.epochs,
            steps=self.steps,
            model=model,
        )
        model.stop_training = False
        callbacks.on_train_begin()
        # A callback that restores a training may have set where to go on.
        first = private.restored_epoch(model) or self.initial_epoch
        if self._goes_one_by_one():
            logs = None
            try:
                for of_epoch in self._one_by_one(first, callbacks):
                    logs = of_epoch
            except KeyboardInterrupt:
                self.interrupted = True
        else:
            logs = self._in_blocks(first, model.history)
        if self.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        if self.interrupted:
            callbacks.callbacks = ended_by_an_interrupt(callbacks.callbacks)
        callbacks.on_train_end(logs=logs)
        return model.history

    def _in_blocks(self, first, history):
        names, logs, state, stop, rule = self._names(), None, None, False, None
        if self.stopper is not None:
            rule = _early_stopping.rule(self.stopper, names)
            state = _early_stopping.start(self.stopper, self.model)
        while first < self.epochs and not stop:
            epochs = range(first, self.epochs)
            try:
                rows, stop, _, state, evaluate = self._train(epochs, rule and (rule, state))
            except KeyboardInterrupt:
                self.interrupted = True
                break
            for epoch, row, validated in zip(epochs, rows, evaluate, strict=False):
                logs = self._logs(row, names, validated)
                history.epoch.append(epoch)
                for name, value in logs.items():
                    history.history.setdefault(name, []).append(value)
            first += len(rows)
        if self.stopper is not None:
            _early_stopping.finish(self.stopper, state, stop)
        return logs

    def _one_by_one(self, first, callbacks):
        """Train epoch by epoch, and yield the logs of each."""
        for epoch in range(first, self.epochs):
            callbacks.on_epoch_begin(epoch)
            if (epoch == first and self._may_be_changed()) or self._structure() != self._found_for:
                # Keras traces the model here, after the callbacks' first word.
                self._find()
            # Keras looks at stop_training after each batch.
            n_visited = self.batch_size if self.model.stop_training else None
            rows, _, steps, _, (validated,) = self._train(range(epoch, epoch + 1), n_visited=n_visited)
            names = self._names()
            logs = self._logs(rows[0], names, validated)
            for callback in self.callbacks:
                if type(callback) is keras.callbacks.TerminateOnNaN:
                    callback.on_batch_end(steps - 1, logs)
            if validated and self.validation is not None:
                callbacks.on_test_begin()
                callbacks.on_test_end(
                    {name.removeprefix("val_"): logs[name] for name in names[self.program.n_train_names :]}
                )
            callbacks.on_epoch_end(epoch, logs)
            yield logs
            if self.model.stop_training:
                break
