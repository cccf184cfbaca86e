"""Model: an encoder and a decoder, optionally anchored to linear maps.

``x`` is a batch of scaled rows, (batch, n_features). ``z`` is the codes of these rows,
(batch, n_components): the first columns of the encoder's output.
"""

import math
from collections.abc import Iterator
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from .._linear.pca import LinearStart
from .._typing import Floats
from .layers import Rescaling, Transposed, Turn, Weighted

__all__ = ["Anchored", "AutoEncoder", "anchor", "initialise", "layers_of", "step_flops"]


#: Types of the last layer of an encoder or a decoder.
Output: TypeAlias = nn.Linear | Rescaling | Transposed


class Anchored(nn.Module):
    """A fixed linear map plus a correction that fades far from the data.

    ``A x + s f(s x) + offset`` with s = min(1, radius / |x|). A row beyond the trust
    radius is scaled back to that radius before f is applied, and the correction is
    multiplied by s. In training it does not fade.

    Parameters
    ----------
    correction : nn.Sequential or None
        The network f from n_in to n_out values. None for the linear map alone.
    n_in, n_out : int
    """

    linear: Tensor
    offset: Tensor
    trust_radius: Tensor

    def __init__(self, correction: nn.Sequential | None, n_in: int, n_out: int) -> None:
        super().__init__()
        self.correction = correction
        self.register_buffer("linear", torch.zeros(n_out, n_in))
        self.register_buffer("offset", torch.zeros(n_out))
        self.register_buffer("trust_radius", torch.tensor(torch.inf))

    def anchor(self, x: Tensor) -> Tensor:
        """Return the linear part."""
        return torch.addmm(self.offset, x, self.linear.t())

    def forward(self, x: Tensor) -> Tensor:
        if self.correction is None:
            return self.anchor(x)
        norm = None if self.training else torch.linalg.vector_norm(x, dim=1)
        if norm is None or not (norm > self.trust_radius).any():
            return self.anchor(x).add_(self.correction(x))
        # The clamp avoids a division by zero for rows of zeros.
        fade = (self.trust_radius / norm[:, None].clamp(min=1e-30)).clamp(max=1.0)
        return self.anchor(x) + fade * self.correction(fade * x)


class Faded(Anchored):
    """A network that a linear map replaces far from the data.

    ``s^3 f(s x) + (1 - s^4) (A x + offset)`` with s = min(1, radius / |x|). Within the
    trust radius the output is the network's alone. Beyond it, the network's share falls
    quickly. For parameters see `Anchored`.
    """

    def forward(self, x: Tensor) -> Tensor:
        assert self.correction is not None
        norm = None if self.training else torch.linalg.vector_norm(x, dim=1)
        if norm is None or not (norm > self.trust_radius).any():
            return self.correction(x)
        fade = (self.trust_radius / norm[:, None].clamp(min=1e-30)).clamp(max=1.0)
        of_map = (1 - fade**4) * self.anchor(x)
        return of_map + fade**3 * self.correction(fade * x)


def layers_of(part: Anchored | nn.Sequential) -> nn.Sequential:
    """Return the layers of an encoder or a decoder. A linear map alone has none."""
    if isinstance(part, Anchored):
        return nn.Sequential() if part.correction is None else part.correction
    return part


