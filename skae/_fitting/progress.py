"""Progress: the observers of a fit, which may end it early.

A fit has several trainings: those that compete, and a second training of the best on
all rows. Observers (`callbacks`, `verbose`) are notified of each epoch. Without
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


class TrialLike(Protocol):
    """The attributes of a `Trial` that observers need."""

    training: TrainingSession
    loss_curve: list[float]
    validation_curve: list[float]
    early_stopping: EarlyStopping

    @property
    def monitored(self) -> Batches: ...  # noqa: D102


class SourceLike(Protocol):
    """The attributes of a `Source` that observers need."""

    previous: FittedState | None

    @property
    def is_comparable_with_pca(self) -> bool: ...  # noqa: D102


class Observer:
    """Base class of observers of a fit. Its methods do nothing."""

    def set_data(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Take the rows of the fit, and their target or None."""

    def begin_fit(self, snapshot: "Snapshot | None", n_trainings: int) -> None:
        """Handle the beginning of training.

        Parameters
        ----------
        snapshot : callable
            Takes a task. Returns the estimator's attributes as if the task ended now.
        n_trainings : int
            Largest number of trainings.
        """

    def begin_epoch(self, task: "Task") -> None:
        """Handle the beginning of an epoch, which may be the first of a training."""

    def end_epoch(self, task: "Task") -> bool:
        """Handle the end of an epoch. Return whether to stop all training."""
        return False

    def end_training(self, task: "Task") -> bool:
        """Handle the end of a training. Return whether to stop all training."""
        return False

    def conclude(self, summary: Callable[[], str]) -> None:
        """Take a function that returns a summary of the fit in words."""

    def close(self, failed: bool) -> None:
        """Handle the end of a fit: the estimator has its attributes, or has failed."""


@dataclass(eq=False)
class Task:
    """A training, as observers see it.

    Attributes
    ----------
    name : str
        Name, which tells how the training starts and what its output is.
    trial : Trial
        The trial of the training.
    training : TrainingSession
        The trial's own training, or another one with its config.
    max_iter : int or float
        Largest number of epochs, as far as it is known.
    baseline_loss : float or None
        PCA's loss on the monitored rows. If a target or a cost of codes is part of the
        loss, the loss of the linear start. None if there is no such loss.
    epoch : int
        Number of the last epoch.
    metrics : dict
        Metrics after the last epoch: "epoch", "loss", "validation_loss",
        "baseline_loss", "learning_rate". None for those that do not exist.
    """

    name: str
    trial: TrialLike
    training: TrainingSession
    max_iter: float
    baseline_loss: float | None = None
    epoch: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)

    def end_epoch(
        self, number: int, loss: float, validation_loss: float | None = None
    ) -> None:
        """Store the number and the metrics of an epoch."""
        self.epoch = number
        self.max_iter = max(self.max_iter, number)
        self.metrics = {
            "epoch": number,
            "loss": loss,
            "validation_loss": validation_loss,
            "baseline_loss": self.baseline_loss,
            "learning_rate": self.training.optimizer.lr,
        }


#: Takes a task. Returns the estimator's attributes as if the task ended now.
Snapshot: TypeAlias = Callable[[Task], dict[str, Any]]


