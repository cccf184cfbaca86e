"""Fitting: from parameters and rows to all fitted attributes.

Fitting does not change its arguments. It returns the attributes, which the estimator
gets in one step.
"""

import copy
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
from sklearn.utils import check_random_state

from .._data.holdout import have_near_copies
from .._inference.explained_variance import score_of
from .._inference.fitted_state import FittedState, stored
from .._inference.imputation import Imputation
from .._parts.column_links import PlainLink
from .._parts.column_losses import ColumnLosses, loss_parts
from .._parts.losses import Loss
from .._parts.mixed import choose_loss
from .._parts.parameters import Parameters
from .._parts.slots import check_slots
from .._runtime.clock import TimeLimit
from .._runtime.threads import ThreadTuner
from .._runtime.warning import ValidationWarning, warn
from .._typing import Ints, Rows, is_sparse
from .attributes import baseline_score, describe, measure
from .components import count_components
from .contest import contest, make_trials
from .dataset import TrainingData, is_splitter, make_datasets, split
from .finalists import Finalist, finalists, with_trust_radii
from .gaps import Gaps, measure_imputation
from .outcome import check_outcome
from .progress import Progress, Task
from .source import Source
from .trial import Trial

__all__ = ["fit_autoencoder"]

# Share of the variance from which on PCA reconstructs "all": it is written as 1.000.
_ALL_OF_IT = 0.9995


def fit_autoencoder(
    params: Parameters,
    data: TrainingData,
    previous: FittedState | None,
    threads: ThreadTuner,
    limit: TimeLimit,
    progress: Progress,
) -> dict[str, Any]:
    """Train an autoencoder.

    Parameters
    ----------
    params : Parameters
    data : TrainingData
    previous : FittedState or None
        State of the fit to continue.
    threads : ThreadTuner
        Chooses the number of threads.
    limit : TimeLimit
        Time limit of the whole fit, which is already running.
    progress : Progress
        Notifies the observers of the fit.

    Returns
    -------
    learnt : dict
        Attributes of the estimator by name.
    """
    source, rows, link = _prepare(params, data, previous, threads, limit, progress)
    entrants = make_trials(source, rows, link)
    n_trainings = len(entrants) + source.refits(rows)
    progress.begin_fit(source, partial(_snapshot, source), n_trainings)
    trial = contest(entrants)
    progress.end_training()
    check_outcome(trial)
    for final in finalists(source, trial):
        if final.is_acceptable:
            break
    progress.end_training()
    reason = trial.early_stopping.reason
    best = _best(trial, final)
    if final.is_linear:
        reason = "pca" if source.target is None else "linear"
        warn(_why_linear(source, trial, best[0]), ValidationWarning)
    progress.conclude(partial(_summary, source, trial, final, best))
    return _attributes(source, trial, final, best, reason)


def _prepare(
    params: Parameters,
    data: TrainingData,
    previous: FittedState | None,
    threads: ThreadTuner,
    limit: TimeLimit,
    progress: Progress,
) -> tuple[Source, Ints, PlainLink]:
    """Return the source of all trainings, the training rows, and the link."""
    params = check_slots(params, data.X.shape[1])
    if params.validation is None and data.X_val is None:
        params = replace(params, early_stopping=False)  # means the same
    seed = check_random_state(params.random_state).randint(2**31 - 1)
    gaps = Gaps(params, data.X, data.X_val, previous, seed, data.sample_weight)
    data = replace(data, X=gaps.fill(data.X), X_val=gaps.fill(data.X_val))
    params, loss, link = _choose_loss(params, data, previous)
    if gaps.exist and isinstance(loss, Loss):  # a MixedLoss does not allow gaps
        loss.check_gaps()
    target, dataset, dataset_val = make_datasets(params, data, seed)
    gaps.mark_missing(dataset, dataset_val)
    if data.groups is None and not is_splitter(params.validation):
        dataset = dataset.merged()
    n_components = count_components(params, dataset, seed, previous)
    params = replace(params, n_components=n_components)
    rows, held_out = split(params, data, dataset, dataset_val, target, seed)
    gaps.refill(rows, dataset, held_out)
    source = Source(
        params,
        dataset,
        held_out,
        target,
        loss,
        threads,
        seed,
        previous,
        progress,
        limit,
        ppca=gaps.ppca,
    )
    if held_out is not None and source.holds_out_at_random(data.groups):
        _warn_of_near_copies(dataset.X, held_out[1], seed)
    return source, rows, link


