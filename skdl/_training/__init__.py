"""One fit as values: its settings, its rows, the training, and what the history shows."""

from skdl._training._fit import check_steps, train_dense, train_model, why_not_numpy
from skdl._training._hooks import EarlyStopping, EpochTasks, ValidationScore, callback_data
from skdl._training._plan import FIT_PARAMS, Plan, fit_settings
from skdl._training._rows import Holdout, Rows, encoded, validation_rows
from skdl._training._scoring import Criterion, divergence_message, history_attributes, report

__all__ = [
    "FIT_PARAMS",
    "Criterion",
    "EarlyStopping",
    "EpochTasks",
    "Holdout",
    "Plan",
    "Rows",
    "ValidationScore",
    "callback_data",
    "check_steps",
    "divergence_message",
    "encoded",
    "fit_settings",
    "history_attributes",
    "report",
    "train_dense",
    "train_model",
    "validation_rows",
    "why_not_numpy",
]
