"""Weight decay: from when on the weights of a trial decay, if that is better.

Without it most networks learn more. Those that overfit are better with it: what the
rows held out say of both is asked where it shows, in the middle of the schedule, and
where nothing more is gained.
"""

import math

import numpy as np

from .trial import Trial

__all__ = ["decay_if_overfitted", "try_decay"]

# Parts of the epochs after which, and for how many, weights decay on trial: where steps
# are longest.
_AFTER = 0.2
_FOR = 0.1
# If the gap between losses on rows held out and learnt from is wider than PCA's.
_GAP = 1.1
# Passes whose mean tells how losses are now, a part of them all.
_NOW = 0.02
# The best epoch came before this part of them all: weights then decay from the best on,
# in so many more epochs, a part of them all.
_EARLY = 0.75
_DECAYING = 0.15
# Where a part of these brings nothing, the others will not either.
_IN_VAIN = 0.4


def try_decay(trial: Trial) -> None:
    """Let the weights of a trial decay in the middle if that soon shows to be better.

    Parameters
    ----------
    trial : Trial
        Somewhere before; afterwards it has made some more epochs, or has stopped.
    """
    n_in_all = trial.training.config.max_iter
    if not trial.may_decay:
        return
    n_now = max(1, round(_NOW * n_in_all))
    n_before = max(len(trial.loss_curve), round(_AFTER * n_in_all), n_now)
    n_after = n_before + max(1, round(_FOR * n_in_all))
    trial.advance(n_before)
    if trial.has_stopped or not trial.is_promising or trial.gap(n_now) < _GAP:
        return
    begin = trial.state()
    trial.go_back(begin)  # both are to draw the same rows
    trial.advance(n_after)
    if trial.has_stopped:
        return
    without, loss = trial.state(), np.mean(trial.validation_curve[-n_now:])
    trial.go_back(begin)
    trial.decay()
    trial.advance(n_after)
    if not np.mean(trial.validation_curve[-n_now:]) < loss:
        trial.go_back(without)


def decay_if_overfitted(trial: Trial) -> None:
    """Go on from the best weights, which decay, if they came long before the end."""
    early_stopping, n_in_all = trial.early_stopping, trial.training.config.max_iter
    early = early_stopping.best_iter < _EARLY * n_in_all
    overfitted = trial.may_decay and early and early_stopping.reason == "converged"
    if overfitted and trial.is_promising:
        trial.back_to_best()
        n_epochs = max(1, round(_DECAYING * n_in_all))
        trial.decay(n_epochs, max(3, math.ceil(_IN_VAIN * n_epochs)))
        trial.advance()
