"""Training: compiled where it can be, Keras's ``fit`` where not."""

import warnings

import numpy as np

from skdl._backend import keras, tf
from skdl._engine import _early_stopping, _fingerprint, _programs
from skdl._engine._building import build
from skdl._engine._data import epoch_order, n_rows, take, tensors
from skdl._engine._keras_fit import keras_fit
from skdl._engine._program import Layout, NotCompilable, TrainProgram
from skdl._engine._rules import heavy, wants_xla, why_not

# Bounds of one call of a program, so that it can be interrupted from the keyboard and
# the orders of its epochs stay small.
_BLOCK_STEPS, _BLOCK_ORDERS = 2**14, 2**22


def train(
    model,
    x,
    y,
    sample_weight=None,
    *,
    validation_data=None,
    batch_size,
    epochs,
    initial_epoch=0,
    shuffle=True,
    seed,
    callbacks=(),
    verbose=0,
    engine="auto",
    **fit_args,
):
    """Train a compiled Keras model in place.

    Parameters
    ----------
    model : keras.Model
        Compiled. Its weights are the starting weights.
    x, y : array, sparse matrix (``x`` only), or list or dict of arrays
        Rows to train on, encoded as the model takes them.
    sample_weight : ndarray of shape (n_samples,) or None
    validation_data : tuple (x, y) or (x, y, sample_weight), or None
    batch_size : int
        Rows of one step; the last batch of an epoch may be smaller.
    epochs, initial_epoch : int
        Trains the epochs ``initial_epoch, ..., epochs - 1``.
    shuffle : bool
        Visit the rows in a new order each epoch.
    seed : int
        Determines these orders, and whatever the model draws while it is traced.
    callbacks : sequence of keras.callbacks.Callback
        For this training alone.
    verbose : {0, 1, 2}
        As in ``keras.Model.fit``.
    engine : {"auto", "compiled", "keras"}, default="auto"
        "compiled" runs whole epochs as one program, "keras" calls ``keras.Model.fit``,
        and "auto" takes the first unless `why_not` gives a reason.
    **fit_args
        Further arguments of ``keras.Model.fit``.

    Returns
    -------
    keras.callbacks.History
        With two more attributes: ``engine``, "compiled" or "keras", the path that ran;
        and ``reason``, a str that tells why it was not the compiled one, or None.

    Raises
    ------
    ValueError
        If ``engine="compiled"`` and the compiled engine can't run this.
    """
    if engine not in ("auto", "compiled", "keras"):
        raise ValueError(f"engine must be 'auto', 'compiled' or 'keras', got {engine!r}.")
    callbacks = keras.tree.flatten(list(callbacks))
    settings = {
        "validation_data": validation_data,
        "batch_size": batch_size,
        "callbacks": callbacks,
        "verbose": verbose,
        **fit_args,
    }
    loop = {"epochs": epochs, "initial_epoch": initial_epoch, "shuffle": shuffle, "seed": seed}
    reason = "engine='keras' was asked for"
    if engine != "keras":
        reason = why_not(model, x, y, sample_weight, **settings)
        if reason is None:
            try:
                training = _Training(model, x, y, sample_weight, **settings, **loop)
            except NotCompilable as error:
                reason = str(error)
            else:
                history = training.run()
                history.engine, history.reason = "compiled", None
                return history
        if engine == "compiled":
            raise ValueError(
                f"engine='compiled' can't run this training: {reason}. "
                "Set engine='auto' to train with keras.Model.fit in this case."
            )
    history = keras_fit(model, x, y, sample_weight, **settings, **loop)
    history.engine, history.reason = "keras", reason
    return history


def _packed(x, y, sample_weight):
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else (x,)


def _should_validate(epoch, validation_freq):
    if isinstance(validation_freq, int | np.integer):
        return (epoch + 1) % validation_freq == 0
    return epoch + 1 in validation_freq


