"""Clock: elapsed time and time limits."""

import math
import time

__all__ = ["TimeLimit"]


def now() -> float:
    """Return the seconds of a clock that is never adjusted."""
    return time.monotonic()


class TimeLimit:
    """A time limit that counts from now on, or no limit.

    Parameters
    ----------
    seconds : float or None, default=None
        None means no limit.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else max(0.0, seconds)
        self._begin = now() if self.is_set else 0.0

    @property
    def is_set(self) -> bool:
        """Whether there is a limit."""
        return self.seconds < math.inf

    @property
    def left(self) -> float:
        """Seconds that are left."""
        if not self.is_set:
            return math.inf
        return max(0.0, self.seconds - (now() - self._begin))

    @property
    def part_spent(self) -> float:
        """Share of the time that is over, from 0 to 1. It is 0 without a limit."""
        if not self.is_set:
            return 0.0
        return 1 - self.left / self.seconds if self.seconds else 1.0
