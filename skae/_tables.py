"""Tables: rows with their targets, and which of them to learn from or to watch."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length

from ._targets import Target, no_values
from ._teacher import teach

__all__ = ["Table", "check_tables", "split"]

# Rows that are held out at least: a hundred, unless they are more than this part of
# all, or so few. And a number of rows of which none are.
_ENOUGH_VALIDATION_ROWS = 100
_MOST_HELD_OUT = 0.2
_LEAST_VALIDATION_ROWS = 7
_TOO_FEW_ROWS = 15


@dataclass(frozen=True)
class Table:
    """Rows and their targets: what they are trained on, or validated.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    targets : ndarray of shape (n_samples, width)
        Values of a `Target`, float32, of no width if there is none.
    """

    X: np.ndarray
    targets: np.ndarray

    @property
    def n_rows(self):
        """How many there are."""
        return self.X.shape[0]


def check_tables(params, data, validation_data, seed):
    """Return the target or None, and tables of the data and of those to validate on.

    Rows of the data of which a teacher tells the target are as good as others, also
    where they are held out; those to validate on stay as they are.
    """
    (X, y), (X_val, y_val) = data, validation_data
    target = table_val = None
    if y_val is not None and X_val is None:
        raise ValueError("y_val goes with X_val: pass X_val too, or leave out y_val.")
    if params["supervision"] and y is not None:
        check_consistent_length(X, y)
        target = Target.fit(y, params["target_type"])
    if target is None:
        table_val = None if X_val is None else Table(X_val, no_values(X_val.shape[0]))
        return None, Table(X, no_values(X.shape[0])), table_val
    if X_val is not None:
        if y_val is None:
            raise ValueError(
                f"supervision={params['supervision']:g} watches the target on X_val: "
                "pass its y_val too, or leave out X_val."
            )
        check_consistent_length(X_val, y_val)
        table_val = Table(X_val, target.encode(y_val))
    return target, Table(X, teach(params["teacher"], X, y, target, seed)), table_val


def split(params, table, table_val, target, seed):
    """Rows to train on, and the table and its rows to validate on, or None."""
    n_rows = table.n_rows
    rows = np.arange(n_rows)
    if table_val is not None:
        return rows, (table_val, np.arange(table_val.n_rows))
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
