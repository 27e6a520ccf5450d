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

__all__ = [
    "MOST_EPOCHS",
    "TableEncoder",
    "TableReader",
    "as_table",
    "default_batch_size",
    "default_epochs",
    "default_folds",
    "default_members",
    "stack_copies",
    "stack_folds",
]
