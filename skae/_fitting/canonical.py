"""Canonical form: codes centred, along their principal axes, with fixed signs.

If an encoder rotates its codes and the decoder undoes the rotation, the reconstruction
does not change. Among all these equivalent networks, this module chooses the one whose
codes have the properties of PCA's codes. Their mean is zero, they are uncorrelated, and
their variances do not increase. Each code correlates positively with the feature of its
largest loading.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch

from .._data.batches import Batches
from .._inference.code_transform import CodeTransform, shorten
from .._nn.autoencoder import AutoEncoder

__all__ = ["canonicalise", "canonicalise_signs", "centre", "radius_of"]

# Share of the rows whose codes are not shortened. Measured in docs/choices.md, "Codes
# far out".
_NEAR = 0.8


@torch.no_grad()
def canonicalise(
    network: AutoEncoder, tables: Sequence[Batches], radius: float
) -> CodeTransform:
    """Make the codes of ``network`` canonical in place, and keep its reconstructions.

    Parameters
    ----------
    network : AutoEncoder
        A network in evaluation mode.
    tables : list of Batches
        The rows whose codes become centred and uncorrelated.
    radius : float
        Length of codes from which on they are shortened.

    Returns
    -------
    code_transform : CodeTransform
        The last step of encoding, with the origin of the codes and the radius.
    """
    mean, covariance, loadings = _moments(network, radius, tables)
    _, axes = np.linalg.eigh(covariance)
    axes = axes.T[::-1]  # (n_components, n_components), largest variance first
    axes = _signs(axes @ loadings) * axes
    if not network.anchored:
        _centre(network, mean)
        mean = np.zeros_like(mean)
    _rotate(network, axes)
    return CodeTransform(axes @ mean, radius)


@torch.no_grad()
def canonicalise_signs(
    network: AutoEncoder, tables: Sequence[Batches]
) -> CodeTransform:
    """Fix only the signs of the codes, if they already have an order and an origin."""
    _, _, loadings = _moments(network, np.inf, tables)
    _rotate(network, _signs(loadings) * np.eye(network.n_components))
    return CodeTransform.of(network.n_components)


@torch.no_grad()
def radius_of(network: AutoEncoder, batches: Batches) -> float:
    """Return the length from which on codes are far out, from the codes of rows."""
    codes = (_encode(network, x) for x, _ in batches.in_order())
    lengths = torch.cat([torch.linalg.vector_norm(z, dim=1) for z in codes])
    return float(lengths.quantile(_NEAR)) or np.inf


def _moments(network, radius, tables):
    """Return mean and covariance of codes, and their covariance with the features."""
    count = sum(batches.n_samples * batches.mean_weight for batches in tables)
    n_features = tables[0].n_features
    nothing = torch.zeros((), dtype=torch.float64, device=tables[0].device)
    total = square = product = nothing
    for x, weights in chain.from_iterable(map(_with_weights, tables)):
        z = shorten(_encode(network, x), radius)
        w = z if weights is None else z * weights.to(z.dtype)
        product = product + (w.t() @ x.to(z.dtype)).double()
        total = total + w.double().sum(dim=0)
        square = square + w.t().double() @ z.double()
    mean = (total / count).cpu().numpy()
    covariance = square.cpu().numpy() / count - np.outer(mean, mean)
    basis = tables[0].basis
    if basis is not None:
        product = product.cpu() @ torch.from_numpy(basis.T).double()
        n_features = len(basis)
    # The features are centred already, up to rounding.
    return mean, covariance, product.cpu().numpy().reshape(-1, n_features) / count


def _with_weights(batches):
    """Yield rows with their weights, whose sum is the number of rows represented."""
    for part, (x, _) in zip(batches.parts(), batches.in_order(), strict=True):
        weights = batches.row_weights
        if weights is not None:
            weights = torch.from_numpy(weights[part, None] * batches.mean_weight)
        yield x, weights


@torch.no_grad()
def centre(network: AutoEncoder, tables: Sequence[Batches]) -> None:
    """Shift the codes of rows to mean zero, and let the decoder undo the shift."""
    mean, _, _ = _moments(network, np.inf, tables)
    _centre(network, mean)


def _encode(network, x):
    """Return the output of the encoder. A linear one may be more exact than rows."""
    if network.linear:
        x = x.to(network.encoder.linear.dtype)
    return network.encoder(x)


def _signs(loadings):
    """Return the sign of each code's largest loading, 1 or -1, (n_components, 1)."""
    largest = loadings[np.arange(len(loadings)), abs(loadings).argmax(axis=1)]
    return np.where(largest < 0, -1.0, 1.0)[:, None]


def _centre(network, mean):
    """Let the encoder return z - mean, and the decoder undo the shift."""
    last, first = network.layers[0][-1], network.layers[1][0]
    _set(last.bias, _get(last.bias) - mean)
    _set(first.bias, _get(first.bias) + _get(first.weight) @ mean)


def _rotate(network, axes):
    """Let the encoder return axes @ z, and the decoder undo the rotation."""
    encoder, decoder = network.encoder, network.decoder
    if network.anchored:
        _set(encoder.linear, axes @ _get(encoder.linear))
        _set(encoder.offset, axes @ _get(encoder.offset))
        _set(decoder.linear, _get(decoder.linear) @ axes.T)
    if network.linear:
        return
    last, first = network.layers[0][-1], network.layers[1][0]
    # Both products are computed first, because one weight may be the transpose of the
    # other.
    weights = axes @ _get(last.weight), _get(first.weight) @ axes.T
    _set(last.bias, axes @ _get(last.bias))
    _set(last.weight, weights[0])
    _set(first.weight, weights[1])


def _get(tensor):
    return tensor.detach().double().cpu().numpy()


def _set(tensor, values):
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
