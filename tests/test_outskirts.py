"""Outskirts: which rows are moved, how far and which way, and that they teach."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer
from skae._outskirts import spike, stretch


def test_a_sixteenth_of_the_rows_is_moved_on_average():
    x, rng = torch.ones(24, 3), np.random.default_rng(0)
    lengths = [len(stretch(x, 9.0, rng)) for _ in range(400)]
    assert set(lengths) == {1, 2}
    assert np.mean(lengths) == pytest.approx(1.5, abs=0.1)


def test_factors_are_uniform_in_their_logarithm_up_to_the_radius():
    rng = np.random.default_rng(0)
    x = torch.tensor([[3.0, 4.0]]).repeat(16 * 2000, 1)
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
    assert {len(stretch(torch.ones(1, 2), 9.0, rng)) for _ in range(99)} == {0}
    assert {len(stretch(torch.ones(2, 2), 9.0, rng)) for _ in range(99)} == {0, 1}


def test_a_spike_takes_a_row_as_far_as_its_factor_in_one_feature():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(400, 6)).astype(np.float32))
    factors = torch.from_numpy(rng.uniform(1, 1000, (400, 1)).astype(np.float32))
    spikes = spike(x, factors, np.array([1, 4]), rng)
    assert len(spikes) == 100
    feature = spikes.abs().argmax(dim=1)
    assert (spikes.count_nonzero(dim=1) == 1).all()
    assert set(feature.tolist()) == {1, 4}
    high = spikes[torch.arange(100), feature]
    assert 0.3 < (high > 0).float().mean() < 0.7
    others = torch.hypot(high, x[:100].norm(dim=1))
    torch.testing.assert_close(others, (factors * x.norm(dim=1, keepdim=True))[:100, 0])


def test_a_quarter_of_the_moved_rows_breaks_out_on_average():
    x, rng = torch.ones(2, 3), np.random.default_rng(0)
    factors, features = torch.full((2, 1), 3.0), np.arange(3)
    lengths = [len(spike(x, factors, features, rng)) for _ in range(400)]
    assert set(lengths) == {0, 1}
    assert np.mean(lengths) == pytest.approx(0.5, abs=0.1)
    assert len(spike(x, factors[:0], features, rng)) == 0
    assert (spike(x, torch.ones(2, 1), features, rng) == 0).all()


def test_without_them_far_rows_are_reconstructed_worse(monkeypatch, digits):
    X, far = digits[0][:1200], 3 * digits[0][1200:]
    pca = PCA(20).fit(X)
    bound = ((far - pca.inverse_transform(pca.transform(far))) ** 2).mean()

    def error():
        model = AutoEncoderTransformer(20, init="pca", random_state=0).fit(X)
        return model.reconstruction_error(far).mean()

    with_them = error()
    monkeypatch.setattr("skae._objective.stretch", lambda x, *_: torch.ones(0, 1))
    assert with_them < min(1.1 * bound, error())


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
    monkeypatch.setattr("skae._objective.spike", lambda x, *_: x[:0])
    assert with_them < min(1.2 * bound, error())
