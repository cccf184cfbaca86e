"""Code transform: the network's codes as whoever stands behind them is given them.

Their origin is their mean. And from some radius on their lengths grow by logarithm
only. A row that is far out in one feature has a code that is far out, in a direction
where there is no other: a linear model behind bends to it if it was trained on it, and
answers it with anything if not. Nothing is lost: decoding begins with the way back.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["FARTHEST_CODE", "CodeTransform", "shorten"]

# No code is farther than this: float32 can still square and add such values.
#: From codes to those that are given out, or back.
Way: TypeAlias = Callable[[Tensor], Tensor]

FARTHEST_CODE = 1e17


@dataclass(frozen=True)
class CodeTransform:
    """Where codes are seen from, and how far.

    Attributes
    ----------
    origin : ndarray of shape (n_components,)
    radius : float
        Distance from the network's own origin from which on lengths are shortened.
    scale : ndarray of shape (n_components,) or None
        What codes are divided by in the end, if they are whitened.
    """

    origin: np.ndarray
    radius: float = np.inf
    scale: np.ndarray | None = None

    @classmethod
    def of(cls, n_components: int) -> Self:
        """Return the transform that leaves codes as they are."""
        return cls(np.zeros(n_components))

    def on(self, device: torch.device, dtype: torch.dtype) -> tuple[Way, Way]:
        """Return its two ways, to the codes that are given out and back, of tensors."""
        if self.scale is not None:
            return self._whitened(device, dtype)
        if self.radius == np.inf and not self.origin.any():
            return _as_they_are, _as_they_are
        origin = torch.tensor(self.origin, dtype=dtype, device=device)
        radius = self.radius

        def show(z):
            return shorten(z, radius).sub(origin)

        def hide(codes):
            return lengthen(codes.add(origin), radius)

        return show, hide

    def _whitened(self, device: torch.device, dtype: torch.dtype) -> tuple[Way, Way]:
        show, hide = replace(self, scale=None).on(device, dtype)
        scale = torch.tensor(self.scale, dtype=dtype, device=device)
        return lambda z: show(z).div(scale), lambda codes: hide(codes.mul(scale))


def _as_they_are(z):
    return z


def shorten(z: Tensor, radius: float) -> Tensor:
    """Let lengths beyond the radius grow by logarithm only.

    A length r becomes ``radius * (1 + log(r / radius))``; directions stay.

    Parameters
    ----------
    z : Tensor of shape (n_samples, n_components)
    radius : float
    """
    # All together are no farther out than the radius, so none of them is.
    if torch.linalg.vector_norm(z).item() <= radius:
        return z
    # Not in place: the lengths are needed for their own derivative.
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
