"""Parts: objects for slots (parameters such as ``penalty``), and what they return."""

from collections.abc import Mapping
from typing import Any

import torch

__all__ = ["resolve_part", "check_row_values"]


def resolve_part(slot: str, part: Any, named: Mapping[str, type]) -> Any:
    """Resolve a name to its part, and check the part's own parameters.

    Parameters
    ----------
    slot : str
        The estimator's parameter, for messages.
    part : str, object or None
    named : dict
        name -> class of a part that can be made without arguments.
    """
    if isinstance(part, str):
        return named[part]()
    if isinstance(part, type):
        raise TypeError(
            f"{slot} must be an object, not the class: {part.__name__}(...)."
        )
    if hasattr(part, "_parameter_constraints"):
        part._validate_params()
    return part


def check_row_values(part: str, values: object, n_samples: int) -> torch.Tensor:
    """Check that a user's part returned one number for each row, and return them.

    Parameters
    ----------
    part : str
        For messages.
    values : object
    n_samples : int
    """
    if not isinstance(values, torch.Tensor):
        found = f"{type(values).__module__}.{type(values).__name__}"
    elif values.shape != (n_samples,) or not values.is_floating_point():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
    else:
        return values
    raise TypeError(
        f"{part} must return a float tensor with a number for each row, of shape "
        f"({n_samples},), got {found}."
    )