class _Training:
    """One training by a compiled program.

    Parameters are those of `train`. Making it changes nothing about the model but
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
        data = _packed(x, y, sample_weight)
        self.steps = -(-self.n // self.batch_size)
        first_batch = tensors(take(data, slice(0, self.batch_size)))
        build(model, (*first_batch, None, None)[:3], seed=seed)
        self.data = tensors(data)
        self.validation = None
        if validation_data is not None:
            self.validation = tensors(_packed(*(*validation_data, None, None)[:3]))
        self.stop_on_nan = any(type(c) is keras.callbacks.TerminateOnNaN for c in callbacks)
        self.stopper = self._evaluable_stopper()
        self._find()
        if self.stopper is not None and self.stopper.monitor not in self._names():
            self.stopper = None
            self._find()

    def _evaluable_stopper(self):
        """Return the early stopping that the program can evaluate, or None.

        Next to other callbacks, or where there is something to print or to complain
        about, the callback itself looks after each epoch; the result is the same.
        """
        if self.verbose or [type(c) for c in self.callbacks] != [keras.callbacks.EarlyStopping]:
            return None
        (stopper,) = self.callbacks
        names = set(self.model.get_metrics_result())
        if self.validation is not None and self.validation_freq == 1:
            names |= {f"val_{name}" for name in names}
        return stopper if stopper.monitor in names else None

    def _find(self):
        """Find the program for the model as it is now."""
        model, train, validation = self.model, Layout(self.data), None
        if self.validation is not None:
            validation = Layout(self.validation)
        settings = {
            "batch_size": self.batch_size,
            "validation_batch_size": self.validation_batch_size if validation else None,
            "xla": wants_xla(
                model,
                n_rows=self.n,
                batch_size=self.batch_size,
                epochs=self.epochs - self.initial_epoch,
            ),
            "optimise": heavy(model),
            "stopping": self.stopper and ("restore" if self.stopper.restore_best_weights else "stop"),
            "stop_on_nan": self.stop_on_nan,
        }
        try:
            print_, user_code = _fingerprint.fingerprint(model, compiled=True)
        except _fingerprint.Opaque:
            # Keras, too, keeps a traced function for a model until it is compiled again.
            print_, user_code = (_programs.Same(model), _programs.Same(model._loss_tracker)), True
        key = ("training", print_, train.key, validation and validation.key, *settings.items())

        def trace(**changed):
            try:
                return TrainProgram(model, train, validation, user_code=user_code, **{**settings, **changed})
            except NotCompilable:
                raise
            except Exception as error:
                raise NotCompilable(
                    f"tracing it raised {type(error).__name__}: {str(error).strip().splitlines()[0]}"
                    if str(error).strip()
                    else f"tracing it raised {type(error).__name__}"
                ) from error

        self._trace = trace
        self.key, self.program = _programs.find(model, key, trace, kind="training", seed=self.seed)
        self._found_for = self._structure()

    def _structure(self):
        """Return what a callback may exchange that a program takes as fixed."""
        model = self.model
        rate = getattr(model.optimizer, "_learning_rate", None)
        flags = tuple(layer.trainable for layer in model._flatten_layers())
        return id(model.optimizer), id(rate), id(model._loss_tracker), flags

    def _names(self):
        """Return the columns of the history as this model names them."""
        program = self.program
        if not program.from_metrics:
            return program.names
        names = list(self.model.get_metrics_result())
        return [*names, *(f"val_{name}" for name in names if len(program.names) > len(names))]

    def _call(self, epochs, stopping=None):
        """Train the epochs of a range; return what `TrainProgram.run` returns, and flags."""
        orders = np.stack(
            [
                epoch_order(self.n, seed=self.seed, epoch=epoch, shuffle=self.shuffle).astype(np.int32)
                for epoch in epochs
            ]
        )
        evaluate = np.array([_should_validate(epoch, self.validation_freq) for epoch in epochs])
        args = self.model, orders, evaluate, epochs[0], stopping, self.data, self.validation
        if not self.program.proven and self.program.xla:
            held = self.program.variables(self.model)
            before = [v.read_value() for v in held]
            try:
                result = self.program.run(*args)
            except tf.errors.OpError:
                # XLA can't compile it, today as always: so this is no matter of luck.
                for variable, value in zip(held, before, strict=True):
                    variable.assign(value)
                self.program = _programs.replace(
                    self.key, lambda: self._trace(xla=False), kind="training", seed=self.seed
                )
                result = self.program.run(*args)
        else:
            result = self.program.run(*args)
        self.program.proven = True
        return *result, evaluate

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
        first = model._initial_epoch or self.initial_epoch
        if self.stopper is None and (self.callbacks or self.verbose):
            logs = self._one_by_one(first, callbacks)
        else:
            logs = self._in_blocks(first, model.history)
        if self.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs=logs)
        return model.history

    def _in_blocks(self, first, history):
        names, logs, state, stop, rule = self._names(), None, None, False, None
        if self.stopper is not None:
            rule = _early_stopping.rule(self.stopper, names)
            state = _early_stopping.start(self.stopper, self.model)
        block = max(1, min(_BLOCK_STEPS // self.steps, _BLOCK_ORDERS // self.n))
        while first < self.epochs and not stop:
            epochs = range(first, min(first + block, self.epochs))
            rows, stop, _, state, evaluate = self._call(epochs, rule and (rule, state))
            for epoch, row, validated in zip(epochs, rows, evaluate, strict=False):
                logs = self._logs(row, names, validated)
                history.epoch.append(epoch)
                for name, value in logs.items():
                    history.history.setdefault(name, []).append(value)
            first = epochs.stop
        if self.stopper is not None:
            _early_stopping.finish(self.stopper, state, stop)
        return logs

    def _one_by_one(self, first, callbacks):
        logs = None
        for epoch in range(first, self.epochs):
            callbacks.on_epoch_begin(epoch)
            if epoch == first or self._structure() != self._found_for:
                # Keras traces the model here, after the callbacks' first word.
                self._find()
            rows, _, steps, _, (validated,) = self._call(range(epoch, epoch + 1))
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
            if self.model.stop_training:
                break
        return logs
