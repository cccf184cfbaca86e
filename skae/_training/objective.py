"""Objective: what training minimises, on a batch, and its gradient.

Encoder and decoder of dense networks have their gradients written out; what is between
them, where codes are drawn or cost something, is small enough for autograd.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import inference_mode, no_grad

from .._nn.dense_backprop import DenseBackprop
from .._nn.fast_forward import FastForward
from .._nn.layers import Dropout
from .._nn.seeded_modules import Own
from .._parts.corruptions import corrupt
from .._parts.latents import Point
from .._parts.losses import LINKS, LOSSES, autograd_gradient
from .._parts.penalties import Sparsity, needs_encoder, penalize
from .flat_parameters import FlatParameters
from .nested_dropout import first_codes, in_turn
from .outliers import move

__all__ = ["Objective", "Step"]

_NONE_MOVED = torch.ones(0, 1, dtype=torch.float32, device="cpu")


@dataclass
class Step:
    """A batch of rows with their targets, and how it is met this time.

    Attributes
    ----------
    x, t : Tensor of shape (batch, n_features), (batch, width)
        Rows, and their targets.
    inputs : Tensor of shape (batch, n_features)
        What is encoded instead of ``x``.
    rng : numpy.random.Generator
        For what has to be drawn on the way.
    factors : Tensor of shape (n_moved, 1)
        By which the first rows were moved outward. They have a part in the gradient,
        and none in the loss that is returned, nor in the costs of codes.
    kept : Tensor of shape (batch, n_components) or None
        What codes are multiplied by.
    """

    x: torch.Tensor
    t: torch.Tensor
    inputs: torch.Tensor
    rng: np.random.Generator
    factors: torch.Tensor = _NONE_MOVED
    kept: torch.Tensor | None = None

    def __post_init__(self):
        self.n_moved = self.factors.shape[0]


class Objective:
    """loss(decode(z), x) + cost(h) + penalty(z, x) + head(z, t), a batch's mean.

    With h = encode(corrupt(x)) and z = latent(h). A linearity adds the squared distance
    of the codes from those of the anchor, the bend, each in units of its variance. It
    steers the training, and is no part of the loss that is reported. Rows that were
    moved outward by a factor c are compared in proportion, those on their rays where
    they came from: outputs and bends are divided by c. They have no target t.

    Parameters
    ----------
    network : AutoEncoder
    loss : Loss
    link : str
        Key of ``LINKS``.
    scaling : Scaling
        To compare with ``X`` in its own units where the loss asks for them.
    device : torch.device
    linearity : float
        Weight of the bend; 0 for networks without an anchor.
    code_variance : ndarray of shape (n_components,) or None
        Its units.
    reach : float
        How far from the mean rows are moved outward while training; 0 for not at all.
    breaks : ndarray of shape (2 * n_features,) or None
        What breaks out of them, from `likely_breaks`.
    basis : ndarray of shape (n_all_features, n_features) or None
        What the values of rows are coordinates on, if not the features.
    reaches_from : float
        Part of the training after which rows are moved.
    moved_weight : float
        What these rows count for in the gradient, 1 for as much as the others.
    ordered : bool
        Whether the later codes are left out at random while training.
    head : Head or None
        None where rows have no target.
    corruption : object with a method corrupt(x, rng), or None
        What is done to rows before they are encoded.
    latent : Point, Gaussian or Mixture
    penalty : object with a method penalize(z, x, encode, rng), or None
    share : float
        Part of all features that are learnt; of the others the loss is zero.
    """

    def __init__(
        self,
        network,
        loss,
        link,
        scaling,
        device,
        linearity=0.0,
        code_variance=None,
        reach=0.0,
        breaks=None,
        basis=None,
        reaches_from=0.0,
        moved_weight=1.0,
        ordered=False,
        head=None,
        corruption=None,
        latent=Point(),  # noqa: B008, it has no state
        penalty=None,
        share=1.0,
    ):
        self.network = network
        self._modules = list(network.modules())
        self.corruption = corruption
        self.latent = latent
        self.penalty = penalty
        self.codes_cost = latent.has_kl or penalty is not None
        self.is_random = self.codes_cost or corruption is not None
        self.head = head
        self.parameters = FlatParameters(
            *filter(None, [network, head]), buffers=network.own_buffers()
        )
        self.loss = loss
        self.link = LINKS[link].inverse
        self.scaled_output = link == "identity"
        self.reach = reach
        self.reaches_from = reaches_from
        self.breaks = breaks
        self.basis = None if basis is None else torch.from_numpy(basis).to(device)
        self.moved_weight = moved_weight
        self.ordered = ordered
        self.bend_weight = None
        if linearity:
            weight = torch.as_tensor(linearity / code_variance, dtype=torch.float32)
            self.bend_weight = weight.to(device)
        written = DenseBackprop.handles(network) and not needs_encoder(penalty)
        self.dense = DenseBackprop(network) if written else None
        self.fast = FastForward(network)  # where losses are compared
        self.share = share
        self.n_features = round(network.n_features / share)
        self.mean = torch.as_tensor(scaling.mean, dtype=torch.float32, device=device)
        self.scale = torch.as_tensor(scaling.scale, dtype=torch.float32, device=device)
        self._written = None
        if loss.closed_form and (loss.canonical or self.scaled_output):
            self._written = loss.closed_form(share, self.mean, self.scale)

    def without_autograd(self):
        """Return a context for steps: whatever needs autograd in them asks for it.

        Operations begin sooner where it cannot be asked for at all, since neither loss
        nor layers nor anyone's own part will.
        """
        unwritten = self._written is None or self.dense is None
        return no_grad() if unwritten or self.is_random else inference_mode()

    @property
    def is_replayable(self):
        """Whether the same operations make every step: nothing is drawn on the way.

        Those of someone's own network, loss or penalty could be any. What is drawn
        before a step, as corruptions are, does not matter.
        """
        others = any(isinstance(m, Dropout | Own) for m in self._modules)
        return not others and not self.codes_cost and self.loss in LOSSES.values()

    @property
    def repeats_with_threads(self):
        """Whether a step gives the same bits with any number of threads.

        Gradients of convolutions are sums whose last digits depend on it, and parts of
        someone's own may do anything.
        """
        own_penalty = self.penalty is not None and type(self.penalty) is not Sparsity
        known = self.loss in LOSSES.values() and not own_penalty
        return self.dense is not None and known

    def avoid_underflow(self):
        """Keep gradients of later steps from becoming subnormal, which is slow."""
        if self.dense is not None and self.mean.is_cpu:
            self.dense.avoid_underflow()

    def train(self, mode):
        """Put the network in training mode, or in that of evaluation.

        As `torch.nn.Module.train` does, whose checks take a twentieth of a small fit.
        """
        for module in self._modules:
            vars(module)["training"] = mode

    def train_on(self, x, t, sizes, rng, progress=1.0):
        """Yield steps on batches of some sizes, which lie one after another.

        How they are met is drawn for all of them at once, and ``x`` written on.
        ``progress`` is the part of the training that is over before each of them.
        """
        inputs = corrupt(self.corruption, x, rng)
        factors, kept = [_NONE_MOVED] * len(sizes), [None] * len(sizes)
        moves = np.broadcast_to(progress >= self.reaches_from, len(sizes))
        if self.reach and moves.any():
            inputs = inputs.clone()  # it may be ``x``, or share its memory
            bounds = self.reach, self.breaks
            factors = move(x, inputs, sizes, *bounds, rng, self.basis, moves)
        if self.ordered:
            kept = first_codes(x, self.network.n_components, rng).split(sizes)
        parts = (rows.split(sizes) for rows in (x, t, inputs))
        for *rows, moved_by, kept_codes in zip(*parts, factors, kept, strict=True):
            yield Step(*rows, rng, moved_by, kept_codes)

    def watch(self, x, t, rng):
        """Draw how a batch is met where losses are compared.

        Where the codes are ordered, rows keep one code, two, and so on in turn.
        """
        inputs = corrupt(self.corruption, x, rng)
        kept = in_turn(x, self.network.n_components) if self.ordered else None
        return Step(x, t, inputs, rng, kept=kept)

    def __call__(self, step):
        """Losses of the rows of a batch, (batch,), without the bend."""
        h, z, code = self._encode(self.fast, step)
        losses = self.compare(self.fast.decoder(code), step.x)
        if self.codes_cost:
            of_latent, of_penalty = self._costs(h, z, step)
            losses = losses + of_latent + of_penalty
        return losses if self.head is None else losses + self.head(code, step.t)

    def reconstruction(self, step):
        """Return the part of the losses that is the reconstruction's."""
        _, _, code = self._encode(self.fast, step)
        return self.compare(self.fast.decoder(code), step.x)

    def of_target(self, step):
        """Return the part of the losses that is the target's, if there is a head."""
        _, _, code = self._encode(self.fast, step)
        return self.head(code, step.t)

    def _encode(self, network, step):
        """Return what the encoder gives, the codes, and what is kept of them."""
        h = network.encoder(step.inputs)
        z = self.latent.draw(h, step.rng)
        return h, z, z if step.kept is None else z * step.kept

    def _costs(self, h, z, step):
        """Costs of the rows that stayed: of the latent, and of the penalty."""
        h, z, x = h[step.n_moved :], z[step.n_moved :], step.inputs[step.n_moved :]
        of_latent = of_penalty = z.new_zeros(len(z))
        if self.latent.has_kl:
            of_latent = self.latent.kl_divergence(h, self.n_features)
        if self.penalty is not None:
            of_penalty = penalize(self.penalty, z, x, self.network.encode, step.rng)
        return of_latent, of_penalty

    def _mean_costs(self, h, z, step, progress):
        """Return the mean cost, and what of it the gradient is to be taken of."""
        of_latent, of_penalty = (costs.mean() for costs in self._costs(h, z, step))
        kl_weight = self.latent.kl_weight(progress) if self.latent.has_kl else 1.0
        return of_latent + of_penalty, kl_weight * of_latent + of_penalty

    def compare(self, output, x):
        """Losses of the rows of an output, before the link."""
        if self.loss.canonical:
            x = torch.addcmul(self.mean, x, self.scale)
        elif not self.scaled_output:
            output = (self.link(output) - self.mean) / self.scale
        return self.share * self.loss.function(output, x)

    def backward(self, step, progress=1.0):
        """Return the mean loss of a batch, with its gradient in ``parameters``.

        A number, or a tensor where that has to be waited for. ``progress`` is the part
        of the training that is over.
        """
        if self.dense is None:
            return self._autograd_backward(step, progress)
        factors, stayed = step.factors, slice(step.n_moved, None)
        z = h = self.dense.encode(step.inputs)
        bend = None if self.bend_weight is None else self._bend(h, factors)
        if self.codes_cost:
            h = h.detach().requires_grad_()
            with torch.enable_grad():
                drawn = self.latent.draw(h, step.rng)
                cost, cost_now = self._mean_costs(h, drawn, step, progress)
            z = drawn.detach().clone()
        if step.kept is not None:
            z.mul_(step.kept)
        output = self.dense.decode(z)
        loss, gradient = self._differentiate(output, step.x, factors)
        gradient = self.dense.decoder.backward(gradient)
        if self.head is not None:
            head_loss, head_gradient = self.head.backward(z[stayed], step.t[stayed])
            gradient[stayed] += head_gradient
            loss = loss + head_loss
        if step.kept is not None:
            gradient.mul_(step.kept)
        if self.codes_cost:
            with torch.enable_grad():
                ((drawn * gradient).sum() + cost_now).backward()
            loss, gradient = loss + cost.detach(), h.grad
        if bend is not None:
            codes = gradient[:, : bend.shape[1]]
            codes.addcmul_(bend, self.bend_weight, value=2 / bend.numel())
        self.dense.encoder.backward(gradient, to_input=False)
        return loss

    def gradient_alone(self, step):
        """Return the gradient of a batch, and leave everything else as it was."""
        state = step.rng.bit_generator.state
        self.backward(step)
        step.rng.bit_generator.state = state
        return self.parameters.gradients

    def _bend(self, h, factors):
        codes = slice(len(self.bend_weight))
        bend = h[:, codes] - self.dense.encoder.linear_part[:, codes]
        if len(factors):
            bend[: len(factors)].div_(factors.square())
        return bend

    def _differentiate(self, output, x, factors):
        """Mean loss of the rows that stayed, and its gradient with the moved ones'."""
        n_moved = factors.shape[0]
        if n_moved:
            output[:n_moved].div_(factors)
        gradient_of = self._written or autograd_gradient(self.compare)
        loss, gradient = gradient_of(output, x, n_moved)
        if n_moved:
            gradient[:n_moved].div_(factors)
            if self.moved_weight < 1:
                gradient[:n_moved].mul_(self.moved_weight)
        return loss, gradient

    @torch.enable_grad()
    def _autograd_backward(self, step, progress):
        """Do the same for networks of any layers, and penalties of any kind."""
        self.parameters.gradients.zero_()
        x, stayed = step.x, slice(step.n_moved, None)
        everyone = x.new_ones(len(x), 1)
        everyone[: step.n_moved] = step.factors
        h, z, code = self._encode(self.network, step)
        losses = self.compare(self.network.decoder(code) / everyone, x)
        weights = torch.ones_like(losses)
        weights[: step.n_moved] = self.moved_weight
        total, loss = (weights * losses).mean(), losses[stayed].mean()
        if self.bend_weight is not None:
            bend = (h - self.network.encoder.anchor(step.inputs)) / everyone
            bend = bend[:, : len(self.bend_weight)]
            total += (bend.square() * self.bend_weight).mean()
        if self.codes_cost:
            cost, cost_now = self._mean_costs(h, z, step, progress)
            total, loss = total + cost_now, loss + cost
        if self.head is not None:
            head_loss = self.head(code[stayed], step.t[stayed]).mean()
            total, loss = total + head_loss, loss + head_loss
        total.backward()
        return loss.detach()
