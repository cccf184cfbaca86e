"""Replay: steps of training, on a GPU recorded once and launched as one.

A step of a dense network is some forty kernels of a few microseconds, and to launch
each takes longer than to run it. A CUDA graph launches them all at once.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .._runtime.forks import forkable_lock
from .batch import Batch
from .objective import Objective
from .optimizers import Optimizer

__all__ = ["recorded_steps"]

# Steps of one kind before one is recorded: a few do not pay for it.
_BEFORE_RECORDING = 32
# Steps that a clock may be behind those that were launched.
_LAUNCHED_AHEAD = 16
# Recordings of fits beside each other would mix, on one stream.
_ONE_AT_A_TIME = forkable_lock()


def recorded_steps(
    objective: Objective, optimizer: Optimizer
) -> Callable[[Batch], Tensor | float] | None:
    """Return a function that makes a step with a batch, and returns its mean loss.

    None where steps cannot be recorded.
    """
    if objective.parameters.values.is_cuda and objective.is_replayable:
        return _Replay(objective, optimizer)
    return None


class _Replay:
    """Make steps, those of a kind that comes often as a recorded graph.

    They are of one kind if they have as many rows, and as many outliers.
    """

    def __init__(self, objective: Objective, optimizer: Optimizer) -> None:
        self.objective, self.optimizer = objective, optimizer
        self.n_seen: Counter[tuple[int, int]] = Counter()
        self.recordings: dict[tuple[int, int], _Recording] = {}

    def __call__(self, batch: Batch) -> Tensor | float:
        kind = batch.x.shape[0], batch.n_outliers
        self.n_seen[kind] += 1
        if self.n_seen[kind] <= _BEFORE_RECORDING:
            loss = self.objective.backward(batch, self.optimizer.progress)
            self.optimizer.step()
            return loss
        if kind not in self.recordings:
            self.recordings[kind] = _Recording(self.objective, self.optimizer, batch)
        return self.recordings[kind].replay(batch)


class _Recording:
    """A step with tensors of its own, into which those of others are copied."""

    def __init__(
        self, objective: Objective, optimizer: Optimizer, batch: Batch
    ) -> None:
        self.optimizer = optimizer
        self.lr = torch.zeros((), dtype=torch.float32, device=batch.x.device)
        self.inputs = {name: tensor.clone() for name, tensor in batch.tensors().items()}
        given: dict[str, Any] = {"inputs": self.inputs["x"], **self.inputs}
        own = replace(batch, **given)

        def kernels():
            loss = objective.backward(own)
            optimizer.update(self.lr)
            return loss

        self.launch, self.loss = _record(kernels, batch.x.device)

    def replay(self, batch: Batch) -> Tensor:
        """Make the step with a batch of its kind, and return its loss till the next."""
        timed = self.optimizer.limit.is_set
        if timed and self.optimizer.n_steps_made % _LAUNCHED_AHEAD == 0:
            self.loss.item()  # waits for the steps before
        for name, tensor in batch.tensors().items():
            self.inputs[name].copy_(tensor)
        self.lr.fill_(self.optimizer.lr)
        self.launch()
        self.optimizer.skip_to(self.optimizer.n_steps_made + 1)
        return self.loss


def _record(
    kernels: Callable[[], Tensor], device: torch.device
) -> tuple[Callable[[], None], Tensor]:
    """Return what launches the kernels that a function launches, and its result."""
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile: another fit, say.
    options: dict[str, Any] = {
        "stream": _stream(device),
        "capture_error_mode": "thread_local",
    }
    with (
        _ONE_AT_A_TIME,
        torch.cuda.device(device),
        torch.cuda.graph(graph, **options),
    ):
        result = kernels()
    return graph.replay, result


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for each device: torch's own would be that of the first that was used."""
    return torch.cuda.Stream(device)
