"""Training: compiled where it can be, Keras's ``fit`` where not."""

import contextlib
import threading

import numpy as np

from skdl._arrays import epoch_order, n_rows, take, without_lists, without_sparse
from skdl._backend import drawing_from, keras, private, seeded, tf
from skdl._engine._digest import alike
from skdl._engine._program import Layout, Pass, programs_of, tensors, traced, training_variables
from skdl._engine._rules import acts_before_training, runs_user_code, unavailable, why_not


def train(model, rows, validation, plan, *, seed, callbacks):
    """Train a compiled Keras model in place, and return its ``keras.callbacks.History``.

    ``rows``, ``validation`` (or None) and ``plan`` have the attributes of `Rows` and of a `Plan` whose batch
    sizes are numbers. Its engine is "compiled" for epochs as one program each, "keras" for
    ``keras.Model.fit``, or "auto" for the first unless `why_not` gives a reason or tracing the model fails.

    The history has the attributes ``engine``, the one that trained; ``reason``, why Keras trained, or None;
    and ``interrupted``, whether an interrupt from the keyboard ended the training.
    """
    data, validation = _packed(rows), None if validation is None else _packed(validation)
    arguments = model, data, validation, plan, seed, callbacks
    training, reason = None, "engine='keras' was asked for"
    if plan.engine != "keras":
        reason = why_not(model, data, validation, plan, callbacks)
    before, interrupted = getattr(model, "history", None), False
    if reason is None:
        try:
            training = _CompiledFit(*arguments)
        except private.Unavailable as error:
            reason = unavailable(error)
        except Exception as error:
            if plan.engine == "compiled":
                raise
            line = str(error).strip().partition("\n")[0]
            reason = f"tracing the model raised {type(error).__name__}: {line}"
    if plan.engine == "compiled" and reason is not None:
        raise ValueError(
            f"engine='compiled' can't run this training: {reason}. "
            "Set engine='auto' to train with keras.Model.fit in this case."
        )
    try:
        history = _keras_fit(*arguments) if training is None else training.run()
    except KeyboardInterrupt:
        history, interrupted = getattr(model, "history", None), True
        if history is before:  # before the training began
            raise
        for callback in callbacks:
            # A backup is for a training that goes on later.
            if not isinstance(callback, keras.callbacks.BackupAndRestore):
                callback.on_train_end()
        if model.optimizer is not None:
            model.optimizer.finalize_variable_values(model.trainable_weights)
    except Exception:
        for callback in callbacks:  # close the files of Keras's own ones, as at the end
            if isinstance(callback, keras.callbacks.CSVLogger | keras.callbacks.TensorBoard):
                with contextlib.suppress(Exception):
                    callback.on_train_end()
        raise
    history.engine, history.reason = "compiled" if reason is None else "keras", reason
    history.interrupted = interrupted
    return history


def _packed(rows):
    """Return rows as Keras's ``train_step`` takes them."""
    x, y, weight = without_sparse(rows.X), rows.y, rows.weight
    if weight is not None:
        return x, y, weight
    return (x, y) if y is not None else (x,)


