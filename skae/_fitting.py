"""Fitting: from parameters and rows to everything an estimator learns.

A function of its arguments that changes none of them: what it returns becomes the
estimator's attributes in one step.
"""

import sys
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from ._data import Batches
from ._device import check_device
from ._inference import Codec, from_numpy, to_numpy
from ._linear import pca_error
from ._losses import LINKS, check_loss
from ._networks import AutoEncoder, initialise
from ._plan import Plan
from ._scaling import Scaling
from ._solvers import Solver
from ._stopping import Monitor
from ._training import Objective, epochs, evaluate

__all__ = ["fit_autoencoder"]

# Fewer rows than this say too little to choose weights by.
_LEAST_VALIDATION_ROWS = 5
# Training rows that explained_variance_ratio_ is measured on, at most.
_EXPLAINED_ROWS = 1_000


def fit_autoencoder(params, X, X_val, previous):
    """Train an autoencoder.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    X : ndarray of shape (n_samples, n_features)
    X_val : ndarray of shape (n_validation_samples, n_features) or None
    previous : dict or None
        The attributes of the fit to go on from.

    Returns
    -------
    learnt : dict
        The estimator's attributes by name.
    """
    loss, link = check_loss(params["loss"], params["output_activation"])
    for data in (X, X_val):
        if data is not None:
            loss.check_data(data)
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    rng = np.random.default_rng(seed)
    rows, held_out = _split(params, X, X_val, seed)
    plan = Plan.of(params, len(rows), X.shape[1], previous)
    device = check_device(params["device"], plan.step_flops)

    if previous:
        scaling = Scaling(**previous["_scaling"])
        network = _previous_network(previous, plan, link)
    else:
        scaling = Scaling.fit(X, rows, params["standardize"])
        network = AutoEncoder(**plan.architecture)
        initialise(network, LINKS[link].start(scaling.mean), rng)
    objective = Objective(network.to(device), loss, link, scaling, device)
    batches = Batches(X, rows, scaling, plan.batch_size, device)
    validation = held_out and Batches(*held_out, scaling, plan.batch_size, device)
    solver = Solver(objective.parameters, plan, plan.max_iter * batches.n_batches)
    monitor = Monitor(objective.parameters, plan)

    loss_curve, validation_curve = [], []
    for loss_of_pass in epochs(objective, batches, solver, rng):
        watched = loss_of_pass
        loss_curve.append(loss_of_pass)
        if validation is not None:
            validation_curve.append(evaluate(objective, validation))
            if params["early_stopping"]:
                watched = validation_curve[-1]
        if params["verbose"]:
            _report(plan.max_iter, loss_curve, validation_curve)
        if monitor.should_stop(watched):
            break
    if monitor.best_values is not None:
        objective.parameters.restore(monitor.best_values)
    _judge(monitor, plan, evaluate(objective, validation or batches))

    error = pca_error(batches, validation or batches, plan.n_components, seed)
    weights = to_numpy(network)
    exact = from_numpy(plan.architecture, weights, torch.float64).eval()
    codec = Codec(exact, scaling, link, torch.device("cpu"))
    explained = codec.explained_variance_ratio(X[rows[:_EXPLAINED_ROWS]])
    return {
        "n_components_": plan.n_components,
        "n_samples_": len(X),
        "mean_": scaling.mean,
        "scale_": scaling.scale,
        "loss_curve_": loss_curve,
        "validation_loss_curve_": None if validation is None else validation_curve,
        "best_loss_": monitor.best_loss,
        "best_iter_": monitor.best_iter,
        "n_iter_": len(loss_curve),
        "stop_reason_": monitor.reason,
        "baseline_score_": 1 - error / (scaling.variance or 1.0),
        "explained_variance_ratio_": explained,
        "device_": str(device),
        "_architecture": plan.architecture,
        "_weights": weights,
        "_scaling": vars(scaling),
        "_link": link,
    }


def _split(params, X, X_val, seed):
    """Rows to train on, and the array and its rows to validate on, or None."""
    rows = np.arange(len(X))
    if X_val is not None:
        return rows, (X_val, np.arange(len(X_val)))
    n_held_out = int(params["validation_fraction"] * len(X))
    if not params["early_stopping"] or n_held_out < _LEAST_VALIDATION_ROWS:
        return rows, None
    rows, held_out = train_test_split(rows, test_size=n_held_out, random_state=seed)
    return rows, (X, held_out)


def _previous_network(previous, plan, link):
    """Return the fitted network, to go on from where the last fit ended."""
    before = previous["_architecture"], previous["_link"]
    if before != (plan.architecture, link):
        raise ValueError(
            "warm_start=True goes on with the network of the previous fit, "
            f"{before[0]} with output {before[1]!r}, but the parameters now ask for "
            f"{plan.architecture} with output {link!r}. Set them back, or set "
            "warm_start=False to begin anew."
        )
    return from_numpy(*map(previous.get, ("_architecture", "_weights")), torch.float32)


def _report(max_iter, loss_curve, validation_curve):
    """Write one line on the pass that has ended."""
    line = f"pass {len(loss_curve)}/{max_iter}: loss {loss_curve[-1]:.6g}"
    if validation_curve:
        line += f", validation loss {validation_curve[-1]:.6g}"
    sys.stdout.write(f"[AutoEncoderTransformer] {line}\n")


def _judge(monitor, plan, final_loss):
    """Tell the user of a training that did not end as it should.

    ``final_loss`` is that of the weights which are kept. The losses met along the way
    cannot tell that the very last step broke them.
    """
    step = f"learning_rate_init={plan.learning_rate_init:g}"
    still_falling = monitor.reason == "max_iter" and monitor.improving
    if not np.isfinite(final_loss):
        raise ValueError(
            f"Training diverged at once with {step} and "
            f"solver={plan.solver!r}. Use a smaller learning_rate_init, or "
            "solver='adamw', or scale the data."
        )
    if monitor.reason == "diverged":
        _warn(
            f"Training diverged in pass {monitor.n_iter} with {step}; the weights of "
            f"pass {monitor.best_iter} are kept. Use a smaller learning_rate_init."
        )
    elif still_falling and plan.learning_rate == "constant":
        # A one-cycle schedule ends with a step of zero: nothing was cut off.
        _warn(
            f"The loss was still falling after max_iter={plan.max_iter} passes. "
            "Increase max_iter, or use learning_rate='one_cycle'."
        )


def _warn(message):
    # The caller of fit is five frames up, past fit and its parameter validation.
    warnings.warn(message, ConvergenceWarning, stacklevel=6)
