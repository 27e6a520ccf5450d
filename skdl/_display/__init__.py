"""Pictures, by scikit-learn's Display convention; they import no estimator."""

from skdl._display._history import HistoryDisplay
from skdl._display._misclassified import MisclassifiedDisplay
from skdl._display._search import SearchDisplay

__all__ = ["HistoryDisplay", "MisclassifiedDisplay", "SearchDisplay"]
