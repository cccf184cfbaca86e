"""Trust radius: the distance from the mean up to which a network is used.

Far from its data a network has not learnt what to do. There its nonlinear part fades,
and PCA is used instead. If necessary, it fades from the distance of the farthest
training row on. Measured in docs/choices.md, "Far rows".
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .._data.batches import Batches
from .._nn.autoencoder import AutoEncoder

__all__ = ["blend_into_pca", "choose_trust_radius", "shrink_trust_radius"]

# Rows are tested at these multiples of their length. An error there is too large if it
# is more than this multiple of PCA's. See docs/choices.md, "Far rows".
_TRIED = (3.0, 10.0, 100.0)
_TOLERATED_ERROR = 1.2
# Plain networks are used up to this multiple of the distance of the farthest outlier
# that they have learnt from, because they are linear in each direction there. Linear
# codes are made longer than the network's codes by the second factor, so that the
# decoder soon recognises them as far. Measured in docs/choices.md, "Far rows".
_PLAIN_FACTOR = 10.0
_LONGER = 4.0
# Relative increase of an error that rounding alone may cause.
_ROUNDING = 1e-6


@torch.no_grad()
def shrink_trust_radius(
    network: AutoEncoder,
    batches: Batches,
    learnt: Batches,
    pca_error: float,
    outlier_factor: float,
) -> None:
    """Let corrections fade at a smaller distance, if they are bad far from the data.

    At first the corrections fade beyond ``outlier_factor`` times the largest norm of
    training rows, and of their codes. If the reconstruction of far rows is bad, they
    fade beyond the largest norm itself. That norm may come from a broken value. If so,
    they fade beyond the largest norm of validation rows. A radius is not used if it
    increases the error of validation rows as they are.

    Parameters
    ----------
    network : AutoEncoder
        An anchored network in evaluation mode. Its radii are ``outlier_factor`` times
        the largest norm of rows and of PCA's codes.
    batches : Batches
        Validation rows, which are tested as they are and scaled away from the mean.
    learnt : Batches
        Training rows, all or many of them.
    pca_error : float
        PCA's mean squared error on the validation rows as they are.
    outlier_factor : float
    """
    radii = _radii(network)
    row, code = _largest_norms(network, learnt)
    row = torch.maximum(row, radii[0] / outlier_factor)  # of all rows
    _set(radii, (row * outlier_factor, torch.maximum(code * outlier_factor, radii[1])))
    _choose_nearer(network, batches, [(row, code)], _TOLERATED_ERROR * pca_error)


@torch.no_grad()
def blend_into_pca(
    network: AutoEncoder,
    linear: AutoEncoder,
    batches: Batches,
    learnt: Batches,
    pca_error: float,
    outlier_factor: float,
) -> None:
    """Let PCA's linear maps replace a plain network far from the rows.

    Parameters
    ----------
    network : AutoEncoder
        A plain network in evaluation mode, whose codes have mean zero.
    linear : AutoEncoder
        PCA, whose codes are rotated and scaled to match the network's.
    batches, learnt, pca_error, outlier_factor
        See `shrink_trust_radius`.
    """
    encoder, decoder = _aligned(network, linear, learnt, outlier_factor)
    network.fade()
    network.to(encoder.device).eval()
    for part, linear_map in zip(network.anchors, (encoder, decoder), strict=True):
        part.linear.copy_(linear_map)
    choose_trust_radius(network, batches, learnt, pca_error, outlier_factor)


@torch.no_grad()
def choose_trust_radius(
    network: AutoEncoder,
    batches: Batches,
    learnt: Batches,
    pca_error: float,
    outlier_factor: float,
) -> None:
    """Choose the radii of a network that PCA replaces far from the rows.

    For parameters see `shrink_trust_radius`. The codes of such a network need not grow
    in proportion to the rows. So the radius of its decoder is the longest code of rows
    that were scaled away from the mean.
    """
    radii = _radii(network)
    _set(radii, (torch.inf, torch.inf))
    factors = _PLAIN_FACTOR * outlier_factor, outlier_factor, 1.0
    farthest, *nearer = [_largest_norms(network, learnt, factor) for factor in factors]
    _set(radii, farthest)
    _choose_nearer(network, batches, nearer, _TOLERATED_ERROR * pca_error)


def _aligned(
    network: AutoEncoder, linear: AutoEncoder, batches: Batches, outlier_factor: float
) -> tuple[Tensor, Tensor]:
    """Return PCA's maps, with codes in the network's directions, but longer.

    An orthogonal matrix (Procrustes) and one scale bring PCA's codes of far rows as
    near to the network's codes as possible. Then they are made ``_LONGER`` times as
    long. The reconstructions stay PCA's.
    """
    into_codes, back = (part.linear.double() for part in linear.anchors)
    cross, own, others = (back.new_zeros(()) for _ in range(3))
    for x in (outlier_factor * x for x, _ in batches.in_order()):
        z = network.encode(x).double()
        of_pca = x.double() @ into_codes.t()
        cross = cross + z.t() @ of_pca
        own, others = own + z.square().sum(), others + of_pca.square().sum()
    left, _, right = torch.linalg.svd(cross)
    rotation = left @ right
    scale = _LONGER * (own / others).sqrt()
    if not (torch.isfinite(scale) and scale > 0):
        scale = torch.ones_like(scale)
    encoder = scale * (rotation @ into_codes)
    decoder = back @ rotation.t() / scale
    return encoder.float(), decoder.float()


def _choose_nearer(network, batches, nearer, bound):
    """Choose radii by the error of far rows, without harm to rows that are not far.

    The present radii are kept if the error of far rows is within the bound. Otherwise
    smaller radii are tried, one pair after another.
    """
    radii = _radii(network)
    monitored = _largest_norms(network, batches)
    both = [torch.maximum(*pair) for pair in zip(nearer[-1], monitored, strict=True)]
    chosen = [radius.clone() for radius in radii]
    in_place = _error(network, batches)
    error = _far_error(network, batches)
    for candidate in (*nearer, monitored, both):
        if error <= bound:
            break
        _set(radii, candidate)
        nearer = _far_error(network, batches)
        if nearer < error and _error(network, batches) <= in_place * (1 + _ROUNDING):
            chosen, error = candidate, nearer
    _set(radii, chosen)


def _radii(network: AutoEncoder) -> tuple[Tensor, Tensor]:
    encoder, decoder = network.anchors
    return encoder.trust_radius, decoder.trust_radius


def _set(radii: Sequence[Tensor], values: Iterable[Tensor | float]) -> None:
    for radius, value in zip(radii, values, strict=True):
        radius.fill_(value)


def _largest_norms(
    network: AutoEncoder, batches: Batches, factor: float = 1.0
) -> Tensor:
    """Return the largest norms of rows, scaled by a factor, and of their codes."""
    moved = (factor * x for x, _ in batches.in_order())
    lengths = [
        torch.stack([torch.linalg.vector_norm(v, dim=1).max() for v in (x, z)])
        for x, z in ((x, network.encode(x)) for x in moved)
    ]
    return torch.stack(lengths).amax(dim=0)


def _far_error(network: AutoEncoder, batches: Batches) -> float:
    """Return the largest error of rows that are scaled by the factors to test."""
    return max(_error(network, batches, factor) for factor in _TRIED)


def _error(network: AutoEncoder, batches: Batches, factor: float = 1.0) -> float:
    """Return the mean squared error of scaled rows, over factor squared. Never NaN."""
    total = 0.0
    for x, _ in batches.in_order():
        moved = factor * x
        residual = (network(moved) - moved).div_(factor)
        total += residual.square().sum(dtype=torch.float64).item()
    error = total / (batches.n_samples * batches.n_features)
    return error if np.isfinite(error) else np.inf
