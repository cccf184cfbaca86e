"""Datasets: rows with targets and weights, split into training and held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import column_or_1d

from .._data.holdout import equal_rows, hold_out, row_keys
from .._data.scaling import Scaling
from .._data.targets import Target, no_values
from .._inference.fitted_state import FittedState
from .._parts.column_losses import scale_of
from .._parts.parameters import Parameters
from .._runtime.caching import cached_property
from .._runtime.warning import warn
from .._typing import Bools, Floats, Ints, Rows
from .pseudo_labels import predict_missing_targets

__all__ = [
    "Dataset",
    "HeldOut",
    "Splitter",
    "TrainingData",
    "is_splitter",
    "make_datasets",
    "split",
]

# With fewer rows than this, none are held out.
_TOO_FEW_ROWS = 15
# Rows with weights are sorted, so that their order does not matter, unless there are
# more than this.
_ORDERED_ROWS = 10_000


@dataclass(frozen=True)
class TrainingData:
    """The data that is passed to `fit`.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    y : array-like or None
        Targets.
    sample_weight : ndarray of shape (n_samples,) or None
        Number of rows that each row represents.
    X_val : ndarray or CSR matrix of shape (n_validation_samples, n_features) or None
        Validation rows. If None, rows of ``X`` may be held out instead.
    y_val : array-like or None
        Targets of the validation rows.
    groups : array-like of shape (n_samples,) or None
        Groups of rows that are held out together.
    """

    X: Rows
    y: ArrayLike | None = None
    sample_weight: Floats | None = None
    X_val: Rows | None = None
    y_val: ArrayLike | None = None
    groups: ArrayLike | None = None


@dataclass
class Dataset:
    """Rows for training or validation, with their targets and weights.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n_all, n_features)
    targets : ndarray of shape (n_all, width)
        Targets as a `Target` encodes them, float32. Without a target, width is 0.
    weights : ndarray of shape (n_all,) or None
        Number of rows that each row represents. None if all are 1.
    missing : ndarray of bool of shape (n_all, n_features) or None
        Which entries of ``X`` are filled gaps. None if there are no gaps.
    given : ndarray of shape (n_all, n_features) or None
        ``X`` before gaps were filled, with NaN in the gaps. None if there are no gaps.
    """

    X: Rows
    targets: Floats
    weights: Floats | None = None
    missing: Bools | None = None
    given: Floats | None = None

    @property
    def with_gaps(self) -> Rows:
        """The rows before gaps were filled, with NaN in the gaps."""
        return self.X if self.given is None else self.given

    @cached_property
    def rows(self) -> Ints:
        """Indices of the rows with a weight above zero, (n_samples,)."""
        if self.weights is None:
            return np.arange(self.X.shape[0])
        return np.flatnonzero(self.weights)

    @property
    def n_samples(self) -> int:
        """Number of these rows."""
        return len(self.rows)

    @property
    def n_represented(self) -> int:
        """Number of rows that these rows represent, at least ``n_samples``."""
        if self.weights is None:
            return self.n_samples
        return max(self.n_samples, round(float(self.weights.sum())))

    def weights_of(self, rows: Ints) -> Floats | None:
        """Return weights of rows, with mean 1, or None if all are 1."""
        if self.weights is None:
            return None
        return self.weights[rows] / self.weights[rows].mean()

    def scaling_of(
        self, rows: Ints, params: Parameters, previous: FittedState | None
    ) -> Scaling:
        """Return the scaling of rows, or the updated one of a previous fit."""
        weights, standardize = self.weights_of(rows), params.standardize
        if previous is not None:
            moved = self.X, rows, standardize, previous.n_samples, weights
            return previous.scaling.with_moved(*moved)
        scaling = Scaling.fit(self.X, rows, standardize, weights, scale_of(params.loss))
        if self.missing is None:
            return scaling
        return scaling.of_observed(self.X, rows, self.missing, standardize, weights)

    def merged(self) -> Self:
        """Return a dataset in which only the first of several equal rows remains.

        This row gets the sum of their weights. So a row that occurs twice is the same
        as a row of twice the weight, bit for bit, and is learnt from once. If rows have
        weights, they are sorted, unless there are too many. The order of the data then
        does not matter.
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
        """A number for each row, the same for equal rows. None if all are different."""
        return equal_rows(self._known)

    @property
    def _known(self) -> Rows:
        """What distinguishes rows: observed values, and which entries are missing."""
        if self.missing is None:
            return self.X
        assert self.given is not None
        return np.hstack([np.where(self.missing, 0.0, self.given), self.missing])

    def first_of_each(self, rows: Ints) -> Ints | slice:
        """Return the positions in ``rows`` of the first of each set of equal rows."""
        if self.copies is None:
            return slice(None)
        return np.sort(np.unique(self.copies[rows], return_index=True)[1])


#: A dataset, and the indices of its validation rows.
HeldOut: TypeAlias = tuple[Dataset, Ints]


class Splitter(Protocol):
    """The interface of a cross-validation splitter of scikit-learn."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Any]:
        """Yield indices of training rows, and of validation rows."""
        ...


def make_datasets(
    params: Parameters, data: TrainingData, seed: int
) -> tuple[Target | None, Dataset, Dataset | None]:
    """Return the target or None, the dataset, and the validation dataset or None.

    Targets that a teacher predicts count like given targets, also for rows that are
    held out later. Nothing is predicted for the rows of ``X_val``.
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
        values = predict_missing_targets(params.teacher, X, y, target, seed)
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
    """Return the training rows, and the validation rows with their dataset or None.

    Parameters
    ----------
    params : Parameters
    data : TrainingData
        Its groups are not split. Its targets are passed to splitters.
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
    """Whether ``validation`` is a scikit-learn splitter, whose last split is used."""
    return not isinstance(validation, str) and hasattr(validation, "split")


def _check_groups(groups: ArrayLike, n_samples: int) -> Ints:
    """Return the number of each row's group, (n_samples,)."""
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
    """Return the last split of a splitter. In a series it has the latest rows."""
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
