"""Dense networks in numpy for few rows, for which torch's overhead is too large.

Encoding a row of 784 features takes only as long as a few dozen calls of torch. So the
overhead around the matrix products matters: resetting torch's threads and settings, and
making tensors. numpy needs none of this. `Codec` handles all special cases in torch:
rows far from the data, other layers, other links.
"""

import math

import numpy as np
from scipy.special import erf
from torch import Tensor, nn

from .._data.scaling import Scaling, dense_rows
from .._nn.autoencoder import Anchored, AutoEncoder, Faded
from .._nn.layers import Dropout, QuickGELU
from .._parts.column_links import PlainLink, Projections, link_of
from .._typing import Floats, Rows
from .code_transform import CodeTransform

__all__ = ["FewRows"]

# Largest number of floating point operations to encode or to decode rows for which
# numpy is faster than torch.
_MOST_FLOPS = 4e6
# Largest length of scaled rows for which no operation here overflows float32.
_FAR = 1e10


class FewRows:
    """Encodes and decodes few rows of a fitted network.

    Each method returns None in cases that `Codec` has to handle in torch.

    Parameters
    ----------
    network : AutoEncoder
        Network on the CPU, in evaluation mode.
    scaling : Scaling
    float32_scaling : tuple or None
        Tensors for scaling in float32: mean or None, factor, and constant term.
    link : str or tuple
        The link of the loss; see `link_of`.
    transform : CodeTransform
        Transform from the network's codes to those that are returned.
    """

    def __init__(
        self,
        network: AutoEncoder,
        scaling: Scaling,
        float32_scaling: tuple[Tensor | None, Tensor, Tensor] | None,
        link: PlainLink,
        transform: CodeTransform,
    ) -> None:
        weights = network.state_dict().values()
        dtype = np.dtype(str(next(iter(weights)).dtype).removeprefix("torch."))
        self._most_rows = _MOST_FLOPS / sum(weight.numel() for weight in weights)
        self._encoder = _map(network.encoder, network.n_components)
        self._decoder = _map(network.decoder)
        if float32_scaling is not None:
            mean, factor, rest = float32_scaling
            self._mean = None if mean is None else mean.numpy()
            self._factor: Floats = factor.numpy()
            self._rest: Floats | None = rest.numpy()
        elif dtype == np.float64:
            self._mean, self._rest = scaling.mean, None
            self._factor = np.where(scaling.constant, 0.0, 1 / scaling.scale)
        else:  # float32 cannot represent the scale
            self._encoder = None
        self._link = _LINKS.get(link) if isinstance(link, str) else None
        links, self._project = link_of(link), None
        if isinstance(links, Projections):
            self._project = links.project
        elif not isinstance(link, str):
            self._link = _by_columns(links, scaling)
        self._output_scale = np.where(scaling.constant, 0.0, scaling.scale)
        self._output_mean = scaling.mean
        # A column of a group that sums to 1 cannot be set alone.
        sums = links.sums_to_one(network.n_features)
        constant = np.flatnonzero(scaling.constant & ~sums)
        self._constant = constant if len(constant) and link != "identity" else None
        self._origin = transform.origin.astype(dtype)
        self._unit = None if transform.scale is None else transform.scale.astype(dtype)
        self._radius = transform.radius

    def encode(self, X: Rows) -> Floats | None:
        """Return codes (n_samples, n_components) of rows (n_samples, n_features)."""
        if self._encoder is None or not 0 < X.shape[0] <= self._most_rows:
            return None
        X = dense_rows(X, slice(None))
        with np.errstate(all="ignore"):  # rows that overflow are far
            x = X if self._mean is None else X - self._mean
            x = x * self._factor
            if self._rest is not None:
                x += self._rest
            z = self._encoder(x)
            if z is None:
                return None
            length = _length(z)
            if not length <= self._radius:
                if not length <= _FAR:
                    return None
                z = _shorten(z, self._radius)
            z -= self._origin
            return z if self._unit is None else np.divide(z, self._unit, out=z)

    def decode(self, Z: Floats) -> Floats | None:
        """Return rows (n_samples, n_features) from codes (n_samples, n_components)."""
        if self._decoder is None or not 0 < len(Z) <= self._most_rows:
            return None
        with np.errstate(all="ignore"):
            z = Z if self._unit is None else Z * self._unit
            z = z + self._origin
            if not _length(z) <= self._radius:
                if self._radius < np.inf:
                    z = _lengthen(z, self._radius)
            x = self._decoder(z)
            return None if x is None else self._to_units(x)

    def _to_units(self, x):
        """Return rows in the units of ``X``, from the decoder's raw output."""
        if self._link is None:
            values = x * self._output_scale  # in float64, as the mean is
            values += self._output_mean
            values = values.astype(x.dtype, copy=False)
            if self._project is None:
                return values
            return self._set_constant(self._project(values))
        return self._set_constant(self._link(x))

    def _set_constant(self, values):
        if self._constant is not None:
            values[:, self._constant] = self._output_mean[self._constant]
        return values


