"""Tables: which rows are held out, and how classes are shared out."""

from dataclasses import replace

import numpy as np
import pytest

from skae._data.targets import no_values
from skae._fitting.dataset import Dataset, TrainingData, make_datasets, split

from .variants import parameters

PARAMS = parameters(supervision=1.0)


@pytest.mark.parametrize(
    ("n_samples", "held_out"), [(15, 7), (40, 8), (500, 100), (900, 100), (2000, 200)]
)
def test_short_data_hold_out_a_larger_part(n_samples, held_out):
    X = np.arange(2 * n_samples).reshape(-1, 2)
    dataset = Dataset(X, no_values(n_samples))
    rows, (_, others) = split(PARAMS, TrainingData(X), dataset, None, None, 0)
    assert len(others) == held_out
    assert sorted([*rows, *others]) == list(range(n_samples))


def held_out_of(y, **params):
    y = np.array(y)
    data = TrainingData(np.arange(2 * len(y)).reshape(-1, 2), y)
    target, dataset, _ = make_datasets(replace(PARAMS, **params), data, seed=0)
    rows, (_, others) = split(PARAMS, data, dataset, None, target, 0)
    assert sorted([*rows, *others]) == list(range(len(y)))
    return y[others]


def test_classes_and_unlabelled_rows_are_shared_out_evenly():
    y = np.repeat([0, 1, 2, -1], [500, 50, 300, 150])
    counts = np.unique(held_out_of(y, missing_label=-1), return_counts=True)
    assert dict(zip(*counts, strict=True)) == {-1: 15, 0: 50, 1: 5, 2: 30}


def test_single_rows_and_many_classes_are_held_out_somehow():
    assert len(held_out_of([0] * 30 + [1] * 20 + [2])) == 10
    assert len(held_out_of((np.arange(100) // 2).astype(str))) == 20
    assert len(held_out_of(np.linspace(0, 1, 50))) == 10


def test_labels_are_shared_out_by_their_combinations():
    y = np.array([[0, 1], [1, 0], [1, 1]])[np.repeat([0, 1, 2], [600, 300, 100])]
    held_out = held_out_of(y)
    counts = np.unique(held_out, axis=0, return_counts=True)[1]
    assert list(counts) == [60, 30, 10]
