"""Comparison: rows, their reconstructions, and PCA's reconstructions of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._reconstruction import ReconstructingTransformer
from .._runtime.helpers import helper
from .._typing import Floats, MatrixLike
from .checks import check_methods
from .rows import (
    dense,
    filled_rows,
    has_gaps,
    observed_mean,
    observed_rows,
    observed_variance,
)

__all__ = [
    "Comparison",
    "PCAWithUnits",
    "compare",
    "encode",
    "feature_names_of",
    "last_step",
    "name_features",
    "share_of_variance",
    "unit_of",
    "unpack",
]


@dataclass(frozen=True)
class Comparison:
    """Rows and their reconstructions.

    Attributes
    ----------
    X, reconstruction : ndarray of shape (n_samples, n_features)
        NaN stands for gaps in ``X``. Errors are those of the observed entries.
    filled : ndarray of shape (n_samples, n_features)
        The rows with their gaps filled.
    baseline : ndarray of shape (n_samples, n_features) or None
        Reconstruction by the baseline.
    unit : ndarray of shape (n_features,)
        Units by which errors are divided before features are added up.
    names : list of str or None
        Names of the features.
    baseline_name : str or None
    """

    X: Floats
    reconstruction: Floats
    filled: Floats
    baseline: Floats | None
    unit: Floats
    names: list[str] | None
    baseline_name: str | None

    def row_errors(self, reconstruction: Floats) -> Floats:
        """Return the mean squared error of each row."""
        errors = np.square((self.X - reconstruction) / self.unit)
        return observed_mean(errors, axis=1)

    def feature_errors(self, reconstruction: Floats) -> Floats:
        """Return the mean squared error of each feature, in squared units of ``X``."""
        return observed_mean(np.square(self.X - reconstruction))


class PCAWithUnits:
    """PCA of features that are divided by their units.

    Parameters
    ----------
    n_components : int
    unit : ndarray of shape (n_features,)
    """

    def __init__(self, n_components: int, unit: Floats) -> None:
        self.n_components = n_components
        self.unit = unit

    def fit(self, X: Floats) -> Self:
        """Fit PCA, with ``n_components`` or as many components as possible."""
        n_components = min(self.n_components, *X.shape)
        with np.errstate(invalid="ignore"):  # one row has no variance
            self._pca = helper(PCA(n_components, random_state=0)).fit(X / self.unit)
        return self

    def transform(self, X: Floats) -> Floats:
        """Return the codes of rows."""
        return self._pca.transform(dense(X) / self.unit)

    def inverse_transform(self, Z: Floats) -> Floats:
        """Return rows from any number of first codes."""
        components = self._pca.components_[: Z.shape[1]]
        return (Z @ components + self._pca.mean_) * self.unit


def last_step(estimator: BaseEstimator) -> BaseEstimator:
    """Return the last step of a pipeline, or the estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def unpack(
    estimator: BaseEstimator, X: MatrixLike
) -> tuple[BaseEstimator, Any, list[str] | None]:
    """Return the transformer, the rows as it gets them, and their feature names.

    For a pipeline, this is the last step, with the rows that this step gets.

    Raises
    ------
    TypeError
        If the transformer cannot reconstruct rows.
    """
    names = feature_names_of(estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        check_is_fitted(estimator)
        X = estimator[:-1].transform(X)
    estimator = last_step(estimator)
    check_methods(estimator, "transform", "inverse_transform")
    check_is_fitted(estimator)
    return estimator, X, names


def feature_names_of(estimator: BaseEstimator) -> list[str] | None:
    """Return the names of the features that the last step sees, or None."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        try:
            return list(map(str, estimator[:-1].get_feature_names_out()))
        except (AttributeError, ValueError):  # a step has no names of features
            return None
    names = getattr(last_step(estimator), "feature_names_in_", None)
    return None if names is None else list(map(str, names))


def name_features(
    names: Sequence[str] | None, n_features: int, axis: ArrayLike | None = None
) -> list[str]:
    """Return the names of features, their positions, or scikit-learn's names."""
    if names is not None:
        return list(names)
    if axis is not None:
        return [f"{position:g}" for position in np.asarray(axis, dtype=float)]
    return [f"x{i}" for i in range(n_features)]


def encode(estimator: BaseEstimator, X: MatrixLike) -> Floats:
    """Return the codes of rows as an array, for any setting of ``set_output``."""
    Z = estimator.transform(X)
    return np.asarray(Z.toarray() if issparse(Z) else Z)


def unit_of(estimator: BaseEstimator, n_features: int) -> Floats:
    """Return the units of the features in which errors are measured.

    They are ones, or the standard deviations if an autoencoder standardizes.
    """
    if isinstance(estimator, ReconstructingTransformer):
        return np.asarray(estimator._scaling["unit"])
    return np.ones(n_features)


def compare(
    estimator: BaseEstimator,
    X: MatrixLike,
    X_train: MatrixLike | None = None,
    baseline: str | BaseEstimator | None = "pca",
) -> Comparison:
    """Return rows, their reconstructions, and those of the baseline.

    Parameters
    ----------
    estimator : transformer or Pipeline
        Fitted estimator.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    X_train : {array-like, sparse matrix}, default=None
        Rows that PCA is fitted to. None means ``X``.
    baseline : "pca", transformer or None
        PCA with as many codes, or a fitted transformer that gets the same rows as the
        last step.

    Returns
    -------
    comparison : Comparison
    """
    fitted, X, names = unpack(estimator, X)
    rows, filled = observed_rows(fitted, X), filled_rows(fitted, X)
    Z = encode(fitted, X)
    back = np.asarray(fitted.inverse_transform(Z), dtype=np.float64)
    unit = unit_of(fitted, rows.shape[1])
    name, of_baseline = None, None
    if isinstance(baseline, str) and baseline == "pca":
        learnt, name = filled, "PCA of these rows"
        if X_train is not None:
            learnt, name = filled_rows(fitted, unpack(estimator, X_train)[1]), "PCA"
        if has_gaps(rows):
            name += " (gaps filled)"
        baseline = PCAWithUnits(Z.shape[1], unit).fit(learnt)
    elif isinstance(baseline, str):
        raise ValueError(
            f"baseline={baseline!r} must be 'pca', a fitted transformer with "
            "inverse_transform, or None."
        )
    elif baseline is not None:
        name = type(last_step(baseline)).__name__
    if baseline is not None:
        as_given = not has_gaps(rows) or _takes_gaps(baseline)
        codes = encode(baseline, X if as_given else filled)
        of_baseline = np.asarray(baseline.inverse_transform(codes))
    return Comparison(rows, back, filled, of_baseline, unit, names, name)


def _takes_gaps(estimator):
    """Whether rows with gaps can be passed as they are."""
    return getattr(last_step(estimator), "missing_values", None) is not None


def share_of_variance(X: Floats, reconstruction: Floats, unit: Floats) -> float:
    """Return the share of the variance of rows that is reconstructed, as in `score`.

    Gaps of ``X`` do not count. It is NaN if the rows do not vary.
    """
    left = np.nansum(np.square((X - reconstruction) / unit))
    varies = observed_variance(X) > 0  # without the rounding errors of constants
    total = np.nansum(np.square((X - observed_mean(X)) / unit)[:, varies])
    return float(1 - left / total) if total > 0 else np.nan
