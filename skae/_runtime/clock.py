"""Clock: how long something has gone on, and how long it may."""

import math
import time

__all__ = ["TimeLimit"]


def now() -> float:
    """Return seconds of a clock that nobody sets."""
    return time.monotonic()


class TimeLimit:
    """Seconds from now on, if they are limited at all.

    Parameters
    ----------
    seconds : float or None, default=None
        None: as long as it takes.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.seconds = math.inf if seconds is None else max(0.0, seconds)
        self._begin = now() if self.is_set else 0.0

    @property
    def is_set(self) -> bool:
        """Whether they are limited."""
        return self.seconds < math.inf

    @property
    def left(self) -> float:
        """Seconds that are left."""
        if not self.is_set:
            return math.inf
        return max(0.0, self.seconds - (now() - self._begin))

    @property
    def part_spent(self) -> float:
        """Part of the seconds that is over, 0 to 1; 0 where they are not limited."""
        if not self.is_set:
            return 0.0
        return 1 - self.left / self.seconds if self.seconds else 1.0
