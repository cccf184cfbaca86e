"""Stopping: the best weights so far, and when another epoch is no use."""

import math
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from .flat_parameters import FlatParameters
from .optimizers import WARM_UP

__all__ = ["EarlyStopping"]


class Budget(Protocol):
    """What is asked of a `Config`: how long to go on."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def max_iter(self) -> float: ...  # noqa: D102

    @property
    def n_iter_no_change(self) -> float: ...  # noqa: D102

    @property
    def learning_rate(self) -> str: ...  # noqa: D102

    @property
    def tol(self) -> float: ...  # noqa: D102


class EarlyStopping:
    """Watches the loss of each epoch and keeps the weights of the best.

    Parameters
    ----------
    parameters : FlatParameters
        Where the weights are read.
    config : Config
        Its ``max_iter`` epochs at most, its ``n_iter_no_change`` in a row without
        improvement, which is a loss lower by the part ``tol`` at least.
    start_loss : float
        Loss before the first epoch, whose weights are kept if no epoch lowers it.
    """

    def __init__(
        self, parameters: FlatParameters, config: Budget, start_loss: float
    ) -> None:
        self.parameters = parameters
        self.config = config
        self.n_iter = 0
        self.start_loss = self.best_loss = start_loss
        self.start_values = self.best_values = parameters.copy()
        self.best_iter = 0
        self.reason: str | None = None
        self._target = start_loss * (1 - config.tol)
        self._last_improvement = 0

    @property
    def improving(self) -> bool:
        """Whether the last epoch lowered the loss by more than the tolerance."""
        return self._last_improvement == self.n_iter

    def should_stop(self, loss: float, out_of_time: bool = False) -> bool:
        """Take the loss of another epoch; set ``reason`` and say if it was the last."""
        self.n_iter += 1
        if loss < self.best_loss:
            values = self.parameters.copy()  # first: an interrupt may come meanwhile
            self.best_loss, self.best_iter, self.best_values = loss, self.n_iter, values
        if loss < self._target:
            self._target = loss * (1 - self.config.tol)
            self._last_improvement = self.n_iter
        if not math.isfinite(loss):
            self.reason = "diverged"
        elif self._patience_spent >= self.config.n_iter_no_change:
            self.reason = "converged"
        elif self.n_iter >= self.config.max_iter:
            self.reason = "max_iter"
        elif out_of_time:
            self.reason = "max_time"
        return self.reason is not None

    @property
    def _patience_spent(self) -> float:
        # While the steps are growing nothing can be told of a network that learns.
        begin: float = self._last_improvement
        max_iter = self.config.max_iter
        rises = self.config.learning_rate == "one_cycle" and max_iter < math.inf
        if rises and self.best_iter > 0:
            begin = max(begin, min(WARM_UP * max_iter, self.n_iter))
        return self.n_iter - begin

    def extend(self, n_epochs: float, n_iter_no_change: float = math.inf) -> None:
        """Go on, for so many epochs more, and no longer than so many in vain."""
        self.reason = None
        self._last_improvement = self.n_iter
        self.config = replace(
            self.config,
            max_iter=self.n_iter + n_epochs,
            n_iter_no_change=n_iter_no_change,
        )

    def settle(self) -> None:
        """Put the best weights back."""
        self.parameters.restore(self.best_values)

    def back_to_start(self) -> None:
        """Put the weights back that were there before the first epoch."""
        self.best_loss, self.best_iter = self.start_loss, 0
        self.best_values = self.start_values
        self.parameters.restore(self.best_values)
