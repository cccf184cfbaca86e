"""Training loop: one epoch after another, and evaluation of rows in between."""

import math
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch

from .._data.batches import Batches
from .._runtime.memory import in_halves
from .._runtime.threads import ThreadTuner
from .batch import Batch
from .cuda_graphs import recorded_steps
from .microbatches import Microbatches
from .objective import Objective
from .optimizers import Optimizer

__all__ = ["epochs", "evaluate", "row_losses", "evaluation_batches"]

# If an epoch has fewer steps than this, the batches of several epochs are drawn at
# once. Drawn one by one, they would take as long as the steps of a small network.
_DRAWN_AHEAD = 16


def epochs(
    objective: Objective,
    batches: Batches,
    optimizer: Optimizer,
    rng: np.random.Generator,
    threads: ThreadTuner,
) -> Iterator[float]:
    """Train for one epoch whenever the caller asks for the next item.

    Yields
    ------
    loss : float
        Training loss, averaged over the rows of the epoch. The loss of each batch is
        measured before its step. NaN if the weights are no longer finite. An epoch
        ends early when time is up.
    """
    n_ahead = int(min(_DRAWN_AHEAD, optimizer.n_steps - optimizer.n_steps_made))
    n_epochs = max(1, n_ahead // batches.n_batches)
    made = _batches(objective, batches, optimizer, rng, n_epochs)
    step = recorded_steps(objective, optimizer)  # None: operations are launched singly
    while True:
        objective.train(True)
        total: torch.Tensor | float = 0
        n_samples = 0
        with objective.without_autograd():
            for batch in islice(made, batches.n_batches):
                with threads.at_work(batch, len(batch)):
                    try:
                        if step is None:
                            loss = objective.backward(batch, optimizer.progress)
                            optimizer.step()
                        else:
                            loss = step(batch)
                    except RuntimeError as error:
                        given, loss = (objective, optimizer, len(batch)), None
                        step = Microbatches.after(error, *given)
                    if loss is None:
                        assert step is not None
                        loss = step(batch)
                optimizer.end_step()
                total += batch.n_inliers * loss
                n_samples += batch.n_inliers
                if optimizer.out_of_time:
                    break
            # Checked once an epoch, because a step that breaks the weights shows in the
            # loss only later. If any weight is not finite, the sum is not finite
            # either.
            sound = math.isfinite(objective.parameters.values.sum())
            objective.avoid_underflow()
        loss = float(total) / n_samples + float(batches.mean(batches.off_basis))
        yield loss if sound else math.nan


def _batches(
    objective: Objective,
    batches: Batches,
    optimizer: Optimizer,
    rng: np.random.Generator,
    n_epochs: int,
) -> Iterator[Batch]:
    """Yield the batches of one epoch after another, endlessly."""
    n_made = optimizer.n_steps_made
    while True:
        for x, targets, weights, gaps, sizes in batches.shuffled(rng, n_epochs):
            progress = (n_made + np.arange(len(sizes))) / optimizer.n_steps
            given = x, targets, weights, gaps, sizes
            yield from objective.training_batches(*given, rng, progress)
            n_made += len(sizes)


def evaluate(objective: Objective, batches: Batches) -> float:
    """Return the mean loss over all rows. Nothing is changed."""
    return float(batches.mean(row_losses(objective, batches)))


def evaluation_batches(
    objective: Objective, batches: Batches, hide_entries: bool = True
) -> Iterator[Batch]:
    """Yield batches of all rows in order, with the same random draws at each call.

    Rows are corrupted and codes are drawn as in training. If ``hide_entries`` is True,
    more entries of rows with gaps are hidden, as in training.
    """
    for number, (part, rows) in enumerate(
        zip(batches.parts(), batches.in_order(), strict=True)
    ):
        rng = np.random.default_rng(number) if objective.is_random else None
        gaps = batches.gaps_in(part)
        yield objective.evaluation_batch(*rows, gaps, rng, hide_entries)


def row_losses(
    objective: Objective,
    batches: Batches,
    function: Callable[[Batch], torch.Tensor] | None = None,
    hide_entries: bool = True,
) -> torch.Tensor:
    """Return the losses of all rows, a tensor of shape (n_samples,), float64.

    ``function`` takes a batch and returns its losses; the default is the whole
    objective. For ``hide_entries`` see `evaluation_batches`.
    """
    function = function or objective
    objective.train(False)
    # Allocated first: small tensors between large ones would fragment the memory.
    losses = torch.empty(batches.n_samples, dtype=torch.float64, device=batches.device)
    start = 0
    with objective.without_autograd():
        for batch in evaluation_batches(objective, batches, hide_entries):
            end = start + len(batch)
            losses[start:end] = in_halves(function, batch)
            start = end
    if function != objective.target_losses:
        losses += torch.from_numpy(batches.off_basis).to(losses)
    return losses