class _CompiledFit:
    """A training by compiled programs. Making it builds and traces the model, and changes nothing else."""

    def __init__(self, model, data, validation, plan, seed, callbacks):
        self.model, self.plan, self.seed, self.callbacks = model, plan, seed, callbacks
        self.first_batch = tensors(take(data, slice(0, plan.batch_size)))
        self.data = tensors(data)
        self.validation = None if validation is None else tensors(validation)
        self._find_programs()

    def _find_programs(self, anew=False):
        """Build and trace the model, where Keras would do it: at its first fit after it was compiled."""
        model = self.model
        with seeded(self.seed, user_code=runs_user_code(model)):
            private.build_all(model, self.first_batch)
        model.make_train_function()
        self.traced_for = model.train_function
        kept = programs_of(model.train_function)
        known, variables = None if anew else alike(model), training_variables(model)
        # A training that goes on draws other numbers than the one before.
        seed = (self.seed + self.plan.initial_epoch) % 2**32
        self.is_first, self.testing = False, None

        def find(method, data):
            layout = Layout(data)
            key = method, layout.key

            def trace():
                with seeded(seed, user_code=runs_user_code(model)), private.short_call_stacks():
                    return Pass(model, method, layout, variables)

            # Programs with random operations that have a state are traced for each fit: else the results
            # would depend on what was drawn before.
            if anew or key not in kept or kept[key].has_state:
                kept[key] = traced(None if known is None else (known, *key), variables, trace)
                self.is_first = True
            return kept[key]

        self.training = find("train_step", self.first_batch)
        if self.validation is not None:
            self.testing = find("test_step", tensors(take(self.validation, slice(0, 1))))

    def run(self):
        """Train, and return the history."""
        model, plan, logs = self.model, self.plan, None
        callbacks = keras.callbacks.CallbackList(
            self.callbacks,
            add_history=True,
            add_progbar=plan.verbose != 0,
            verbose=plan.verbose,
            epochs=plan.end,
            steps=-(-n_rows(self.data) // plan.batch_size),
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
        first = getattr(model, private.RESTORED_EPOCH, None) or plan.initial_epoch
        for epoch in range(first, plan.end):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            is_compiled_anew = model.train_function is not self.traced_for
            is_changed = epoch == first and self.is_first and any(map(acts_before_training, self.callbacks))
            if is_compiled_anew or is_changed:
                # Keras traces the model here, after ``on_train_begin`` and ``on_epoch_begin``.
                self._find_programs(anew=True)
            logs = self._train_epoch(epoch)
            if self.testing is not None and plan.validates(epoch):
                logs.update(self._validate(callbacks))
            callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if plan.end > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs=logs)
        return model.history

    def _train_epoch(self, epoch):
        """Train one epoch, and return its logs."""
        batch_size = self.plan.batch_size
        order = epoch_order(self.data[0], seed=self.seed, epoch=epoch, shuffle=self.plan.shuffle)
        if self.model.stop_training:  # Keras looks at it after each batch
            order = order[:batch_size]
        n_steps, last = self.training.run(order, batch_size, self.data, self._report)
        logs = self.training.logs(self.model, last)
        for callback in self.callbacks:
            if type(callback) is keras.callbacks.TerminateOnNaN:  # a loss that is NaN remains so
                callback.on_batch_end(n_steps - 1, logs)
        return logs

    def _validate(self, callbacks):
        """Return the logs of the validation rows."""
        callbacks.on_test_begin()
        self.model.reset_metrics()
        order = np.arange(n_rows(self.validation), dtype=np.int32)
        _, last = self.testing.run(order, self.plan.validation_batch_size, self.validation)
        logs = self.testing.logs(self.model, last)
        callbacks.on_test_end(logs)
        return {f"val_{name}": value for name, value in logs.items()}


class HookCallback(keras.callbacks.Callback):
    """Call hooks at the begin and the end of epochs and at that of the training, which a hook may stop."""

    def __init__(self, hooks):
        super().__init__()
        self.hooks = hooks

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
        self.how, self.has_begun = {"seed": seed, "shuffle": shuffle}, False
        self._start(0)

    def _start(self, epoch):
        self.epoch, self.order = epoch, epoch_order(self.data[0], epoch=epoch, **self.how)

    def begin(self, epoch, logs=None):
        """Begin with an epoch, which a callback may have set, unless one has begun."""
        if not self.has_begun:
            self._start(epoch)
        self.has_begun = True

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
            self._start(self.epoch)
            self.epoch += 1
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        # Keras 3.15 does not take NumPy's arrays of objects, such as text, from a data set.
        return tf.nest.map_structure(
            lambda array: tf.convert_to_tensor(array) if array.dtype == object else array,
            without_lists(take(self.data, rows)),
        )


def batches(x, size):
    """Return features as batches in their order, for ``keras.Model.predict``."""
    return _Batches((without_sparse(x),), batch_size=size, seed=0, shuffle=False)


def _keras_fit(model, data, validation, plan, seed, callbacks):
    """Train a compiled Keras model in place by its ``fit``."""
    batches = _Batches(data, batch_size=plan.batch_size, seed=seed, shuffle=plan.shuffle)
    if validation is not None:
        validation = _Batches(validation, batch_size=plan.validation_batch_size, seed=seed, shuffle=False)
    thread, logger = threading.get_ident(), tf.get_logger()

    def is_told(record):
        # TensorFlow counts the models of a process as one function that is traced again and again.
        return threading.get_ident() != thread or "triggered tf.function retracing" not in str(record.msg)

    logger.addFilter(is_told)
    try:
        # Without a lock: other threads, for which a callback may wait, train and predict meanwhile.
        with drawing_from(seed):
            return model.fit(
                batches,
                epochs=plan.end,
                initial_epoch=plan.initial_epoch,
                validation_data=validation,
                validation_freq=plan.validation_freq,
                shuffle=False,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=batches.begin), *callbacks],
                verbose=plan.verbose,
                **plan.fit_args,
            )
    finally:
        logger.removeFilter(is_told)
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
