"""Corruptions: changes to rows before they are encoded, which the decoder must undo.

A denoising autoencoder (Vincent et al. 2008) encodes a corrupted row and has to decode
the clean one. In training, each step corrupts rows again. Where losses are compared,
rows are always corrupted in the same way. The fitted estimator never corrupts rows.
Corruptions work on scaled rows, whose mean is zero.
"""

from collections.abc import Callable
from numbers import Real
from typing import TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from .._compat import Documented, Interval
from .._runtime.calls import call
from .base import resolve_part
from .contracts import Corruption

__all__ = [
    "CORRUPTIONS",
    "CorruptionLike",
    "GaussianNoise",
    "Masking",
    "SwapNoise",
    "check_corruption",
    "corrupt",
]

#: An object with a method `corrupt`, or a function with the same arguments.
CorruptionLike: TypeAlias = Corruption | Callable[..., Tensor]

_SHARE = {"share": [Interval(Real, 0, 1, closed="both")]}


class Masking(Documented, BaseEstimator):
    """Hide entries of rows, as if they were missing.

    Each entry is set to its feature's mean with probability ``share`` [1]_.

    Parameters
    ----------
    share : float in [0, 1], default=0.3
        Probability that an entry is hidden.

    References
    ----------
    .. [1] Vincent, Larochelle, Bengio, Manzagol (2008). Extracting and composing robust
       features with denoising autoencoders. ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoderTransformer, Masking
    >>> X, _ = load_digits(return_X_y=True)
    >>> noise = Masking(0.2)
    >>> ae = AutoEncoderTransformer(8, corruption=noise, max_iter=10, random_state=0)
    >>> ae.fit_transform(X).shape
    (1797, 8)
    """

    _parameter_constraints = _SHARE

    def __init__(self, share: float = 0.3) -> None:
        self.share = share

    def corrupt(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return a corrupted copy of rows.

        Parameters
        ----------
        x : Tensor of shape (batch, n_features)
        rng : numpy.random.Generator

        Returns
        -------
        corrupted : Tensor of shape (batch, n_features)
        """
        return x.masked_fill(_chosen(x, self.share, rng), 0.0)


class GaussianNoise(Documented, BaseEstimator):
    """Add noise of the normal distribution to each entry.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in units of the standard deviation of the data
        (of each feature with ``standardize=True``) [1]_.

    References
    ----------
    .. [1] Vincent et al. (2010). Stacked denoising autoencoders. JMLR 11.

    Examples
    --------
    >>> from skae import AutoEncoderTransformer, GaussianNoise
    >>> AutoEncoderTransformer(corruption=GaussianNoise(0.5))
    AutoEncoderTransformer(corruption=GaussianNoise(scale=0.5))
    """

    _parameter_constraints = {"scale": [Interval(Real, 0, 1e15, closed="both")]}

    def __init__(self, scale: float = 0.1) -> None:
        self.scale = scale

    def corrupt(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return a corrupted copy of rows; see `Masking.corrupt`."""
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype="float32"))
        return x.add(noise.to(x.device), alpha=self.scale)


class SwapNoise(Documented, BaseEstimator):
    """Replace entries by values from other rows, so that each value is a real one.

    Each entry is replaced with probability ``share`` by the value of the same feature
    in another row of the batch, drawn at random. This noise suits tables with features
    of different kinds and scales [1]_.

    Parameters
    ----------
    share : float in [0, 1], default=0.15
        Probability that an entry is replaced.

    References
    ----------
    .. [1] Jahrer (2018). 1st place solution of Porto Seguro's safe driver prediction.
       Kaggle.

    Examples
    --------
    >>> from skae import AutoEncoderTransformer, SwapNoise
    >>> AutoEncoderTransformer(corruption=SwapNoise())
    AutoEncoderTransformer(corruption=SwapNoise())
    """

    _parameter_constraints = _SHARE

    def __init__(self, share: float = 0.15) -> None:
        self.share = share

    def corrupt(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """Return a corrupted copy of rows; see `Masking.corrupt`."""
        n_samples = len(x)
        if n_samples == 1:
            return x.clone()  # there is no other row
        # One of the n - 1 rows that follow its own row cyclically.
        step = torch.from_numpy(rng.integers(1, n_samples, size=x.shape)).to(x.device)
        row = torch.arange(n_samples, device=x.device)[:, None]
        others = x.gather(0, (row + step) % n_samples)
        return torch.where(_chosen(x, self.share, rng), others, x)


def _chosen(x: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    chosen = rng.random(x.shape, dtype="float32") < share
    return torch.from_numpy(chosen).to(x.device)


#: name -> corruption with its defaults.
CORRUPTIONS = {
    "masking": Masking,
    "gaussian_noise": GaussianNoise,
    "swap_noise": SwapNoise,
}


def check_corruption(corruption: str | CorruptionLike | None) -> CorruptionLike | None:
    """Resolve a name to its corruption, and check that the parameters are valid."""
    return resolve_part("corruption", corruption, CORRUPTIONS)


def corrupt(
    corruption: CorruptionLike | None, x: Tensor, rng: np.random.Generator | None
) -> Tensor:
    """Return corrupted rows, after checks; ``x`` stays unchanged."""
    if corruption is None:
        return x
    assert rng is not None  # there is one where anything is drawn
    if hasattr(corruption, "corrupt"):
        result = corruption.corrupt(x.clone(), rng)
    else:
        result = call(corruption, x.clone(), rng)
    if not isinstance(result, torch.Tensor):
        found = type(result).__name__
    elif result.shape != x.shape or result.dtype != x.dtype:
        found = f"{result.dtype} of shape {tuple(result.shape)}"
    else:
        return result
    raise TypeError(
        f"corruption={corruption!r} must return a tensor like the one it gets, "
        f"{x.dtype} of shape {tuple(x.shape)}, got {found}."
    )


# Pickles name the public place, so that they survive a move of this file.
for _part in CORRUPTIONS.values():
    _part.__module__ = "skae"
