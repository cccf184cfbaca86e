"""Stopping: the best weights so far, and when another pass is no use."""

import math
from dataclasses import replace

from .optimizers import WARM_UP

__all__ = ["Monitor"]


class Monitor:
    """Watches the loss of each pass and keeps the weights of the best.

    Parameters
    ----------
    parameters : FlatParameters
        Where the weights are read.
    plan : Plan
        Its ``max_iter`` passes at most, its ``n_iter_no_change`` in a row without
        improvement, which is a loss lower by the part ``tol`` at least.
    start_loss : float
        Loss before the first pass, whose weights are kept if no pass lowers it.
    """

    def __init__(self, parameters, plan, start_loss):
        self.parameters = parameters
        self.plan = plan
        self.n_iter = 0
        self.start_loss = self.best_loss = start_loss
        self.start_values = self.best_values = parameters.copy()
        self.best_iter = 0
        self.reason = None
        self._target = start_loss * (1 - plan.tol)
        self._last_improvement = 0

    @property
    def improving(self):
        """Whether the last pass lowered the loss by more than the tolerance."""
        return self._last_improvement == self.n_iter

    def should_stop(self, loss, out_of_time=False):
        """Take the loss of another pass; set ``reason`` and say if it was the last."""
        self.n_iter += 1
        if loss < self.best_loss:
            values = self.parameters.copy()  # first: an interrupt may come meanwhile
            self.best_loss, self.best_iter, self.best_values = loss, self.n_iter, values
        if loss < self._target:
            self._target = loss * (1 - self.plan.tol)
            self._last_improvement = self.n_iter
        if not math.isfinite(loss):
            self.reason = "diverged"
        elif self._patience_spent >= self.plan.n_iter_no_change:
            self.reason = "converged"
        elif self.n_iter >= self.plan.max_iter:
            self.reason = "max_iter"
        elif out_of_time:
            self.reason = "max_time"
        return self.reason is not None

    @property
    def _patience_spent(self):
        # While the steps are growing nothing can be told of a network that learns.
        begin, max_iter = self._last_improvement, self.plan.max_iter
        rises = self.plan.learning_rate == "one_cycle" and max_iter < math.inf
        if rises and self.best_iter > 0:
            begin = max(begin, min(WARM_UP * max_iter, self.n_iter))
        return self.n_iter - begin

    def extend(self, n_passes, n_iter_no_change=math.inf):
        """Go on, for so many passes more, and no longer than so many in vain."""
        self.reason = None
        self._last_improvement = self.n_iter
        self.plan = replace(
            self.plan,
            max_iter=self.n_iter + n_passes,
            n_iter_no_change=n_iter_no_change,
        )

    def settle(self):
        """Put the best weights back."""
        self.parameters.restore(self.best_values)

    def back_to_start(self):
        """Put the weights back that were there before the first pass."""
        self.best_loss, self.best_iter = self.start_loss, 0
        self.best_values = self.start_values
        self.parameters.restore(self.best_values)
