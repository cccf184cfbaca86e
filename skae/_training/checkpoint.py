"""Checkpoint: the state of a training besides its weights, as numpy arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """What is needed, besides the weights, to continue a training.

    Attributes
    ----------
    rng : dict
        State of the bit generator.
    solver : dict
        State of the optimizer's rule, as arrays by name.
    n_steps_made : float
        Position in the schedule.
    head : dict or None
        Weights of the head, as arrays by name.
    """

    rng: Mapping[str, Any]
    solver: dict[str, np.ndarray]
    n_steps_made: float
    head: dict[str, np.ndarray] | None
