"""Solvers: update rules on flat buffers.

Each rule updates one buffer of all parameters in place, so that a step takes only a few
operations, however many layers there are. The step size may be a number or a tensor. A
tensor can change after the operations have been recorded for a GPU.
"""

import torch

from .._compat import fused_adam
from .flat_parameters import FlatParameters

__all__ = ["SGD", "Adam", "AdamW", "Muon", "RMSProp", "Solver"]

# Number of parts that a buffer is split into on a GPU. One kernel launch takes 32.
# Measured in docs/choices.md, "Steps on a GPU".
_GPU_PARTS = 32


class Solver:
    """An update rule.

    Attributes
    ----------
    default_lr : float
        Step size, unless the user sets one.
    decoupled : bool
        Whether weight decay is not part of the gradient.
    state : tuple of str
        Names of the tensors that a later training needs to continue.
    """

    default_lr: float
    decoupled: bool
    state: tuple[str, ...]

    def __init__(self, parameters: FlatParameters) -> None:
        raise NotImplementedError

    def step(self, lr: float | torch.Tensor) -> None:
        """Update the parameters once."""
        raise NotImplementedError

    def end_step(self) -> None:
        """Do what only some steps need. It is not recorded for a GPU."""

    def products(self) -> list[torch.Tensor]:
        """Return matrix products like those of a step. Nothing is changed."""
        return []


class Adam(Solver):
    """Adam (Kingma, Ba 2015), with torch's fused kernel."""

    default_lr = 1e-3
    decoupled = False
    beta2 = 0.999
    state: tuple[str, ...] = ("mean", "square", "count")

    def __init__(self, parameters: FlatParameters) -> None:
        self.values, self.gradients = parameters.values, parameters.gradients
        self._begin()

    def _begin(self) -> None:
        self.mean = torch.zeros_like(self.values)
        self.square = torch.zeros_like(self.values)
        self.count = self.values.new_zeros(())
        self._one = torch.ones_like(self.count)
        state = self.values, self.gradients, self.mean, self.square
        # On a GPU each block of threads takes 65,536 values of one tensor. With a
        # single tensor, most blocks would be idle.
        n_parts = _GPU_PARTS if self.values.is_cuda else 1
        self._lists = *(list(tensor.chunk(n_parts)) for tensor in state), []
        self._counts = [self.count] * len(self._lists[0])

    def step(self, lr: float | torch.Tensor) -> None:
        self.count.add_(self._one)
        fused_adam(
            *self._lists,
            self._counts,
            lr=lr,
            beta1=0.9,
            beta2=self.beta2,
            weight_decay=0.0,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019).

    The squares are averaged over fewer steps than in Adam, because the step size of the
    schedule changes all the time. The step size was measured in docs/choices.md,
    "Network and training".
    """

    default_lr = 8e-3
    decoupled = True
    beta2 = 0.99


class Muon(AdamW):
    """Muon (Jordan et al. 2024): the momentum of each matrix is made orthogonal.

    So all singular directions of a matrix get steps of the same size, even if their
    gradients are small. Steps are scaled to the size of Adam's (Liu et al. 2025). Adam
    updates all parameters that are not weights of linear layers. Making a
    matrix orthogonal costs as much as some hundred rows, for any batch size.
    """

    default_lr = 1e-2
    state = (*AdamW.state, "momentum")

    def __init__(self, parameters: FlatParameters) -> None:
        n_linear = sum(weight.numel() for weight, _ in parameters.linear)
        self.values = parameters.values[n_linear:]
        self.gradients = parameters.gradients[n_linear:]
        self._begin()
        self.linear = parameters.linear
        self.linear_gradients = parameters.gradients[:n_linear]
        self.momentum = torch.zeros_like(self.linear_gradients)

    def step(self, lr: float | torch.Tensor) -> None:
        super().step(lr)
        self.momentum.mul_(0.95).add_(self.linear_gradients)
        # Nesterov's momentum.
        self.linear_gradients.add_(self.momentum, alpha=0.95)
        for weight, direction in self.linear:
            step = lr * 0.2 * max(weight.shape) ** 0.5
            weight.sub_(_orthogonal(direction).mul_(step))


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular vectors, and singular values of .7 to 1.2.

    Five steps of the Newton-Schulz iteration, with Muon's coefficients, which make the
    first steps converge fast.
    """
    x = matrix if len(matrix) <= matrix.shape[1] else matrix.t()
    x = x / torch.linalg.vector_norm(x).clamp(min=1e-30)
    for _ in range(5):
        gram = x @ x.t()
        gram = torch.addmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        x = torch.addmm(x, gram, x, beta=3.4445)
    return x if len(matrix) <= matrix.shape[1] else x.t()


class RMSProp(Solver):
    """RMSProp (Tieleman, Hinton 2012), with the decay of Keras."""

    default_lr = 1e-3
    decoupled = False
    state: tuple[str, ...] = ("square",)

    def __init__(self, parameters: FlatParameters) -> None:
        self.values, self.gradients = parameters.values, parameters.gradients
        self.square = torch.zeros_like(self.values)

    def step(self, lr: float | torch.Tensor) -> None:
        self.square.mul_(0.9).addcmul_(self.gradients, self.gradients, value=0.1)
        root = self.square.sqrt().add_(1e-7)
        self.values.addcdiv_(self.gradients, root.div_(lr), value=-1)


class SGD(Solver):
    """Stochastic gradient descent with Nesterov momentum (Sutskever et al. 2013).

    Gradients with a norm above 1 are clipped to norm 1 (Pascanu et al. 2013). The norm
    does not tell how far the minimum is, and without clipping one step size could not
    suit all data.
    """

    default_lr = 0.05
    decoupled = False
    state: tuple[str, ...] = ("velocity",)

    def __init__(self, parameters: FlatParameters) -> None:
        self.values, self.gradients = parameters.values, parameters.gradients
        self.velocity = torch.zeros_like(self.values)

    def step(self, lr: float | torch.Tensor) -> None:
        norm = torch.linalg.vector_norm(self.gradients)
        self.gradients.div_(norm.clamp(min=1.0))
        self.velocity.mul_(0.9).add_(self.gradients)
        ahead = self.gradients.add_(self.velocity, alpha=0.9)
        self.values.sub_(ahead.mul_(lr))
