"""Supervision: a linear head that predicts the targets of rows from their codes.

The head influences the training of the encoder, and is discarded after it. It has three
losses. The gradient of each with respect to the head's output is the expected value
minus the target.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from .._typing import Floats

__all__ = ["Head"]


def _half_squared_error(output, target, sizes):
    return (output - target).square() / 2


def _identity(output, sizes):
    return output


def _log_loss(output, target, sizes):
    return F.binary_cross_entropy_with_logits(output, target, reduction="none")


def _logistic(output, sizes):
    return output.sigmoid()


def _cross_entropy(output, target, sizes):
    blocks = output.split(sizes, dim=1)
    return -target * torch.cat([b.log_softmax(dim=1) for b in blocks], dim=1)


def _softmax(output, sizes):
    return torch.cat([b.softmax(dim=1) for b in output.split(sizes, dim=1)], dim=1)


#: kind of target -> (loss of each value, expected target given the output).
_KINDS = {
    "continuous": (_half_squared_error, _identity),
    "multilabel": (_log_loss, _logistic),
    "multiclass": (_cross_entropy, _softmax),
}


class Head(nn.Module):
    """A linear map from codes to targets, with its weighted loss.

    Parameters
    ----------
    n_components : int
    kind : str
        Kind of the `Target`: a key of ``_KINDS``.
    sizes : list of int
        Number of columns of each output.
    weights : ndarray of shape (width,)
        Weights of the columns' losses.
    """

    weights: Tensor

    def __init__(
        self, n_components: int, kind: str, sizes: list[int], weights: Floats
    ) -> None:
        super().__init__()
        self.linear = skip_init(nn.Linear, n_components, sum(sizes)).float()
        self.loss, self.expected = _KINDS[kind]
        self.sizes = sizes
        self.register_buffer("weights", torch.as_tensor(weights, dtype=torch.float32))

    @torch.no_grad()
    def start(self, coefficients: Floats, intercept: Floats) -> None:
        """Set the linear map (width, n_components) and its intercept (width,)."""
        self.linear.weight.copy_(torch.from_numpy(coefficients))
        self.linear.bias.copy_(torch.from_numpy(intercept))

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Return losses of rows, (batch,), from codes and targets (batch, width)."""
        losses = self.loss(self.linear(z), t.nan_to_num(0.0), self.sizes)
        return torch.where(t.isnan(), 0.0, losses * self.weights).sum(dim=1)

    @torch.no_grad()
    def backward(
        self, z: Tensor, t: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss and its gradient with respect to the codes.

        It also sets the gradients of the parameters, without autograd. ``weights``
        (batch, 1) are sample weights.
        """
        unknown, target = t.isnan(), t.nan_to_num(0.0)
        linear = self.linear
        output = torch.addmm(linear.bias, z, linear.weight.t())
        losses = self.loss(output, target, self.sizes).mul_(self.weights)
        gradient = self.expected(output, self.sizes).sub_(target).mul_(self.weights)
        if weights is not None:
            losses.mul_(weights)
            gradient.mul_(weights)
        gradient.div_(len(z)).masked_fill_(unknown, 0.0)
        torch.mm(gradient.t(), z, out=linear.weight.grad)
        torch.sum(gradient, 0, out=linear.bias.grad)
        loss = losses.masked_fill_(unknown, 0.0).sum() / len(z)
        return loss, torch.mm(gradient, linear.weight)
