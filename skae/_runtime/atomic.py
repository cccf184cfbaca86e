"""Atomicity: a fit that fails leaves the estimator as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["all_or_nothing"]


@contextmanager
def all_or_nothing(estimator: object) -> Iterator[None]:
    """Put the estimator's attributes back if the block does not end well."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:  # Ctrl-C among them
        # In one step: other threads may use it, and a second Ctrl-C may come.
        estimator.__dict__ = before
        raise
