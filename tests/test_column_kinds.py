"""Kinds of columns: known ones are found, and nothing else is taken for them."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skae._data.column_kinds import column_kinds, one_hot_blocks


def kinds(X):
    return [(k, c.tolist()) for k, c in column_kinds(X, np.arange(X.shape[1]))]


def one_hot(n_rows, n_categories, seed=0):
    rng = np.random.default_rng(seed)
    return np.eye(n_categories)[rng.permutation(np.arange(n_rows) % n_categories)]


@pytest.mark.parametrize("make", [np.asarray, csr_array])
def test_blocks_beside_binary_columns(make):
    rng = np.random.default_rng(0)
    alone = rng.integers(0, 2, (90, 2)).astype(float)
    blocks = [one_hot(90, 3, 1), one_hot(90, 2, 2), one_hot(90, 5, 3)]
    X = np.hstack([alone[:, :1], blocks[0], blocks[1], alone[:, 1:], blocks[2]])
    assert kinds(make(X)) == [
        ("binary", [0, 6]),
        ("one-hot", [1, 2, 3]),
        ("one-hot", [4, 5]),
        ("one-hot", [7, 8, 9, 10, 11]),
    ]


def test_blocks_are_columns_that_follow_one_another():
    X = one_hot(30, 3)
    with_gap = np.column_stack([X[:, :2], np.arange(30.0) - 15, X[:, 2]])
    assert [k for k, _ in kinds(with_gap)] == ["binary", "number"]


def test_as_many_ones_as_rows_do_not_make_a_block():
    X = np.zeros((10, 2))
    X[:6, 0] = X[:4, 1] = 1  # ten ones, in six rows
    assert one_hot_blocks(X, np.arange(2)) == []


def test_constant_columns_are_in_no_block():
    X = np.column_stack([np.ones(9), np.zeros(9), one_hot(9, 3)])
    assert kinds(X)[-1] == ("one-hot", [1, 2, 3, 4])  # with one that never was
    assert kinds(X)[0] == ("binary", [0])


@pytest.mark.parametrize("n_rows", [200, 30_000])
@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda rng, n: rng.poisson(0.3, n), "count"),
        (lambda rng, n: rng.poisson(3, n), "count"),
        (lambda rng, n: rng.negative_binomial(1, 0.1, n), "count"),
        (lambda rng, n: rng.poisson(3, n) * (rng.random(n) < 0.3), "count"),
        (lambda rng, n: rng.poisson(3, n) + 0.5, "number"),
        (lambda rng, n: rng.poisson(3, n) - 1, "number"),
        (lambda rng, n: rng.binomial(4, 0.6, n), "number"),  # five grades
        (lambda rng, n: rng.integers(18, 80, n), "number"),  # ages
        (lambda rng, n: 100 * rng.poisson(3, n) ** 2, "number"),  # amounts of money
    ],
)
def test_counts_are_told_from_other_whole_numbers(draw, expected, n_rows):
    rng = np.random.default_rng(0)
    X = np.column_stack([draw(rng, n_rows), rng.normal(size=n_rows)]).astype(float)
    assert kinds(X) == [(expected, [0]), ("number", [1])]
