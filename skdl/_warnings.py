"""Warnings that point at the line of the user."""

import sys
import warnings

# Packages whose calls stand between the user's line and a warning of skdl.
_PASSED = {"skdl", "sklearn", "imblearn", "joblib", "contextlib"}


def warn(message, category=UserWarning):
    """Warn at the innermost line that is neither of skdl nor of a package that calls it for the user.

    Python 3.12 has ``warnings.warn(..., skip_file_prefixes=...)`` for it.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
