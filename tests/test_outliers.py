"""Outliers: which rows are moved, how far and which way, and that they teach."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer
from skae._training.outliers import (
    augment_outliers,
    outlier_weight,
    spike,
    spike_distribution,
    stretch,
)


def moved(sizes, rng, n_features=3):
    """Return rows of ones, moved, and the factors of each batch."""
    x = torch.ones(sum(sizes), n_features)
    inputs = x.clone()
    spikes = np.linspace(0, 1, 2 * n_features + 1)[1:]
    factors = augment_outliers(x, inputs, sizes, 900.0, spikes, rng)
    return x.split(sizes), inputs.split(sizes), factors


def test_a_sixteenth_of_the_rows_is_moved_on_average_a_quarter_of_them_by_a_spike():
    x, inputs, factors = moved([24] * 400 + [25] * 400, np.random.default_rng(0))
    lengths = [len(f) for f in factors]
    assert set(lengths) == {1, 2}
    assert np.mean(lengths) == pytest.approx(24.5 / 16, abs=0.05)
    n_broken = [int((rows != 1).any(dim=1).sum()) for rows in x]
    assert set(n_broken) == {0, 1}
    assert np.mean(n_broken) == pytest.approx(24.5 / 64, abs=0.05)


def test_the_first_rows_are_moved_by_their_factors_the_spiked_ones_before_the_others():
    x, inputs, factors = moved([200, 150, 201], np.random.default_rng(0))
    for rows, met, c in zip(x, inputs, factors, strict=True):
        n_outliers = len(c)
        torch.testing.assert_close(met[:n_outliers] / c, rows[:n_outliers])
        assert (met[n_outliers:] == 1).all()
        assert (rows[n_outliers:] == 1).all()
        is_broken = (rows != 1).any(dim=1)
        assert 0 < is_broken.sum() == is_broken[: is_broken.sum()].sum() < n_outliers
        assert (((met != 1).sum(dim=1) == 1) == is_broken).all()


def test_factors_are_uniform_in_their_logarithm_up_to_the_radius():
    rng = np.random.default_rng(0)
    x = torch.tensor([[3.0, 4.0]]).repeat(2000, 1)
    logs = stretch(x, 500.0, rng).log().numpy()
    assert logs.min() >= 0
    assert logs.max() <= np.log(100) + 1e-5
    assert np.quantile(logs, [0.25, 0.5, 0.75]) == pytest.approx(
        np.log(100) * np.array([0.25, 0.5, 0.75]), abs=0.15
    )


def test_rows_outside_the_radius_and_the_mean_itself_are_no_trouble():
    rng = np.random.default_rng(0)
    assert (stretch(torch.full((32, 2), 50.0), 10.0, rng) == 1).all()
    assert stretch(torch.zeros(32, 2), 10.0, rng).isfinite().all()


def test_some_row_stays():
    rng = np.random.default_rng(0)
    assert {len(f) for f in moved([1] * 99, rng)[2]} == {0}
    assert {len(f) for f in moved([2] * 99, rng)[2]} == {0, 1}


def test_spikes_are_where_they_were_before_and_everywhere_else():
    x = np.zeros((50, 4))
    x[:, 0] = np.linspace(-1, 1, 50)
    x[:, 1] = np.linspace(-1, 1, 50)
    x[7, 1] = 10.0
    x[:, 3] = np.linspace(-1, 2, 50)
    odds = np.diff(spike_distribution(x), prepend=0.0).reshape(4, 2)
    square = np.array([[1, 1], [100, 1], [0, 0], [4, 1]])
    varies = square > 0
    assert odds == pytest.approx((varies / 6 + square / 108) / 2)


def test_moved_rows_count_for_less_where_little_is_left():
    weights = [outlier_weight(left) for left in (0.01, 0.1, 0.2, 0.9)]
    assert weights == pytest.approx([0.05, 0.5, 1, 1])


def test_a_spike_takes_a_row_as_far_as_its_factor_in_one_feature():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(100, 6)).astype(np.float32))
    factors = torch.from_numpy(rng.uniform(1, 1000, (100, 1)).astype(np.float32))
    odds = np.zeros((6, 2))
    odds[1], odds[4] = (0.2, 0.2), (0.6, 0.0)
    spikes = spike(x, factors, np.cumsum(odds), rng)
    feature = spikes.abs().argmax(dim=1)
    assert (spikes.count_nonzero(dim=1) == 1).all()
    high = spikes[torch.arange(100), feature]
    assert set(feature.tolist()) == {1, 4}
    assert 45 < (feature == 4).sum() < 75
    assert (high[feature == 4] > 0).all()
    assert 0.25 < (high[feature == 1] > 0).float().mean() < 0.75
    length = torch.hypot(high, x.norm(dim=1))
    torch.testing.assert_close(length, factors[:, 0] * x.norm(dim=1))
    assert (spike(x, torch.ones(100, 1), np.cumsum(odds), rng) == 0).all()


@pytest.mark.slow
def test_without_them_far_rows_are_reconstructed_worse(monkeypatch, digits):
    X, far = digits[0][:1200], 3 * digits[0][1200:]
    pca = PCA(20).fit(X)
    bound = ((far - pca.inverse_transform(pca.transform(far))) ** 2).mean()

    def error():
        model = AutoEncoderTransformer(20, init="pca", random_state=1).fit(X)
        return model.reconstruction_error(far).mean()

    with_them = error()
    monkeypatch.setattr("skae._training.outliers._PART", 0.0)
    assert with_them < min(1.1 * bound, error())


@pytest.mark.slow
def test_without_spikes_broken_features_are_reconstructed_worse(monkeypatch, digits):
    X, broken = digits[0][:1200], digits[0][1200:].copy()
    rng = np.random.default_rng(0)
    varying = np.flatnonzero(X.std(axis=0) > 0.1)
    broken[np.arange(len(broken)), rng.choice(varying, len(broken))] = 999.0
    pca = PCA(20).fit(X)
    bound = ((broken - pca.inverse_transform(pca.transform(broken))) ** 2).mean()

    def error():
        model = AutoEncoderTransformer(20, init="pca", random_state=0).fit(X)
        return model.reconstruction_error(broken).mean()

    with_them = error()
    monkeypatch.setattr("skae._training.outliers._SPIKED", 0.0)
    assert with_them < min(1.2 * bound, error())
