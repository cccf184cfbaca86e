"""Trial: one training, watched from its start to its last pass."""

import math
from copy import copy
from functools import cached_property
from itertools import islice

import numpy as np

from .._linear.pca import pca_losses
from .._parts.slots import own_parts
from .._runtime.warning import warn
from .._training.early_stopping import Monitor
from .._training.loop import evaluate, row_losses, watched_steps
from .._training.optimizers import SCHEDULES
from .overfitting import generalisation_gap, overfits
from .progress import Progress
from .verdict import BY_CHANCE, is_lower

__all__ = ["Trial"]

# Factor of the significance level where only the rows with a target are tested.
_MORE_BY_CHANCE_OF_SOME = 10
# Least relative decrease of the error for which a network is preferred to PCA where
# ``linearity`` is above 0. Smaller ones cost linear models behind more than they bring.
_WORTH_A_BEND = 0.1
# Relative decrease of the loss that networks which start as PCA, and learn, soon have.
_SOON = 0.02
# Relative decrease of PCA's loss from which on weight decay is worth a try.
_PROMISING = 0.05
# Epochs of fine-tuning on all rows, as a part of those that led to the best weights.
_FINE_TUNING = 0.2


class Trial:
    """A training, the rows that it is watched on, and what came of it.

    Parameters
    ----------
    training : Training
    params : dict
        Parameters of `AutoEncoderTransformer`, with parts for their slots.
    validation : Batches or None
        Rows that are validated on.
    some : Batches
        Rows that are trained on, all or some, to measure losses on before and after.
    distinct : ndarray of int or slice
        Which of the rows to validate on are evidence, of equal ones one.
    regime : Regime or None
    is_chosen : bool
        Whether the regime is not what someone has asked for: it then has to beat PCA
        beyond doubt, also where it does not start as PCA.
    may_decay : bool
        Whether weights may decay where the network overfits.
    progress : Progress
        Who is told of each epoch, and may end the training.

    Attributes
    ----------
    kept : bool
        Whether the network is to be kept, at the end.
    loss_curve, validation_curve : list of float
    monitor : Monitor
        Of the losses that are watched.
    """

    def __init__(
        self,
        training,
        params,
        validation,
        some,
        distinct=slice(None),
        regime=None,
        is_chosen=False,
        may_decay=False,
        progress=None,
    ):
        self.progress = progress or Progress()
        self.training = training
        self.params = params
        self.validation = validation
        self.some = some
        self.distinct = distinct
        self.regime = regime
        self.is_chosen = is_chosen
        self.kept = False
        self.guarding = validation if params["early_stopping"] else None
        self.may_decay = (
            may_decay
            and self.guarding is not None
            and training.plan.max_iter < math.inf
        )
        # What has led to the weights: numbers of passes, each with those in which the
        # schedule was to end with decay, inf for as planned, None for no decay.
        self._parts = [(None, 0)]
        self.loss_curve, self.validation_curve = [], []
        objective = training.objective
        start_loss = evaluate(objective, self.watched)
        suspects = own_parts(params)
        if not np.isfinite(start_loss) and suspects:
            raise ValueError(
                f"The loss is {start_loss:g} before the first step: see whether "
                f"{suspects} returns numbers that are finite and not too large."
            )
        self.monitor = Monitor(objective.parameters, training.plan, start_loss)
        self._passes = training.passes()
        if params["early_stopping"] and self.guarding is None:
            if training.starts_linear:
                self._passes = iter(())  # too few rows to tell

    @property
    def watched(self):
        """The rows whose losses tell what to keep."""
        return self.guarding or self.some

    @property
    def has_stopped(self):
        """Whether it makes no more passes."""
        return self.monitor.reason is not None

    @property
    def is_promising(self):
        """Whether it has gained so much on PCA that more effort is worth a try.

        What someone has asked for need not.
        """
        least = self._pca_loss * (1 - _PROMISING)
        return not self.is_chosen or self.monitor.best_loss < least

    def is_behind(self, loss):
        """Whether it has not yet gained on a loss what one that learns soon has."""
        least = min(_SOON, self.watched.n_rows**-0.5 / 2)
        return not self.monitor.best_loss < loss * (1 - least)

    def give_up(self):
        """Make no more passes."""
        self.monitor.reason = self.monitor.reason or "converged"

    def advance(self, n_passes=math.inf):
        """Make passes until there are so many, or until one is the last."""
        with self.progress.interruptible(self):
            self._advance(n_passes)

    def _advance(self, n_passes):
        training, monitor = self.training, self.monitor
        n_passes -= len(self.loss_curve)
        if monitor.reason is not None or n_passes <= 0 or self.progress.ends(self):
            return
        stop = None if n_passes == math.inf else n_passes
        training.begin_work()
        for loss in islice(self.progress.epochs(self, self._passes), stop):
            self.loss_curve.append(loss)
            if self.validation is not None:
                validation_loss = evaluate(training.objective, self.validation)
                self.validation_curve.append(validation_loss)
            watched = loss if self.guarding is None else validation_loss
            monitor.should_stop(watched, training.solver.out_of_time)
            how, n_made = self._parts[-1]
            self._parts[-1] = how, n_made + 1
            if self.may_decay and self._parts[-1][0] in (None, math.inf):
                self._look_for_overfitting()
            if self.progress.end_epoch(self) or self.has_stopped:
                break

    @cached_property
    def _pca_loss(self):
        """PCA's loss of the rows held out."""
        return self.losses_of_pca(self.guarding).mean()

    @cached_property
    def _pca_gap(self):
        """PCA's loss of rows held out, over that of those it was fitted to."""
        learnt = self.losses_of_pca(self.some).mean()
        return self._pca_loss / learnt if learnt > 0 else math.inf

    def gap(self, n_passes):
        """Return the generalisation gap of the last passes."""
        curves = self.loss_curve, self.validation_curve
        return generalisation_gap(*curves, self._pca_gap, n_passes)

    def _look_for_overfitting(self):
        """Stop once the network overfits, and not where only long steps go astray."""
        monitor, curves = self.monitor, (self.loss_curve, self.validation_curve)
        out_of_patience = monitor.reason == "converged"
        if out_of_patience and not self.is_promising:
            return
        if monitor.reason is not None and not out_of_patience:
            return
        if overfits(monitor, *curves, self._pca_gap):
            monitor.reason = "converged"
        else:
            ended = monitor.n_iter >= monitor.plan.max_iter
            monitor.reason = "max_iter" if ended else None

    def decay(self, n_passes=math.inf, n_iter_no_change=math.inf):
        """Let weights decay from here on, as planned or in just so many more passes.

        In these, so many in a row without improvement are too many.
        """
        self._parts.append((n_passes, 0))
        if n_passes < math.inf:
            self.monitor.extend(n_passes, n_iter_no_change)
        self._passes = self.training.decaying_passes(n_passes)

    def state(self):
        """Return what `go_back` needs to go on from here once more."""
        lists = self.loss_curve, self.validation_curve, self._parts
        return (
            self.training.objective.parameters.copy(),
            self.training.memory(),
            self.training.solver.alpha,
            copy(self.monitor),
            *map(list, lists),
        )

    def go_back(self, state):
        """Go back to where ``state`` was asked for; from there, rows are drawn anew."""
        values, memory, alpha, monitor, *lists = state
        self.monitor = copy(monitor)
        self.training.objective.parameters.restore(values)
        self.training.resume(memory)
        self.training.solver.alpha = alpha
        self.loss_curve, self.validation_curve, self._parts = map(list, lists)
        self._passes = self.training.passes()

    def back_to_best(self):
        """Go on from the best weights, wherever the schedule is."""
        self.monitor.settle()
        self._parts = self._parts_to_best()

    def _parts_to_best(self):
        """Return the parts that have led to the best weights."""
        n_left, parts = self.monitor.n_iter - self.monitor.best_iter, []
        for how, n_made in reversed(self._parts):
            parts.append((how, max(0, n_made - n_left)))
            n_left = max(0, n_left - n_made)
        return parts[::-1]

    @property
    def best_step(self):
        """Step size that led to the best weights, as a part of the largest."""
        plan, parts = self.training.plan, self._parts_to_best()
        if any(n_made and how not in (None, math.inf) for how, n_made in parts):
            return 0.0  # it fell to zero from there
        if plan.max_iter == math.inf:
            return 1.0
        schedule = SCHEDULES[plan.learning_rate]
        return schedule(self.monitor.best_iter / plan.max_iter)

    def repeat(self, training):
        """Make the passes that were good with another training of the same plan."""
        training.begin_work()
        parts = [(how, n) for how, n in self._parts_to_best() if n > 0]
        n_in_all = sum(n for _, n in parts)
        for how, n_made in parts:
            passes = training.passes()
            if how is not None:
                passes = training.decaying_passes(how)
            passes = self.progress.repeated(self, training, passes, n_in_all)
            for _ in zip(range(n_made), passes, strict=False):
                if training.solver.out_of_time:
                    return

    def fine_tune(self, training):
        """Go on from the best weights in small steps, with the rows of a training."""
        parts = self._parts_to_best()
        if not any(n_made for how, n_made in parts if how is not None):
            training.solver.alpha = training.plan.alpha  # decay has brought nothing
        n_passes = max(1, round(_FINE_TUNING * self.monitor.best_iter))
        training.begin_work()
        passes = training.fine_tuning_passes(n_passes)
        passes = self.progress.repeated(self, training, passes, n_passes)
        for _ in zip(range(n_passes), passes, strict=False):
            if training.solver.out_of_time:
                break

    def settle(self, n_entrants=1):
        """Keep the best weights, if they will do.

        Parameters
        ----------
        n_entrants : int
            How many trials there are: the best of many is better by chance.
        """
        monitor, by_chance = self.monitor, BY_CHANCE / n_entrants
        self.kept = monitor.best_iter > 0
        if self.guarding is not None and self.kept:
            if self.training.starts_linear:
                self.kept = self._beats_its_start(by_chance)
            elif self.is_chosen:
                monitor.settle()
                self.kept = self._beats_pca(by_chance)
        if not self.kept and self.training.starts_linear:
            monitor.back_to_start()
        monitor.settle()
        return self

    def _beats_pca(self, by_chance):
        """Whether the network is better than PCA on the rows that are watched."""
        objective, watched = self.training.objective, self.guarding
        losses = row_losses(objective, watched, objective.reconstruction)
        losses, errors = losses.cpu().numpy(), self.losses_of_pca(watched)
        return is_lower(losses[self.distinct], errors[self.distinct], by_chance)

    def losses_of_pca(self, batches):
        """PCA's losses of rows, which it meets corrupted as the network does."""
        objective = self.training.objective
        steps = watched_steps(objective, batches)
        losses = pca_losses(self.training.pca, steps, objective.loss.function)
        return batches.share * losses + batches.off_basis

    def _beats_its_start(self, by_chance):
        """Whether the best weights beat the first ones by more than noise."""
        training, validation = self.training, self.guarding
        best, best_of_target = self._losses_with(self.monitor.best_values)
        start, start_of_target = self._losses_with(self.monitor.start_values)
        asked, worth = None, 0.0
        if training.target is None:
            worth = _WORTH_A_BEND if training.plan.linearity else 0.0
        else:
            known = ~validation.targets.isnan().all(dim=1).cpu().numpy()
            if known.any() and not known.all():
                # The others tell of the reconstruction alone, and would outvote them.
                asked, by_chance = known, by_chance * _MORE_BY_CHANCE_OF_SOME
        distinct = np.zeros(len(best), bool)
        distinct[self.distinct] = True
        if asked is not None:
            distinct &= asked
        lower = is_lower(best[distinct], start[distinct], by_chance, worth)
        return lower and best_of_target <= start_of_target

    def _losses_with(self, values):
        """Losses of rows with some weights, and the mean of their target's part."""
        objective, watched = self.training.objective, self.guarding
        objective.parameters.restore(values)
        of_target = 0.0
        if objective.head is not None:
            of_target = row_losses(objective, watched, objective.of_target)
            of_target = of_target.mean().item()
        return row_losses(objective, watched).cpu().numpy(), of_target

    def judge(self):
        """Tell the user of a training that did not end as it should."""
        monitor, plan = self.monitor, self.training.plan
        starts_linear = self.training.starts_linear
        # The loss of the weights that are kept. The losses of the epochs cannot tell
        # whether the very last step broke them.
        final_loss = evaluate(self.training.objective, self.watched)
        suspects = own_parts(self.params)
        suspects = suspects and f", or see what {suspects} returns"
        step = f"learning_rate_init={plan.learning_rate_init:g}"
        diverged = monitor.reason == "diverged"
        at_once = monitor.best_iter == 0 and (monitor.n_iter == 1 or not starts_linear)
        if not np.isfinite(final_loss) or (diverged and at_once):
            raise ValueError(
                f"Training diverged at once with {step}, solver={plan.solver!r} and "
                f"alpha={plan.alpha:g}. Use a smaller learning_rate_init or alpha"
                f"{suspects}."
            )
        if final_loss > monitor.start_loss:
            monitor.back_to_start()
        if diverged:
            warn(
                f"Training diverged in pass {monitor.n_iter} with {step}; the weights "
                f"of pass {monitor.best_iter} are kept. Use a smaller "
                f"learning_rate_init{suspects}."
            )
        elif (
            monitor.reason in ("converged", "max_time", "interrupted", "callback")
            and monitor.best_iter == 0 < monitor.start_loss
        ):
            if not starts_linear:
                remedy = "Use a smaller learning_rate_init."
                if monitor.reason == "max_time":
                    remedy = f"Give it more than max_time={self.params['max_time']:g}."
                elif monitor.reason == self.progress.stopped_by:
                    remedy = "Let it go on for longer."
                warn(
                    f"No pass lowered the loss with {step}; the network is untrained. "
                    + remedy
                )
        elif (
            monitor.reason == "max_iter"
            and monitor.improving
            and monitor.best_iter > 0
            # A one-cycle schedule ends with a step of zero: nothing was cut off.
            and plan.learning_rate == "constant"
        ):
            warn(
                f"The loss was still falling after max_iter={plan.max_iter} passes. "
                "Increase max_iter, or use learning_rate='one_cycle'."
            )
