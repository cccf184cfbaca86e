"""Weight decay: whether the weights of a trial decay, and from which epoch on.

Most networks are better without weight decay, but those that overfit are better with
it. Both are compared on held-out rows in the middle of the schedule, where the
difference shows. Decay is also tried when there is no further gain. Measured in
docs/choices.md, "Overfitting, and when weights decay".
"""

import math

import numpy as np

from .trial import Trial

__all__ = ["decay_if_overfitted", "try_decay"]

# Share of the epochs after which decay is tried, and share of the epochs for which it
# is tried. Steps are longest there.
_AFTER = 0.2
_FOR = 0.1
# Decay is tried if the ratio of the losses on held-out rows and on training rows is
# more than this multiple of PCA's ratio.
_GAP = 1.1
# The present loss is the mean over the last epochs, this share of all epochs.
_NOW = 0.02
# If the best epoch came before this share of all epochs, weights decay from the best
# weights on, for the second share of all epochs.
_EARLY = 0.75
_DECAYING = 0.15
# Decay ends early if this share of its epochs brings no gain.
_IN_VAIN = 0.4


def try_decay(trial: Trial) -> None:
    """Try weight decay in the middle of the schedule, and keep it if it is better.

    Parameters
    ----------
    trial : Trial
        A trial before that place. Afterwards it has made more epochs or has stopped.
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
    trial.go_back(begin)  # so that both draw the same rows
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
    """Train the best weights further with decay, if they came long before the end."""
    early_stopping, n_in_all = trial.early_stopping, trial.training.config.max_iter
    early = early_stopping.best_iter < _EARLY * n_in_all
    overfitted = trial.may_decay and early and early_stopping.reason == "converged"
    if overfitted and trial.is_promising:
        trial.back_to_best()
        n_epochs = max(1, round(_DECAYING * n_in_all))
        trial.decay(n_epochs, max(3, math.ceil(_IN_VAIN * n_epochs)))
        trial.advance()
