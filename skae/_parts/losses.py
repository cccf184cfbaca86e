"""Losses, each with the link (output activation) that belongs to it.

A loss compares the decoder's raw output with the rows it should reconstruct, and gives
one number for each row. Training minimises their mean. The link turns the same raw
output into values of ``X``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._typing import Bools, Floats, Rows
from .base import check_row_values

__all__ = [
    "LINKS",
    "LOSSES",
    "Gradient",
    "Link",
    "Loss",
    "autograd_gradient",
    "check_loss",
]


class Gradient(Protocol):
    """The mean loss of inliers, and the gradient to the output; see `Loss`."""

    def __call__(
        self,
        output: Tensor,
        x: Tensor,
        n_outliers: int = 0,
        weights: Tensor | None = None,
    ) -> tuple[Tensor | float, Tensor]: ...


@dataclass(frozen=True)
class Link:
    """A link function, as in generalised linear models.

    ``inverse`` maps the decoder's raw output, a tensor, to values of ``X``. ``link``
    maps values, an array, back to the output. ``derivative`` is the derivative of the
    inverse, as a function of the value.
    """

    inverse: Callable[[Tensor], Tensor]
    link: Callable[[Floats], Floats]
    derivative: Callable[[Floats], Floats]
    #: Open range of values in which the link is finite.
    low: float = -np.inf
    high: float = np.inf

    def start(self, mean: Floats) -> Floats:
        """Return the output (n_features,) whose reconstruction is about ``mean``."""
        return self.link(np.clip(mean, self.low, self.high))

    def slope(self, mean: Floats) -> Floats:
        """Return the derivative at `start`, at least a tenth of the largest one.

        It is infinite where the output cannot start as a linear map of the codes.
        """
        slope = self.derivative(np.clip(mean, self.low, self.high))
        slope = np.maximum(slope, 0.1 * slope.max())
        return np.where(slope > 0, slope, np.inf)


def _softmax(output):
    return torch.softmax(output, dim=-1)


def _exp(output):
    # exp(50) is far above any count that float32 can tell from its neighbour.
    return output.clamp(max=50.0).exp()


def _logit(value):
    return np.log(value) - np.log1p(-value)


def _logistic_derivative(value):
    return value * (1 - value)


def _softplus_inverse(value):
    return value + np.log(-np.expm1(-value))


def _identity(value):
    return value


_TINY = 1e-3
# A multiple of this number of rows is shared equally by up to as many threads.
_EVEN_ROWS = 16

LINKS = {
    # Its output is in units of the scaled data, whose mean is zero.
    "identity": Link(_identity, np.zeros_like, np.ones_like),
    "logistic": Link(torch.sigmoid, _logit, _logistic_derivative, _TINY, 1 - _TINY),
    "tanh": Link(torch.tanh, np.arctanh, lambda v: 1 - v**2, _TINY - 1, 1 - _TINY),
    "relu": Link(torch.relu, _identity, np.ones_like, low=_TINY),
    "softplus": Link(F.softplus, _softplus_inverse, lambda v: -np.expm1(-v), low=_TINY),
    # A step that is small near the mean is huge far from it: start with a flat output.
    "exp": Link(_exp, np.log, lambda v: np.full_like(v, np.inf), low=_TINY),
    "softmax": Link(_softmax, np.log, _logistic_derivative, low=1e-6),
}


def autograd_gradient(function: Callable[..., Tensor]) -> Gradient:
    """Return the gradient function of a loss of rows, by autograd; see `Loss`."""

    def gradient(
        output: Tensor, x: Tensor, n_outliers: int = 0, weights: Tensor | None = None
    ) -> tuple[Tensor | float, Tensor]:
        output = output.detach().requires_grad_()
        with torch.enable_grad():
            losses = function(output, x)
            if weights is not None:
                losses = losses * weights[:, 0]
            mean = losses.mean()
        (slope,) = torch.autograd.grad(mean, output)
        value = losses.detach()[n_outliers:].mean() if n_outliers else mean.detach()
        return value, slope.contiguous()  # the gradient of a sum is one repeated number

    return gradient


def _mean_over_features(compare):
    """Return a loss of rows, (batch,), from one of torch's."""

    def loss(output, target):
        return compare(output, target, reduction="none").mean(dim=1)

    return loss


