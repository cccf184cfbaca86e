"""Learnt: the attributes that a training leaves, numpy and plain values."""

import numpy as np

from ._linear import pca_errors
from ._scaling import dense_rows, row_slices

__all__ = ["baseline_score", "describe"]

# Training rows that explained_variance_ratio_ is measured on, at most, how many values
# they may have, and how many rows may be decoded for it: once all for each code.
_EXPLAINED_ROWS = 1_000
_EXPLAINED_VALUES = 4_000_000
_DECODED_ROWS = 10_000
# Rows whose codes the prior is of, at most.
_PRIOR_ROWS = 10_000


def baseline_score(training, batches):
    """Return what the estimator's `score` of these rows would be if it were PCA."""
    errors = pca_errors(training.pca, ((x, x) for x, _ in batches.in_order()))
    error = batches.share * errors.mean() + _constant_error(training.scaling, batches)
    return float(1 - error / (training.scaling.variance or 1.0))


def _constant_error(scaling, batches):
    """Error of features that never moved in training, which networks do not see."""
    n_features = len(scaling.mean)
    constant = np.flatnonzero(scaling.constant)
    if not len(constant):
        return 0.0
    mean, scale = scaling.mean[constant], scaling.scale[constant]
    total = 0.0
    for part in row_slices(batches.n_rows, n_features):
        X = dense_rows(batches.X, batches.rows[part])[:, constant]
        total += np.square((X - mean) / scale).sum()
    return total / (batches.n_rows * n_features)


def describe(training, deployed, X, seed):
    """Return the attributes that a training and what is deployed of it make."""
    scaling, codec = training.scaling, deployed.codec
    n_components = training.plan.n_components
    n_explained = min(
        _EXPLAINED_ROWS,
        _EXPLAINED_VALUES // X.shape[1] + 1,
        _DECODED_ROWS // n_components + 1,
    )
    rows = np.random.default_rng(seed).permutation(training.rows)
    prior_rows = np.sort(rows[:_PRIOR_ROWS])
    explained_rows = rows[:n_explained]
    return {
        "n_components_": n_components,
        "mean_": scaling.mean,
        "scale_": scaling.scale,
        "explained_variance_ratio_": codec.explained_variance_ratio(
            dense_rows(X, explained_rows)
        ),
        "device_": str(training.device),
        "_architecture": deployed.architecture,
        "_weights": deployed.weights,
        "_scaling": vars(scaling),
        "_frame": vars(deployed.frame),
        "_link": deployed.link,
        "_prior": training.latent.prior(
            n_components, lambda: codec.encode(X[prior_rows]), seed
        ),
    }
