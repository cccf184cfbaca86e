"""Memory: work split into halves if it does not fit, and clear error messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

import torch

__all__ = ["explains_out_of_memory", "in_halves", "is_out_of_memory"]

# Part of torch's message on a CPU, where the error has no special class.
_CPU_MESSAGE = "can't allocate memory"
_REMEDY = "Use a smaller batch_size, or a smaller network (hidden_layer_sizes)"


class Divisible(Protocol):
    """An object with a length, whose slices have the same type."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Self: ...


Parts = TypeVar("Parts", bound=Divisible)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory is short."""
    return isinstance(error, torch.OutOfMemoryError) or _CPU_MESSAGE in str(error)


def in_halves(function: Callable[[Parts], torch.Tensor], rows: Parts) -> torch.Tensor:
    """Apply a function to rows, or to halves of them if memory is short.

    Parameters
    ----------
    function : callable
        Takes rows; returns a tensor with as many rows, each computed from one row
        alone.
    rows : object with a length and slices of the same type
    """
    try:
        return function(rows)
    except RuntimeError as error:
        if not is_out_of_memory(error) or len(rows) < 2:
            raise
    # After the except clause, because the error holds references to all tensors of the
    # call that failed.
    middle = len(rows) // 2
    parts = rows[:middle], rows[middle:]
    return torch.cat([in_halves(function, part) for part in parts])


@contextmanager
def explains_out_of_memory() -> Iterator[None]:
    """Raise MemoryError if torch runs out of memory. Usable as context or decorator."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        message = f"There is not enough memory. {_REMEDY}."
        if isinstance(error, torch.OutOfMemoryError):
            message = f"The GPU has not enough free memory. {_REMEDY}, or device='cpu'."
        raise MemoryError(message) from error
