"""First rows: the first rows of a stream, kept until they are enough for a start.

The first rows determine the scale, the linear start, and which features are constant.
Too few rows, or rows in which something is still constant, make a bad start that later
rows cannot correct. So they are kept for a while. Training restarts with all rows so
far as long as these are few, and when something constant begins to vary.
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

# Smallest number of rows for a start, in all and for each code.
_FEW_ROWS = 100
_ROWS_A_CODE = 10
# Largest number of rows, and of values, that are kept until constant features vary.
_MOST_ROWS = 1_000
_MOST_VALUES = 1_000_000
# Mean square of a typical row, in units of the scale, above which the scale is wrong.
_OTHER_SCALE = 100.0


@dataclass(frozen=True)
class StreamedRows:
    """Rows of a stream with their targets and weights: a part, or the first rows.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like or None
    classes : array-like or None
        All classes of ``y``. For several outputs, a list with the classes of each.
    weights : ndarray of shape (n_samples,) or None
        Sample weights: the number of rows for which each row stands.
    """

    X: Rows
    y: ArrayLike | None
    classes: Classes | None
    weights: Floats | None = None

    def joined(self, others: Self) -> Self:
        """Return these rows, followed by others."""
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
        """Number of rows for which they stand: the sum of the weights."""
        return self.X.shape[0] if self.weights is None else self.weights.sum()

    def should_restart(
        self,
        X: Rows,
        scaling: Scaling,
        n_components: int,
        varies: bool,
    ) -> bool:
        """Whether training should restart with all rows so far.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
            The rows that follow these.
        scaling : Scaling
        n_components : int
            Scaling and number of codes until now.
        varies : bool
            Whether a target varies that was constant before.
        """
        if varies or self.n_represented < _enough(n_components):
            return True
        constant = np.flatnonzero(scaling.constant)
        if not len(constant):
            return False
        values = X[:, constant]
        values = values.toarray() if is_sparse(values) else values
        moved = values != scaling.mean[constant]
        return bool((moved & ~np.isnan(values)).any())  # NaN means missing

    def are_worth_keeping(
        self, scaling: Scaling, n_components: int, target: Target | None
    ) -> bool:
        """Whether later rows may show that these rows were a bad start."""
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
    """Whether rows are so large that the few rows before were nearly constant.

    The median over rows decides, so a single broken row has no effect. If there were
    many rows before, the new rows are unusual instead, and the result is False.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    scaling : Scaling
        Scaling of the rows before.
    n_before : int
        Number of these rows.
    """
    if n_before > _MOST_ROWS:
        return False
    varies, squares = ~scaling.constant, []
    if not varies.any():  # constant features have no scale to compare with
        return False
    for rows in row_slices(*X.shape):
        distance = (dense_rows(X, rows) - scaling.mean)[:, varies]
        distance[np.isnan(distance)] = 0.0  # missing entries
        squares.append(np.square(distance / scaling.scale[varies]).mean(axis=1))
    return bool(np.median(np.concatenate(squares)) > _OTHER_SCALE)


def are_many(X: Rows) -> bool:
    """Whether there are so many rows that they need not be kept any longer."""
    n_samples, n_features = X.shape
    return n_samples >= _MOST_ROWS or n_samples * n_features >= _MOST_VALUES


def _enough(n_components: int) -> int:
    return max(_FEW_ROWS, _ROWS_A_CODE * n_components)
