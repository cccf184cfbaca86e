"""Principal component analysis: the initialisation of networks, and the baseline."""

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

# If arrays are streamed, PCA is fitted to a random sample of this size. Measured in
# docs/choices.md, "Data that are streamed".
_SAMPLE_BYTES = 2**25

# Up to this number of values, PCA is computed in float64. In float32, one very far row
# can turn the other axes into noise. Measured in docs/choices.md, "Far rows".
_EXACT_VALUES = 4_000_000


@dataclass(frozen=True)
class LinearStart:
    """The linear autoencoder that a network is anchored to.

    Attributes
    ----------
    encoder : ndarray of shape (n_outputs, n_features)
    offset : ndarray of shape (n_outputs,)
        Constant term of the encoder.
    decoder : ndarray of shape (n_features, n_components)
    row_trust_radius, code_trust_radius : float
        Distances of a row and of a code from the mean beyond which corrections fade:
        multiples of the largest distances in the training data.
    """

    encoder: Floats
    offset: Floats
    decoder: Floats
    row_trust_radius: float
    code_trust_radius: float


#: Rows as given to PCA, rows to compare with, and optionally which values count.
Pair: TypeAlias = (
    tuple[torch.Tensor, torch.Tensor]
    | tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]
)


class LinearLatent(Protocol):
    """The method of a latent that turns linear maps into an initialisation."""

    def linear(
        self, encoder: np.ndarray, decoder: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...  # noqa: D102


class Step(Protocol):
    """The attributes of a batch that `pca_losses` needs."""

    @property
    def inputs(self) -> torch.Tensor: ...  # noqa: D102

    @property
    def x(self) -> torch.Tensor: ...  # noqa: D102

    @property
    def observed(self) -> torch.Tensor | None: ...  # noqa: D102


def components_for(share: float, batches: Batches, seed: int) -> int:
    """Return how many components of PCA explain more than a share of the variance.

    Parameters
    ----------
    share : float in (0, 1)
    batches : Batches
    seed : int
        Seed of the random sample of large data.
    """
    some = sample(batches, seed)
    pca = PCA(share, svd_solver="full")
    return int(_fit(pca, some.x, some.weights).n_components_)


def sample(batches: Batches, seed: int) -> Sample:
    """Return a `Sample` of scaled rows: all, or some if there are very many."""
    return batches.sample(_SAMPLE_BYTES, np.random.default_rng(seed))


def principal_components(
    batches: Batches, some: Sample, n_components: int, seed: int
) -> PCA:
    """Fit PCA to scaled rows, with ``n_components`` or as many as possible.

    Parameters
    ----------
    batches : Batches
    some : Sample
        Sample of the rows; see `sample`.
    n_components : int
    seed : int
        Seed of PCA's solvers.

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

    Centred rows times the square roots of their weights have the weighted covariance,
    if their mean is zero. To make it zero, the negatives of the rows are added.
    """
    mean = None
    if weights is not None:
        mean = np.average(x, axis=0, weights=weights).astype(x.dtype)
        x = (x - mean) * np.sqrt(weights)[:, None].astype(x.dtype)
        x = np.concatenate([x, -x])
    with np.errstate(invalid="ignore", divide="ignore"):  # rows may have no variance
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
    """Fit PCA to all rows of a sparse matrix, without making it dense."""
    scaling = batches.scaling
    x = batches.X[batches.rows]
    if batches.feature_fraction < 1:
        x = x[:, batches.features]
    inplace_column_scale(x, 1 / scaling.scale)
    x = x.astype(np.float32)
    n_components = min(n_components, *x.shape)
    solver = "arpack" if n_components < min(x.shape) else "covariance_eigh"
    pca = helper(PCA(n_components, svd_solver=solver, random_state=seed)).fit(x)
    # Later PCA gets rows that are already centred.
    pca.mean_ = pca.mean_ - scaling.mean / scaling.scale
    return pca


def pca_errors(pca: PCA, pairs: Iterable[Pair]) -> Floats:
    """Return PCA's squared error on each row, (n_samples,), in units of scaled data.

    Each of the ``pairs`` has a batch of rows as given to PCA and the rows to compare
    with. A third element may be a mask of the values that count. The others have no
    error.
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
    """Return the losses of PCA's reconstructions of rows, (n_samples,).

    ``steps`` are batches, with ``inputs`` for PCA and rows ``x`` to compare with.
    ``loss`` compares reconstructions with rows, as for a network.
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
    """Return an initialisation that reconstructs as PCA or other linear maps do.

    If fewer components were found than ``n_components``, the other codes are random
    directions. At first the decoder ignores them.

    Parameters
    ----------
    maps : pair of ndarray
        The encoder (n_found, n_features) and the decoder (n_features, n_found).
    x : ndarray of shape (n_samples, n_features)
        The rows that the maps were fitted to.
    n_components : int
    output_slope : ndarray of shape (n_features,) or float
        Derivative of the link at the initial output, in units of the scaled data.
    latent : Point, Gaussian or Mixture
        The latent, which adapts the linear maps to its needs.
    outlier_factor : float
        Corrections fade beyond this multiple of the largest norm of rows and of codes.
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
    """Return the variances of the linear codes, with a lower bound.

    The pull to PCA divides by these variances, and some codes may hardly vary. So no
    variance is below a thousandth of the largest.
    """
    variance = _codes(x, encoder).var(axis=0, dtype=np.float64)
    return np.maximum(variance, 1e-3 * variance.max() or 1.0)


def unexplained(x: Floats, encoder: Floats) -> float:
    """Return the share of variance outside of the codes' directions, at least .001.

    The longest tenth of the rows counts as if shortened to the 90 % quantile of the
    lengths. Otherwise a single far row could be nearly all of the variance. Measured in
    docs/choices.md, "Codes: error against usefulness".

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
