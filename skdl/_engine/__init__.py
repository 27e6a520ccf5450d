"""Training and the forward pass: where the time of an estimator goes."""

from skdl._engine._data import epoch_order, n_rows, rows_of, take, without_lists
from skdl._engine._forward import forward
from skdl._engine._rules import why_not
from skdl._engine._snapshot import Snapshot
from skdl._engine._store import clear_caches, compilations, set_cache_limit
from skdl._engine._train import train

__all__ = [
    "Snapshot",
    "clear_caches",
    "compilations",
    "epoch_order",
    "forward",
    "n_rows",
    "rows_of",
    "set_cache_limit",
    "take",
    "train",
    "why_not",
    "without_lists",
]
