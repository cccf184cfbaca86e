"""Code transform: from the network's codes to the codes that `transform` returns.

Codes are centred. Codes longer than a radius are shortened: beyond it the length grows
logarithmically. A row with one very large value has a very long code, in a direction
without other codes. If a linear model is fitted to such a code, the code has a large
influence on it. If not, the model's prediction for it can be arbitrary. The transform
loses no information, and decoding begins with its inverse. Measured in docs/choices.md,
"Codes far out".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["FARTHEST_CODE", "CodeTransform", "shorten"]

#: Function from the network's codes to transformed codes, or its inverse.
Way: TypeAlias = Callable[[Tensor], Tensor]

# Codes are clipped to this size. float32 can still square and add such values.
FARTHEST_CODE = 1e17


@dataclass(frozen=True)
class CodeTransform:
    """The origin of codes, and the radius from which on they are shortened.

    Attributes
    ----------
    origin : ndarray of shape (n_components,)
    radius : float
        Length of the network's codes from which on they are shortened.
    scale : ndarray of shape (n_components,) or None
        Divisors of the transformed codes, if codes are whitened.
    """

    origin: np.ndarray
    radius: float = np.inf
    scale: np.ndarray | None = None

    @classmethod
    def of(cls, n_components: int) -> Self:
        """Return the identity transform."""
        return cls(np.zeros(n_components))

    def on(self, device: torch.device, dtype: torch.dtype) -> tuple[Way, Way]:
        """Return the transform and its inverse, as functions of tensors."""
        if self.scale is not None:
            return self._whitened(device, dtype)
        if self.radius == np.inf and not self.origin.any():
            return _as_they_are, _as_they_are
        origin = torch.tensor(self.origin, dtype=dtype, device=device)
        radius = self.radius

        def transform(z):
            return shorten(z, radius).sub(origin)

        def undo(codes):
            return lengthen(codes.add(origin), radius)

        return transform, undo

    def _whitened(self, device: torch.device, dtype: torch.dtype) -> tuple[Way, Way]:
        transform, undo = replace(self, scale=None).on(device, dtype)
        scale = torch.tensor(self.scale, dtype=dtype, device=device)
        return lambda z: transform(z).div(scale), lambda codes: undo(codes.mul(scale))


def _as_they_are(z):
    return z


def shorten(z: Tensor, radius: float) -> Tensor:
    """Shorten codes beyond the radius, so that lengths grow logarithmically there.

    A length r becomes ``radius * (1 + log(r / radius))``. Directions do not change.

    Parameters
    ----------
    z : Tensor of shape (n_samples, n_components)
    radius : float
    """
    # If the norm of the whole batch is within the radius, that of each code is too.
    if torch.linalg.vector_norm(z).item() <= radius:
        return z
    # Not in place, because autograd needs the lengths for their derivative.
    ratio = (_lengths(z) / radius).clamp(min=1.0)
    return z * ratio.log().add(1.0).div(ratio)


def lengthen(z: Tensor, radius: float) -> Tensor:
    """Undo `shorten`."""
    if torch.linalg.vector_norm(z).item() <= radius:
        return z
    z = z.clamp(-FARTHEST_CODE, FARTHEST_CODE)
    ratio = _lengths(z).div_(radius).clamp_(min=1.0)
    highest = np.log(FARTHEST_CODE / radius)
    return z * ratio.sub(1.0).clamp_(max=highest).exp_().div_(ratio)


def _lengths(z):
    return torch.linalg.vector_norm(z, dim=1, keepdim=True)
