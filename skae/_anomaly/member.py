"""A member of the ensemble: a fitted transformer that scores how unusual rows are."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from sklearn.base import BaseEstimator

from .._fitting.callbacks import Subtask
from .._typing import Floats

__all__ = ["ENOUGH_ROWS", "Member", "fit_member"]

# Number of neighbours of a code, among the rows that the member was fitted to. The
# distance to the last one is used. So outliers of one kind, if they are fewer than this
# number, do not make each other look usual.
_N_NEIGHBORS = 10
#: Rows that are enough to estimate a median.
ENOUGH_ROWS = 1000
# The smallest scale of a feature's error, in units of the features' root mean variance.
# Features that are nearly always reconstructed exactly, such as rare flags, would
# otherwise outweigh all others.
_LEAST_SCALE = 1e-3
# Lower bounds of a typical sum or distance. The first is a share of the mean, because
# with many equal rows most sums are zero. The second, for the case that all are zero,
# is larger than rounding errors.
_LEAST_TYPICAL = 1e-2
_NOTHING = 1e-6


@dataclass(frozen=True)
class Member:
    """A fitted transformer, with the usual errors of rows that it was not fitted to.

    Attributes
    ----------
    estimator : transformer
    code_scale : ndarray of shape (n_components,)
        Standard deviation of the codes.
    codes : ndarray of shape (n_fitted, n_components)
        Codes of the rows that it was fitted to, divided by ``code_scale``.
    error_scale : ndarray of shape (n_features,)
        Median absolute error of each feature, or a small number if the median is zero.
    typical_error, typical_distance : float
        Medians of the rows' errors and distances. Divided by them, both count equally.
    """

    estimator: BaseEstimator
    code_scale: Floats
    codes: Floats
    error_scale: Floats
    typical_error: float
    typical_distance: float

    def score(self, Z: Floats) -> Floats:
        """Return how unusual rows are, (n_rows,): about 2 for an ordinary row."""
        errors, distances, _ = self._compare(Z)
        return errors.sum(axis=1) / self.typical_error + distances

    def contributions(self, Z: Floats) -> Floats:
        """Return what each feature adds to `score`, (n_rows, n_features).

        The distance of a code is divided among the features in proportion to the
        squared difference between the row and the mean reconstruction of its
        neighbours. The row's own reconstruction would not do: one broken feature
        changes the reconstruction of all features, but not the neighbours.
        """
        errors, distances, neighbors = self._compare(Z)
        usual = _decode(self.estimator, self.codes * self.code_scale)
        squares = np.square(Z - usual[neighbors].mean(axis=1))
        total = squares.sum(axis=1, keepdims=True)
        equal = np.full_like(squares, 1 / squares.shape[1])
        shares = np.divide(squares, total, out=equal, where=total > 0)
        return errors / self.typical_error + shares * distances[:, None]

    def _compare(self, Z):
        """Return errors of values, distances of codes, and their neighbours."""
        codes = _encode(self.estimator, Z)
        back = _decode(self.estimator, codes)
        distances, neighbors = _neighbors(self.codes, codes / self.code_scale)
        errors = _surprise((Z - back) / self.error_scale)
        return errors, distances[:, -1] / self.typical_distance, neighbors


def fit_member(
    estimator: BaseEstimator, Z: Floats, others: Floats, subtask: Subtask
) -> Member:
    """Fit a transformer to some rows, and measure usual errors on others.

    Parameters
    ----------
    estimator : transformer
        An unfitted clone.
    Z, others : ndarray of shape (n_rows, n_features)
        Scaled rows to fit it to, and other rows: `ENOUGH_ROWS` of them, or all.
    subtask : Subtask
        The subtask of the detector's fit, for its callbacks.
    """
    with subtask.fitting(estimator, Z):
        estimator.fit(Z)
    codes = _encode(estimator, Z)
    code_scale = codes.std(axis=0)
    code_scale[code_scale == 0] = 1.0
    codes = codes / code_scale
    new_codes = _encode(estimator, others)
    differences = others - _decode(estimator, new_codes)
    least = _LEAST_SCALE * (np.sqrt(others.var(axis=0).mean()) or 1.0)
    error_scale = np.maximum(np.median(np.abs(differences), axis=0), least)
    errors = _surprise(differences / error_scale).sum(axis=1)
    distances, _ = _neighbors(codes, new_codes / code_scale)
    return Member(
        estimator=estimator,
        code_scale=code_scale,
        codes=codes,
        error_scale=error_scale,
        typical_error=_typical(errors),
        typical_distance=_typical(distances[:, -1]),
    )


def _encode(estimator, Z):
    return np.asarray(estimator.transform(Z), dtype=np.float64)


def _decode(estimator, codes):
    return np.asarray(estimator.inverse_transform(codes), dtype=np.float64)


def _surprise(scaled_error):
    """Return minus the log-likelihood of a Cauchy distribution, up to a constant.

    A single feature with a large error counts, but does not dominate all others.
    """
    return np.log1p(np.square(scaled_error))


def _neighbors(fitted_codes, codes):
    """Return distances to the nearest fitted codes, and the indices of these codes."""
    k = min(_N_NEIGHBORS, len(fitted_codes))
    distances, rows = cKDTree(fitted_codes).query(codes, k=np.arange(1, k + 1))
    return distances, rows


def _typical(values):
    return max(np.median(values), _LEAST_TYPICAL * values.mean(), _NOTHING)
