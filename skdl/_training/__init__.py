"""One fit as values: rows, the rows held out, the plan, and what the epochs teach."""

from skdl._training._fit import check_steps, fit_model, is_one_of_many, train_dense, why_not_numpy
from skdl._training._hooks import EarlyStopping, EpochTasks, ValidationScore, training_rows
from skdl._training._plan import FIT_PARAMS, Plan, fit_settings
from skdl._training._rows import Holdout, Rows, encoded, given_rows
from skdl._training._scoring import Criterion, divergence, learnt_from, report

__all__ = [
    "FIT_PARAMS",
    "Criterion",
    "EarlyStopping",
    "EpochTasks",
    "Holdout",
    "Plan",
    "Rows",
    "ValidationScore",
    "check_steps",
    "divergence",
    "encoded",
    "fit_model",
    "fit_settings",
    "given_rows",
    "is_one_of_many",
    "learnt_from",
    "report",
    "train_dense",
    "training_rows",
    "why_not_numpy",
]
