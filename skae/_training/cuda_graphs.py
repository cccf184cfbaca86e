"""Replay: steps of training, on a GPU recorded once and launched as one.

A step of a dense network is some forty kernels of a few microseconds, and to launch
each takes longer than to run it. A CUDA graph launches them all at once.
"""

import threading
from collections import Counter
from dataclasses import replace
from functools import cache, partial

import torch

__all__ = ["stepper"]

# Steps of one kind before one is recorded: a few do not pay for it.
_BEFORE_RECORDING = 32
# Steps that a clock may be behind those that were launched.
_LAUNCHED_AHEAD = 16
# Recordings of fits beside each other would mix, on one stream.
_ONE_AT_A_TIME = threading.Lock()


def stepper(objective, solver):
    """Return a function that makes a step, and returns the mean loss of its batch."""
    if objective.parameters.values.is_cuda and objective.is_replayable:
        return _Replay(objective, solver)
    return partial(_make, objective, solver)


def _make(objective, solver, step):
    loss = objective.backward(step, solver.progress)
    solver.step()
    return loss


class _Replay:
    """Make steps, those of a kind that comes often as a recorded graph.

    They are of one kind if their batches have as many rows, and as many moved ones.
    """

    def __init__(self, objective, solver):
        self.objective, self.solver = objective, solver
        self.n_seen = Counter()
        self.recordings = {}

    def __call__(self, step):
        kind = step.x.shape[0], step.n_moved
        self.n_seen[kind] += 1
        if self.n_seen[kind] <= _BEFORE_RECORDING:
            return _make(self.objective, self.solver, step)
        if kind not in self.recordings:
            self.recordings[kind] = _Recording(self.objective, self.solver, step)
        return self.recordings[kind].replay(step)


class _Recording:
    """A step with tensors of its own, into which those of others are copied."""

    def __init__(self, objective, solver, step):
        self.solver = solver
        self.rate = torch.zeros((), dtype=torch.float32, device=step.x.device)
        self.inputs = {name: tensor.clone() for name, tensor in _given(step).items()}
        own = replace(step, **{"inputs": self.inputs["x"], **self.inputs})

        def kernels():
            loss = objective.backward(own)
            solver.move(self.rate)
            return loss

        self.launch, self.loss = _record(kernels, step.x.device)

    def replay(self, step):
        """Make the step, of the same kind, and return its loss until the next one."""
        timed = self.solver.limit.is_set
        if timed and self.solver.n_steps_made % _LAUNCHED_AHEAD == 0:
            self.loss.item()  # waits for the steps before
        for name, tensor in _given(step).items():
            self.inputs[name].copy_(tensor)
        self.rate.fill_(self.solver.rate)
        self.launch()
        self.solver.skip_to(self.solver.n_steps_made + 1)
        return self.loss


def _given(step):
    """Return the tensors of a step by name, without those that are empty or shared.

    The recorded step keeps the empty ones that it was given.
    """
    tensors = {"x": step.x, "t": step.t, "factors": step.factors}
    if step.inputs.data_ptr() != step.x.data_ptr():
        tensors["inputs"] = step.inputs
    if step.kept is not None:
        tensors["kept"] = step.kept
    return {name: tensor for name, tensor in tensors.items() if tensor.numel()}


def _record(kernels, device):
    """Return what launches the kernels that a function launches, and its result."""
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the GPU meanwhile: another fit, say.
    options = {"stream": _stream(device), "capture_error_mode": "thread_local"}
    with (
        _ONE_AT_A_TIME,
        torch.cuda.device(device),
        torch.cuda.graph(graph, **options),
    ):
        result = kernels()
    return graph.replay, result


@cache
def _stream(device):
    """One for each device: torch's own would be that of the first that was used."""
    return torch.cuda.Stream(device)
