"""Optimizers: update rules on flat buffers, and schedules of the step size.

Each rule updates one buffer of all parameters in place, so that a step takes only a few
operations, however many layers there are. The step size may be a number or a tensor. A
tensor can change after the operations have been recorded for a GPU.
"""

import math
from typing import Protocol

import numpy as np
import torch

from .._compat import fused_adam
from .._runtime.clock import TimeLimit
from .flat_parameters import FlatParameters

__all__ = ["SCHEDULES", "SOLVERS", "WARM_UP", "Optimizer"]

# Number of parts that a buffer is split into on a GPU. One kernel launch takes 32.
# Measured in docs/choices.md, "Steps on a GPU".
_GPU_PARTS = 32
# SOAP rotates layers with at most this number of inputs. It renews their bases after
# this number of steps, and weighs older gradients in their covariance by this factor a
# step. Measured in docs/choices.md, "SOAP".
_MOST_INPUTS = 256
_SAME_BASIS = 50
_COVARIANCE_MEMORY = 0.95


class Rule(Protocol):
    """The attributes of a `Config` that tell how steps are made."""

    @property
    def solver(self) -> str: ...  # noqa: D102

    @property
    def learning_rate(self) -> str: ...  # noqa: D102

    @property
    def learning_rate_init(self) -> float: ...  # noqa: D102

    @property
    def alpha(self) -> float: ...  # noqa: D102


class _Solver:
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


class _Adam(_Solver):
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


class _AdamW(_Adam):
    """Adam with decoupled weight decay (Loshchilov, Hutter 2019).

    The squares are averaged over fewer steps than in Adam, because the step size of the
    schedule changes all the time. The step size was measured in docs/choices.md,
    "Network and training".
    """

    default_lr = 8e-3
    decoupled = True
    beta2 = 0.99


class _Soap(_AdamW):
    """SOAP (Vyas et al. 2025), one-sided: Adam in a better basis of a layer's inputs.

    The basis consists of the eigenvectors of the covariance of the gradient's columns.
    In it, the derivatives with respect to different weights are nearly uncorrelated, so
    a step size for each weight, as in Adam, suits the loss better. The same error needs
    about half of the steps. AdamW updates all other parameters: biases, kernels, and
    layers with so many inputs that their basis would cost more than it gains. Measured
    in docs/choices.md, "SOAP".
    """

    default_lr = 1.6e-2
    beta2 = 0.95
    state = (*_AdamW.state, "covariances", "bases", "n_steps")

    def __init__(self, parameters: FlatParameters) -> None:
        self.parameters, self.all_gradients = parameters.values, parameters.gradients
        # Adam gets the gradient in the new bases, and moves a buffer of zeros.
        self.values = torch.zeros_like(parameters.values)
        self.gradients = torch.zeros_like(parameters.gradients)
        self._begin()
        #: Number of steps so far. It stays on the CPU, where it can be read at once.
        self.n_steps = torch.zeros((), dtype=torch.int64)
        chosen, self.others, end = [], [], 0
        for weights, gradient in parameters.linear:
            part = slice(end, end + weights.numel())
            end = part.stop
            if weights.shape[1] <= _MOST_INPUTS:
                chosen.append((weights, gradient, part))
            else:
                self.others.append(part)
        self.others.append(slice(end, None))
        sizes = [weights.shape[1] ** 2 for weights, _, _ in chosen]
        self.covariances = self.values.new_zeros(sum(sizes))
        self.bases = self.values.new_zeros(sum(sizes))
        squares = self.covariances.split(sizes), self.bases.split(sizes)
        buffers = self.gradients, self.values, self.mean
        self.layers = [
            _RotatedLayer(weights, gradient, *(b[part] for b in buffers), *of_layer)
            for (weights, gradient, part), *of_layer in zip(
                chosen, *squares, strict=True
            )
        ]

    def step(self, lr: float | torch.Tensor) -> None:
        for layer in self.layers:
            layer.rotate_gradient()
        for part in self.others:
            self.gradients[part].copy_(self.all_gradients[part])
        self.values.zero_()
        super().step(lr)
        for layer in self.layers:
            layer.move()
        for part in self.others:
            self.parameters[part].add_(self.values[part])

    def end_step(self) -> None:
        n_steps = int(self.n_steps)
        if n_steps % _SAME_BASIS == 0:
            for layer in self.layers:
                layer.renew_basis(is_first=n_steps == 0)
        self.n_steps += 1

    def products(self) -> list[torch.Tensor]:
        return [product for layer in self.layers for product in layer.products()]


