"""Memory: errors of torch for want of it, as Python's and in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["explains_out_of_memory"]

# How torch says so on a CPU, where its error has no class of its own.
_OF_A_CPU = "can't allocate memory"
_REMEDY = "Use a smaller batch_size, or a smaller network (hidden_layer_sizes)"


@contextmanager
def explains_out_of_memory() -> Iterator[None]:
    """Raise MemoryError where torch finds no memory: a context, or a decorator."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(
            f"The GPU has not enough free memory. {_REMEDY}, or device='cpu'."
        ) from error
    except RuntimeError as error:
        if _OF_A_CPU not in str(error):
            raise
        raise MemoryError(f"There is not enough memory. {_REMEDY}.") from error
