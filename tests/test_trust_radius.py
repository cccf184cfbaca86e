"""Trust radius: where a network fades, and that PCA answers beyond."""

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
from skae._training.trust_radius import blend_into_pca, shrink_trust_radius


class Stray:
    """Stands for a network: an error within the radii, another one beyond them."""

    def __init__(self, within, beyond, radius=1000.0):
        self.encoder = SimpleNamespace(trust_radius=torch.tensor(radius))
        self.decoder = SimpleNamespace(trust_radius=torch.tensor(radius / 2))
        self.anchors = self.encoder, self.decoder
        self.errors = within, beyond

    def encode(self, x):
        return x / 3

    def __call__(self, x):
        distance = x.norm(dim=1, keepdim=True)
        within, beyond = self.errors
        return x * (
            1 + torch.where(distance < self.encoder.trust_radius, within, beyond)
        )


def rows_of_length(length):
    x = length * torch.nn.functional.normalize(torch.randn(40, 3))
    halves = [(x[:20], None), (x[20:], None)]
    return SimpleNamespace(in_order=lambda: halves, n_samples=40, n_features=3)


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
    monitored, learnt = rows_of_length(9), rows_of_length(10)
    shrink_trust_radius(network, monitored, learnt, PCA_ERROR, outlier_factor=100.0)
    assert network.encoder.trust_radius.item() == pytest.approx(radii[0])
    assert network.decoder.trust_radius.item() == pytest.approx(radii[1])


def test_where_the_outermost_row_is_broken_they_fade_from_those_held_out_on():
    network = Stray(0.2, 0.1, radius=1e6)
    monitored, learnt = rows_of_length(9), rows_of_length(10_000)
    shrink_trust_radius(network, monitored, learnt, PCA_ERROR, outlier_factor=100.0)
    assert network.encoder.trust_radius.item() == pytest.approx(9.0)
    assert network.decoder.trust_radius.item() == pytest.approx(3.0)


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
    rows = SimpleNamespace(in_order=lambda: [(x, None)], n_samples=40, n_features=4)
    before = network(x)
    # As it is three halves of the rows everywhere, it is no good for far ones, or good.
    for bound, from_row_on in ((1e9, 1000.0), (0.0, 1.0)):
        given = copy.deepcopy(network)
        blend_into_pca(given, linear, rows, rows, pca_error=bound, outlier_factor=100.0)
        farthest = x.norm(dim=1).max() * from_row_on
        assert given.encoder.trust_radius.item() == pytest.approx(
            farthest.item(), rel=1e-5
        )
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
        model = AutoEncoderTransformer(1, max_iter=60, random_state=0).fit(X[:1000])
        assert model.score(X[1000:]) > model.baseline_score_
        return model.reconstruction_error(far).mean()

    assert error() < 1.1 * bound
    monkeypatch.setattr("skae._fitting.finalists.shrink_trust_radius", lambda *_: None)
    assert error() > 2 * bound
