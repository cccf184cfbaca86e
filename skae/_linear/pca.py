"""Linear: principal component analysis, the start and the baseline."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import inplace_column_scale

from .._data.batches import Batches, Sample
from .._runtime.helpers import helper
from .._typing import Floats

__all__ = [
    "LinearStart",
    "code_variance",
    "components_for",
    "linear_start",
    "pca_errors",
    "pca_losses",
    "principal_components",
    "sample",
    "unexplained",
    "weighted_components",
]

# If arrays are streamed, PCA sees a random sample of this size.
_SAMPLE_BYTES = 2**25

# Up to so many values PCA is found in float64, which one row far out cannot outshine.
_EXACT_VALUES = 4_000_000


@dataclass(frozen=True)
class LinearStart:
    """The linear autoencoder that a network is anchored to.

    Attributes
    ----------
    encoder : ndarray of shape (n_outputs, n_features)
    offset : ndarray of shape (n_outputs,)
        Of the encoder.
    decoder : ndarray of shape (n_features, n_components)
    row_trust_radius, code_trust_radius : float
        Distances of a row and of a code from the mean beyond which corrections fade:
        some times the largest ones.
    """

    encoder: Floats
    offset: Floats
    decoder: Floats
    row_trust_radius: float
    code_trust_radius: float


#: Rows as PCA sees them, and as they should come back; perhaps what of them counts.
Pair: TypeAlias = (
    tuple[torch.Tensor, torch.Tensor]
    | tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
)


class LinearLatent(Protocol):
    """What is asked of a latent: how it turns linear maps into its start."""

    def linear(
        self, encoder: np.ndarray, decoder: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...  # noqa: D102


class Step(Protocol):
    """What is asked of a batch: rows as they come in, and as they should come back."""

    @property
    def inputs(self) -> torch.Tensor: ...  # noqa: D102

    @property
    def x(self) -> torch.Tensor: ...  # noqa: D102

    @property
    def observed(self) -> torch.Tensor | None: ...  # noqa: D102


def components_for(share: float, batches: Batches, seed: int) -> int:
    """Return how many components PCA needs to explain more than a share of variance.

    Parameters
    ----------
    share : float in (0, 1)
    batches : Batches
    seed : int
        For the sample of large data.
    """
    some = sample(batches, seed)
    pca = PCA(share, svd_solver="full")
    return int(_fit(pca, some.x, some.weights).n_components_)


def sample(batches: Batches, seed: int) -> Sample:
    """Return a `Sample` of scaled rows: all, or some of very many."""
    return batches.sample(_SAMPLE_BYTES, np.random.default_rng(seed))


def principal_components(
    batches: Batches, some: Sample, n_components: int, seed: int
) -> PCA:
    """Fit PCA to scaled rows, with as many components as they allow.

    Parameters
    ----------
    batches : Batches
    some : Sample
        What `sample` made of them.
    n_components : int
    seed : int
        For PCA's solvers.

    Returns
    -------
    pca : PCA
    """
    x, weights = some.x, some.weights
    is_part = len(x) < batches.n_samples
    if is_part and issparse(batches.X) and weights is None:
        return _sparse_components(batches, n_components, seed)
    if x.size <= _EXACT_VALUES:
        x = x.astype(np.float64)
    return _fit(PCA(min(n_components, *x.shape), random_state=seed), x, weights)


def _fit(pca: PCA, x: Floats, weights: Floats | None) -> PCA:
    """Fit PCA to rows, which may have weights.

    Rows times the roots of their weights have the weighted covariance, if their mean is
    zero: so they are there a second time, mirrored.
    """
    mean = None
    if weights is not None:
        mean = np.average(x, axis=0, weights=weights).astype(x.dtype)
        x = (x - mean) * np.sqrt(weights)[:, None].astype(x.dtype)
        x = np.concatenate([x, -x])
    with np.errstate(invalid="ignore", divide="ignore"):  # data without any variance
        helper(pca).fit(x)
    if mean is not None:
        pca.mean_ = mean
    return pca


def weighted_components(
    x: Floats, weights: Floats | None, n_components: int, seed: int
) -> Floats:
    """Return the principal axes of rows with weights, (n_components, n_features)."""
    pca = PCA(min(n_components, *x.shape), random_state=seed)
    return _fit(pca, x, weights).components_


def _sparse_components(batches, n_components, seed):
    """Fit PCA to all rows of a sparse matrix, which is never made dense."""
    scaling = batches.scaling
    x = batches.X[batches.rows]
    if batches.feature_fraction < 1:
        x = x[:, batches.features]
    inplace_column_scale(x, 1 / scaling.scale)
    x = x.astype(np.float32)
    n_components = min(n_components, *x.shape)
    solver = "arpack" if n_components < min(x.shape) else "covariance_eigh"
    pca = helper(PCA(n_components, svd_solver=solver, random_state=seed)).fit(x)
    # It is asked about rows that are centred already.
    pca.mean_ = pca.mean_ - scaling.mean / scaling.scale
    return pca


def pca_errors(pca: PCA, pairs: Iterable[Pair]) -> Floats:
    """Squared error of PCA on each row, (n_samples,), in units of the scaled data.

    ``pairs`` of batches are the rows as PCA sees them, and as they should come back;
    with them may come which of their values count, the others having no error.
    """
    errors = []
    for inputs, x, *observed in pairs:
        found = pca.inverse_transform(pca.transform(inputs.cpu().numpy()))
        residual = x.cpu().numpy() - found
        for mask in observed:
            if mask is not None:
                residual *= mask.cpu().numpy()
        errors.append(np.square(residual, dtype=np.float64).mean(axis=1))
    return np.concatenate(errors)


def pca_losses(
    pca: PCA,
    steps: Iterable[Step],
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Floats:
    """Losses of PCA's reconstruction on each row, (n_samples,), as a network's are.

    ``steps`` are batches of rows as PCA sees them, and as they should come back.
    """
    losses = []
    for step in steps:
        x = pca.inverse_transform(pca.transform(step.inputs.cpu().numpy()))
        x = torch.from_numpy(x.astype(np.float32))
        target = step.x
        if step.observed is not None:
            target = torch.where(step.observed, target, x.to(target))
        losses.append(loss(x, target).double().cpu().numpy())
    return np.concatenate(losses)


def linear_start(
    maps: tuple[Floats, Floats],
    x: Floats,
    n_components: int,
    output_slope: Floats | float,
    latent: LinearLatent,
    outlier_factor: float,
    rng: np.random.Generator,
) -> LinearStart:
    """Return the start that reconstructs as PCA does, or as other linear maps do.

    Codes beyond the components that were found are random directions, which the
    decoder does not use until it has learnt to.

    Parameters
    ----------
    maps : pair of ndarray
        The encoder (n_found, n_features) and the decoder (n_features, n_found).
    x : ndarray of shape (n_samples, n_features)
        The rows they were fitted to.
    n_components : int
    output_slope : ndarray of shape (n_features,) or float
        What the link makes of a small step of the output, in units of the scaled data.
    latent : Point, Gaussian or Mixture
        Says what linear maps are best for it.
    outlier_factor : float
        So many times farther than the outermost row corrections fade.
    rng : numpy.random.Generator
    """
    n_found, n_features = maps[0].shape
    encoder = rng.normal(size=(n_components, n_features)) / np.sqrt(n_features)
    encoder[:n_found] = maps[0]
    decoder = np.zeros((n_features, n_components))
    decoder[:, :n_found] = maps[1]
    variance = _codes(x, encoder).var(axis=0, dtype=np.float64)
    encoder, decoder, offset = latent.linear(encoder, decoder, variance)
    decoder = (decoder.T / output_slope).T
    codes = _codes(x, encoder[:n_components])
    return LinearStart(
        encoder,
        offset,
        decoder,
        row_trust_radius=outlier_factor * float(row_norms(x).max()),
        code_trust_radius=outlier_factor * float(row_norms(codes).max()),
    )


def code_variance(x: Floats, encoder: Floats) -> Floats:
    """Variance of the linear codes, never far below the largest.

    Codes are held to the anchor's relative to it, and some may hardly vary.
    """
    variance = _codes(x, encoder).var(axis=0, dtype=np.float64)
    return np.maximum(variance, 1e-3 * variance.max() or 1.0)


def unexplained(x: Floats, encoder: Floats) -> float:
    """Share of the variance outside of the codes' directions, not quite zero.

    A tenth of the rows, the longest, count as if they were as long as the others: one
    row far out would be all of the variance.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features)
        Scaled rows.
    encoder : ndarray of shape (n_components, n_features)
    """
    axes, _ = np.linalg.qr(encoder.T)
    lengths = row_norms(x)
    weights = np.quantile(lengths, 0.9) / np.maximum(lengths, 1e-30)
    weights = np.minimum(weights, 1.0)
    total = np.square(weights * lengths).sum(dtype=np.float64) or 1.0
    inside = weights * row_norms(_codes(x, axes.T))
    return max(1e-3, 1 - np.square(inside).sum(dtype=np.float64) / total)


def _codes(x: Floats, encoder: Floats) -> Floats:
    return x @ encoder.T.astype(x.dtype)
