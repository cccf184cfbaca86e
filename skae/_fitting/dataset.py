"""Tables: rows with their targets, and which of them to learn from or to watch."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import column_or_1d

from .._data.holdout import equal_rows, hold_out
from .._data.targets import Target, no_values
from .pseudo_labels import teach

__all__ = ["Dataset", "make_datasets", "split"]

# If there are fewer rows, none are held out.
_TOO_FEW_ROWS = 15


@dataclass
class Dataset:
    """Rows and their targets: what they are trained on, or validated.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    targets : ndarray of shape (n_samples, width)
        Values of a `Target`, float32, of no width if there is none.
    missing : ndarray of bool of shape (n_samples, n_features) or None
        Which entries of ``X`` fill gaps; None where none do.
    given : ndarray of shape (n_samples, n_features) or None
        ``X`` as it was before gaps were filled, with NaN in them, if there are any.
    """

    X: np.ndarray
    targets: np.ndarray
    missing: np.ndarray | None = None
    given: np.ndarray | None = None

    @property
    def n_samples(self):
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


def make_datasets(params, data, validation_data, seed):
    """Return the target or None, and tables of the data and of those to validate on.

    Rows of the data of which a teacher tells the target are as good as others, also
    where they are held out; those to validate on stay as they are.
    """
    (X, y), (X_val, y_val) = data, validation_data
    target = dataset_val = None
    if y_val is not None and X_val is None:
        raise ValueError("y_val goes with X_val: pass X_val too, or leave out y_val.")
    if params["supervision"] and y is not None:
        check_consistent_length(X, y)
        missing_label = params["missing_label"]
        target = Target.fit(y, params["target_type"], missing_label=missing_label)
        if target is not None:
            target.check_learnable()
    if target is None:
        dataset_val = (
            None if X_val is None else Dataset(X_val, no_values(X_val.shape[0]))
        )
        return None, Dataset(X, no_values(X.shape[0])), dataset_val
    if X_val is not None:
        if y_val is None:
            raise ValueError(
                f"supervision={params['supervision']:g} watches the target on X_val: "
                "pass its y_val too, or leave out X_val."
            )
        check_consistent_length(X_val, y_val)
        dataset_val = Dataset(X_val, target.encode(y_val))
    return target, Dataset(X, teach(params["teacher"], X, y, target, seed)), dataset_val


def split(params, dataset, dataset_val, target, seed, groups=None, y=None):
    """Rows to train on, and the table and its rows to validate on, or None.

    Parameters
    ----------
    params : dict
        Parameters of `AutoEncoderTransformer`.
    dataset, dataset_val : Dataset, Table or None
    target : Target or None
    seed : int
    groups : array-like of shape (n_samples,) or None
        Of rows that stay on one side.
    y : array-like or None
        For splitters that ask for it.
    """
    n_samples = dataset.n_samples
    everything = np.arange(n_samples)
    if dataset_val is not None:
        return everything, (dataset_val, np.arange(dataset_val.n_samples))
    validation = params["validation"]
    if not params["early_stopping"] or validation is None:
        return everything, None
    if groups is not None:
        groups = _check_groups(groups, n_samples)
    if not isinstance(validation, str) and hasattr(validation, "split"):
        return _split_by(validation, dataset, y, groups)
    if n_samples < _TOO_FEW_ROWS:
        return everything, None
    if groups is None:
        groups = dataset.copies
    fraction = params["validation_fraction"] if validation == "auto" else validation
    strata = None if target is None else target.strata(dataset.targets)
    rows, held_out = hold_out(n_samples, fraction, seed, strata, groups)
    if not len(rows) or not len(held_out):
        return everything, None  # all rows are equal
    return rows, (dataset, held_out)


def _check_groups(groups, n_samples):
    """Return groups as numbers, (n_samples,)."""
    groups = column_or_1d(groups)
    if len(groups) != n_samples:
        raise ValueError(
            f"groups has {len(groups)} values, but X has {n_samples} rows: name the "
            "group of each row."
        )
    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups has one value, {names[0]!r}: no group can be held out. Leave out "
            "groups, or pass X_val."
        )
    return numbers


def _split_by(splitter, dataset, y, groups):
    """Return the last split of a splitter: of a series, that with the latest rows."""
    n_samples = dataset.n_samples
    given = {} if groups is None else {"groups": groups}
    last = [((), ()), *splitter.split(np.zeros((n_samples, 1)), y, **given)][-1]
    rows, held_out = (np.arange(n_samples)[np.asarray(part, int)] for part in last)
    if len(rows) < 2 or not len(held_out):
        raise ValueError(
            f"The last split of validation={splitter!r} has {len(rows)} rows to learn "
            f"from and {len(held_out)} to validate on: it needs two and one."
        )
    return np.sort(rows), (dataset, np.sort(held_out))
