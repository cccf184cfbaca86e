"""Forks: state of other threads that a forked process must not inherit."""

import os
import threading
from collections.abc import Callable

__all__ = ["after_fork", "forkable_lock"]


def after_fork(function: Callable[[], object]) -> None:
    """Call a function in each process that is forked from now on, if any can be."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def forkable_lock() -> threading.Lock:
    """Return a lock that is free in a forked process, even if a thread held it before.

    The thread that held the lock does not exist in the child, so it would never release
    it.
    """
    lock = threading.Lock()
    # The standard library does the same with its own locks.
    after_fork(lock._at_fork_reinit)  # type: ignore[attr-defined]
    return lock
