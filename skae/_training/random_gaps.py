"""Random gaps: observed entries that are hidden in training, as if missing.

Gaps are filled by a linear method before rows are encoded. To learn better values for
gaps, the network must see gaps whose true values are known. So observed entries are
hidden, and the network has to reconstruct them.
"""

import numpy as np
import torch

from .._data.row_versions import BatchGaps, Places
from .._linear.ppca import PPCA
from .._typing import Bools

__all__ = ["RandomGaps"]

# Share of the observed entries that are hidden at random, and share of the rows that
# get the gaps of another row instead, if it has any, because gaps may come in blocks.
_SHARE = 0.2
_LIKE_OTHERS = 0.5


class RandomGaps:
    """Hides entries of rows, and fills them in the same way as missing entries.

    Parameters
    ----------
    ppca : PPCA
        The linear method that fills gaps, fitted to scaled rows.
    """

    def __init__(self, ppca: PPCA) -> None:
        self.ppca = ppca

    def hide(
        self, x: torch.Tensor, gaps: BatchGaps, rng: np.random.Generator
    ) -> torch.Tensor:
        """Hide more entries of rows, and return the rows with all gaps filled.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
            Rows whose own gaps are already filled.
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
        """Return a mask of the entries that are missing or hidden."""
        missing = ~observed
        hidden = rng.random(observed.shape, dtype="float32") < _SHARE
        of_another = missing[rng.permutation(len(missing))]
        like_it = of_another.any(axis=1) & (rng.random(len(missing)) < _LIKE_OTHERS)
        return missing | np.where(like_it[:, None], of_another, hidden)