class Progress:
    """Notifies observers of the progress of a fit, and stores whether it has to end.

    Parameters
    ----------
    observers : sequence of Observer
    on_interrupt : {"raise", "keep"}
        What to do after a KeyboardInterrupt in an epoch: raise it, or end training and
        keep the result.

    Attributes
    ----------
    stopped_by : str or None
        "callback" or "interrupted" if training has to end, else None.
    """

    def __init__(
        self, observers: Sequence[Observer] = (), on_interrupt: str = "raise"
    ) -> None:
        self.observers = observers
        self.on_interrupt = on_interrupt
        self.stopped_by: str | None = None
        self.source: SourceLike | None = None
        self._tasks: dict[int, Task] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for observer in self.observers:
            observer.close(failed=kind is not None)

    def set_data(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Pass the rows of the fit to the observers."""
        for observer in self.observers:
            observer.set_data(X, y)

    def conclude(self, summary: Callable[[], str]) -> None:
        """Pass a function that returns the summary of the fit to the observers."""
        for observer in self.observers:
            observer.conclude(summary)

    def begin_fit(
        self, source: SourceLike | None, snapshot: Snapshot | None, n_trainings: int
    ) -> None:
        """Notify the observers that training begins.

        Parameters
        ----------
        source : Source
            Source of the trainings.
        snapshot, n_trainings
            See `Observer.begin_fit`.
        """
        self.source = source
        for observer in self.observers:
            observer.begin_fit(snapshot, n_trainings)

    def epochs(self, trial: TrialLike, losses: Iterator[float]) -> Iterator[float]:
        """Yield ``losses``, one per epoch. Notify the observers when an epoch begins.

        The caller may continue with the rest of ``losses`` later.
        """
        return self._epochs(trial, losses) if self.observers else losses

    def _epochs(self, trial: TrialLike, losses: Iterator[float]) -> Iterator[float]:
        task = self._task_of(trial)
        while True:
            for observer in self.observers:
                observer.begin_epoch(task)
            loss = next(losses, None)
            if loss is None:
                return
            yield loss

    def end_epoch(self, trial: TrialLike) -> bool:
        """Notify the observers of the end of an epoch. Return whether to stop."""
        if self.observers:
            curve = trial.validation_curve
            task = self._task_of(trial)
            task.end_epoch(
                len(trial.loss_curve),
                trial.loss_curve[-1],
                curve[-1] if curve else None,
            )
            self._notify_epoch_end(task)
        return self.ends(trial)

    def ends(self, trial: TrialLike) -> bool:
        """Return whether training has to end. If so, set the trial's stop reason."""
        if self.stopped_by and trial.early_stopping.reason is None:
            trial.early_stopping.reason = self.stopped_by
        return self.stopped_by is not None

    @contextmanager
    def interruptible(self, trial: TrialLike) -> Iterator[None]:
        """Let a KeyboardInterrupt end training, if ``on_interrupt`` is "keep".

        The interrupted epoch does not count.
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

    def refit_epochs(
        self,
        trial: TrialLike,
        training: TrainingSession,
        losses: Iterator[float],
        n_epochs: int,
    ) -> Iterator[float]:
        """Yield the ``losses`` of ``n_epochs`` epochs of a refit on all rows."""
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
                    self._notify_epoch_end(task)
            except KeyboardInterrupt:
                if self.on_interrupt == "raise":
                    raise
                self.stopped_by = "interrupted"
            else:
                yield loss

    def keep_only(self, trial: TrialLike) -> None:
        """End the tasks of all competing trials except ``trial``, which goes on."""
        for key in list(self._tasks):
            if self._tasks[key].trial is not trial:
                self._end(key)

    def end_training(self) -> None:
        """End the tasks of all trainings."""
        for key in list(self._tasks):
            self._end(key)

    def _end(self, key: int) -> None:
        task = self._tasks.pop(key)
        for observer in self.observers:
            if observer.end_training(task):
                self.stopped_by = self.stopped_by or "callback"

    def _notify_epoch_end(self, task: Task) -> None:
        for observer in self.observers:
            if observer.end_epoch(task):
                self.stopped_by = self.stopped_by or "callback"

    def _task_of(self, trial: TrialLike) -> Task:
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
    """Return a name: how a training starts, and its output if this is not linear."""
    start = "pca" if training.starts_anchored else "random"
    name = f"train-from-{'previous' if previous else start}"
    link = training.link if isinstance(training.link, str) else "mixed"
    return name if link == "identity" else f"{name}-{link}"


def _baseline_loss(source: SourceLike, trial: TrialLike) -> float | None:
    """Return the baseline's loss on the monitored rows, or None."""
    training, objective = trial.training, trial.training.objective
    if training.starts_linear:
        return trial.early_stopping.start_loss
    if not source.is_comparable_with_pca:
        return None
    steps = evaluation_batches(objective, trial.monitored)
    loss = objective.reconstruction.losses_of_linear
    losses = pca_losses(training.pca, steps, loss)
    return float(
        np.mean(trial.monitored.feature_fraction * losses + trial.monitored.off_basis)
    )
