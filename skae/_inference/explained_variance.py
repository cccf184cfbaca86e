"""Explained: what each code is worth, and what it does to the features.

PCA's attributes for a decoder that need not be linear. Code j moves the reconstruction
by its slope, so its part of the variance is about ::

    v_j = variance(z_j) * mean over rows of |d decode(z) / d z_j|²

which for PCA is the eigenvalue. The parts are made to add up to the share of variance
that the reconstruction explains.
"""

import numpy as np
from sklearn.isotonic import isotonic_regression

from .._data.scaling import dense_rows, squares_about_mean
from .._runtime.isolation import isolated
from .codec import cached_codec

__all__ = ["explain", "score", "score_of"]

# Rows that the share of variance is measured on, at most, how many values they may
# have, and how many rows may be decoded for the slopes: twice for each code.
_ROWS = 10_000
_VALUES = 4_000_000
_DECODED_ROWS = 10_000
# Step of a code over its standard deviation: central differences in float64 are then
# right to some eight digits.
_STEP = 1e-4


def explain(codec, X, n_samples, seed):
    """Return PCA's attributes by name.

    Parameters
    ----------
    codec : Codec
        In float64.
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        All rows that were learnt from.
    n_samples : int
        Rows seen so far.
    seed : int
        For which rows are measured, where they are many.
    """
    rng = np.random.default_rng(seed)
    scaling, n_components = codec.scaling, codec.n_components
    X = _some(X, min(_ROWS, _VALUES // X.shape[1] + 1), rng)
    n_rows, n_features = X.shape
    Z = codec.encode(X)
    left = _squares_left(codec, X)
    total = squares_about_mean(X, np.arange(n_rows), scaling.scale)
    n_decoded = _DECODED_ROWS // (2 * n_components) + 1
    loadings, lengths = _slopes(codec, _some(Z, n_decoded, rng), Z.std(axis=0))
    parts = Z.var(axis=0) * lengths
    share = max(0.0, 1 - left / total) if total > 0 else 0.0
    ratio = share * parts / (parts.sum() or 1.0)
    # Codes that are not in the order of what they are worth share it alike.
    ratio = np.asarray(isotonic_regression(ratio, increasing=False))
    # In squared units of X, and, as PCA's, over one row less.
    unit = np.mean((scaling.scale / scaling.unit) ** 2) / max(1, n_rows - 1)
    explained = ratio * total * unit
    n_others = min(n_samples, n_features) - n_components
    return {
        "_components": loadings,
        "explained_variance_": explained,
        "explained_variance_ratio_": ratio,
        "singular_values_": np.sqrt(explained * max(1, n_samples - 1)),
        "noise_variance_": float(left * unit / n_others) if n_others > 0 else 0.0,
        "_code_variance": Z.var(axis=0) * n_rows / max(1, n_rows - 1),
    }


@isolated
def score(estimator, X):
    """Return the share of the variance of rows that comes back."""
    return score_of(cached_codec(estimator, X.dtype, X.shape[0]), X)


def score_of(codec, X):
    """Return the same of a codec."""
    n_rows = X.shape[0]
    total = squares_about_mean(X, np.arange(n_rows), codec.scaling.scale)
    if total == 0:  # one row, or rows that are all alike
        total = X.shape[0] * X.shape[1] * (codec.scaling.variance or 1.0)
    return float(1 - _squares_left(codec, X) / total)


def _squares_left(codec, X):
    """Return the sum of squared errors of rows that come back, in scaled units."""
    left = 0.0
    for rows in codec.chunks(X.shape[0]):
        original = dense_rows(X, rows)
        x = codec.decode(codec.encode(original))
        error = np.subtract(original, x, dtype=np.float64) / codec.scaling.scale
        left += np.square(error).sum()
    return left


def _some(X, n_most, rng):
    """Return all rows, or some at random where they are many."""
    n_rows = X.shape[0]
    if n_rows <= n_most:
        return X
    return X[np.sort(rng.choice(n_rows, n_most, replace=False))]


def _slopes(codec, Z, spread):
    """Return the mean slope of the decoder, and the mean square of its length.

    In units of the scaled data.

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
        loadings[j] = slope.mean(axis=0)
        lengths[j] = np.square(slope).sum(axis=1).mean()
    return loadings, lengths
