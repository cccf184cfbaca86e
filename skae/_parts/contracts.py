"""Contracts: what a part of each kind is given, and what it must return.

Nobody need inherit from these: a part is what has the methods. `skae.check_part` tries
them on a part of your own.

Shapes: ``x`` is a batch of scaled rows, (batch, n_features), float32, centred and of
about unit variance; ``z`` holds their codes, (batch, n_components); ``h`` is what the
encoder gives, (batch, n_outputs), its first columns the codes. All lie on the device
of the training. ``rng`` is a `numpy.random.Generator` of the fit.

What holds for every part: it draws random numbers from ``rng`` alone, leaves its
arguments and its own parameters as they are, and can be pickled and cloned.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from .parameters import Parameters

__all__ = ["Corruption", "Latent", "LossFunction", "Network", "Penalty"]


@runtime_checkable
class Corruption(Protocol):
    """What is done to rows in training, to be undone by the network."""

    def corrupt(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the batch corrupted: another tensor of its shape, dtype, device."""
        ...


@runtime_checkable
class Penalty(Protocol):
    """What codes cost besides their error.

    Two attributes are optional, and taken for true where they are missing:
    ``needs_encoder``, whether ``encode`` is called, and ``keeps_axes``, whether turning
    the codes would change the cost.
    """

    def penalize(
        self,
        z: Tensor,
        x: Tensor,
        encode: Callable[[Tensor], Tensor],
        rng: np.random.Generator,
    ) -> Tensor:
        """Return the cost of each row, (batch,), differentiable with respect to ``z``.

        In units of the loss, whose mean over features is about one for a reconstruction
        by the mean.
        """
        ...


class LossFunction(Protocol):
    """What is minimised: the error of rows, given the decoder's raw output."""

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, (batch,), differentiable in ``output``.

        Losses of all values, (batch, n_features), and the mean over a batch are taken
        too. ``target`` is in the units of the output: scaled rows.
        """
        ...


class Latent(Protocol):
    """What a code is: a point, or a distribution."""

    #: Whether the codes' axes mean something, so that they may not be turned.
    keeps_axes: bool
    #: Whether a divergence from the prior is to be added to the loss.
    has_kl: bool

    def n_outputs(self, n_components: int) -> int:
        """Return the number of columns that the encoder has to give."""
        ...

    def draw(self, h: Tensor, rng: np.random.Generator) -> Tensor:
        """Return codes for training, (batch, n_components)."""
        ...

    def linear(
        self, encoder: np.ndarray, decoder: np.ndarray, variance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return encoder, decoder and the encoder's offset to start from.

        Given those of points, (n_components, n_features) and its transpose, and the
        variance of the codes.
        """
        ...

    def prior(
        self, n_components: int, encode: Callable[[], np.ndarray], seed: int
    ) -> dict[str, np.ndarray] | None:
        """Return a mixture of normal distributions to sample from, or None.

        Arrays ``weights`` (n,), ``means`` (n, n_components) and ``covariances``
        (n, n_components, n_components).
        """
        ...


class Network(Protocol):
    """What builds encoder and decoder."""

    def check(self, params: Parameters, n_features: int) -> None:
        """Raise ValueError where parameters of the estimator do not suit it."""
        ...

    def hidden_layer_sizes(
        self, n_samples: int, n_features: int, n_components: int
    ) -> tuple[int, ...]:
        """Return what ``hidden_layer_sizes="auto"`` stands for."""
        ...

    def starts_plain(self, link: str) -> bool:
        """Whether a linear start is not for this network."""
        ...

    def build(
        self,
        shape: tuple[int, int, int],
        hidden: tuple[int, ...],
        activation: Any,
        seed: int,
    ) -> tuple[torch.nn.Sequential, torch.nn.Sequential, int]:
        """Return encoder, decoder and the widest layer's number of values a row.

        ``shape`` is (n_features, n_components, n_outputs). Both begin and end in a
        linear layer, so that codes can be turned and the output may take any value.
        """
        ...
