"""Streaming: one pass over some rows, and another over the next.

The same crank as in fitting, turned once a call. What the solver remembers, the head
and the random numbers go on from call to call, as plain numpy.
"""

import math
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import check_consistent_length, check_random_state

from ._deployment import deploy
from ._frame import Frame
from ._learnt import baseline_score, describe
from ._losses import check_loss
from ._plan import Plan
from ._preparing import Training, count_components
from ._slots import check_slots
from ._tables import Table
from ._targets import Target, no_values
from ._teacher import teach

__all__ = ["continue_autoencoder"]

# A first part of the data says little of their number: networks are made for many.
_MANY_ROWS = 10_000
# Steps are this part of the largest of a one-cycle schedule, which has no place here.
_PART_OF_RATE = 0.5


@torch.inference_mode(False)  # whatever the caller is in
def continue_autoencoder(params, X, y, classes, previous, threads):
    """Make one pass over rows.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    X : ndarray of shape (n_samples, n_features)
    y : array-like or None
    classes : array-like or None
        All classes of ``y``, or a list of them for several outputs.
    previous : dict or None
        The attributes to go on from.
    threads : ThreadTuner
        Chooses how many work.

    Returns
    -------
    learnt : dict
        The estimator's attributes by name.
    """
    params = check_slots(params, X.shape[1])
    loss, link = check_loss(params["loss"], params["output_activation"])
    loss.check_data(X)
    if previous and params["output_activation"] == "auto":
        link = previous["_link"]
    before = previous or {}
    memory = before.get("_memory", {})
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    target, table = _check_table(params, X, y, classes, before.get("_target"), seed)
    n_components = count_components(params, table, seed, previous)
    params = {**params, "n_components": n_components}
    training = Training(
        params,
        table,
        rows=np.arange(X.shape[0]),
        target=target,
        loss=loss,
        link=link,
        threads=threads,
        seed=seed,
        previous=previous,
        plan=_plan(params, X, link, previous),
    )
    training.resume(memory)
    baseline = before.get("baseline_score_")
    if baseline is None:
        baseline = baseline_score(training, training.batches)
    training.begin_work()
    curve = [*before.get("loss_curve_", []), next(training.passes())]
    if not math.isfinite(curve[-1]):
        raise ValueError(
            "Training diverged on these rows with learning_rate_init="
            f"{training.plan.learning_rate_init:g}. Use a smaller one; what was learnt "
            "before is kept."
        )
    frame = _frame(n_components, previous)
    deployed = deploy(training, training.network, training.link, frame)
    return {
        "n_samples_": before.get("n_samples_", 0) + X.shape[0],
        "loss_curve_": curve,
        "validation_loss_curve_": None,
        "best_loss_": curve[-1],
        "best_iter_": len(curve),
        "n_iter_": len(curve),
        "stop_reason_": "partial_fit",
        "baseline_score_": baseline,
        **describe(training, deployed, X, seed),
        "_ordered": params["ordered"],
        "_target": None if target is None else vars(target),
        "_memory": training.memory(),
    }


def _frame(n_components, previous):
    """Return the frame of the fit that this goes on from, so that codes compare."""
    return Frame(**previous["_frame"]) if previous else Frame.of(n_components)


def _plan(params, X, link, previous):
    """Return the plan of one pass, as if of many."""
    plan = Plan.of(params, max(X.shape[0], _MANY_ROWS), X.shape[1], link, previous)
    rate = plan.learning_rate_init
    if params["learning_rate_init"] == "auto":
        rate *= _PART_OF_RATE
    one_pass = {"max_iter": 1, "max_time": math.inf, "learning_rate": "constant"}
    return replace(plan, learning_rate_init=rate, **one_pass)


def _check_table(params, X, y, classes, known_target, seed):
    """Return the target, that of the first rows with one, and a table."""
    target = Target(**known_target) if known_target else None
    if not params["supervision"]:
        return None, Table(X, no_values(X.shape[0]))
    if y is not None:
        check_consistent_length(X, y)
        if target and classes is not None:
            target.check_classes(classes)
        target = target or Target.fit(y, params["target_type"], classes)
    if target is None:
        return None, Table(X, no_values(X.shape[0]))
    if y is None:
        return target, Table(X, target.unknown(X.shape[0]))
    return target, Table(X, teach(params["teacher"], X, y, target, seed))
