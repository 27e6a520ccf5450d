"""Warnings that point at the user's line, through however many calls they are given."""

import sys
import warnings

# What stands between the user's call and a warning of skdl's.
_PASSED = {"skdl", "sklearn", "imblearn", "joblib", "contextlib"}


def warn(message, category=UserWarning):
    """Give a warning at the innermost line that is not of skdl or of what calls it for the user.

    Python 3.12 has ``warnings.warn(..., skip_file_prefixes=...)`` for it.

    Parameters
    ----------
    message : str
    category : type, default=UserWarning
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
