"""Networks: the encoder and the decoder as torch modules.

``x`` is a batch of scaled rows, (batch, n_features), ``z`` its codes,
(batch, n_components). The layer that makes the code and the one that makes the output
are linear: a code may take any value, and the link belongs to the loss.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.utils import skip_init

__all__ = ["ACTIVATIONS", "Anchored", "AutoEncoder", "anchor", "initialise"]

ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}


def _dense(widths, activation):
    """Linear layers between the ``widths``, the activation between the layers."""
    layers = []
    for n_in, n_out in pairwise(widths):
        # skip_init: nn.Linear's own start would draw from torch's global generator.
        layers += [skip_init(nn.Linear, n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class Anchored(nn.Module):
    """A fixed linear map plus a correction that fades far from the data.

    ``A u + s f(s u) + offset`` with u = x - centre and s = min(1, radius / |u|). Beyond
    the radius the correction is that of the row on the way there, and less. While
    training it does not fade.

    Parameters
    ----------
    correction : nn.Sequential
        The network f, from n_in to n_out.
    n_in, n_out : int
    """

    def __init__(self, correction, n_in, n_out):
        super().__init__()
        self.correction = correction
        self.register_buffer("linear", torch.zeros(n_out, n_in))
        self.register_buffer("offset", torch.zeros(n_out))
        self.register_buffer("centre", torch.zeros(n_in))
        self.register_buffer("radius", torch.tensor(torch.inf))

    def anchor(self, x):
        """Return the linear part."""
        return torch.addmm(self.offset, x - self.centre, self.linear.t())

    def forward(self, x):
        u = x - self.centre
        if self.training:
            return self.anchor(x) + self.correction(u)
        norm = torch.linalg.vector_norm(u, dim=1, keepdim=True)
        # Rows of zeros have no direction to shrink along, so any small number will do.
        fade = (self.radius / norm.clamp(min=1e-30)).clamp(max=1.0)
        return self.anchor(x) + fade * self.correction(fade * u)


class AutoEncoder(nn.Module):
    """A dense encoder and the decoder that mirrors it.

    Parameters
    ----------
    n_features, n_components : int
        Width of a row and of a code.
    hidden_layer_sizes : tuple of int
        Widths of the encoder's hidden layers; the decoder has them in reverse.
    activation : str
        Key of ``ACTIVATIONS``.
    init : {"pca", "random"}
        Whether encoder and decoder are `Anchored` to linear maps.
    """

    def __init__(self, n_features, n_components, hidden_layer_sizes, activation, init):
        super().__init__()
        self.widths = [n_features, *hidden_layer_sizes, n_components]
        self.encoder = _dense(self.widths, activation)
        self.decoder = _dense(self.widths[::-1], activation)
        self.anchored = init == "pca"
        if self.anchored:
            self.encoder = Anchored(self.encoder, n_features, n_components)
            self.decoder = Anchored(self.decoder, n_components, n_features)

    def forward(self, x):
        return self.decoder(self.encoder(x))


@torch.no_grad()
def initialise(network, output_start, rng):
    """Fill the weights: Glorot's uniform draw, no biases, the output at its start.

    Parameters
    ----------
    network : AutoEncoder
    output_start : ndarray of shape (n_features,)
        Bias of the last layer, so that training begins near the mean of the data
        whatever the link.
    rng : numpy.random.Generator
        numpy's rather than torch's: the draw is the same for every device.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            draw = rng.random(layer.weight.shape, dtype=np.float32)
            layer.weight.copy_(torch.from_numpy(bound * (2 * draw - 1)))
            layer.bias.zero_()
    for part in (network.encoder, network.decoder):
        if network.anchored:
            part.correction[-1].weight.zero_()
    last = network.decoder.correction[-1] if network.anchored else network.decoder[-1]
    last.bias.copy_(torch.from_numpy(output_start))


@torch.no_grad()
def anchor(network, start):
    """Give an anchored network the linear maps and radii of a `LinearStart`."""
    encoder, decoder = network.encoder, network.decoder
    encoder.linear.copy_(torch.from_numpy(start.encoder))
    decoder.linear.copy_(torch.from_numpy(start.decoder))
    encoder.radius.fill_(start.row_radius)
    decoder.radius.fill_(start.code_radius)
