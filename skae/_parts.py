"""Parts: what may stand in a slot of the estimator, and what it may return."""

import inspect
from functools import lru_cache

import torch

__all__ = ["call", "check_part", "check_row_values", "n_required"]


def check_part(slot, part, named):
    """Resolve a name to its part, and see that the part's own parameters are valid.

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


def call(function, *arguments):
    """Call a function of someone's own with as many of the arguments as it asks for."""
    return function(*arguments[: n_required(function, len(arguments))])


@lru_cache(64)
def n_required(function, most):
    """How many positional arguments a callable asks for, at least; ``most`` if any.

    One if it does not say so, as functions written in C do not.
    """
    if isinstance(function, torch.nn.Module):
        function = function.forward  # its call takes anything
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = [p.kind for p in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return most
    by_place = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    asked = [p for p in parameters if p.kind in by_place and p.default is p.empty]
    return min(len(asked), most)


def check_row_values(part, values, n_rows):
    """Return what a part of someone's own has returned, if it is a number for each row.

    Parameters
    ----------
    part : str
        For messages.
    values : object
    n_rows : int
    """
    if not isinstance(values, torch.Tensor):
        found = f"{type(values).__module__}.{type(values).__name__}"
    elif values.shape != (n_rows,) or not values.is_floating_point():
        found = f"{values.dtype} of shape {tuple(values.shape)}"
    else:
        return values
    raise TypeError(
        f"{part} must return a float tensor with a number for each row, of shape "
        f"({n_rows},), got {found}."
    )
