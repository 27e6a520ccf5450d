"""One fit as values: rows, the rows held out, the plan, and what the epochs teach."""

from skdl._training._backup import BackupCompanion
from skdl._training._epoch_tasks import EpochTasks, fitted_copy, training_rows
from skdl._training._fit_model import fit_model
from skdl._training._holdout import Holdout, given_rows
from skdl._training._likeness import warn_if_unlike
from skdl._training._outcome import divergence, late_divergence, learnt_from
from skdl._training._plan import FIT_PARAMS, Plan, fit_settings
from skdl._training._rows import Rows, encoded
from skdl._training._scoring import Criterion, ValidationScore

__all__ = [
    "FIT_PARAMS",
    "BackupCompanion",
    "Criterion",
    "EpochTasks",
    "Holdout",
    "Plan",
    "Rows",
    "ValidationScore",
    "divergence",
    "encoded",
    "fit_model",
    "fit_settings",
    "fitted_copy",
    "given_rows",
    "late_divergence",
    "learnt_from",
    "training_rows",
    "warn_if_unlike",
]
