"""Fitting: from parameters and rows to everything an estimator learns.

A function of its arguments that changes none of them: what it returns becomes the
estimator's attributes in one step.
"""

import sys
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ._canonical import canonicalise, canonicalise_signs, radius_of
from ._frame import Frame
from ._learnt import baseline_score, describe
from ._linear import pca_errors
from ._losses import check_loss, looks_like_pictures
from ._outskirts import fade_where_astray
from ._penalties import keeps_axes
from ._preparing import Training, count_components
from ._slots import check_slots, own_parts
from ._stopping import Monitor
from ._tables import check_tables, split
from ._training import evaluate, row_losses, watched_steps

__all__ = ["fit_autoencoder"]

# How probable a gain on them may be if there is none.
_BY_CHANCE = 0.01
# The same where only some of the rows, with a target, can tell.
_BY_CHANCE_OF_SOME = 0.1
# Part by which the error must fall where codes are to be good for linear models too:
# those bent for less lose them more than what they gain.
_WORTH_A_BEND = 0.1
# Up to so many rows, what validation found good is trained once more on all of them.
_REFIT_ROWS = 2_000
# Which may take longer than before, when there were less: a part of the time for it.
_TIME_BEFORE_REFIT = 0.45
# Training rows that stand for all of them where nothing is held out, at most.
_WATCHED_ROWS = 10_000
# Why a training ended that had found nothing better than its linear start: PCA, or
# principal covariates where there was a target.
_LINEAR = ("pca", "linear")


@torch.inference_mode(False)  # whatever the caller is in
def fit_autoencoder(params, data, validation_data, previous, threads):
    """Train an autoencoder.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    data, validation_data : pair
        ``X``, an ndarray or CSR matrix (n_samples, n_features), and its ``y`` or None.
        None for both where rows of ``X`` are to be held out for validation.
    previous : dict or None
        The attributes of the fit to go on from.
    threads : ThreadTuner
        Chooses how many work.

    Returns
    -------
    learnt : dict
        The estimator's attributes by name.
    """
    asked = params = check_slots(params, data[0].shape[1])
    loss, link = _check_loss(params, data[0], validation_data[0])
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    target, table, table_val = check_tables(params, data, validation_data, seed)
    n_components = count_components(params, table, seed, previous)
    params = {**params, "n_components": n_components}
    rows, held_out = split(params, table, table_val, target, seed)
    if pictures := _are_pictures(params, table.X, held_out, previous):
        link = "logistic"
    prepare = partial(
        Training,
        params,
        table,
        target=target,
        loss=loss,
        link=link,
        threads=threads,
        seed=seed,
        previous=previous,
    )
    training = prepare(rows=rows)
    if training.starts_anchored and len(rows) < table.n_rows <= _REFIT_ROWS:
        training.solver.max_time *= _TIME_BEFORE_REFIT
    validation = held_out and training.batches_of(*held_out)
    some = _some(training, table, seed)
    monitor, loss_curve, validation_curve = _train(training, validation, some, params)
    if pictures and not previous and not _beats_pca(training, validation, some, params):
        again = {**asked, "output_activation": "identity", "random_state": seed}
        return fit_autoencoder(again, data, validation_data, None, threads)
    measured = training, validation or some
    if len(rows) < table.n_rows and previous is None:
        final = _on_all_rows(prepare, training, monitor, table.n_rows)
        if final is not training:
            training, some = final, _some(final, table, seed)
        if monitor.reason in _LINEAR:
            measured = training, some
    if training.starts_linear and monitor.best_iter > 0:
        first, batches = measured
        _look_after_far_rows(training, first.pca, batches)
    # Rows of the table that were held out belong to it again.
    seen = [training.batches]
    if len(training.rows) < table.n_rows:
        seen.append(validation)
    frame = _frame(training, monitor, params, seen, some)
    return {
        "n_samples_": table.n_rows,
        "loss_curve_": loss_curve,
        "validation_loss_curve_": None if validation is None else validation_curve,
        "best_loss_": monitor.best_loss,
        "best_iter_": monitor.best_iter,
        "n_iter_": len(loss_curve),
        "stop_reason_": monitor.reason,
        "baseline_score_": baseline_score(*measured),
        **describe(training, frame, table.X, seed),
        "_ordered": params["ordered"],
        "_target": None if target is None else vars(target),
    }