def _squared_error_gradient(fraction: float, mean: Tensor, scale: Tensor) -> Gradient:
    def gradient(
        output: Tensor, x: Tensor, n_outliers: int = 0, weights: Tensor | None = None
    ) -> tuple[Tensor | float, Tensor]:
        difference = output.sub_(x)
        inliers = difference[n_outliers:] if n_outliers else difference
        if weights is not None:
            squares = inliers.square().mul_(weights[n_outliers:])
            value = fraction * _total(squares) / inliers.numel()
            difference.mul_(weights)
        else:
            # As fast as a dot product, which gives other last digits with more threads.
            norm = _number(torch.linalg.vector_norm(inliers))
            value = fraction * norm * norm / inliers.numel()
        return value, difference.mul_(_factor(2 * fraction / difference.numel()))

    return gradient


def _sigmoid(output: Tensor, out: Tensor) -> None:
    """Write the logistic function of an output, bit for bit the same for any threads.

    Each thread gets an equal share of the values. The last values of a share do not
    fill a vector instruction, and are computed in another way. So the rows that would
    make shares uneven are computed separately; they are too few for a second thread.
    """
    n_even = len(output) - len(output) % _EVEN_ROWS
    torch.sigmoid(output[:n_even], out=out[:n_even])
    if n_even < len(output):
        torch.sigmoid(output[n_even:], out=out[n_even:])


class _LogLossGradient:
    """The gradient of the cross-entropy, with as few passes over memory as possible.

    Targets are multiplied by the factor of the gradient, and buffers are used again.
    """

    def __init__(self, fraction: float, mean: Tensor, scale: Tensor) -> None:
        self.fraction, self.mean, self.scale = fraction, mean, scale
        # Batches have two sizes at most, a row apart.
        self._buffers: dict[int, tuple[Any, ...]] = {}

    def __call__(
        self,
        output: Tensor,
        x: Tensor,
        n_outliers: int = 0,
        weights: Tensor | None = None,
    ) -> tuple[Tensor | float, Tensor]:
        if weights is not None:
            return self._weighted(output, x, n_outliers, weights)
        # ``n_outliers`` is 0: with bounded outputs, no rows are made outliers.
        factor, mean, scale, minus_target, probability, product = self._buffers_for(x)
        torch.addcmul(mean, x, scale, out=minus_target)
        _sigmoid(output, probability)
        p = probability.view(-1)
        # log(1 + exp(y)) - y t, the first part as max(y, 0) - log(max(p, 1 - p)).
        value = _total(torch.mul(output, minus_target, out=product))
        gradient = torch.add(minus_target, probability, alpha=factor, out=minus_target)
        value += factor * _total(output.relu_())
        y = output.view(-1)
        larger = torch.maximum(p, torch.sub(_factor(1.0), p, out=y), out=y)
        return value - factor * _sum_of_logs(larger), gradient

    def _weighted(
        self, output: Tensor, x: Tensor, n_outliers: int, weights: Tensor
    ) -> tuple[Tensor | float, Tensor]:
        """Do the same for rows with weights, without buffers."""
        target = torch.addcmul(self.mean, x, self.scale)
        losses = F.binary_cross_entropy_with_logits(output, target, reduction="none")
        losses = losses.mul_(weights)[n_outliers:]
        gradient = torch.empty_like(output)
        _sigmoid(output, gradient)
        gradient.sub_(target).mul_(weights).mul_(self.fraction / output.numel())
        return self.fraction * _total(losses) / losses.numel(), gradient

    def _buffers_for(self, x: Tensor) -> tuple[Any, ...]:
        """Return the factor, minus the factor times mean and scale, and buffers."""
        if x.shape[0] not in self._buffers:
            factor = self.fraction / x.numel()
            self._buffers[x.shape[0]] = (
                factor,
                -factor * self.mean,
                -factor * self.scale,
                torch.empty_like(x),
                torch.empty_like(x),
                torch.empty_like(x),
            )
        return self._buffers[x.shape[0]]


