"""Training: compiled where it can be, Keras's ``fit`` where not."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from skdl._arrays import epoch_order, n_rows, take, without_lists, without_sparse
from skdl._backend import drawing_from, keras, private, seeded, tf
from skdl._engine._digest import alike
from skdl._engine._program import Layout, Pass, programs_of, tensors, traced, training_variables
from skdl._engine._rules import acts_before_training, runs_user_code, unavailable, why_not


@dataclass
class FitSettings:
    """Arguments of ``keras.Model.fit`` that each engine obeys, and the seed of the order of the rows."""

    batch_size: int
    epochs: int
    seed: int
    initial_epoch: int = 0
    shuffle: bool = True
    callbacks: Sequence = ()
    verbose: Any = 0
    validation_freq: Any = 1
    validation_batch_size: int | None = None

    def __post_init__(self):
        self.callbacks = keras.tree.flatten(list(self.callbacks))
        self.validation_batch_size = self.validation_batch_size or self.batch_size


def train(model, x, y, sample_weight=None, *, validation_data=None, engine="auto", **fit_args):
    """Train a compiled Keras model in place, and return its ``keras.callbacks.History``.

    ``engine`` is "compiled" for epochs as one program each, "keras" for ``keras.Model.fit``, or "auto" for
    the first unless `why_not` gives a reason or tracing the model fails. ``fit_args`` are those of
    `FitSettings`, and further arguments of ``keras.Model.fit``.

    The history has the attributes ``engine``, the one that trained; ``reason``, why Keras trained, or None;
    and ``interrupted``, whether an interrupt from the keyboard ended the training.
    """
    if engine not in ("auto", "compiled", "keras"):
        raise ValueError(f"engine must be 'auto', 'compiled' or 'keras', got {engine!r}.")
    names = {each.name for each in fields(FitSettings)}
    settings = FitSettings(**{name: value for name, value in fit_args.items() if name in names})
    further = {name: value for name, value in fit_args.items() if name not in names}
    if validation_data is not None:
        validation_data = (without_sparse(validation_data[0]), *validation_data[1:])
    rows = without_sparse(x), y, sample_weight
    training, reason = None, "engine='keras' was asked for"
    if engine != "keras":
        data = {"validation_data": validation_data, "batch_size": settings.batch_size}
        reason = why_not(model, *rows, **data, callbacks=settings.callbacks, **further)
    before, interrupted = getattr(model, "history", None), False
    if reason is None:
        try:
            training = _CompiledFit(model, rows, validation_data, settings)
        except private.Unavailable as error:
            reason = unavailable(error)
        except Exception as error:
            if engine == "compiled":
                raise
            line = str(error).strip().partition("\n")[0]
            reason = f"tracing the model raised {type(error).__name__}: {line}"
    if engine == "compiled" and reason is not None:
        raise ValueError(
            f"engine='compiled' can't run this training: {reason}. "
            "Set engine='auto' to train with keras.Model.fit in this case."
        )
    try:
        if training is not None:
            history = training.run()
        else:
            history = _keras_fit(model, rows, validation_data, settings, further)
    except KeyboardInterrupt:
        history, interrupted = getattr(model, "history", None), True
        if history is before:  # before the training began
            raise
        for callback in settings.callbacks:
            # A backup is for a training that goes on later.
            if not isinstance(callback, keras.callbacks.BackupAndRestore):
                callback.on_train_end()
        if model.optimizer is not None:
            model.optimizer.finalize_variable_values(model.trainable_weights)
    except Exception:
        for callback in settings.callbacks:  # close the files of Keras's own ones, as at the end
            if isinstance(callback, keras.callbacks.CSVLogger | keras.callbacks.TensorBoard):
                with contextlib.suppress(Exception):
                    callback.on_train_end()
        raise
    history.engine, history.reason = "compiled" if reason is None else "keras", reason
    history.interrupted = interrupted
    return history


def _packed(x, y=None, sample_weight=None):
    """Return data as Keras's ``train_step`` takes them."""
    if sample_weight is not None:
        return x, y, sample_weight
    return (x, y) if y is not None else (x,)


