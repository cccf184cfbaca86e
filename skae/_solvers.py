"""Solvers: the optimisers of torch and the schedules of the step size."""

import math

import torch

__all__ = ["SCHEDULES", "SOLVERS", "Solver"]


def _adam(groups):
    return torch.optim.Adam(groups, fused=True)


def _adamw(groups):
    # A shorter memory of squares follows a step size that moves all the time.
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)


def _rmsprop(groups):
    return torch.optim.RMSprop(groups, alpha=0.9)


def _sgd(groups):
    return torch.optim.SGD(groups, momentum=0.9, nesterov=True, fused=True)


#: name -> optimiser, and the step size that "auto" stands for.
SOLVERS = {
    "adam": (_adam, 1e-3),
    "adamw": (_adamw, 4e-3),
    "rmsprop": (_rmsprop, 1e-3),
    "sgd": (_sgd, 0.05),
}


def _constant(progress):
    return 1.0


def _one_cycle(progress, warm_up=0.2):
    """Rise along a line, then fall to zero along a half cosine (Smith, 2018)."""
    if progress < warm_up:
        return 0.1 + 0.9 * progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


#: name -> factor of the step size at a progress in [0, 1).
SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle}


class Solver:
    """Steps along the gradients of flat parameters.

    Parameters
    ----------
    parameters : FlatParameters
        What is trained; only its matrices are decayed.
    plan : Plan
        Names the solver and the schedule; holds the step size and the weight decay.
    n_steps : int
        Steps after which the schedule ends.
    """

    def __init__(self, parameters, plan, n_steps):
        make, _ = SOLVERS[plan.solver]
        self.optimizer = make(
            [
                {"params": [parameters.matrices], "weight_decay": plan.alpha},
                {"params": [parameters.vectors], "weight_decay": 0.0},
            ]
        )
        self.schedule = SCHEDULES[plan.learning_rate]
        self.learning_rate = plan.learning_rate_init
        self.n_steps = n_steps
        self.step_count = 0

    def step(self):
        """Move the parameters once along the negative gradient."""
        rate = self.learning_rate * self.schedule(self.step_count / self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.step_count += 1
