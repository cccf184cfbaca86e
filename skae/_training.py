"""Training: the objective, its flat parameters, and one pass after another."""

import math

import numpy as np
import torch

from ._corruptions import corrupt
from ._dense import DenseGradient
from ._losses import LINKS, autograd_gradient
from ._nested import first_codes, in_turn
from ._outskirts import stretch

__all__ = ["FlatParameters", "Objective", "epochs", "evaluate", "row_losses"]

_NONE_MOVED = torch.ones(0, 1)


class FlatParameters:
    """All parameters of modules laid end to end, and so their gradients.

    One buffer makes the solver's step, zeroing and copying one operation each, however
    many layers there are. Matrices come first, since only they are decayed.

    Parameters
    ----------
    *modules : nn.Module
        Their parameters become views of ``values``, their gradients of ``gradients``.
    """

    def __init__(self, *modules):
        parameters = [p for module in modules for p in module.parameters()]
        parameters.sort(key=lambda p: p.ndim < 2)
        self.values = torch.cat([p.detach().reshape(-1) for p in parameters])
        self.gradients = torch.zeros_like(self.values)
        start = 0
        for p in parameters:
            part = slice(start, start + p.numel())
            p.data = self.values[part].view_as(p)
            p.grad = self.gradients[part].view_as(p)
            start = part.stop
        split = sum(p.numel() for p in parameters if p.ndim >= 2)
        self.matrices = self.values[:split]
        self.matrix_gradients = self.gradients[:split]

    def copy(self):
        """Return the values as they are now."""
        return self.values.clone()

    def restore(self, values):
        """Put values back that `copy` returned."""
        self.values.copy_(values)


class Objective:
    """loss(decode(z), x) + linearity * bend(z, x) + head(z, t), a batch's mean.

    With z = encode(corrupt(x)). The bend is the squared distance of the codes from
    those of the anchor, each in units of its variance. It steers the training, and is
    no part of the loss that is reported. Rows that were moved outward by a factor c are
    compared where they came from: their outputs and bends are divided by c. They have
    no target t.

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
    ordered : bool
        Whether the later codes are left out at random while training.
    head : Head or None
        None where rows have no target.
    corruption : object with a method corrupt(x, rng), or None
        What is done to rows before they are encoded.
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
        ordered=False,
        head=None,
        corruption=None,
    ):
        self.network = network
        self.corruption = corruption
        self.head = head
        self.parameters = FlatParameters(*filter(None, [network, head]))
        self.loss = loss
        self.link = LINKS[link].function
        self.scaled_output = link == "identity"
        self.reach = reach
        self.ordered = ordered
        self.linearity = linearity
        if linearity:
            self.code_variance = torch.as_tensor(
                code_variance, dtype=torch.float32, device=device
            )
        self.dense = DenseGradient(network) if DenseGradient.handles(network) else None
        self.mean = torch.as_tensor(scaling.mean, dtype=torch.float32, device=device)
        self.scale = torch.as_tensor(scaling.scale, dtype=torch.float32, device=device)

    def corrupt(self, x, rng):
        """Return the rows as they are to be encoded."""
        return corrupt(self.corruption, x, rng)

    def __call__(self, x, t, inputs):
        """Losses of the rows of a batch and their targets, shape (batch,).

        ``inputs`` are the rows as they are encoded. Where the codes are ordered, rows
        keep one code, two, and so on in turn.
        """
        z = self._codes(inputs)
        losses = self._compare(self.network.decoder(z), x)
        return losses if self.head is None else losses + self.head(z, t)

    def reconstruction(self, x, t, inputs):
        """Return the part of the losses that asks nothing of the target."""
        return self._compare(self.network.decoder(self._codes(inputs)), x)

    def _codes(self, x):
        z = self.network.encoder(x)
        return z * in_turn(x, z.shape[1]) if self.ordered else z

    def _compare(self, output, x):
        if not self.loss.canonical and not self.scaled_output:
            output = (self.link(output) - self.mean) / self.scale
        return self.loss.function(output, self._target(x))

    def _target(self, x):
        if not self.loss.canonical:
            return x
        # Rounding may leave a hair under zero, where logarithms end.
        return torch.addcmul(self.mean, x, self.scale).clamp_(min=0.0)

    def backward(self, x, t, inputs=None, factors=_NONE_MOVED, kept=None):
        """Return the mean loss of a batch, with its gradient in ``parameters``.

        ``t`` are the targets (batch, width), and ``inputs`` what is encoded instead of
        ``x``. The first rows are moved outward by the ``factors``, (n_moved, 1); they
        have a part in the gradient, and none in the loss that is returned. ``kept``,
        (batch, n_components), multiplies the codes.
        """
        inputs = x if inputs is None else inputs
        n_moved = factors.shape[0]
        if n_moved:
            inputs = inputs.clone()  # it may be ``x``, or share its memory
            inputs[:n_moved] *= factors
        if self.dense is None:
            return self._autograd_backward(x, t, inputs, factors, kept)
        z = self.dense.encode(inputs)
        bend = self._bend_gradient(z, factors) if self.linearity else None
        if kept is not None:
            z.mul_(kept)
        output = self.dense.decode(z)
        loss, gradient = self._differentiate(output, x, factors)
        gradient = self.dense.decoder.backward(gradient)
        if self.head is not None:
            stayed = slice(n_moved, None)
            head_loss, head_gradient = self.head.backward(z[stayed], t[stayed])
            gradient[stayed] += head_gradient
            loss = loss + head_loss
        if kept is not None:
            gradient.mul_(kept)
        if bend is not None:
            gradient.add_(bend)
        self.dense.encoder.backward(gradient, to_input=False)
        return loss

    def _bend_gradient(self, z, factors):
        bend = z - self.dense.encoder.linear_part
        gradient = bend.div_(self.code_variance)
        gradient.mul_(2 * self.linearity / bend.numel())
        gradient[: len(factors)] /= factors**2
        return gradient

    def _differentiate(self, output, x, factors):
        """Mean loss of the rows that stayed, and its gradient with the moved ones'."""
        n_moved = factors.shape[0]
        if n_moved:
            output[:n_moved] /= factors
            loss_of_moved = self._compare(output[:n_moved], x[:n_moved]).sum()
        if self.loss.canonical or self.scaled_output:
            loss, gradient = self.loss.gradient(output, self._target(x))
        else:
            loss, gradient = autograd_gradient(self._compare)(output, x)
        if n_moved:
            gradient[:n_moved] /= factors
            loss = (len(x) * loss - loss_of_moved) / (len(x) - n_moved)
        return loss, gradient

    def _autograd_backward(self, x, t, inputs, factors, kept):
        """Do the same for networks of any layers."""
        self.parameters.gradients.zero_()
        n_moved = len(factors)
        everyone = x.new_ones(len(x), 1)
        everyone[:n_moved] = factors
        z = self.network.encoder(inputs)
        code = z if kept is None else z * kept
        losses = self._compare(self.network.decoder(code) / everyone, x)
        total = losses.mean()
        if self.linearity:
            bend = (z - self.network.encoder.anchor(inputs)) / everyone
            total += self.linearity * (bend.square() / self.code_variance).mean()
        loss = losses[n_moved:].mean()
        if self.head is not None:
            head_loss = self.head(code[n_moved:], t[n_moved:]).mean()
            total += head_loss
            loss = loss + head_loss
        total.backward()
        return loss.detach()


