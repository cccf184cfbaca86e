"""Row versions: rows as they are met in training, made once and met again and again."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["BatchGaps", "RowVersions"]

# Versions take so much memory, at most; fewer than these are too few to learn from.
_MOST_BYTES = 2**27
_LEAST_VERSIONS = 4


#: Places in a batch.
Places: TypeAlias = Tensor | slice


class RowVersions:
    """Some versions of each row, made when they are first drawn, and kept.

    Parameters
    ----------
    n_samples, n_features : int
        Of the rows.
    n_versions : int
        Of each row; fewer where memory is short.
    device : torch.device
    """

    def __init__(
        self, n_samples: int, n_features: int, n_versions: int, device: torch.device
    ) -> None:
        fitting = _MOST_BYTES // (4 * n_samples * n_features)
        self.n_samples = n_samples
        self.n_versions = min(n_versions, fitting)
        if self.n_versions < min(n_versions, _LEAST_VERSIONS):
            self.n_versions = 0  # all are made anew, each time
        size = self.n_versions * n_samples
        self.values = torch.empty(size, n_features, dtype=torch.float32, device=device)
        self.is_made = torch.zeros(size, dtype=torch.bool, device=device)

    def draw(
        self, rows: Tensor, rng: np.random.Generator, make: Callable[[Places], Tensor]
    ) -> Tensor:
        """Return a version of each of some rows, drawn at random.

        Parameters
        ----------
        rows : Tensor of int of shape (batch,)
            Their numbers; one may occur more than once.
        rng : numpy.random.Generator
        make : callable
            Of places in ``rows``, (n,): returns versions of them, (n, n_features).
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
    """The gaps of a batch, and the versions of its rows with more of them.

    Parameters
    ----------
    observed : Tensor of bool of shape (batch, n_features)
        The other values fill gaps.
    rows : Tensor of int of shape (batch,)
        Numbers of the rows.
    versions : RowVersions
    """

    def __init__(self, observed: Tensor, rows: Tensor, versions: RowVersions) -> None:
        self.observed = observed
        self.rows = rows
        self.versions = versions
