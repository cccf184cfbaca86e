"""Dense: forward and backward through linear layers, without autograd.

A step of a small network is mostly bookkeeping, and a step of a large one spends its
time in fresh memory. Here each product writes into a buffer that the next step reuses,
and gradients land where the optimizer reads them. `autograd` would give the same
numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from .._compat import ATEN
from .autoencoder import Anchored, AutoEncoder, layers_of
from .layers import Layers, QuickGELU

__all__ = ["DenseBackprop"]

# Values from which oneDNN's GELU is worth the time that it takes to set up.
_SMALL = 2**14
# So far under every floor that all derivatives are zero.
_UNDER = -1e4
# Kernels, looked up once: a step of a small network has time for little else.
_threshold = ATEN.threshold_.default
_threshold_grad = ATEN.threshold_backward.grad_input
_leaky_relu_grad = ATEN.leaky_relu_backward.grad_input
_gelu_grad = ATEN.gelu_backward.grad_input
_silu_grad = ATEN.silu_backward.grad_input
_softplus_grad = ATEN.softplus_backward.grad_input
_tanh_grad = ATEN.tanh_backward.grad_input
_sigmoid_grad = ATEN.sigmoid_backward.grad_input
_elu_grad = ATEN.elu_backward.grad_input


@dataclass(frozen=True)
class _Elementwise:
    """An activation by its forward and backward kernels.

    ``forward(before, out=after)`` and ``backward(gradient, before, after)``, which
    turns the gradient of what comes after into that of what came before, in place.
    ``in_place`` if it has no need of what came before, which is given times ``slope``.
    Where what came before is under the ``floor``, the derivative is next to nothing.
    Its product with a gradient may be a subnormal number, which takes some CPUs a
    hundred times as long.
    """

    forward: Callable
    backward: Callable
    in_place: bool = False
    slope: float = 1.0
    floor: float = -math.inf


def _relu(before, out):
    return before.relu_()  # it is ``out``


def _relu_backward(gradient, before, after):
    _threshold_grad(gradient, after, 0, grad_input=gradient)


def _leaky_relu_backward(gradient, before, after):
    _leaky_relu_grad(gradient, before, 0.01, False, grad_input=gradient)


def _gelu_backward(gradient, before, after):
    _gelu_grad(gradient, before, grad_input=gradient)


def _quick_gelu(before, out):
    ATEN.silu.out(before, out=out).mul_(1 / QuickGELU.slope)


def _silu_backward(gradient, before, after):
    _silu_grad(gradient, before, grad_input=gradient)


def _softplus_backward(gradient, before, after):
    _softplus_grad(gradient, before, 1, 20, grad_input=gradient)


def _tanh_backward(gradient, before, after):
    _tanh_grad(gradient, after, grad_input=gradient)


def _logistic_backward(gradient, before, after):
    _sigmoid_grad(gradient, after, grad_input=gradient)


def _elu_backward(alpha, scale):
    def backward(gradient, before, after):
        _elu_grad(gradient, alpha, scale, 1, False, before, grad_input=gradient)

    return backward


_ELEMENTWISE = {
    nn.ReLU: _Elementwise(_relu, _relu_backward, in_place=True),
    nn.LeakyReLU: _Elementwise(ATEN.leaky_relu.out, _leaky_relu_backward),
    nn.GELU: _Elementwise(ATEN.gelu.out, _gelu_backward, floor=-10.0),
    QuickGELU: _Elementwise(
        _quick_gelu, _silu_backward, slope=QuickGELU.slope, floor=-60.0
    ),
    nn.SiLU: _Elementwise(ATEN.silu.out, _silu_backward, floor=-60.0),
    nn.Softplus: _Elementwise(ATEN.softplus.out, _softplus_backward, floor=-60.0),
    nn.Tanh: _Elementwise(torch.tanh, _tanh_backward, in_place=True),
    nn.Sigmoid: _Elementwise(torch.sigmoid, _logistic_backward, in_place=True),
    nn.ELU: _Elementwise(ATEN.elu.out, _elu_backward(1.0, 1.0), floor=-60.0),
    nn.SELU: _Elementwise(
        lambda before, out: ATEN.elu.out(before, 1.6732632, 1.0507010, out=out),
        _elu_backward(1.6732632, 1.0507010),
        floor=-60.0,
    ),
}


class _Layer:
    """A linear layer and its activation, their tensors looked up once for all steps."""

    def __init__(self, linear: nn.Linear) -> None:
        self.weight, self.bias = linear.weight.detach(), linear.bias.detach()
        self.weight_t = self.weight.t()
        self.weight_gradient, self.bias_gradient = linear.weight.grad, linear.bias.grad
        self.n_in, self.n_out = linear.in_features, linear.out_features
        self.elementwise: _Elementwise | None = None
        self.slope = 1.0
        self.underflows = False


class _Workspace:
    """Where a layer works on a batch of some size: its buffers, and views of them.

    Attributes
    ----------
    before, after : Tensor of shape (n_samples, n_out)
        What comes before and after the activation, one buffer if that will do.
    gradient, gradient_t : Tensor of shape (n_samples, n_in), and its transpose
        Of what the layer is given.
    ones : Tensor of shape (n_samples,)
        Times which a matrix is the sum of its rows, in half the time.
    turn : bool
        Whether the activation sees transposes, which oneDNN leaves to torch.
    seen : pair of Tensor
        What it sees of ``before`` and ``after``.
    """

    def __init__(self, layer: _Layer, n_samples: int) -> None:
        self.before = self.after = layer.weight.new_empty(n_samples, layer.n_out)
        if layer.elementwise is not None and not layer.elementwise.in_place:
            self.after = torch.empty_like(self.before)
        self.gradient = layer.weight.new_empty(n_samples, layer.n_in)
        self.gradient_t = self.gradient.t()
        self.ones = layer.weight.new_ones(n_samples)
        self.turn = self.before.numel() < _SMALL
        self.seen = self.before, self.after
        if self.turn:
            self.seen = self.before.t(), self.after.t()


_Workspaces: TypeAlias = list[tuple[_Layer, _Workspace]]


class _StackBackprop:
    """A stack of linear layers and activations, with the anchor beside it if any."""

    def __init__(self, part: Anchored | nn.Sequential) -> None:
        self.anchored = type(part) is Anchored
        if type(part) is Anchored:
            self.anchor, self.anchor_t = part.linear, part.linear.t()
            self.offset = part.offset
        self.layers: list[_Layer] = []
        for module in layers_of(part):
            if isinstance(module, nn.Linear):
                self.layers.append(_Layer(module))
            elif not isinstance(module, nn.Identity):
                self.layers[-1].elementwise = elementwise = _ELEMENTWISE[type(module)]
                self.layers[-1].slope = elementwise.slope
        self._workspaces: dict[int, tuple[_Workspaces, _Workspaces]] = {}
        self._transposed: tuple[Tensor | None, Tensor | None] = None, None

    def _workspaces_for(self, n_samples: int) -> tuple[_Workspaces, _Workspaces]:
        """Layers with their workspaces; batches have two sizes at most, a row apart."""
        if n_samples not in self._workspaces:
            workspaces = [
                (layer, _Workspace(layer, n_samples)) for layer in self.layers
            ]
            self._workspaces[n_samples] = workspaces, workspaces[::-1]
        return self._workspaces[n_samples]

    def _transpose(self, gradient):
        """Return its transpose; it is mostly the same buffer as a step ago."""
        if gradient is not self._transposed[0]:
            self._transposed = gradient, gradient.t()
        return self._transposed[1]

    def forward(self, x: Tensor) -> Tensor:
        workspaces, _ = self._workspaces_for(x.shape[0])
        self.input = values = x
        for layer, buffers in workspaces:
            by = layer.slope
            torch.addmm(
                layer.bias,
                values,
                layer.weight_t,
                beta=by,
                alpha=by,
                out=buffers.before,
            )
            if layer.elementwise is not None:
                before, after = buffers.seen
                if layer.underflows:
                    _threshold(before, layer.elementwise.floor, _UNDER)
                layer.elementwise.forward(before, out=after)
            values = buffers.after
        if self.anchored:
            self.linear_part = torch.addmm(self.offset, x, self.anchor_t)
            values.add_(self.linear_part)
        return values

    def avoid_underflow(self) -> None:
        """From now on, let the derivative be zero where it is next to nothing.

        For the layers in which that has happened in the last batch of some size.
        """
        for layers, _ in self._workspaces.values():
            for layer, buffers in layers:
                elementwise = layer.elementwise
                if elementwise is not None and elementwise.floor > -math.inf:
                    layer.underflows |= bool(buffers.before.min() < elementwise.floor)

    def backward(self, output_gradient: Tensor, to_input: bool = True) -> Tensor:
        """Fill the layers' gradients; return that of the input if asked ``to_input``.

        The gradient of the output is left as it is.
        """
        _, workspaces = self._workspaces_for(output_gradient.shape[0])
        gradient, gradient_t = output_gradient, self._transpose(output_gradient)
        for i, (layer, buffers) in enumerate(workspaces, 1):
            if layer.elementwise is not None:
                seen = gradient_t if buffers.turn else gradient
                layer.elementwise.backward(seen, *buffers.seen)
            is_first = i == len(workspaces)
            below = self.input if is_first else workspaces[i][1].after
            torch.mm(gradient_t, below, out=layer.weight_gradient)
            torch.mv(gradient_t, buffers.ones, out=layer.bias_gradient)
            if to_input or not is_first:
                torch.mm(gradient, layer.weight, out=buffers.gradient)
                gradient, gradient_t = buffers.gradient, buffers.gradient_t
        if to_input and self.anchored:
            gradient.addmm_(output_gradient, self.anchor)
        return gradient


class DenseBackprop:
    """Forward and backward of a dense autoencoder, its encoder and decoder apart.

    Parameters
    ----------
    network : AutoEncoder
        Its parameters have their gradients in place.
    """

    def __init__(self, network: AutoEncoder) -> None:
        self.encoder = _StackBackprop(network.encoder)
        self.decoder = _StackBackprop(network.decoder)

    @staticmethod
    def handles(network: AutoEncoder) -> bool:
        """Whether all layers of the network are known here."""
        return all(
            isinstance(module, nn.Linear | nn.Identity) or type(module) in _ELEMENTWISE
            for layers in network.layers
            for module in layers
        ) and all(isinstance(layers, Layers) for layers in network.layers)

    def avoid_underflow(self) -> None:
        """Keep gradients from becoming subnormal in later steps."""
        self.encoder.avoid_underflow()
        self.decoder.avoid_underflow()

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, in a buffer that may be changed."""
        return self.encoder.forward(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return the output, in a buffer that may be changed."""
        return self.decoder.forward(z)