class _CompiledFit:
    """A training by compiled programs. Making it builds and traces the model, and changes nothing else."""

    def __init__(self, model, rows, validation_data, settings):
        self.model, self.settings = model, settings
        data = _packed(*rows)
        self.n, self.first_batch = n_rows(data), tensors(take(data, slice(0, int(settings.batch_size))))
        self._build()
        self.data = tensors(data)
        self.validation = None if validation_data is None else tensors(_packed(*validation_data))
        self._find_programs()

    def _build(self):
        """Build model, loss, metrics and optimizer, as ``keras.Model.fit`` does before its first step."""
        with seeded(self.settings.seed, user_code=runs_user_code(self.model)):
            private.build_all(self.model, self.first_batch)

    def _find_programs(self, anew=False):
        """Trace the model, where Keras would do it: at its first fit after it was compiled."""
        model, settings = self.model, self.settings
        model.make_train_function()
        self.traced_for = model.train_function
        kept = programs_of(model.train_function)
        known, variables = None if anew else alike(model), training_variables(model)
        # Where training goes on, nothing is drawn again.
        seed = (settings.seed + settings.initial_epoch) % 2**32
        self.is_first, self.testing = False, None

        def find(method, data):
            layout = Layout(data)
            key = method, layout.key

            def trace():
                with seeded(seed, user_code=runs_user_code(model)), private.short_call_stacks():
                    return Pass(model, method, layout, variables)

            # What draws by operations with a state must not depend on what was drawn before.
            if anew or key not in kept or kept[key].has_state:
                kept[key] = traced(known and (known, *key), variables, trace)
                self.is_first = True
            return kept[key]

        self.training = find("train_step", self.first_batch)
        if self.validation is not None:
            self.testing = find("test_step", tensors(take(self.validation, slice(0, 1))))

    def run(self):
        """Train, and return the history."""
        model, settings, logs = self.model, self.settings, None
        callbacks = keras.callbacks.CallbackList(
            settings.callbacks,
            add_history=True,
            add_progbar=settings.verbose != 0,
            verbose=settings.verbose,
            epochs=settings.epochs,
            steps=-(-self.n // int(settings.batch_size)),
            model=model,
        )
        bars = [each for each in callbacks.callbacks if isinstance(each, keras.callbacks.ProgbarLogger)]

        def report(n_steps):
            for bar in bars:
                bar.on_train_batch_end(n_steps - 1, dict(sorted(model.get_metrics_result().items())))

        self._report = report if bars else None
        model.stop_training = False
        callbacks.on_train_begin()
        # A callback that restores a training may have set where to go on.
        first = private.restored_epoch(model) or settings.initial_epoch
        for epoch in range(first, settings.epochs):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            if model.train_function is not self.traced_for:  # a callback has compiled the model
                self._build()
                self._find_programs(anew=True)
            elif epoch == first and self.is_first and any(map(acts_before_training, settings.callbacks)):
                # Keras traces the model here, after the callbacks' first word.
                self._find_programs(anew=True)
            epoch_logs = self._train_epoch(epoch)
            if self.testing is not None and self._is_validated(epoch):
                epoch_logs.update(self._validate(callbacks))
            callbacks.on_epoch_end(epoch, epoch_logs)
            logs = epoch_logs
            if model.stop_training:
                break
        if settings.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs=logs)
        return model.history

    def _train_epoch(self, epoch):
        """Train one epoch, and return its logs."""
        settings, batch_size = self.settings, int(self.settings.batch_size)
        order = epoch_order(self.data[0], seed=settings.seed, epoch=epoch, shuffle=settings.shuffle)
        if self.model.stop_training:  # Keras looks at it after each batch
            order = order[:batch_size]
        n_steps, last = self.training.run(order, batch_size, self.data, self._report)
        logs = self.training.logs(self.model, last)
        for callback in settings.callbacks:
            if type(callback) is keras.callbacks.TerminateOnNaN:  # a loss that is NaN remains so
                callback.on_batch_end(n_steps - 1, logs)
        return logs

    def _validate(self, callbacks):
        """Return the logs of the validation rows."""
        callbacks.on_test_begin()
        self.model.reset_metrics()
        order = np.arange(n_rows(self.validation), dtype=np.int32)
        _, last = self.testing.run(order, int(self.settings.validation_batch_size), self.validation)
        logs = self.testing.logs(self.model, last)
        callbacks.on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}

    def _is_validated(self, epoch):
        every = self.settings.validation_freq
        return (epoch + 1) % every == 0 if isinstance(every, int | np.integer) else epoch + 1 in every


