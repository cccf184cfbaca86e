"""Random gaps: entries that are hidden while training, besides those that are missing.

A network that meets gaps filled by a linear method learns to answer for them if some of
its targets were hidden: what was observed there is known, and has to come back.
"""

import numpy as np
import torch

from .._data.row_versions import BatchGaps, Places
from .._linear.ppca import PPCA
from .._typing import Bools

__all__ = ["RandomGaps"]

# Part of the observed entries that are hidden at random; and part of the rows that get
# the gaps of another row instead, if it has some: gaps may come in blocks.
_SHARE = 0.2
_LIKE_OTHERS = 0.5


class RandomGaps:
    """Hides entries of rows, and fills them like those that are missing.

    Parameters
    ----------
    ppca : PPCA
        Of scaled rows.
    """

    def __init__(self, ppca: PPCA) -> None:
        self.ppca = ppca

    def hide(
        self, x: torch.Tensor, gaps: BatchGaps, rng: np.random.Generator
    ) -> torch.Tensor:
        """Return rows as they would be with more gaps, all of them filled.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Rows whose gaps are filled.
        gaps : BatchGaps
        rng : numpy.random.Generator

        Returns
        -------
        inputs : Tensor of shape (batch, n_features)
        """

        def make(places: Places) -> torch.Tensor:
            hidden = self.draw(gaps.observed[places].cpu().numpy(), rng)
            filled = self.ppca.fill(x[places].cpu().numpy(), hidden)
            return torch.from_numpy(filled).to(x.device)

        return gaps.versions.draw(gaps.rows, rng, make)

    @staticmethod
    def draw(observed: Bools, rng: np.random.Generator) -> Bools:
        """Return which entries are missing with those that are hidden."""
        missing = ~observed
        hidden = rng.random(observed.shape, dtype="float32") < _SHARE
        of_another = missing[rng.permutation(len(missing))]
        like_it = of_another.any(axis=1) & (rng.random(len(missing)) < _LIKE_OTHERS)
        return missing | np.where(like_it[:, None], of_another, hidden)
