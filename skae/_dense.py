"""Dense: forward and backward through linear layers, without autograd.

A step of a small network is mostly bookkeeping, and a step of a large one spends its
time in fresh memory. Here each product writes into a buffer that the next step reuses,
and gradients land where the solver reads them. `autograd` would give the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ._layers import Layers
from ._model import Anchored

__all__ = ["DenseGradient"]

_aten = torch.ops.aten


@dataclass(frozen=True)
class _Elementwise:
    """An activation by its forward and backward kernels.

    ``forward(before, out=after)`` and ``backward(gradient, before, after)``, which
    turns the gradient of what comes after into that of what came before, in place.
    ``in_place`` if it has no need of what came before.
    """

    forward: Callable
    backward: Callable
    in_place: bool = False


def _relu(before, out):
    return torch.clamp_min(before, 0, out=out)


def _relu_backward(gradient, before, after):
    _aten.threshold_backward.grad_input(gradient, after, 0, grad_input=gradient)


def _leaky_relu_backward(gradient, before, after):
    _aten.leaky_relu_backward.grad_input(
        gradient, before, 0.01, False, grad_input=gradient
    )


def _gelu_backward(gradient, before, after):
    _aten.gelu_backward.grad_input(gradient, before, grad_input=gradient)


def _silu_backward(gradient, before, after):
    _aten.silu_backward.grad_input(gradient, before, grad_input=gradient)


def _softplus_backward(gradient, before, after):
    _aten.softplus_backward.grad_input(gradient, before, 1, 20, grad_input=gradient)


def _tanh_backward(gradient, before, after):
    _aten.tanh_backward.grad_input(gradient, after, grad_input=gradient)


def _logistic_backward(gradient, before, after):
    _aten.sigmoid_backward.grad_input(gradient, after, grad_input=gradient)


def _elu_backward(alpha, scale):
    def backward(gradient, before, after):
        _aten.elu_backward.grad_input(
            gradient, alpha, scale, 1, False, before, grad_input=gradient
        )

    return backward


_ELEMENTWISE = {
    nn.ReLU: _Elementwise(_relu, _relu_backward, in_place=True),
    nn.LeakyReLU: _Elementwise(_aten.leaky_relu.out, _leaky_relu_backward),
    nn.GELU: _Elementwise(_aten.gelu.out, _gelu_backward),
    nn.SiLU: _Elementwise(_aten.silu.out, _silu_backward),
    nn.Softplus: _Elementwise(_aten.softplus.out, _softplus_backward),
    nn.Tanh: _Elementwise(torch.tanh, _tanh_backward, in_place=True),
    nn.Sigmoid: _Elementwise(torch.sigmoid, _logistic_backward, in_place=True),
    nn.ELU: _Elementwise(_aten.elu.out, _elu_backward(1.0, 1.0)),
    nn.SELU: _Elementwise(
        lambda before, out: _aten.elu.out(before, 1.6732632, 1.0507010, out=out),
        _elu_backward(1.6732632, 1.0507010),
    ),
}


class _Layer:
    """A linear layer and its activation, their tensors looked up once for all steps."""

    def __init__(self, linear):
        self.weight, self.bias = linear.weight.detach(), linear.bias.detach()
        self.weight_t = self.weight.t()
        self.weight_gradient, self.bias_gradient = linear.weight.grad, linear.bias.grad
        self.n_out = linear.out_features
        self.elementwise = None

    def buffers(self, n_rows):
        """Room for what comes before and after the activation."""
        before = self.weight.new_empty(n_rows, self.n_out)
        if self.elementwise is None or self.elementwise.in_place:
            return before, before
        return before, torch.empty_like(before)


class _Chain:
    """A stack of linear layers and activations, with the anchor beside it if any."""

    def __init__(self, part):
        self.anchored = isinstance(part, Anchored)
        if self.anchored:
            self.anchor, self.anchor_t = part.linear, part.linear.t()
            self.offset = part.offset
            # Zero in a first fit; where a warm start goes on, it may not be.
            self.shift = part.centre if part.centre.any() else None
        self.layers = []
        for module in _layers(part):
            if isinstance(module, nn.Linear):
                self.layers.append(_Layer(module))
            elif not isinstance(module, nn.Identity):
                self.layers[-1].elementwise = _ELEMENTWISE[type(module)]
        self._buffers = {}

    def _buffers_for(self, x):
        """Buffers of a batch: before and after each activation, and gradients.

        Transposed gradients are views of them. Batches have two sizes at most, which
        differ by one row.
        """
        n_rows = x.shape[0]
        if n_rows not in self._buffers:
            values = [layer.buffers(n_rows) for layer in self.layers]
            inputs = [x, *(after for _, after in values[:-1])]
            gradients = [torch.empty_like(v) for v in inputs]
            transposed = [gradient.t() for gradient in gradients]
            self._buffers[n_rows] = values, gradients, transposed
        return self._buffers[n_rows]

    def forward(self, x):
        buffers, _, _ = self._buffers_for(x)
        if self.anchored and self.shift is not None:
            x = x - self.shift
        self.input = values = x
        for layer, (before, after) in zip(self.layers, buffers, strict=True):
            torch.addmm(layer.bias, values, layer.weight_t, out=before)
            if layer.elementwise is not None:
                layer.elementwise.forward(before, out=after)
            values = after
        if self.anchored:
            self.linear_part = torch.addmm(self.offset, x, self.anchor_t)
            values.add_(self.linear_part)
        return values

    def backward(self, output_gradient, to_input=True):
        """Fill the layers' gradients; return that of the input if asked ``to_input``.

        The gradient of the output is left as it is.
        """
        buffers, gradients, transposed = self._buffers_for(output_gradient)
        gradient, gradient_t = output_gradient, output_gradient.t()
        for i in reversed(range(len(self.layers))):
            layer, (before, after) = self.layers[i], buffers[i]
            if layer.elementwise is not None:
                layer.elementwise.backward(gradient, before, after)
            below = buffers[i - 1][1] if i else self.input
            torch.mm(gradient_t, below, out=layer.weight_gradient)
            torch.sum(gradient, 0, out=layer.bias_gradient)
            if i or to_input:
                gradient = torch.mm(gradient, layer.weight, out=gradients[i])
                gradient_t = transposed[i]
        if to_input and self.anchored:
            gradient.addmm_(output_gradient, self.anchor)
        return gradient


def _layers(part):
    return part.correction if isinstance(part, Anchored) else part


class DenseGradient:
    """Forward and backward of a dense autoencoder, its encoder and decoder apart.

    Parameters
    ----------
    network : AutoEncoder
        Its parameters have their gradients in place.
    """

    def __init__(self, network):
        self.encoder = _Chain(network.encoder)
        self.decoder = _Chain(network.decoder)

    @staticmethod
    def handles(network):
        """Whether all layers of the network are known here."""
        return all(
            isinstance(module, nn.Linear | nn.Identity) or type(module) in _ELEMENTWISE
            for layers in network.layers
            for module in layers
        ) and all(isinstance(layers, Layers) for layers in network.layers)

    def encode(self, x):
        """Return the codes, in a buffer that may be changed."""
        return self.encoder.forward(x)

    def decode(self, z):
        """Return the output, in a buffer that may be changed."""
        return self.decoder.forward(z)