def _by_columns(links, scaling):
    """Return a function of the decoder's output, for links of several columns."""
    mean, scale = scaling.mean, scaling.scale

    def run(x):
        for name, columns, units in links.joined():
            if name == "identity":
                x[:, columns] = x[:, columns] * scale[columns] + mean[columns]
            else:
                x[:, columns] = _LINKS[name](x[:, columns]) * units
        return x

    return run


def _length(x):
    """Return the norm of the whole batch, which bounds the norm of each row."""
    flat = x.ravel()
    return math.sqrt(np.dot(flat, flat))


def _lengths(z):
    return np.sqrt(np.einsum("ij,ij->i", z, z))[:, None]


def _shorten(z, radius):
    """Do what `code_transform.shorten` does, in numpy."""
    ratio = np.maximum(_lengths(z) / radius, 1)
    return z * ((np.log(ratio) + 1) / ratio).astype(z.dtype)


def _lengthen(z, radius):
    ratio = np.maximum(_lengths(z) / radius, 1)
    return z * (np.exp(ratio - 1) / ratio).astype(z.dtype)


def _map(module, n_outputs=None):
    """Return a function of rows for an encoder or a decoder, or None.

    The function returns None for rows far from the data.

    Parameters
    ----------
    module : nn.Module
    n_outputs : int or None
        Number of first columns to compute; None for all.
    """
    if not isinstance(module, Anchored):
        steps = _steps(module, n_outputs)

        def run_plain(x):
            return _run(steps, x) if _length(x) <= _FAR else None

        return None if steps is None else run_plain
    linear, offset, radius = (
        t.numpy() for t in (module.linear, module.offset, module.trust_radius)
    )
    linear, offset = linear[:n_outputs].T, offset[:n_outputs]
    nearest = min(radius.item(), _FAR)
    if module.correction is None:

        def project(x):
            if not _length(x) <= _FAR:
                return None
            x = np.dot(x, linear)
            x += offset
            return x

        return project
    steps = _steps(module.correction, n_outputs)
    if steps is None:
        return None
    is_faded = isinstance(module, Faded)

    def run(x):
        if not _length(x) <= nearest:
            return None
        if is_faded:
            return _run(steps, x)
        z = np.dot(x, linear)
        z += offset
        z += _run(steps, x)
        return z

    return run


def _run(steps, x):
    for step in steps:
        x = step(x)
    return x


def _steps(network, n_outputs):
    """Return functions for the layers of a stack, or None if one is not known here."""
    if not isinstance(network, nn.Sequential):
        return None
    steps = []
    for layer in network:
        if type(layer) in (Dropout, nn.Identity):
            continue
        if isinstance(layer, nn.Linear):
            last = n_outputs if layer is network[-1] else None
            steps.append(_affine(layer, last))
        elif isinstance(layer, nn.Sequential):
            inner = _steps(layer, n_outputs if layer is network[-1] else None)
            if inner is None:
                return None
            steps += inner
        elif type(layer) in _ACTIVATIONS and _is_usual(layer):
            steps.append(_ACTIVATIONS[type(layer)])
        else:
            return None
    return steps


def _is_usual(layer):
    """Whether an activation has its default arguments."""
    return repr(layer) == repr(type(layer)())


def _affine(layer, n_outputs):
    weight = layer.weight.detach().numpy()[:n_outputs].T
    bias = layer.bias.detach().numpy()[:n_outputs]

    def run(x):
        x = np.dot(x, weight)
        x += bias
        return x

    return run


# Activations. Each may overwrite its input, since no other code uses that array.


def _silu(x, slope=1.0):
    rest = x * -slope
    np.exp(rest, out=rest)
    rest += 1
    x /= rest
    return x


def _logistic(x):
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


def _gelu(x):
    x *= 0.5 * (1 + erf(x * 0.5**0.5)).astype(x.dtype)
    return x


def _elu(x, low=1.0, slope=1.0):
    under = np.expm1(np.minimum(x, 0))
    under *= low * slope
    np.maximum(x, 0, out=x)
    x *= slope
    x += under
    return x


def _softplus(x):
    return np.logaddexp(x, 0, out=x)


def _softmax(x):
    x -= x.max(axis=1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=1, keepdims=True)
    return x


def _relu(x):
    return np.maximum(x, 0, out=x)


def _tanh(x):
    return np.tanh(x, out=x)


# All links except the identity, for which outputs are in units of the scaled rows.
_LINKS = {
    "logistic": _logistic,
    "tanh": _tanh,
    "relu": _relu,
    "softplus": _softplus,
    "exp": lambda x: np.exp(np.minimum(x, 50, out=x), out=x),
    "softmax": _softmax,
}
_ACTIVATIONS = {
    QuickGELU: lambda x: _silu(x, QuickGELU.slope),
    nn.ELU: _elu,
    nn.GELU: _gelu,
    nn.LeakyReLU: lambda x: np.maximum(x, 0.01 * x, out=x),
    nn.ReLU: _relu,
    nn.SELU: lambda x: _elu(x, 1.6732632423543772, 1.0507009873554805),
    nn.SiLU: _silu,
    nn.Sigmoid: _logistic,
    nn.Softplus: _softplus,
    nn.Tanh: _tanh,
}
