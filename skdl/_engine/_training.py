"""One training by a compiled program: its data, its program, its epochs and its callbacks."""

import time
import warnings

import numpy as np

from skdl._arrays import epoch_orders, n_rows, take
from skdl._backend import keras, private, tf
from skdl._engine import _keras_only, _store
from skdl._engine._data import tensors
from skdl._engine._epochs import TrainProgram
from skdl._engine._prepare import build
from skdl._engine._program import Layout, NotCompilable
from skdl._engine._rules import acts_before_training, heavy, wants_xla
from skdl._engine._snapshot import Snapshot

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

    def _find(self):
        """Find the program for the model as it is now."""
        model = self.model
        self.metric_names = self._metric_names()
        self.program = self._program(wants_xla(model, n_rows=self.n, batch_size=self.batch_size))
        if self.program.compiled.not_for_xla or not self._labels_in_range():
            self.program = self._program(xla=False)
        self._found_for = self._structure()

    def _metric_names(self):
        return list(self.model.get_metrics_result())

    def _goes_one_by_one(self):
        """Whether something acts after each epoch."""
        return bool(self.callbacks or self.verbose)

    def _program(self, xla):
        model, train, validation = self.model, Layout(self.data), None
        self.described = _keras_only.describe(model, self.metric_names)
        if self.validation is not None:
            validation = Layout(self.validation)
        settings = {
            "batch_size": self.batch_size,
            "validation_batch_size": self.validation_batch_size if validation else None,
            "xla": xla,
            "keras_only": self.described is not None,
            "optimise": heavy(model),
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

    def _train(self, epochs, n_visited=None):
        """Train the first of some epochs, as many as fit into one call.

        Parameters
        ----------
        epochs : range
        n_visited : int, default=None
            Train one epoch on so many of its rows.

        Returns
        -------
        rows : ndarray of shape (n_epochs_done, n_names)
        steps : int
            Made in the last epoch.
        validated : ndarray of bool of shape (n_epochs_done,)
        """
        n_epochs = min(len(epochs), self.block_steps // self.steps, max(1, _ORDERS // self.n))
        epochs = epochs[: max(1, n_epochs)]
        orders = epoch_orders(self.n, seed=self.seed, epochs=epochs, shuffle=self.shuffle)[:, :n_visited]
        evaluate = np.array([_should_validate(epoch, self.validation_freq) for epoch in epochs])
        args = {"evaluate": evaluate}
        carried, begin, steps = self.program.nothing_carried, True, 0
        if n_epochs == 0:
            # An epoch that takes long goes in parts.
            orders, whole = [], orders
            visited = 0
            while whole.shape[1] - visited > self.block_steps * self.batch_size:
                part = whole[:, visited : visited + self.block_steps * self.batch_size]
                _, done, carried = self._call(part, begin=begin, end=False, carried=carried, **args)
                begin, visited, steps = False, visited + part.shape[1], steps + done
                if done * self.batch_size < part.shape[1]:
                    visited = whole.shape[1]  # the loss is not finite
            orders = whole[:, visited:]
        rows, done, _ = self._call(orders, begin=begin, end=True, carried=carried, **args)
        return rows, steps + done, evaluate[: len(rows)]

    def _call(self, orders, **args):
        """Run the program, and measure how many steps a call may make."""
        compiled = self.program.compiled
        if self.program.xla and not compiled.proven:
            result = self._prove(orders, **args)
        else:
            started = time.perf_counter()
            result = self._run(orders, **args)
            seconds = time.perf_counter() - started
            if compiled.proven:
                steps = max(1, -(-orders.size // self.batch_size))
                fit = int(steps * _SECONDS / max(seconds, 1e-6))
                self.block_steps = int(np.clip(fit, 1, _FASTER * self.block_steps))
                self.program.compiled.block_steps = self.block_steps
        self.program.compiled.proven = True
        self.has_begun = True
        return result

    def _run(self, orders, **args):
        data = {"data": self.data, "validation_data": self.validation}
        handles = [v.value.handle for v in private.training_variables(self.model)]
        return self.program.run(handles, orders, **data, **args)

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
        names, logs = self._names(), None
        while first < self.epochs:
            epochs = range(first, self.epochs)
            try:
                rows, _, evaluate = self._train(epochs)
            except KeyboardInterrupt:
                self.interrupted = True
                break
            for epoch, row, validated in zip(epochs, rows, evaluate, strict=False):
                logs = self._logs(row, names, validated)
                history.epoch.append(epoch)
                for name, value in logs.items():
                    history.history.setdefault(name, []).append(value)
            first += len(rows)
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
            rows, steps, (validated,) = self._train(range(epoch, epoch + 1), n_visited=n_visited)
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
