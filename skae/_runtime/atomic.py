"""Atomicity: a fit that fails leaves the estimator as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["all_or_nothing"]


@contextmanager
def all_or_nothing(estimator: object) -> Iterator[None]:
    """Restore the estimator's attributes if the block raises an exception."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:  # also for Ctrl-C
        # In one step, because other threads may use the estimator, and the user may
        # press Ctrl-C again.
        estimator.__dict__ = before
        raise
