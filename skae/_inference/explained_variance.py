"""Explained variance: how much variance each code explains, and its loadings.

This module computes PCA's attributes for a decoder that may be nonlinear. If code j
changes, the reconstruction changes by the derivative of the decoder. So the part of the
variance that code j explains is about ::

    v_j = variance(z_j) * mean over rows of |d decode(z) / d z_j|²

For PCA this is the eigenvalue. The parts are scaled so that they add up to the share of
variance that the reconstruction explains.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.isotonic import isotonic_regression

from .._data.scaling import (
    Scaling,
    dense_rows,
    observed_squares,
    squares_about_mean,
    weighted,
)
from .._typing import Floats, Rows
from .codec import Codec

__all__ = ["EXPLAINED", "Moments", "explain", "score_of"]

# The attributes that tell what codes are worth.
EXPLAINED = (
    "_components",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "noise_variance_",
    "_code_variance",
)

# Largest number of rows that the share of variance is measured on, largest number of
# values in these rows, and largest number of rows that are decoded for the derivatives.
# For the derivatives each row is decoded twice for each code.
_ROWS = 10_000
_VALUES = 4_000_000
_DECODED_ROWS = 10_000
# Largest weight of the earlier rows of a stream when a new part comes: this number of
# rows or, if it is larger, this multiple of the rows of the new part. Earlier rows
# should not count too little, because the classes of a stream may come one after the
# other.
_REMEMBERED_ROWS = 1_000
_REMEMBERED_PARTS = 10
# Step of finite differences, as a share of a code's standard deviation. Central
# differences in float64 then have about eight correct digits.
_STEP = 1e-4


@dataclass(frozen=True)
class Moments:
    """Moments of rows, codes, reconstruction errors and the decoder's derivatives.

    All but the mean are in units of the scaled data.

    Attributes
    ----------
    n_samples : float
        Number of rows that the moments stand for.
    mean : ndarray of shape (n_features,)
        Mean of the rows, in units of ``X``.
    total, left : float
        Sum of squared distances of rows from their mean, and sum of squared
        reconstruction errors.
    code_mean, code_variance : ndarray of shape (n_components,)
    loadings : ndarray of shape (n_components, n_features)
        Mean derivative of the decoder with respect to each code.
    lengths : ndarray of shape (n_components,)
        Mean squared length of these derivatives.
    """

    n_samples: float
    mean: np.ndarray
    total: float
    left: float
    code_mean: np.ndarray
    code_variance: np.ndarray
    loadings: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(
        cls, codec: Codec, X: Rows, seed: int, weights: Floats | None = None
    ) -> Self:
        """Measure the moments of rows, or of a sample if there are very many.

        Parameters
        ----------
        codec : Codec
            Codec in float64.
        X : ndarray or CSR matrix of shape (n_samples, n_features)
        seed : int
            Seed of the random sample of rows.
        weights : ndarray of shape (n_samples,) or None
            Sample weights.
        """
        rng = np.random.default_rng(seed)
        n_most = min(_ROWS, _VALUES // X.shape[1] + 1)
        if weights is None:
            n_samples = X.shape[0]
            X = X[_sampled_rows(n_samples, n_most, rng)]
        else:
            n_samples = max(weights.sum(), np.count_nonzero(weights))
            rows = np.flatnonzero(weights)
            rows = rows[_sampled_rows(len(rows), n_most, rng)]
            X, weights = X[rows], weights[rows] / weights[rows].mean()
        weight = n_samples / X.shape[0]
        Z = codec.encode(X)
        n_decoded = _DECODED_ROWS // (2 * codec.n_components) + 1
        code_mean = weighted(Z, weights).mean(axis=0)
        code_variance = Z.var(axis=0)
        if weights is not None:
            code_variance = weighted(np.square(Z - code_mean), weights).mean(axis=0)
        decoded = _sampled_rows(len(Z), n_decoded, rng)
        slope_weights = None if weights is None else weights[decoded]
        spread = np.sqrt(code_variance)
        loadings, lengths = _slopes(codec, Z[decoded], spread, slope_weights)
        return cls(
            n_samples=n_samples,
            mean=_mean_of_rows(codec, X, weights),
            total=float(weight * _squares(codec, X, weights)),
            left=float(weight * _squares_left(codec, X, weights)),
            code_mean=code_mean,
            code_variance=code_variance,
            loadings=loadings,
            lengths=lengths,
        )

    def after(self, before: "Moments", scale: Floats) -> "Moments":
        """Return the moments of these rows and of earlier ones together.

        Earlier rows count less and less, because their errors and derivatives are those
        of an earlier state of the network.

        Parameters
        ----------
        before : Moments
        scale : ndarray of shape (n_features,)
            Scale of the features.
        """
        most = max(_REMEMBERED_ROWS, _REMEMBERED_PARTS * self.n_samples)
        kept = min(1.0, most / before.n_samples)
        n_before = kept * before.n_samples
        n_samples = n_before + self.n_samples
        part = self.n_samples / n_samples

        def mean(name):
            return (1 - part) * getattr(before, name) + part * getattr(self, name)

        between = n_samples * part * (1 - part)
        shift = (self.mean - before.mean) / scale
        code_shift = self.code_mean - before.code_mean
        return Moments(
            n_samples=n_samples,
            mean=mean("mean"),
            total=kept * before.total + self.total + between * float(shift @ shift),
            left=kept * before.left + self.left,
            code_mean=mean("code_mean"),
            code_variance=mean("code_variance") + part * (1 - part) * code_shift**2,
            loadings=mean("loadings"),
            lengths=mean("lengths"),
        )


def explain(moments: Moments, scaling: Scaling, n_samples: float) -> dict[str, Any]:
    """Return PCA's attributes by name, those of ``EXPLAINED``.

    Parameters
    ----------
    moments : Moments
    scaling : Scaling
    n_samples : int
        Number of rows seen so far.
    """
    n_samples, total, left = moments.n_samples, moments.total, moments.left
    n_components, n_features = moments.loadings.shape
    parts = moments.code_variance * moments.lengths
    share = max(0.0, 1 - left / total) if total > 0 else 0.0
    ratio = share * parts / (parts.sum() or 1.0)
    # Ratios must not increase. Codes that are not in this order get the mean of their
    # ratios.
    ratio = np.ascontiguousarray(isotonic_regression(ratio, increasing=False))
    # In squared units of X. As in PCA, the divisor is the number of rows minus one.
    unit = np.mean((scaling.scale / scaling.unit) ** 2) / max(1, n_samples - 1)
    explained = ratio * total * unit
    n_others = min(n_samples, n_features) - n_components
    return {
        "_components": moments.loadings,
        "explained_variance_": explained,
        "explained_variance_ratio_": ratio,
        "singular_values_": np.sqrt(explained * max(1, n_samples - 1)),
        "noise_variance_": float(left * unit / n_others) if n_others > 0 else 0.0,
        "_code_variance": moments.code_variance * n_samples / max(1, n_samples - 1),
    }


def score_of(codec: Codec, X: Rows, weights: Floats | None = None) -> float:
    """Return the share of the variance of rows that a codec reconstructs.

    Rows may have ``weights``, (n_samples,).
    """
    if weights is not None:
        weights = weights / weights.mean()
    with np.errstate(over="ignore"):
        total = _squares(codec, X, weights)
        left = _squares_left(codec, X, weights)
    if not np.isfinite(total) or not np.isfinite(left):
        largest = np.nanmax(np.abs(X.data if issparse(X) else X))
        raise ValueError(
            "The squared errors of X overflow float64: its values reach "
            f"{largest:.3g}. Leave out or rescale such rows."
        )
    if total == 0:  # one row, or equal rows
        total = X.shape[0] * X.shape[1] * (codec.scaling.variance or 1.0)
    return float(1 - left / total)


def _mean_of_rows(codec, X, weights):
    """Return the mean of each feature over observed values, 0 if there are none."""
    if codec.ppca is None or issparse(X):
        return _mean(X, weights)
    known = ~np.isnan(X)
    weights = np.ones(len(X)) if weights is None else weights
    counts = weights @ known
    return weights @ np.where(known, X, 0.0) / np.where(counts > 0, counts, 1.0)


def _squares(codec, X, weights):
    """Return the sum of squares of rows about their mean, in scaled units."""
    has_gaps = codec.ppca is not None and not issparse(X)
    squares = observed_squares if has_gaps else squares_about_mean
    return squares(X, np.arange(X.shape[0]), codec.scaling.scale, weights)


def _squares_left(codec, X, weights=None):
    """Return the sum of squared reconstruction errors of rows, in scaled units.

    Missing entries have no error.
    """
    left = 0.0
    for rows in codec.chunks(X.shape[0]):
        original = dense_rows(X, rows)
        x = codec.decode(codec.encode(original))
        error = np.subtract(original, x, dtype=np.float64) / codec.scaling.scale
        if codec.ppca is not None:
            error[np.isnan(original)] = 0.0
        left += weighted(np.square(error), weights, rows).sum()
    return left


def _sampled_rows(n_samples, n_most, rng):
    """Return the indices of all rows, or of a random sample if there are many."""
    if n_samples <= n_most:
        return slice(None)
    return np.sort(rng.choice(n_samples, n_most, replace=False))


def _mean(X, weights):
    """Return the mean of rows, (n_features,)."""
    if weights is None:
        return np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
    return np.asarray(X.T @ weights).ravel() / len(weights)


def _slopes(codec, Z, spread, weights=None):
    """Return the decoder's mean derivatives, and the mean squares of their lengths.

    Derivatives are in units of the scaled data.

    Returns
    -------
    loadings : ndarray of shape (n_components, n_features)
    lengths : ndarray of shape (n_components,)
    """
    loadings = np.empty((codec.n_components, codec.n_features))
    lengths = np.empty(codec.n_components)
    for j, scale in enumerate(spread):
        step = np.zeros(codec.n_components)
        step[j] = _STEP * (scale or 1.0)
        slope = codec.decode(Z + step) - codec.decode(Z - step)
        slope /= 2 * step[j] * codec.scaling.scale
        loadings[j] = weighted(slope, weights).mean(axis=0)
        lengths[j] = weighted(np.square(slope).sum(axis=1), weights).mean()
    return loadings, lengths
