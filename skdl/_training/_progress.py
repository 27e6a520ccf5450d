"""The progress of a training in NumPy, printed as Keras prints it."""

import time

from skdl._training._hooks import EpochHook


class Progress(EpochHook):
    """Prints a line or two for each epoch.

    Parameters
    ----------
    plan : Plan
    n_steps : int
        Of an epoch.
    """

    def __init__(self, plan, n_steps):
        self.verbose, self.last, self.n_steps = plan.verbose, plan.initial_epoch + plan.epochs, n_steps

    def epoch_begin(self, epoch):
        """Print which epoch begins."""
        print(f"Epoch {epoch + 1}/{self.last}")
        self._started = time.perf_counter()

    def epoch_end(self, epoch, logs):
        """Print how long it took, and its losses and metrics."""
        seconds = time.perf_counter() - self._started
        bar, sep = (" - ", " - ") if self.verbose == 2 else (f" {'━' * 20} ", " ")
        values = "".join(f" - {name}: {value:.4g}" for name, value in logs.items())
        step = _time(seconds / self.n_steps)
        print(f"{self.n_steps}/{self.n_steps}{bar}{seconds:.0f}s{sep}{step}/step{values}")
        return False


def _time(seconds):
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"
