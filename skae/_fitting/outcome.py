"""Outcome: warnings and errors about a training that did not end as it should."""

import numpy as np

from .._parts.slots import user_parts
from .._runtime.warning import warn
from .._training.loop import evaluate
from .trial import Trial

__all__ = ["check_outcome"]


def check_outcome(trial: Trial) -> None:
    """Warn of a training that did not end as it should.

    If the last weights are worse than the first ones, these are restored.

    Raises
    ------
    ValueError
        If training diverged at once.
    """
    early_stopping = trial.early_stopping
    # The loss of the final weights. The losses of the epochs do not show whether the
    # very last step broke the weights.
    final_loss = evaluate(trial.training.objective, trial.monitored)
    _refuse_divergence_at_once(trial, final_loss)
    if final_loss > early_stopping.start_loss:
        early_stopping.back_to_start()
    if early_stopping.reason == "diverged":
        warn(
            f"Training diverged in epoch {early_stopping.n_iter} with {_step(trial)}; "
            f"the weights of epoch {early_stopping.best_iter} are kept. Use a smaller "
            f"learning_rate_init{_suspects(trial)}."
        )
    elif _brought_nothing(trial):
        if not trial.training.starts_linear:
            warn(
                f"No epoch lowered the loss with {_step(trial)}; the network is "
                f"untrained. {_remedy(trial)}"
            )
    elif _was_cut_short(trial):
        warn(
            "The loss was still falling after "
            f"max_iter={trial.training.config.max_iter} epochs. "
            "Increase max_iter, or use learning_rate='one_cycle'."
        )


def _refuse_divergence_at_once(trial, final_loss):
    early_stopping, config = trial.early_stopping, trial.training.config
    diverged = early_stopping.reason == "diverged"
    at_once = early_stopping.best_iter == 0 and (
        early_stopping.n_iter == 1 or not trial.training.starts_linear
    )
    if not np.isfinite(final_loss) or (diverged and at_once):
        raise ValueError(
            f"Training diverged at once with {_step(trial)}, "
            f"solver={config.solver!r} and alpha={config.alpha:g}. Use a smaller "
            f"learning_rate_init or alpha{_suspects(trial)}."
        )


def _brought_nothing(trial):
    """Whether training ended early, and no epoch lowered a loss above zero."""
    early_stopping = trial.early_stopping
    reasons = "converged", "max_time", "interrupted", "callback"
    without_gain = early_stopping.best_iter == 0 < early_stopping.start_loss
    return early_stopping.reason in reasons and without_gain


def _was_cut_short(trial):
    """Whether the loss was still falling in the last epoch of all.

    A one-cycle schedule ends with a step size of zero, so it is not cut short.
    """
    early_stopping = trial.early_stopping
    return (
        early_stopping.reason == "max_iter"
        and early_stopping.improving
        and early_stopping.best_iter > 0
        and trial.training.config.learning_rate == "constant"
    )


def _remedy(trial):
    reason = trial.early_stopping.reason
    if reason == "max_time":
        return f"Give it more than max_time={trial.params.max_time:g}."
    if reason == trial.progress.stopped_by:
        return "Let it go on for longer."
    return "Use a smaller learning_rate_init."


def _step(trial):
    """Return the largest step size as a parameter."""
    return f"learning_rate_init={trial.training.config.learning_rate_init:g}"


def _suspects(trial):
    """Return a hint at parts of the user, which may be the cause."""
    parts = user_parts(trial.params)
    return parts and f", or see what {parts} returns"
