"""A batch: rows, what is known of them, and how a step meets them this time."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

__all__ = ["Batch", "weighted"]

_TENSORS = "x", "targets", "inputs", "weights", "observed", "factors", "code_mask"
_NO_FACTORS = torch.ones(0, 1, dtype=torch.float32, device="cpu")


@dataclass
class Batch:
    """Rows with their targets and weights, and how they are met this time.

    Outliers are the first rows, so that what is done to them alone touches a slice.

    Attributes
    ----------
    x : Tensor of shape (batch, n_features)
        Rows that the reconstruction is compared with.
    targets : Tensor of shape (batch, width)
        What the codes have to tell, NaN where it is unknown.
    inputs : Tensor of shape (batch, n_features)
        What is encoded instead of ``x``.
    rng : numpy.random.Generator or None
        For what has to be drawn on the way.
    weights : Tensor of shape (batch, 1) or None
        Sample weights, one on average over all rows; None where all are one.
    observed : Tensor of bool of shape (batch, n_features) or None
        Which values of ``x`` are compared with: the others fill gaps. None where there
        are no gaps.
    factors : Tensor of shape (n_outliers, 1)
        By which the first rows were moved outward. They have a part in the gradient,
        and none in the loss that is returned, nor in the costs of codes.
    code_mask : Tensor of shape (batch, n_components) or None
        What codes are multiplied by.
    """

    x: torch.Tensor
    targets: torch.Tensor
    inputs: torch.Tensor
    rng: np.random.Generator | None = None
    weights: torch.Tensor | None = None
    observed: torch.Tensor | None = None
    factors: torch.Tensor = _NO_FACTORS
    code_mask: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.n_outliers = self.factors.shape[0]
        self.n_inliers = self.x.shape[0] - self.n_outliers
        self.inliers = slice(self.n_outliers, None)

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, rows: slice) -> Self:
        """Return a slice of its rows as a batch, outliers first as here."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        return replace(
            self, **{n: t[rows] for n, t in tensors.items() if t is not None}
        )

    def mean(self, losses: torch.Tensor) -> torch.Tensor:
        """Mean of losses (batch,), weighted, without the outliers."""
        return weighted(losses, self.weights)[self.inliers].mean()

    def for_head(
        self, codes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return the codes, targets and weights of the inliers: outliers have none."""
        weights = None if self.weights is None else self.weights[self.inliers]
        return codes[self.inliers], self.targets[self.inliers], weights

    def divide_outliers(self, values: torch.Tensor, power: int = 1) -> torch.Tensor:
        """Divide the rows of outliers by their factors, in place."""
        if self.n_outliers:
            factors = self.factors if power == 1 else self.factors.square()
            values[: self.n_outliers].div_(factors)
        return values

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return its tensors by name, without those that are empty or shared."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        if self.inputs.data_ptr() == self.x.data_ptr():
            del tensors["inputs"]
        return {n: t for n, t in tensors.items() if t is not None and t.numel()}


def weighted(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return losses of rows, (batch,), times their weights (batch, 1), if any."""
    return losses if weights is None else losses * weights[:, 0]
