"""Layers of networks.

No layer draws from torch's global generator, neither at construction nor in training.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from .._runtime.calls import n_required

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Dropout",
    "Elementwise",
    "FromImages",
    "Layers",
    "QuickGELU",
    "Rescaling",
    "ToImages",
    "Transposed",
    "Turn",
    "Weighted",
    "check_activation",
    "convolution",
    "make_activation",
    "stack",
    "turn",
]


#: A name, a class or a function that makes a layer, or a function of a tensor.
Activation: TypeAlias = str | Callable[..., Any]


class QuickGELU(nn.Module):
    """x logistic(1.702 x), which is nearly GELU (Hendrycks, Gimpel 2016).

    On a CPU it takes half the time of GELU, which takes a third of the time of a small
    network's step.
    """

    slope = 1.702

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.slope * x) / self.slope


ACTIVATIONS = {
    "identity": nn.Identity,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "quick_gelu": QuickGELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
}


# Functions that stand for the layers with these names.
_FUNCTIONS = {
    torch.relu: "relu",
    torch.tanh: "tanh",
    torch.sigmoid: "logistic",
    F.relu: "relu",
    F.leaky_relu: "leaky_relu",
    F.elu: "elu",
    F.selu: "selu",
    F.gelu: "gelu",
    F.silu: "silu",
    F.softplus: "softplus",
    F.tanh: "tanh",
    F.sigmoid: "logistic",
}
_NAMES = {layer: name for name, layer in ACTIVATIONS.items()} | _FUNCTIONS


class Elementwise(nn.Module):
    """A user's function as a layer.

    Parameters
    ----------
    function : callable
        A function from a tensor to a tensor of the same shape.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = [function]  # in a list, so that no module is registered

    @property
    def function(self) -> Callable[[Tensor], Tensor]:
        """The function."""
        return self._function[0]

    def forward(self, x: Tensor) -> Tensor:
        return self._function[0](x)


def check_activation(activation: Activation) -> Activation:
    """Return the name of an activation if it has one, otherwise the activation itself.

    Raises
    ------
    TypeError
        If it is a module with weights, which would leak from one fold to the next.
    """
    if isinstance(activation, str):
        return activation
    if isinstance(activation, nn.Module):
        if any(True for _ in activation.parameters()):
            raise TypeError(
                f"activation={activation!r} has weights, which would go from fold to "
                f"fold: pass the class, {type(activation).__name__}."
            )
        known = _NAMES.get(type(activation))
        if known and repr(activation) == repr(type(activation)()):
            return known  # it has the default arguments
        return activation
    return _NAMES.get(activation, activation)


def make_activation(activation: Activation) -> nn.Module:
    """Return a new layer.

    Parameters
    ----------
    activation : str or callable
        Key of ``ACTIVATIONS``; a class or a function without arguments that makes a
        layer; or a function of a tensor.
    """
    if isinstance(activation, str):
        return ACTIVATIONS[activation]()
    makes_layers = isinstance(activation, type) or n_required(activation, 2) == 0
    return activation() if makes_layers else Elementwise(activation)


# (number of axes, whether transposed) -> class of layer.
_CONVOLUTIONS = {
    (1, False): nn.Conv1d,
    (1, True): nn.ConvTranspose1d,
    (2, False): nn.Conv2d,
    (2, True): nn.ConvTranspose2d,
}
#: Layers with weights that have to be initialised.
Weighted: TypeAlias = (
    nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d
)


class Layers(nn.Sequential):
    """Linear layers and activations, one after the other."""


class Dropout(nn.Module):
    """Set random values to zero in training, and scale up the others to compensate.

    Unlike torch's layer it draws from the generator ``rng`` of the fit, not from a
    global generator.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.rng: np.random.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        assert self.rng is not None  # a fit has set it
        kept = torch.from_numpy(self.rng.random(x.shape, dtype="float32") >= self.share)
        return x * kept.to(x) / (1 - self.share)


class Rescaling(nn.Module):
    """A factor and a shift for each feature, after layers without them.

    Parameters
    ----------
    n_features : int
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, x, self.weight)


class Turn(nn.Linear):
    """A linear layer that is initialised as the identity."""


class Transposed(nn.Module):
    """A linear layer with the transposed weight of another layer, and its own bias.

    Its input is the first ``n_in`` outputs of the other layer.
    """

    def __init__(self, tied_to: nn.Linear, n_in: int) -> None:
        super().__init__()
        self._tied_to = [tied_to]  # in a list, so that it is not registered twice
        self.n_in = n_in
        self.bias = nn.Parameter(torch.zeros(tied_to.in_features))

    @property
    def tied_to(self) -> nn.Linear:
        """The other layer."""
        return self._tied_to[0]

    @property
    def weight(self) -> Tensor:
        return self._tied_to[0].weight[: self.n_in].t()

    def forward(self, z: Tensor) -> Tensor:
        return F.linear(z, self.weight, self.bias)


class ToImages(nn.Module):
    """Reshape flat rows, with channels last, to (batch, channels, ...)."""

    def __init__(self, size: Sequence[int], n_colours: int) -> None:
        super().__init__()
        self.shape = (*size, n_colours)

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape).movedim(-1, 1)


class FromImages(nn.Module):
    """Reshape images to flat rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1).flatten(1)


# skip_init, because the layers' default initialisation would draw from torch's global
# generator.
_linear = partial(skip_init, nn.Linear)


def turn(width: int) -> Turn:
    """Return a `Turn` layer for codes."""
    return skip_init(Turn, width, width)


def stack(
    widths: Sequence[int],
    between: Callable[[int], Iterable[nn.Module]],
    make: Callable[[int, int], nn.Module] = _linear,
) -> Layers:
    """Return linear layers of the ``widths``, with the layers ``between`` them."""
    layers = []
    for n_in, n_out in pairwise(widths[:-1]):
        layers += [make(n_in, n_out), *between(n_out)]
    return Layers(*layers, make(*widths[-2:]))


def convolution(
    n_in: int,
    n_out: int,
    kernel_size: int,
    size: Sequence[int],
    transposed: bool = False,
) -> nn.Module:
    """Return a layer that halves images of a ``size``, or one that undoes this."""
    options: dict[str, Any] = {"stride": 2, "padding": kernel_size // 2}
    if transposed:
        options["output_padding"] = tuple(1 - n % 2 for n in size)
    make = _CONVOLUTIONS[len(size), transposed]
    return skip_init(make, n_in, n_out, kernel_size, **options)
