"""Torch module: a fitted autoencoder as a plain module, for rows in units of ``X``.

Scaling, network, code transform and link are ordinary layers. No layer branches on
values, so compilers can trace them all. Rows and codes far out are multiplied by a
factor, which is one for all others.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch import Tensor, nn
from torch.nn.utils import skip_init

from .._data.scaling import FARTHEST
from .._nn.autoencoder import Anchored, Faded
from .._nn.layers import Dropout, Transposed
from .._nn.seeded_modules import UserModule
from .._parts.column_links import ColumnLinks, Projections, link_of
from .._runtime.isolation import isolated
from .code_transform import FARTHEST_CODE
from .codec import float32_scaling, from_numpy
from .fitted_state import FittedState

__all__ = [
    "Anchor",
    "ColumnLayers",
    "Exp",
    "FadingAnchor",
    "FirstColumns",
    "KeepConstant",
    "Lengthen",
    "ScaleRows",
    "Shorten",
    "Tied",
    "TorchAutoEncoder",
    "UnscaleRows",
    "Within",
    "to_torch",
]


class TorchAutoEncoder(nn.Module):
    """The module that `AutoEncoderTransformer.to_torch` returns.

    Parameters
    ----------
    encoder : nn.Sequential
        Maps rows (batch, n_features) in units of ``X`` to codes (batch, n_components).
    decoder : nn.Sequential
        Maps codes to rows in units of ``X``.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstructions of rows."""
        return self.decoder(self.encoder(x))


class ScaleRows(nn.Module):
    """Computes ``(x - mean) * factor + rest``, clipped to `FARTHEST`.

    If float32 cannot represent mean and factor, they are float64, and ``narrow`` is the
    dtype of the output. Otherwise ``narrow`` is None.
    """

    mean: Tensor
    factor: Tensor
    rest: Tensor

    def __init__(
        self,
        mean: Tensor,
        factor: Tensor,
        rest: Tensor,
        narrow: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("factor", factor)
        self.register_buffer("rest", rest)
        self.narrow = narrow

    def forward(self, x: Tensor) -> Tensor:
        # Zero times infinity would be NaN.
        largest = torch.finfo(self.mean.dtype).max
        x = (x.to(self.mean.dtype) - self.mean).clamp(-largest, largest)
        x = (x * self.factor + self.rest).clamp(-FARTHEST, FARTHEST)
        return x if self.narrow is None else x.to(self.narrow)


class UnscaleRows(nn.Module):
    """Computes ``x * scale + mean``. For ``narrow`` see `ScaleRows`."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self, mean: Tensor, scale: Tensor, narrow: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.narrow = narrow

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.mean.dtype) * self.scale + self.mean
        return x if self.narrow is None else x.to(self.narrow)


class KeepConstant(nn.Module):
    """Sets constant features to their values."""

    constant: Tensor
    value: Tensor

    def __init__(self, constant: Tensor, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("constant", constant)
        self.register_buffer("value", value)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.constant, self.value, x)


class FirstColumns(nn.Module):
    """Selects the codes, which are the encoder's first outputs."""

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.n_columns = n_columns

    def forward(self, x: Tensor) -> Tensor:
        return x[:, : self.n_columns]


class Anchor(nn.Module):
    """Computes the same as `_nn.autoencoder.Anchored` in evaluation mode.

    Parameters
    ----------
    linear : nn.Linear
    correction : nn.Module
    trust_radius : Tensor of shape ()
    """

    trust_radius: Tensor

    def __init__(
        self, linear: nn.Linear, correction: nn.Module, trust_radius: Tensor
    ) -> None:
        super().__init__()
        self.linear = linear
        self.correction = correction
        self.register_buffer("trust_radius", trust_radius)

    def fade(self, x: Tensor) -> Tensor:
        """Return factors (batch, 1) that shorten rows beyond the radius to it."""
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        return (self.trust_radius / norm.clamp(min=1e-30)).clamp(max=1.0)

    def forward(self, x: Tensor) -> Tensor:
        fade = self.fade(x)
        return self.linear(x) + fade * self.correction(fade * x)