def epochs(objective, batches, solver, rng):
    """Train, one pass a turn, for as long as the caller asks for another.

    Yields
    ------
    loss : float
        The losses of the pass's batches as they were met, averaged over rows; NaN once
        the weights are not finite.
    """
    while True:
        objective.network.train()
        total, n_rows = torch.zeros((), device=batches.device), 0
        for x, t in batches.shuffled(rng):
            factors, kept = _NONE_MOVED, None
            inputs = objective.corrupt(x, rng)
            if objective.reach:
                factors = stretch(x, objective.reach, rng)
            if objective.ordered:
                kept = first_codes(x, objective.network.widths[-1], rng)
            n_stayed = x.shape[0] - factors.shape[0]
            total += objective.backward(x, t, inputs, factors, kept) * n_stayed
            n_rows += n_stayed
            solver.step()
        # Asked once a pass: a step that broke the weights shows in the loss only later.
        broken = not objective.parameters.values.isfinite().all()
        yield math.nan if broken else total.item() / n_rows


def evaluate(objective, batches):
    """Return the mean loss over all rows, without changing anything."""
    return row_losses(objective, batches).mean().item()


@torch.no_grad()
def row_losses(objective, batches, function=None):
    """Return the losses of all rows, a tensor of shape (n_rows,), float64.

    Rows are corrupted as in training, but always alike. ``function`` of a batch, its
    targets and its corrupted rows, if not the whole objective.
    """
    rng = np.random.default_rng(0)
    function = function or objective
    objective.network.eval()
    # Made first: small tensors kept between large ones would scatter the memory.
    losses = torch.empty(batches.n_rows, dtype=torch.float64, device=batches.device)
    start = 0
    for x, t in batches.in_order():
        losses[start : start + len(x)] = function(x, t, objective.corrupt(x, rng))
        start += len(x)
    return losses
