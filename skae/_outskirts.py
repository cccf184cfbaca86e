"""Outskirts: rows moved outward, for a network to learn what to do far from its data.

A network that has only seen rows like the training rows may answer anything for others:
the bend of the codes and the decoder's correction, which cancel inside, go separate
ways. So a part of each batch is moved along its rays from the mean, or has a feature
that breaks out, as a sentinel or a wrong unit does in real tables, and has to be
reconstructed as well as where it came from, in proportion.
"""

import numpy as np
import torch

__all__ = ["spike", "stretch"]

# Part of the rows that are moved, and of these the part that breaks out in a feature.
_PART = 1 / 16
_SPIKED = 1 / 4


def stretch(x, radius, rng):
    """Draw factors, (n_moved, 1), of which the largest bring rows to the ``radius``.

    Their logarithms are uniform: each distance on the way counts alike.

    Parameters
    ----------
    x : Tensor of shape (batch, n_features)
        Its first rows are meant, a sixteenth of them on average and never all.
    radius : float
    rng : numpy.random.Generator
    """
    n_rows = x.shape[0]
    n_moved = min(int(_PART * n_rows + rng.random()), n_rows - 1)
    distance = torch.linalg.vector_norm(x[:n_moved], dim=1, keepdim=True)
    exponent = torch.from_numpy(rng.random((n_moved, 1), dtype="float32"))
    farthest = (radius / distance.clamp(min=1e-6)).clamp(min=1.0)
    return farthest ** exponent.to(x.device)


def spike(x, factors, features, rng):
    """Draw what breaks out of the first of the rows that `stretch` drew factors for.

    Returns
    -------
    spikes : Tensor of shape (n_spiked, n_features)
        To be added to the rows, in one feature each, that they be as far from the mean
        as their factors say. A quarter of the moved rows, on average.
    """
    n_spiked = int(_SPIKED * len(factors) + rng.random())
    factors, x = factors[:n_spiked], x[:n_spiked]
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    height = length * (factors.square() - 1).clamp_(min=0).sqrt_()
    sign = torch.from_numpy(2 * rng.integers(2, size=(n_spiked, 1), dtype=np.int8) - 1)
    feature = torch.from_numpy(rng.choice(features, (n_spiked, 1)))
    height *= sign.to(x.device)
    return torch.zeros_like(x).scatter_(1, feature.to(x.device), height)
