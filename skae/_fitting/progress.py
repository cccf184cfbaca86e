"""Progress: the observers of a fit, which may end it early.

A fit makes several trainings: those that compete, and a second training of the best on
all rows. Observers (`callbacks`, `verbose`) are called for each epoch of these. Without
observers nothing is computed for them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._data.batches import Batches
from .._inference.fitted_state import FittedState
from .._linear.pca import pca_losses
from .._training.early_stopping import EarlyStopping
from .._training.loop import evaluation_batches
from .session import TrainingSession

__all__ = ["Observer", "Progress", "Task"]


class Watched(Protocol):
    """What is asked of a `Trial`: what it trains, and what came of it so far."""

    training: TrainingSession
    loss_curve: list[float]
    validation_curve: list[float]
    early_stopping: EarlyStopping

    @property
    def monitored(self) -> Batches: ...  # noqa: D102


class Fit(Protocol):
    """What is asked of a `Source`: what its trainings are to be compared with."""

    previous: FittedState | None

    @property
    def asks_for_less_error(self) -> bool: ...  # noqa: D102


class Observer:
    """Someone who is told how a fit goes on, and does nothing of it."""

    def see(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Take the rows that are learnt from, and their target or None."""

    def begin_fit(self, snapshot: "Snapshot | None", n_trainings: int) -> None:
        """Be told that training begins.

        Parameters
        ----------
        snapshot : callable
            Of a task: returns the estimator's attributes as if it had ended there.
        n_trainings : int
            How many there are, at most.
        """

    def begin_epoch(self, task: "Task") -> None:
        """Be told that an epoch begins, the training's first one perhaps."""

    def end_epoch(self, task: "Task") -> bool:
        """Be told that an epoch has ended; return whether all training is to end."""
        return False

    def end_training(self, task: "Task") -> bool:
        """Be told that a training has ended; return whether all training is to end."""
        return False

    def conclude(self, summary: Callable[[], str]) -> None:
        """Take a callable that returns in words what has come of the fit."""

    def close(self, failed: bool) -> None:
        """Be told that the estimator has all that it has learnt, or that it failed."""


@dataclass(eq=False)
class Task:
    """A training, as others are told of it.

    Attributes
    ----------
    name : str
        How it starts, and what its output is.
    trial : Trial
        What it belongs to.
    training : TrainingSession
        The trial's own, or another of its config.
    max_iter : int or float
        Epochs at most, as far as is known.
    baseline_loss : float or None
        PCA's loss on the rows that are watched, or that of the linear start where a
        target or a cost of the codes is a part of the loss; None where there is none.
    epoch : int
        The number of the last one.
    metrics : dict
        What is known after that epoch: "epoch", "loss", "validation_loss",
        "baseline_loss", "learning_rate" by name; None for what there is none of.
    """

    name: str
    trial: Watched
    training: TrainingSession
    max_iter: float
    baseline_loss: float | None = None
    epoch: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)

    def end_epoch(
        self, number: int, loss: float, validation_loss: float | None = None
    ) -> None:
        """Take what there is to say of an epoch."""
        self.epoch = number
        self.max_iter = max(self.max_iter, number)
        self.metrics = {
            "epoch": number,
            "loss": loss,
            "validation_loss": validation_loss,
            "baseline_loss": self.baseline_loss,
            "learning_rate": self.training.optimizer.lr,
        }


#: A function of a task. It returns the estimator's attributes as if it had ended there.
Snapshot: TypeAlias = Callable[[Task], dict[str, Any]]


