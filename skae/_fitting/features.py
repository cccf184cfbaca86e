"""Features: which features a network learns.

Constant features are reconstructed as their constant, without the network: a twelfth of
MNIST's pixels, or most words of a small text. Networks are trained without these
features. After training, zero weights for them are added. Measured in docs/choices.md,
"Speed of a step".
"""

from dataclasses import replace

import numpy as np
import torch

from .._data.scaling import Scaling, dense_rows, row_slices
from .._nn.autoencoder import AutoEncoder
from .._parts.column_links import PlainLink
from .._parts.column_losses import ColumnLosses
from .._parts.losses import Loss
from .._parts.networks import Architecture, Dense
from .._parts.parameters import Parameters
from .._parts.slots import user_parts
from .._typing import Bools, Ints
from .dataset import Dataset

__all__ = ["idle_features", "learnt_features", "narrow", "widen"]

# Matrix products are fastest if widths are multiples of this.
_ALIGNED = 16


def idle_features(
    params: Parameters,
    dataset: Dataset,
    rows: Ints,
    loss: Loss | ColumnLosses,
    link: PlainLink,
    scaling: Scaling,
) -> Bools:
    """Which features need no learning: constant in all rows, and free of loss.

    Parameters
    ----------
    params : Parameters
        With parts for their slots.
    dataset : Dataset
    rows : ndarray of int
        Its rows that the scaling was measured on, or all.
    loss : Loss
    link : str or tuple
        What `link_of` takes.
    scaling : Scaling

    Returns
    -------
    idle : ndarray of bool of shape (n_features,)
    """
    idle = scaling.constant & loss.vanishes(scaling.mean)
    if user_parts(params) or type(params.network) is not Dense or link == "softmax":
        idle[:] = False  # these may use any feature
    if idle.any():
        others = np.setdiff1d(dataset.rows, rows)
        for part in row_slices(len(others), len(idle)):
            same = dense_rows(dataset.X, others[part]) == scaling.mean
            idle &= same.all(axis=0)
    return idle


def learnt_features(idle: Bools, n_components: int) -> Ints:
    """Return the features to learn, (n_learnt,), sorted.

    These are all that are not ``idle``. Idle ones are added until there are as many as
    codes, and until their number is one with which products are fast.
    """
    n_least = max(int(np.count_nonzero(~idle)), n_components)
    n_learnt = min(-(-n_least // _ALIGNED) * _ALIGNED, len(idle))
    return np.sort(np.argsort(idle, kind="stable")[:n_learnt])


@torch.no_grad()
def widen(
    network: AutoEncoder, architecture: Architecture, features: Ints
) -> AutoEncoder:
    """Return a network of an architecture that does for ``features`` what this does.

    Codes do not depend on the others, whose output is zero.
    """
    if len(features) == architecture.n_features:
        return network
    wide = architecture.build().eval()
    if network.linear:
        wide.to(network.anchors[0].linear.dtype)
    for of_wide, of_narrow in _pairs(wide, network):
        of_wide.zero_()[_places(of_wide, of_narrow, features)] = of_narrow.cpu()
    return wide


@torch.no_grad()
def narrow(
    network: AutoEncoder, architecture: Architecture, features: Ints
) -> AutoEncoder:
    """Return a network that does for ``features`` what one of an architecture does."""
    if len(features) == architecture.n_features:
        return network
    small = replace(architecture, n_features=len(features)).build()
    for of_wide, of_narrow in _pairs(network, small):
        of_narrow.copy_(of_wide[_places(of_wide, of_narrow, features)])
    return small


def _pairs(wide, narrow):
    return zip(wide.state_dict().values(), narrow.state_dict().values(), strict=True)


def _places(of_wide, of_narrow, features):
    """Index of the part of a wide network's weights that a narrow one has."""
    return tuple(
        slice(None) if n == m else torch.from_numpy(features)
        for n, m in zip(of_wide.shape, of_narrow.shape, strict=True)
    )
