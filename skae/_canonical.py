"""Canonical form: codes centred, along their principal axes, with fixed signs.

An autoencoder is free to turn its codes as it likes, as long as the decoder knows. Of
all these networks, which reconstruct alike, this picks the one whose codes read like
PCA's: their mean is zero, they are uncorrelated, their variances do not increase, and
the feature that a code goes with most goes up with it.
"""

import numpy as np
import torch

__all__ = ["canonicalise"]


@torch.no_grad()
def canonicalise(network, batches, ordered=False):
    """Turn the codes of ``network`` in place; its reconstructions stay the same.

    Parameters
    ----------
    network : AutoEncoder
        In evaluation mode.
    batches : Batches
        The rows whose codes are centred and uncorrelated in the end.
    ordered : bool
        Whether the codes have an order and an origin of their own: then only their
        signs are changed.
    """
    mean, covariance, loadings = _moments(network.encoder, batches)
    if ordered:
        mean, axes = np.zeros_like(mean), np.eye(len(mean))
    else:
        _, axes = np.linalg.eigh(covariance)
        axes = axes.T[::-1]  # (n_components, n_components), largest variance first
    loadings = axes @ loadings
    largest = loadings[np.arange(len(axes)), abs(loadings).argmax(axis=1)]
    axes = axes * np.where(largest < 0, -1.0, 1.0)[:, None]
    _turn(network, mean, axes)


def _moments(encoder, batches):
    """Mean and covariance of the codes, and their covariance with the features."""
    count, n_features = batches.n_rows, batches.n_features
    total = square = product = 0.0
    for x, _ in batches.in_order():
        z = encoder(x)
        product = product + (z.t() @ x).double()  # for signs, float32 is enough
        z = z.double()
        total = total + z.sum(dim=0)
        square = square + z.t() @ z
    mean = (total / count).cpu().numpy()
    covariance = square.cpu().numpy() / count - np.outer(mean, mean)
    # The features are centred already, up to rounding.
    return mean, covariance, product.cpu().numpy().reshape(-1, n_features) / count


def _turn(network, mean, axes):
    """Let the encoder make axes @ (z - mean), and the decoder undo it."""
    encoder, decoder = network.encoder, network.decoder
    last, first = network.layers[0][-1], network.layers[1][0]
    # Both before either is set: they may be one weight and its transpose.
    weights = axes @ _get(last.weight), _get(first.weight) @ axes.T
    if network.anchored:
        _set(encoder.linear, axes @ _get(encoder.linear))
        _set(encoder.offset, axes @ (_get(encoder.offset) - mean))
        _set(decoder.linear, _get(decoder.linear) @ axes.T)
        _set(decoder.centre, axes @ (_get(decoder.centre) - mean))
        _set(last.bias, axes @ _get(last.bias))
    else:
        _set(first.bias, _get(first.bias) + _get(first.weight) @ mean)
        _set(last.bias, axes @ (_get(last.bias) - mean))
    _set(last.weight, weights[0])
    _set(first.weight, weights[1])


def _get(tensor):
    return tensor.detach().double().cpu().numpy()


def _set(tensor, values):
    tensor.copy_(torch.from_numpy(np.ascontiguousarray(values)))
