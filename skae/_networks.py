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

__all__ = ["ACTIVATIONS", "AutoEncoder", "initialise"]

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
    """

    def __init__(self, n_features, n_components, hidden_layer_sizes, activation):
        super().__init__()
        widths = [n_features, *hidden_layer_sizes, n_components]
        self.encoder = _dense(widths, activation)
        self.decoder = _dense(widths[::-1], activation)

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
    network.decoder[-1].bias.copy_(torch.from_numpy(output_start))
