"""Batches: every row once, in equal parts, from memory or from a file."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoEncoderTransformer
from skae._data import batches as _data
from skae._data import scaling
from skae._data.batches import Batches
from skae._data.scaling import Scaling
from skae._fitting.dataset import Dataset

CPU = torch.device("cpu")


def make(n_samples=10, batch_size=4, X=None):
    X = np.arange(2.0 * n_samples).reshape(n_samples, 2) if X is None else X
    rows = np.arange(len(X))
    dataset = Dataset(X, np.arange(len(X), dtype=np.float32)[:, None])
    return Batches(dataset, rows, Scaling.fit(X, rows, False), batch_size, CPU)


def a_pass(batches, rng):
    """Yield the batches of a pass, one by one."""
    for x, t, *_, sizes in batches.shuffled(rng):
        yield from zip(x.clone().split(sizes), t.split(sizes), strict=True)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 5, 7, 8, 9, 31])
def test_a_pass_meets_every_row_once(n_samples, resident, monkeypatch):
    if not resident:
        monkeypatch.setattr(_data, "_RESIDENT_BYTES", 0)
    batches = make(n_samples)
    assert (batches.resident is not None) == resident
    parts = list(a_pass(batches, np.random.default_rng(0)))
    assert len(parts) == batches.n_batches == -(-n_samples // 4)
    sizes = [len(x) for x, _ in parts]
    assert max(sizes) <= 4
    assert max(sizes) - min(sizes) <= 1
    met, targets = (torch.cat(part) for part in zip(*parts, strict=True))
    whole, in_order = (torch.cat(p) for p in zip(*batches.in_order(), strict=True))
    assert torch.equal(in_order[:, 0], torch.arange(float(n_samples)))
    # Each target comes with its row.
    assert torch.equal(met, whole[targets[:, 0].long()])
    assert torch.equal(met[:, 0].sort().values, whole[:, 0])
    assert whole.dtype == torch.float32


@pytest.mark.parametrize("resident", [True, False])
def test_passes_that_are_drawn_together_are_passes(resident, monkeypatch):
    if not resident:
        monkeypatch.setattr(_data, "_RESIDENT_BYTES", 0)
    batches = make(10)
    parts = list(batches.shuffled(np.random.default_rng(0), n_epochs=3))
    assert [n for *_, sizes in parts for n in sizes] == 3 * [4, 3, 3]
    assert len(parts) == (1 if resident else 9)
    epochs = torch.cat([x for x, *_ in parts])[:, 0].view(3, 10)
    every_row, _ = next(batches.in_order())
    assert torch.equal(epochs.sort().values, every_row[:, 0].sort().values.repeat(3, 1))
    assert not torch.equal(epochs[0], epochs[1])


def test_passes_differ_and_seeds_repeat():
    batches, rng = make(50), np.random.default_rng(0)

    def met(rng):
        return torch.cat([x for x, _ in a_pass(batches, rng)])

    first, second = met(rng), met(rng)
    again = met(np.random.default_rng(0))
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_evaluation_goes_in_parts_of_bounded_size(monkeypatch):
    batches = make(10)
    monkeypatch.setattr(scaling.row_slices, "__defaults__", (8 * 2 * 3,))
    assert [len(x) for x, _ in batches.in_order()] == [3, 3, 3, 1]


def test_sample_is_all_rows_or_some_of_them():
    batches = make(100)
    rng = np.random.default_rng(0)
    rows = batches.resident.numpy()
    assert_array_equal(batches.sample(8 * 7, rng)[0], rows)
    batches.resident = None  # as of large data
    assert_array_equal(batches.sample(10**6, rng)[0], rows)
    some, targets, _ = batches.sample(8 * 7, rng)
    assert some.shape == (7, 2)
    assert_array_equal(some, rows[targets[:, 0].astype(int)])
    assert set(some[:, 0]) < set(rows[:, 0])


def test_streamed_rows_train_as_resident_ones(X, tmp_path, monkeypatch):
    model = AutoEncoderTransformer(max_iter=4, random_state=0, batch_size=200)
    expected = model.fit(X).transform(X)
    monkeypatch.setattr(_data, "_RESIDENT_BYTES", 0)
    path = tmp_path / "X.npy"
    np.save(path, X)
    mapped = np.load(path, mmap_mode="r")
    # One batch of all rows, whose order does not matter but for rounding.
    assert_allclose(model.fit(mapped).transform(mapped), expected, rtol=1e-3, atol=1e-3)


def test_streamed_rows_come_in_the_order_that_resident_ones_do(monkeypatch):
    """And not in that of the file: the first rows of a batch are treated apart."""
    resident, _ = list(a_pass(make(100), np.random.default_rng(0)))[-1]
    monkeypatch.setattr(_data, "_RESIDENT_BYTES", 0)
    streamed, _ = list(a_pass(make(100), np.random.default_rng(0)))[-1]
    assert torch.equal(streamed, resident)


@pytest.mark.parametrize("extra", [-1, 0, 1])
@pytest.mark.parametrize("batch_size", [1, 7, 30])
def test_sizes_next_to_the_batch_size(batch_size, extra):
    X = np.random.RandomState(0).normal(size=(max(2, batch_size + extra), 3))
    model = AutoEncoderTransformer(1, max_iter=2, batch_size=batch_size)
    assert np.isfinite(model.fit_transform(X)).all()
