"""Similar rows: what a smooth network misses where near copies of a row have a target of their own."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Rows to look among; more would make predictions slow.
MOST_ROWS = 5_000
_N_NEIGHBORS = 32
# Squared distances at which a weight is 1 / e, by the median of those to the nearest row that differs.
_WIDTHS = 0.03, 0.1, 0.3, 1.0, 3.0
_SHARES = 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7
# Share of the loss on held-out rows that similar rows must save, to have a share in the predictions.
_LEAST_GAIN = 0.015


class Neighbors:
    """The mean target of similar rows, weighted by a Gaussian kernel, and its share in predictions.

    It acts on encoded rows and targets. What it predicts for a row is ``share`` times the mean target of its
    32 nearest neighbors, weighted by ``exp(-distance ** 2 / width)``, plus the rest of the prediction of the
    network: of probabilities for classes, of standardised numbers else. ``y`` has class numbers, or, where
    ``n_classes`` is None, numbers.
    """

    def __init__(self, x, y, weight, n_classes=None):
        self.rows, self.n_classes = x, n_classes
        self.weight = np.ones(len(x)) if weight is None else np.asarray(weight, float)
        self.targets = np.asarray(y, float) if n_classes is None else np.eye(n_classes)[y.astype(int)]
        # A tree would count its queries, so that an estimator would change by predicting.
        self.finder = NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(x)), algorithm="brute").fit(x)
        self.width, self.share = 1.0, 0.0

    def fit(self, train, held_out, outputs):
        """Choose width and share by the loss on held-out rows, or return None: the network alone is as good.

        Rows are side by side for all folds. ``outputs``, of shape (n_held_out, n_folds, n_outputs), are what
        the network predicts for ``held_out``.
        """
        found = []
        for fold in range(outputs.shape[1]):
            used, shown = train.weight[:, fold] > 0, held_out.weight[:, fold] > 0
            near = Neighbors(
                train.X[used, fold], train.y[used, fold], train.weight[used, fold], self.n_classes
            )
            target = held_out.y[shown, fold], held_out.weight[shown, fold]
            found.append((near, *near.find(held_out.X[shown, fold]), outputs[shown, fold], *target))
        nearest = np.concatenate([np.where(d > 0, d, np.inf).min(axis=1) for _, d, *_ in found])
        nearest = nearest[np.isfinite(nearest)]
        unit = float(np.median(nearest)) if len(nearest) else 1.0
        best = (1 - _LEAST_GAIN) * np.mean([self._loss(*each[3:]) for each in found])
        for width in _WIDTHS:
            means = [near.mean(d, i, width * unit) for near, d, i, *_ in found]
            for share in _SHARES:
                losses = [
                    self._loss(self._mixed(y, mean, share), own, weight)
                    for mean, (*_, y, own, weight) in zip(means, found, strict=True)
                ]
                if np.mean(losses) < best:
                    best, self.width, self.share = np.mean(losses), width * unit, share
        return self if self.share else None

    def mix(self, outputs, x):
        """Return outputs of shape (n_rows, ..., n_outputs) of the network for rows x, with the means."""
        mean = self.mean(*self.find(x), self.width)
        mean = mean.reshape(len(mean), *[1] * (outputs.ndim - 2), -1)
        return self._mixed(outputs, mean, self.share).astype(outputs.dtype)

    def find(self, x):
        """Return squared distances and positions of the nearest rows."""
        distances, positions = self.finder.kneighbors(x)
        return np.square(distances, dtype=float), positions

    def mean(self, distances, positions, width):
        """Return the mean target of the nearest rows."""
        nearest = distances[:, :1]
        weights = np.exp((nearest - distances) / width) * self.weight[positions]
        return np.einsum("nk,nko->no", weights, self.targets[positions]) / weights.sum(axis=1, keepdims=True)

    def _mixed(self, outputs, mean, share):
        if self.n_classes is None:
            return (1 - share) * outputs + share * mean
        return np.log(np.maximum((1 - share) * np.exp(outputs.astype(float)) + share * mean, 1e-30))

    def _loss(self, outputs, y, weight):
        if self.n_classes is None:
            return np.average(np.square(outputs - y).mean(axis=1), weights=weight)
        return -np.average(np.take_along_axis(outputs, y.astype(int)[:, None], axis=1)[:, 0], weights=weight)
