"""Training by ``keras.Model.fit``, for all that the compiled engine does not run."""

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skdl._arrays import epoch_order, n_rows, take, without_lists
from skdl._backend import drawing_from, keras, tf
from skdl._engine._tensors import packed


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
    return _Batches(packed(x, None, None), batch_size=size, seed=0, shuffle=False)


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


def keras_fit(model, rows, validation_data, settings, **further):
    """Train a compiled Keras model in place by its ``fit``, which takes the ``further`` arguments."""
    order = {"batch_size": settings.batch_size, "seed": settings.seed, "shuffle": settings.shuffle}
    batches, validation = _Batches(packed(*rows), **order), None
    if validation_data is not None:
        order |= {"batch_size": settings.validation_batch_size or settings.batch_size, "shuffle": False}
        validation = _Batches(packed(*(*validation_data, None, None)[:3]), **order)
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
