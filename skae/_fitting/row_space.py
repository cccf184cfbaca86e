"""Row space: wide rows in fewer coordinates, which lose nothing or only noise.

If there are more features than rows, all training rows lie in the space that they span.
Linear layers trained by the squared error do not use other directions. So a network on
the coordinates in this space learns the same in a fraction of the time. Measured in
docs/choices.md, "Wide rows".
"""

import numpy as np
import torch

from .._nn.autoencoder import AutoEncoder
from .._parts.column_links import PlainLink
from .._parts.column_losses import ColumnLosses
from .._parts.losses import LOSSES, Loss
from .._parts.networks import Architecture, Dense
from .._parts.parameters import Parameters
from .._parts.penalties import Sparsity
from .._typing import Floats

__all__ = ["expand", "has_row_space", "is_wide_and_small", "row_space"]

# The space is computed only up to this number of rows, because it needs the products of
# all pairs of rows, and only up to this number of bytes.
_MOST_ROWS = 3_000
_MOST_BYTES = 2**27
# Smallest number of axes, as a multiple of the number of components, even if fewer
# carry signal.
_AXES_PER_COMPONENT = 3


def is_wide_and_small(n_samples: int, n_features: int) -> bool:
    """Whether rows are fewer than features, and few enough to compute their space."""
    few = n_samples <= _MOST_ROWS and 4 * n_samples * n_features <= _MOST_BYTES
    return n_samples < n_features and few


def has_row_space(
    params: Parameters,
    loss: Loss | ColumnLosses,
    link: PlainLink,
    n_samples: int,
    n_features: int,
) -> bool:
    """Whether all that a training sees of its rows is in the space that they span."""
    return (
        is_wide_and_small(n_samples, n_features)
        and type(params.network) is Dense
        and link == "identity"
        and loss is LOSSES["squared_error"]
        and params.corruption is None
        and (params.penalty is None or type(params.penalty) is Sparsity)
    )


def row_space(x: Floats, n_components: int) -> Floats:
    """Return an orthonormal basis of the directions in which rows carry signal.

    Directions of noise are left out: those whose singular value is below the optimal
    hard threshold of Gavish and Donoho (2014), which takes the noise from the median
    singular value.

    Parameters
    ----------
    x : ndarray of shape (n_samples, n_features)
        Scaled rows, more features than rows.
    n_components : int
        Number of codes. At least three times as many directions are kept, if there are.

    Returns
    -------
    basis : ndarray of shape (n_features, n_axes), float32
    """
    gram = _products(x)
    square, vectors = np.linalg.eigh(gram)
    square, vectors = square[::-1], vectors[:, ::-1]
    values = np.sqrt(np.maximum(square, 0.0))
    exact = int(np.count_nonzero(values > 1e-5 * values[0]))
    signal = np.count_nonzero(values > _threshold(values, x.shape))
    n_axes = min(exact, max(signal, _AXES_PER_COMPONENT * n_components))
    scaled = (vectors[:, :n_axes] / values[:n_axes]).astype(np.float32)
    # Make them orthogonal again: rounding has rotated the shorter axes a little.
    basis, _ = np.linalg.qr(x.T @ scaled)
    return np.ascontiguousarray(basis)


def _products(x):
    """Return the products of all pairs of rows, float64, (n_samples, n_samples)."""
    total = np.zeros((len(x), len(x)))
    step = max(1, 2**22 // len(x))
    for i in range(0, x.shape[1], step):
        part = x[:, i : i + step].astype(np.float64)
        total += part @ part.T
    return total


def _threshold(values, shape):
    ratio = shape[0] / shape[1]
    factor = 0.56 * ratio**3 - 0.95 * ratio**2 + 1.82 * ratio + 1.43
    return factor * np.median(values)


@torch.no_grad()
def expand(
    network: AutoEncoder, architecture: Architecture, basis: Floats, off_basis: float
) -> AutoEncoder:
    """Return a network of all features that does the same as one of coordinates.

    Parameters
    ----------
    network : AutoEncoder
        Network of the coordinates.
    architecture : Architecture
        Architecture for all features.
    basis : ndarray of shape (n_features, n_axes)
    off_basis : float
        Largest squared distance of a training row from the space of the coordinates.
    """
    axes = torch.from_numpy(basis).double()
    narrow = network.state_dict()
    dtype = next(iter(narrow.values())).dtype
    wide = architecture.build().to(dtype).eval()
    for of_features, of_axes in zip(
        wide.state_dict().values(), narrow.values(), strict=True
    ):
        values = of_axes.cpu()
        if of_features.shape != of_axes.shape:
            reads = of_features.ndim == 2 and len(of_features) == len(of_axes)
            values = values.double()
            values = values @ axes.T if reads else axes @ values
        of_features.copy_(values)
    if wide.linear and torch.equal(
        narrow["decoder.linear"], narrow["encoder.linear"].T
    ):
        # Computing the same products again could change their last bits.
        encoder, decoder = wide.anchors
        decoder.linear.copy_(encoder.linear.T)
    if wide.anchored:  # rows have the lengths of all their features again
        radius = wide.anchors[0].trust_radius
        radius.copy_((radius.square() + off_basis).sqrt())
    return wide
