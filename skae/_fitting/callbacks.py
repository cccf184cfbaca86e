"""scikit-learn's callbacks: observers of a fit that call them, and fits of others.

Callbacks get a tree of tasks. ``fit`` has one task for each training, such as
``train-from-pca``, and each of these has its epochs as tasks. Competing trainings take
turns, so several of them may be unfinished at a time.

Progress bars are not called for each epoch. They get several epochs at once, as often
as they are redrawn.

An estimator that fits other estimators has one subtask for each of them. The task tree
of the other estimator continues this subtask.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Self, TypeAlias

import sklearn
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .._compat import (
    are_progress_bars,
    callback_context,
    callback_context_of_subtasks,
)
from .progress import Observer, Snapshot, Task

__all__ = ["Callbacks", "FitOfOthers", "Subtask"]

# Seconds between calls of a progress bar. Another thread redraws it. Waking that thread
# for each epoch of a small network would take a noticeable share of the epoch's time.
_BETWEEN_REDRAWS = 0.1


#: Fitted attributes, a function that returns them, or None if there are none yet.
Learnt: TypeAlias = Callable[[], dict[str, Any]] | dict[str, Any] | None


class Callbacks(Observer):
    """An observer that calls the callbacks of an estimator.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted. It is passed to the hooks.
    context : CallbackContext
        The context of the task that represents the fit.

    Attributes
    ----------
    X, y : array-like
        The data that is passed to the hooks. Without a target, ``y`` is ``X``.
    """

    @classmethod
    def of(cls, estimator: BaseEstimator, task_name: str) -> list[Self]:
        """Return a list of one observer, or an empty list if no callbacks are set."""
        context = callback_context(estimator, task_name)
        return [] if context is None else [cls(estimator, context)]

    def __init__(self, estimator: BaseEstimator, context: Any) -> None:
        self.estimator = estimator
        self.context = context
        self.X: ArrayLike | None = None
        self.y: ArrayLike | None = None
        self._snapshot: Snapshot | None = None
        self._configuration = sklearn.get_config()
        self._are_bars = are_progress_bars(context)
        self._bars_updated_at = perf_counter()
        self._trainings: dict[Task, Any] = {}
        self._epochs: dict[Task, Any] = {}
        self._n_pending_epochs: dict[Task, int] = {}
        self._n_children = {context: 0}

    def set_data(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Store the rows that are passed to the hooks."""
        self.X, self.y = X, X if y is None else y

    def begin_fit(self, snapshot: Snapshot | None, n_trainings: int) -> None:
        """Begin the task of the fit, which has ``n_trainings`` subtasks."""
        self._snapshot = snapshot
        self.context.max_subtasks = n_trainings
        self._begin(self.context, None)

    def begin_epoch(self, task: Task) -> None:
        """Begin the task of an epoch, and before the first one that of its training."""
        if task not in self._trainings:
            training = self._child(self.context, task.name, _count(task.max_iter))
            self._trainings[task] = training
            self._begin(training, self._learnt(task))
        if not self._are_bars:
            self._begin_epoch(task)

    def end_epoch(self, task: Task) -> bool:
        """End the task of an epoch. Return whether a hook asks to stop training."""
        if not self._are_bars:
            return self._end_epoch(task)
        self._n_pending_epochs[task] = self._n_pending_epochs.get(task, 0) + 1
        if perf_counter() - self._bars_updated_at >= _BETWEEN_REDRAWS:
            self._update_bars(task)
        return False  # progress bars cannot end a training

    def end_training(self, task: Task) -> bool:
        """End the task of a training, and of an interrupted epoch if there is one."""
        self._update_bars(task)
        if task in self._epochs:
            self._end(self._epochs.pop(task), None)
        training = self._trainings.pop(task)
        return self._end(training, self._learnt(task))

    def close(self, failed: bool) -> None:
        """End the task of the fit. If it failed, scikit-learn calls its own hook."""
        if not failed:
            self._end(self.context, {})

    def _update_bars(self, task):
        """Begin and end the tasks of the epochs that progress bars do not know yet."""
        for _ in range(self._n_pending_epochs.pop(task, 0)):
            self._begin_epoch(task)
            self._end_epoch(task)
        self._bars_updated_at = perf_counter()

    def _begin_epoch(self, task):
        self._epochs[task] = epoch = self._child(self._trainings[task], "epoch", 0)
        self._begin(epoch, self._learnt(task))

    def _end_epoch(self, task: Task) -> bool:
        epoch = self._epochs.pop(task)
        epoch.metrics = task.metrics
        return self._end(epoch, self._learnt(task))

    def _learnt(self, task: Task) -> Callable[[], dict[str, Any]]:
        assert self._snapshot is not None  # the fit has begun
        return partial(self._snapshot, task)

    def _child(self, parent, name, max_subtasks):
        """Return a new subtask of ``parent``, whose number of subtasks may grow."""
        n_children = self._n_children[parent] = self._n_children[parent] + 1
        if parent.max_subtasks is not None:
            parent.max_subtasks = max(parent.max_subtasks, n_children)
        child = parent.subcontext(task_name=name, max_subtasks=max_subtasks)
        self._n_children[child] = 0
        return child

    def _begin(self, context: Any, learnt: Learnt) -> None:
        with self._as_users_set_it():
            context.call_on_fit_task_begin(
                estimator=self.estimator,
                X=self.X,
                y=self.y,
                reconstruction_attributes=learnt,
            )

    def _end(self, context: Any, learnt: Learnt) -> bool:
        with self._as_users_set_it():
            return context.call_on_fit_task_end(
                estimator=self.estimator,
                X=self.X,
                y=self.y,
                reconstruction_attributes=learnt,
            )

    def _as_users_set_it(self) -> AbstractContextManager[object]:
        """Return a context with scikit-learn's configuration from before the fit."""
        if sklearn.get_config() == self._configuration:
            return nullcontext()
        return sklearn.config_context(**self._configuration)


