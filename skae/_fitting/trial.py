"""Trial: one training, monitored from its start to its last epoch."""

import math
from copy import copy
from itertools import islice
from typing import Self, TypeAlias

import numpy as np
from torch import Tensor

from .._data.batches import Batches
from .._linear.pca import pca_losses
from .._parts.parameters import Parameters
from .._parts.slots import user_parts
from .._runtime.caching import cached_property
from .._training.checkpoint import Checkpoint
from .._training.early_stopping import EarlyStopping
from .._training.loop import evaluate, evaluation_batches, row_losses
from .._training.optimizers import SCHEDULES
from .._typing import Floats, Ints
from .config import Regime
from .overfitting import generalisation_gap, overfits
from .progress import Progress
from .session import TrainingSession
from .verdict import SIGNIFICANCE, is_lower

__all__ = ["Trial"]

# Factor of the significance level if only rows with a target are tested.
_LABELLED_FACTOR = 10
# If ``linearity`` is above 0, a network is preferred to PCA only if it decreases the
# error by at least this share. A smaller gain is worth less than what linear models on
# the codes lose. Measured in docs/choices.md, "Codes: error against usefulness".
_WORTH_LEAVING_PCA = 0.05
# A network that starts as PCA and can learn anything soon decreases the loss by this
# share, or by the smaller share n^-0.5 / 2 if there are many (n) monitored rows.
# Measured in docs/choices.md, "Several starts compete".
_MIN_EARLY_GAIN = 0.02
# Weight decay is tried only if the network has decreased PCA's loss by this share.
# Measured in docs/choices.md, "Overfitting, and when weights decay".
_PROMISING = 0.05
# Epochs of fine-tuning on all rows, as a share of those that led to the best weights.
# Measured in docs/choices.md, "Answering with PCA".
_FINE_TUNING = 0.5


#: Part of a training. The first item is the number of epochs until the planned end of
#: the schedule with weight decay: inf for the original end, None for no decay. The
#: second item is the number of epochs that were made.
Part: TypeAlias = tuple[float | None, int]
#: The state that `Trial.go_back` restores.
State: TypeAlias = tuple[
    Tensor,
    Checkpoint,
    float,
    EarlyStopping,
    list[float],
    list[float],
    list[Part],
]