@lru_cache(64)
def _factor(value: float) -> Tensor:
    """Return a number as a tensor: multiplying by it takes half the time."""
    return torch.tensor(value, dtype=torch.float32, device="cpu")


def _number(value: Tensor) -> Tensor | float:
    """Return a number, which is faster, or the tensor of a GPU, to avoid waiting."""
    return value.item() if value.is_cpu else value


def _total(values: Tensor) -> Tensor | float:
    """Return the sum of a matrix, row by row.

    Any number of threads gives the same bits.
    """
    return _number(values.sum(dim=1).sum())


def _sum_of_logs(values: Tensor) -> Tensor | float:
    """Return the sum of the logarithms of values between 0.5 and 1.

    Logarithms are slow. So products of up to 64 values, which stay above 2**-64, are
    computed first.
    """
    n_factors = math.gcd(values.shape[0], 64)
    logs = values.view(n_factors, -1).prod(dim=0).log_()
    # No logarithm is positive, so the L1 norm is minus the sum. Unlike a sum, it is the
    # same for any number of threads.
    return -_number(torch.linalg.vector_norm(logs, ord=1))


def _kl_divergence(output, target):
    target = _without_rounding(target)
    log_q = torch.log_softmax(output, dim=-1)
    return (torch.xlogy(target, target) - target * log_q).sum(dim=1)


def _poisson(output, target):
    target = _without_rounding(target)
    # Half the Poisson deviance: zero for a perfect reconstruction, never negative.
    rate = _exp(output)
    log_rate = output.clamp(max=50.0)
    deviance = rate - target - target * log_rate + torch.xlogy(target, target)
    return deviance.mean(dim=1)


def _without_rounding(target):
    """Return counts or shares without tiny negative values from scaling."""
    return target.clamp(min=0.0)  # logarithms need values above zero


def _anything(X: Rows) -> None:
    """Accept every finite ``X``."""


def _non_negative(X: Rows) -> None:
    low = X.min()
    if low < 0:
        # The first words are those that scikit-learn's checks look for.
        raise ValueError(
            f"Negative values in data passed to AutoEncoderTransformer, down to "
            f"{low:g}: this loss needs values >= 0. Scale the data, or use "
            "loss='squared_error'."
        )


def _unit_interval(X: Rows) -> None:
    _non_negative(X)
    high = X.max()
    if high > 1:
        raise ValueError(
            f"loss='log_loss' needs values in [0, 1], got a maximum of {high:g}. Put "
            "a MinMaxScaler(clip=True) before the autoencoder, or use "
            "loss='squared_error'."
        )


def _distributions(X: Rows) -> None:
    _non_negative(X)
    sums = np.ravel(X.sum(axis=1, dtype=np.float64))  # a column, of a sparse matrix
    worst = np.abs(sums - 1).argmax()
    if abs(sums[worst] - 1) > 1e-3:
        raise ValueError(
            "loss='kl_divergence' needs rows that are distributions and sum to 1, "
            f"but row {worst} sums to {sums[worst]:g}. Put a Normalizer(norm='l1') "
            "before the autoencoder."
        )


def _everywhere(values: Floats) -> Bools:
    return np.full(np.shape(values), True)


def _at_the_bounds(values: Floats) -> Bools:
    return np.isin(values, (0.0, 1.0))


def _nowhere(values: Floats) -> Bools:
    return np.full(np.shape(values), False)