class _RotatedLayer:
    """A linear layer whose weights are updated in a basis of its inputs.

    ``weights`` and ``gradient`` have shape (n_outputs, n_inputs). The other arguments
    are views of flat buffers.
    """

    def __init__(
        self,
        weights: torch.Tensor,
        gradient: torch.Tensor,
        rotated: torch.Tensor,
        moved: torch.Tensor,
        mean: torch.Tensor,
        covariance: torch.Tensor,
        basis: torch.Tensor,
    ) -> None:
        n_inputs = weights.shape[1]
        self.weights, self.gradient = weights, gradient
        self.rotated, self.moved, self.mean = (
            flat.view(weights.shape) for flat in (rotated, moved, mean)
        )
        self.covariance = covariance.view(n_inputs, n_inputs)
        self.basis = basis.view(n_inputs, n_inputs)
        self.basis.fill_diagonal_(1.0)
        self.gradient_t, self.basis_t = self.gradient.t(), self.basis.t()

    def rotate_gradient(self) -> None:
        """Update the covariance, and write the gradient in the basis."""
        gradient, memory = self.gradient, _COVARIANCE_MEMORY
        self.covariance.addmm_(self.gradient_t, gradient, beta=memory, alpha=1 - memory)
        torch.mm(gradient, self.basis, out=self.rotated)

    def move(self) -> None:
        """Move the weights by what was computed in the basis."""
        self.weights.addmm_(self.moved, self.basis_t)

    def products(self) -> list[torch.Tensor]:
        """Return matrix products like those of a step.

        The basis may still be the identity, whose products never depend on the number
        of threads. So another matrix of its shape takes its place.
        """
        square = self.gradient_t @ self.gradient
        rotated = self.gradient @ square
        return [square, rotated, self.weights.clone().addmm_(rotated, square.t())]

    def renew_basis(self, is_first: bool) -> None:
        """Bring the basis closer to the eigenvectors of the present covariance.

        After the first time, an orthogonal iteration is enough. It keeps the order of
        the eigenvectors, the largest first, so that the second moments still belong to
        them.
        """
        if not self.covariance.isfinite().all():
            self.covariance.zero_()  # as of a training that has diverged
        elif is_first:
            basis = torch.linalg.eigh(self.covariance.double())[1].flip(1)
            self._change_basis(basis.to(self.basis))
        else:
            self._change_basis(torch.linalg.qr(self.covariance @ self.basis)[0])

    def _change_basis(self, basis: torch.Tensor) -> None:
        self.mean.copy_(self.mean @ (self.basis_t @ basis))
        self.basis.copy_(basis)


class _Muon(_AdamW):
    """Muon (Jordan et al. 2024): the momentum of each matrix is made orthogonal.

    So all singular directions of a matrix get steps of the same size, even if their
    gradients are small. Steps are scaled to the size of Adam's (Liu et al. 2025). Adam
    updates all parameters that are not weights of linear layers. Making a
    matrix orthogonal costs as much as some hundred rows, for any batch size.
    """

    default_lr = 1e-2
    state = (*_AdamW.state, "momentum")

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


class _RMSProp(_Solver):
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


class _SGD(_Solver):
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


#: name -> rule. With "auto" the step size is its ``default_lr``.
SOLVERS: dict[str, type[_Solver]] = {
    "adam": _Adam,
    "adamw": _AdamW,
    "muon": _Muon,
    "rmsprop": _RMSProp,
    "sgd": _SGD,
    "soap": _Soap,
}


def _constant(progress: float) -> float:
    return 1.0


#: Share of a one-cycle schedule in which the step size rises.
WARM_UP = 0.2


def _one_cycle(progress: float, warm_up: float = WARM_UP) -> float:
    """Rise linearly, then fall to zero along half a cosine (Smith, 2018)."""
    if progress < warm_up:
        return 0.1 + 0.9 * progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


