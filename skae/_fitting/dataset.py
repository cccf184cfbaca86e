"""Datasets: rows with targets and weights, split into training and held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import column_or_1d

from .._data.holdout import equal_rows, hold_out, row_keys
from .._data.targets import Target, no_values
from .._parts.parameters import Parameters
from .._runtime.caching import cached_property
from .._runtime.warning import warn
from .._typing import Bools, Floats, Ints, Rows
from .pseudo_labels import teach

__all__ = [
    "Dataset",
    "HeldOut",
    "Splitter",
    "TrainingData",
    "is_splitter",
    "make_datasets",
    "split",
]

# With fewer rows, none are held out.
_TOO_FEW_ROWS = 15
# Up to so many rows with weights are sorted, so that their order does not matter.
_ORDERED_ROWS = 10_000


@dataclass(frozen=True)
class TrainingData:
    """What `fit` is given.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like or None
        Targets.
    sample_weight : ndarray of shape (n_samples,) or None
        How many rows each one stands for.
    X_val : ndarray or CSR matrix of shape (n_validation_samples, n_features) or None
        Rows to validate on. None where some of ``X`` are held out for that.
    y_val : array-like or None
        Their targets.
    groups : array-like of shape (n_samples,) or None
        Of rows that are held out together.
    """

    X: Rows
    y: ArrayLike | None = None
    sample_weight: Floats | None = None
    X_val: Rows | None = None
    y_val: ArrayLike | None = None
    groups: ArrayLike | None = None


@dataclass
class Dataset:
    """Rows with their targets and weights: what they are trained on, or validated.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_all, n_features)
    targets : ndarray of shape (n_all, width)
        Values of a `Target`, float32, of no width if there is none.
    weights : ndarray of shape (n_all,) or None
        How many rows each one stands for; None for one each.
    missing : ndarray of bool of shape (n_all, n_features) or None
        Which entries of ``X`` fill gaps; None where none do.
    given : ndarray of shape (n_all, n_features) or None
        ``X`` as it was before gaps were filled, with NaN in them, if there are any.
    """

    X: Rows
    targets: Floats
    weights: Floats | None = None
    missing: Bools | None = None
    given: Floats | None = None

    @property
    def with_gaps(self) -> Rows:
        """The rows as they were before gaps were filled, with NaN in them."""
        return self.X if self.given is None else self.given

    @cached_property
    def rows(self) -> Ints:
        """The rows that stand for any, (n_samples,)."""
        if self.weights is None:
            return np.arange(self.X.shape[0])
        return np.flatnonzero(self.weights)

    @property
    def n_samples(self) -> int:
        """How many these are."""
        return len(self.rows)

    @property
    def n_represented(self) -> int:
        """How many rows they stand for, at least as many as they are."""
        if self.weights is None:
            return self.n_samples
        return max(self.n_samples, round(float(self.weights.sum())))

    def weights_of(self, rows: Ints) -> Floats | None:
        """Return weights of rows, one on average, or None where all are one."""
        if self.weights is None:
            return None
        return self.weights[rows] / self.weights[rows].mean()

    def merged(self) -> Self:
        """Return the same with each of several equal rows once, the first of them.

        It has the weights of all. So a row that is there twice is what a row of twice
        the weight is, bit for bit, and is learnt from once. Where rows have weights,
        they come in an order of their own, unless they are many: that of the data does
        not count then.
        """
        group, has_targets = self.copies, self.targets.shape[1] > 0
        if group is not None and has_targets:
            same = equal_rows(self.targets)
            group = None if same is None else group * (same.max() + 1) + same
        if group is None and self.weights is None:
            return self
        weights = np.ones(len(self.targets)) if self.weights is None else self.weights
        first = np.arange(len(weights))
        if group is not None:
            _, first, place = np.unique(group, return_index=True, return_inverse=True)
            of_first = np.bincount(place, weights)
            weights = np.zeros(len(weights))
            weights[first] = of_first
        merged = replace(self, weights=weights)
        merged.copies = self.copies
        if self.copies is not None and len(np.unique(self.copies)) == len(first):
            merged.copies = None  # equal rows have equal targets
        if len(first) <= _ORDERED_ROWS:
            rows = np.sort(first)
            keys = row_keys(self._known[rows]), *self.targets[rows].T
            merged.rows = rows[np.lexsort(keys[::-1])]
        return merged

    @cached_property
    def copies(self) -> Ints | None:
        """Numbers of the rows, the same for equal ones; None if all are different."""
        return equal_rows(self._known)

    @property
    def _known(self) -> Rows:
        """What tells rows apart: their observed values, and which these are."""
        if self.missing is None:
            return self.X
        assert self.given is not None
        return np.hstack([np.where(self.missing, 0.0, self.given), self.missing])

    def first_of_each(self, rows: Ints) -> Ints | slice:
        """Return the places in ``rows`` of those that no earlier one is equal to."""
        if self.copies is None:
            return slice(None)
        return np.sort(np.unique(self.copies[rows], return_index=True)[1])


#: A dataset, and the indices of its rows for validation.
HeldOut: TypeAlias = tuple[Dataset, Ints]


class Splitter(Protocol):
    """What is asked of a splitter of scikit-learn's."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield rows to learn from, and rows to validate on."""
        ...


