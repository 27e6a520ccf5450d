"""One fit as values: rows, the rows held out, the plan, and what the epochs teach."""

from skdl._training._epoch_tasks import EpochTasks, training_rows
from skdl._training._fit_model import fit_model, is_one_of_many
from skdl._training._holdout import Holdout, given_rows
from skdl._training._hooks import EarlyStopping
from skdl._training._likeness import warn_if_unlike
from skdl._training._outcome import divergence, late_divergence, learnt_from
from skdl._training._plan import FIT_PARAMS, Plan, fit_settings
from skdl._training._rows import Rows, encoded
from skdl._training._scoring import Criterion, ValidationScore
from skdl._training._steps import check_steps
from skdl._training._train_dense import train_dense, why_not_numpy

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
    "late_divergence",
    "learnt_from",
    "train_dense",
    "training_rows",
    "warn_if_unlike",
    "why_not_numpy",
]
