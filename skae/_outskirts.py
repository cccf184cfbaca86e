"""Outskirts: rows moved outward, for a network to learn what to do far from its data.

A network that has only seen rows like the training rows may answer anything for others:
the bend of the codes and the decoder's correction, which cancel inside, go separate
ways. So a part of each batch is moved along its rays from the mean, and has to be
reconstructed as well as where it came from, in proportion.
"""

import torch

__all__ = ["stretch"]

# Part of the rows that are moved.
_PART = 1 / 16


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
