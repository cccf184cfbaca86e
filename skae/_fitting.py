"""Fitting: from parameters and rows to everything an estimator learns.

A function of its arguments that changes none of them: what it returns becomes the
estimator's attributes in one step.
"""

import sys
import warnings
from functools import partial

import numpy as np
import torch
from scipy.stats import wilcoxon
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state

from ._canonical import canonicalise
from ._data import Table
from ._inference import Codec, from_numpy, to_numpy
from ._linear import pca_errors
from ._losses import check_loss, looks_like_pictures
from ._preparing import Training, count_components
from ._stopping import Monitor
from ._targets import Target, no_values
from ._training import evaluate, row_losses

__all__ = ["fit_autoencoder"]

# Rows that are held out at least: a hundred, unless they are more than this part of
# all, or so few. And a number of rows of which none are.
_ENOUGH_VALIDATION_ROWS = 100
_MOST_HELD_OUT = 0.2
_LEAST_VALIDATION_ROWS = 7
_TOO_FEW_ROWS = 15
# How probable a gain on them may be if there is none.
_BY_CHANCE = 0.01
# Up to so many rows, what validation found good is trained once more on all of them.
_REFIT_ROWS = 2_000
# Training rows that explained_variance_ratio_ is measured on, at most, and how many
# rows may be decoded for it: once all for each code.
_EXPLAINED_ROWS = 1_000
_DECODED_ROWS = 20_000
# Training rows that stand for all of them where nothing is held out, at most.
_WATCHED_ROWS = 10_000
# Why a training ended that had found nothing better than its linear start: PCA, or
# principal covariates where there was a target.
_LINEAR = ("pca", "linear")


@torch.inference_mode(False)  # whatever the caller is in
def fit_autoencoder(params, data, validation_data, previous):
    """Train an autoencoder.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    data, validation_data : pair
        ``X``, an ndarray of shape (n_samples, n_features), and its ``y`` or None.
        None for both where rows of ``X`` are to be held out for validation.
    previous : dict or None
        The attributes of the fit to go on from.

    Returns
    -------
    learnt : dict
        The estimator's attributes by name.
    """
    loss, link = check_loss(params["loss"], params["output_activation"])
    for X in (data[0], validation_data[0]):
        if X is not None:
            loss.check_data(X)
    target, table, table_val = _check_targets(params, data, validation_data)
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    n_components = count_components(params, table, seed, previous)
    params = {**params, "n_components": n_components}
    rows, held_out = _split(params, table, table_val, target, seed)
    if pictures := _are_pictures(params, table.X, held_out, previous):
        link = "logistic"
    prepare = partial(
        Training,
        params,
        table,
        target=target,
        loss=loss,
        link=link,
        seed=seed,
        previous=previous,
    )
    training = prepare(rows=rows)
    validation = held_out and training.batches_of(*held_out)
    some = _some(training, table, seed)
    monitor, loss_curve, validation_curve = _train(training, validation, some, params)
    if pictures and not previous and not _beats_pca(training, validation, some, params):
        params = {**params, "output_activation": "identity", "random_state": seed}
        return fit_autoencoder(params, data, validation_data, None)
    measured = training.pca, validation or some
    if len(rows) < len(table.X) and previous is None:
        training = _on_all_rows(prepare, training, monitor, len(table.X))
        if monitor.reason in _LINEAR:
            measured = training.pca, _some(training, table, seed)
    canonicalise(training.network.eval(), training.batches, params["ordered"])
    baseline = pca_errors(*measured).mean() / (training.scaling.variance or 1.0)
    return {
        "n_samples_": len(table.X),
        "loss_curve_": loss_curve,
        "validation_loss_curve_": None if validation is None else validation_curve,
        "best_loss_": monitor.best_loss,
        "best_iter_": monitor.best_iter,
        "n_iter_": len(loss_curve),
        "stop_reason_": monitor.reason,
        "baseline_score_": float(1 - baseline),
        **_describe(training, table.X, link, seed),
        "_ordered": params["ordered"],
    }


