"""Dense networks: forward and backward passes without autograd.

With autograd, a step of a small network mostly does bookkeeping, and a step of a large
one mostly allocates memory. Here each product writes into a buffer that the next step
reuses, and gradients are written where the optimizer reads them. The results are those
of autograd. Measured in docs/choices.md, "Speed of a step".
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

# From this number of values on, oneDNN's GELU is faster in spite of its setup time.
_SMALL = 2**14
# A number so far below every floor that all derivatives are zero.
_UNDER = -1e4
# Kernels are looked up once, because look-ups take much of a small network's step.
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
    """An activation, given by its forward and backward kernels.

    ``forward(before, out=after)`` computes the output of the activation from its input.
    ``backward(gradient, before, after)`` turns the gradient of the output into that of
    the input, in place. ``in_place``: whether ``backward`` does not need the input. The
    input is given multiplied by ``slope``. For inputs below the ``floor`` the
    derivative is nearly zero. Its product with a gradient may be a subnormal number.
    Some CPUs take a hundred times as long with those; see docs/choices.md, "Threads".
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
    """A linear layer and its activation, with tensors looked up once for all steps."""

    def __init__(self, linear: nn.Linear) -> None:
        self.weight, self.bias = linear.weight.detach(), linear.bias.detach()
        self.weight_t = self.weight.t()
        self.weight_gradient, self.bias_gradient = linear.weight.grad, linear.bias.grad
        self.n_in, self.n_out = linear.in_features, linear.out_features
        self.elementwise: _Elementwise | None = None
        self.slope = 1.0
        self.underflows = False


class _Workspace:
    """The buffers of a layer for batches of one size, and views of them.

    Attributes
    ----------
    before, after : Tensor of shape (n_samples, n_out)
        Input and output of the activation. They share a buffer if the activation works
        in place.
    gradient, gradient_t : Tensor of shape (n_samples, n_in), and its transpose
        Gradient of the layer's input.
    ones : Tensor of shape (n_samples,)
        The sum of a matrix's rows is its product with these, which takes half the time
        of a sum.
    turn : bool
        Whether the activation gets transposed tensors. For these torch uses its own
        kernels instead of oneDNN's.
    seen : pair of Tensor
        The tensors that the activation gets: ``before`` and ``after``, or their
        transposes.
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
    """A stack of linear layers and activations, plus its anchor if it has one."""

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
        """Return layers with workspaces. Batches have at most two different sizes."""
        if n_samples not in self._workspaces:
            workspaces = [
                (layer, _Workspace(layer, n_samples)) for layer in self.layers
            ]
            self._workspaces[n_samples] = workspaces, workspaces[::-1]
        return self._workspaces[n_samples]

    def _transpose(self, gradient):
        """Return the transpose, cached because most steps use the same buffer."""
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
        """From now on, set derivatives to zero where they are nearly zero.

        This applies to layers in which the last batch of any size had inputs below the
        floor.
        """
        for layers, _ in self._workspaces.values():
            for layer, buffers in layers:
                elementwise = layer.elementwise
                if elementwise is not None and elementwise.floor > -math.inf:
                    layer.underflows |= bool(buffers.before.min() < elementwise.floor)

    def backward(self, output_gradient: Tensor, to_input: bool = True) -> Tensor:
        """Set the layers' gradients. If ``to_input``, return that of the input.

        ``output_gradient`` is not changed.
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
    """Forward and backward passes of a dense autoencoder, for encoder and decoder.

    Parameters
    ----------
    network : AutoEncoder
        A network whose parameters already have gradient tensors.
    """

    def __init__(self, network: AutoEncoder) -> None:
        self.encoder = _StackBackprop(network.encoder)
        self.decoder = _StackBackprop(network.decoder)

    @staticmethod
    def handles(network: AutoEncoder) -> bool:
        """Whether this class knows all layers of the network."""
        return all(
            isinstance(module, nn.Linear | nn.Identity) or type(module) in _ELEMENTWISE
            for layers in network.layers
            for module in layers
        ) and all(isinstance(layers, Layers) for layers in network.layers)

    def avoid_underflow(self) -> None:
        """Prevent subnormal numbers in the gradients of later steps."""
        self.encoder.avoid_underflow()
        self.decoder.avoid_underflow()

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, in a buffer that the caller may change."""
        return self.encoder.forward(x)

    def decode(self, z: Tensor) -> Tensor:
        """Return the output, in a buffer that the caller may change."""
        return self.decoder.forward(z)