def _check_loss(params, *tables):
    """Return the loss and the name of its link, if it is made for such data."""
    loss, link = check_loss(params["loss"], params["output_activation"])
    for X in tables:
        if X is not None:
            loss.check_data(X)
    return loss, link


def _are_pictures(params, X, held_out, previous):
    """Whether the output should be that of pictures, which nobody has asked for."""
    auto = {"output_activation": "auto", "init": "auto", "loss": "squared_error"}
    if any(params[name] != value for name, value in auto.items()) or params["ordered"]:
        return False
    if params["latent"].has_cost:
        return False  # codes that are drawn cannot tell
    if previous:
        return previous["_link"] == "logistic"
    if params["early_stopping"] and held_out is None:
        return False  # too few to tell
    return looks_like_pictures(X)


def _beats_pca(training, validation, some, params):
    """Whether the network is better than PCA on the rows that were watched."""
    watched = validation if params["early_stopping"] else some
    objective = training.objective
    losses = row_losses(objective, watched, objective.reconstruction).cpu().numpy()
    # PCA has to do with the same corrupted rows.
    steps = watched_steps(objective, watched)
    errors = pca_errors(training.pca, ((step.inputs, step.x) for step in steps))
    return _is_lower(losses, watched.share * errors)


def _some(training, table, seed):
    """Return training rows to measure losses on before and after: all, or some."""
    rows = training.rows
    if len(rows) <= _WATCHED_ROWS:
        return training.batches
    chosen = np.random.default_rng(seed).choice(rows, _WATCHED_ROWS, replace=False)
    return training.batches_of(table, np.sort(chosen))


def _train(training, validation, some, params):
    """Run passes until one is the last; the network keeps the best weights."""
    objective, plan = training.objective, training.plan
    watched = validation if params["early_stopping"] else None
    checked = watched or some
    monitor = Monitor(objective.parameters, plan, evaluate(objective, checked))
    if not np.isfinite(monitor.start_loss) and own_parts(params):
        raise ValueError(
            f"The loss is {monitor.start_loss:g} before the first step: see whether "
            f"{own_parts(params)} returns numbers that are finite and not too large."
        )
    loss_curve, validation_curve = [], []
    passes = training.passes()
    if params["early_stopping"] and watched is None and training.starts_linear:
        passes = ()  # too few rows to tell whether the start was improved on
    for loss in passes:
        loss_curve.append(loss)
        if validation is not None:
            validation_curve.append(evaluate(objective, validation))
        if params["verbose"]:
            _report(plan.max_iter, loss_curve, validation_curve)
        watched_loss = loss if watched is None else validation_curve[-1]
        if monitor.should_stop(watched_loss, training.solver.out_of_time):
            break
    guarded = watched is not None and training.starts_linear
    if guarded and not _convinced(training, watched, monitor):
        monitor.back_to_start()
    monitor.settle()
    final_loss = evaluate(objective, checked)
    _judge(monitor, plan, final_loss, training.starts_linear, own_parts(params))
    if training.starts_linear and monitor.best_iter == 0:
        monitor.reason = _LINEAR[training.target is not None]
    return monitor, loss_curve, validation_curve


def _convinced(training, validation, monitor):
    """Whether the best weights beat the first ones by more than noise."""
    best, best_of_target = _losses_of(training, validation, monitor.best_values)
    start, start_of_target = _losses_of(training, validation, monitor.start_values)
    asked, by_chance, worth = slice(None), _BY_CHANCE, 0.0
    if training.target is None:
        worth = _WORTH_A_BEND if training.plan.linearity else 0.0
    else:
        known = ~validation.targets.isnan().all(dim=1).cpu().numpy()
        if known.any() and not known.all():
            # The others tell of the reconstruction alone, and would outvote them.
            asked, by_chance = known, _BY_CHANCE_OF_SOME
    is_lower = _is_lower(best[asked], start[asked], by_chance, worth)
    return is_lower and best_of_target <= start_of_target


def _losses_of(training, batches, values):
    """Losses of rows with some weights, and the mean of their target's part."""
    objective = training.objective
    objective.parameters.restore(values)
    of_target = 0.0
    if objective.head is not None:
        of_target = row_losses(objective, batches, objective.of_target).mean().item()
    return row_losses(objective, batches).cpu().numpy(), of_target


