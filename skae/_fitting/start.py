"""Start: the linear network and the head that a training starts from."""

from dataclasses import replace

import numpy as np
import torch

from .._data.batches import Sample
from .._data.targets import Target
from .._linear.pca import linear_start
from .._linear.pcovr import linear_head
from .._nn.autoencoder import AutoEncoder, anchor
from .._nn.head import Head
from .._parts.latents import AnyLatent
from .._typing import Floats
from .config import Config

__all__ = ["head_of", "linear_network"]


def linear_network(
    maps: tuple[Floats, Floats], x: Floats, config: Config, latent: AnyLatent, seed: int
) -> AutoEncoder:
    """Return linear maps as a network, float64.

    Parameters
    ----------
    maps : pair of ndarray
        See `linear_start`.
    x : ndarray of shape (n_samples, n_features)
        Rows that the maps were fitted to.
    config : Config
    latent : Point, Gaussian or Mixture
    seed : int
    """
    n_features, rng = x.shape[1], np.random.default_rng(seed)
    ones = np.ones(n_features)
    start = linear_start(maps, x, config.n_components, ones, latent, 1.0, rng)
    linear = replace(config.architecture, n_features=n_features, init="linear")
    network = linear.build().double().eval()
    anchor(network, start)
    return network


@torch.no_grad()
def head_of(
    network: AutoEncoder, target: Target, targets: Floats, some: Sample, config: Config
) -> Head:
    """Return a head for the codes of a network before its first epoch.

    Parameters
    ----------
    network : AutoEncoder
    target : Target
    targets : ndarray of shape (n_samples, width)
        Targets of all training rows.
    some : Sample
        A sample of these rows.
    config : Config
    """
    weights = target.weights(targets) * config.supervision
    head = Head(config.n_components, target.kind, target.sizes, weights)
    codes = network.eval().encode(torch.from_numpy(some.x)).numpy()
    codes = codes.astype(np.float64)
    known = some.targets, some.weights
    head.start(*linear_head(codes, *known, target.kind, target.sizes))
    return head
