"""A batch: rows, their targets and weights, and the random draws of one step."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

__all__ = ["Batch", "weighted"]

_TENSORS = "x", "targets", "inputs", "weights", "observed", "factors", "code_mask"
_NO_FACTORS = torch.ones(0, 1, dtype=torch.float32, device="cpu")


@dataclass
class Batch:
    """Rows with their targets and weights, and what was drawn for this step.

    Outliers are the first rows, so that operations on them alone need only a slice.

    Attributes
    ----------
    x : Tensor of shape (batch, n_features)
        Rows that the reconstruction is compared with.
    targets : Tensor of shape (batch, width)
        Targets that the head predicts from the codes. NaN if unknown.
    inputs : Tensor of shape (batch, n_features)
        Rows that are encoded: ``x`` after corruption and other changes.
    rng : numpy.random.Generator or None
        Source of random numbers within the step.
    weights : Tensor of shape (batch, 1) or None
        Sample weights, whose mean over all rows is 1. None if all are 1.
    observed : Tensor of bool of shape (batch, n_features) or None
        Which values of ``x`` were observed. The loss ignores the others, which are
        filled gaps. None if there are no gaps.
    factors : Tensor of shape (n_outliers, 1)
        Factors by which the first rows were scaled away from the mean. These outliers
        count in the gradient, but not in the loss that is returned, nor in the costs of
        codes.
    code_mask : Tensor of shape (batch, n_components) or None
        Zeros and ones that codes are multiplied by.
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
        """Return a slice of the rows as a batch, with the outliers first again."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        return replace(
            self, **{n: t[rows] for n, t in tensors.items() if t is not None}
        )

    def mean(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean of losses (batch,), without the outliers."""
        return weighted(losses, self.weights)[self.inliers].mean()

    def for_head(
        self, codes: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Return codes, targets and weights of the inliers: outliers have no target."""
        weights = None if self.weights is None else self.weights[self.inliers]
        return codes[self.inliers], self.targets[self.inliers], weights

    def divide_outliers(self, values: torch.Tensor, power: int = 1) -> torch.Tensor:
        """Divide the rows of outliers by their factors, in place."""
        if self.n_outliers:
            factors = self.factors if power == 1 else self.factors.square()
            values[: self.n_outliers].div_(factors)
        return values

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the tensors by name, without those that are empty or shared."""
        tensors = {name: getattr(self, name) for name in _TENSORS}
        if self.inputs.data_ptr() == self.x.data_ptr():
            del tensors["inputs"]
        return {n: t for n, t in tensors.items() if t is not None and t.numel()}


def weighted(losses: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Multiply losses of rows, (batch,), by their weights (batch, 1), if any."""
    return losses if weights is None else losses * weights[:, 0]
