"""Nested dropout: codes ordered by importance.

For each row a random number of first codes is drawn, and training sets the later ones
to zero. So the first codes have to work without the later ones (Rippel, Gelbart, Adams
2014).
"""

import numpy as np
import torch

__all__ = ["cycled_code_mask", "first_codes"]


def first_codes(
    x: torch.Tensor, n_components: int, rng: np.random.Generator
) -> torch.Tensor:
    """Draw for each row of ``x`` how many of its first codes are used.

    Returns
    -------
    kept : Tensor of shape (batch, n_components)
        Ones for the codes that are used, then zeros. The number of ones is uniform
        between 1 and ``n_components``.
    """
    n_kept = torch.from_numpy(rng.integers(1, n_components + 1, size=(len(x), 1)))
    return (torch.arange(n_components) < n_kept).to(x)


def cycled_code_mask(x: torch.Tensor, n_components: int) -> torch.Tensor:
    """Return a mask like `first_codes`, with one code for the first row, then two.

    After a row with ``n_components`` codes, the next row has one code again.
    """
    n_kept = 1 + torch.arange(len(x))[:, None] % n_components
    return (torch.arange(n_components) < n_kept).to(x)
