"""Streaming: one pass over the rows of each call of `partial_fit`.

Each call makes one epoch, with the same training loop as `fit`. The state of the
optimizer, of the head and of the random numbers is passed from call to call as numpy
arrays.
"""

import math
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state

from .._data.first_rows import are_many, begins_anew, join, outgrows, worth_keeping
from .._data.targets import Classes, Target, no_values
from .._inference.code_transform import CodeTransform
from .._inference.explained_variance import Moments
from .._linear.ppca import PPCA
from .._parts.column_links import PlainLink
from .._parts.column_losses import ColumnLosses, loss_parts
from .._parts.losses import Loss
from .._parts.mixed import choose_loss
from .._parts.slots import check_slots
from .._runtime.threads import ThreadTuner
from .._runtime.warning import warn
from .._typing import Floats, Rows
from .attributes import baseline_score, describe, measure
from .components import count_components
from .config import Config
from .dataset import Dataset
from .deployment import deploy
from .gaps import Gaps, measure_imputation
from .pseudo_labels import teach
from .session import TrainingSession

__all__ = ["continue_autoencoder"]

# The first part of a stream says little about the total number of rows. So networks are
# made for many rows.
_MANY_ROWS = 10_000
# Step size, as a share of the largest step of a one-cycle schedule. Streams have no
# known end, so there is no schedule.
_PART_OF_RATE = 0.5


