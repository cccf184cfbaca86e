"""SOAP: AdamW in the eigenbasis of each layer's inputs."""

import torch

from .flat_parameters import FlatParameters
from .solvers import AdamW

__all__ = ["Soap"]

# SOAP rotates layers with at most this number of inputs. It renews their bases after
# this number of steps, and weighs older gradients in their covariance by this factor a
# step. Measured in docs/choices.md, "SOAP".
_MOST_INPUTS = 256
_SAME_BASIS = 50
_COVARIANCE_MEMORY = 0.95


class Soap(AdamW):
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
    state = (*AdamW.state, "covariances", "bases", "n_steps")

    def __init__(self, parameters: FlatParameters) -> None:
        self.parameters, self.all_gradients = parameters.values, parameters.gradients
        # Adam gets the gradient in the bases. Its step is written to a buffer of zeros.
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
