"""Tables: rows with their targets, and which of them to learn from or to watch."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import column_or_1d

from .._data.holdout import equal_rows, hold_out
from .._data.targets import Target, no_values
from .pseudo_labels import teach

__all__ = ["Table", "check_tables", "split"]

# If there are fewer rows, none are held out.
_TOO_FEW_ROWS = 15


@dataclass
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

    @cached_property
    def copies(self):
        """Numbers of the rows, the same for equal ones; None if all are different."""
        return equal_rows(self.X)

    def first_of_each(self, rows):
        """Places in ``rows`` of those that no earlier one is equal to."""
        if self.copies is None:
            return slice(None)
        return np.sort(np.unique(self.copies[rows], return_index=True)[1])


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
        missing_label = params["missing_label"]
        target = Target.fit(y, params["target_type"], missing_label=missing_label)
        if target is not None:
            target.check_learnable()
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


def split(params, table, table_val, target, seed, groups=None, y=None):
    """Rows to train on, and the table and its rows to validate on, or None.

    Parameters
    ----------
    params : dict
        Parameters of `AutoEncoderTransformer`.
    table, table_val : Table, Table or None
    target : Target or None
    seed : int
    groups : array-like of shape (n_rows,) or None
        Of rows that stay on one side.
    y : array-like or None
        For splitters that ask for it.
    """
    n_rows = table.n_rows
    everything = np.arange(n_rows)
    if table_val is not None:
        return everything, (table_val, np.arange(table_val.n_rows))
    validation = params["validation"]
    if not params["early_stopping"] or validation is None:
        return everything, None
    if groups is not None:
        groups = _check_groups(groups, n_rows)
    if not isinstance(validation, str) and hasattr(validation, "split"):
        return _split_by(validation, table, y, groups)
    if n_rows < _TOO_FEW_ROWS:
        return everything, None
    if groups is None:
        groups = table.copies
    fraction = params["validation_fraction"] if validation == "auto" else validation
    strata = None if target is None else target.strata(table.targets)
    rows, held_out = hold_out(n_rows, fraction, seed, strata, groups)
    if not len(rows) or not len(held_out):
        return everything, None  # all rows are equal
    return rows, (table, held_out)


def _check_groups(groups, n_rows):
    """Return groups as numbers, (n_rows,)."""
    groups = column_or_1d(groups)
    if len(groups) != n_rows:
        raise ValueError(
            f"groups has {len(groups)} values, but X has {n_rows} rows: name the group "
            "of each row."
        )
    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups has one value, {names[0]!r}: no group can be held out. Leave out "
            "groups, or pass X_val."
        )
    return numbers


def _split_by(splitter, table, y, groups):
    """Return the last split of a splitter: of a series, that with the latest rows."""
    n_rows = table.n_rows
    given = {} if groups is None else {"groups": groups}
    last = [((), ()), *splitter.split(np.zeros((n_rows, 1)), y, **given)][-1]
    rows, held_out = (np.arange(n_rows)[np.asarray(part, int)] for part in last)
    if len(rows) < 2 or not len(held_out):
        raise ValueError(
            f"The last split of validation={splitter!r} has {len(rows)} rows to learn "
            f"from and {len(held_out)} to validate on: it needs two and one."
        )
    return np.sort(rows), (table, np.sort(held_out))