def _warn_of_near_copies(X: Rows, held_out: Ints, seed: int) -> None:
    """Warn if the rows nearest to held-out rows are their neighbours in ``X``."""
    if have_near_copies(X, held_out, seed):
        warn(
            "Rows that follow one another are nearest to one another, as overlapping "
            "windows of a series are: those held out at random have copies among the "
            "others, and tell little of new ones. Pass groups to fit, a splitter that "
            "holds out a block (validation=TimeSeriesSplit()), or X_val.",
            ValidationWarning,
        )


def _best(trial: Trial, final: Finalist) -> tuple[float, int]:
    """Return the loss of the result, and the epoch of this loss."""
    early_stopping, training = trial.early_stopping, trial.training
    if not final.is_linear:
        return early_stopping.best_loss, early_stopping.best_iter
    if training.starts_linear:
        return early_stopping.start_loss, 0
    losses = final.deployed.row_losses(training.objective, trial.monitored)
    return float(trial.monitored.mean(losses)), 0


def _attributes(
    source: Source,
    trial: Trial,
    final: Finalist,
    best: tuple[float, int],
    reason: str | None,
) -> dict[str, Any]:
    """Return the estimator's attributes by name.

    ``best`` is the loss of ``final`` and the epoch of this loss. ``reason`` says why
    training ended.
    """
    dataset, target = source.dataset, source.target
    validates = trial.validation is not None
    moments = measure(final.training, final.deployed, dataset, source.seed)
    of_training = baseline_score(final.training, source.training_sample(final.training))
    return {
        "n_samples_": dataset.X.shape[0],
        "loss_curve_": [*trial.loss_curve],
        "validation_loss_curve_": [*trial.validation_curve] if validates else None,
        "best_loss_": best[0],
        "best_iter_": best[1],
        "n_iter_": len(trial.loss_curve),
        "stop_reason_": reason,
        "baseline_score_": _baseline(final, trial, of_training),
        "_baseline_training_score": of_training,
        "baseline_loss_": _baseline_loss(source, trial),
        **describe(
            final.training,
            final.deployed,
            dataset,
            dataset.X.shape[0],
            source.seed,
            source.params.whiten,
            moments,
        ),
        "_imputation": stored(_imputation(source, trial, final)),
        "_loss_parts": loss_parts(source.params.loss),
        "_ordered": source.params.ordered,
        "target_type_": None if target is None else target.kind,
        "_target": stored(target),
    }


def _snapshot(source: Source, task: Task) -> dict[str, Any]:
    """Return the estimator's attributes as if a training ended now.

    They belong to the present weights, which need not be the best. The training itself
    is not affected.
    """
    trial, training = cast(Trial, task.trial), task.training
    early_stopping = trial.early_stopping
    network = with_trust_radii(source, trial, training, copy.deepcopy(training.network))
    final = Finalist(source, training, network)
    loss = (
        trial.validation_curve[-1:]
        or trial.loss_curve[-1:]
        or [early_stopping.start_loss]
    )
    best = loss[0], len(trial.loss_curve)
    attributes = _attributes(source, trial, final, best, "callback")
    return attributes | {"_memory": {}}


def _summary(
    source: Source, trial: Trial, final: Finalist, best: tuple[float, int]
) -> str:
    """Return one line: what is kept, why, and how good it is compared with PCA."""
    n_epochs, baseline = len(trial.loss_curve), _baseline_of(trial)
    which = "training" if trial.validation is None else "held-out"
    if final.is_linear:
        why = _why_linear(source, trial, best[0])
        scores = f"R2 of PCA on {which} rows {baseline:.3f}"
        if source.target is not None:
            start = Finalist(source, trial.training, trial.training.linear_network())
            score = _score(trial, start)
            scores = f"R2 on {which} rows {score:.3f}, PCA {baseline:.3f}"
        return f"{why} {scores}, {n_epochs} epochs"
    judged = _before_refit(source, trial, final)
    score = _score(trial, judged)
    again = "" if judged is final else ", then trained on all rows"
    return (
        f"kept epoch {best[1]} of {n_epochs} ({trial.early_stopping.reason}){again}: "
        f"R2 on {which} rows {score:.3f}, PCA {baseline:.3f}"
    )


