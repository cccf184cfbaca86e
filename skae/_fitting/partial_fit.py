"""Streaming: one pass over the rows of each call of `partial_fit`.

Each call makes one epoch, with the same training loop as `fit`. The state of the
optimizer, of the head and of the random numbers is passed from call to call as numpy
arrays.
"""

import math
from dataclasses import replace
from typing import Any

from sklearn.utils import check_consistent_length, check_random_state

from .._data.first_rows import StreamedRows, are_many, outgrows
from .._data.targets import Target, no_values
from .._inference.code_transform import CodeTransform
from .._inference.fitted_state import FittedState, stored
from .._linear.ppca import PPCA
from .._parts.column_links import PlainLink
from .._parts.column_losses import ColumnLosses, loss_parts
from .._parts.losses import Loss
from .._parts.mixed import choose_loss
from .._parts.parameters import Parameters
from .._parts.slots import check_slots
from .._runtime.threads import ThreadTuner
from .._runtime.warning import warn
from .._typing import Floats
from .attributes import baseline_score, describe, measure
from .components import count_components
from .config import Config
from .dataset import Dataset
from .deployment import deploy
from .gaps import Gaps, measure_imputation
from .pseudo_labels import predict_missing_targets
from .session import TrainingSession

__all__ = ["continue_autoencoder"]

# The first part of a stream says little about the total number of rows. So networks are
# built for many rows.
_MANY_ROWS = 10_000
# Step size, as a share of the largest step of a one-cycle schedule. Streams have no
# known end, so there is no schedule.
_PART_OF_RATE = 0.5


def continue_autoencoder(
    params: Parameters,
    part: StreamedRows,
    previous: FittedState | None,
    threads: ThreadTuner,
) -> dict[str, Any]:
    """Train for one pass over rows.

    Parameters
    ----------
    params : Parameters
    part : StreamedRows
    previous : FittedState or None
        State to continue from.
    threads : ThreadTuner
        Chooses the number of threads.

    Returns
    -------
    learnt : dict
        Attributes of the estimator by name.
    """
    params = check_slots(params, part.X.shape[1])
    n_before, curve = (previous.n_samples, previous.loss_curve) if previous else (0, [])
    n_samples = n_before + part.X.shape[0]
    part, first, known_target, previous = _begin(params, part, previous)
    seed = check_random_state(params.random_state).randint(2**31 - 1)
    params, loss, link, target, dataset, ppca = _read(
        params, part, known_target, previous, seed
    )
    n_components = count_components(params, dataset, seed, previous)
    params = replace(params, n_components=n_components)
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
        config=_config(params, part.X.shape, link, previous),
        in_row_space=False,  # later rows span a different space
        ppca=ppca,
    )
    memory = previous.memory if previous else None
    if memory:
        training.restore(memory.checkpoint)
    if first and not first.are_worth_keeping(training.scaling, n_components, target):
        first = None
    baseline = previous.baseline_score if previous else None
    if baseline is None:
        baseline = baseline_score(training, training.batches)
    curve = [*curve, _one_pass(training)]
    code_transform = CodeTransform.of(n_components)
    if previous:  # codes then stay comparable with the earlier ones
        code_transform = previous.code_transform
    deployed = deploy(training, training.network, training.link, code_transform)
    moments = measure(training, deployed, dataset, seed)
    if memory and memory.moments:
        moments = moments.after(memory.moments, training.scaling.scale)
    imputation = measure_imputation(deployed, part.X, seed, previous)
    kept = {"moments": vars(moments)} | ({"first": vars(first)} if first else {})
    explained = n_samples, seed, params.whiten, moments, previous
    return {
        "n_samples_": n_samples,
        "loss_curve_": curve,
        "validation_loss_curve_": None,
        "best_loss_": curve[-1],
        "best_iter_": len(curve),
        "n_iter_": len(curve),
        "stop_reason_": "partial_fit",
        "baseline_score_": baseline,
        "baseline_loss_": None,  # its rows would differ at each call
        **describe(training, deployed, dataset, *explained),
        "_imputation": stored(imputation),
        "_loss_parts": loss_parts(params.loss),
        "_ordered": params.ordered,
        "target_type_": None if target is None else target.kind,
        "_target": stored(target),
        "_memory": vars(training.checkpoint()) | kept,
    }


