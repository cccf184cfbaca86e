"""Scaling of rows of ``X`` for the network, and back, in float64.

The network gets ``(X - mean) / scale``. By default all features have the same scale,
the square root of their mean variance. So the units of the data do not matter, and the
squared error weighs features as PCA does.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from .._typing import Bools, Floats, Ints, Rows, is_sparse

__all__ = [
    "FARTHEST",
    "Scaling",
    "dense_rows",
    "observed_squares",
    "refuse_overflow",
    "row_slices",
    "squares_about_mean",
    "weighted",
]

_CHUNK_BYTES = 2**22
# Scaled values are clipped to this size. float32 can still square and add such values.
FARTHEST = 1e15


def row_slices(
    n_samples: int, n_features: int, chunk_bytes: int = _CHUNK_BYTES
) -> list[slice]:
    """Return slices of rows that hold about ``chunk_bytes`` of float64 each."""
    step = max(1, chunk_bytes // (8 * n_features))
    return [slice(i, min(i + step, n_samples)) for i in range(0, n_samples, step)]


def dense_rows(X: Rows, rows: Ints | slice) -> Floats:
    """Return rows of an array or of a sparse matrix as an array."""
    chosen = X[rows]
    return chosen.toarray() if is_sparse(chosen) else chosen


def refuse_overflow(variance: Floats, low: Floats, high: Floats) -> None:
    """Refuse features whose variance is not finite, given their bounds."""
    overflows = np.flatnonzero(~np.isfinite(variance))
    if len(overflows):
        feature = int(overflows[0])
        raise ValueError(
            f"The variance of feature {feature} overflows float64: its values "
            f"reach {np.abs([low[feature], high[feature]]).max():g}. Rescale X."
        )


@np.errstate(over="ignore", invalid="ignore")
def squares_about_mean(
    X: Rows, rows: Ints, scale: Floats, weights: Floats | None = None
) -> float:
    """Return the sum of squared distances of rows from their mean, in scaled units.

    Return zero if all rows are equal: rounding errors of the mean are not variance.
    What overflows raises no warning. ``weights`` of rows have mean 1.
    """
    parts = row_slices(len(rows), X.shape[1])
    mean = sum(
        weighted(dense_rows(X, rows[p]), weights, p).sum(axis=0, dtype=np.float64)
        for p in parts
    )
    mean /= len(rows)
    total = 0.0
    for p in parts:
        distance = np.subtract(dense_rows(X, rows[p]), mean, dtype=np.float64) / scale
        total += float(weighted(np.square(distance), weights, p).sum())
    rounding = 8 * np.finfo(np.float64).eps * mean / scale
    return total if total > len(rows) * np.square(rounding).sum() else 0.0


@np.errstate(over="ignore", invalid="ignore")
def observed_squares(
    X: Floats, rows: Ints, scale: Floats, weights: Floats | None = None
) -> float:
    """Return `squares_about_mean` of the entries of an array that are not NaN."""
    parts = row_slices(len(rows), X.shape[1])
    weights = np.ones(len(rows)) if weights is None else weights
    counts = sum(weights[p] @ ~np.isnan(X[rows[p]]) for p in parts)
    mean = sum(weights[p] @ np.nan_to_num(X[rows[p]]) for p in parts)
    mean = mean / np.where(counts > 0, counts, 1.0)
    total = 0.0
    for p in parts:
        distance = np.subtract(X[rows[p]], mean, dtype=np.float64) / scale
        total += float(np.nansum(weighted(np.square(distance), weights, p)))
    rounding = 8 * np.finfo(np.float64).eps * mean / scale
    return total if total > len(rows) * np.square(rounding).sum() else 0.0


def weighted(
    values: Floats, weights: Floats | None, part: slice = slice(None)
) -> Floats:
    """Multiply values of rows by their weights, of which ``part`` is used."""
    if weights is None:
        return values
    weights = weights[part]
    return values * (weights if values.ndim == 1 else weights[:, None])


@dataclass(frozen=True)
class Scaling:
    """A shift and a positive scale for each feature.

    Attributes
    ----------
    mean, scale : ndarray of shape (n_features,)
        Shift and scale in float64. The mean of a constant feature is exactly its value.
    constant : ndarray of bool of shape (n_features,)
        Features with one value in all training rows. After scaling they are always
        zero.
    variance : float
        Mean variance of the scaled features. This is the squared error of predicting
        the mean.
    unit : ndarray of shape (n_features,)
        Units of errors: 1, or the scale of standardized features.
    mean_error : float
        The squared error of predicting the mean, in these units.
    """

    mean: Floats
    scale: Floats
    constant: Bools
    variance: float
    unit: Floats
    mean_error: float

    @classmethod
    def fit(
        cls,
        X: Rows,
        rows: Ints,
        standardize: bool,
        weights: Floats | None = None,
        scale_of: Callable[[Floats], Floats] | None = None,
    ) -> Self:
        """Fit to the ``rows`` (indices) of ``X``, with bounded memory.

        ``weights`` of rows are of shape (len(rows),). ``scale_of`` turns variances into
        scales, (n_features,), if features get different scales. Errors are then
        measured in units of these scales.
        """
        scaler = StandardScaler()
        low = np.full(X.shape[1], np.inf)
        high = -low
        for chunk in row_slices(len(rows), X.shape[1]):
            values = dense_rows(X, rows[chunk])
            with np.errstate(over="ignore", invalid="ignore"):  # checked below
                part = None if weights is None else weights[chunk]
                scaler.partial_fit(values, sample_weight=part)
            low = np.minimum(low, values.min(axis=0))
            high = np.maximum(high, values.max(axis=0))
        constant = low == high
        mean = np.where(constant, low, scaler.mean_)
        variance = np.where(constant, 0.0, scaler.var_)
        refuse_overflow(variance, low, high)
        deviation = scaler.scale_ if standardize else None
        return cls._of_moments(mean, variance, constant, deviation, scale_of)

    @classmethod
    def _of_moments(
        cls,
        mean: Floats,
        variance: Floats,
        constant: Bools,
        deviation: Floats | None,
        scale_of: Callable[[Floats], Floats] | None = None,
    ) -> Self:
        """Make a scaling from moments. With ``deviation``, features count equally."""
        if deviation is not None:
            scale = np.where(constant, 1.0, deviation)
            unit = scale
        elif scale_of is not None:
            unit = scale = scale_of(variance)
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

    def of_observed(
        self,
        X: Floats,
        rows: Ints,
        missing: Bools,
        standardize: bool,
        weights: Floats | None = None,
    ) -> Self:
        """Return a scaling whose variances are those of the observed entries.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows with filled gaps.
        rows : ndarray of int
        missing : ndarray of bool of shape (n_samples, n_features)
        standardize : bool
        weights : ndarray of shape (len(rows),), optional
        """
        weights = np.ones(len(rows)) if weights is None else weights
        squares = counts = np.zeros(X.shape[1])
        for chunk in row_slices(len(rows), X.shape[1]):
            part = rows[chunk]
            distance = np.subtract(X[part], self.mean, dtype=np.float64)
            distance[missing[part]] = 0.0
            squares = squares + weights[chunk] @ np.square(distance)
            counts = counts + weights[chunk] @ ~missing[part]
        counts = np.where(counts > 0, counts, 1.0)
        variance = np.where(self.constant, 0.0, squares / counts)
        deviation = None
        if standardize:
            deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
        return self._of_moments(self.mean, variance, self.constant, deviation)

    def with_moved(
        self,
        X: Rows,
        rows: Ints,
        standardize: bool,
        n_before: int,
        weights: Floats | None = None,
    ) -> Self:
        """Return a scaling in which constant features vary if they do so in ``rows``.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
        rows : ndarray of int
        standardize : bool
        n_before : int
            Number of earlier rows, in which the features were constant.
        weights : ndarray of shape (len(rows),) or None
            Sample weights with mean 1.

        Warns
        -----
        ConvergenceWarning
            If these features now have most of the variance, so that a new fit is
            better.
        """
        idle = np.flatnonzero(self.constant)
        squares, moved = np.zeros(len(idle)), np.zeros(len(idle), bool)
        for part in row_slices(len(rows), X.shape[1]) if len(idle) else ():
            distance = dense_rows(X, rows[part])[:, idle] - self.mean[idle]
            moved |= (distance != 0).any(axis=0)
            squares += weighted(np.square(distance), weights, part).sum(axis=0)
        if not moved.any():
            return self
        features, variance = idle[moved], squares[moved] / len(rows)
        constant = self.constant.copy()
        scale, unit = self.scale.copy(), self.unit.copy()
        constant[features] = False
        if standardize:
            scale[features] = unit[features] = np.sqrt(variance)
        added = [variance / v[features] ** 2 for v in (scale, unit)]
        if added[1].sum() > self.mean_error * len(scale):
            warnings.warn(
                f"Features {features[:5].tolist()} were constant in the first "
                f"{n_before} rows, and now have most of the variance. They are learnt "
                "from here on, but codes started without them: begin anew with rows in "
                "which they vary.",
                ConvergenceWarning,
                stacklevel=2,
            )
        share = len(rows) / (len(rows) + n_before) / len(scale)
        return replace(
            self,
            constant=constant,
            scale=scale,
            unit=unit,
            variance=float(self.variance + share * added[0].sum()),
            mean_error=float(self.mean_error + share * added[1].sum()),
        )

    def of(self, features: Ints | Bools) -> Self:
        """Return the scaling of some features. Means over all features are the same."""
        names = "mean", "scale", "constant", "unit"
        return replace(self, **{name: getattr(self, name)[features] for name in names})

    def on_axes(self, n_axes: int) -> Self:
        """Return the scaling of coordinates of rows that are already scaled."""
        zeros, ones = np.zeros(n_axes), np.ones(n_axes)
        return replace(self, mean=zeros, scale=ones, constant=zeros > 0, unit=ones)

    def apply(self, X: Floats) -> Floats:
        """Return scaled rows, float64, of shape (n_samples, n_features)."""
        with np.errstate(over="ignore"):  # clipped below
            x = np.subtract(X, self.mean, dtype=np.float64)
            x /= self.scale
        np.clip(x, -FARTHEST, FARTHEST, out=x)
        x[:, self.constant] = 0.0
        return x

    def undo(self, x: Floats) -> Floats:
        """Return scaled rows in the units of ``X``, float64."""
        return x * self.scale + self.mean
