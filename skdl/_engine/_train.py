"""Training: compiled where it can be, Keras's ``fit`` where not."""

import contextlib
from dataclasses import fields

import numpy as np

from skdl._arrays import epoch_order, n_rows, take, without_sparse
from skdl._backend import keras, private, seeded, tf
from skdl._engine import _probe
from skdl._engine._digest import alike, note_plain
from skdl._engine._keras_fit import FitSettings, keras_fit
from skdl._engine._program import Pass, programs_of, traced, training_variables
from skdl._engine._rules import acts_before_training, runs_user_code, why_not
from skdl._engine._tensors import Layout, packed, tensors
from skdl._warnings import warn


def train(model, x, y, sample_weight=None, *, validation_data=None, engine="auto", plain=None, **fit_args):
    """Train a compiled Keras model in place.

    Parameters
    ----------
    model : keras.Model
        Compiled. Its weights are the starting weights.
    x, y : array, sparse matrix (``x`` only), or list or dict of arrays
        Rows to train on, encoded as the model takes them.
    sample_weight, validation_data
        As of ``keras.Model.fit``.
    engine : {"auto", "compiled", "keras"}, default="auto"
        "compiled" runs each epoch as one program, "keras" calls ``keras.Model.fit``,
        and "auto" takes the first unless `why_not` gives a reason, or tracing the model fails.
    plain : list, default=None
        Given where skdl has just built the model from numbers and names alone: the parameters of its loss
        and metrics. The program of a model with the same ones and the same configuration then runs it,
        without tracing.
    **fit_args
        Those of `FitSettings`, of which ``seed`` also determines what the model draws while it is traced; and
        further arguments of ``keras.Model.fit``.

    Returns
    -------
    keras.callbacks.History
        With more attributes: ``engine``, the one that ran; ``reason``, why it was not the compiled
        one, or None; and ``interrupted``, whether an interrupt from the keyboard ended it.

    Raises
    ------
    ValueError
        If ``engine="compiled"`` and the compiled engine can't run this.
    Exception
        What building or tracing the model raises, with ``engine="compiled"``.
    """
    if engine not in ("auto", "compiled", "keras"):
        raise ValueError(f"engine must be 'auto', 'compiled' or 'keras', got {engine!r}.")
    names = {each.name for each in fields(FitSettings)}
    settings = FitSettings(**{name: value for name, value in fit_args.items() if name in names})
    settings.callbacks = callbacks = keras.tree.flatten(list(settings.callbacks))
    further = {name: value for name, value in fit_args.items() if name not in names}
    x = without_sparse(x)
    if validation_data is not None:
        validation_data = (without_sparse(validation_data[0]), *validation_data[1:])
    rows = x, y, sample_weight
    note_plain(model, plain)
    reason = "engine='keras' was asked for"
    if engine != "keras":
        data = {"validation_data": validation_data, "batch_size": settings.batch_size}
        reason = why_not(model, *rows, **data, callbacks=callbacks, **further) or _probe.why_unusable()
    with _closed_where_it_fails(callbacks):
        if reason is None:
            try:
                training = _CompiledFit(model, rows, validation_data, settings)
            except private.Unavailable as error:
                reason = _probe.unavailable(error)
            except Exception as error:
                if engine == "compiled":
                    raise
                line = str(error).strip().partition("\n")[0]
                reason = f"tracing the model raised {type(error).__name__}: {line}"
        if reason is None:
            history = training.run()
        elif engine == "compiled":
            raise ValueError(
                f"engine='compiled' can't run this training: {reason}. "
                "Set engine='auto' to train with keras.Model.fit in this case."
            )
        else:
            history = _interruptible_keras_fit(model, rows, validation_data, settings, **further)
    history.engine, history.reason = "compiled" if reason is None else "keras", reason
    return history


def _interruptible_keras_fit(model, rows, validation_data, settings, **further):
    """Train by Keras's ``fit``; an interrupt from the keyboard ends it as it ends a compiled training."""
    before = getattr(model, "history", None)
    try:
        history, interrupted = keras_fit(model, rows, validation_data, settings, **further), False
    except KeyboardInterrupt:
        history, interrupted = getattr(model, "history", None), True
        if history is before:  # before the training began
            raise
        for callback in _ended_by_an_interrupt(settings.callbacks):
            callback.on_train_end()
    history.interrupted = interrupted
    return history


def _ended_by_an_interrupt(callbacks):
    """Return the callbacks for which an interrupted training is done; a backup goes on later."""
    return [each for each in callbacks if not isinstance(each, keras.callbacks.BackupAndRestore)]


@contextlib.contextmanager
def _closed_where_it_fails(callbacks):
    """Close the files of Keras's own callbacks where a training fails, as they do at its end."""
    try:
        yield
    except Exception:
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.CSVLogger | keras.callbacks.TensorBoard):
                with contextlib.suppress(Exception):
                    callback.on_train_end()
        raise


