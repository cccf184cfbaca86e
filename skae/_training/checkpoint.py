"""Checkpoint: what a training needs besides its weights to go on, as numpy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is.

    Attributes
    ----------
    rng : dict
        State of its bit generator.
    solver : dict
        What the rule of the optimizer remembers, arrays by name.
    n_steps_made : float
    head : dict or None
        Weights of the head, arrays by name.
    """

    rng: Mapping[str, Any]
    solver: dict[str, np.ndarray]
    n_steps_made: float
    head: dict[str, np.ndarray] | None
