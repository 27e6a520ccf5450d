"""Keras callbacks of skdl's own: the hooks of a training, and the companion of a backup.

This module is imported where Keras trains, since its classes derive from Keras's.
"""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np

from skdl._backend import keras, private
from skdl._persistence import seed_states
from skdl._training._hooks import EarlyStopping

# Attributes of early stopping that a backup keeps, besides the best weights.
_STOPPING_STATE = ("best", "wait", "best_epoch", "stopped_epoch")


class HookCallback(keras.callbacks.Callback):
    """Call hooks at the begin and the end of a training and of its epochs."""

    def __init__(self, hooks):
        super().__init__()
        self.hooks = hooks

    def on_train_begin(self, logs=None):
        """Begin the training."""
        for hook in self.hooks:
            hook.begin(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        """Begin an epoch."""
        for hook in self.hooks:
            hook.epoch_begin(epoch)

    def on_epoch_end(self, epoch, logs=None):
        """End an epoch, and stop the training where a hook returns True."""
        for hook in self.hooks:
            if hook.epoch_end(epoch, logs):
                self.model.stop_training = True

    def on_train_end(self, logs=None):
        """End the training."""
        for hook in self.hooks:
            hook.end()


class BackupCompanion(keras.callbacks.Callback):
    """Keep history, states of seed generators and of early stopping beside a backup of Keras.

    ``keras.callbacks.BackupAndRestore`` keeps the weights, the optimizer and the number of epochs. The
    companion is called before and after all other callbacks: wherever the process is killed, its file for
    the last backup of Keras is complete.
    """

    def __init__(self, folder, epochs, stopper=None):
        super().__init__()
        self.folder, self.epochs, self.stopper = Path(folder), epochs, stopper
        self.earlier, self._logs, self._has_begun = {}, {}, False

    @classmethod
    def of(cls, callbacks, epochs, hooks):
        """Return the companion of the backup among some callbacks, or None."""
        stopper = next((hook for hook in hooks if isinstance(hook, EarlyStopping)), None)
        for callback in callbacks:
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                return cls(callback.backup_dir, epochs, stopper)
        return None

    def whole(self, history):
        """Return the history of all epochs, given that of the epochs in this process."""
        return {
            name: [*self.earlier.get(name, []), *history.get(name, [])]
            for name in {**self.earlier, **history}
        }

    def on_train_begin(self, logs=None):
        """Restore the state of the last epoch in the second call; between the two Keras reads its backup."""
        if not self._has_begun:
            self._has_begun = True
            return
        with contextlib.suppress(private.Unavailable):
            n_done = private.restored_epoch(self.model)
            if n_done and self._file(n_done - 1).exists():
                self._restore(n_done - 1)

    def on_epoch_end(self, epoch, logs=None):
        """Write the state after an epoch, before and after the other callbacks."""
        complete = epoch in self._logs
        self._logs[epoch] = {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}
        arrays = {"seeds": [np.array(state) for state in seed_states(self.model)]}
        plain = {"epoch": epoch, "complete": complete, "logs": list(self._logs.items())}
        if self.stopper is not None:
            plain["stopper"] = {name: getattr(self.stopper, name) for name in _STOPPING_STATE}
            arrays["weights"] = self.stopper.best_weights or []
        named = {f"{name}{i}": _plain(each) for name, found in arrays.items() for i, each in enumerate(found)}
        buffer = io.BytesIO()
        np.savez(buffer, plain=np.array(json.dumps(plain, default=float)), **named)
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / "skdl.new"
        beside.write_bytes(buffer.getvalue())
        os.replace(beside, self._file(epoch))

    def _file(self, epoch):
        # One of two files: the process may be killed before Keras has written its own for this epoch.
        return self.folder / f"skdl{epoch % 2}.npz"

    def _restore(self, epoch):
        with np.load(self._file(epoch), allow_pickle=False) as file:
            plain = json.loads(str(file["plain"]))
            seeds, weights = (
                [file[f"{name}{i}"] for i in range(len(file.files)) if f"{name}{i}" in file.files]
                for name in ("seeds", "weights")
            )
        if plain["epoch"] != epoch:
            return
        self._logs = {number: logs for number, logs in plain["logs"] if number in self.epochs}
        for logs in self._logs.values():
            for name, value in logs.items():
                self.earlier.setdefault(name, []).append(value)
        for state, value in zip(seed_states(self.model), seeds, strict=False):
            state.assign(value)
        if self.stopper is None or "stopper" not in plain:
            return
        self.stopper.begin(self.model)
        for name, value in plain["stopper"].items():
            setattr(self.stopper, name, value)
        self.stopper.best_weights = weights or None
        if not plain["complete"]:
            self.stopper.epoch_end(epoch, dict(self._logs[epoch]))
        if self.stopper.stopped_epoch:
            self.model.stop_training = False
            private.set_restored_epoch(self.model, self.epochs.stop)


def _plain(array):
    """Return an array that NumPy can write, one of bfloat16 as float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array
