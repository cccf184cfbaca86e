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
    """Return which features need no learning: constant in all rows, with zero loss.

    Parameters
    ----------
    params : Parameters
        Parameters from `check_slots`, with a part in each slot.
    dataset : Dataset
    rows : ndarray of int
        Indices of the rows that the scaling was fitted to, or of all rows.
    loss : Loss or ColumnLosses
    link : str or tuple
        The link, as `link_of` takes it.
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

    These are all features that are not ``idle``. Idle features are added until there
    are as many as codes, and until matrix products of this width are fast.
    """
    n_least = max(int(np.count_nonzero(~idle)), n_components)
    n_learnt = min(-(-n_least // _ALIGNED) * _ALIGNED, len(idle))
    return np.sort(np.argsort(idle, kind="stable")[:n_learnt])


@torch.no_grad()
def widen(
    network: AutoEncoder, architecture: Architecture, features: Ints
) -> AutoEncoder:
    """Return a network of ``architecture`` that does the same for ``features``.

    Its codes do not depend on other features, and its output for these is zero.
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
    """Return a network of ``features`` alone that does the same for these."""
    if len(features) == architecture.n_features:
        return network
    small = replace(architecture, n_features=len(features)).build()
    for of_wide, of_narrow in _pairs(network, small):
        of_narrow.copy_(of_wide[_places(of_wide, of_narrow, features)])
    return small


def _pairs(wide, narrow):
    return zip(wide.state_dict().values(), narrow.state_dict().values(), strict=True)


def _places(of_wide, of_narrow, features):
    """Return the index of a narrow network's weights in those of a wide one."""
    return tuple(
        slice(None) if n == m else torch.from_numpy(features)
        for n, m in zip(of_wide.shape, of_narrow.shape, strict=True)
    )