class AutoEncoder(nn.Module):
    """An encoder and a decoder.

    Parameters
    ----------
    encoder, decoder : nn.Sequential or None
        Networks from rows to the encoder's output, whose first columns are the codes,
        and from codes to rows. None if there are only the linear maps.
    width : int
        Width of the widest layer.
    n_features, n_components, n_outputs : int
        Width of a row, of a code, and of the encoder's output, which has the codes and
        any other parameters of their distribution.
    init : {"pca", "random", "faded", "linear"}
        "pca": `Anchored` to linear maps; "random": plain; "faded": `Faded` to linear
        maps; "linear": nothing but the linear maps.
    """

    def __init__(
        self,
        encoder: nn.Sequential | None,
        decoder: nn.Sequential | None,
        width: int,
        n_features: int,
        n_components: int,
        n_outputs: int,
        init: str,
    ) -> None:
        super().__init__()
        self.n_features = n_features
        self.n_components = n_components
        self.init = init
        self.linear = init == "linear"
        self.width = width
        self.anchored = init != "random"
        self.encoder: Anchored | nn.Sequential
        self.decoder: Anchored | nn.Sequential
        if self.anchored:
            kind = Faded if init == "faded" else Anchored
            self.encoder = kind(encoder, n_features, n_outputs)
            self.decoder = kind(decoder, n_components, n_features)
        else:
            assert encoder is not None and decoder is not None
            self.encoder, self.decoder = encoder, decoder
        self.float()  # for any default dtype of torch

    @property
    def layers(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The layers of encoder and decoder, without their linear maps if any."""
        return layers_of(self.encoder), layers_of(self.decoder)

    @property
    def anchors(self) -> tuple[Anchored, Anchored]:
        """Encoder and decoder of a network that has linear maps."""
        encoder, decoder = self.encoder, self.decoder
        assert isinstance(encoder, Anchored) and isinstance(decoder, Anchored)
        return encoder, decoder

    def fade(self) -> None:
        """Make a plain network `Faded`, with linear maps that are zero at first."""
        n_features, n_components = self.n_features, self.n_components
        encoder, decoder = self.layers
        self.encoder = Faded(encoder, n_features, n_components)
        self.decoder = Faded(decoder, n_components, n_features)
        self.init, self.anchored = "faded", True

    def user_buffers(self) -> Iterator[Tensor]:
        """Yield the buffers that modules learn, such as running means."""
        for layers in self.layers:
            yield from filter(torch.is_floating_point, layers.buffers())

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, or the means of their distributions."""
        return self.encoder(x)[:, : self.n_components]

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encode(x))


@torch.no_grad()
def initialise(
    network: AutoEncoder, output_start: Floats, rng: np.random.Generator
) -> None:
    """Initialise weights as Glorot does, biases as zero, and the output bias as given.

    Users' modules are left as they are.

    Parameters
    ----------
    network : AutoEncoder
    output_start : ndarray of shape (n_features,)
        Bias of the last layer, so that training begins near the mean of the data for
        any link.
    rng : numpy.random.Generator
        A generator of numpy instead of torch, so that the draw is the same on every
        device.
    """
    encoder, decoder = network.layers
    for layer in (*encoder, *decoder):
        if not isinstance(layer, Weighted):
            continue
        if layer.bias is not None:
            layer.bias.zero_()
        if isinstance(layer, Turn):
            nn.init.eye_(layer.weight)
            continue
        n_in, n_out, *kernel = layer.weight.shape
        bound = (6 / ((n_in + n_out) * math.prod(kernel))) ** 0.5
        draw = rng.random(layer.weight.shape, dtype=np.float32)
        layer.weight.copy_(torch.from_numpy(bound * (2 * draw - 1)))
    of_codes, of_rows = (cast(Output, layers[-1]) for layers in (encoder, decoder))
    if network.anchored:
        of_codes.weight.zero_()
        of_rows.weight.zero_()
    of_rows.bias.copy_(torch.from_numpy(output_start))


@torch.no_grad()
def step_flops(network: AutoEncoder, n_samples: int) -> int:
    """Return the floating point operations of a training step with ``n_samples`` rows.

    Only products with weights count, once for each position in an image. A backward
    pass counts twice as much as a forward pass.
    """
    total = 0

    def count(layer: Weighted, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        places = min(math.prod(t.shape[2:]) for t in (inputs[0], output))
        total += 2 * layer.weight.numel() * places

    weighted = [layer for layer in network.modules() if isinstance(layer, Weighted)]
    hooks = [layer.register_forward_hook(count) for layer in weighted]
    if network.linear:  # two maps: to the code and back
        total = sum(2 * part.linear.numel() for part in network.anchors)
    else:
        network.eval()(next(network.parameters()).new_zeros(1, network.n_features))
    for hook in hooks:
        hook.remove()
    return 3 * n_samples * total


@torch.no_grad()
def anchor(network: AutoEncoder, start: LinearStart) -> None:
    """Set the linear maps and radii of an anchored network from a `LinearStart`."""
    encoder, decoder = network.anchors
    encoder.linear.copy_(torch.from_numpy(start.encoder))
    decoder.linear.copy_(torch.from_numpy(start.decoder))
    encoder.offset.copy_(torch.from_numpy(start.offset))
    encoder.trust_radius.fill_(start.row_trust_radius)
    decoder.trust_radius.fill_(start.code_trust_radius)
