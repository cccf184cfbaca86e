"""Replay: training steps on a GPU, recorded as CUDA graphs.

A step of a dense network consists of about forty kernels of a few microseconds each.
Launching a kernel takes longer than running it. A CUDA graph launches them all at once.
Measured in docs/choices.md, "Steps on a GPU".
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

# Steps of one kind before one is recorded. For fewer steps a recording does not pay
# off; see docs/choices.md, "Steps on a GPU".
_BEFORE_RECORDING = 32
# With a time limit, at most this number of steps is launched ahead of finished steps.
_LAUNCHED_AHEAD = 16
# Fits in several threads would otherwise record on the same stream at the same time.
_ONE_AT_A_TIME = forkable_lock()


def recorded_steps(
    objective: Objective, optimizer: Optimizer
) -> Callable[[Batch], Tensor | float] | None:
    """Return a function that makes a step with a batch and returns the mean loss.

    Return None if steps cannot be recorded.
    """
    if objective.parameters.values.is_cuda and objective.is_replayable:
        return _Replay(objective, optimizer)
    return None


class _Replay:
    """Makes steps. Frequent kinds of steps are recorded and replayed.

    Two steps are of one kind if their batches have equal numbers of rows and outliers.
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
    """A recorded step. Each batch is copied into its tensors."""

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
        """Make the step with a batch of this kind, and return the loss.

        The next replay overwrites the tensor that is returned.
        """
        timed = self.optimizer.limit.is_set
        if timed and self.optimizer.n_steps_made % _LAUNCHED_AHEAD == 0:
            self.loss.item()  # waits for earlier steps
        for name, tensor in batch.tensors().items():
            self.inputs[name].copy_(tensor)
        self.lr.fill_(self.optimizer.lr)
        self.launch()
        self.optimizer.skip_to(self.optimizer.n_steps_made + 1)
        return self.loss


def _record(
    kernels: Callable[[], Tensor], device: torch.device
) -> tuple[Callable[[], None], Tensor]:
    """Record the kernels of a function. Return their launcher, and the result."""
    graph = torch.cuda.CUDAGraph()
    # Other threads, such as another fit, may use the GPU meanwhile.
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
    """Return a stream of this device. torch's default is on the first device used."""
    return torch.cuda.Stream(device)