#: name -> function from the progress in [0, 1) to a factor of the step size.
SCHEDULES = {"constant": _constant, "one_cycle": _one_cycle}


class Optimizer:
    """Steps of a scheduled size, with weight decay.

    Parameters
    ----------
    parameters : FlatParameters
        Parameters that are trained. Only their matrices decay.
    config : Config
        Config with solver, schedule, step size and weight decay.
    n_steps : int or float
        Number of steps in the schedule, unless a time limit ends it earlier.

    Attributes
    ----------
    n_steps_made : float
        Position in the schedule, in steps.
    progress : float
        Share of the training that is over. It stays at 1 after the last step.
    limit : TimeLimit
        Time limit, with which the schedule ends at the latest.
    """

    def __init__(
        self, parameters: FlatParameters, config: Rule, n_steps: float
    ) -> None:
        self.parameters = parameters
        self.rule = SOLVERS[config.solver](parameters)
        self.schedule = SCHEDULES[config.learning_rate]
        self.base_lr = config.learning_rate_init
        self.alpha = config.alpha
        self.n_steps = n_steps
        self.limit = TimeLimit()
        self.skip_to(0)

    def skip_to(self, n_steps_made: float) -> None:
        """Go to the place in the schedule after ``n_steps_made`` steps."""
        self.n_steps_made = n_steps_made
        progress = max(n_steps_made / self.n_steps, self.limit.part_spent)
        self.progress = min(1.0, progress)

    def begin_within(self, limit: TimeLimit) -> None:
        """Set the time limit, which counts from now on."""
        self.limit = limit
        self.skip_to(self.n_steps_made)

    def decay_from_here(self, alpha: float, n_steps: float) -> None:
        """Let weights decay from now on, and end the schedule in ``n_steps`` steps.

        No part of the schedule is skipped: the rest is compressed into these steps.
        """
        self.alpha = alpha
        self.n_steps = n_steps / max(1 - self.progress, 1e-6)
        self.n_steps_made = self.progress * self.n_steps

    def go_back_to(self, progress: float, n_steps: float) -> None:
        """Go back in the schedule, and end it ``n_steps`` steps after that place."""
        self.progress = progress
        self.decay_from_here(self.alpha, n_steps)

    @property
    def steps_of_schedule(self) -> float:
        """Total number of steps of the schedule, if the pace stays the same."""
        return self.n_steps_made / self.progress

    @property
    def out_of_time(self) -> bool:
        """Whether there is no time for another step."""
        return self.limit.part_spent >= 1

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the state of the rule, such as its momentum, as arrays by name."""
        return {
            name: getattr(self.rule, name).cpu().numpy().copy()
            for name in self.rule.state
        }

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state of the rule. Ignore one of another rule or other sizes."""
        shapes, now = (
            {name: array.shape for name, array in arrays.items()}
            for arrays in (state, self.state_dict())
        )
        if shapes != now:
            return
        for name, array in state.items():
            getattr(self.rule, name).copy_(torch.tensor(np.asarray(array)))

    @property
    def lr(self) -> float:
        """The step size of the next step."""
        return self.base_lr * self.schedule(self.progress)

    def step(self) -> None:
        """Move the parameters once along the negative gradient."""
        self.update(self.lr)
        self.skip_to(self.n_steps_made + 1)

    def end_step(self) -> None:
        """Do what only some steps need. Call it after each step, outside of graphs."""
        self.rule.end_step()

    def with_products(self, gradients: torch.Tensor) -> torch.Tensor:
        """Return gradients, and all other matrix products of a step, as one tensor."""
        products = self.rule.products()
        return torch.cat([gradients, *(p.reshape(-1) for p in products)])

    def update(self, lr: float | torch.Tensor) -> None:
        """Make an update with step size ``lr``, a number or a tensor with one value."""
        if self.alpha and self.rule.decoupled:
            self.parameters.matrices.mul_(1 - lr * self.alpha)
        elif self.alpha:
            matrices = self.parameters.matrices
            self.parameters.matrix_gradients.add_(matrices, alpha=self.alpha)
        self.rule.step(lr)