class Trial:
    """A training, the rows that it is monitored on, and its results.

    Parameters
    ----------
    training : TrainingSession
    params : Parameters
        Parameters from `check_slots`, with a part in each slot.
    validation : Batches or None
        Validation rows.
    training_sample : Batches
        Training rows, all or a sample, to measure losses on before and after training.
    regime : Regime
    evidence_rows : ndarray of int or slice
        Which validation rows count as evidence: one of several equal rows.
    must_beat_pca : bool
        Whether the regime was chosen for the user. It then has to be significantly
        better than PCA, even if it does not start as PCA.
    may_decay : bool
        Whether weights may decay if the network overfits.
    progress : Progress
        Observers that are notified after each epoch and may stop the training.

    Attributes
    ----------
    kept : bool
        Whether the trained network is kept. It is set at the end of training.
    lacks_rows : bool
        Whether there are too few rows to hold some out for a test. Then there are no
        epochs, and the linear start is kept.
    loss_curve, validation_curve : list of float
    early_stopping : EarlyStopping
        Early stopping by the losses of the monitored rows.
    """

    def __init__(
        self,
        training: TrainingSession,
        params: Parameters,
        validation: Batches | None,
        training_sample: Batches,
        regime: Regime,
        evidence_rows: Ints | slice = slice(None),
        must_beat_pca: bool = False,
        may_decay: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.progress = progress or Progress()
        self.training = training
        self.params = params
        self.validation = validation
        self.training_sample = training_sample
        self.evidence_rows = evidence_rows
        self.regime = regime
        self.must_beat_pca = must_beat_pca
        self.kept = False
        self.held_out = validation if params.early_stopping else None
        self.may_decay = (
            may_decay
            and self.held_out is not None
            and training.config.max_iter < math.inf
        )
        # The parts that have led to the present weights.
        self._parts: list[Part] = [(None, 0)]
        self.loss_curve: list[float] = []
        self.validation_curve: list[float] = []
        objective = training.objective
        start_loss = evaluate(objective, self.monitored)
        suspects = user_parts(params)
        if not np.isfinite(start_loss) and suspects:
            raise ValueError(
                f"The loss is {start_loss:g} before the first step: see whether "
                f"{suspects} returns numbers that are finite and not too large."
            )
        self.early_stopping = EarlyStopping(
            objective.parameters, training.config, start_loss
        )
        self._epochs = training.epochs()
        self.lacks_rows = (
            params.early_stopping and self.held_out is None and training.starts_linear
        )

    @property
    def monitored(self) -> Batches:
        """Rows whose losses decide which weights are kept."""
        return self.held_out or self.training_sample

    @property
    def _held_out_rows(self) -> Batches:
        """The held-out rows, which must exist."""
        assert self.held_out is not None
        return self.held_out

    @property
    def has_stopped(self) -> bool:
        """Whether training has ended."""
        return self.early_stopping.reason is not None

    @property
    def is_promising(self) -> bool:
        """Whether the loss is so far below PCA's that more effort is worth a try.

        A regime that the user has asked for is always promising.
        """
        least = self._pca_loss * (1 - _PROMISING)
        return not self.must_beat_pca or self.early_stopping.best_loss < least

    @property
    def has_long_steps(self) -> bool:
        """Whether even the loss of training rows is higher than at the start.

        Then the steps are too long for the data at the moment. Shorter ones will help.
        """
        objective, rows = self.training.objective, self.training_sample
        now = objective.parameters.copy()
        loss = evaluate(objective, rows)
        objective.parameters.restore(self.early_stopping.start_values)
        start_loss = evaluate(objective, rows)
        objective.parameters.restore(now)
        return loss > start_loss

    def has_not_improved_on(self, loss: float) -> bool:
        """Whether the best loss is not yet clearly below ``loss``."""
        least = min(_MIN_EARLY_GAIN, self.monitored.n_samples**-0.5 / 2)
        return not self.early_stopping.best_loss < loss * (1 - least)

    def stop(self) -> None:
        """End the training."""
        self.early_stopping.reason = self.early_stopping.reason or "converged"

    def advance(self, n_epochs: float = math.inf) -> None:
        """Train until there are ``n_epochs`` epochs, or until training ends."""
        n_epochs -= len(self.loss_curve)
        if n_epochs <= 0 or self.has_stopped or self.lacks_rows:
            return
        stop = None if n_epochs == math.inf else int(n_epochs)
        with self.progress.interruptible(self):
            if self.progress.ends(self):
                return
            self.training.begin_work()
            for loss in islice(self.progress.epochs(self, self._epochs), stop):
                self._record_epoch(loss)
                if self.progress.end_epoch(self) or self.has_stopped:
                    break

    def _record_epoch(self, loss: float) -> None:
        """Record the losses of an epoch, and check whether it was the last."""
        training = self.training
        self.loss_curve.append(loss)
        if self.validation is not None:
            validation_loss = evaluate(training.objective, self.validation)
            self.validation_curve.append(validation_loss)
        monitored = loss if self.held_out is None else validation_loss
        self.early_stopping.should_stop(monitored, training.optimizer.out_of_time)
        how, n_made = self._parts[-1]
        self._parts[-1] = how, n_made + 1
        if self.may_decay and self._parts[-1][0] in (None, math.inf):
            self._look_for_overfitting()

    @cached_property
    def _pca_loss(self) -> float:
        """PCA's loss on the held-out rows."""
        return self._held_out_rows.mean(self.losses_of_pca(self._held_out_rows))

    @cached_property
    def _pca_gap(self) -> float:
        """Ratio of PCA's losses on held-out rows and on rows that it was fitted to."""
        learnt = self.training_sample.mean(self.losses_of_pca(self.training_sample))
        return self._pca_loss / learnt if learnt > 0 else math.inf

    def gap(self, n_epochs: int) -> float:
        """Return the generalisation gap of the last ``n_epochs`` epochs."""
        curves = self.loss_curve, self.validation_curve
        return generalisation_gap(*curves, self._pca_gap, n_epochs)

    def _look_for_overfitting(self) -> None:
        """Stop if the network overfits, but not if only long steps raise the losses."""
        early_stopping, curves = (
            self.early_stopping,
            (self.loss_curve, self.validation_curve),
        )
        out_of_patience = early_stopping.reason == "converged"
        if out_of_patience and not (self.is_promising or self.has_long_steps):
            return
        if early_stopping.reason is not None and not out_of_patience:
            return
        if overfits(early_stopping, *curves, self._pca_gap):
            early_stopping.reason = "converged"
        else:
            ended = early_stopping.n_iter >= early_stopping.config.max_iter
            early_stopping.reason = "max_iter" if ended else None

    def decay(
        self, n_epochs: float = math.inf, n_iter_no_change: float = math.inf
    ) -> None:
        """Let weights decay from now on, as planned or for ``n_epochs`` more epochs.

        These end early after ``n_iter_no_change`` epochs in a row without improvement.
        """
        self._parts.append((n_epochs, 0))
        if n_epochs < math.inf:
            self.early_stopping.extend(n_epochs, n_iter_no_change)
        self._epochs = self.training.decaying_epochs(n_epochs)

    def state(self) -> State:
        """Return a state from which training can continue again, after `go_back`."""
        return (
            self.training.objective.parameters.copy(),
            self.training.checkpoint(),
            self.training.optimizer.alpha,
            copy(self.early_stopping),
            [*self.loss_curve],
            [*self.validation_curve],
            [*self._parts],
        )

    def go_back(self, state: State) -> None:
        """Restore a ``state`` of the training. From there on, rows are drawn anew."""
        values, checkpoint, alpha, early_stopping, losses, validation_losses, parts = (
            state
        )
        self.early_stopping = copy(early_stopping)
        self.training.objective.parameters.restore(values)
        self.training.restore(checkpoint)
        self.training.optimizer.alpha = alpha
        self.loss_curve, self.validation_curve = [*losses], [*validation_losses]
        self._parts = [*parts]
        self._epochs = self.training.epochs()

    def back_to_best(self) -> None:
        """Restore the best weights, but not their place in the schedule."""
        self.early_stopping.restore_best()
        self._parts = self._parts_to_best()

    def _parts_to_best(self) -> list[Part]:
        """Return the parts of the training that have led to the best weights."""
        n_left = self.early_stopping.n_iter - self.early_stopping.best_iter
        parts: list[Part] = []
        for how, n_made in reversed(self._parts):
            parts.append((how, max(0, n_made - n_left)))
            n_left = max(0, n_left - n_made)
        return parts[::-1]

    @property
    def best_step(self) -> float:
        """Step size that led to the best weights, as a part of the largest."""
        config, parts = self.training.config, self._parts_to_best()
        if any(n_made and how not in (None, math.inf) for how, n_made in parts):
            return 0.0  # with decay the step size fell to zero
        if config.max_iter == math.inf:
            return 1.0
        schedule = SCHEDULES[config.learning_rate]
        return schedule(self.early_stopping.best_iter / config.max_iter)

    def retrain(self, training: TrainingSession) -> None:
        """Repeat the good epochs with another training of the same config."""
        training.begin_work()
        parts = [(how, n) for how, n in self._parts_to_best() if n > 0]
        n_in_all = sum(n for _, n in parts)
        for how, n_made in parts:
            epochs = training.epochs()
            if how is not None:
                epochs = training.decaying_epochs(how)
            epochs = self.progress.refit_epochs(self, training, epochs, n_in_all)
            for _ in zip(range(n_made), epochs, strict=False):
                if training.optimizer.out_of_time:
                    return

    def fine_tune(self, training: TrainingSession) -> None:
        """Continue from the best weights in small steps, on rows of ``training``."""
        parts = self._parts_to_best()
        if not any(n_made for how, n_made in parts if how is not None):
            training.optimizer.alpha = training.config.alpha  # decay has not helped
        n_epochs = max(1, round(_FINE_TUNING * self.early_stopping.best_iter))
        training.begin_work()
        epochs = training.fine_tuning_epochs(n_epochs)
        epochs = self.progress.refit_epochs(self, training, epochs, n_epochs)
        for _ in zip(range(n_epochs), epochs, strict=False):
            if training.optimizer.out_of_time:
                break

    def finish(self, n_entrants: int = 1) -> Self:
        """Keep the best weights, if they are good enough.

        Parameters
        ----------
        n_entrants : int
            Number of competing trials. The best of many may be better by chance.
        """
        early_stopping, significance = self.early_stopping, SIGNIFICANCE / n_entrants
        self.kept = early_stopping.best_iter > 0
        if self.held_out is not None and self.kept:
            if self.training.starts_linear:
                self.kept = self._beats_its_start(significance)
            elif self.must_beat_pca:
                early_stopping.restore_best()
                self.kept = self._beats_pca(significance)
        if not self.kept and self.training.starts_linear:
            early_stopping.back_to_start()
        early_stopping.restore_best()
        return self

    def _beats_pca(self, significance: float) -> bool:
        """Whether the network is significantly better than PCA on held-out rows."""
        objective, monitored = self.training.objective, self._held_out_rows
        of_rows = objective.reconstruction_losses
        losses = (
            row_losses(objective, monitored, of_rows, hide_entries=False).cpu().numpy()
        )
        errors = self.losses_of_pca(monitored, hide_entries=False)
        return is_lower(
            losses,
            errors,
            significance,
            weights=monitored.row_weights,
            rows=self.evidence_rows,
            of_many_variables=objective.reconstruction.loss.canonical,
        )

    def losses_of_pca(self, batches: Batches, hide_entries: bool = True) -> Floats:
        """Return PCA's losses of rows, which are corrupted as for the network."""
        objective = self.training.objective
        steps = evaluation_batches(objective, batches, hide_entries)
        loss = objective.reconstruction.losses_of_linear
        losses = pca_losses(self.training.pca, steps, loss)
        return batches.feature_fraction * losses + batches.off_basis

    def _beats_its_start(self, significance: float) -> bool:
        """Whether the best weights are significantly better than the first ones."""
        training, validation = self.training, self._held_out_rows
        best, best_of_target = self._losses_with(self.early_stopping.best_values)
        start, start_of_target = self._losses_with(self.early_stopping.start_values)
        asked, worth = None, 0.0
        if training.target is None:
            worth = _WORTH_LEAVING_PCA if training.config.linearity else 0.0
        else:
            known = ~validation.targets.isnan().all(dim=1).cpu().numpy()
            if known.any() and not known.all():
                # The other rows only have a reconstruction loss, and would dominate the
                # test.
                asked, significance = known, significance * _LABELLED_FACTOR
        distinct = np.zeros(len(best), bool)
        distinct[self.evidence_rows] = True
        if asked is not None:
            distinct &= asked
        weights = validation.row_weights
        lower = is_lower(best, start, significance, worth, weights, distinct)
        return lower and best_of_target <= start_of_target

    def _losses_with(self, values: Tensor) -> tuple[Floats, float]:
        """Return losses of rows with given weights, and the mean loss of the target.

        No entries are hidden: the loss of unpredictable ones would outweigh the gain.
        """
        objective, monitored = self.training.objective, self._held_out_rows
        objective.parameters.restore(values)
        mean_of_target = 0.0
        if objective.head is not None:
            of_target = objective.target_losses
            target_losses = row_losses(
                objective, monitored, of_target, hide_entries=False
            )
            mean_of_target = float(monitored.mean(target_losses))
        losses = row_losses(objective, monitored, hide_entries=False)
        return losses.cpu().numpy(), mean_of_target
