"""Outliers: rows moved outward, for a network to learn what to do far from its data.

A network that has only seen rows like the training rows may answer anything for others:
the nonlinear parts of encoder and decoder, which cancel inside, go separate ways. So a
part of each batch is moved along its rays from the mean, or gets a spike in one
feature, as a sentinel or a wrong unit makes in real tables, and has to be reconstructed
as well as where it came from, in proportion.
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

# Part of the rows that are moved, and of these the part that gets a spike.
_PART = 1 / 16
_SPIKED = 1 / 4
# Part of the variance left by the linear start under which they count for less.
_LITTLE_LEFT = 0.2


@dataclass(frozen=True)
class Outliers:
    """How far rows are moved outward while training, and from when on.

    Attributes
    ----------
    radius : float
        How far from the mean, at most.
    spikes : ndarray of shape (2 * n_features,)
        From `spike_distribution`.
    basis : Tensor of shape (n_all_features, n_features) or None
        What the values of rows are coordinates on, if not the features.
    begin : float
        Part of the training after which rows are moved.
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
        """Return inputs with outliers, and the factors of each batch's.

        Parameters are those of `augment_outliers`, ``x`` is written on; ``progress`` is
        the part of the training that is over before each batch.
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
    """Move some rows of each of several batches outward, in place.

    Those are its first rows, which come in random order. The first of them get a spike,
    the others are stretched.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_features)
        Rows of the batches, which lie one after another. Spiked ones become what their
        reconstruction, divided by their factor, is to be compared with.
    inputs : Tensor of shape (n_samples, n_features)
        What is encoded.
    sizes : list of int
        Rows of each batch.
    radius : float
    spikes : ndarray of shape (2 * n_features,)
        From `spike_distribution`.
    rng : numpy.random.Generator
    basis : Tensor of shape (n_features, n_axes), optional
        What the values of rows are coordinates on, if not the features.
    augmented : ndarray of bool of shape (n_batches,), default=True
        In which batches rows are moved.

    Returns
    -------
    factors : list of Tensor of shape (n_outliers, 1)
        For each batch, by which its rows were moved.
    """
    rows, is_spiked, n_outliers = _draw(np.array(sizes), rng, augmented)
    # Their places, since a GPU would have to be asked for those where a mask is true.
    places = rows, np.flatnonzero(~is_spiked), np.flatnonzero(is_spiked)
    rows, on_rays, off = (torch.from_numpy(v).to(x.device) for v in places)
    before = x[rows]
    factors = stretch(before, radius, rng)
    added = spike(before[off], factors[off], spikes, rng, basis)
    stretched, spiked = rows[on_rays], rows[off]
    inputs[stretched] = inputs[stretched] * factors[on_rays]
    inputs[spiked] = inputs[spiked] + added
    # What they are compared with does not lie on their way from the mean.
    x[spiked] = (before[off] + added) / factors[off]
    return factors.split(n_outliers.tolist())


def _draw(sizes, rng, augmented):
    """Draw which rows are moved, whether they get a spike, and how many of each batch.

    A sixteenth of its rows on average, and never all; a quarter of these.
    """
    n_outliers = (_PART * sizes + rng.random(len(sizes))).astype(int)
    n_outliers = np.where(augmented, np.minimum(n_outliers, sizes - 1), 0)
    n_spiked = (_SPIKED * n_outliers + rng.random(len(sizes))).astype(int)
    place = np.concatenate([np.arange(n) for n in n_outliers])  # in its batch
    rows = np.repeat(np.cumsum(sizes) - sizes, n_outliers) + place
    return rows, place < np.repeat(n_spiked, n_outliers), n_outliers


def stretch(x: Tensor, radius: float, rng: np.random.Generator) -> Tensor:
    """Draw a factor for each row, (n_samples, 1), up to that of the radius.

    Their logarithms are uniform: each distance on the way counts alike.
    """
    distance = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    exponent = torch.from_numpy(rng.random((x.shape[0], 1), dtype="float32"))
    farthest = (radius / distance.clamp(min=1e-6)).clamp(min=1.0)
    return farthest ** exponent.to(x.device)


def outlier_weight(unexplained: float) -> float:
    """Return what outliers count for, by the part of the variance left to explain.

    Their errors are of the size of the rows, whatever is left: where that is little,
    they would drown it.
    """
    return min(1.0, unexplained / _LITTLE_LEFT)


def spike_distribution(x: Floats) -> Floats:
    """How probable a spike is in each feature, to either side.

    Half evenly over all that vary, half in proportion to the square of the farthest
    value: what has had one is likely to have one again.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features)
        Scaled rows, not all of them zero.

    Returns
    -------
    spikes : ndarray of shape (2 * n_features,)
        The probabilities' running sum, up and down for each feature in turn.
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
    """Draw a spike for each row: a value of one feature, to be added to it.

    With it the row is as far from the mean as its factor says.

    Parameters
    ----------
    x : Tensor of shape (n_samples, n_features)
    factors : Tensor of shape (n_samples, 1)
    spikes : ndarray of shape (2 * n_features,)
        From `spike_distribution`.
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
