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
    "fade_again",
    "fade_where_astray",
    "give_way",
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
# Plain networks give way from so many times farther on than they have learnt: they are
# linear in each direction there. And linear codes are so many times as long as theirs,
# so that they are soon beyond those that the network decodes.
_GIVING_WAY = 10.0
_LONGER = 4.0
# Part by which rounding alone may raise an error.
_ROUNDING = 1e-6


def move(x, inputs, sizes, radius, breaks, rng, basis=None, moves=True):
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
    basis : Tensor of shape (n_features, n_axes), optional
        What the values of rows are coordinates on, if not the features.
    moves : ndarray of bool of shape (n_batches,), default=True
        In which batches rows are moved.

    Returns
    -------
    factors : list of Tensor of shape (n_moved, 1)
        For each batch, by which its rows were moved.
    """
    rows, is_broken, n_moved = _draw(np.array(sizes), rng, moves)
    # Their places, since a GPU would have to be asked for those where a mask is true.
    places = rows, np.flatnonzero(~is_broken), np.flatnonzero(is_broken)
    rows, on_rays, off = (torch.from_numpy(v).to(x.device) for v in places)
    before = x[rows]
    factors = stretch(before, radius, rng)
    spikes = spike(before[off], factors[off], breaks, rng, basis)
    stretched, broken = rows[on_rays], rows[off]
    inputs[stretched] = inputs[stretched] * factors[on_rays]
    inputs[broken] = inputs[broken] + spikes
    # What they are compared with does not lie on their way from the mean.
    x[broken] = (before[off] + spikes) / factors[off]
    return factors.split(n_moved.tolist())


def _draw(sizes, rng, moves):
    """Draw which rows are moved, whether they break out, and how many of each batch.

    A sixteenth of its rows on average, and never all; a quarter of these.
    """
    n_moved = (_PART * sizes + rng.random(len(sizes))).astype(int)
    n_moved = np.where(moves, np.minimum(n_moved, sizes - 1), 0)
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


def spike(x, factors, breaks, rng, basis=None):
    """Draw what breaks out of each row: a value of one feature, to be added to it.

    With it the row is as far from the mean as its factor says.

    Parameters
    ----------
    x : Tensor of shape (n_rows, n_features)
    factors : Tensor of shape (n_rows, 1)
    breaks : ndarray of shape (2 * n_features,)
        From `likely_breaks`.
    rng : numpy.random.Generator
    basis : Tensor of shape (n_features, n_axes), optional
        See `move`.

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
    if basis is not None:
        return basis[feature[:, 0]] * height
    return torch.zeros_like(x).scatter_(1, feature, height)


@torch.no_grad()
def fade_where_astray(network, batches, learnt, pca_error, reach):
    """Let corrections fade earlier, if they are no good far from the data.

    They begin to at ``reach`` times the outermost row that was learnt from and the
    longest of the network's own codes of such rows. If far rows come back badly, they
    do so from the outermost itself on, or, since that may be broken, from the outermost
    of the rows that are watched. Never where it makes these worse in their place.

    Parameters
    ----------
    network : AutoEncoder
        Anchored, and in evaluation mode; its radii are ``reach`` times the outermost
        row and PCA's longest code.
    batches : Batches
        Rows to watch, where they are and moved outward.
    learnt : Batches
        Rows that were learnt from, all or many of them.
    pca_error : float
        PCA's mean squared error on the watched rows, where they are.
    reach : float
    """
    radii = network.encoder.radius, network.decoder.radius
    row, code = _outermost(network, learnt)
    row = torch.maximum(row, radii[0] / reach)  # of them all
    _set(radii, (row * reach, torch.maximum(code * reach, radii[1])))
    _choose_radii(network, batches, [(row, code)], _ASTRAY * pca_error)


