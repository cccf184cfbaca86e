"""Calls of users' functions, with as many arguments as they require."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["call", "n_required"]

Result = TypeVar("Result")


def call(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a user's function with as many of the arguments as it requires."""
    return function(*arguments[: n_required(function, len(arguments))])


@lru_cache(64)
def n_required(function: Callable[..., object], most: int) -> int:
    """Return how many positional arguments a callable requires, ``most`` at most.

    Return ``most`` for a callable with ``*args``. Return 1 for a callable without a
    signature, such as many functions written in C.
    """
    if isinstance(function, torch.nn.Module):
        function = function.forward  # __call__ takes any arguments
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