class FitOfOthers:
    """The tasks of an estimator that fits other estimators, for its callbacks.

    Make it at the beginning of `fit`, before the attributes are stored to restore them
    after an error (see `Callbacks`). Without callbacks, or before scikit-learn 1.9, its
    methods do nothing.

    Parameters
    ----------
    estimator : estimator
        The estimator that fits others. It is passed to the hooks.
    task_name : str
        Name of the subtasks.
    n_subtasks : int
        Number of estimators that it fits.

    Attributes
    ----------
    subtasks : list of Subtask
        One for each of the other estimators.
    """

    def __init__(
        self, estimator: BaseEstimator, task_name: str, n_subtasks: int
    ) -> None:
        self._context = callback_context_of_subtasks(estimator, n_subtasks)
        self._estimator = estimator
        # All are made now, because processes get copies of the whole tree.
        self.subtasks = [
            Subtask(estimator, self._subcontext(task_name, number))
            for number in range(n_subtasks)
        ]

    def begin(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """Begin the task of the fit."""
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=self._estimator, X=X, y=y)

    def end(self, X: ArrayLike, y: ArrayLike | None) -> None:
        """End the task of the fit: the estimator has its attributes."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                estimator=self._estimator, X=X, y=y, reconstruction_attributes={}
            )

    def _subcontext(self, task_name, number):
        if self._context is None:
            return None
        return self._context.subcontext(task_name=task_name, task_id=number)


@dataclass(frozen=True)
class Subtask:
    """A subtask that fits another estimator. It may be sent to another process.

    Attributes
    ----------
    caller : estimator
        The estimator that fits the other one.
    context : CallbackContext or None
    """

    caller: BaseEstimator
    context: Any

    @contextmanager
    def fitting(
        self, estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None = None
    ) -> Iterator[None]:
        """Lend callbacks to an estimator, which is fitted inside the context."""
        if self.context is None:
            yield
            return
        given = {"estimator": self.caller, "X": X, "y": y}
        with self.context.propagate_callback_context(estimator):
            self.context.call_on_fit_task_begin(**given)
            yield
            self.context.call_on_fit_task_end(**given)


def _count(n):
    """Return a number of subtasks for a context, None if it is not known."""
    return None if n == math.inf else int(n)