class FadingAnchor(Anchor):
    """Computes the same as `_nn.autoencoder.Faded` in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        fade = self.fade(x)
        of_map = (1 - fade**4) * self.linear(x)
        return of_map + fade**3 * self.correction(fade * x)


class Shorten(nn.Module):
    """Shortens, centres and whitens codes, as `CodeTransform` does.

    Parameters
    ----------
    origin, scale : Tensor of shape (n_components,)
    radius : float
        Length from which on lengths grow logarithmically.
    """

    origin: Tensor
    scale: Tensor

    def __init__(self, origin: Tensor, scale: Tensor, radius: float) -> None:
        super().__init__()
        self.register_buffer("origin", origin)
        self.register_buffer("scale", scale)
        self.radius = radius

    def forward(self, z: Tensor) -> Tensor:
        if self.radius < np.inf:
            ratio = self.ratio(z)
            z = z * ((ratio.log() + 1) / ratio)
        return (z - self.origin) / self.scale

    def ratio(self, z: Tensor) -> Tensor:
        """Return lengths divided by the radius (batch, 1), at least 1."""
        norm = torch.linalg.vector_norm(z, dim=1, keepdim=True)
        return (norm / self.radius).clamp(min=1.0)


class Lengthen(Shorten):
    """The inverse of `Shorten`."""

    def forward(self, codes: Tensor) -> Tensor:
        z = codes * self.scale + self.origin
        if self.radius == np.inf:
            return z
        z = z.clamp(-FARTHEST_CODE, FARTHEST_CODE)
        ratio = self.ratio(z)
        highest = np.log(FARTHEST_CODE / self.radius).item()
        return z * ((ratio - 1).clamp(max=highest).exp() / ratio)


class Tied(nn.Module):
    """Linear layer with the transposed weight of another layer, and its own bias.

    Parameters
    ----------
    tied_to : nn.Linear
        The other layer. The weight is one parameter of both.
    n_in : int
        Number of inputs, which are the first outputs of the other layer.
    bias : nn.Parameter of shape (n_out,)
    """

    def __init__(self, tied_to: nn.Linear, n_in: int, bias: Tensor) -> None:
        super().__init__()
        self.weight = tied_to.weight
        self.n_in = n_in
        self.bias = bias

    def forward(self, z: Tensor) -> Tensor:
        return nn.functional.linear(z, self.weight[: self.n_in].t(), self.bias)


class Exp(nn.Module):
    """The link "exp"."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(max=50.0).exp()


