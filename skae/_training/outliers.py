"""Outliers: artificial far rows, to teach networks what to do far from the data.

The output of a network for rows far from its training rows can be arbitrary. The
nonlinear parts of encoder and decoder cancel each other near the training rows, but not
far away. So some rows of each batch are scaled away from the mean by a factor. Others
get a spike in one feature, such as a sentinel value or a wrong unit causes in real
tables. The error of such a row, divided by its factor, has to be as small as that of
other rows. Measured in docs/choices.md, "Far rows".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._typing import Bools, Floats

__all__ = [
    "Outliers",
    "augment_outliers",
    "outlier_weight",
    "spike",
    "spike_distribution",
    "stretch",
]

# Share of the rows that become outliers, and share of the outliers that get a spike.
# Measured in docs/choices.md, "Far rows".
_PART = 1 / 16
_SPIKED = 1 / 4
# Outliers count less if PCA leaves less than this share of the variance. Measured in
# docs/choices.md, "Far rows".
_LITTLE_LEFT = 0.2


@dataclass(frozen=True)
class Outliers:
    """How far rows are scaled away from the mean, and from which progress on.

    Attributes
    ----------
    radius : float
        Largest distance of an outlier from the mean, unless its row was farther.
    spikes : ndarray of shape (2 * n_features,)
        Cumulative probabilities from `spike_distribution`.
    basis : Tensor of shape (n_all_features, n_features) or None
        The basis, if the values of rows are coordinates instead of features.
    begin : float
        Share of the training after which outliers are made.
    """

    radius: float
    spikes: np.ndarray
    basis: torch.Tensor | None = None
    begin: float = 0.0

    def augment(
        self,
        x: Tensor,
        inputs: Tensor,
        sizes: list[int],
        rng: np.random.Generator,
        progress: Floats | float,
    ) -> tuple[Tensor, Sequence[Tensor] | None]:
        """Return inputs with outliers, and the factors of each batch's outliers.

        For parameters see `augment_outliers`. ``x`` is overwritten. ``progress`` is the
        share of the training that is over before each batch.
        """
        augmented = np.broadcast_to(progress >= self.begin, len(sizes))
        if not augmented.any():
            return inputs, None
        inputs = inputs.clone()  # it may be ``x``, or share its memory
        bounds = self.radius, self.spikes
        factors = augment_outliers(
            x, inputs, sizes, *bounds, rng, self.basis, augmented
        )
        return inputs, factors


def augment_outliers(
    x: Tensor,
    inputs: Tensor,
    sizes: list[int],
    radius: float,
    spikes: Floats,
    rng: np.random.Generator,
    basis: Tensor | None = None,
    augmented: Bools | bool = True,
) -> Sequence[Tensor]:
    """Turn some rows of each of several batches into outliers, in place.

    The first rows of each batch become outliers; rows are in random order. The first
    outliers get a spike, the others are scaled.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_features)
        Rows of all batches, one batch after another. A row that gets a spike is
        replaced by the target for its reconstruction divided by its factor.
    inputs : Tensor of shape (n_samples, n_features)
        Rows that are encoded.
    sizes : list of int
        Number of rows of each batch.
    radius : float
    spikes : ndarray of shape (2 * n_features,)
        Cumulative probabilities from `spike_distribution`.
    rng : numpy.random.Generator
    basis : Tensor of shape (n_features, n_axes), optional
        The basis, if the values of rows are coordinates instead of features.
    augmented : ndarray of bool of shape (n_batches,), default=True
        Which batches get outliers.

    Returns
    -------
    factors : list of Tensor of shape (n_outliers, 1)
        For each batch, the factors of its outliers.
    """
    rows, is_spiked, n_outliers = _draw(np.array(sizes), rng, augmented)
    # Indices instead of masks: to find the True values of a mask, one has to wait for a
    # GPU.
    places = rows, np.flatnonzero(~is_spiked), np.flatnonzero(is_spiked)
    rows, on_rays, off = (torch.from_numpy(v).to(x.device) for v in places)
    before = x[rows]
    factors = stretch(before, radius, rng)
    added = spike(before[off], factors[off], spikes, rng, basis)
    stretched, spiked = rows[on_rays], rows[off]
    inputs[stretched] = inputs[stretched] * factors[on_rays]
    inputs[spiked] = inputs[spiked] + added
    # With a spike the outlier is not a multiple of the row, so its target is set here.
    x[spiked] = (before[off] + added) / factors[off]
    return factors.split(n_outliers.tolist())


def _draw(sizes, rng, augmented):
    """Draw which rows become outliers, which of these get a spike, and the counts.

    In each batch a sixteenth of the rows on average, but never all, become outliers. A
    quarter of these get a spike.
    """
    n_outliers = (_PART * sizes + rng.random(len(sizes))).astype(int)
    n_outliers = np.where(augmented, np.minimum(n_outliers, sizes - 1), 0)
    n_spiked = (_SPIKED * n_outliers + rng.random(len(sizes))).astype(int)
    place = np.concatenate([np.arange(n) for n in n_outliers])  # in its batch
    rows = np.repeat(np.cumsum(sizes) - sizes, n_outliers) + place
    return rows, place < np.repeat(n_spiked, n_outliers), n_outliers


def stretch(x: Tensor, radius: float, rng: np.random.Generator) -> Tensor:
    """Draw a factor for each row, (n_samples, 1), that takes it up to the radius.

    The logarithms of the factors are uniform, so each order of magnitude of the
    distance is equally frequent.
    """
    distance = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    exponent = torch.from_numpy(rng.random((x.shape[0], 1), dtype="float32"))
    farthest = (radius / distance.clamp(min=1e-6)).clamp(min=1.0)
    return farthest ** exponent.to(x.device)


def outlier_weight(unexplained: float) -> float:
    """Return the weight of outliers, from the share of variance that PCA leaves.

    The errors of outliers are proportional to the norm of the rows. If PCA leaves
    little variance, outliers of full weight would dominate the loss.
    """
    return min(1.0, unexplained / _LITTLE_LEFT)


def spike_distribution(x: Floats) -> Floats:
    """Return the probability of a spike in each feature, up and down.

    Half of the probability is the same for all features that vary. The other half is
    proportional to the square of a feature's farthest value, because a feature with one
    far value is likely to have another in new rows.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features)
        Scaled rows, not all of them zero.

    Returns
    -------
    spikes : ndarray of shape (2 * n_features,)
        Cumulative probabilities, up and down for the first feature, then for the
        second, and so on.
    """
    farthest = np.stack([x.max(axis=0), -x.min(axis=0)], axis=1).ravel()
    varies = farthest > 0
    square = np.where(varies, farthest, 0.0) ** 2
    spikes = np.cumsum(varies / varies.sum() + square / square.sum())
    return spikes / spikes[-1]


def spike(
    x: Tensor,
    factors: Tensor,
    spikes: Floats,
    rng: np.random.Generator,
    basis: Tensor | None = None,
) -> Tensor:
    """Draw a spike for each row: a number to be added to one feature.

    With the spike the row is about ``factors`` times as far from the mean as before.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_features)
    factors : Tensor of shape (n_samples, 1)
    spikes : ndarray of shape (2 * n_features,)
        Cumulative probabilities from `spike_distribution`.
    rng : numpy.random.Generator
    basis : Tensor of shape (n_features, n_axes), optional
        See `augment_outliers`.

    Returns
    -------
    spikes : Tensor of shape (n_samples, n_features)
    """
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    height = length * (factors.square() - 1).clamp_(min=0).sqrt_()
    drawn = np.searchsorted(spikes, rng.random((x.shape[0], 1)), side="right")
    of_feature, is_down = np.divmod(drawn, 2)
    height *= torch.from_numpy((1 - 2 * is_down).astype(np.int8)).to(x.device)
    feature = torch.from_numpy(of_feature).to(x.device)
    if basis is not None:
        return basis[feature[:, 0]] * height
    return torch.zeros_like(x).scatter_(1, feature, height)
