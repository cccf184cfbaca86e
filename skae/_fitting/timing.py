"""Timing: how a fit divides the seconds of ``max_time``.

Before training, rows are read. After it, the result is validated, and its codes are
brought into canonical form. If time is limited, this is done with only as many rows as
take a small share of the time, and this time is reserved. The time per row is measured
with the initialised network.
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

# Shares of the remaining time, for validation and for the codes of rows.
_FOR_WATCHED = 0.05
_FOR_CODES = 0.05
# Work after training, in passes of one row through the network: passes of each row on
# which losses are measured, whether held out or trained on; passes of each row whose
# code is computed; and further passes, whatever the number of rows.
_TIMES_WATCHED = 15
_TIMES_CODED = 0.5
_OTHERS = 80_000
# Smallest number of rows for validation, and smallest number of rows whose codes are
# computed.
_LEAST_WATCHED = 1_000
_LEAST_CODED = 10_000
# Number of rows that are timed.
_TIMED = 256


@dataclass(frozen=True)
class Shares:
    """Limits on the work besides training, to fit into the time.

    Attributes
    ----------
    n_monitored : int or float
        Largest number of validation rows, and of training rows that are monitored.
    n_coded : int or float
        Largest number of rows whose codes are brought into canonical form.
    reserved_seconds : float
        Seconds that are reserved for the work after training.
    """

    n_monitored: float = math.inf
    n_coded: float = math.inf
    reserved_seconds: float = 0.0

    @classmethod
    def of(
        cls,
        seconds: float,
        row_seconds: float,
        n_monitored: int,
        n_learnt: int,
        n_samples: int,
    ) -> Self:
        """Divide the remaining time.

        Parameters
        ----------
        seconds : float
            Remaining seconds.
        row_seconds : float
            Seconds for one pass of one row through the network.
        n_monitored, n_learnt, n_samples : int
            Number of validation rows, of training rows that could be monitored, and of
            all rows of the table.
        """
        per_row = _TIMES_WATCHED * row_seconds
        most = max(_LEAST_WATCHED, int(_FOR_WATCHED * seconds / per_row))
        per_code = _TIMES_CODED * row_seconds
        coded = max(_LEAST_CODED, int(_FOR_CODES * seconds / per_code))
        reserved = (
            (min(most, n_monitored) + min(most, n_learnt)) * per_row
            + min(coded, n_samples) * per_code
            + min(_OTHERS, 8 * n_samples) * row_seconds
        )
        return cls(most, coded, reserved)

    def to_train(self, limit: TimeLimit) -> float:
        """Return the remaining seconds, without those reserved for after training."""
        return limit.left - self.reserved_seconds


def measure(training: TrainingSession, dataset: Dataset) -> float:
    """Return the seconds for one pass of one row through a training's network."""
    rows = dataset.rows[:_TIMED]
    batches = training.batches_of(dataset, rows)
    seconds = []
    for _ in range(2):  # the first pass also allocates memory
        begin = clock.now()
        evaluate(training.objective, batches)
        seconds.append(clock.now() - begin)
    return max(min(seconds), 1e-9) / len(rows)
