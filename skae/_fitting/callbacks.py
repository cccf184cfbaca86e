"""Callbacks of scikit-learn, as observers of a fit.

The tasks that they are told of are a tree: ``fit`` has one for each training, as
``train-from-pca``, and these have their epochs. Starts that compete are trained in
turn, so that several of them may be under way at a time.
"""

import math
from functools import partial

import sklearn

from .._compat import callback_context
from .progress import Observer

__all__ = ["Callbacks"]


class Callbacks(Observer):
    """An observer that calls the callbacks of an estimator.

    Parameters
    ----------
    estimator : estimator
        What the hooks are told is being fitted.
    context : CallbackContext
        Of the task that is the fit.

    Attributes
    ----------
    X, y : array-like
        What the hooks are given; the rows are their own target where there is none.
    """

    @classmethod
    def of(cls, estimator, task_name):
        """Return observers: one, or none where no callbacks are set."""
        context = callback_context(estimator, task_name)
        return [] if context is None else [cls(estimator, context)]

    def __init__(self, estimator, context):
        self.estimator = estimator
        self.context = context
        self.X = self.y = self._snapshot = None
        self._configuration = sklearn.get_config()
        self._trainings, self._epochs = {}, {}
        self._n_children = {context: 0}

    def see(self, X, y):
        """Remember the rows that hooks are given."""
        self.X, self.y = X, X if y is None else y

    def begin_fit(self, snapshot, n_trainings):
        """Begin the task that is the fit; its parts are so many trainings."""
        self._snapshot = snapshot
        self.context.max_subtasks = n_trainings
        self._begin(self.context, None)

    def begin_epoch(self, task):
        """Begin an epoch, and with the first one its training."""
        learnt = partial(self._snapshot, task)
        if task not in self._trainings:
            training = self._child(self.context, task.name, _count(task.max_iter))
            self._trainings[task] = training
            self._begin(training, learnt)
        epoch = self._child(self._trainings[task], "epoch", 0)
        self._epochs[task] = epoch
        self._begin(epoch, learnt)

    def end_epoch(self, task):
        """End an epoch; return whether a hook has asked to end the training."""
        epoch = self._epochs.pop(task)
        epoch.metrics = task.metrics
        return self._end(epoch, partial(self._snapshot, task))

    def end_training(self, task):
        """End a training, and the epoch that was cut short, if one was."""
        if task in self._epochs:
            self._end(self._epochs.pop(task), None)
        training = self._trainings.pop(task)
        return self._end(training, partial(self._snapshot, task))

    def close(self, failed):
        """End the fit, unless it failed: scikit-learn has a hook of its own then."""
        if not failed:
            self._end(self.context, {})

    def _child(self, parent, name, max_subtasks):
        """Return a new part of a task, which may have more than was known before."""
        n_children = self._n_children[parent] = self._n_children[parent] + 1
        if parent.max_subtasks is not None:
            parent.max_subtasks = max(parent.max_subtasks, n_children)
        child = parent.subcontext(task_name=name, max_subtasks=max_subtasks)
        self._n_children[child] = 0
        return child

    def _begin(self, context, learnt):
        with sklearn.config_context(**self._configuration):
            context.call_on_fit_task_begin(
                estimator=self.estimator,
                X=self.X,
                y=self.y,
                reconstruction_attributes=learnt,
            )

    def _end(self, context, learnt):
        with sklearn.config_context(**self._configuration):
            return context.call_on_fit_task_end(
                estimator=self.estimator,
                X=self.X,
                y=self.y,
                reconstruction_attributes=learnt,
            )


def _count(n):
    """Return a number of parts as contexts have it: None is not known."""
    return None if n == math.inf else int(n)
