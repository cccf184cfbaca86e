"""Hold-out: copies of rows, groups and splitters, and whom the rows can tell."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.model_selection import (
    GroupKFold,
    PredefinedSplit,
    ShuffleSplit,
    TimeSeriesSplit,
)

from skae import AutoEncoderTransformer
from skae._data import holdout
from skae._data.holdout import equal_rows, have_near_copies, hold_out
from skae._data.targets import no_values
from skae._fitting.dataset import Dataset, TrainingData, make_datasets, split

from .variants import parameters


def table_of(X):
    return Dataset(X, no_values(len(X)))


def sides(X, groups=None, y=None, **params):
    """Rows to learn from, and those that are held out."""
    data = TrainingData(X, y, groups=groups)
    rows, held_out = split(parameters(**params), data, table_of(X), None, None, 0)
    return rows, held_out and held_out[1]


@pytest.mark.parametrize("matrix", [np.asarray, csr_matrix])
def test_equal_rows_have_one_number(matrix):
    X = matrix([[1.0, 0], [0, 2], [1, 0], [3, 0], [0, 2]])
    assert list(equal_rows(X)) == [0, 1, 0, 2, 1]
    assert equal_rows(X[[0, 1, 3]]) is None


def test_zeros_of_both_signs_are_equal():
    assert list(equal_rows(np.array([[0.0, 1], [-0.0, 1]]))) == [0, 0]


@pytest.mark.parametrize("n_samples", [20, 100, 1000])
def test_equal_rows_are_on_one_side(n_samples):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 3))[rng.integers(0, n_samples, n_samples)]
    rows, held_out = sides(X)
    assert sorted([*rows, *held_out]) == list(range(n_samples))
    assert not {*map(tuple, X[rows])} & {*map(tuple, X[held_out])}
    n_expected = len(sides(rng.normal(size=(n_samples, 3)))[1])
    assert n_expected <= len(held_out) <= 1.5 * n_expected


def test_rows_with_equal_sums_are_not_taken_for_equal(monkeypatch):
    X = np.array([[1.0, 2], [2, 1], [1, 2], [3, 0]])
    monkeypatch.setattr(holdout, "row_keys", lambda X: np.zeros(len(X), np.uint64))
    assert list(equal_rows(X)) == [0, 1, 0, 2]
    assert equal_rows(X[[0, 1, 3]]) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_equal_rows_of_any_type_are_found(dtype):
    X = np.random.default_rng(0).integers(3, size=(300, 4)).astype(dtype)
    _, numbers = np.unique(X, axis=0, return_inverse=True)
    groups = equal_rows(X)
    assert len(np.unique(np.stack([groups, numbers.ravel()]), axis=1).T) == len(
        np.unique(groups)
    )
    assert len(np.unique(groups)) == len(np.unique(numbers))


def test_what_has_no_equal_rows_is_split_as_ever():
    X = np.random.default_rng(0).normal(size=(60, 2))
    held_out = hold_out(60, 0.1, seed=0)[1]
    assert_array_equal(sides(X)[1], held_out)


def test_all_rows_equal_hold_out_nothing():
    assert sides(np.ones((50, 2)))[1] is None


def test_evidence_counts_equal_rows_once():
    dataset = table_of(np.array([[1.0], [2], [1], [3], [2], [1]]))
    assert list(dataset.first_of_each(np.array([2, 3, 5, 4]))) == [0, 1, 3]
    assert table_of(np.eye(3)).first_of_each(np.arange(3)) == slice(None)


def test_a_bootstrap_of_noise_is_answered_by_pca():
    """Rows on both sides of the split made a network that had learnt them by heart."""
    rng = np.random.default_rng(0)
    X, unseen = rng.normal(size=(2, 150, 8))
    X = X[rng.integers(0, 150, 600)]
    model = AutoEncoderTransformer(6, random_state=0, max_iter=60).fit(X)
    assert model.stop_reason_ == "pca"
    pca = PCA(6).fit(X)
    error = np.mean((unseen - pca.inverse_transform(pca.transform(unseen))) ** 2)
    assert model.reconstruction_error(unseen).mean() == pytest.approx(error)


def test_groups_are_held_out_as_a_whole():
    groups = np.repeat([f"g{i}" for i in range(10)], 20)
    rows, held_out = sides(np.random.default_rng(0).normal(size=(200, 3)), groups)
    assert not {*groups[rows]} & {*groups[held_out]}
    assert len(held_out) == 40  # of short data a fifth


def test_a_large_group_is_not_held_out_where_others_will_do():
    groups = np.repeat([0, 1, 2, 3], [150, 17, 17, 16])
    for seed in range(5):
        held_out = hold_out(200, 0.1, seed, groups=groups)[1]
        assert 0 not in groups[held_out]
    assert len(hold_out(200, 0.1, 0, groups=np.repeat([0, 1], [90, 110]))[1]) == 90


@pytest.mark.parametrize(
    ("groups", "message"),
    [(np.ones(60), "groups has one value"), (np.arange(5), "groups has 5 values")],
)
def test_groups_that_cannot_be_are_refused(groups, message):
    X = np.random.default_rng(0).normal(size=(60, 3))
    with pytest.raises(ValueError, match=message):
        AutoEncoderTransformer(max_iter=1).fit(X, groups=groups)


def test_of_a_series_the_latest_rows_are_held_out():
    rows, held_out = sides(np.eye(60), validation=TimeSeriesSplit(4))
    assert list(held_out) == list(range(48, 60))
    assert list(rows) == list(range(48))


@pytest.mark.parametrize(
    ("splitter", "n_held_out"),
    [
        (ShuffleSplit(1, test_size=0.25, random_state=0), 15),
        (PredefinedSplit(np.repeat([-1, 0], [50, 10])), 10),
        (GroupKFold(3), 20),
    ],
)
def test_splitters_say_what_is_held_out(splitter, n_held_out):
    groups = np.arange(60) % 6 if isinstance(splitter, GroupKFold) else None
    rows, held_out = sides(np.eye(60), groups, validation=splitter)
    assert len(held_out) == n_held_out
    assert not {*rows} & {*held_out}


def test_a_split_without_rows_is_refused():
    class Nothing:
        def split(self, X, y=None):
            yield np.arange(len(X)), []

    with pytest.raises(ValueError, match="0 to validate on"):
        sides(np.eye(20), validation=Nothing())


def test_a_fraction_is_held_out():
    assert len(sides(np.eye(1000), validation=0.3)[1]) == 300
    assert len(sides(np.eye(1000), validation_fraction=0.3)[1]) == 300


def test_nothing_held_out_is_no_early_stopping():
    X = np.random.default_rng(0).normal(size=(60, 4))
    params = {"random_state": 0, "max_iter": 3}
    model = AutoEncoderTransformer(validation=None, **params).fit(X)
    assert model.validation_loss_curve_ is None
    other = AutoEncoderTransformer(early_stopping=False, **params).fit(X)
    assert_array_equal(model.transform(X), other.transform(X))


def test_overlapping_windows_are_near_copies_and_shuffled_rows_are_not():
    rng = np.random.default_rng(0)
    series = np.cumsum(rng.normal(size=1000)) + 1e4
    windows = np.lib.stride_tricks.sliding_window_view(series, 24)
    rows = np.arange(len(windows))
    assert have_near_copies(windows, rows, 0)
    assert not have_near_copies(rng.permutation(windows), rows, 0)
    by_class = np.sort(rng.integers(0, 3, 300))[:, None] + 0.1 * rng.normal(
        size=(300, 5)
    )
    assert not have_near_copies(by_class, np.arange(300), 0)


def test_check_tables_keeps_both_tables():
    X = np.eye(20)
    target, dataset, dataset_val = make_datasets(
        parameters(), TrainingData(X, X_val=X[:5]), 0
    )
    assert target is None
    assert (dataset.n_samples, dataset_val.n_samples) == (20, 5)