def build(model, batch, *, seed):
    """Build a model, its loss, metrics and optimizer, as ``keras.Model.fit`` does before its first step."""
    with seeded(seed, user_code=runs_user_code(model)):
        private.build_all(model, tensors(batch))


class _CompiledFit:
    """A training by compiled programs. Making it builds and traces the model, and changes nothing else."""

    def __init__(self, model, rows, validation_data, settings):
        limit = keras.config.max_epochs()
        if limit and limit < settings.epochs:
            warn(f"Limiting epochs to {limit}")
        self.model, self.settings, self.seed = model, settings, settings.seed
        self.callbacks, self.epochs = settings.callbacks, min(settings.epochs, limit or settings.epochs)
        self.batch_size = int(settings.batch_size)
        self.validation_batch_size = int(settings.validation_batch_size or settings.batch_size)
        data = packed(*rows)
        self.n, self.first_batch = n_rows(data), take(data, slice(0, self.batch_size))
        build(model, self.first_batch, seed=self.seed)
        self.data, self.validation = tensors(data), None
        if validation_data is not None:
            self.validation = tensors(packed(*(*validation_data, None, None)[:3]))
        self._find_programs()

    def _find_programs(self, anew=False):
        """Trace the model, where Keras would do it: at its first fit after it was compiled."""
        model = self.model
        model.make_train_function()
        self.traced_for = model.train_function
        kept = programs_of(model.train_function)
        known, variables = None if anew else alike(model), training_variables(model)
        # Where training goes on, nothing is drawn again.
        seed = (self.seed + self.settings.initial_epoch) % 2**32
        stop_on_nan = any(type(c) is keras.callbacks.TerminateOnNaN for c in self.callbacks)
        self.is_first, self.testing = False, None

        def find(method, data, **options):
            layout = Layout(data)
            key = method, layout.key, *options.items()

            def trace():
                with seeded(seed, user_code=runs_user_code(model)), private.short_call_stacks():
                    return Pass(model, method, layout, variables, **options)

            # What draws by operations with a state must not depend on what was drawn before.
            if anew or key not in kept or kept[key].has_state:
                kept[key] = traced(known and (known, *key), variables, trace)
                self.is_first = True
            return kept[key]

        self.training = find("train_step", tensors(self.first_batch), stop_on_nan=stop_on_nan)
        if self.validation is not None:
            self.testing = find("test_step", tensors(take(self.validation, slice(0, 1))))

    def run(self):
        """Train.

        Returns
        -------
        keras.callbacks.History
        """
        model, logs, interrupted = self.model, None, False
        callbacks = keras.callbacks.CallbackList(
            self.callbacks,
            add_history=True,
            add_progbar=self.settings.verbose != 0,
            verbose=self.settings.verbose,
            epochs=self.epochs,
            steps=-(-self.n // self.batch_size),
            model=model,
        )
        model.stop_training = False
        callbacks.on_train_begin()
        # A callback that restores a training may have set where to go on.
        first = private.restored_epoch(model) or self.settings.initial_epoch
        try:
            for epoch in range(first, self.epochs):
                model.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                if model.train_function is not self.traced_for:  # a callback has compiled the model
                    build(model, self.first_batch, seed=self.seed)
                    self._find_programs(anew=True)
                elif epoch == first and self.is_first and any(map(acts_before_training, self.callbacks)):
                    # Keras traces the model here, after the callbacks' first word.
                    self._find_programs(anew=True)
                epoch_logs = self._train_epoch(epoch)
                if self.testing is not None and self._is_validated(epoch):
                    epoch_logs.update(self._validate(callbacks))
                callbacks.on_epoch_end(epoch, epoch_logs)
                logs = epoch_logs
                if model.stop_training:
                    break
        except KeyboardInterrupt:
            interrupted = True
            callbacks.callbacks = _ended_by_an_interrupt(callbacks.callbacks)
        if self.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs=logs)
        model.history.interrupted = interrupted
        return model.history

    def _train_epoch(self, epoch):
        """Train one epoch, and return its logs."""
        order = epoch_order(self.data[0], seed=self.seed, epoch=epoch, shuffle=self.settings.shuffle)
        if self.model.stop_training:  # Keras looks at it after each batch
            order = order[: self.batch_size]
        n_steps, last = self.training.run(order, self.batch_size, self.data)
        logs = self.training.logs(self.model, last)
        for callback in self.callbacks:
            if type(callback) is keras.callbacks.TerminateOnNaN:
                callback.on_batch_end(n_steps - 1, logs)
        return logs

    def _validate(self, callbacks):
        """Return the logs of the validation rows."""
        callbacks.on_test_begin()
        self.model.reset_metrics()
        order = np.arange(n_rows(self.validation), dtype=np.int32)
        _, last = self.testing.run(order, self.validation_batch_size, self.validation)
        logs = self.testing.logs(self.model, last)
        callbacks.on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}

    def _is_validated(self, epoch):
        every = self.settings.validation_freq
        return (epoch + 1) % every == 0 if isinstance(every, int | np.integer) else epoch + 1 in every


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
