"""Terms of the objective, each of which gives one loss per row.

For dense networks, the gradients of the reconstruction and of the pull towards PCA's
codes are computed here in closed form. For other networks, autograd computes them.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .._data.scaling import Scaling
from .._parts.column_links import PlainLink, link_of
from .._parts.column_losses import ColumnLosses
from .._parts.latents import AnyLatent, Gaussian
from .._parts.losses import Gradient, Loss, autograd_gradient
from .._parts.penalties import PenaltyLike, penalize
from .._typing import Floats
from .batch import Batch, weighted

__all__ = ["CodeCosts", "PullToPCA", "Reconstruction"]

# For each link, a raw output and a value for which the canonical loss is zero.
_AGREEMENT = {"logistic": (30.0, 1.0), "exp": (-30.0, 0.0)}


class Reconstruction:
    """The loss of reconstructed rows, in units of the scaled data.

    Parameters
    ----------
    loss : Loss or ColumnLosses
    link : str or tuple
        The link of the loss; see `link_of`.
    scaling : Scaling
        Turns scaled rows into units of ``X``, if the loss is defined in those.
    device : torch.device
    feature_fraction : float
        Share of all features that are learnt. The loss of the others is zero.
    outlier_weight : float
        Weight of outliers in the gradient. Other rows have weight 1.
    """

    def __init__(
        self,
        loss: Loss | ColumnLosses,
        link: PlainLink,
        scaling: Scaling,
        device: torch.device,
        feature_fraction: float = 1.0,
        outlier_weight: float = 1.0,
    ) -> None:
        self.loss = loss
        self.link = link_of(link).inverse
        self.scaled_output = link == "identity"
        self.feature_fraction = feature_fraction
        self.outlier_weight = outlier_weight
        mean, scale = (
            torch.as_tensor(values, dtype=torch.float32, device=device)
            for values in (scaling.mean, scaling.scale)
        )
        self.mean, self.scale = loss.target_units(mean, scale)
        self.closed_form: Gradient | None = None
        if loss.closed_form and (loss.canonical or self.scaled_output):
            self.closed_form = loss.closed_form(feature_fraction, self.mean, self.scale)
        self._gradient_of = self.closed_form or autograd_gradient(self.losses)

    def losses(
        self, output: Tensor, x: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Return the losses of rows, from outputs before the link is applied.

        If ``observed`` is given, the loss of all other values is zero.
        """
        if not self.loss.canonical and not self.scaled_output:
            output = (self.link(output) - self.mean) / self.scale
        if observed is not None:
            output, x = self._without_gaps(output, x, observed)
        if self.loss.canonical:
            x = torch.addcmul(self.mean, x, self.scale)
        return self.feature_fraction * self.loss.function(output, x)

    def losses_of_linear(self, rows: Tensor, x: Tensor) -> Tensor:
        """Return the losses of a linear method's scaled reconstructions, (batch,).

        If the loss is defined for probabilities or rates, each reconstruction is
        replaced by the nearest valid one.
        """
        rows, x = (values.to(self.mean) for values in (rows, x))
        if not self.loss.canonical:
            return self.loss.function(rows, x)
        assert isinstance(
            self.loss, ColumnLosses
        )  # other losses are not compared with it
        rows, x = (torch.addcmul(self.mean, v, self.scale) for v in (rows, x))
        return self.loss.function(self.loss.linear_output(rows), x)

    def backward(self, output: Tensor, batch: Batch) -> tuple[Tensor | float, Tensor]:
        """Return the mean loss of inliers, and the gradient of inliers and outliers.

        ``output`` may be overwritten.
        """
        n_outliers = batch.n_outliers
        batch.divide_outliers(output)
        x, gradient_of = batch.x, self._gradient_of
        if batch.observed is not None and self.closed_form:
            output, x = self._without_gaps(output, x, batch.observed)
        elif batch.observed is not None:
            losses = partial(self.losses, observed=batch.observed)
            gradient_of = autograd_gradient(losses)
        loss, gradient = gradient_of(output, x, n_outliers, batch.weights)
        if n_outliers:
            batch.divide_outliers(gradient)
            if self.outlier_weight < 1:
                gradient[:n_outliers].mul_(self.outlier_weight)
        return loss, gradient

    def _without_gaps(
        self, output: Tensor, x: Tensor, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return output and rows, made to agree where nothing is observed.

        The loss and its gradient are zero there.
        """
        if not self.loss.canonical:
            return output, torch.where(observed, x, output.detach())
        assert isinstance(self.loss, Loss)  # a MixedLoss does not allow gaps
        raw, value = _AGREEMENT[self.loss.link]
        x = torch.where(observed, x, (value - self.mean) / self.scale)
        return torch.where(observed, output, torch.full_like(output, raw)), x

    def row_weights(self, batch: Batch) -> Tensor:
        """Return the weights of rows in the gradient, (batch,), including outliers."""
        weights = torch.ones_like(batch.x[:, 0])
        weights[: batch.n_outliers] = self.outlier_weight
        return weights if batch.weights is None else weights * batch.weights[:, 0]


class PullToPCA:
    """The squared distance of codes from PCA's codes, in units of their variance.

    It is a regularisation term: it contributes to the gradient, but not to the reported
    loss.

    Parameters
    ----------
    linearity : float
        Weight of the pull.
    code_variance : ndarray of shape (n_components,)
    device : torch.device
    """

    def __init__(
        self, linearity: float, code_variance: Floats, device: torch.device
    ) -> None:
        weight = torch.as_tensor(linearity / code_variance, dtype=torch.float32)
        self.weight = weight.to(device)

    def residual(self, codes: Tensor, linear_codes: Tensor) -> Tensor:
        """Return codes minus linear codes, (batch, n_components)."""
        columns = slice(len(self.weight))
        return codes[:, columns] - linear_codes[:, columns]

    def mean(self, residual: Tensor, batch: Batch) -> Tensor:
        """Return the weighted mean square of residuals over rows and codes."""
        squares = residual.square() * self.weight
        return (squares if batch.weights is None else squares * batch.weights).mean()

    def add_gradient(self, gradient: Tensor, residual: Tensor, batch: Batch) -> None:
        """Add the gradient of the mean to that of the codes, in place."""
        batch.divide_outliers(residual, power=2)
        if batch.weights is not None:
            residual.mul_(batch.weights)
        codes = gradient[:, : residual.shape[1]]
        codes.addcmul_(residual, self.weight, value=2 / residual.numel())


class CodeCosts:
    """Costs of codes: their divergence from the prior, and a penalty.

    Parameters
    ----------
    latent : Point, Gaussian or Mixture
    penalty : object with a method penalize(z, x, encode, rng), or None
    encode : callable
        The network's encoder, for penalties that need it.
    n_features : int
        Number of all features, by which the divergence is divided, since the loss is a
        mean over features.
    """

    def __init__(
        self,
        latent: AnyLatent,
        penalty: PenaltyLike | None,
        encode: Callable[[Tensor], Tensor],
        n_features: int,
    ) -> None:
        self.latent = latent
        self.penalty = penalty
        self.encode = encode
        self.n_features = n_features

    def __bool__(self) -> bool:
        return self.latent.has_kl or self.penalty is not None

    def losses(self, h: Tensor, z: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the divergences and the penalties of inliers, (n_inliers,) each."""
        h, z, x = (values[batch.inliers] for values in (h, z, batch.inputs))
        divergences = penalties = z.new_zeros(len(z))
        if isinstance(self.latent, Gaussian):
            divergences = self.latent.kl_divergence(h, self.n_features)
        if self.penalty is not None:
            assert batch.rng is not None  # set if codes have costs
            penalties = penalize(self.penalty, z, x, self.encode, batch.rng)
        return divergences, penalties

    def means(
        self, h: Tensor, z: Tensor, batch: Batch, progress: float
    ) -> tuple[Tensor, Tensor]:
        """Return the mean cost, and the mean cost with the divergence's present weight.

        Training uses the gradient of the second value.
        """
        weights = None if batch.weights is None else batch.weights[batch.inliers]
        divergence, penalty = (
            weighted(losses, weights).mean() for losses in self.losses(h, z, batch)
        )
        latent = self.latent
        kl_weight = latent.kl_weight(progress) if isinstance(latent, Gaussian) else 1.0
        return divergence + penalty, kl_weight * divergence + penalty
