"""Scaling: rows of ``X`` to what the network sees, and back, in float64.

The network sees ``(X - mean) / scale`` with one scale for all features, the root of
the mean variance, so that data in any unit train alike and the squared error weighs
the features as PCA does.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler

__all__ = ["FARTHEST", "Scaling", "dense_rows", "row_slices"]

_CHUNK_BYTES = 2**22
# Farther rows are taken for as far: float32 can still square and add such values.
FARTHEST = 1e15


def row_slices(n_rows, n_features, chunk_bytes=_CHUNK_BYTES):
    """Slices of rows that hold about ``chunk_bytes`` of float64 each."""
    step = max(1, chunk_bytes // (8 * n_features))
    return [slice(i, min(i + step, n_rows)) for i in range(0, n_rows, step)]


def dense_rows(X, rows):
    """Rows of an array or of a sparse matrix, as an array."""
    chosen = X[rows]
    return chosen.toarray() if issparse(chosen) else chosen


@dataclass(frozen=True)
class Scaling:
    """A shift and a positive scale for each feature.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        float64. The mean of a constant feature is its value, exactly.
    constant : ndarray of bool of shape (n_features,)
        Features with one value in all training rows. The network never sees them move.
    variance : float
        Mean variance of the scaled features: the squared error of predicting the mean.
    unit : ndarray of shape (n_features,)
        What errors are measured in: 1, or the scale of standardized features.
    mean_error : float
        The squared error of predicting the mean, in these units.
    """

    mean: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    variance: float
    unit: np.ndarray
    mean_error: float

    @classmethod
    def fit(cls, X, rows, standardize):
        """Measure the ``rows`` (indices) of ``X`` in passes of bounded memory."""
        scaler = StandardScaler()
        low = np.full(X.shape[1], np.inf)
        high = -low
        for chunk in row_slices(len(rows), X.shape[1]):
            values = dense_rows(X, rows[chunk])
            with np.errstate(over="ignore", invalid="ignore"):  # checked below
                scaler.partial_fit(values)
            low = np.minimum(low, values.min(axis=0))
            high = np.maximum(high, values.max(axis=0))
        constant = low == high
        mean = np.where(constant, low, scaler.mean_)
        variance = np.where(constant, 0.0, scaler.var_)
        if not np.isfinite(variance).all():
            feature = int(np.flatnonzero(~np.isfinite(variance))[0])
            raise ValueError(
                f"The variance of feature {feature} overflows float64: its values "
                f"reach {np.abs([low[feature], high[feature]]).max():g}. Rescale X."
            )
        if standardize:
            scale = np.where(constant, 1.0, scaler.scale_)
            unit = scale
        else:
            scale = np.full_like(mean, np.sqrt(variance.mean()) or 1.0)
            unit = np.ones_like(mean)
        return cls(
            mean,
            scale,
            constant,
            variance=float(np.mean(variance / scale**2)),
            unit=unit,
            mean_error=float(np.mean(variance / unit**2)),
        )

    def of(self, features):
        """Return that of some features; the means over all stay as they are."""
        names = "mean", "scale", "constant", "unit"
        return replace(self, **{name: getattr(self, name)[features] for name in names})

    def apply(self, X):
        """Scaled rows, float64, of shape (n_rows, n_features)."""
        with np.errstate(over="ignore"):  # clipped below
            x = np.subtract(X, self.mean, dtype=np.float64)
            x /= self.scale
        np.clip(x, -FARTHEST, FARTHEST, out=x)
        x[:, self.constant] = 0.0
        return x

    def undo(self, x):
        """Rows in the units of ``X`` from scaled ones, float64."""
        return x * self.scale + self.mean
