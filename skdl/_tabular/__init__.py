"""Networks for raw tables: how a table is encoded, and the network that it is put into."""

from skdl._tabular._defaults import (
    MOST_EPOCHS,
    default_batch_size,
    default_epochs,
    default_folds,
    default_members,
)
from skdl._tabular._encoder import TableEncoder, TableReader, as_table
from skdl._tabular._folds import stack_copies, stack_folds
from skdl._tabular._network import compile_network, tabular_network
from skdl._tabular._time_limit import TimedDecay

__all__ = [
    "MOST_EPOCHS",
    "TableEncoder",
    "TableReader",
    "TimedDecay",
    "as_table",
    "compile_network",
    "default_batch_size",
    "default_epochs",
    "default_folds",
    "default_members",
    "stack_copies",
    "stack_folds",
    "tabular_network",
]
