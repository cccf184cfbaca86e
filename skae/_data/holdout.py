"""Hold-out: which rows are validated on, and whether they can tell of new ones.

They cannot where they have copies among the rows that are learnt from: equal rows, as
bootstrapping and oversampling make them, stay on one side, and so do the groups that
users name. Neighbours in a series that are nearly copies are only noticed.
"""

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split

from .._typing import Ints, Rows, is_sparse
from .scaling import dense_rows, row_slices

__all__ = ["equal_rows", "have_near_copies", "hold_out", "row_keys"]

# Rows that are held out at least: a hundred, unless they are more than this part of
# all, or so few.
_ENOUGH_VALIDATION_ROWS = 100
_MOST_HELD_OUT = 0.2
_LEAST_VALIDATION_ROWS = 7
# Rows whose nearest one is looked for, among so many values at most; how near in the
# table it has to be, and how often, for the table to be a series.
_ASKED_ROWS = 50
_MOST_VALUES = 5_000_000
_FEWEST_ROWS = 100
_NEXT = 3
_MANY = 0.5


def hold_out(
    n_samples: int,
    fraction: float,
    seed: int,
    strata: np.ndarray | None = None,
    groups: Ints | None = None,
) -> tuple[Ints, Ints]:
    """Draw the rows to hold out: a fraction, of short data up to a fifth.

    Parameters
    ----------
    n_samples : int
    fraction : float
    seed : int
    strata : ndarray of shape (n_samples,) or None
        What is to be as frequent on both sides.
    groups : ndarray of int of shape (n_samples,) or None
        Rows that stay together; the strata do not count then.

    Returns
    -------
    rows, held_out : ndarray of int
        The others, and those; together all.
    """
    enough = min(_ENOUGH_VALIDATION_ROWS, int(_MOST_HELD_OUT * n_samples))
    enough = max(enough, _LEAST_VALIDATION_ROWS)
    n_held_out = min(max(int(fraction * n_samples), enough), n_samples - 2)
    if groups is None:
        rows, held_out = train_test_split(
            np.arange(n_samples),
            test_size=n_held_out,
            random_state=seed,
            stratify=_splittable(strata, n_held_out),
        )
        return rows, held_out
    is_held_out = _draw_groups(groups, n_held_out, seed)[groups]
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _splittable(strata, n_held_out):
    """Put strata of one row into the largest; None where strata are too many."""
    if strata is None:
        return None
    _, strata, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    strata[sizes[strata] < 2] = sizes.argmax()
    n_strata = len(np.unique(strata))
    return strata if n_strata <= min(n_held_out, len(strata) - n_held_out) else None


def _draw_groups(groups, n_held_out, seed):
    """Draw groups in random order until they have so many rows; (n_groups,), bool.

    One that would bring more than half again too many is left out, unless it is the
    smallest and the only one.
    """
    sizes = np.bincount(groups)
    chosen, n_samples = np.zeros(len(sizes), bool), 0
    for group in np.random.default_rng(seed).permutation(len(sizes)):
        if n_samples < n_held_out and n_samples + sizes[group] <= 1.5 * n_held_out:
            chosen[group] = True
            n_samples += sizes[group]
    if not n_samples:
        chosen[sizes.argmin()] = True
    return chosen


def equal_rows(X: Rows) -> Ints | None:
    """Return a number for each row of ``X``, in order, the same for equal ones.

    Returns
    -------
    groups : ndarray of int of shape (n_samples,) or None
        None if all are different.
    """
    if issparse(X):
        rows = _sparse_bytes(X)
        suspects = np.arange(X.shape[0])
    else:
        suspects = _alike(row_keys(X))
        rows = (row.tobytes() for row in _plain(X[suspects]))
    first_of_all = np.arange(X.shape[0])
    first: dict[bytes, np.intp] = {}
    for i, row in zip(suspects, rows, strict=True):
        first_of_all[i] = first.setdefault(row, i)
    if len(first) == len(suspects):
        return None
    return np.unique(first_of_all, return_inverse=True)[1]


def _sparse_bytes(X):
    if not X.has_sorted_indices:
        X = X.sorted_indices()
    for start, end in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        yield X.indices[start:end].tobytes() + X.data[start:end].tobytes()


def _plain(X):
    # Zero has two signs, and the sum but one.
    return np.ascontiguousarray(X + 0)


def row_keys(X: Rows) -> Ints:
    """Return a number for each row, (n_samples,): equal rows have the same.

    Bits are read as whole numbers and added up with random weights, modulo 2**64. The
    bits of zero are zero, so that those of a sparse row are its values'.
    """
    n_samples, n_features = X.shape
    rng = np.random.default_rng(0)
    weights = rng.integers(2**63, size=(n_features,), dtype=np.uint64) * 2 + 1
    if is_sparse(X):
        ends = np.append(np.uint64(0), np.cumsum(_bits(X.data) * weights[X.indices]))
        return ends[X.indptr[1:]] - ends[X.indptr[:-1]]
    keys = np.empty(n_samples, np.uint64)
    for part in row_slices(n_samples, n_features):
        keys[part] = _bits(X[part]) @ weights
    return keys


def _bits(values):
    values = _plain(values)
    return values.view(f"u{values.dtype.itemsize}").astype(np.uint64)


def _alike(numbers):
    """Return the places of numbers that are there more than once, in order."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order][1:] == numbers[order][:-1]
    return np.sort(order[np.append(same, False) | np.append(False, same)])


def have_near_copies(X: Rows, rows: Ints, seed: int) -> bool:
    """Whether the nearest of all rows is mostly one that stands close by in the table.

    As it is of overlapping windows of a series, and of slow measurements. In tables
    whose order means nothing it hardly ever is.

    Parameters
    ----------
    X : ndarray or CSR matrix
    rows : ndarray of int
        Some of these are asked about.
    seed : int
    """
    n_samples = X.shape[0]
    if n_samples < _FEWEST_ROWS or issparse(X):
        return False
    rng = np.random.default_rng(seed)
    asked = rng.choice(rows, min(_ASKED_ROWS, len(rows)), replace=False)
    # In a large table those that stand far off are represented by some.
    n_others = min(n_samples, max(_FEWEST_ROWS, _MOST_VALUES // X.shape[1]))
    near = np.unique(asked[:, None] + np.arange(-_NEXT, _NEXT + 1))
    others = near[(near >= 0) & (near < n_samples)]
    if n_others >= n_samples:
        others = np.arange(n_samples)
    else:
        others = np.union1d(others, rng.choice(n_samples, n_others, replace=False))
    x = dense_rows(X, asked).astype(np.float64)
    mean = x.mean(axis=0)
    x -= mean
    nearest = np.full(len(asked), np.inf)
    of_nearest = np.zeros(len(asked), int)
    for part in row_slices(len(others), X.shape[1]):
        values = dense_rows(X, others[part]) - mean
        distance = (
            np.square(x).sum(axis=1)[:, None]
            - 2 * x @ values.T
            + np.square(values).sum(axis=1)
        )
        distance[asked[:, None] == others[part]] = np.inf
        best = distance.argmin(axis=1)
        least = distance[np.arange(len(asked)), best]
        of_nearest[least < nearest] = others[part][best][least < nearest]
        nearest = np.minimum(nearest, least)
    return bool(np.mean(abs(of_nearest - asked) <= _NEXT) > _MANY)
