"""Nested dropout: codes in the order of what they are worth.

Training leaves out the codes after a random one of each row, so that the first codes
have to do without the later ones (Rippel, Gelbart, Adams 2014).
"""

import numpy as np
import torch

__all__ = ["first_codes", "in_turn"]


def first_codes(
    x: torch.Tensor, n_components: int, rng: np.random.Generator
) -> torch.Tensor:
    """Draw, for each row of ``x``, which of its first codes are kept.

    Returns
    -------
    kept : Tensor of shape (batch, n_components)
        Ones and then zeros; how many ones, from 1 on, is uniform.
    """
    n_kept = torch.from_numpy(rng.integers(1, n_components + 1, size=(len(x), 1)))
    return (torch.arange(n_components) < n_kept).to(x)


def in_turn(x: torch.Tensor, n_components: int) -> torch.Tensor:
    """Return the same for one row after another: one is kept, then two, and so on."""
    n_kept = 1 + torch.arange(len(x))[:, None] % n_components
    return (torch.arange(n_components) < n_kept).to(x)