def _begin(
    params: Parameters, part: StreamedRows, previous: FittedState | None
) -> tuple[StreamedRows, StreamedRows | None, Target | None, FittedState | None]:
    """Return the rows to learn from, and the state to continue from.

    As long as there are few rows, training begins anew with all rows so far. It begins
    anew with the present rows if the earlier rows were nearly constant beside these.

    Returns
    -------
    part : StreamedRows
        Rows to learn from.
    first : StreamedRows or None
        First rows of the stream, as long as they are kept.
    target : Target or None
        Target of the calls before.
    previous : FittedState or None
        State to continue from. None if training begins anew.
    """
    to_keep = part if params.supervision else replace(part, y=None)
    if previous is None:
        return part, to_keep, None, None
    memory, target = previous.memory, _known_target(params, part, previous)
    first, scaling = memory.first if memory else None, previous.scaling
    if first is not None:
        varies = target is not None and target.varies(part.y)
        anew = first.should_restart(part.X, scaling, previous.n_components, varies)
        first = first.joined(to_keep)
        if anew:
            return first, first, None, None
    if memory and outgrows(part.X, scaling, previous.n_samples):
        warn(
            f"The {previous.n_samples} rows before were nearly constant beside "
            "these. Training begins anew with these."
        )
        if target is not None and target.kind == "continuous" and part.y is not None:
            target = None  # the target's scale has changed, too
        return part, to_keep, target, None
    return part, first, target, previous


def _read(
    params: Parameters,
    part: StreamedRows,
    target: Target | None,
    previous: FittedState | None,
    seed: int,
) -> tuple[
    Parameters, Loss | ColumnLosses, PlainLink, Target | None, Dataset, PPCA | None
]:
    """Return the rows as a dataset, with loss, link, target and gaps found from them.

    Returns
    -------
    params : Parameters
        Parameters with the chosen loss.
    loss : Loss or ColumnLosses
    link : str or tuple
    target : Target or None
    dataset : Dataset
    ppca : PPCA or None
    """
    weights, parts = part.weights, previous.loss_parts if previous else None
    gaps = Gaps(params, part.X, None, previous, seed, weights)
    filled = replace(part, X=gaps.fill(part.X))
    params, loss, link = choose_loss(params, filled.X, weights, parts, goes_on=True)
    if gaps.exist and isinstance(loss, Loss):  # a MixedLoss does not allow gaps
        loss.check_gaps()
    is_named = isinstance(link, str)
    if previous and is_named and params.output_activation == "auto":
        link = previous.link
    target, values = _targets(params, filled, target, seed)
    dataset = Dataset(filled.X, values, weights)
    gaps.mark_missing(dataset)
    dataset = dataset.merged()
    return params, loss, link, target, dataset, gaps.ppca


def _one_pass(training: TrainingSession) -> float:
    """Train for an epoch, and return its loss."""
    training.begin_work()
    loss = next(training.epochs())
    if not math.isfinite(loss):
        raise ValueError(
            "Training diverged on these rows with learning_rate_init="
            f"{training.config.learning_rate_init:g}. Use a smaller one; what was "
            "learnt before is kept."
        )
    return loss


def _config(
    params: Parameters,
    shape: tuple[int, int],
    link: PlainLink,
    previous: FittedState | None,
) -> Config:
    """Return the config of one pass, as if there were many rows."""
    n_samples, n_features = shape
    n_samples = max(n_samples, _MANY_ROWS)
    of_rows = params, n_samples, n_features, link, previous
    config = Config.of(*of_rows, auto_solver="adamw")
    rate = config.learning_rate_init
    if params.learning_rate_init == "auto":
        rate *= _PART_OF_RATE
    return replace(
        config, max_iter=1, learning_rate_init=rate, learning_rate="constant"
    )


def _known_target(
    params: Parameters, part: StreamedRows, previous: FittedState
) -> Target | None:
    """Return the target of the calls before, if any, checked against this call."""
    if not params.supervision or not previous.target:
        return None
    target = replace(previous.target, missing_label=params.missing_label)
    if part.y is not None:
        check_consistent_length(part.X, part.y)
        if part.classes is not None:
            target.check_classes(part.classes)
    return target


def _targets(
    params: Parameters, part: StreamedRows, target: Target | None, seed: int
) -> tuple[Target | None, Floats]:
    """Return the target, fitted to the first rows that have one, and its values."""
    X, y = part.X, part.y
    n_samples = X.shape[0]
    if not params.supervision:
        return None, no_values(n_samples)
    if y is not None:
        check_consistent_length(X, y)
        kind, label = params.target_type, params.missing_label
        target = target or Target.fit(y, kind, part.classes, label, part.weights)
    if target is None:
        return None, no_values(n_samples)
    if are_many(X):  # if few, others may come later
        target.check_learnable()
    if y is None:
        return target, target.unknown(n_samples)
    return target, predict_missing_targets(params.teacher, X, y, target, seed)
