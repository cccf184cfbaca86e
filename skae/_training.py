"""Training: the objective, its flat parameters, and one pass after another."""

import math

import torch

from ._dense import DenseGradient
from ._losses import LINKS, autograd_gradient

__all__ = ["FlatParameters", "Objective", "epochs", "evaluate"]


class FlatParameters:
    """All parameters of a network laid end to end, and so their gradients.

    One buffer makes the solver's step, zeroing and copying one operation each, however
    many layers there are. Matrices come first, since only they are decayed.

    Parameters
    ----------
    network : nn.Module
        Its parameters become views of ``values``, their gradients of ``gradients``.
    """

    def __init__(self, network):
        parameters = sorted(network.parameters(), key=lambda p: p.ndim < 2)
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
    """loss(decode(encode(x)), x), the mean over a batch, and its gradient.

    Parameters
    ----------
    network : AutoEncoder
    loss : Loss
    link : str
        Key of ``LINKS``.
    scaling : Scaling
        To compare with ``X`` in its own units where the loss asks for them.
    device : torch.device
    """

    def __init__(self, network, loss, link, scaling, device):
        self.network = network
        self.parameters = FlatParameters(network)
        self.loss = loss
        self.link = LINKS[link].function
        self.scaled_output = link == "identity"
        self.dense = DenseGradient(network) if DenseGradient.handles(network) else None
        self.mean = torch.as_tensor(scaling.mean, dtype=torch.float32, device=device)
        self.scale = torch.as_tensor(scaling.scale, dtype=torch.float32, device=device)

    def __call__(self, x):
        """Loss of a batch (batch, n_features), a tensor of no dimensions."""
        return self._compare(self.network(x), x)

    def _compare(self, output, x):
        if not self.loss.canonical and not self.scaled_output:
            output = (self.link(output) - self.mean) / self.scale
        return self.loss.function(output, self._target(x))

    def _target(self, x):
        if not self.loss.canonical:
            return x
        # Rounding may leave a hair under zero, where logarithms end.
        return torch.addcmul(self.mean, x, self.scale).clamp_(min=0.0)

    def backward(self, x):
        """Loss of a batch; its gradient replaces the one in ``parameters``."""
        if self.dense is None:
            self.parameters.gradients.zero_()
            loss = self(x)
            loss.backward()
            return loss.detach()
        output = self.dense.forward(x)
        if self.loss.canonical or self.scaled_output:
            loss, gradient = self.loss.gradient(output, self._target(x))
        else:
            loss, gradient = autograd_gradient(self._compare)(output, x)
        self.dense.backward(x, gradient)
        return loss


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
        total = torch.zeros((), device=batches.device)
        for x in batches.shuffled(rng):
            total += objective.backward(x) * len(x)
            solver.step()
        # Asked once a pass: a step that broke the weights shows in the loss only later.
        broken = not objective.parameters.values.isfinite().all()
        yield math.nan if broken else total.item() / batches.n_rows


@torch.no_grad()
def evaluate(objective, batches):
    """Return the mean loss over all rows, without changing anything."""
    objective.network.eval()
    total = torch.zeros((), device=batches.device)
    for x in batches.in_order():
        total += objective(x) * len(x)
    return total.item() / batches.n_rows
