"""Rows: dense arrays with NaN in their gaps, filled rows, and what is observed."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from .._reconstruction import ReconstructingTransformer
from .._typing import Floats, MatrixLike

__all__ = [
    "dense",
    "filled_rows",
    "has_gaps",
    "observed_mean",
    "observed_rows",
    "observed_variance",
    "with_slices",
]

_NO_GAPS = (
    "X contains NaN, and {} does not say how it treats gaps. Use an "
    "AutoEncoderTransformer with missing_values=np.nan, or put an imputer of "
    "sklearn.impute before the last step."
)


def dense(X: MatrixLike) -> Floats:
    """Return complete rows as a float64 array."""
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    return X.toarray() if issparse(X) else X


def observed_rows(estimator: BaseEstimator, X: MatrixLike) -> Floats:
    """Return rows as a float64 array, with NaN in their gaps.

    Raises
    ------
    ValueError
        If there are gaps, and the estimator does not take them.
    """
    if isinstance(estimator, ReconstructingTransformer):
        X = estimator._validate(X)
        return (X.toarray() if issparse(X) else X).astype(np.float64, copy=False)
    X = check_array(
        X, accept_sparse="csr", dtype=np.float64, ensure_all_finite="allow-nan"
    )
    X = X.toarray() if issparse(X) else X
    if np.isnan(X).any():
        raise ValueError(_NO_GAPS.format(type(estimator).__name__))
    return dense(X)  # infinite values are refused


def filled_rows(estimator: BaseEstimator, X: MatrixLike) -> Floats:
    """Return rows as a float64 array, with their gaps filled by the estimator."""
    rows = observed_rows(estimator, X)
    if not has_gaps(rows):
        return rows
    return np.asarray(estimator.impute(X), dtype=np.float64)


def has_gaps(X: Floats) -> bool:
    """Whether an entry is missing."""
    return bool(np.isnan(X).any())


def observed_mean(values: Floats, axis: int = 0) -> Floats:
    """Return means over what is observed; they are NaN where nothing is."""
    known = ~np.isnan(values)
    n_known = known.sum(axis=axis)
    sums = values.sum(axis=axis, where=known)
    return np.divide(sums, n_known, np.full(sums.shape, np.nan), where=n_known > 0)


def observed_variance(X: Floats) -> Floats:
    """Return the variance of each feature over what is observed.

    It is exactly zero for constant features, and NaN for features without a value.
    """
    known = ~np.isnan(X)
    low = X.min(axis=0, initial=np.inf, where=known)
    high = X.max(axis=0, initial=-np.inf, where=known)
    variance = observed_mean(np.square(X - observed_mean(X)))
    return np.where(low == high, 0.0, variance)


def with_slices(X: Any) -> Any:
    """Return rows as they are, but sparse ones as CSR: not all formats have slices."""
    return X.tocsr() if issparse(X) else X
