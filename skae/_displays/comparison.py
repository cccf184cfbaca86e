"""Comparison: rows, their reconstructions, and PCA's of the same rows."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._reconstruction import ReconstructingTransformer
from .._runtime.helpers import helper

__all__ = [
    "Comparison",
    "PCAWithUnits",
    "compare",
    "dense",
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
    baseline : ndarray of shape (n_samples, n_features) or None
        Reconstruction by the baseline.
    unit : ndarray of shape (n_features,)
        Units by which errors are divided before features are added up.
    names : list of str or None
        Names of the features.
    baseline_name : str or None
    """

    X: np.ndarray
    reconstruction: np.ndarray
    baseline: np.ndarray | None
    unit: np.ndarray
    names: list | None
    baseline_name: str | None

    def row_errors(self, reconstruction):
        """Mean squared error of each row."""
        return np.square((self.X - reconstruction) / self.unit).mean(axis=1)

    def feature_errors(self, reconstruction):
        """Mean squared error of each feature, in squared units of ``X``."""
        return np.square(self.X - reconstruction).mean(axis=0)


class PCAWithUnits:
    """PCA of features divided by their units, and back.

    Parameters
    ----------
    n_components : int
    unit : ndarray of shape (n_features,)
    """

    def __init__(self, n_components, unit):
        self.n_components = n_components
        self.unit = unit

    def fit(self, X):
        """Find the components of rows, as many as there can be."""
        n_components = min(self.n_components, *X.shape)
        self._pca = helper(PCA(n_components, random_state=0)).fit(X / self.unit)
        return self

    def transform(self, X):
        """Return the codes of rows."""
        return self._pca.transform(dense(X) / self.unit)

    def inverse_transform(self, Z):
        """Return rows of the first codes, however many."""
        components = self._pca.components_[: Z.shape[1]]
        return (Z @ components + self._pca.mean_) * self.unit


def last_step(estimator):
    """Return the last step of a pipeline, or the estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def unpack(estimator, X):
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
    for method in ("transform", "inverse_transform"):
        if not hasattr(estimator, method):
            raise TypeError(
                f"{type(estimator).__name__} has no {method}: a picture of "
                "reconstructions needs a transformer with inverse_transform, or a "
                "Pipeline that ends in one. If the pipeline ends in another step, pass "
                "its first steps: pipeline[:-1]."
            )
    check_is_fitted(estimator)
    return estimator, X, names


def feature_names_of(estimator):
    """Return the names of the features that the last step sees, or None."""
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        try:
            return list(map(str, estimator[:-1].get_feature_names_out()))
        except (AttributeError, ValueError):  # a step that knows no names
            return None
    names = getattr(last_step(estimator), "feature_names_in_", None)
    return None if names is None else list(map(str, names))


def name_features(names, n_features):
    """Return the names of features, or those that scikit-learn gives them."""
    return list(names) if names is not None else [f"x{i}" for i in range(n_features)]


def dense(X):
    """Return rows as a float64 array."""
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    return X.toarray() if issparse(X) else X


def encode(estimator, X):
    """Return the codes of rows as an array, whatever ``set_output`` says."""
    Z = estimator.transform(X)
    return np.asarray(Z.toarray() if issparse(Z) else Z)


def unit_of(estimator, n_features):
    """Return the features' scale in an autoencoder; ones for other transformers."""
    if isinstance(estimator, ReconstructingTransformer):
        return np.asarray(estimator.scale_)
    return np.ones(n_features)


def compare(estimator, X, X_train=None, baseline="pca"):
    """Return rows, their reconstructions, and those of the baseline.

    Parameters
    ----------
    estimator : transformer or Pipeline
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    X_train : {array-like, sparse matrix}, default=None
        Rows that PCA is fitted to; None for ``X``.
    baseline : "pca", transformer or None
        PCA with as many codes, or a fitted transformer of rows as the last step gets
        them.

    Returns
    -------
    comparison : Comparison
    """
    given = X
    estimator_seen, X, names = unpack(estimator, given)
    Z = encode(estimator_seen, X)
    back = np.asarray(estimator_seen.inverse_transform(Z), dtype=np.float64)
    rows = dense(X)
    unit = unit_of(estimator_seen, rows.shape[1])
    name, of_baseline = None, None
    if isinstance(baseline, str) and baseline == "pca":
        learnt = rows if X_train is None else dense(unpack(estimator, X_train)[1])
        baseline = PCAWithUnits(Z.shape[1], unit).fit(learnt)
        name = "PCA" if X_train is not None else "PCA of these rows"
    elif isinstance(baseline, str):
        raise ValueError(
            f"baseline={baseline!r} must be 'pca', a fitted transformer with "
            "inverse_transform, or None."
        )
    elif baseline is not None:
        name = type(last_step(baseline)).__name__
    if baseline is not None:
        of_baseline = np.asarray(baseline.inverse_transform(encode(baseline, X)))
    return Comparison(rows, back, of_baseline, unit, names, name)


def share_of_variance(X, reconstruction, unit):
    """Share of the variance of rows that is reconstructed, as in `score`."""
    left = np.square((X - reconstruction) / unit).sum()
    total = np.square((X - X.mean(axis=0)) / unit).sum()
    return float(1 - left / total) if total > 0 else np.nan
