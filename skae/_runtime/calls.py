"""Calls of functions that users wrote: how many arguments they ask for."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import torch

__all__ = ["call", "n_required"]

Result = TypeVar("Result")


def call(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function of someone's own with as many of the arguments as it asks for."""
    return function(*arguments[: n_required(function, len(arguments))])


@lru_cache(64)
def n_required(function: Callable[..., object], most: int) -> int:
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
