"""Timing: how a fit divides the seconds that it may take.

Before training, rows are read; after it, the result is judged on rows, and its codes
are brought into canonical form. Where time is limited, so many rows are taken for this
that it needs a small part of the time, and as much is kept for it. How long a row takes
is measured with the network at its start.
"""

import math
from dataclasses import dataclass
from typing import Self

from .._runtime import clock
from .._runtime.clock import TimeLimit
from .._training.loop import evaluate
from .dataset import Dataset
from .session import TrainingSession

__all__ = ["Shares", "measure"]

# Parts of the time that is left, for rows that are watched and for codes of others.
_FOR_WATCHED = 0.05
_FOR_CODES = 0.05
# What is done after training, counted in rows that go through the network once: so many
# times each watched row and each row that is learnt from and watched too; each row
# whose code is only looked at; and others, however many there are.
_TIMES_WATCHED = 15
_TIMES_CODED = 0.5
_OTHERS = 80_000
# Rows are watched and looked at, at least.
_LEAST_WATCHED = 1_000
_LEAST_CODED = 10_000
# Rows that are timed.
_TIMED = 256


@dataclass(frozen=True)
class Shares:
    """What there is time for.

    Attributes
    ----------
    n_monitored : int or float
        Rows that are validated on, at most, and of those that are learnt from.
    n_coded : int or float
        Rows whose codes are brought into canonical form, at most.
    after : float
        Seconds that are kept for what comes after training.
    """

    n_monitored: float = math.inf
    n_coded: float = math.inf
    after: float = 0.0

    @classmethod
    def of(
        cls,
        seconds: float,
        row_seconds: float,
        n_monitored: int,
        n_learnt: int,
        n_samples: int,
    ) -> Self:
        """Divide what is left.

        Parameters
        ----------
        seconds : float
            That are left.
        row_seconds : float
            Of one row on its way through the network.
        n_monitored, n_learnt, n_samples : int
            Rows that might be watched, of those that are validated on and of those that
            are learnt from, and all rows of the table.
        """
        per_row = _TIMES_WATCHED * row_seconds
        most = max(_LEAST_WATCHED, int(_FOR_WATCHED * seconds / per_row))
        per_code = _TIMES_CODED * row_seconds
        coded = max(_LEAST_CODED, int(_FOR_CODES * seconds / per_code))
        after = (
            (min(most, n_monitored) + min(most, n_learnt)) * per_row
            + min(coded, n_samples) * per_code
            + min(_OTHERS, 8 * n_samples) * row_seconds
        )
        return cls(most, coded, after)

    def to_train(self, limit: TimeLimit) -> float:
        """Return the seconds that are left, but what is kept."""
        return limit.left - self.after


def measure(training: TrainingSession, dataset: Dataset) -> float:
    """Return the seconds that a row of a table takes through a training's network."""
    rows = dataset.rows[:_TIMED]
    batches = training.batches_of(dataset, rows)
    seconds = []
    for _ in range(2):  # the first time memory is looked for
        begin = clock.now()
        evaluate(training.objective, batches)
        seconds.append(clock.now() - begin)
    return max(min(seconds), 1e-9) / len(rows)