@dataclass(frozen=True)
class Loss:
    """A loss, its link and the data it is made for.

    ``canonical`` losses take the raw output and compare it with ``X`` in its own
    units; the link is part of their formula. The others compare the linked output with
    ``X``, both in units of the scaled data.

    ``function(output, target)`` returns the loss of each row, (batch,).

    ``closed_form(share, mean, scale)`` returns a function of (output, x, n_outliers=0).
    It takes rows ``x`` as the network sees them; ``mean`` and ``scale`` convert them to
    units of ``X``. It returns ``share`` times the mean loss, without the first
    ``n_outliers`` rows, and the gradient of the output for all rows. It may overwrite
    the output. If ``closed_form`` is None, autograd computes the gradient.

    ``vanishes(values)`` returns, for each value, whether the loss of an exact
    reconstruction is zero.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    link: str = "identity"
    canonical: bool = False
    check_data: Callable[[Rows], None] = _anything
    closed_form: Callable[[float, Tensor, Tensor], Gradient] | None = None
    vanishes: Callable[[Floats], Bools] = _everywhere

    def check_gaps(self) -> None:
        """Raise an error if the loss compares whole rows, without missing entries."""
        if self.canonical and self.link == "softmax":
            raise ValueError(
                "loss='kl_divergence' compares rows as a whole, and cannot leave out "
                "missing entries. Fill them first, for example with a KNNImputer, or "
                "use loss='squared_error'."
            )

    @property
    def non_negative(self) -> bool:
        """Whether negative values raise an error."""
        return self.check_data is not _anything

    @property
    def compares_with_pca(self) -> bool:
        """Whether PCA's reconstruction has a loss of this kind too."""
        return not self.canonical

    def target_units(self, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and scale that turn scaled rows into targets."""
        return mean, scale


LOSSES = {
    "squared_error": Loss(
        _mean_over_features(F.mse_loss), closed_form=_squared_error_gradient
    ),
    "absolute_error": Loss(_mean_over_features(F.l1_loss)),
    "huber": Loss(_mean_over_features(F.huber_loss)),
    "log_loss": Loss(
        _mean_over_features(F.binary_cross_entropy_with_logits),
        "logistic",
        canonical=True,
        check_data=_unit_interval,
        closed_form=_LogLossGradient,
        vanishes=_at_the_bounds,
    ),
    "kl_divergence": Loss(
        _kl_divergence, "softmax", True, _distributions, vanishes=_nowhere
    ),
    "poisson": Loss(_poisson, "exp", True, _non_negative),
}


def check_loss(
    loss: str | Callable[..., Any], output_activation: str
) -> tuple[Loss, str]:
    """Resolve ``loss`` and ``output_activation`` to a `Loss` and the link's name."""
    resolved = _own_loss(loss) if callable(loss) else LOSSES[loss]
    if output_activation == "auto":
        return resolved, resolved.link
    if resolved.canonical and output_activation != resolved.link:
        raise ValueError(
            f"loss={loss!r} goes with output_activation={resolved.link!r}, got "
            f"{output_activation!r}. Leave output_activation='auto', or choose "
            "loss='squared_error', 'absolute_error' or 'huber'."
        )
    return resolved, output_activation


def _own_loss(function):
    """Return a `Loss` for a user's function of (output, target)."""
    if isinstance(function, type):
        raise TypeError(
            f"loss must be a function or an object, not the class: pass "
            f"{function.__name__}()."
        )

    def loss(output, target):
        # A copy, so that a function cannot change the targets.
        losses = _of_rows(function, output, target.clone())
        losses = check_row_values(f"loss={function!r}", losses, len(target))
        if output.requires_grad and not losses.requires_grad:
            raise TypeError(
                f"loss={function!r} must depend on its first argument, the output, "
                "through torch operations."
            )
        return losses

    return Loss(loss, vanishes=_nowhere)


def _of_rows(function, output, target):
    """Return the loss of each row, from a function of values, of rows or of a batch.

    torch's losses are functions of values with ``reduction="none"``, and of a batch
    without.
    """
    losses = function(output, target)
    if not isinstance(losses, torch.Tensor):
        return losses
    if losses.ndim == 0:
        losses = torch.vmap(function)(output, target)  # each row a batch of its own
    return losses.mean(dim=1) if losses.shape == output.shape else losses
