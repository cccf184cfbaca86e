"""Contracts: what a part of each kind is given, and what it must return.

You need not inherit from these classes: any object with the methods is a part.
`skae.check_part` tests the methods of your own part.

``x`` is a batch of scaled rows, (batch, n_features), float32, centred and with about
unit variance. ``z`` holds their codes, (batch, n_components). ``h`` is the output of
the encoder, (batch, n_outputs); its first columns are the codes. All are on the device
of the training. ``rng`` is a `numpy.random.Generator` of the fit.

Every part must draw random numbers from ``rng`` alone, must not change its arguments or
its own parameters, and can be pickled and cloned.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from .parameters import Parameters

__all__ = ["Corruption", "Latent", "LossFunction", "Network", "Penalty", "Shape"]


class Shape(NamedTuple):
    """Widths of a row, of a code, and of the encoder's output."""

    n_features: int
    n_components: int
    n_outputs: int


@runtime_checkable
class Corruption(Protocol):
    """A corruption of rows in training, which the network learns to undo."""

    def corrupt(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the corrupted batch: a new tensor of the same shape, dtype, device."""
        ...


@runtime_checkable
class Penalty(Protocol):
    """A penalty on codes, added to the reconstruction error.

    Two attributes are optional, and count as true if they are missing:
    ``needs_encoder``, whether ``encode`` is called, and ``keeps_axes``, whether a
    rotation of the codes would change the cost.
    """

    def penalize(
        self,
        z: Tensor,
        x: Tensor,
        encode: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the cost of each row, (batch,), differentiable with respect to ``z``.

        The unit is that of the loss: if the mean is the reconstruction, the loss is
        about one.
        """
        ...


class LossFunction(Protocol):
    """The loss to minimise: the error of rows, given the decoder's raw output."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, (batch,), differentiable in ``output``.

        Losses of all values, (batch, n_features), and the mean over a batch are
        accepted too. ``target`` holds scaled rows, in the units of the output.
        """
        ...


class Latent(Protocol):
    """What a code is: a point, or a distribution."""

    #: Whether the codes' axes have a meaning, so that codes must not be rotated.
    keeps_axes: bool
    #: Whether a divergence from the prior is added to the loss.
    has_kl: bool

    def n_outputs(self, n_components: int) -> int:
        """Return the number of columns that the encoder has to output."""
        ...

    def draw(self, h: Tensor, rng: np.random.Generator) -> Tensor:
        """Return codes for training, (batch, n_components)."""
        ...

    def linear(
        self, encoder: np.ndarray, decoder: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return linear encoder and decoder, and the encoder's offset, to start from.

        The arguments are the encoder and decoder for codes that are points, of shape
        (n_components, n_features) and its transpose, and the variance of these codes.
        """
        ...

    def prior(
        self, n_components: int, encode: Callable[[], np.ndarray], seed: int
    ) -> dict[str, np.ndarray] | None:
        """Return a mixture of normal distributions to sample from, or None.

        The dict has arrays ``weights`` (n,), ``means`` (n, n_components) and
        ``covariances`` (n, n_components, n_components).
        """
        ...


class Network(Protocol):
    """A builder of encoder and decoder."""

    def check(self, params: Parameters, n_features: int) -> None:
        """Raise ValueError if parameters of the estimator do not suit the network."""
        ...

    def hidden_layer_sizes(
        self, n_samples: int, n_features: int, n_components: int
    ) -> tuple[int, ...]:
        """Return the value of ``hidden_layer_sizes="auto"``."""
        ...

    def starts_plain(self, link: str | tuple[Any, ...]) -> bool:
        """Whether the network starts plain, not as PCA."""
        ...

    def build(
        self,
        shape: Shape,
        hidden: tuple[int, ...],
        activation: str | Callable[..., Any],
        seed: int,
    ) -> tuple[torch.nn.Sequential, torch.nn.Sequential, int]:
        """Return encoder, decoder and the width of the widest layer.

        ``shape`` is (n_features, n_components, n_outputs). Encoder and decoder must
        begin and end with a linear layer, so that codes can be rotated and the output
        can take any value.
        """
        ...
