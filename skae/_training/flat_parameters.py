"""Flat parameters: one buffer for all parameters, and one for their gradients."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["FlatParameters"]


class FlatParameters:
    """All parameters of modules in one buffer, and all gradients in another.

    With one buffer, the optimizer's step, zeroing and copying are one operation each,
    however many layers there are. Weights of linear layers come first, then kernels of
    convolutions, then all other parameters. Only weights and kernels decay.

    Parameters
    ----------
    *modules : nn.Module
        Modules whose parameters become views of ``values``. The gradients of these
        become views of ``gradients``.
    buffers : iterable of Tensor
        Tensors that are learnt but are not parameters, such as the running means of
        batch normalisation.
    """

    def __init__(self, *modules: nn.Module, buffers: Iterable[Tensor] = ()) -> None:
        parameters = [p for module in modules for p in module.parameters()]
        self.buffers = list(buffers)
        parameters.sort(key=lambda p: (p.ndim < 2, p.ndim))
        self.values = torch.cat([_tall(p.detach()).reshape(-1) for p in parameters])
        self.gradients = torch.zeros_like(self.values)
        start = 0
        for p in parameters:
            part, shape = slice(start, start + p.numel()), _tall(p).shape
            p.data = _like(p, self.values[part].view(shape))
            p.grad = _like(p, self.gradients[part].view(shape))
            start = part.stop
        split = sum(p.numel() for p in parameters if p.ndim >= 2)
        self.matrices = self.values[:split]
        self.matrix_gradients = self.gradients[:split]
        #: Pairs of a linear layer's weights and their gradient.
        self.linear = [
            (p.detach(), cast(Tensor, p.grad)) for p in parameters if p.ndim == 2
        ]

    def copy(self) -> Tensor:
        """Return a copy of the present values, followed by those of the buffers."""
        if not self.buffers:
            return self.values.clone()
        return torch.cat([self.values, *(b.reshape(-1) for b in self.buffers)])

    def restore(self, copy: Tensor) -> None:
        """Restore values that `copy` returned."""
        sizes = [self.values.numel(), *(b.numel() for b in self.buffers)]
        values, *buffers = copy.split(sizes)
        self.values.copy_(values)
        for buffer, value in zip(self.buffers, buffers, strict=True):
            buffer.copy_(value.view_as(buffer))


def _tall(p: Tensor) -> Tensor:
    """Return a matrix as it is laid out in memory: wide matrices are transposed.

    The gradient of a wide first layer then takes a tenth less time to compute.
    """
    return p.t() if p.ndim == 2 and p.shape[0] < p.shape[1] else p


def _like(p: Tensor, laid_out: Tensor) -> Tensor:
    """Undo the transposition of `_tall`."""
    return laid_out if laid_out.shape == p.shape else laid_out.t()
