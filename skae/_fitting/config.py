"""Config: resolves every "auto" from the shape of the data.

The rules were chosen on MNIST and on real tables. docs/choices.md has the measurements.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._inference.fitted_state import FittedState
from .._nn.layers import Activation, check_activation
from .._parts.column_links import PlainLink
from .._parts.networks import Architecture, Conv, Dense, describe_network
from .._parts.parameters import Parameters
from .._parts.penalties import keeps_axes
from .._training.optimizers import SOLVERS

__all__ = ["Config", "Regime"]

# Number of optimiser steps of a training. It is enough for 60,000 images, and takes a
# second or two for small data. SOAP needs half of it. Measured in docs/choices.md,
# "Network and training".
_STEPS = 2_000
_STEPS_OF_SOAP = 1_000
# SOAP is used for tables of these sizes. For smaller and larger ones, AdamW was better.
_LEAST_SOAP_ROWS, _MOST_SOAP_ROWS = 500, 10_000
_MOST_SOAP_FEATURES = 256
# Smallest number of epochs, even for the largest data.
_LEAST_EPOCHS = 5
# For convolutional networks: the largest number of floating point operations for one
# row in all epochs, and the smallest number of epochs. An epoch of long signals costs
# two hundred times as much as one of small tables with dense layers, but few rows do
# not deserve more time for that. Measured in docs/choices.md, "Answering with PCA".
_ROW_FLOPS = 1.5e9
_LEAST_CONV_EPOCHS = 50
# Links whose networks are anchored to PCA. Links of mixed losses are, too.
_ANCHORED_LINKS = ("identity", "logistic")


@dataclass(frozen=True)
class Regime:
    """Values for link, initialisation and linearity, which may compete in a contest.

    Attributes
    ----------
    link : str or tuple
        The link, as `link_of` takes it.
    init : str
        "pca", "random", or "auto" for the default of the link.
    linearity : str or float
    """

    link: PlainLink
    init: str = "auto"
    linearity: str | float = "auto"


@dataclass(frozen=True)
class Config:
    """The parameters of the estimator with every "auto" resolved.

    The names are those of `AutoEncoderTransformer`.
    """

    n_features: int
    n_components: int
    n_outputs: int
    network: tuple[str, dict[str, Any]]
    init: str
    hidden_layer_sizes: tuple[int, ...]
    activation: Activation
    solver: str
    learning_rate_init: float
    learning_rate: str
    batch_size: int
    max_iter: float
    n_iter_no_change: float
    linearity: float
    supervision: float
    alpha: float
    tol: float

    @classmethod
    def of(
        cls,
        params: Parameters,
        n_samples: int,
        n_features: int,
        link: PlainLink,
        previous: FittedState | None,
        has_targets: bool = False,
        auto_solver: str | None = None,
    ) -> Self:
        """Resolve ``params`` from `check_slots` for ``n_samples`` training rows.

        If there is a ``previous`` fit, "auto" stands for the values of its network.
        ``has_targets`` says whether all training rows have a target. ``auto_solver`` is
        what ``solver="auto"`` stands for. By default it is SOAP where SOAP was better.
        See docs/choices.md, "SOAP".
        """
        before = None if previous is None else previous.architecture
        if before is not None and before.init == "linear":
            before = replace(before, init="pca")  # networks started as PCA

        def resolve(name: str, auto: Any) -> Any:
            if params.are_auto(name):
                return getattr(before, name, auto)
            return getattr(params, name)

        network, latent, penalty = params.network, params.latent, params.penalty
        n_components = params.n_components
        sizes = network.hidden_layer_sizes(n_samples, n_features, n_components)
        is_mixed = not isinstance(link, str)
        linear = (link == "identity" or is_mixed) and not latent.has_kl
        anchors = link in _ANCHORED_LINKS or is_mixed
        plain = not anchors or network.starts_plain(link)
        suits_soap = (
            type(network) is Dense
            and anchors
            and not latent.has_kl
            and _LEAST_SOAP_ROWS <= n_samples <= _MOST_SOAP_ROWS
            and n_features <= _MOST_SOAP_FEATURES
        )
        solver = resolve("solver", auto_solver or ("soap" if suits_soap else "adamw"))
        batch_size = _batch_size(n_samples, params.max_iter)
        batch_size = min(n_samples, resolve("batch_size", batch_size))
        is_timed = params.max_time is not None
        max_iter = resolve("max_iter", _epochs(n_samples, batch_size, is_timed, solver))
        return cls(
            n_features=n_features,
            n_components=n_components,
            n_outputs=latent.n_outputs(n_components),
            network=describe_network(network),
            # With other links a linear initialisation was not better than a random one.
            # See docs/choices.md, "Start and anchor".
            init=resolve("init", "random" if plain or keeps_axes(penalty) else "pca"),
            hidden_layer_sizes=check_widths(resolve("hidden_layer_sizes", sizes)),
            activation=check_activation(resolve("activation", "quick_gelu")),
            solver=solver,
            learning_rate_init=resolve(
                # Codes that are drawn at random make gradients noisy.
                "learning_rate_init",
                SOLVERS[solver].default_lr * (0.5 if latent.has_kl else 1.0),
            ),
            learning_rate=resolve("learning_rate", "one_cycle"),
            batch_size=batch_size,
            max_iter=max_iter,
            n_iter_no_change=resolve(
                "n_iter_no_change",
                _patience(max_iter, has_targets, latent.has_kl),
            ),
            linearity=resolve("linearity", 1.2 if linear else 0.0),
            supervision=float(params.supervision),
            alpha=0.0 if isinstance(params.alpha, str) else params.alpha,
            tol=params.tol,
        )

    def with_capped_epochs(
        self, params: Parameters, row_flops: Callable[[], float], has_targets: bool
    ) -> Self:
        """Return a config with fewer epochs if convolutions make epochs expensive.

        Parameters
        ----------
        params : Parameters
            The parameters from which the config was resolved.
        row_flops : callable
            Returns the floating point operations of a training step with one row.
        has_targets : bool
            Whether all training rows have a target.
        """
        is_open = params.max_iter == "auto" and params.max_time is None
        if not is_open or type(params.network) is not Conv:
            return self
        most = max(_LEAST_CONV_EPOCHS, math.ceil(_ROW_FLOPS / row_flops()))
        if self.max_iter <= most:
            return self
        patience = self.n_iter_no_change
        if params.n_iter_no_change == "auto":
            patience = _patience(most, has_targets, params.latent.has_kl)
        return replace(self, max_iter=most, n_iter_no_change=patience)

    @property
    def architecture(self) -> Architecture:
        """Architecture of the network."""
        return Architecture(
            n_features=self.n_features,
            n_components=self.n_components,
            n_outputs=self.n_outputs,
            network=self.network,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            init=self.init,
        )


def _epochs(n_samples: int, batch_size: int, is_timed: bool, solver: str) -> float:
    """Return the number of epochs with enough steps, infinity with a time limit."""
    if is_timed:
        return math.inf
    n_steps = _STEPS_OF_SOAP if solver == "soap" else _STEPS
    return max(_LEAST_EPOCHS, math.ceil(n_steps / math.ceil(n_samples / batch_size)))


def _patience(max_iter: float, has_targets: bool, is_drawn: bool) -> float:
    """Return the patience: how many epochs in a row may bring no improvement.

    It is shorter if all rows have a target, because targets are overfitted. If few rows
    have one, their loss is too noisy for that. It is longer if codes are drawn, because
    improvements then show late.
    """
    if max_iter == math.inf:
        return math.inf
    part = 15 if has_targets else 5 if is_drawn else 10
    return max(10, max_iter // part)


def _batch_size(n_samples: int, max_iter: int | str) -> int:
    """Return 256 if an epoch then has 100 steps, and training enough; else 128."""
    n_steps = n_samples // 256
    few = not isinstance(max_iter, str) and max_iter * n_steps < _STEPS
    return 256 if n_steps >= 100 and not few else 128


def check_widths(sizes: ArrayLike) -> tuple[int, ...]:
    """Return ``hidden_layer_sizes`` as a tuple of int."""
    sizes = np.asarray(sizes)
    if (
        sizes.ndim > 1
        or sizes.size
        and (not np.issubdtype(sizes.dtype, np.integer) or sizes.min() < 1)
    ):
        raise ValueError(
            "hidden_layer_sizes must be integers of at least 1, got "
            f"{sizes.tolist()!r}."
        )
    return tuple(int(size) for size in sizes.reshape(-1))