class HookCallback(keras.callbacks.Callback):
    """Call hooks at the begin and the end of a training and of its epochs; a hook may stop the training."""

    def __init__(self, hooks):
        super().__init__()
        self.hooks = hooks

    def on_train_begin(self, logs=None):
        for hook in self.hooks:
            hook.begin(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        for hook in self.hooks:
            hook.epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        for hook in self.hooks:
            if hook.epoch_end(epoch, logs):
                self.model.stop_training = True

    def on_train_end(self, logs=None):
        for hook in self.hooks:
            hook.end()


class _Batches(keras.utils.PyDataset):
    """Rows in the order of `epoch_order`, as Keras's ``fit`` wants to be fed.

    Keras reads all batches in turn, once for each epoch: perhaps before the epoch begins.
    """

    def __init__(self, data, *, batch_size, seed, shuffle):
        super().__init__()
        self.data, self.n, self.batch_size = data, n_rows(data), batch_size
        self.how = {"seed": seed, "shuffle": shuffle}
        self.start(0)

    def start(self, epoch):
        """Tell which epoch is the next one."""
        self.epoch, self.order = epoch, epoch_order(self.data[0], epoch=epoch, **self.how)

    def release(self):
        """Let the data go.

        TensorFlow 2.21 keeps the functions that read the batches as long as the process, and
        where a training ends early it still reads some: these have no rows.
        """
        self.data, self.order = take(self.data, self.order[:0]), self.order[:0].copy()

    def __len__(self):
        return -(-self.n // self.batch_size)

    def __getitem__(self, index):
        if index == 0 and len(self.order):
            self.start(self.epoch)
            self.epoch += 1
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return tf.nest.map_structure(_text_as_tensor, without_lists(take(self.data, rows)))


def batches(x, size):
    """Return features as batches in their order, for ``keras.Model.predict``."""
    return _Batches(_packed(x), batch_size=size, seed=0, shuffle=False)


def _text_as_tensor(array):
    """Return text as a tensor: Keras 3.15 does not take NumPy's arrays of objects from a data set."""
    return tf.convert_to_tensor(array) if array.dtype == object else array


class _FirstEpoch(keras.callbacks.Callback):
    """Tells batches at which epoch the training begins, which another callback may have set."""

    def __init__(self, batches):
        super().__init__()
        self.batches, self.has_begun = batches, False

    def on_epoch_begin(self, epoch, logs=None):
        if not self.has_begun:
            self.batches.start(epoch)
        self.has_begun = True


@contextlib.contextmanager
def _quiet_tracing():
    """Keep TensorFlow's advice about tracing often out of the log, for this thread.

    It counts the models of a process as one function that is traced again and again.
    """
    thread, logger = threading.get_ident(), tf.get_logger()

    def is_other(record):
        return threading.get_ident() != thread or "triggered tf.function retracing" not in str(record.msg)

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _keras_fit(model, rows, validation_data, settings, further):
    """Train a compiled Keras model in place by its ``fit``, which takes the ``further`` arguments."""
    order = {"batch_size": settings.batch_size, "seed": settings.seed, "shuffle": settings.shuffle}
    batches, validation = _Batches(_packed(*rows), **order), None
    if validation_data is not None:
        order |= {"batch_size": settings.validation_batch_size, "shuffle": False}
        validation = _Batches(_packed(*validation_data), **order)
    try:
        # Without a lock: other threads, for which a callback may wait, train and predict meanwhile.
        with drawing_from(settings.seed), _quiet_tracing():
            return model.fit(
                batches,
                epochs=settings.epochs,
                initial_epoch=settings.initial_epoch,
                validation_data=validation,
                validation_freq=settings.validation_freq,
                shuffle=False,
                callbacks=[_FirstEpoch(batches), *settings.callbacks],
                verbose=settings.verbose,
                **further,
            )
    finally:
        for each in filter(None, (batches, validation)):
            each.release()


@contextlib.contextmanager
def rolled_back_where_it_fails(model):
    """Give the variables of a model their values back where it fails inside, new ones their first values."""
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
