"""Early stopping: the best weights so far, and when to stop."""

import math
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from .flat_parameters import FlatParameters
from .optimizers import WARM_UP

__all__ = ["EarlyStopping"]


class Budget(Protocol):
    """The attributes of a `Config` that tell how long to train."""

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
    """Monitors the loss of each epoch and stores the best weights.

    Parameters
    ----------
    parameters : FlatParameters
        The weights of the network that is trained.
    config : Config
        There are at most ``max_iter`` epochs. Training ends after ``n_iter_no_change``
        epochs in a row without improvement. An improvement lowers the loss by at least
        the share ``tol``.
    start_loss : float
        Loss before the first epoch. If no epoch lowers it, the weights before the first
        epoch are the best.
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
        """Record the loss of an epoch. Return whether training ends; set ``reason``."""
        self.n_iter += 1
        if loss < self.best_loss:
            values = self.parameters.copy()  # first: an interrupt may happen during it
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
        # While the step size rises, patience is not spent if the network has already
        # learnt anything.
        begin: float = self._last_improvement
        max_iter = self.config.max_iter
        rises = self.config.learning_rate == "one_cycle" and max_iter < math.inf
        if rises and self.best_iter > 0:
            begin = max(begin, min(WARM_UP * max_iter, self.n_iter))
        return self.n_iter - begin

    def extend(self, n_epochs: float, n_iter_no_change: float = math.inf) -> None:
        """Allow ``n_epochs`` more epochs, with a new patience ``n_iter_no_change``."""
        self.reason = None
        self._last_improvement = self.n_iter
        self.config = replace(
            self.config,
            max_iter=self.n_iter + n_epochs,
            n_iter_no_change=n_iter_no_change,
        )

    def restore_best(self) -> None:
        """Restore the best weights."""
        self.parameters.restore(self.best_values)

    def back_to_start(self) -> None:
        """Restore the weights from before the first epoch."""
        self.best_loss, self.best_iter = self.start_loss, 0
        self.best_values = self.start_values
        self.parameters.restore(self.best_values)
