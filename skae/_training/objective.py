"""Objective: the loss of a batch that training minimises, and its gradient.

For the encoder and decoder of dense networks, gradients are computed without autograd.
The operations between them, on codes that are drawn or penalised, are small: autograd
is fast enough there.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import cast

import numpy as np
import torch
from torch import Tensor, inference_mode, no_grad

from .._data.row_versions import BatchGaps
from .._nn.autoencoder import AutoEncoder
from .._nn.dense_backprop import DenseBackprop
from .._nn.fast_forward import FastForward
from .._nn.head import Head
from .._nn.layers import Dropout
from .._nn.seeded_modules import UserModule
from .._parts.corruptions import CorruptionLike, corrupt
from .._parts.latents import AnyLatent, Point
from .._parts.losses import LOSSES
from .._parts.penalties import PenaltyLike, Sparsity, needs_encoder
from .._typing import Floats
from .batch import Batch, weighted
from .flat_parameters import FlatParameters
from .nested_dropout import cycled_code_mask, first_codes
from .outliers import Outliers
from .random_gaps import RandomGaps
from .terms import CodeCosts, PullToPCA, Reconstruction

__all__ = ["Objective"]


class Objective:
    """The mean of loss(decode(z), x) + cost(h) + penalty(z, x) + head(z, t).

    Here h = encode(corrupt(x)) and z = latent(h). Outliers are training rows that were
    scaled away from the mean by a factor c. Their outputs and codes are divided by c
    before they are compared with the row before scaling; see `augment_outliers` for
    spikes. Outliers have no target t.

    Parameters
    ----------
    network : AutoEncoder
    reconstruction : Reconstruction
    pull : PullToPCA or None
        The pull of codes towards PCA's, for networks that are anchored to PCA.
    outliers : Outliers or None
        None if no rows are turned into outliers.
    ordered : bool
        Whether nested dropout sets later codes to zero while training.
    head : Head or None
        None if rows have no target.
    corruption : object with a method corrupt(x, rng), or None
        Adds noise to rows before they are encoded.
    latent : Point, Gaussian or Mixture
    penalty : object with a method penalize(z, x, encode, rng), or None
    gaps : RandomGaps or None
        None if all rows are complete.
    """

    def __init__(
        self,
        network: AutoEncoder,
        reconstruction: Reconstruction,
        pull: PullToPCA | None = None,
        outliers: Outliers | None = None,
        ordered: bool = False,
        head: Head | None = None,
        corruption: CorruptionLike | None = None,
        latent: AnyLatent = Point(),  # noqa: B008, it has no state
        penalty: PenaltyLike | None = None,
        gaps: RandomGaps | None = None,
    ) -> None:
        self.network = network
        self._modules = list(network.modules())
        self.reconstruction = reconstruction
        self.pull = pull
        self.outliers = outliers
        self.ordered = ordered
        self.head = head
        self.corruption = corruption
        self.gaps = gaps
        self.latent = latent
        n_features = round(network.n_features / reconstruction.feature_fraction)
        self.costs = CodeCosts(latent, penalty, network.encode, n_features)
        self.parameters = FlatParameters(
            *filter(None, [network, head]), buffers=network.user_buffers()
        )
        is_written = DenseBackprop.handles(network) and not needs_encoder(penalty)
        self.dense = DenseBackprop(network) if is_written else None
        self.fast = FastForward(network)  # for evaluation

    @property
    def is_random(self) -> bool:
        """Whether evaluation draws random numbers."""
        is_drawn = self.corruption is not None or self.gaps is not None
        return bool(self.costs) or is_drawn

    def without_autograd(self) -> AbstractContextManager[object]:
        """Return a context for steps. Operations that need autograd switch it on.

        If neither the loss nor the layers nor a user's part need autograd, inference
        mode is returned, which has less overhead.
        """
        is_written = self.reconstruction.closed_form and self.dense is not None
        return inference_mode() if is_written and not self.is_random else no_grad()

    @property
    def is_replayable(self) -> bool:
        """Whether every step consists of the same operations, without random draws.

        A user's network, loss or penalty could do anything, so the answer is no.
        Random draws before a step, such as corruptions, do not matter.
        """
        others = any(isinstance(m, Dropout | UserModule) for m in self._modules)
        is_known = self.reconstruction.loss in LOSSES.values()
        return not others and not self.costs and is_known

    @property
    def repeats_with_threads(self) -> bool:
        """Whether a step gives bitwise equal results with any number of threads.

        The last digits of the gradients of convolutions depend on the number of
        threads. Users' parts may do anything. See docs/choices.md, "Threads".
        """
        penalty = self.costs.penalty
        is_known = self.reconstruction.loss in LOSSES.values()
        is_known &= penalty is None or type(penalty) is Sparsity
        return self.dense is not None and is_known

    def avoid_underflow(self) -> None:
        """Prevent subnormal numbers, which are slow, in gradients of later steps."""
        if self.dense is not None and self.parameters.values.is_cpu:
            self.dense.avoid_underflow()

    def train(self, mode: bool) -> None:
        """Put the network in training mode or in evaluation mode.

        `torch.nn.Module.train` does the same, but its checks take a twentieth of the
        time of a small fit.
        """
        for module in self._modules:
            vars(module)["training"] = mode

    def training_batches(
        self,
        x: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        gaps: BatchGaps | None,
        sizes: list[int],
        rng: np.random.Generator,
        progress: Floats | float = 1.0,
    ) -> Iterator[Batch]:
        """Split rows into consecutive batches of the given sizes, with random draws.

        Random numbers are drawn for all batches at once. ``x`` may be overwritten.
        ``progress`` is the share of the training that is over before each batch.
        """
        given: dict[str, Tensor | Sequence[Tensor] | None] = {"weights": weights}
        inputs = x
        if gaps is not None:
            assert self.gaps is not None
            inputs = self.gaps.hide(x, gaps, rng)
            given["observed"] = gaps.observed
        inputs = corrupt(self.corruption, inputs, rng)
        if self.outliers is not None:
            inputs, factors = self.outliers.augment(x, inputs, sizes, rng, progress)
            given["factors"] = factors
        if self.ordered:
            given["code_mask"] = first_codes(x, self.network.n_components, rng)
        rows = [values.split(sizes) for values in (x, targets, inputs)]
        ways = {
            name: values.split(sizes) if isinstance(values, torch.Tensor) else values
            for name, values in given.items()
            if values is not None
        }
        for i, (x, targets, inputs) in enumerate(zip(*rows, strict=True)):
            way = {name: values[i] for name, values in ways.items()}
            yield Batch(x, targets, inputs, rng, **way)

    def evaluation_batch(
        self,
        x: Tensor,
        targets: Tensor,
        gaps: BatchGaps | None,
        rng: np.random.Generator | None,
        hide_entries: bool = True,
    ) -> Batch:
        """Return a batch for evaluation, with its random draws.

        If the codes are ordered, the first row uses one code, the second two, and so
        on.
        """
        given: dict[str, Tensor] = {}
        inputs = x
        if gaps is not None:
            assert self.gaps is not None
            given["observed"] = gaps.observed
            if hide_entries:  # always with the same seed; versions are stored after it
                inputs = self.gaps.hide(x, gaps, np.random.default_rng(0))
        if self.ordered:
            given["code_mask"] = cycled_code_mask(x, self.network.n_components)
        return Batch(x, targets, corrupt(self.corruption, inputs, rng), rng, **given)

    def __call__(self, batch: Batch) -> Tensor:
        """Return the losses of a batch's rows, (batch,), without the pull to PCA."""
        h, z, code = self._encode(self.fast, batch)
        output = self.fast.decoder(code)
        losses = self.reconstruction.losses(output, batch.x, batch.observed)
        if self.costs:
            divergences, penalties = self.costs.losses(h, z, batch)
            losses = losses + divergences + penalties
        return losses if self.head is None else losses + self.head(code, batch.targets)

    def reconstruction_losses(self, batch: Batch) -> Tensor:
        """Return only the reconstruction losses of the rows of a batch."""
        _, _, code = self._encode(self.fast, batch)
        output = self.fast.decoder(code)
        return self.reconstruction.losses(output, batch.x, batch.observed)

    def target_losses(self, batch: Batch) -> Tensor:
        """Return only the losses of the targets. The objective must have a head."""
        assert self.head is not None
        _, _, code = self._encode(self.fast, batch)
        return self.head(code, batch.targets)

    def _encode(
        self, network: AutoEncoder | FastForward, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the encoder's output, the codes, and the codes after dropout."""
        h = network.encoder(batch.inputs)
        z = self.latent.draw(h, batch.rng)
        return h, z, z if batch.code_mask is None else z * batch.code_mask

    def backward(self, batch: Batch, progress: float = 1.0) -> Tensor | float:
        """Return the mean loss of a batch; write its gradient into ``parameters``.

        The loss is a number, or a tensor if the device still has to compute it.
        ``progress`` is the share of the training that is over.
        """
        if self.dense is None:
            return self._autograd_backward(batch, progress)
        z = h = self.dense.encode(batch.inputs)
        residual = None
        if self.pull is not None:
            residual = self.pull.residual(h, self.dense.encoder.linear_part)
        if self.costs:
            h = h.detach().requires_grad_()
            with torch.enable_grad():
                drawn = self.latent.draw(h, batch.rng)
                cost, cost_now = self.costs.means(h, drawn, batch, progress)
            z = drawn.detach().clone()
        if batch.code_mask is not None:
            z.mul_(batch.code_mask)
        loss, gradient = self.reconstruction.backward(self.dense.decode(z), batch)
        gradient = self.dense.decoder.backward(gradient)
        if self.head is not None:
            of_head = self.head.backward(*batch.for_head(z))
            gradient[batch.inliers] += of_head[1]
            loss = loss + of_head[0]
        if batch.code_mask is not None:
            gradient.mul_(batch.code_mask)
        if self.costs:
            with torch.enable_grad():
                ((drawn * gradient).sum() + cost_now).backward()
            loss, gradient = loss + cost.detach(), cast(Tensor, h.grad)
        if self.pull is not None and residual is not None:
            self.pull.add_gradient(gradient, residual, batch)
        self.dense.encoder.backward(gradient, to_input=False)
        return loss

    def gradient_alone(self, batch: Batch) -> Tensor:
        """Return the gradient of a batch. Restore the random state afterwards."""
        assert batch.rng is not None  # set in training
        state = batch.rng.bit_generator.state
        self.backward(batch)
        batch.rng.bit_generator.state = state
        return self.parameters.gradients

    @torch.enable_grad()
    def _autograd_backward(self, batch: Batch, progress: float) -> Tensor:
        """Do the same as `backward` with autograd, for any layers and any penalty."""
        self.parameters.gradients.zero_()
        divisor = batch.x.new_ones(len(batch.x), 1)
        divisor[: batch.n_outliers] = batch.factors
        h, z, code = self._encode(self.network, batch)
        output = self.network.decoder(code) / divisor
        losses = self.reconstruction.losses(output, batch.x, batch.observed)
        total = (self.reconstruction.row_weights(batch) * losses).mean()
        loss = batch.mean(losses)
        if self.pull is not None:
            linear_codes = self.network.anchors[0].anchor(batch.inputs)
            residual = self.pull.residual(h, linear_codes) / divisor
            total = total + self.pull.mean(residual, batch)
        if self.costs:
            cost, cost_now = self.costs.means(h, z, batch, progress)
            total, loss = total + cost_now, loss + cost
        if self.head is not None:
            codes, targets, weights = batch.for_head(code)
            head_loss = weighted(self.head(codes, targets), weights).mean()
            total, loss = total + head_loss, loss + head_loss
        total.backward()
        return loss.detach()
