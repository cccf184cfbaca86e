"""Continuation: the network of an earlier fit, prepared for further training."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from .._data.scaling import Scaling
from .._inference.codec import from_numpy
from .._inference.fitted_state import FittedState
from .._nn.autoencoder import AutoEncoder, initialise
from .._parts.column_links import PROJECTED, PlainLink, Projections, link_of
from .._parts.networks import Architecture

__all__ = ["previous_network"]


def previous_network(
    previous: FittedState,
    architecture: Architecture,
    link: PlainLink,
    scaling: Scaling,
    seed: int,
    rng: np.random.Generator,
) -> AutoEncoder:
    """Return the network of the previous fit, ready for further training.

    If the previous fit ended with linear maps, the network starts from these. A plain
    network is initialised anew instead. Features that no network has learnt yet start
    at their previous constant.

    Parameters
    ----------
    previous : FittedState
        State of the fit to continue.
    architecture : Architecture
        Architecture that the present parameters ask for.
    link : str or tuple
        Link that they ask for, as `link_of` takes it.
    scaling : Scaling
        Scaling of all features, including those that vary only now.
    seed : int
    rng : numpy.random.Generator
        Draws the weights of a network that is initialised anew.

    Returns
    -------
    network : AutoEncoder

    Raises
    ------
    ValueError
        If the parameters ask for a different network.
    """
    network = _fitted(previous, architecture, link, scaling, seed, rng)
    _start_moved(network, previous.scaling.constant, link, scaling)
    return network


def _fitted(
    previous: FittedState,
    architecture: Architecture,
    link: PlainLink,
    scaling: Scaling,
    seed: int,
    rng: np.random.Generator,
) -> AutoEncoder:
    before = previous.architecture
    is_linear = before.init == "linear"
    before = replace(before, init=architecture.init) if is_linear else before
    before_link: Any = previous.link
    if before_link[0] == PROJECTED:  # a mixed loss that ended as PCA
        before_link = before_link[1]
    if (before, before_link) != (architecture, link):
        raise ValueError(
            "warm_start=True goes on with the network of the previous fit, "
            f"{vars(before)} with output {previous.link!r}, but the parameters now ask "
            f"for {vars(architecture)} with output {link!r}. Set them back, or set "
            "warm_start=False to begin anew."
        )
    fitted = from_numpy(previous.architecture, previous.weights, torch.float32)
    if not is_linear:
        return fitted
    network = architecture.build(seed)
    start_of = link_of(link)
    assert not isinstance(start_of, Projections)
    initialise(network, start_of.start(scaling.mean), rng)
    if network.anchored:
        network.load_state_dict(fitted.state_dict(), strict=False)
    return network


@torch.no_grad()
def _start_moved(network, were_constant, link, scaling):
    """Let features that no network has learnt yet start at their previous constant."""
    moved = were_constant & ~scaling.constant
    last = network.layers[1][-1]
    if moved.any() and isinstance(last, nn.Linear):
        unlearnt = torch.from_numpy(moved) & (last.weight == 0).all(dim=1)
        start_of = link_of(link)
        assert not isinstance(start_of, Projections)
        start = torch.from_numpy(start_of.start(scaling.mean))
        last.bias[unlearnt] = start.float()[unlearnt]