def _describe(training, X, link, seed):
    """Return the attributes that the network and its scaling make."""
    architecture, scaling = training.plan.architecture, training.scaling
    n_components = training.plan.n_components
    weights = to_numpy(training.network)
    exact = from_numpy(architecture, weights, torch.float64).eval()
    codec = Codec(exact, scaling, link, torch.device("cpu"))
    n_explained = min(_EXPLAINED_ROWS, _DECODED_ROWS // n_components + 1)
    rows = np.random.default_rng(seed).permutation(training.rows)[:n_explained]
    return {
        "n_components_": n_components,
        "mean_": scaling.mean,
        "scale_": scaling.scale,
        "explained_variance_ratio_": codec.explained_variance_ratio(X[rows]),
        "device_": str(training.device),
        "_architecture": architecture,
        "_weights": weights,
        "_scaling": vars(scaling),
        "_link": link,
    }


def _are_pictures(params, X, held_out, previous):
    """Whether the output should be that of pictures, which nobody has asked for."""
    auto = {"output_activation": "auto", "init": "auto", "loss": "squared_error"}
    if any(params[name] != value for name, value in auto.items()) or params["ordered"]:
        return False
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
    return _is_lower(losses, pca_errors(training.pca, watched))


def _check_targets(params, data, validation_data):
    """Return the target or None, and tables of the data and of those to validate on."""
    (X, y), (X_val, y_val) = data, validation_data
    target = None
    if params["supervision"] and y is not None:
        check_consistent_length(X, y)
        target = Target.fit(y, params["target_type"])
    if target is None:
        table_val = None if X_val is None else Table(X_val, no_values(len(X_val)))
        return None, Table(X, no_values(len(X))), table_val
    table = Table(X, target.encode(y))
    if X_val is None:
        return target, table, None
    if y_val is None:
        raise ValueError(
            f"supervision={params['supervision']:g} watches the target on X_val: pass "
            "its y_val too, or leave out X_val."
        )
    check_consistent_length(X_val, y_val)
    return target, table, Table(X_val, target.encode(y_val))


def _split(params, table, table_val, target, seed):
    """Rows to train on, and the table and its rows to validate on, or None."""
    n_rows = len(table.X)
    rows = np.arange(n_rows)
    if table_val is not None:
        return rows, (table_val, np.arange(len(table_val.X)))
    if not params["early_stopping"] or n_rows < _TOO_FEW_ROWS:
        return rows, None
    enough = min(_ENOUGH_VALIDATION_ROWS, int(_MOST_HELD_OUT * n_rows))
    enough = max(enough, _LEAST_VALIDATION_ROWS)
    n_held_out = max(int(params["validation_fraction"] * n_rows), enough)
    n_held_out = min(n_held_out, n_rows - 2)
    strata = None
    if target is not None:
        strata = _splittable(target.strata(table.targets), n_held_out)
    rows, held_out = train_test_split(
        rows, test_size=n_held_out, random_state=seed, stratify=strata
    )
    return rows, (table, held_out)


def _splittable(strata, n_held_out):
    """Put groups of one row into the largest; None where groups are too many."""
    if strata is None:
        return None
    _, strata, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    strata[sizes[strata] < 2] = sizes.argmax()
    n_strata = len(np.unique(strata))
    return strata if n_strata <= min(n_held_out, len(strata) - n_held_out) else None


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
        if monitor.should_stop(loss if watched is None else validation_curve[-1]):
            break
    guarded = watched is not None and training.starts_linear
    if guarded and not _convinced(training, watched, monitor):
        monitor.back_to_start()
    monitor.settle()
    final_loss = evaluate(objective, checked)
    _judge(monitor, plan, final_loss, training.starts_linear)
    if training.starts_linear and monitor.best_iter == 0:
        monitor.reason = _LINEAR[training.target is not None]
    return monitor, loss_curve, validation_curve


def _convinced(training, validation, monitor):
    """Whether the best weights beat the first ones by more than noise."""
    losses = []
    for values in (monitor.best_values, monitor.start_values):
        training.objective.parameters.restore(values)
        losses.append(row_losses(training.objective, validation).cpu().numpy())
    return _is_lower(*losses)


def _is_lower(losses, others):
    """Whether the losses of rows are lower than others, the same rows', beyond doubt.

    Their mean must be, by more than the noise of so few rows, and so must most of them,
    by the signed-rank test (Wilcoxon 1945): one row far out can move the mean alone.
    """
    n_rows, gain = len(losses), others - losses
    if not losses.mean() < others.mean() * (1 - n_rows**-0.5):
        return False
    # Of fewer than seven rows all have to be lower: they cannot say more.
    by_chance = max(_BY_CHANCE, 0.5**n_rows)
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
    again = prepare(rows=np.arange(n_rows), plan=training.plan)
    start_loss = evaluate(again.objective, again.batches)
    for _ in zip(range(monitor.best_iter), again.passes(), strict=False):
        pass
    improved = evaluate(again.objective, again.batches) <= start_loss
    return again if improved else training


def _report(max_iter, loss_curve, validation_curve):
    """Write one line on the pass that has ended."""
    line = f"pass {len(loss_curve)}/{max_iter}: loss {loss_curve[-1]:.6g}"
    if validation_curve:
        line += f", validation loss {validation_curve[-1]:.6g}"
    sys.stdout.write(f"[AutoEncoderTransformer] {line}\n")


def _judge(monitor, plan, final_loss, starts_linear):
    """Tell the user of a training that did not end as it should.

    ``final_loss`` is that of the weights which are kept. The losses met along the way
    cannot tell that the very last step broke them.
    """
    step = f"learning_rate_init={plan.learning_rate_init:g}"
    diverged = monitor.reason == "diverged"
    at_once = monitor.best_iter == 0 and (monitor.n_iter == 1 or not starts_linear)
    if not np.isfinite(final_loss) or (diverged and at_once):
        raise ValueError(
            f"Training diverged at once with {step}, solver={plan.solver!r} and "
            f"alpha={plan.alpha:g}. Use a smaller learning_rate_init or alpha."
        )
    if final_loss > monitor.start_loss:
        monitor.back_to_start()
    if diverged:
        _warn(
            f"Training diverged in pass {monitor.n_iter} with {step}; the weights of "
            f"pass {monitor.best_iter} are kept. Use a smaller learning_rate_init."
        )
    elif monitor.reason == "converged" and monitor.best_iter == 0 < monitor.start_loss:
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