class Within(nn.Module):
    """Clips values to a range, and may divide them by their sum.

    Parameters
    ----------
    low, high : Tensor of shape (n_columns,)
    sums_to_one : bool
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor, sums_to_one: bool) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)
        self.sums_to_one = sums_to_one

    def forward(self, x: Tensor) -> Tensor:
        x = x.clamp(self.low, self.high)
        return x / x.sum(dim=1, keepdim=True) if self.sums_to_one else x


class ColumnLayers(nn.Module):
    """Applies each of several layers to its own columns.

    Parameters
    ----------
    layers : list of nn.Module
    columns : list of list of int
        The columns of each layer. Each column belongs to one layer.
    """

    order: Tensor

    def __init__(
        self, layers: Sequence[nn.Module], columns: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        for i, of_layer in enumerate(columns):
            self.register_buffer(f"columns_{i}", torch.tensor(of_layer))
        order = torch.tensor([column for part in columns for column in part])
        self.register_buffer("order", order.argsort())

    def columns(self, i: int) -> Tensor:
        """Return the columns of layer ``i``, as a tensor."""
        return getattr(self, f"columns_{i}")

    def forward(self, x: Tensor) -> Tensor:
        values = [
            layer(x.index_select(1, self.columns(i)))
            for i, layer in enumerate(self.layers)
        ]
        return torch.cat(values, dim=1).index_select(1, self.order)


_LINKS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
    "exp": Exp,
    "softmax": lambda: nn.Softmax(dim=-1),
}


@isolated
def to_torch(state: FittedState, dtype: DTypeLike | torch.dtype) -> TorchAutoEncoder:
    """Return a `TorchAutoEncoder` in evaluation mode, with copies of all weights.

    Parameters
    ----------
    state : FittedState
    dtype : str, numpy.dtype or torch.dtype
        float32 or float64.

    Raises
    ------
    ValueError
        If the dtype is another one.
    """
    held = _check_dtype(dtype)
    scaling, link = state.scaling, state.link
    with torch.inference_mode(False):
        network = from_numpy(state.architecture, state.weights, held)
        shown = _code_transform(state.code_transform, held)
        encoder: OrderedDict[str, nn.Module] = OrderedDict(scale=_scale(scaling, held))
        encoder["network"] = _plain(network.encoder)
        if state.architecture.n_outputs > network.n_components:
            encoder["first"] = FirstColumns(network.n_components)
        encoder["shorten"] = Shorten(*shown)
        decoder: OrderedDict[str, nn.Module] = OrderedDict(lengthen=Lengthen(*shown))
        decoder["network"] = _plain(network.decoder)
        links = link_of(link)
        if links.is_scaled(network.n_features).all():
            decoder["unscale"] = _unscale(scaling, held)
            if isinstance(links, Projections):
                decoder["project"] = _projections(links, network.n_features, held)
        else:
            decoder["link"] = _link(link, scaling, held)
        # A column of a group that sums to 1 cannot be set alone.
        sums = links.sums_to_one(network.n_features)
        constant = scaling.constant & ~sums
        if constant.any():
            mean = torch.tensor(scaling.mean, dtype=held)
            decoder["constant"] = KeepConstant(torch.tensor(constant), mean)
        ways = nn.Sequential(encoder), nn.Sequential(decoder)
        return TorchAutoEncoder(*ways).eval()


def _check_dtype(dtype: Any) -> torch.dtype:
    try:
        name = str(dtype).removeprefix("torch.")
        name = name if isinstance(dtype, torch.dtype) else np.dtype(dtype).name
    except TypeError:
        name = None
    if dtype is None or name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    return getattr(torch, name)


def _scale(scaling, dtype):
    of_float32 = float32_scaling(scaling) if dtype == torch.float32 else None
    if of_float32 is not None:
        mean, factor, rest = of_float32
        mean = torch.zeros_like(rest) if mean is None else mean
        return ScaleRows(mean.clone(), factor.clone(), rest.clone())
    factor = torch.tensor(np.where(scaling.constant, 0.0, 1 / scaling.scale))
    mean = torch.tensor(scaling.mean)
    narrow = dtype if dtype == torch.float32 else None
    return ScaleRows(mean, factor, torch.zeros_like(mean), narrow)


def _unscale(scaling, dtype):
    is_held = dtype == torch.float64 or float32_scaling(scaling) is not None
    narrow, dtype = (None, dtype) if is_held else (dtype, torch.float64)
    mean, scale = (torch.tensor(v, dtype=dtype) for v in (scaling.mean, scaling.scale))
    return UnscaleRows(mean, scale, narrow)


def _link(link, scaling, dtype):
    if isinstance(link, str):
        return _LINKS[link]()
    layers: list[nn.Module] = []
    columns = []
    links = link_of(link)
    assert isinstance(links, ColumnLinks)
    for name, part, units in links.joined():
        layer = _LINKS[name]()
        if name == "identity":
            layer = _unscale(scaling.of(part), dtype)
        elif (units != 1).any():
            scale = torch.tensor(units, dtype=dtype)
            layer = nn.Sequential(layer, UnscaleRows(torch.zeros_like(scale), scale))
        layers.append(layer)
        columns.append(part)
    return ColumnLayers(layers, columns)


def _projections(links, n_features, dtype):
    layers: list[nn.Module] = []
    columns, others = [], set(range(n_features))
    for part, *bounds, sums_to_one in links.bounds():
        low, high = (torch.tensor(bound, dtype=dtype) for bound in bounds)
        layers.append(Within(low, high, sums_to_one))
        columns.append(part)
        others -= set(part)
    if others:
        layers.append(nn.Identity())
        columns.append(sorted(others))
    return ColumnLayers(layers, columns)


def _code_transform(code_transform, dtype):
    origin = torch.tensor(code_transform.origin, dtype=dtype)
    if code_transform.scale is None:
        scale = torch.ones_like(origin)
    else:
        scale = torch.tensor(code_transform.scale, dtype=dtype)
    return origin, scale, float(code_transform.radius)


def _plain(module):
    """Return a module of a fitted network without the parts that only fits need."""
    if isinstance(module, Anchored):
        linear = _linear(module.linear, module.offset)
        if module.correction is None:
            return linear
        kind = FadingAnchor if isinstance(module, Faded) else Anchor
        return kind(linear, _plain(module.correction), module.trust_radius)
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*map(_plain, module))
    if isinstance(module, UserModule):
        return module.module
    if isinstance(module, Dropout):
        return nn.Dropout(module.share)
    if isinstance(module, Transposed):
        return Tied(module.tied_to, module.n_in, module.bias)
    if isinstance(module, nn.Linear) and type(module) is not nn.Linear:
        return _linear(module.weight, module.bias)
    return module


def _linear(weight, bias):
    """Return a linear layer with copies of parameters, not initialised at random."""
    n_out, n_in = weight.shape
    layer = skip_init(nn.Linear, n_in, n_out)
    layer.weight, layer.bias = (
        nn.Parameter(t.detach().clone(memory_format=torch.contiguous_format))
        for t in (weight, bias)
    )
    return layer
