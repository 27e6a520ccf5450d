"""What a model is built and compiled by."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """What a model is built and compiled by.

    Parameters
    ----------
    estimator : str
        Name of the estimator's class, for messages.
    params : dict
        All parameters, as of ``get_params(deep=False)``.
    defaults : dict
        Default of every parameter in the signature.
    compile_params : dict
        Parameters of compiling: ``params``, where the estimator leaves nothing to be decided.
    """

    estimator: str
    params: dict
    defaults: dict
    compile_params: dict