@torch.no_grad()
def give_way(network, linear, batches, learnt, pca_error, reach):
    """Let a plain network give way to linear maps far from the rows.

    Parameters
    ----------
    network : AutoEncoder
        Plain, in evaluation mode; its codes have the mean zero.
    linear : AutoEncoder
        PCA, whose codes are turned and scaled to go with the network's.
    batches, learnt, pca_error, reach
        As for `fade_where_astray`.
    """
    encoder, decoder = _aligned(network, linear, learnt, reach)
    network.fade()
    network.to(encoder.device).eval()
    network.encoder.linear.copy_(encoder)
    network.decoder.linear.copy_(decoder)
    fade_again(network, batches, learnt, pca_error, reach)


@torch.no_grad()
def fade_again(network, batches, learnt, pca_error, reach):
    """Choose the radii of a network that gives way, as for `fade_where_astray`.

    Its codes need not grow in proportion: the radius of its decoder is the longest code
    of the rows moved outward.
    """
    radii = network.encoder.radius, network.decoder.radius
    _set(radii, (torch.inf, torch.inf))
    factors = _GIVING_WAY * reach, reach, 1.0
    farthest, *nearer = [_outermost(network, learnt, factor) for factor in factors]
    _set(radii, farthest)
    _choose_radii(network, batches, nearer, _ASTRAY * pca_error)


def _aligned(network, linear, batches, reach):
    """Return linear maps whose codes go the network's way, but farther.

    They are as near as can be to those of rows moved outward, by an orthogonal matrix
    (Procrustes) and one scale: there and back they are PCA.
    """
    cross = own = others = 0.0
    for x in (reach * x for x, _ in batches.in_order()):
        z = network.encode(x).double()
        of_pca = x.double() @ linear.encoder.linear.t().double()
        cross = cross + z.t() @ of_pca
        own, others = own + z.square().sum(), others + of_pca.square().sum()
    left, _, right = torch.linalg.svd(cross)
    turn = left @ right
    scale = _LONGER * (own / others).sqrt()
    if not (torch.isfinite(scale) and scale > 0):
        scale = torch.ones_like(scale)
    encoder = scale * (turn @ linear.encoder.linear.double())
    decoder = linear.decoder.linear.double() @ turn.t() / scale
    return encoder.float(), decoder.float()


def _choose_radii(network, batches, nearer, bound):
    """Set the radii that are best for far rows, and none for these where they are.

    Those that are there stay if their error far away is within the bound; then the
    first of the nearer ones is tried, and so on.
    """
    radii = network.encoder.radius, network.decoder.radius
    watched = _outermost(network, batches)
    both = [torch.maximum(*pair) for pair in zip(nearer[-1], watched, strict=True)]
    kept = [radius.clone() for radius in radii]
    in_place = _error(network, batches)
    error = _far_error(network, batches)
    for candidate in (*nearer, watched, both):
        if error <= bound:
            break
        _set(radii, candidate)
        nearer = _far_error(network, batches)
        if nearer < error and _error(network, batches) <= in_place * (1 + _ROUNDING):
            kept, error = candidate, nearer
    _set(radii, kept)


def _set(radii, values):
    for radius, value in zip(radii, values, strict=True):
        radius.fill_(value)


def _outermost(network, batches, factor=1.0):
    """Largest lengths of rows times a factor, and of their codes."""
    moved = (factor * x for x, _ in batches.in_order())
    lengths = [
        torch.stack([torch.linalg.vector_norm(v, dim=1).max() for v in (x, z)])
        for x, z in ((x, network.encode(x)) for x in moved)
    ]
    return torch.stack(lengths).amax(dim=0)


def _far_error(network, batches):
    """Mean squared error of rows moved outward, in proportion, where it is worst."""
    return max(_error(network, batches, factor) for factor in _TRIED)


def _error(network, batches, factor=1.0):
    """Mean squared error of rows times a factor, in proportion; never NaN."""
    total = 0.0
    for x, _ in batches.in_order():
        moved = factor * x
        residual = (network(moved) - moved).div_(factor)
        total += residual.square().sum(dtype=torch.float64).item()
    error = total / (batches.n_rows * batches.n_features)
    return error if np.isfinite(error) else np.inf
