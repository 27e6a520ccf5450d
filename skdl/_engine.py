"""Training and the forward pass: where the time of an estimator goes."""

import numpy as np
import scipy.sparse

from skdl._backend import keras, seeded, tf

# Rows of one forward pass: enough to make Python's share small, few enough to
# keep the memory of a prediction constant.
FORWARD_ROWS = 1024


def take(data, rows):
    """Return the rows of nested arrays; of a sparse matrix, those rows made dense."""
    if data is None:
        return None
    if scipy.sparse.issparse(data):
        return data[rows].toarray()
    if isinstance(data, dict):
        return {key: take(value, rows) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(take(value, rows) for value in data)
    return np.asarray(data)[rows]


def n_rows(data):
    """Return the number of rows of nested arrays."""
    while isinstance(data, dict | list | tuple):
        data = next(iter(data.values())) if isinstance(data, dict) else data[0]
    return data.shape[0]


def epoch_order(n, *, seed, epoch, shuffle):
    """Return the order in which an epoch visits ``n`` rows.

    It depends on the seed and the epoch alone, not on what ran before, so that every
    path of training, and training that is continued, sees the same batches.
    """
    if not shuffle:
        return np.arange(n)
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(n)


class _Batches(keras.utils.PyDataset):
    """Rows in the order of `epoch_order`, as Keras's ``fit`` wants to be fed."""

    def __init__(self, x, y, sample_weight, *, batch_size, seed, epoch, shuffle):
        super().__init__()
        self.data = (x, y) if sample_weight is None else (x, y, sample_weight)
        self.n = n_rows(x)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self._start(epoch)

    def _start(self, epoch):
        self.epoch = epoch
        self.order = epoch_order(self.n, seed=self.seed, epoch=epoch, shuffle=self.shuffle)

    def __len__(self):
        return -(-self.n // self.batch_size)

    def __getitem__(self, index):
        rows = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        return tuple(take(part, rows) for part in self.data)

    def on_epoch_end(self):
        self._start(self.epoch + 1)


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
    **fit_args
        Further arguments of ``keras.Model.fit``.

    Returns
    -------
    keras.callbacks.History
    """
    batches = _Batches(
        x, y, sample_weight, batch_size=batch_size, seed=seed, epoch=initial_epoch, shuffle=shuffle
    )
    if validation_data is not None and scipy.sparse.issparse(validation_data[0]):
        validation_data = _Batches(
            *(*validation_data, None)[:3], batch_size=batch_size, seed=seed, epoch=0, shuffle=False
        )
    elif validation_data is not None:
        fit_args.setdefault("validation_batch_size", batch_size)
    # Held for the whole training: a model may draw from the process-wide generators
    # until it is built and traced. Little is lost, since Keras's ``fit`` of a small
    # network is Python from end to end and two threads would wait for each other anyway.
    with seeded(seed):
        return model.fit(
            batches,
            epochs=epochs,
            initial_epoch=initial_epoch,
            validation_data=validation_data,
            shuffle=False,
            callbacks=list(callbacks),
            verbose=verbose,
            **fit_args,
        )


def forward(model, x, *, batch_size=None):
    """Return the outputs of a model for all rows of ``x``, without training behaviour.

    Parameters
    ----------
    model : keras.Model
    x : array, sparse matrix, or list or dict of arrays
    batch_size : int, default=None
        Rows of one pass; None means `FORWARD_ROWS`.

    Returns
    -------
    ndarray, or list or dict of ndarray
        As ``keras.Model.predict`` returns them, at a hundredth of its cost per call.
    """
    n, size = n_rows(x), batch_size or FORWARD_ROWS
    parts = [
        tf.nest.map_structure(np.asarray, model.predict_step((take(x, slice(start, start + size)),)))
        for start in range(0, n, size)
    ]
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
