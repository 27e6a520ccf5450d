"""Training by ``keras.Model.fit``, for all that the compiled engine does not run."""

import contextlib
import threading

from skdl._arrays import epoch_order, n_rows, take, without_lists
from skdl._backend import keras, private, seeded, tf
from skdl._engine import _keras_only


class _Batches(keras.utils.PyDataset):
    """Rows in the order of `epoch_order`, as Keras's ``fit`` wants to be fed."""

    def __init__(self, x, y, sample_weight, *, batch_size, seed, epoch, shuffle):
        super().__init__()
        if sample_weight is not None:
            self.data = x, y, sample_weight
        else:
            self.data = (x, y) if y is not None else (x,)
        self.n = n_rows(x)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.start(epoch)

    def start(self, epoch):
        """Order the rows as an epoch visits them."""
        self.order = epoch_order(self.n, seed=self.seed, epoch=epoch, shuffle=self.shuffle)

    def release(self):
        """Let the data go.

        TensorFlow 2.21 keeps the functions that read the batches as long as the process, and
        where a training ends early it still reads some: these have no rows.
        """
        self.data, self.order = tuple(take(part, self.order[:0]) for part in self.data), self.order[:0].copy()

    def __len__(self):
        return -(-self.n // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return tuple(without_lists(take(part, rows)) for part in self.data)


class _Orders(keras.callbacks.Callback):
    """Tells batches which epoch begins: their own ``on_epoch_end`` is not called in step."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.start(epoch)


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


def _freed_graphs():
    try:
        return private.without_reduced_gradients()
    except private.Unavailable:
        return contextlib.nullcontext()


def keras_fit(
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
    **fit_args,
):
    """Train a compiled Keras model in place, one step at a time.

    The parameters are those of `skdl._engine.train`.

    Returns
    -------
    keras.callbacks.History
    """
    data = {"batch_size": batch_size, "seed": seed, "shuffle": shuffle, "epoch": initial_epoch}
    batches, validation = _Batches(x, y, sample_weight, **data), None
    if validation_data is not None:
        data = {**data, "batch_size": fit_args.pop("validation_batch_size", None) or batch_size}
        validation = _Batches(*(*validation_data, None, None)[:3], **{**data, "shuffle": False})
    # Held for the whole training: a model may draw from the process-wide generators
    # until it is built and traced. Little is lost, since Keras's ``fit`` of a small
    # network is Python from end to end and two threads would wait for each other anyway.
    try:
        with (
            seeded(seed, user_code=_keras_only.describe(model) is None),
            _quiet_tracing(),
            _freed_graphs(),
        ):
            return model.fit(
                batches,
                epochs=epochs,
                initial_epoch=initial_epoch,
                validation_data=validation,
                shuffle=False,
                callbacks=[_Orders(batches), *callbacks],
                verbose=verbose,
                **fit_args,
            )
    finally:
        for each in filter(None, (batches, validation)):
            each.release()
