"""Users' modules, run with the random numbers of the fit and without side effects."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from .._compat import seed_torch
from .._runtime.forks import forkable_lock

__all__ = ["UserModule", "own_generator", "two_rows"]

_CPU = torch.device("cpu")


class UserModule(nn.Module):
    """A user's module, whose random numbers come from the fit's generator.

    Modules draw from torch's global generator. While such a module runs, that generator
    gets a seed of the fit. Afterwards its state is restored.

    Parameters
    ----------
    module : nn.Module
    n_in : int
        Width of the input.
    """

    def __init__(self, module: nn.Module, n_in: int) -> None:
        super().__init__()
        self.module = module
        self.rng: np.random.Generator | None = None
        self._of_batches = [m for m in module.modules() if hasattr(m, "running_mean")]
        self._draws = _moves_generator(module, two_rows(n_in))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            for norm in self._of_batches:  # one row has neither mean nor variance
                norm.training = len(x) > 1
            if self._draws:
                assert self.rng is not None  # a fit has set it
                with own_generator(int(self.rng.integers(2**63)), x.device):
                    return self.module(x)
        if torch.get_default_dtype() == torch.float32:
            return self.module(x)
        with _ONE_AT_A_TIME, _float32_by_default():
            return self.module(x)


_ONE_AT_A_TIME = forkable_lock()


@contextmanager
def _float32_by_default():
    """Make float32 the default dtype, for users' modules that do not name a dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def own_generator(seed: int, device: torch.device = _CPU) -> Iterator[None]:
    """Seed torch's global generators in the block, and restore their state after it."""
    cuda = [device] if device.type == "cuda" else []
    with (
        _ONE_AT_A_TIME,
        _float32_by_default(),
        torch.random.fork_rng(devices=cuda),
    ):
        seed_torch(seed, device)
        yield


def two_rows(n_in: int) -> Tensor:
    """Return two rows of zeros, as an input for tests of a module."""
    return torch.zeros(2, n_in, dtype=torch.float32)


def _moves_generator(module, x):
    """Whether a module draws random numbers while training."""
    with own_generator(0), torch.no_grad():
        before = torch.get_rng_state()
        copy.deepcopy(module).train()(x)
        return not torch.equal(torch.get_rng_state(), before)
