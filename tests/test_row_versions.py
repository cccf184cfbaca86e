"""Versions of rows: made when they are first drawn, and kept."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skae._data import row_versions
from skae._data.row_versions import RowVersions

CPU = torch.device("cpu")


class Maker:
    """Makes versions of rows, each another one, and counts them."""

    def __init__(self, rows):
        self.rows, self.n_made = rows, 0

    def __call__(self, places):
        rows = self.rows[places]
        numbers = self.n_made + torch.arange(len(rows))
        self.n_made += len(rows)
        return torch.stack([rows.float(), numbers.float()], dim=1)


def test_each_row_has_its_own_versions_and_no_more():
    versions, rng, seen = RowVersions(7, 2, 3, CPU), np.random.default_rng(0), set()
    make = Maker(None)
    for _ in range(60):
        make.rows = rows = torch.from_numpy(rng.permutation(7)[:5])
        drawn = versions.draw(rows, rng, make)
        assert_array_equal(drawn[:, 0], rows)
        seen |= {tuple(values) for values in drawn.tolist()}
    assert len(seen) == make.n_made == 7 * 3
    assert all(len([s for s in seen if s[0] == row]) == 3 for row in range(7))


def test_a_row_may_come_twice_at_once():
    versions, rng = RowVersions(2, 2, 1, CPU), np.random.default_rng(0)
    rows = torch.tensor([0, 1, 0, 1, 1])
    versions.draw(rows, rng, Maker(rows))
    make = Maker(rows)
    again = versions.draw(rows, rng, make)
    assert make.n_made == 0
    assert torch.equal(again[0], again[2]) and torch.equal(again[3], again[4])


@pytest.mark.parametrize(
    ("n_bytes", "expected"), [(4 * 30 * 16, 16), (4 * 30 * 5, 5), (4 * 30 * 3, 0)]
)
def test_memory_is_bounded(monkeypatch, n_bytes, expected):
    """With too few versions a network would know them by heart: it gets new ones."""
    monkeypatch.setattr(row_versions, "_MOST_BYTES", n_bytes)
    versions, rows = RowVersions(10, 3, 16, CPU), torch.arange(10)
    assert versions.n_versions == expected
    assert versions.values.numel() * 4 <= n_bytes
    if expected == 0:
        rng = np.random.default_rng(0)
        make = Maker(rows)
        first, second = (versions.draw(rows, rng, make) for _ in range(2))
        assert make.n_made == 20 and not torch.equal(first, second)
