"""Row versions: random variants of rows for training, made once and then reused."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["BatchGaps", "RowVersions"]

# Largest memory of all versions. With fewer versions than the second number, there is
# too little variation to learn from.
_MOST_BYTES = 2**27
_LEAST_VERSIONS = 4


#: Positions in a batch.
Places: TypeAlias = Tensor | slice


class RowVersions:
    """Versions of each row, which are made when they are first drawn, and then stored.

    Parameters
    ----------
    n_samples, n_features : int
        Shape of the rows.
    n_versions : int
        Number of versions of each row. Fewer if memory is short.
    device : torch.device
    """

    def __init__(
        self, n_samples: int, n_features: int, n_versions: int, device: torch.device
    ) -> None:
        fitting = _MOST_BYTES // (4 * n_samples * n_features)
        self.n_samples = n_samples
        self.n_versions = min(n_versions, fitting)
        if self.n_versions < min(n_versions, _LEAST_VERSIONS):
            self.n_versions = 0  # versions are made anew each time
        size = self.n_versions * n_samples
        self.values = torch.empty(size, n_features, dtype=torch.float32, device=device)
        self.is_made = torch.zeros(size, dtype=torch.bool, device=device)

    def draw(
        self, rows: Tensor, rng: np.random.Generator, make: Callable[[Places], Tensor]
    ) -> Tensor:
        """Return a random version of each of some rows.

        Parameters
        ----------
        rows : Tensor of int of shape (batch,)
            Indices of the rows. A row may occur more than once.
        rng : numpy.random.Generator
        make : callable
            Takes positions in ``rows``, (n,), and returns new versions of these rows,
            (n, n_features).
        """
        if not self.n_versions:
            return make(slice(None))
        version = torch.from_numpy(rng.integers(self.n_versions, size=len(rows)))
        places = version.to(rows.device) * self.n_samples + rows
        values = self.values[places]
        new = (~self.is_made[places]).nonzero()[:, 0]
        if len(new):
            values[new] = made = make(new)
            self.values[places[new]] = made
            self.is_made[places[new]] = True
        return values


class BatchGaps:
    """The gaps of a batch, and versions of its rows with more gaps.

    Parameters
    ----------
    observed : Tensor of bool of shape (batch, n_features)
        Which values were observed. The others fill gaps.
    rows : Tensor of int of shape (batch,)
        Indices of the rows.
    versions : RowVersions
    """

    def __init__(self, observed: Tensor, rows: Tensor, versions: RowVersions) -> None:
        self.observed = observed
        self.rows = rows
        self.versions = versions
