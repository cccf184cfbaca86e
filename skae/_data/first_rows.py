"""First rows: those of a stream, kept until they are enough to start from.

Scale, linear start and which features are constant come from the first rows. A few of
them, or rows in which something is still constant, would spoil all that follows, and
later rows cannot mend it. So they are kept for a while, and training begins anew with
all rows so far as long as these are few, and when what was constant moves.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse, vstack

from .._typing import Floats, Rows, is_sparse
from .outputs import join_targets
from .scaling import Scaling, dense_rows, row_slices
from .targets import Target

__all__ = ["are_many", "begins_anew", "join", "outgrows", "worth_keeping"]

# Rows to start from, at least, and for each code.
_FEW_ROWS = 100
_ROWS_A_CODE = 10
# Rows, and values, to wait for constant features to move, at most.
_MOST_ROWS = 1_000
_MOST_VALUES = 1_000_000
# Mean square of a typical row, in units of the scale, that tells of another scale.
_OTHER_SCALE = 100.0


def join(
    first: dict[str, Any] | None,
    X: Rows,
    y: ArrayLike | None,
    classes: ArrayLike | None,
    weights: Floats | None = None,
) -> dict[str, Any]:
    """Return the rows that were kept, and these behind them.

    Parameters
    ----------
    first : dict or None
        What was returned before.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like or None
    classes : array-like or None
    weights : ndarray of shape (n_samples,) or None
    """
    if first is None:
        return {"X": X, "y": y, "classes": classes, "weights": weights}
    stack = vstack if issparse(X) and issparse(first["X"]) else _dense_stack
    n_samples = first["X"].shape[0], X.shape[0]
    rows = stack([first["X"], X])
    return {
        "X": rows.tocsr() if issparse(rows) else rows,
        "y": join_targets((first["y"], y), n_samples),
        "classes": first["classes"] if classes is None else classes,
        "weights": _join_weights((first.get("weights"), weights), n_samples),
    }


def _join_weights(parts, n_samples):
    if all(part is None for part in parts):
        return None
    return np.concatenate(
        [np.ones(n) if w is None else w for w, n in zip(parts, n_samples, strict=True)]
    )


def _dense_stack(parts):
    return np.vstack([part.toarray() if issparse(part) else part for part in parts])


def begins_anew(
    first: dict[str, Any], X: Rows, previous: dict[str, Any], varies: bool
) -> bool:
    """Whether all rows so far are a better start than the one that was made.

    Parameters
    ----------
    first : dict
        The rows that were kept, without these.
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    previous : dict
        The attributes learnt so far.
    varies : bool
        Whether a target varies that did not.
    """
    if varies or _n_represented(first) < _enough(previous["n_components_"]):
        return True
    constant = np.flatnonzero(previous["_scaling"]["constant"])
    if not len(constant):
        return False
    values = X[:, constant]
    values = values.toarray() if is_sparse(values) else values
    moved = values != previous["_scaling"]["mean"][constant]
    return bool((moved & ~np.isnan(values)).any())  # NaN is missing


def outgrows(X: Rows, previous: dict[str, Any]) -> bool:
    """Whether rows are so large that the few before them were nearly constant.

    The typical row counts, so that a broken one does not. After many rows it is these
    that are strange.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    previous : dict
        The attributes learnt so far.
    """
    if previous["n_samples_"] > _MOST_ROWS:
        return False
    scaling, squares = previous["_scaling"], []
    varies = ~scaling["constant"]  # what has not moved yet has no scale to outgrow
    if not varies.any():
        return False
    for rows in row_slices(*X.shape):
        distance = (dense_rows(X, rows) - scaling["mean"])[:, varies]
        distance[np.isnan(distance)] = 0.0  # where it is missing
        squares.append(np.square(distance / scaling["scale"][varies]).mean(axis=1))
    return bool(np.median(np.concatenate(squares)) > _OTHER_SCALE)


def worth_keeping(
    first: dict[str, Any], scaling: Scaling, n_components: int, target: Target | None
) -> bool:
    """Whether later rows may show that these were no good start."""
    if _n_represented(first) < _enough(n_components):
        return True
    if are_many(first["X"]):
        return False
    nothing_to_tell = target is not None and not target.uncertainty.all()
    return bool(scaling.constant.any() or nothing_to_tell)


def are_many(X: Rows) -> bool:
    """Whether rows are too many to wait for others."""
    n_samples, n_features = X.shape
    return n_samples >= _MOST_ROWS or n_samples * n_features >= _MOST_VALUES


def _n_represented(first: dict[str, Any]) -> float:
    """How many rows the first ones stand for."""
    weights = first.get("weights")
    return first["X"].shape[0] if weights is None else weights.sum()


def _enough(n_components: int) -> int:
    return max(_FEW_ROWS, _ROWS_A_CODE * n_components)
