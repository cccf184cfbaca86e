"""Hold-out: which rows are for validation, and whether they resemble new rows.

Held-out rows with copies in the training rows say little about new rows. So equal rows,
which bootstrapping and oversampling make, stay on one side of the split. So do users'
groups. Near copies, such as neighbours in a time series, only cause a warning.
"""

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split

from .._typing import Ints, Rows, is_sparse
from .scaling import dense_rows, row_slices

__all__ = ["equal_rows", "have_near_copies", "hold_out", "row_keys"]

# Smallest number of rows to hold out: the first number, but not more than this share of
# all rows, and not less than the last number. Measured in docs/choices.md, "Answering
# with PCA".
_ENOUGH_VALIDATION_ROWS = 100
_MOST_HELD_OUT = 0.2
_LEAST_VALIDATION_ROWS = 7
# How to recognise a series: for ``_ASKED_ROWS`` rows, find the nearest of all rows, or
# of a sample with ``_MOST_VALUES`` values. With fewer than ``_FEWEST_ROWS`` rows there
# is no test. The rows are a series if more than the share ``_MANY`` of them have their
# nearest row at most ``_NEXT`` places away.
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
    """Draw the rows to hold out: a fraction, or up to a fifth if there are few rows.

    Parameters
    ----------
    n_samples : int
    fraction : float
    seed : int
    strata : ndarray of shape (n_samples,) or None
        Labels that are to be equally frequent on both sides.
    groups : ndarray of int of shape (n_samples,) or None
        Number of each row's group. Groups are not split. If given, ``strata`` is
        ignored.

    Returns
    -------
    rows, held_out : ndarray of int
        Rows that are not held out, and rows that are; together all rows.
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
    """Merge strata of one row into the largest. Return None if there are too many."""
    if strata is None:
        return None
    _, strata, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    strata[sizes[strata] < 2] = sizes.argmax()
    n_strata = len(np.unique(strata))
    return strata if n_strata <= min(n_held_out, len(strata) - n_held_out) else None


def _draw_groups(groups, n_held_out, seed):
    """Draw groups at random until they have enough rows. Return a mask of groups.

    A group is skipped if the rows would be more than 1.5 times as many. If all groups
    are skipped, the smallest one is used.
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
    """Return a number for each row of ``X``, the same for equal rows.

    Returns
    -------
    groups : ndarray of int of shape (n_samples,) or None
        None if all rows are different.
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
    # Turns -0.0 into 0.0, so that equal values have equal bits.
    return np.ascontiguousarray(X + 0)


def row_keys(X: Rows) -> Ints:
    """Return a hash of each row, (n_samples,), which is the same for equal rows.

    The bits of values are read as whole numbers and added with random weights, modulo
    2**64. The bits of zero are zero, so a sparse row needs only its stored values.
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
    """Return the sorted indices of numbers that occur more than once."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order][1:] == numbers[order][:-1]
    return np.sort(order[np.append(same, False) | np.append(False, same)])


def have_near_copies(X: Rows, rows: Ints, seed: int) -> bool:
    """Whether the nearest row of most rows is one of their neighbours in ``X``.

    This is true for overlapping windows of a time series, and for quantities that
    change slowly. If the order of rows has no meaning, it is hardly ever true.

    Parameters
    ----------
    X : ndarray or CSR matrix
    rows : ndarray of int
        Indices of rows, of which a random sample is tested.
    seed : int
    """
    n_samples = X.shape[0]
    if n_samples < _FEWEST_ROWS or issparse(X):
        return False
    rng = np.random.default_rng(seed)
    asked = rng.choice(rows, min(_ASKED_ROWS, len(rows)), replace=False)
    # If there are many rows, they are compared with neighbours and a random sample.
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
        with np.errstate(over="ignore", invalid="ignore"):  # the scaling refuses them
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