def _is_lower(losses, others, by_chance=_BY_CHANCE, by_part=0.0):
    """Whether the losses of rows are lower than others, the same rows', beyond doubt.

    Their mean must be, by some part and by more than the noise of so few rows, and so
    must most of them, by the signed-rank test (Wilcoxon 1945): one row far out can move
    the mean alone.
    """
    n_rows, gain = len(losses), others - losses
    if not losses.mean() < others.mean() * (1 - max(by_part, n_rows**-0.5)):
        return False
    # Of fewer than seven rows all have to be lower: they cannot say more.
    by_chance = max(by_chance, 0.5**n_rows)
    # Rows without a difference count half for either side.
    test = wilcoxon(gain, zero_method="zsplit", alternative="greater")
    return bool(test.pvalue <= by_chance)


def _on_all_rows(prepare, training, monitor, n_rows):
    """Use the rows that were held out too, now that they have told what to keep.

    If that is the start, it is made of all rows, so that holding some out costs
    nothing. Of a small table, the passes that were good are made again on all rows; of
    a large one, the rows held out would hardly add anything.
    """
    if monitor.best_iter > 0 and n_rows > _REFIT_ROWS or not training.starts_anchored:
        return training
    # What followed the clock is made again with as many steps.
    plan = training.plan
    if plan.max_time < np.inf:
        passes = training.solver.steps_of_schedule / training.batches.n_batches
        plan = replace(plan, max_iter=passes, max_time=np.inf)
    again = prepare(rows=np.arange(n_rows), plan=plan)
    start_loss = evaluate(again.objective, again.batches)
    for _ in zip(range(monitor.best_iter), again.passes(), strict=False):
        pass
    improved = evaluate(again.objective, again.batches) <= start_loss
    return again if improved else training


def _look_after_far_rows(training, pca, batches):
    """Let corrections fade earlier, if they are no good far from these rows."""
    errors = pca_errors(pca, ((x, x) for x, _ in batches.in_order()))
    network = training.network.eval()
    fade_where_astray(network, batches, errors.mean(), training.reach)


def _frame(training, monitor, params, seen, some):
    """Bring the codes of rows into canonical form, and return their frame."""
    network = training.network.eval()
    if params["latent"].keeps_axes or keeps_axes(params["penalty"]):
        return Frame.of(network.n_components)
    if params["ordered"]:
        return canonicalise_signs(network, seen)
    radius = np.inf
    if monitor.reason in _LINEAR:  # on the training rows the codes are PCA's
        radius = network.decoder.radius.item() / training.reach or np.inf
    elif network.anchored:
        radius = radius_of(network, some)
    return canonicalise(network, seen, radius)


def _report(max_iter, loss_curve, validation_curve):
    """Write one line on the pass that has ended."""
    of_all = f"/{max_iter}" if max_iter < np.inf else ""
    line = f"pass {len(loss_curve)}{of_all}: loss {loss_curve[-1]:.6g}"
    if validation_curve:
        line += f", validation loss {validation_curve[-1]:.6g}"
    sys.stdout.write(f"[AutoEncoderTransformer] {line}\n")


def _judge(monitor, plan, final_loss, starts_linear, suspects):
    """Tell the user of a training that did not end as it should.

    ``final_loss`` is that of the weights which are kept. The losses met along the way
    cannot tell that the very last step broke them. ``suspects`` names what else may
    have broken the loss.
    """
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
        _warn(
            f"Training diverged in pass {monitor.n_iter} with {step}; the weights of "
            f"pass {monitor.best_iter} are kept. Use a smaller learning_rate_init"
            f"{suspects}."
        )
    elif (
        monitor.reason in ("converged", "max_time")
        and monitor.best_iter == 0 < monitor.start_loss
    ):
        if not starts_linear:
            _warn(
                f"No pass lowered the loss with {step}; the network is untrained. Use "
                "a smaller learning_rate_init."
            )
    elif (
        monitor.reason == "max_iter"
        and monitor.improving
        and monitor.best_iter > 0
        # A one-cycle schedule ends with a step of zero: nothing was cut off.
        and plan.learning_rate == "constant"
    ):
        _warn(
            f"The loss was still falling after max_iter={plan.max_iter} passes. "
            "Increase max_iter, or use learning_rate='one_cycle'."
        )


def _warn(message):
    # The caller of fit is seven frames up, past the decorators on the way.
    warnings.warn(message, ConvergenceWarning, stacklevel=8)
