"""Outskirts: which rows are moved, how far and which way, and that they teach."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer
from skae._parts.networks import make_autoencoder
from skae._training.outliers import (
    fade_where_astray,
    give_way,
    likely_breaks,
    move,
    moved_weight,
    spike,
    stretch,
)


def moved(sizes, rng, n_features=3):
    """Return rows of ones, moved, and the factors of each batch."""
    x = torch.ones(sum(sizes), n_features)
    inputs = x.clone()
    breaks = np.linspace(0, 1, 2 * n_features + 1)[1:]
    factors = move(x, inputs, sizes, 900.0, breaks, rng)
    return x.split(sizes), inputs.split(sizes), factors


def test_a_sixteenth_of_the_rows_is_moved_on_average_and_a_quarter_of_them_breaks():
    x, inputs, factors = moved([24] * 400 + [25] * 400, np.random.default_rng(0))
    lengths = [len(f) for f in factors]
    assert set(lengths) == {1, 2}
    assert np.mean(lengths) == pytest.approx(24.5 / 16, abs=0.05)
    n_broken = [int((rows != 1).any(dim=1).sum()) for rows in x]
    assert set(n_broken) == {0, 1}
    assert np.mean(n_broken) == pytest.approx(24.5 / 64, abs=0.05)


def test_the_first_rows_are_moved_by_their_factors_the_broken_ones_before_the_others():
    x, inputs, factors = moved([200, 150, 201], np.random.default_rng(0))
    for rows, met, c in zip(x, inputs, factors, strict=True):
        n_moved = len(c)
        torch.testing.assert_close(met[:n_moved] / c, rows[:n_moved])
        assert (met[n_moved:] == 1).all()
        assert (rows[n_moved:] == 1).all()
        is_broken = (rows != 1).any(dim=1)
        assert 0 < is_broken.sum() == is_broken[: is_broken.sum()].sum() < n_moved
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


def test_features_break_out_where_they_did_before_and_everywhere_else():
    x = np.zeros((50, 4))
    x[:, 0] = np.linspace(-1, 1, 50)
    x[:, 1] = np.linspace(-1, 1, 50)
    x[7, 1] = 10.0
    x[:, 3] = np.linspace(-1, 2, 50)
    odds = np.diff(likely_breaks(x), prepend=0.0).reshape(4, 2)
    square = np.array([[1, 1], [100, 1], [0, 0], [4, 1]])
    varies = square > 0
    assert odds == pytest.approx((varies / 6 + square / 108) / 2)


def test_moved_rows_count_for_less_where_little_is_left():
    weights = [moved_weight(left) for left in (0.01, 0.1, 0.2, 0.9)]
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
        model = AutoEncoderTransformer(20, init="pca", random_state=0).fit(X)
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
    monkeypatch.setattr("skae._training.outliers._BROKEN", 0.0)
    assert with_them < min(1.2 * bound, error())


class Stray:
    """Stands for a network: an error within the radii, another one beyond them."""

    def __init__(self, within, beyond, radius=1000.0):
        self.encoder = SimpleNamespace(radius=torch.tensor(radius))
        self.decoder = SimpleNamespace(radius=torch.tensor(radius / 2))
        self.errors = within, beyond

    def encode(self, x):
        return x / 3

    def __call__(self, x):
        distance = x.norm(dim=1, keepdim=True)
        within, beyond = self.errors
        return x * (1 + torch.where(distance < self.encoder.radius, within, beyond))


def rows_of_length(length):
    x = length * torch.nn.functional.normalize(torch.randn(40, 3))
    halves = [(x[:20], None), (x[20:], None)]
    return SimpleNamespace(in_order=lambda: halves, n_rows=40, n_features=3)


# A tenth of the length of rows as PCA's error.
PCA_ERROR = 0.1**2 * 27


@pytest.mark.parametrize(
    ("within", "beyond", "radii"),
    [
        (0.2, 0.1, (10.0, 10 / 3)),
        (0.1, 0.01, (1000.0, 500.0)),  # as good as PCA far away
        (0.2, 0.3, (1000.0, 500.0)),  # better than nothing
        (float("nan"), 0.1, (10.0, 10 / 3)),
    ],
)
def test_corrections_fade_from_the_outermost_row_on_where_they_are_no_good(
    within, beyond, radii
):
    network = Stray(within, beyond)
    watched, learnt = rows_of_length(9), rows_of_length(10)
    fade_where_astray(network, watched, learnt, PCA_ERROR, reach=100.0)
    assert network.encoder.radius.item() == pytest.approx(radii[0])
    assert network.decoder.radius.item() == pytest.approx(radii[1])


def test_where_the_outermost_row_is_broken_they_fade_from_those_held_out_on():
    network = Stray(0.2, 0.1, radius=1e6)
    watched, learnt = rows_of_length(9), rows_of_length(10_000)
    fade_where_astray(network, watched, learnt, PCA_ERROR, reach=100.0)
    assert network.encoder.radius.item() == pytest.approx(9.0)
    assert network.decoder.radius.item() == pytest.approx(3.0)


def plain_and_linear():
    """Return a network that stretches the first two features, and PCA of these."""
    plain = make_autoencoder(4, 2, 2, (), "identity", "random", ("Dense", {}))
    linear = make_autoencoder(4, 2, 2, (), "identity", "linear", ("Dense", {}))
    axes = torch.eye(4)[:2]
    with torch.no_grad():
        linear.encoder.linear.copy_(axes)
        linear.decoder.linear.copy_(axes.t())
        for (layer,), weight in zip(
            plain.layers, (3 * axes.flip(0), axes.flip(0).t() / 2), strict=True
        ):
            layer.weight.copy_(weight)
            layer.bias.zero_()
    return plain.eval(), linear.double().eval()


def test_a_plain_network_gives_way_to_pca():
    network, linear = plain_and_linear()
    x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    rows = SimpleNamespace(in_order=lambda: [(x, None)], n_rows=40, n_features=4)
    before = network(x)
    # As it is three halves of the rows everywhere, it is no good for far ones, or good.
    for bound, from_row_on in ((1e9, 1000.0), (0.0, 1.0)):
        given = copy.deepcopy(network)
        give_way(given, linear, rows, rows, pca_error=bound, reach=100.0)
        farthest = x.norm(dim=1).max() * from_row_on
        assert given.encoder.radius.item() == pytest.approx(farthest.item(), rel=1e-5)
        torch.testing.assert_close(given(x), before)
        unit, length = torch.nn.functional.normalize(x), 1e5 * farthest
        of_pca = unit * torch.tensor([1.0, 1, 0, 0])
        far = given(length * unit) / length
        torch.testing.assert_close(far, of_pca, rtol=0, atol=1e-3)


def test_a_broken_training_row_does_not_let_far_rows_go_astray():
    X = StandardScaler().fit_transform(load_wine().data)
    X, far = X[::2].copy(), 10 * X[1::2]
    X[8, 6] = 1000.0
    model, pca = AutoEncoderTransformer(3, random_state=0).fit(X), PCA(3).fit(X)
    error = (far - pca.inverse_transform(pca.transform(far))) ** 2
    assert model.stop_reason_ != "pca"
    assert model.reconstruction_error(far).mean() < 1.5 * error.mean()


@pytest.mark.slow
def test_far_rows_come_back_as_pcas_where_it_was_not_learnt(monkeypatch):
    t = np.random.default_rng(0).uniform(-1, 1, 1200)
    X = np.stack([t, 0.1 * np.sin(6 * t)], axis=1)  # nearly a line
    far = 10 * X[1000:]
    pca = PCA(1).fit(X[:1000])
    bound = ((far - pca.inverse_transform(pca.transform(far))) ** 2).mean()
    monkeypatch.setattr("skae._training.outliers._PART", 0.0)

    def error():
        model = AutoEncoderTransformer(1, random_state=0).fit(X[:1000])
        assert model.score(X[1000:]) > model.baseline_score_
        return model.reconstruction_error(far).mean()

    assert error() < 1.1 * bound
    monkeypatch.setattr("skae._fitting.finalists.fade_where_astray", lambda *_: None)
    assert error() > 2 * bound
