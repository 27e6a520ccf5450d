"""Training and the forward pass: where the time of an estimator goes."""

from skdl._engine._forward import forward
from skdl._engine._rules import why_not
from skdl._engine._snapshot import Snapshot
from skdl._engine._store import clear_caches, compilations, set_cache_limit
from skdl._engine._train import train

__all__ = [
    "Snapshot",
    "clear_caches",
    "compilations",
    "forward",
    "set_cache_limit",
    "train",
    "why_not",
]