def make_datasets(
    params: Parameters, data: TrainingData, seed: int
) -> tuple[Target | None, Dataset, Dataset | None]:
    """Return the target or None, and datasets: all rows, and those to validate on.

    Rows of the data of which a teacher tells the target are as good as others, also
    where they are held out; those to validate on stay as they are.
    """
    X, y, X_val, y_val = data.X, data.y, data.X_val, data.y_val
    target: Target | None = None
    if y_val is not None and X_val is None:
        raise ValueError("y_val goes with X_val: pass X_val too, or leave out y_val.")
    if params.supervision and y is not None:
        check_consistent_length(X, y)
        label, weights = params.missing_label, data.sample_weight
        target = Target.fit(y, params.target_type, None, label, weights)
        if target is not None:
            target.check_learnable()
    if params.supervision and target is None:
        warn(
            f"supervision={params.supervision:g} has no effect, because no row has "
            "a target: pass y to fit, or set supervision=0.",
            UserWarning,
        )
    dataset_val = None
    if X_val is not None:
        values_val = no_values(X_val.shape[0])
        if target is not None:
            values_val = _values_to_validate_on(params, target, X_val, y_val)
        dataset_val = Dataset(X_val, values_val)
    values = no_values(X.shape[0])
    if target is not None and y is not None:
        values = teach(params.teacher, X, y, target, seed)
    return target, Dataset(X, values, data.sample_weight), dataset_val


def _values_to_validate_on(
    params: Parameters, target: Target, X_val: Rows, y_val: ArrayLike | None
) -> Floats:
    if y_val is None:
        raise ValueError(
            f"supervision={params.supervision:g} watches the target on X_val: "
            "pass its y_val too, or leave out X_val."
        )
    check_consistent_length(X_val, y_val)
    return target.encode(y_val)


def split(
    params: Parameters,
    data: TrainingData,
    dataset: Dataset,
    dataset_val: Dataset | None,
    target: Target | None,
    seed: int,
) -> tuple[Ints, HeldOut | None]:
    """Return rows to train on, and the dataset and rows to validate on, or None.

    Parameters
    ----------
    params : Parameters
    data : TrainingData
        Its groups stay on one side, and its targets are for splitters that ask for it.
    dataset, dataset_val : Dataset, Dataset or None
    target : Target or None
    seed : int
    """
    if dataset_val is not None:
        return dataset.rows, (dataset_val, dataset_val.rows)
    validation = params.validation
    if not params.early_stopping or validation is None:
        return dataset.rows, None
    groups = None
    if data.groups is not None:
        groups = _check_groups(data.groups, dataset.X.shape[0])
    if is_splitter(validation):
        return _split_by(validation, dataset, data.y, groups)
    if dataset.n_samples < _TOO_FEW_ROWS:
        return dataset.rows, None
    if groups is None:
        groups = dataset.copies
    if groups is not None:
        groups = np.unique(groups[dataset.rows], return_inverse=True)[1]
    fraction = params.validation_fraction if validation == "auto" else validation
    strata = None if target is None else target.strata(dataset.targets[dataset.rows])
    parts = hold_out(dataset.n_samples, fraction, seed, strata, groups)
    rows, held_out = (dataset.rows[part] for part in parts)
    if not len(rows) or not len(held_out):
        return dataset.rows, None  # all rows are equal
    return rows, (dataset, held_out)


def is_splitter(validation: object) -> bool:
    """Whether rows are held out by the last split of a splitter of scikit-learn's."""
    return not isinstance(validation, str) and hasattr(validation, "split")


def _check_groups(groups: ArrayLike, n_samples: int) -> Ints:
    """Return groups as numbers, (n_samples,)."""
    column = column_or_1d(groups)
    if len(column) != n_samples:
        raise ValueError(
            f"groups has {len(column)} values, but X has {n_samples} rows: name the "
            "group of each row."
        )
    names, numbers = np.unique(column, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"groups has one value, {names[0]!r}: no group can be held out. Leave out "
            "groups, or pass X_val."
        )
    return numbers


def _split_by(
    splitter: Splitter, dataset: Dataset, y: ArrayLike | None, groups: Ints | None
) -> tuple[Ints, HeldOut]:
    """Return the last split of a splitter: of a series, that with the latest rows."""
    given = {} if groups is None else {"groups": groups}
    n_all = dataset.X.shape[0]
    last = [((), ()), *splitter.split(np.zeros((n_all, 1)), y, **given)][-1]
    parts = (np.arange(n_all)[np.asarray(part, int)] for part in last)
    rows, held_out = (np.intersect1d(part, dataset.rows) for part in parts)
    if len(rows) < 2 or not len(held_out):
        raise ValueError(
            f"The last split of validation={splitter!r} has {len(rows)} rows to learn "
            f"from and {len(held_out)} to validate on: it needs two and one."
        )
    return rows, (dataset, held_out)
