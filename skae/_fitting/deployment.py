"""Deployment: the result in the form of `transform`, measured before it is returned.

There are several steps between the network that was validated and `transform`: trust
radii, canonical axes, the code transform, float64. None of them should change the
result near the data. An error in one of them would not be noticed if the result itself
was not measured.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from .._data.batches import Batches
from .._data.scaling import dense_rows
from .._inference.code_transform import CodeTransform
from .._inference.codec import Codec, from_numpy, to_numpy
from .._nn.autoencoder import AutoEncoder
from .._parts.column_links import PlainLink
from .._parts.losses import LOSSES
from .._parts.networks import Architecture
from .._training.objective import Objective
from .._typing import Floats
from .session import TrainingSession

__all__ = ["Deployed", "deploy"]


@dataclass(frozen=True)
class Deployed:
    """A network with everything that `transform` and `inverse_transform` need.

    Attributes
    ----------
    architecture : Architecture
    weights : dict
        Weights as arrays by name.
    link : str or tuple
        The link, as `link_of` takes it.
    code_transform : CodeTransform
    codec : Codec
        The codec of the network, in float64.
    """

    architecture: Architecture
    weights: dict[str, np.ndarray]
    link: PlainLink
    code_transform: CodeTransform
    codec: Codec

    @property
    def is_pca(self) -> bool:
        """Whether encoder and decoder are one linear map, which is stored once."""
        is_linear = self.architecture.init == "linear"
        return is_linear and "decoder.linear" not in self.weights

    def row_losses(self, objective: Objective, batches: Batches) -> Floats:
        """Return losses after `transform` and `inverse_transform`, (n_samples,).

        Only the reconstruction counts: rows are not corrupted, and codes are not drawn.

        Parameters
        ----------
        objective : Objective
            The objective with the reconstruction loss.
        batches : Batches
        """
        reconstruction = objective.reconstruction
        losses, loss = [], reconstruction.loss
        for part, (x, _) in zip(batches.parts(), batches.in_order(), strict=True):
            X = dense_rows(batches.X, batches.rows[part])
            observed = batches.observed_in(part)
            Z = self.codec.encode(X)
            if loss.canonical:
                output = self.codec.output(Z)[:, batches.features].to(x)
                if self.architecture.init == "linear":
                    output = reconstruction.losses_of_linear(output, x)
                    losses.append(reconstruction.feature_fraction * output)
                else:
                    losses.append(reconstruction.losses(output, x, observed))
                continue
            R = self.codec.decode(Z)
            pair = [
                torch.from_numpy(batches.of_features.apply(rows[:, batches.features]))
                for rows in (R, X)
            ]
            if observed is not None:
                pair[1] = torch.where(observed.cpu(), pair[1], pair[0])
            if loss not in LOSSES.values():
                # Users' losses expect float32.
                pair = [values.float() for values in pair]
            fraction = len(batches.features) / X.shape[1]
            losses.append(fraction * loss.function(*pair))
        return np.concatenate([part.double().cpu().numpy() for part in losses])


def deploy(
    training: TrainingSession,
    network: AutoEncoder,
    link: PlainLink,
    code_transform: CodeTransform,
) -> Deployed:
    """Return a training's network as `Deployed`, widened to all features."""
    architecture = replace(training.config.architecture, init=network.init)
    weights = to_numpy(training.of_all_features(network, architecture))
    exact = from_numpy(architecture, weights, torch.float64).eval()
    codec = Codec(exact, training.scaling, link, code_transform, training.ppca)
    return Deployed(architecture, weights, link, code_transform, codec)
