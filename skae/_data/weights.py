"""Weights: checks of sample weights."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length

from .._compat import check_sample_weight, safe_indexing
from .._typing import Rows

__all__ = ["weigh"]


def weigh(
    sample_weight: ArrayLike | None, X: Rows, *others: ArrayLike | None
) -> tuple[Any, ...]:
    """Drop rows with weight zero. Return the other rows, arrays and weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or None
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    *others : array-like of shape (n_samples, ...) or None

    Returns
    -------
    X, *others
        Rows and array elements with a positive weight.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of these rows. None if all are 1.

    Raises
    ------
    ValueError
        If weights are negative or not finite, or all are zero.
    """
    if sample_weight is None:
        return X, *others, None
    options = {"dtype": np.float64, "ensure_non_negative": True}
    weights = check_sample_weight(sample_weight, X, **options)
    check_consistent_length(X, *others)
    if not weights.any():
        raise ValueError("sample_weight is zero for all rows: none is left to learn.")
    counts = np.flatnonzero(weights)
    if len(counts) < len(weights):
        X, weights = X[counts], weights[counts]
        others = tuple(v if v is None else safe_indexing(v, counts) for v in others)
    return X, *others, None if (weights == 1).all() else weights
