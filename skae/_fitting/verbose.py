"""Output of a fit: one line at the end, one line per epoch, or a progress bar."""

import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from time import perf_counter
from typing import Any, Self

from sklearn.base import BaseEstimator

from .progress import Observer, Snapshot, Task

__all__ = ["Writer"]


class Writer(Observer):
    """An observer that writes to the standard output, as scikit-learn does.

    Parameters
    ----------
    name : str
        Name of the estimator.
    verbose : int
        With 1, write a line at the end, and show a progress bar if the output is a
        terminal or a notebook and tqdm is installed. With 2, write a line per epoch
        instead of the bar.
    """

    @classmethod
    def of(cls, estimator: BaseEstimator) -> list[Self]:
        """Return a list of one observer, or an empty list if nothing is written."""
        if not estimator.verbose:
            return []
        return [cls(type(estimator).__name__, int(estimator.verbose))]

    def __init__(self, name: str, verbose: int) -> None:
        self.name = name
        self.verbose = verbose
        self.begin = perf_counter()
        self._n_trainings = 1
        self._bar: Any = None  # tqdm's bar, if there is one

    def write(self, text: str) -> None:
        """Write a line."""
        sys.stdout.write(f"[{self.name}] {text}\n")

    def begin_fit(self, snapshot: Snapshot | None, n_trainings: int) -> None:
        """Show a progress bar if ``verbose`` is 1."""
        self._n_trainings = n_trainings
        if self.verbose == 1:
            self._bar = _bar(self.name)

    def end_epoch(self, task: Task) -> bool:
        """Write a line, or update the bar. Never stop training."""
        if self.verbose > 1:
            self.write(self._line(task))
        elif self._bar is not None:
            self._move(task)
        return False

    def conclude(self, summary: Callable[[], str]) -> None:
        """Write the summary of the fit, and its duration."""
        self.close(failed=False)
        self.write(f"{summary()}, {perf_counter() - self.begin:.1f} s")

    def close(self, failed: bool) -> None:
        """Close the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _line(self, task):
        metrics = task.metrics
        of_all = f"/{task.max_iter}" if task.max_iter < math.inf else ""
        name = f"{task.name}, " if self._n_trainings > 1 else ""
        parts = [f"{name}epoch {task.epoch}{of_all}: loss {metrics['loss']:.4g}"]
        if metrics["validation_loss"] is not None:
            parts.append(f"validation {metrics['validation_loss']:.4g}")
        if metrics["baseline_loss"] is not None:
            parts.append(f"{_baseline(task)} {metrics['baseline_loss']:.4g}")
        parts.append(f"step {metrics['learning_rate']:.2g}")
        parts.append(f"{perf_counter() - self.begin:.1f} s")
        return ", ".join(parts)

    def _move(self, task):
        """Update the bar with the metrics of the present training."""
        bar, metrics = self._bar, task.metrics
        bar.total = None if task.max_iter == math.inf else task.max_iter
        bar.set_description(f"{self.name}, {task.name}", refresh=False)
        losses = {"loss": metrics["loss"], _baseline(task): metrics["baseline_loss"]}
        if metrics["validation_loss"] is not None:
            losses["loss"] = metrics["validation_loss"]
        shown = {k: f"{v:.3g}" for k, v in losses.items() if v is not None}
        bar.set_postfix(shown, refresh=False)
        bar.update(task.epoch - bar.n)


def _baseline(task):
    """Return the name of the baseline. With a target, it is not PCA."""
    return "PCA" if task.training.target is None else "linear"


def _bar(name):
    """Return a progress bar, or None if nobody watches or tqdm is not installed."""
    if not _is_interactive():
        return None
    try:
        # In notebooks without widgets, use a terminal's progress bar, without a
        # warning.
        if find_spec("ipywidgets"):
            from tqdm.auto import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(desc=name, leave=False, unit="epoch", miniters=1, file=sys.stdout)


def _is_interactive():
    """Whether the output is a notebook or a terminal."""
    return "ipykernel" in sys.modules or sys.stdout.isatty()
