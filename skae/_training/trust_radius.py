"""Trust radius: how far from the data a network is to be trusted.

Where a network has not learnt what to do far from its data, its nonlinear part fades,
from the outermost row on if need be, and PCA answers beyond.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from .._data.batches import Batches
from .._nn.autoencoder import AutoEncoder

__all__ = ["blend_into_pca", "choose_trust_radius", "shrink_trust_radius"]

# Factors at which rows are tried, and the error there, over PCA's, that is too much.
_TRIED = (3.0, 10.0, 100.0)
_TOLERATED_ERROR = 1.2
# Plain networks give way from so many times farther on than they have learnt: they are
# linear in each direction there. And linear codes are so many times as long as theirs,
# so that they are soon beyond those that the network decodes.
_PLAIN_FACTOR = 10.0
_LONGER = 4.0
# Part by which rounding alone may raise an error.
_ROUNDING = 1e-6


@torch.no_grad()
def shrink_trust_radius(
    network: AutoEncoder,
    batches: Batches,
    learnt: Batches,
    pca_error: float,
    outlier_factor: float,
) -> None:
    """Let corrections fade earlier, if they are no good far from the data.

    They begin to at ``outlier_factor`` times the outermost row that was learnt from and
    the longest of the network's own codes of such rows. If far rows come back badly,
    they do so from the outermost itself on, or, since that may be broken, from the
    outermost of the rows that are watched. Never where it makes these worse in their
    place.

    Parameters
    ----------
    network : AutoEncoder
        Anchored, and in evaluation mode; its radii are ``outlier_factor`` times the
        outermost row and PCA's longest code.
    batches : Batches
        Rows to watch, where they are and moved outward.
    learnt : Batches
        Rows that were learnt from, all or many of them.
    pca_error : float
        PCA's mean squared error on the watched rows, where they are.
    outlier_factor : float
    """
    radii = _radii(network)
    row, code = _outermost(network, learnt)
    row = torch.maximum(row, radii[0] / outlier_factor)  # of them all
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
    """Let a plain network give way to linear maps far from the rows.

    Parameters
    ----------
    network : AutoEncoder
        Plain, in evaluation mode; its codes have the mean zero.
    linear : AutoEncoder
        PCA, whose codes are turned and scaled to go with the network's.
    batches, learnt, pca_error, reach
        As for `shrink_trust_radius`.
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
    """Choose the radii of a network that gives way, as for `shrink_trust_radius`.

    Its codes need not grow in proportion: the radius of its decoder is the longest code
    of the rows moved outward.
    """
    radii = _radii(network)
    _set(radii, (torch.inf, torch.inf))
    factors = _PLAIN_FACTOR * outlier_factor, outlier_factor, 1.0
    farthest, *nearer = [_outermost(network, learnt, factor) for factor in factors]
    _set(radii, farthest)
    _choose_nearer(network, batches, nearer, _TOLERATED_ERROR * pca_error)


def _aligned(
    network: AutoEncoder, linear: AutoEncoder, batches: Batches, outlier_factor: float
) -> tuple[Tensor, Tensor]:
    """Return linear maps whose codes go the network's way, but farther.

    They are as near as can be to those of rows moved outward, by an orthogonal matrix
    (Procrustes) and one scale: there and back they are PCA.
    """
    into_codes, back = (part.linear.double() for part in linear.anchors)
    cross, own, others = (back.new_zeros(()) for _ in range(3))
    for x in (outlier_factor * x for x, _ in batches.in_order()):
        z = network.encode(x).double()
        of_pca = x.double() @ into_codes.t()
        cross = cross + z.t() @ of_pca
        own, others = own + z.square().sum(), others + of_pca.square().sum()
    left, _, right = torch.linalg.svd(cross)
    turn = left @ right
    scale = _LONGER * (own / others).sqrt()
    if not (torch.isfinite(scale) and scale > 0):
        scale = torch.ones_like(scale)
    encoder = scale * (turn @ into_codes)
    decoder = back @ turn.t() / scale
    return encoder.float(), decoder.float()


def _choose_nearer(network, batches, nearer, bound):
    """Set the radii that are best for far rows, and none for these where they are.

    Those that are there stay if their error far away is within the bound; then the
    first of the nearer ones is tried, and so on.
    """
    radii = _radii(network)
    monitored = _outermost(network, batches)
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


def _outermost(network: AutoEncoder, batches: Batches, factor: float = 1.0) -> Tensor:
    """Largest lengths of rows times a factor, and of their codes."""
    moved = (factor * x for x, _ in batches.in_order())
    lengths = [
        torch.stack([torch.linalg.vector_norm(v, dim=1).max() for v in (x, z)])
        for x, z in ((x, network.encode(x)) for x in moved)
    ]
    return torch.stack(lengths).amax(dim=0)


def _far_error(network: AutoEncoder, batches: Batches) -> float:
    """Mean squared error of rows moved outward, in proportion, where it is worst."""
    return max(_error(network, batches, factor) for factor in _TRIED)


def _error(network: AutoEncoder, batches: Batches, factor: float = 1.0) -> float:
    """Mean squared error of rows times a factor, in proportion; never NaN."""
    total = 0.0
    for x, _ in batches.in_order():
        moved = factor * x
        residual = (network(moved) - moved).div_(factor)
        total += residual.square().sum(dtype=torch.float64).item()
    error = total / (batches.n_samples * batches.n_features)
    return error if np.isfinite(error) else np.inf