def continue_autoencoder(
    params: dict[str, Any],
    X: Rows,
    y: ArrayLike | None,
    classes: Classes | None,
    sample_weight: Floats | None,
    previous: dict[str, Any] | None,
    threads: ThreadTuner,
) -> dict[str, Any]:
    """Make one pass over rows.

    Parameters
    ----------
    params : dict
        Valid parameters of `AutoEncoderTransformer`.
    X : ndarray of shape (n_samples, n_features)
    y : array-like or None
    classes : array-like or None
        All classes of ``y``, or a list of them for several outputs.
    sample_weight : ndarray of shape (n_samples,) or None
        How many rows each one stands for.
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
    before = previous or {}
    n_samples = before.get("n_samples_", 0) + X.shape[0]
    X, y, classes, sample_weight, first, known_target, previous = _begin(
        params, X, y, classes, sample_weight, previous
    )
    memory = previous.get("_memory", {}) if previous else {}
    seed = check_random_state(params["random_state"]).randint(2**31 - 1)
    data = X, y, classes, sample_weight
    params, loss, link, target, dataset, ppca = _read(
        params, *data, known_target, previous, seed
    )
    n_components = count_components(params, dataset, seed, previous)
    params = {**params, "n_components": n_components}
    training = TrainingSession(
        params,
        dataset,
        rows=dataset.rows,
        target=target,
        loss=loss,
        link=link,
        threads=threads,
        seed=seed,
        previous=previous,
        config=_config(params, X, link, previous),
        in_row_space=False,  # later rows span another space
        ppca=ppca,
    )
    training.load_state_dict(memory)
    if first and not worth_keeping(first, training.scaling, n_components, target):
        first = None
    baseline = before.get("baseline_score_") if previous else None
    if baseline is None:
        baseline = baseline_score(training, training.batches)
    training.begin_work()
    curve = [*before.get("loss_curve_", []), next(training.epochs())]
    if not math.isfinite(curve[-1]):
        raise ValueError(
            "Training diverged on these rows with learning_rate_init="
            f"{training.config.learning_rate_init:g}. Use a smaller one; what was "
            "learnt before is kept."
        )
    code_transform = _code_transform(n_components, previous)
    deployed = deploy(training, training.network, training.link, code_transform)
    moments = measure(training, deployed, dataset, seed)
    if "moments" in memory:
        so_far = Moments(**memory["moments"])
        moments = moments.after(so_far, training.scaling.scale)
    kept = {"moments": vars(moments)} | ({"first": first} if first else {})
    explained = n_samples, seed, params["whiten"], moments, previous
    return {
        "n_samples_": n_samples,
        "loss_curve_": curve,
        "validation_loss_curve_": None,
        "best_loss_": curve[-1],
        "best_iter_": len(curve),
        "n_iter_": len(curve),
        "stop_reason_": "partial_fit",
        "baseline_score_": baseline,
        "baseline_loss_": None,  # it would be of other rows each time
        **describe(training, deployed, dataset, *explained),
        "_imputation": measure_imputation(deployed, X, seed),
        "_loss_parts": loss_parts(params["loss"]),
        "_ordered": params["ordered"],
        "target_type_": None if target is None else target.kind,
        "_target": None if target is None else vars(target),
        "_memory": training.state_dict() | kept,
    }


def _begin(
    params: dict[str, Any],
    X: Rows,
    y: ArrayLike | None,
    classes: Classes | None,
    weights: Floats | None,
    previous: dict[str, Any] | None,
) -> tuple[Any, ...]:
    """Return what to learn from, and what to go on from.

    Training begins anew with all rows so far as long as these are few, and with the
    rows at hand if those before were nearly constant beside them.

    Returns
    -------
    X, y, classes, weights
        Rows, targets, classes and weights to learn from.
    first : dict or None
        First rows, kept so far; see `join`.
    target : Target or None
        What is known of the targets from the calls before.
    previous : dict or None
        The attributes to go on from.
    """
    before = previous or {}
    is_stream = "_memory" in before
    first = before.get("_memory", {}).get("first")
    target = _known_target(params, X, y, classes, before.get("_target"))
    targets = y if params["supervision"] else None
    if previous is None or first is not None:
        varies = target is not None and target.varies(y)
        anew = previous and begins_anew(first, X, previous, varies)
        first = join(first, X, targets, classes, weights)
        if anew:
            return *first.values(), first, None, None
    if previous and is_stream and outgrows(X, previous):
        warn(
            f"The {before['n_samples_']} rows before were nearly constant beside "
            "these. Training begins anew with these."
        )
        if target is not None and target.kind == "continuous" and y is not None:
            target = None  # the target's scale has changed, too
        first = join(None, X, targets, classes, weights)
        return X, y, classes, weights, first, target, None
    return X, y, classes, weights, first, target, previous


def _read(
    params: dict[str, Any],
    X: Rows,
    y: ArrayLike | None,
    classes: Classes | None,
    sample_weight: Floats | None,
    target: Target | None,
    previous: dict[str, Any] | None,
    seed: int,
) -> tuple[
    dict[str, Any], Loss | ColumnLosses, PlainLink, Target | None, Dataset, PPCA | None
]:
    """Return the rows as a dataset, and what they say of loss, link, target and gaps.

    Returns
    -------
    params : dict
        With the loss that was chosen.
    loss : Loss
    link : str or tuple
    target : Target or None
    dataset : Dataset
    ppca : PPCA or None
    """
    parts = previous.get("_loss_parts") if previous else None
    gaps = Gaps(params, X, None, previous, seed, sample_weight)
    filled, weights = gaps.fill(X), sample_weight
    params, loss, link = choose_loss(params, filled, weights, parts, goes_on=True)
    if gaps.exist and isinstance(loss, Loss):  # a MixedLoss does not allow gaps
        loss.check_gaps()
    is_named = isinstance(link, str)
    if previous and is_named and params["output_activation"] == "auto":
        link = previous["_link"]
    data = filled, y, classes, sample_weight
    target, values = _targets(params, *data, target, seed)
    dataset = Dataset(filled, values, sample_weight)
    gaps.note(dataset)
    dataset = dataset.merged()
    return params, loss, link, target, dataset, gaps.ppca


def _code_transform(
    n_components: int, previous: dict[str, Any] | None
) -> CodeTransform:
    """Return the transform of the fit that this goes on from: codes then compare."""
    return (
        CodeTransform(**previous["_code_transform"])
        if previous
        else CodeTransform.of(n_components)
    )


def _config(
    params: dict[str, Any], X: Rows, link: PlainLink, previous: dict[str, Any] | None
) -> Config:
    """Return the config of one pass, as if of many."""
    config = Config.of(params, max(X.shape[0], _MANY_ROWS), X.shape[1], link, previous)
    rate = config.learning_rate_init
    if params["learning_rate_init"] == "auto":
        rate *= _PART_OF_RATE
    one_pass: dict[str, Any] = {"max_iter": 1, "learning_rate": "constant"}
    return replace(config, learning_rate_init=rate, **one_pass)


def _known_target(
    params: dict[str, Any],
    X: Rows,
    y: ArrayLike | None,
    classes: Classes | None,
    known: dict[str, Any] | None,
) -> Target | None:
    """Return the target of the calls before, if this one goes with it."""
    if not params["supervision"] or not known:
        return None
    target = Target(**known | {"missing_label": params["missing_label"]})
    if y is not None:
        check_consistent_length(X, y)
        if classes is not None:
            target.check_classes(classes)
    return target


def _targets(
    params: dict[str, Any],
    X: Rows,
    y: ArrayLike | None,
    classes: Classes | None,
    weights: Floats | None,
    target: Target | None,
    seed: int,
) -> tuple[Target | None, Floats]:
    """Return the target, that of the first rows with one, and its values."""
    n_samples = X.shape[0]
    if not params["supervision"]:
        return None, no_values(n_samples)
    if y is not None:
        check_consistent_length(X, y)
        target = target or Target.fit(
            y, params["target_type"], classes, params["missing_label"], weights
        )
    if target is None:
        return None, no_values(n_samples)
    if are_many(X):  # if few, others may come later
        target.check_learnable()
    if y is None:
        return target, target.unknown(n_samples)
    return target, teach(params["teacher"], X, y, target, seed)
