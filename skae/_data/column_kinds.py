"""Kinds of columns: binary, one-hot, counts, numbers; and whether rows are images."""

import numpy as np
from scipy.special import gammaln, xlogy

from .._typing import Floats, Ints, Rows
from .scaling import dense_rows, row_slices

__all__ = [
    "BINARY",
    "COUNT",
    "NUMBER",
    "ONE_HOT",
    "column_kinds",
    "in_unit_interval",
    "looks_like_pictures",
    "one_hot_blocks",
]

BINARY, ONE_HOT, COUNT, NUMBER = "binary", "one-hot", "count", "number"

# Number of evenly spaced rows that are used to tell counts from other whole numbers.
_MANY_ROWS = 10_000
# Smallest share of values at the ends of the range, for rows to look like images.
_AT_THE_ENDS = 0.1
# Larger whole numbers are mostly amounts, such as of money, and not counts.
_LARGEST_COUNT = 1_000


def column_kinds(
    X: Rows, columns: Ints, weights: Floats | None = None
) -> list[tuple[str, Ints]]:
    """Find out what kinds of columns there are.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
    columns : ndarray of int
        Columns to examine, sorted.
    weights : ndarray of shape (n_rows,) or None
        Sample weights.

    Returns
    -------
    kinds : list of (str, ndarray of int)
        Kinds and their columns, in the order of the columns. Each block of one-hot
        columns is one entry. All binary columns together are one entry. Every other
        column is one entry.
    """
    is_binary, may_count = _ranges(X, columns)
    blocks = one_hot_blocks(X, columns[is_binary])
    kinds = [(ONE_HOT, block) for block in blocks]
    in_blocks = np.isin(columns, np.concatenate([[-1], *blocks]))
    if (others := columns[is_binary & ~in_blocks]).size:
        kinds.append((BINARY, others))
    for column in columns[~is_binary]:
        counts = may_count[columns == column][0] and _are_counts(X, column, weights)
        kinds.append((COUNT if counts else NUMBER, np.array([column])))
    return sorted(kinds, key=lambda kind: kind[1][0])


def _ranges(X, columns):
    """Return which columns have only zeros and ones, and which may be counts."""
    is_binary = np.full(len(columns), True)
    may_count = is_binary.copy()
    low, high = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)[:, columns]
        is_binary &= ((values == 0) | (values == 1)).all(axis=0)
        may_count &= (values == np.rint(values)).all(axis=0)
        low = np.minimum(low, values.min(axis=0))
        high = np.maximum(high, values.max(axis=0))
    return is_binary, may_count & (low == 0) & (high <= _LARGEST_COUNT)


def _are_counts(X, column, weights):
    """Whether a negative binomial distribution fits better than a normal one.

    The column has whole numbers from zero on. This test separates counts from codes of
    ordered categories and from ages.
    """
    rows = np.unique(np.linspace(0, X.shape[0] - 1, _MANY_ROWS).astype(int))
    values = np.rint(dense_rows(X, rows)[:, column]).astype(int)
    n_times = np.bincount(values, None if weights is None else weights[rows])
    y = np.arange(len(n_times))
    mean = (n_times @ y) / n_times.sum()
    variance = (n_times @ (y - mean) ** 2) / n_times.sum()
    if variance > mean:
        n = mean**2 / (variance - mean)
        log_p = gammaln(y + n) - gammaln(n) - gammaln(y + 1)
        log_p += n * np.log(n / (n + mean)) + xlogy(y, mean / (n + mean))
    else:  # the limit: the Poisson distribution
        log_p = xlogy(y, mean) - mean - gammaln(y + 1)
    variance += 1 / 12  # variance of rounding to whole numbers
    log_normal = -0.5 * (np.log(2 * np.pi * variance) + (y - mean) ** 2 / variance)
    return bool(n_times @ log_p > n_times @ log_normal)


def one_hot_blocks(X: Rows, columns: Ints) -> list[Ints]:
    """Find blocks of successive columns in which every row has a single one.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
    columns : ndarray of int
        Columns of zeros and ones, sorted.

    Returns
    -------
    blocks : list of ndarray of int
    """
    n_rows = X.shape[0]
    total = np.zeros(len(columns))
    for rows in row_slices(*X.shape):
        total += dense_rows(X, rows)[:, columns].sum(axis=0, dtype=np.float64)
    spans = _candidates(columns, total, n_rows)
    if not len(spans):
        return []
    is_block = np.full(len(spans), True)
    begin, end = spans.T
    for rows in row_slices(*X.shape):
        sums = dense_rows(X, rows)[:, columns].cumsum(axis=1, dtype=np.float64)
        sums = np.pad(sums, ((0, 0), (1, 0)))
        is_block &= (sums[:, end] - sums[:, begin] == 1).all(axis=0)
    blocks, last = [], 0
    for begin, end in spans[is_block]:
        if begin >= last:
            blocks.append(columns[begin:end])
            last = end
    return blocks


def _candidates(columns, total, n_rows):
    """Return spans of successive columns that have as many ones as there are rows."""
    gaps = np.flatnonzero(np.diff(columns) != 1) + 1
    ends_of_run = np.searchsorted(gaps, np.arange(len(columns)), side="right")
    ends_of_run = np.append(gaps, len(columns))[ends_of_run]
    sums = np.append(0.0, np.cumsum(total))
    spans = []
    for begin in range(len(columns)):
        end = np.searchsorted(sums, sums[begin] + n_rows, side="left")
        is_full = end <= ends_of_run[begin] and sums[end] == sums[begin] + n_rows
        # A column that is one in every row is no block, not even together with columns
        # of zeros.
        if is_full and (total[begin:end] > 0).sum() > 1:
            spans.append((begin, end))
    return np.array(spans, int).reshape(-1, 2)


def in_unit_interval(X: Rows) -> bool:
    """Whether all values are in [0, 1]."""
    parts = (dense_rows(X, rows) for rows in row_slices(*X.shape))
    return all(values.min() >= 0 and values.max() <= 1 for values in parts)


def looks_like_pictures(X: Rows) -> bool:
    """Whether all values are in [0, 1], and at least a tenth of them is 0 or 1.

    For such data a logistic output saturates where the values do. A linear output would
    have to learn this for each code. Measured in docs/choices.md, "Pictures".
    """
    n_zeros = n_ones = 0
    for rows in row_slices(*X.shape):
        values = dense_rows(X, rows)
        if values.min() < 0 or values.max() > 1:
            return False
        n_zeros += int(np.count_nonzero(values == 0))
        n_ones += int(np.count_nonzero(values == 1))
    n_values = X.shape[0] * X.shape[1]
    return min(n_zeros, n_ones) > 0 and n_zeros + n_ones >= _AT_THE_ENDS * n_values
