"""Forks: what a forked process must not inherit of threads that it does not have."""

import os
import threading
from collections.abc import Callable

__all__ = ["after_fork", "forkable_lock"]


def after_fork(function: Callable[[], object]) -> None:
    """Call a function in each process that is forked from now on, where that may be."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def forkable_lock() -> threading.Lock:
    """Return a lock that is free in a forked process, whoever held it before.

    The thread that held it did not come along, and would never release it.
    """
    lock = threading.Lock()
    # As the standard library does with its own.
    after_fork(lock._at_fork_reinit)  # type: ignore[attr-defined]
    return lock
