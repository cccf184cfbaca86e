"""Optimizers: steps of a solver, with a schedule of the step size and weight decay."""

import math
from typing import Protocol

import numpy as np
import torch

from .._runtime.clock import TimeLimit
from .flat_parameters import FlatParameters
from .soap import Soap
from .solvers import SGD, Adam, AdamW, Muon, RMSProp, Solver

__all__ = ["SCHEDULES", "SOLVERS", "WARM_UP", "Optimizer"]


class Rule(Protocol):
    """The attributes of a `Config` that tell how steps are made."""

    @property
    def solver(self) -> str: ...  # noqa: D102

    @property
    def learning_rate(self) -> str: ...  # noqa: D102

    @property
    def learning_rate_init(self) -> float: ...  # noqa: D102

    @property
    def alpha(self) -> float: ...  # noqa: D102


#: name -> rule. With "auto" the step size is its ``default_lr``.
SOLVERS: dict[str, type[Solver]] = {
    "adam": Adam,
    "adamw": AdamW,
    "muon": Muon,
    "rmsprop": RMSProp,
    "sgd": SGD,
    "soap": Soap,
}


def _constant(progress: float) -> float:
    return 1.0


#: Share of a one-cycle schedule in which the step size rises.
WARM_UP = 0.2


def _one_cycle(progress: float, warm_up: float = WARM_UP) -> float:
    """Rise linearly, then fall to zero along half a cosine (Smith, 2018)."""
    if progress < warm_up:
        return 0.1 + 0.9 * progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


#: name -> function from the progress in [0, 1) to a factor of the step size.
SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle}


class Optimizer:
    """Steps of a scheduled size, with weight decay.

    Parameters
    ----------
    parameters : FlatParameters
        Parameters that are trained. Only their matrices decay.
    config : Config
        Config with solver, schedule, step size and weight decay.
    n_steps : int or float
        Number of steps in the schedule, unless a time limit ends it earlier.

    Attributes
    ----------
    n_steps_made : float
        Position in the schedule, in steps.
    progress : float
        Share of the training that is over. It stays at 1 after the last step.
    limit : TimeLimit
        Time limit, with which the schedule ends at the latest.
    """

    def __init__(
        self, parameters: FlatParameters, config: Rule, n_steps: float
    ) -> None:
        self.parameters = parameters
        self.rule = SOLVERS[config.solver](parameters)
        self.schedule = SCHEDULES[config.learning_rate]
        self.base_lr = config.learning_rate_init
        self.alpha = config.alpha
        self.n_steps = n_steps
        self.limit = TimeLimit()
        self.skip_to(0)

    def skip_to(self, n_steps_made: float) -> None:
        """Go to the place in the schedule after ``n_steps_made`` steps."""
        self.n_steps_made = n_steps_made
        progress = max(n_steps_made / self.n_steps, self.limit.part_spent)
        self.progress = min(1.0, progress)

    def begin_within(self, limit: TimeLimit) -> None:
        """Set the time limit, which counts from now on."""
        self.limit = limit
        self.skip_to(self.n_steps_made)

    def decay_from_here(self, alpha: float, n_steps: float) -> None:
        """Let weights decay from now on, and end the schedule in ``n_steps`` steps.

        No part of the schedule is skipped: the rest is compressed into these steps.
        """
        self.alpha = alpha
        self.n_steps = n_steps / max(1 - self.progress, 1e-6)
        self.n_steps_made = self.progress * self.n_steps

    def go_back_to(self, progress: float, n_steps: float) -> None:
        """Go back in the schedule, and end it ``n_steps`` steps after that place."""
        self.progress = progress
        self.decay_from_here(self.alpha, n_steps)

    @property
    def steps_of_schedule(self) -> float:
        """Total number of steps of the schedule, if the pace stays the same."""
        return self.n_steps_made / self.progress

    @property
    def out_of_time(self) -> bool:
        """Whether there is no time for another step."""
        return self.limit.part_spent >= 1

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the state of the rule, such as its momentum, as arrays by name."""
        return {
            name: getattr(self.rule, name).cpu().numpy().copy()
            for name in self.rule.state
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the rule. Ignore one of another rule or other sizes."""
        shapes, now = (
            {name: array.shape for name, array in arrays.items()}
            for arrays in (state, self.state_dict())
        )
        if shapes != now:
            return
        for name, array in state.items():
            getattr(self.rule, name).copy_(torch.tensor(np.asarray(array)))

    @property
    def lr(self) -> float:
        """The step size of the next step."""
        return self.base_lr * self.schedule(self.progress)

    def step(self) -> None:
        """Move the parameters once along the negative gradient."""
        self.update(self.lr)
        self.skip_to(self.n_steps_made + 1)

    def end_step(self) -> None:
        """Do what only some steps need. Call it after each step, outside of graphs."""
        self.rule.end_step()

    def with_products(self, gradients: torch.Tensor) -> torch.Tensor:
        """Return gradients, and all other matrix products of a step, as one tensor."""
        products = self.rule.products()
        return torch.cat([gradients, *(p.reshape(-1) for p in products)])

    def update(self, lr: float | torch.Tensor) -> None:
        """Make an update with step size ``lr``, a number or a tensor with one value."""
        if self.alpha and self.rule.decoupled:
            self.parameters.matrices.mul_(1 - lr * self.alpha)
        elif self.alpha:
            matrices = self.parameters.matrices
            self.parameters.matrix_gradients.add_(matrices, alpha=self.alpha)
        self.rule.step(lr)