class Progress:
    """Tells observers how a fit goes on, and remembers if it is to end.

    Parameters
    ----------
    observers : sequence of Observer
    on_interrupt : {"raise", "keep"}
        What a KeyboardInterrupt in an epoch does.

    Attributes
    ----------
    stopped_by : str or None
        "callback" or "interrupted" once training is to end.
    """

    def __init__(
        self, observers: Sequence[Observer] = (), on_interrupt: str = "raise"
    ) -> None:
        self.observers = observers
        self.on_interrupt = on_interrupt
        self.stopped_by: str | None = None
        self.source: Fit | None = None
        self._tasks: dict[int, Task] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for observer in self.observers:
            observer.close(failed=kind is not None)

    def see(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Show the rows that are learnt from."""
        for observer in self.observers:
            observer.see(X, y)

    def conclude(self, summary: Callable[[], str]) -> None:
        """Say what has come of the fit, if somebody asks."""
        for observer in self.observers:
            observer.conclude(summary)

    def begin_fit(
        self, source: Fit | None, snapshot: Snapshot | None, n_trainings: int
    ) -> None:
        """Say that training begins.

        Parameters
        ----------
        source : Source
            What the trainings are made of.
        snapshot, n_trainings
            As observers are told.
        """
        self.source = source
        for observer in self.observers:
            observer.begin_fit(snapshot, n_trainings)

    def epochs(self, trial: Watched, losses: Iterator[float]) -> Iterator[float]:
        """Return an iterator as ``losses``, an epoch a turn, that says when one begins.

        What is left of ``losses`` may be gone on with.
        """
        return self._epochs(trial, losses) if self.observers else losses

    def _epochs(self, trial: Watched, losses: Iterator[float]) -> Iterator[float]:
        task = self._task_of(trial)
        while True:
            for observer in self.observers:
                observer.begin_epoch(task)
            loss = next(losses, None)
            if loss is None:
                return
            yield loss

    def end_epoch(self, trial: Watched) -> bool:
        """Say that an epoch has ended; return whether training is to end with it."""
        if self.observers:
            curve = trial.validation_curve
            task = self._task_of(trial)
            task.end_epoch(
                len(trial.loss_curve),
                trial.loss_curve[-1],
                curve[-1] if curve else None,
            )
            self._tell(task)
        return self.ends(trial)

    def ends(self, trial: Watched) -> bool:
        """Return whether training is to end, and let the trial say why."""
        if self.stopped_by and trial.early_stopping.reason is None:
            trial.early_stopping.reason = self.stopped_by
        return self.stopped_by is not None

    @contextmanager
    def interruptible(self, trial: Watched) -> Iterator[None]:
        """Let a KeyboardInterrupt end the training, if that is what users ask for.

        The epoch that it comes in does not count.
        """
        try:
            yield
        except KeyboardInterrupt:
            if self.on_interrupt == "raise":
                raise
            self.stopped_by = "interrupted"
            self.ends(trial)
            del trial.loss_curve[trial.early_stopping.n_iter :]
            del trial.validation_curve[trial.early_stopping.n_iter :]

    def repeated(
        self,
        trial: Watched,
        training: TrainingSession,
        losses: Iterator[float],
        n_epochs: int,
    ) -> Iterator[float]:
        """Yield ``losses``, those of ``n_epochs`` that a trial makes on all rows."""
        key = id(training)
        if self.observers and key not in self._tasks:
            self._tasks[key] = Task("refit-on-all-rows", trial, training, n_epochs)
        while not self.stopped_by:
            try:
                for observer in self.observers:
                    observer.begin_epoch(self._tasks[key])
                loss = next(losses, None)
                if loss is None:
                    return
                if self.observers:
                    task = self._tasks[key]
                    task.end_epoch(task.epoch + 1, loss)
                    self._tell(task)
            except KeyboardInterrupt:
                if self.on_interrupt == "raise":
                    raise
                self.stopped_by = "interrupted"
            else:
                yield loss

    def only(self, trial: Watched) -> None:
        """Say that of those who compete one goes on alone."""
        for key in list(self._tasks):
            if self._tasks[key].trial is not trial:
                self._end(key)

    def end_training(self) -> None:
        """Say that there is no more to train."""
        for key in list(self._tasks):
            self._end(key)

    def _end(self, key: int) -> None:
        task = self._tasks.pop(key)
        for observer in self.observers:
            if observer.end_training(task):
                self.stopped_by = self.stopped_by or "callback"

    def _tell(self, task: Task) -> None:
        for observer in self.observers:
            if observer.end_epoch(task):
                self.stopped_by = self.stopped_by or "callback"

    def _task_of(self, trial: Watched) -> Task:
        key = id(trial)
        if key not in self._tasks:
            assert self.source is not None  # training has begun
            self._tasks[key] = Task(
                _name(trial.training, self.source.previous),
                trial,
                trial.training,
                trial.training.config.max_iter,
                _baseline_loss(self.source, trial),
            )
        task = self._tasks[key]
        task.max_iter = trial.early_stopping.config.max_iter
        return task


def _name(training: TrainingSession, previous: FittedState | None) -> str:
    """Return how a training starts, and what its output is if it is not linear."""
    start = "pca" if training.starts_anchored else "random"
    name = f"train-from-{'previous' if previous else start}"
    link = training.link if isinstance(training.link, str) else "mixed"
    return name if link == "identity" else f"{name}-{link}"


def _baseline_loss(source: Fit, trial: Watched) -> float | None:
    """Return the loss on the watched rows that a training has to beat, if any."""
    training, objective = trial.training, trial.training.objective
    if training.starts_linear:
        return trial.early_stopping.start_loss
    if not source.asks_for_less_error:
        return None
    steps = evaluation_batches(objective, trial.monitored)
    loss = objective.reconstruction.losses_of_linear
    losses = pca_losses(training.pca, steps, loss)
    return float(
        np.mean(trial.monitored.feature_fraction * losses + trial.monitored.off_basis)
    )
