"""Outskirts: rows moved outward, for a network to learn what to do far from its data.

A network that has only seen rows like the training rows may answer anything for others:
the bend of the codes and the decoder's correction, which cancel inside, go separate
ways. So a part of each batch is moved along its rays from the mean, or has a feature
that breaks out, as a sentinel or a wrong unit does in real tables, and has to be
reconstructed as well as where it came from, in proportion. Where that was not learnt,
corrections fade from the outermost row on.
"""

import numpy as np
import torch

__all__ = [
    "fade_where_astray",
    "likely_breaks",
    "move",
    "moved_weight",
    "spike",
    "stretch",
]

# Part of the rows that are moved, and of these the part that breaks out in a feature.
_PART = 1 / 16
_BROKEN = 1 / 4
# Share of the variance left by the linear start under which they count for less.
_LITTLE_LEFT = 0.2
# Factors at which rows are tried, and the error there, over PCA's, that is too much.
_TRIED = (3.0, 10.0, 100.0)
_ASTRAY = 1.2


def move(x, inputs, sizes, radius, breaks, rng):
    """Move some rows of each of several batches outward, in place.

    Those are its first rows, which come in random order; and of them the first break
    out, while the others are stretched.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
        Rows of the batches, which lie one after another. Broken ones become what their
        reconstruction, divided by their factor, is to be compared with.
    inputs : Tensor of shape (n_rows, n_features)
        What is encoded.
    sizes : list of int
        Rows of each batch.
    radius : float
    breaks : ndarray of shape (2 * n_features,)
        From `likely_breaks`.
    rng : numpy.random.Generator

    Returns
    -------
    factors : list of Tensor of shape (n_moved, 1)
        For each batch, by which its rows were moved.
    """
    rows, is_broken, n_moved = _draw(np.array(sizes), rng)
    # Their places, since a GPU would have to be asked for those where a mask is true.
    places = rows, np.flatnonzero(~is_broken), np.flatnonzero(is_broken)
    rows, on_rays, off = (torch.from_numpy(v).to(x.device) for v in places)
    before = x[rows]
    factors = stretch(before, radius, rng)
    spikes = spike(before[off], factors[off], breaks, rng)
    stretched, broken = rows[on_rays], rows[off]
    inputs[stretched] = inputs[stretched] * factors[on_rays]
    inputs[broken] = inputs[broken] + spikes
    # What they are compared with does not lie on their way from the mean.
    x[broken] = (before[off] + spikes) / factors[off]
    return factors.split(n_moved.tolist())


def _draw(sizes, rng):
    """Draw which rows are moved, whether they break out, and how many of each batch.

    A sixteenth of its rows on average, and never all; a quarter of these.
    """
    n_moved = (_PART * sizes + rng.random(len(sizes))).astype(int)
    n_moved = np.minimum(n_moved, sizes - 1)
    n_broken = (_BROKEN * n_moved + rng.random(len(sizes))).astype(int)
    place = np.concatenate([np.arange(n) for n in n_moved])  # in its batch
    rows = np.repeat(np.cumsum(sizes) - sizes, n_moved) + place
    return rows, place < np.repeat(n_broken, n_moved), n_moved


def stretch(x, radius, rng):
    """Draw a factor for each row, (n_rows, 1), the largest brings it to the ``radius``.

    Their logarithms are uniform: each distance on the way counts alike.
    """
    distance = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    exponent = torch.from_numpy(rng.random((x.shape[0], 1), dtype="float32"))
    farthest = (radius / distance.clamp(min=1e-6)).clamp(min=1.0)
    return farthest ** exponent.to(x.device)


def moved_weight(unexplained):
    """Return what moved rows count for, by the share of variance left to explain.

    Their errors are of the size of the rows, whatever is left: where that is little,
    they would outshout it.
    """
    return min(1.0, unexplained / _LITTLE_LEFT)


def likely_breaks(x):
    """How probable each feature is to break out, to either side.

    Half evenly over all that vary, half in proportion to the square of the farthest
    value: what has broken out once is likely to do so again.

    Parameters
    ----------
    x : ndarray of shape (n_rows, n_features)
        Scaled rows, not all of them zero.

    Returns
    -------
    breaks : ndarray of shape (2 * n_features,)
        The probabilities' running sum, up and down for each feature in turn.
    """
    farthest = np.stack([x.max(axis=0), -x.min(axis=0)], axis=1).ravel()
    varies = farthest > 0
    square = np.where(varies, farthest, 0.0) ** 2
    breaks = np.cumsum(varies / varies.sum() + square / square.sum())
    return breaks / breaks[-1]


def spike(x, factors, breaks, rng):
    """Draw what breaks out of each row: a value of one feature, to be added to it.

    With it the row is as far from the mean as its factor says.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
    factors : Tensor of shape (n_rows, 1)
    breaks : ndarray of shape (2 * n_features,)
        From `likely_breaks`.
    rng : numpy.random.Generator

    Returns
    -------
    spikes : Tensor of shape (n_rows, n_features)
    """
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    height = length * (factors.square() - 1).clamp_(min=0).sqrt_()
    drawn = np.searchsorted(breaks, rng.random((x.shape[0], 1)), side="right")
    feature, is_down = np.divmod(drawn, 2)
    height *= torch.from_numpy((1 - 2 * is_down).astype(np.int8)).to(x.device)
    feature = torch.from_numpy(feature).to(x.device)
    return torch.zeros_like(x).scatter_(1, feature, height)


@torch.no_grad()
def fade_where_astray(network, batches, pca_error, reach):
    """Let corrections fade earlier, if they are no good far from the data.

    From the outermost row that was learnt from on, if that is better, or, since that
    may be broken, from the outermost of these on.

    Parameters
    ----------
    network : AutoEncoder
        Anchored, and in evaluation mode; its radii are ``reach`` times the outermost.
    batches : Batches
        Rows that were not learnt from, to be moved outward.
    pca_error : float
        PCA's mean squared error on these rows, where they are.
    reach : float
    """
    radii = network.encoder.radius, network.decoder.radius
    kept = [radius.clone() for radius in radii]
    nearer = [radius / reach for radius in kept]
    error = _far_error(network, batches)
    for candidate in (nearer, _outermost(network, batches)):
        if error <= _ASTRAY * pca_error:
            break
        _set(radii, candidate)
        if (nearer_error := _far_error(network, batches)) < error:
            kept, error = candidate, nearer_error
    _set(radii, kept)


def _set(radii, values):
    for radius, value in zip(radii, values, strict=True):
        radius.copy_(value)


def _outermost(network, batches):
    """Largest lengths of rows and of their codes."""
    lengths = [
        torch.stack([torch.linalg.vector_norm(v, dim=1).max() for v in (x, z)])
        for x, z in ((x, network.encode(x)) for x, _ in batches.in_order())
    ]
    return torch.stack(lengths).amax(dim=0)


def _far_error(network, batches):
    """Mean squared error of rows moved outward, in proportion, where it is worst.

    Infinite if it is not a number.
    """
    totals = [0.0] * len(_TRIED)
    for x, _ in batches.in_order():
        for i, factor in enumerate(_TRIED):
            moved = factor * x
            residual = (network(moved) - moved).div_(factor)
            totals[i] += residual.square().sum().item()
    error = np.max(totals) / (batches.n_rows * batches.n_features)
    return error if np.isfinite(error) else np.inf
