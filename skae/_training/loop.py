"""Training: one pass after another, and the losses of rows in between."""

import math
from itertools import islice

import numpy as np
import torch

from .cuda_graphs import stepper

__all__ = ["epochs", "evaluate", "row_losses", "watched_steps"]

# Steps that are drawn at once, where a pass has less and more of them are to come: one
# by one it would take as long as the steps of a small network.
_DRAWN_AHEAD = 16


def epochs(objective, batches, solver, rng, threads):
    """Train, one pass a turn, for as long as the caller asks for another.

    Yields
    ------
    loss : float
        The losses of the pass's batches as they were met, averaged over rows; NaN once
        the weights are not finite. A pass ends where the time does.
    """
    n_ahead = int(min(_DRAWN_AHEAD, solver.n_steps - solver.n_steps_made))
    n_passes = max(1, n_ahead // batches.n_batches)
    steps = _steps(objective, batches, solver, rng, n_passes)
    make = stepper(objective, solver)
    while True:
        objective.train(True)
        total = n_rows = 0
        with objective.without_autograd():
            for step in islice(steps, batches.n_batches):
                n_stayed = step.x.shape[0] - step.n_moved
                total += n_stayed * threads.run(make, step, step.x.shape[0])
                n_rows += n_stayed
                if solver.out_of_time:
                    break
            # Asked once a pass: a step that broke the weights shows in the loss only
            # later. Of numbers that are not finite, the sum is not either.
            sound = math.isfinite(objective.parameters.values.sum())
            objective.avoid_underflow()
        loss = float(total) / n_rows + batches.off_basis.mean()
        yield loss if sound else math.nan


def _steps(objective, batches, solver, rng, n_passes):
    """Yield the steps of one pass after another, without end."""
    n_made = solver.n_steps_made
    while True:
        for x, t, sizes in batches.shuffled(rng, n_passes):
            progress = (n_made + np.arange(len(sizes))) / solver.n_steps
            yield from objective.train_on(x, t, sizes, rng, progress)
            n_made += len(sizes)


def evaluate(objective, batches):
    """Return the mean loss over all rows, without changing anything."""
    return float(row_losses(objective, batches).cpu().numpy().mean())


def watched_steps(objective, batches):
    """Yield steps over all rows in order, in which all that is random is always alike.

    Rows are corrupted as in training, and codes drawn.
    """
    for number, (x, t) in enumerate(batches.in_order()):
        rng = np.random.default_rng(number) if objective.is_random else None
        yield objective.watch(x, t, rng)


def row_losses(objective, batches, function=None):
    """Return the losses of all rows, a tensor of shape (n_rows,), float64.

    ``function`` of a step, if not the whole objective.
    """
    function = function or objective
    objective.train(False)
    # Made first: small tensors kept between large ones would scatter the memory.
    losses = torch.empty(batches.n_rows, dtype=torch.float64, device=batches.device)
    start = 0
    with objective.without_autograd():
        for step in watched_steps(objective, batches):
            end = start + len(step.x)
            losses[start:end] = function(step)
            start = end
    if function != objective.of_target:
        losses += torch.from_numpy(batches.off_basis).to(losses)
    return losses
