"""The fitted attributes after a training, as numpy arrays and plain values."""

from dataclasses import replace
from typing import Any

import numpy as np

from .._data.batches import Batches
from .._data.scaling import (
    Scaling,
    dense_rows,
    observed_squares,
    row_slices,
    squares_about_mean,
    weighted,
)
from .._inference.codec import Codec
from .._inference.explained_variance import Moments, explain
from .._inference.fitted_state import FittedState, stored
from .._linear.pca import pca_errors
from .dataset import Dataset
from .deployment import Deployed
from .session import TrainingSession

__all__ = ["baseline_score", "describe", "measure"]

# Largest number of rows to whose codes the prior is fitted.
_PRIOR_ROWS = 10_000
# Number of rows of a stream that are enough to estimate variances.
_ENOUGH_ROWS = 100


def baseline_score(training: TrainingSession, batches: Batches) -> float:
    """Return the `score` of these rows that the estimator would have if it were PCA."""
    scaling = training.scaling
    pairs = zip(batches.parts(), batches.in_order(), strict=True)
    errors = pca_errors(
        training.pca, ((x, x, batches.observed_in(part)) for part, (x, _) in pairs)
    )
    error = batches.feature_fraction * batches.mean(errors)
    error += batches.mean(batches.off_basis)
    error += _constant_error(scaling, batches)
    squares = squares_about_mean if batches.observed is None else observed_squares
    total = squares(batches.given, batches.rows, scaling.scale, batches.row_weights)
    variance = total / (batches.n_samples * len(scaling.scale)) or scaling.variance
    return float(1 - error / (variance or 1.0))


def _constant_error(scaling: Scaling, batches: Batches) -> float:
    """Return the error of features that networks do not see: constant in training."""
    n_features = len(scaling.mean)
    constant = np.flatnonzero(scaling.constant)
    if not len(constant):
        return 0.0
    mean, scale = scaling.mean[constant], scaling.scale[constant]
    total = 0.0
    for part in row_slices(batches.n_samples, n_features):
        X = dense_rows(batches.X, batches.rows[part])[:, constant]
        squares = np.square((X - mean) / scale)
        total += weighted(squares, batches.row_weights, part).sum()
    return total / (batches.n_samples * n_features)


def measure(
    training: TrainingSession, deployed: Deployed, dataset: Dataset, seed: int
) -> Moments:
    """Return the `Moments` of a dataset, with codes that are not whitened."""
    codec, code_transform = deployed.codec, replace(deployed.code_transform, scale=None)
    codec = Codec(
        codec.network, training.scaling, deployed.link, code_transform, codec.ppca
    )
    return Moments.of(codec, dataset.with_gaps, seed, dataset.weights)


def describe(
    training: TrainingSession,
    deployed: Deployed,
    dataset: Dataset,
    n_samples: int,
    seed: int,
    whiten: bool,
    moments: Moments,
    previous: FittedState | None = None,
) -> dict[str, Any]:
    """Return the fitted attributes of a training and of its deployed network.

    ``n_samples`` counts all rows seen so far. ``dataset`` has the rows of this call. If
    ``moments`` have too few rows to estimate variances, the variances of the
    ``previous`` state are kept.
    """
    scaling, code_transform = training.scaling, deployed.code_transform
    n_components = training.config.n_components
    explained = explain(moments, scaling, n_samples)
    if previous is not None and moments.n_samples < _ENOUGH_ROWS:
        explained |= previous.explained
    if whiten and code_transform.scale is None:
        spread = np.sqrt(explained["_code_variance"])
        code_transform = replace(
            code_transform, scale=np.where(spread > 0, spread, 1.0)
        )
    elif not whiten:
        code_transform = replace(code_transform, scale=None)
    ppca = deployed.codec.ppca
    codec = Codec(deployed.codec.network, scaling, deployed.link, code_transform, ppca)
    if deployed.is_pca:
        explained["_components"] = None  # the weights are the same numbers
    X, prior_rows = dataset.X, _rows_of_prior(dataset, training.rows, seed)
    return explained | {
        "n_components_": n_components,
        "mean_": scaling.mean,
        "scale_": scaling.scale,
        "device_": str(training.device),
        "_architecture": vars(deployed.architecture),
        "_weights": deployed.weights,
        "_scaling": vars(scaling),
        "_code_transform": vars(code_transform),
        "_link": deployed.link,
        "_ppca": stored(ppca),
        "_prior": training.latent.prior(
            n_components, lambda: codec.encode(X[prior_rows]), seed
        ),
    }


def _rows_of_prior(dataset, rows, seed):
    """Return random rows to fit the prior to, drawn in proportion to their weights."""
    rng, weights = np.random.default_rng(seed), dataset.weights_of(rows)
    if weights is None:
        return np.sort(rng.permutation(rows)[:_PRIOR_ROWS])
    n_rows = min(_PRIOR_ROWS, dataset.n_represented)
    return np.sort(rng.choice(rows, n_rows, p=weights / weights.sum()))
