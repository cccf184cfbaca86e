"""First rows: those of a stream, kept until they are enough to start from.

Scale, linear start and which features are constant come from the first rows. A few of
them, or rows in which something is still constant, would spoil all that follows, and
later rows cannot mend it. So they are kept for a while, and training begins anew with
all rows so far as long as these are few, and when what was constant moves.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse, vstack

from .._typing import Floats, Rows, is_sparse
from .outputs import join_targets
from .scaling import Scaling, dense_rows, row_slices
from .targets import Classes, Target

__all__ = ["StreamedRows", "are_many", "outgrows"]

# Rows to start from, at least, and for each code.
_FEW_ROWS = 100
_ROWS_A_CODE = 10
# Rows, and values, to wait for constant features to move, at most.
_MOST_ROWS = 1_000
_MOST_VALUES = 1_000_000
# Mean square of a typical row, in units of the scale, that tells of another scale.
_OTHER_SCALE = 100.0


@dataclass(frozen=True)
class StreamedRows:
    """Rows of a stream with what is known of them: a part, or the first ones so far.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like or None
    classes : array-like or None
        All classes of ``y``, or a list of them for several outputs.
    weights : ndarray of shape (n_samples,) or None
        How many rows each one stands for.
    """

    X: Rows
    y: ArrayLike | None
    classes: Classes | None
    weights: Floats | None = None

    def joined(self, others: Self) -> Self:
        """Return these rows, and others behind them."""
        stack = vstack if issparse(others.X) and issparse(self.X) else _dense_stack
        n_samples = self.X.shape[0], others.X.shape[0]
        rows = stack([self.X, others.X])
        return type(self)(
            rows.tocsr() if issparse(rows) else rows,
            join_targets((self.y, others.y), n_samples),
            self.classes if others.classes is None else others.classes,
            _join_weights((self.weights, others.weights), n_samples),
        )

    @property
    def n_represented(self) -> float:
        """How many rows they stand for."""
        return self.X.shape[0] if self.weights is None else self.weights.sum()

    def begins_anew(
        self,
        X: Rows,
        scaling: Scaling,
        n_components: int,
        varies: bool,
    ) -> bool:
        """Whether all rows so far are a better start than the one that was made.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            The rows behind these.
        scaling : Scaling
        n_components : int
            As they have been until now.
        varies : bool
            Whether a target varies that did not.
        """
        if varies or self.n_represented < _enough(n_components):
            return True
        constant = np.flatnonzero(scaling.constant)
        if not len(constant):
            return False
        values = X[:, constant]
        values = values.toarray() if is_sparse(values) else values
        moved = values != scaling.mean[constant]
        return bool((moved & ~np.isnan(values)).any())  # NaN is missing

    def are_worth_keeping(
        self, scaling: Scaling, n_components: int, target: Target | None
    ) -> bool:
        """Whether later rows may show that these were no good start."""
        if self.n_represented < _enough(n_components):
            return True
        if are_many(self.X):
            return False
        nothing_to_tell = target is not None and not target.uncertainty.all()
        return bool(scaling.constant.any() or nothing_to_tell)


def _join_weights(parts, n_samples):
    if all(part is None for part in parts):
        return None
    return np.concatenate(
        [np.ones(n) if w is None else w for w, n in zip(parts, n_samples, strict=True)]
    )


def _dense_stack(parts):
    return np.vstack([part.toarray() if issparse(part) else part for part in parts])


def outgrows(X: Rows, scaling: Scaling, n_before: int) -> bool:
    """Whether rows are so large that the few before them were nearly constant.

    The typical row counts, so that a broken one does not. After many rows it is these
    that are strange.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    scaling : Scaling
        Of the rows before.
    n_before : int
        How many these were.
    """
    if n_before > _MOST_ROWS:
        return False
    varies, squares = ~scaling.constant, []
    if not varies.any():  # what has not moved yet has no scale to outgrow
        return False
    for rows in row_slices(*X.shape):
        distance = (dense_rows(X, rows) - scaling.mean)[:, varies]
        distance[np.isnan(distance)] = 0.0  # where it is missing
        squares.append(np.square(distance / scaling.scale[varies]).mean(axis=1))
    return bool(np.median(np.concatenate(squares)) > _OTHER_SCALE)


def are_many(X: Rows) -> bool:
    """Whether rows are too many to wait for others."""
    n_samples, n_features = X.shape
    return n_samples >= _MOST_ROWS or n_samples * n_features >= _MOST_VALUES


def _enough(n_components: int) -> int:
    return max(_FEW_ROWS, _ROWS_A_CODE * n_components)