def _score(trial: Trial, judged: Finalist) -> float:
    """Return the score of a finalist on the validation rows, or training rows."""
    batches = trial.validation or trial.training_sample
    X, weights = batches.given[batches.rows], batches.row_weights
    return score_of(judged.deployed.codec, X, weights)


def _before_refit(source: Source, trial: Trial, final: Finalist) -> Finalist:
    """Return the finalist as it was before the training on held-out rows, if any."""
    if final.is_linear or final.training is trial.training:
        return final
    network = copy.deepcopy(trial.training.network)
    network = with_trust_radii(source, trial, trial.training, network)
    return Finalist(source, trial.training, network)


def _imputation(source: Source, trial: Trial, final: Finalist) -> Imputation | None:
    """Return how gaps are filled, fitted to held-out rows, or else training rows."""
    if source.ppca is None:
        return None
    batches = trial.validation or trial.training_sample
    if is_sparse(batches.given):  # sparse validation rows have no gaps
        batches = trial.training_sample
    deployed = _before_refit(source, trial, final).deployed
    X = batches.given[batches.rows]
    return measure_imputation(deployed, X, source.seed, source.previous)


def _why_linear(source: Source, trial: Trial, loss: float) -> str:
    """Return the message that the result is PCA, with the reason and a remedy."""
    validation, lowest = trial.validation, min(trial.validation_curve, default=np.nan)
    name = "PCA" if source.target is None else "principal covariates regression"
    if trial.lacks_rows:
        reason = (
            f"{source.dataset.n_samples} different rows are too few to hold some out. "
            "Pass X_val, or set early_stopping=False to train without validation."
        )
    elif not trial.training.optimizer.limit.seconds:
        reason = (
            f"max_time={source.params.max_time:g} s were over before training could "
            "begin. Give it more."
        )
    elif source.target is None and _baseline_of(trial) >= _ALL_OF_IT:
        which = "training rows" if validation is None else "rows held out"
        reason = (
            f"it reconstructs all of the {which}, and leaves a network next to nothing "
            "to learn. Use PCA, or fewer codes (n_components)."
        )
    elif validation is None:
        reason = (
            f"no network was better than {name} on the training rows. More epochs may "
            "help (max_iter), or other codes (n_components)."
        )
    elif lowest < loss:
        reason = (
            f"on the {validation.n_samples} rows held out the best network had a loss "
            f"of {lowest:.4g}, and {name} of {loss:.4g}: too small a difference to be "
            "sure of. More rows would help, a larger part held out (validation=0.3), "
            "or linearity=0."
        )
    else:
        reason = (
            f"no network had a lower loss on the {validation.n_samples} rows held out. "
            "More rows may help, or other codes (n_components); what is left may also "
            "be noise, and PCA all there is."
        )
    return f"The result is {name}: {reason}"


def _choose_loss(
    params: Parameters, data: TrainingData, previous: FittedState | None
) -> tuple[Parameters, Loss | ColumnLosses, PlainLink]:
    """Return the parameters, the loss and its link. Check that the data suit it."""
    parts = None if previous is None else previous.loss_parts
    params, loss, link = choose_loss(params, data.X, data.sample_weight, parts)
    if data.X_val is not None:
        loss.check_data(data.X_val)
    return params, loss, link


def _baseline_loss(source: Source, trial: Trial) -> float | None:
    """Return PCA's loss on the rows of the loss curves, None if not comparable."""
    if not source.is_comparable_with_pca or source.params.ordered:
        return None
    batches = trial.validation or trial.training_sample
    return float(batches.mean(trial.losses_of_pca(batches)))


def _baseline(final: Finalist, trial: Trial, of_training: float) -> float:
    """Return PCA's score on the validation rows, or else on the training rows."""
    if final.is_linear and final.source.holds_rows_out or trial.validation is None:
        return of_training
    return _baseline_of(trial)


def _baseline_of(trial: Trial) -> float:
    """Return PCA's score on a trial's validation rows, or else on training rows."""
    return baseline_score(trial.training, trial.validation or trial.training_sample)
