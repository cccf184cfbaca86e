"""Trial: one training, watched from its start to its last pass."""

import math
from itertools import islice

import numpy as np

from .._linear.pca import pca_losses
from .._parts.slots import own_parts
from .._runtime.warning import warn
from .._training.early_stopping import Monitor
from .._training.loop import evaluate, row_losses, watched_steps
from .progress import Progress
from .verdict import BY_CHANCE, is_lower

__all__ = ["Trial"]

# So many times as probable a gain may be by chance where only some of the rows, with a
# target, can tell.
_MORE_BY_CHANCE_OF_SOME = 10
# Part by which the error must fall where codes are to be good for linear models too:
# those bent for less lose them more than what they gain.
_WORTH_A_BEND = 0.1
# Part of a loss that a network which starts there, and learns, soon gains.
_SOON = 0.02
# The best pass came before this part of them all: the others learnt by heart. Weights
# then decay in so many more passes, a part of them all.
_EARLY = 0.75
# Rows that were held out are learnt in so many passes more, a part of the good ones.
_FINE_TUNING = 0.2
_DECAYING = 0.15


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
        self.may_decay = may_decay
        self.kept = False
        self.phases = None
        self.guarding = validation if params["early_stopping"] else None
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
            is_last = monitor.should_stop(watched, training.solver.out_of_time)
            if self.progress.end_epoch(self) or is_last:
                break

    def decay_if_overfitted(self):
        """Go on from the best weights, which decay, if these came long before the end.

        With decay from the beginning, networks that do not overfit learn less.
        """
        monitor, plan = self.monitor, self.training.plan
        early = monitor.best_iter < _EARLY * plan.max_iter
        if not (self.may_decay and early and monitor.reason == "converged"):
            return
        monitor.settle()
        n_passes = max(1, round(_DECAYING * plan.max_iter))
        self.phases = monitor.best_iter, n_passes, monitor.n_iter
        monitor.extend(n_passes)
        self._passes = self.training.decaying_passes(n_passes)
        self.advance()

    def repeat(self, training):
        """Make the passes that were good with another training of the same plan."""
        best_iter = self.monitor.best_iter
        first, n_passes, before = self.phases or (best_iter, 0, best_iter)
        passes = self.progress.repeated(self, training, training.passes(), best_iter)
        training.begin_work()
        for _ in zip(range(first), passes, strict=False):
            if training.solver.out_of_time:
                return
        if best_iter > before:
            passes = training.decaying_passes(n_passes)
            passes = self.progress.repeated(self, training, passes, best_iter)
            for _ in zip(range(best_iter - before), passes, strict=False):
                pass

    def fine_tune(self, training):
        """Go on from the best weights in small steps, with the rows of a training."""
        best_iter = self.monitor.best_iter
        if self.phases and best_iter <= self.phases[2]:
            training.solver.alpha = training.plan.alpha  # the decay has brought nothing
        n_passes = max(1, round(_FINE_TUNING * best_iter))
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
        training, watched = self.training, self.guarding
        objective = training.objective
        losses = row_losses(objective, watched, objective.reconstruction)
        # PCA has to do with the same corrupted rows.
        steps = watched_steps(objective, watched)
        errors = pca_losses(training.pca, steps, objective.loss.function)
        losses, errors = losses.cpu().numpy(), watched.share * errors
        errors += watched.off_basis
        return is_lower(losses[self.distinct], errors[self.distinct], by_chance)

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
        # Of the weights which are kept: the losses met along the way cannot tell that
        # the very last step broke them.
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
