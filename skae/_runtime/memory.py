"""Memory: work in parts where it does not fit, and errors of torch in a sentence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

import torch

__all__ = ["explains_out_of_memory", "in_halves", "is_out_of_memory"]

# How torch says so on a CPU, where its error has no class of its own.
_OF_A_CPU = "can't allocate memory"
_REMEDY = "Use a smaller batch_size, or a smaller network (hidden_layer_sizes)"


class Divisible(Protocol):
    """What has a length, and slices of its kind."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Self: ...


Parts = TypeVar("Parts", bound=Divisible)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch has raised an error because it has found no memory."""
    return isinstance(error, torch.OutOfMemoryError) or _OF_A_CPU in str(error)


def in_halves(function: Callable[[Parts], torch.Tensor], rows: Parts) -> torch.Tensor:
    """Return what a function makes of rows, of halves of them where memory is short.

    Parameters
    ----------
    function : callable
        Of rows; returns a tensor with as many rows, each of one row alone.
    rows : object with a length, and with slices of its kind
    """
    try:
        return function(rows)
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(rows) < 2:
            raise
    # Out of the clause: the error holds on to all tensors of the call that failed.
    middle = len(rows) // 2
    parts = rows[:middle], rows[middle:]
    return torch.cat([in_halves(function, part) for part in parts])


@contextmanager
def explains_out_of_memory() -> Iterator[None]:
    """Raise MemoryError where torch finds no memory: a context, or a decorator."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        message = f"There is not enough memory. {_REMEDY}."
        if isinstance(error, torch.OutOfMemoryError):
            message = f"The GPU has not enough free memory. {_REMEDY}, or device='cpu'."
        raise MemoryError(message) from error
