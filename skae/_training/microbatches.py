"""Microbatches: batches that do not fit in memory are processed in parts."""

from typing import Self

import torch

from .._runtime.memory import is_out_of_memory
from .._runtime.warning import warn
from .batch import Batch
from .objective import Objective
from .optimizers import Optimizer

__all__ = ["Microbatches"]

# Batch normalisation needs at least two rows.
_LEAST_ROWS = 2


class Microbatches:
    """Makes steps with batches that are processed in parts, one after another.

    If losses are means over rows, the weighted sum of the parts' gradients is the
    gradient of the batch, except for rounding. The numbers of outliers in two parts
    differ by one at most.

    Parameters
    ----------
    objective : Objective
    optimizer : Optimizer
    n_parts : int
        Initial number of parts. It doubles whenever a part does not fit in memory.
    """

    def __init__(
        self, objective: Objective, optimizer: Optimizer, n_parts: int = 1
    ) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.n_parts = n_parts
        self._has_warned = False

    @classmethod
    def after(
        cls,
        error: RuntimeError,
        objective: Objective,
        optimizer: Optimizer,
        n_samples: int,
    ) -> Self:
        """Return an object to continue after an error in a step of ``n_samples`` rows.

        Raises
        ------
        RuntimeError
            The given error, if it is not an out-of-memory error.
        """
        steps = cls(objective, optimizer)
        steps._halve(error, n_samples)
        return steps

    def __call__(self, batch: Batch) -> torch.Tensor | float:
        """Make a step with a batch, and return its mean loss."""
        loss = None
        while loss is None:
            try:
                loss = self._backward(batch)
            except RuntimeError as error:
                self._halve(error, len(batch))
        self._warn_once(len(batch))
        self.optimizer.step()
        return loss

    def _halve(self, error: RuntimeError, n_samples: int) -> None:
        n_parts = 2 * self.n_parts
        if not is_out_of_memory(error) or n_samples < _LEAST_ROWS * n_parts:
            raise error
        self.n_parts = n_parts

    def _warn_once(self, n_samples: int) -> None:
        """Warn once, after a step in parts has succeeded."""
        if not self._has_warned:
            self._has_warned = True
            warn(
                f"There is not enough memory for a batch of {n_samples} rows: it is "
                "worked on in parts, which takes longer. A smaller batch_size may be "
                "faster.",
                UserWarning,
            )

    def _backward(self, batch: Batch) -> torch.Tensor | float:
        """Return the mean loss of a batch and set its gradient; see `Objective`."""
        gradients = self.objective.parameters.gradients
        total = torch.zeros_like(gradients)
        loss: torch.Tensor | float = 0
        for start in range(self.n_parts):
            part = batch[start :: self.n_parts]
            of_part = self.objective.backward(part, self.optimizer.progress)
            loss += part.n_inliers / batch.n_inliers * of_part
            total.add_(gradients, alpha=len(part) / len(batch))
        gradients.copy_(total)
        return loss
