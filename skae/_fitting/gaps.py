"""Gaps: fills missing entries, and records which entries were missing.

A linear method fills the gaps before any other step. After that, rows with gaps are
treated like complete rows, except that losses ignore filled values.
"""

from typing import TypeVar

import numpy as np
from scipy.sparse import issparse

from .._data.validation import NO_GAPS_IN_MIXED
from .._inference.fitted_state import FittedState
from .._inference.imputation import Imputation
from .._linear.ppca import PPCA
from .._parts.mixed import Grouping
from .._parts.parameters import Parameters
from .._training.random_gaps import RandomGaps
from .._typing import Floats, Ints, Rows, is_sparse
from .dataset import Dataset, HeldOut
from .deployment import Deployed

__all__ = ["Gaps", "measure_imputation"]

# Entries are hidden in the first rows, up to this number, to measure how well the
# network and the linear method fill gaps.
_MOST_ROWS = 10_000


Given = TypeVar("Given", Rows, Rows | None)


class Gaps:
    """The missing entries in the rows of a fit, and the method that fills them.

    Parameters
    ----------
    params : Parameters
    X, X_val : ndarray or CSR matrix of shape (n_samples, n_features), X_val or None
        Rows, with NaN for missing entries.
    previous : FittedState or None
        State of the fit to continue.
    seed : int
    weights : ndarray of shape (n_samples,), optional
        Number of rows that each row represents.
    """

    def __init__(
        self,
        params: Parameters,
        X: Rows,
        X_val: Rows | None,
        previous: FittedState | None,
        seed: int,
        weights: Floats | None = None,
    ) -> None:
        self.X, self.X_val = X, X_val
        self.seed = seed
        self.exist, self.ppca = False, None
        if params.missing_values is None:
            return
        self._missing, self._missing_val = (
            None if rows is None or issparse(rows) else np.isnan(rows)
            for rows in (X, X_val)
        )
        masks = self._missing, self._missing_val
        self.exist = any(mask is not None and mask.any() for mask in masks)
        if self.exist and isinstance(params.loss, Grouping):
            raise ValueError(NO_GAPS_IN_MIXED)
        self._kept = None if previous is None else previous.ppca
        if self._kept is not None:
            self.ppca = self._kept
        elif self._missing is not None:  # sparse rows have no gaps
            self.ppca = PPCA.fit(X, self._missing, weights, seed=seed)
        elif self.exist:
            raise ValueError(
                "X_val has missing values, but X is sparse, and tells nothing of what "
                "fills them: pass X.toarray()."
            )

    def fill(self, X: Given) -> Given:
        """Return rows of the fit with all gaps filled."""
        if not self.exist or X is None or issparse(X):
            return X
        missing = self._missing if X is self.X else self._missing_val
        assert self.ppca is not None and missing is not None
        return self.ppca.fill(X, missing)

    def mark_missing(
        self, dataset: Dataset, dataset_val: Dataset | None = None
    ) -> None:
        """Store in datasets which entries are missing, and the rows before filling."""
        if not self.exist:
            return
        dataset.given, dataset.missing = self.X, self._missing
        if dataset_val is not None and not issparse(self.X_val):
            dataset_val.given, dataset_val.missing = self.X_val, self._missing_val

    def refill(self, rows: Ints, dataset: Dataset, held_out: HeldOut | None) -> None:
        """Fill the gaps again, by a method that is fitted to the training rows only.

        Parameters
        ----------
        rows : ndarray of int
            Indices of the training rows.
        dataset : Dataset
        held_out : tuple of Dataset and ndarray of int, or None
        """
        if not self.exist or self._kept is not None:
            return
        weights = None if dataset.weights is None else dataset.weights[rows]
        assert self._missing is not None
        training = self.X[rows], self._missing[rows], weights
        self.ppca = PPCA.fit(*training, seed=self.seed)
        for filled in [dataset] + ([] if held_out is None else [held_out[0]]):
            if filled.missing is not None and filled.given is not None:
                filled.X = self.ppca.fill(filled.given, filled.missing)


def measure_imputation(
    deployed: Deployed, X: Rows, seed: int, previous: FittedState | None
) -> Imputation | None:
    """Hide entries of rows, and return an `Imputation` fitted to these, or None.

    At most the first 10,000 rows are used. Sparse rows have no gaps.
    With them the previous imputation is kept.

    Parameters
    ----------
    deployed : Deployed
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Rows, with NaN for missing entries.
    seed : int
    previous : FittedState or None
        State of the fit to continue.
    """
    codec = deployed.codec
    if codec.ppca is None:
        return None
    if is_sparse(X):
        return None if previous is None else previous.imputation
    X, rng = X[:_MOST_ROWS], np.random.default_rng(seed)
    observed = ~np.isnan(X)
    missing = RandomGaps.draw(observed, rng)
    filled = codec.ppca.fill(X, missing)
    return Imputation.fit(codec, X, missing & observed, filled, rng)
