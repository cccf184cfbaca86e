"""Inference without the overhead of `torch.nn.Module` in each layer.

For small batches, this overhead (hooks, look-ups of attributes, the test for far rows)
takes longer than the matrix products. The functions here are for evaluation mode. They
see weights that change in place, but no other changes of the network.
"""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, silu

from .autoencoder import Anchored, AutoEncoder, Faded
from .layers import QuickGELU

__all__ = ["FastForward"]

Function: TypeAlias = Callable[[Tensor], Tensor]

# Up to this number of values GELU is faster in float64 than in float32, for which torch
# uses oneDNN.
_FEW_VALUES = 1_000


class FastForward:
    """The encoder and the decoder of a network, as functions."""

    def __init__(self, network: AutoEncoder) -> None:
        self.encoder, self.decoder = (
            _function_of(network.encoder),
            _function_of(network.decoder),
        )


def _function_of(module: nn.Module) -> Function:
    """Return a function that computes the same as the module."""
    if isinstance(module, Anchored):
        return _anchored(module)
    if isinstance(module, nn.Sequential):
        return _in_turn([_function_of(layer) for layer in module])
    if type(module) is nn.Linear:
        weight, bias = module.weight.detach(), module.bias.detach()
        return lambda x: linear(x, weight, bias)
    if type(module) is nn.GELU:
        return _gelu
    if type(module) is QuickGELU:
        return _quick_gelu
    return module.forward


def _in_turn(functions: list[Function]) -> Function:
    def run(x: Tensor) -> Tensor:
        for function in functions:
            x = function(x)
        return x

    return run


def _anchored(module: Anchored) -> Function:
    weight, offset, radius = module.linear, module.offset, module.trust_radius.item()
    if module.correction is None:
        return lambda x: linear(x, weight, offset)
    correct = _function_of(module.correction)
    if isinstance(module, Faded):

        def run_faded(x: Tensor) -> Tensor:
            if torch.linalg.vector_norm(x).item() <= radius:
                return correct(x)
            return module(x)

        return run_faded

    def run(x):
        # If the norm of the whole batch is within the radius, that of each row is too.
        if torch.linalg.vector_norm(x).item() <= radius:
            return linear(x, weight, offset).add_(correct(x))
        return module(x)

    return run


def _quick_gelu(x: Tensor) -> Tensor:
    # In place, except for the first product: ``x`` belongs to the caller.
    return silu(x * QuickGELU.slope, inplace=True).div_(QuickGELU.slope)


def _gelu(x: Tensor) -> Tensor:
    return gelu(x.double()).to(x.dtype) if x.numel() <= _FEW_VALUES else gelu(x)
