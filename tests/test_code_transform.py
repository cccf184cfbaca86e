"""Frame: what codes are seen in, near the data as they were and far out nearer."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.metrics import pairwise_distances
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer
from skae._inference.code_transform import CodeTransform, lengthen, shorten


def moons(n_samples, seed):
    """Rows near a curve in eight dimensions, and where on it they are."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, n_samples)
    curve = np.stack([t, t**2, np.sin(3 * t), t**3 / 4])
    turn = np.random.default_rng(0).normal(size=(4, 8))
    return curve.T @ turn + 0.05 * rng.normal(size=(n_samples, 8)), t


@pytest.fixture(scope="module")
def fitted():
    return AutoEncoderTransformer(2, random_state=0).fit(moons(600, 0)[0])


class TestLengths:
    def test_up_to_the_radius_stay_bit_for_bit(self):
        z = torch.randn(50, 3)
        assert shorten(z, z.norm(dim=1).max().item() * 8) is z
        near = z.norm(dim=1) <= 1.5
        assert near.any() and not near.all()
        torch.testing.assert_close(shorten(z, 1.5)[near], z[near], rtol=0, atol=0)

    def test_beyond_grow_by_their_logarithm_in_their_direction(self):
        z = torch.tensor([[3.0, 4.0], [300.0, 400.0]], dtype=torch.float64)
        short = shorten(z, 2.0)
        lengths = 2 * (1 + np.log([2.5, 250.0]))
        assert_allclose(short.norm(dim=1), lengths)
        assert_allclose(
            short / short.norm(dim=1, keepdim=True), z / z.norm(dim=1)[:, None]
        )

    def test_meet_without_a_kink(self):
        z = 2.0 + torch.tensor([[-1e-6], [1e-6]], dtype=torch.float64)
        below, above = shorten(z, 2.0).ravel() - 2.0
        assert below == pytest.approx(-1e-6) and above == pytest.approx(1e-6, rel=1e-4)

    @pytest.mark.parametrize(
        ("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-13)]
    )
    def test_come_back(self, dtype, rtol):
        z = torch.randn(40, 3, dtype=dtype) * 10 ** torch.linspace(-3, 15, 40)[:, None]
        back = lengthen(shorten(z, 0.5), 0.5)
        torch.testing.assert_close(back, z.to(dtype), rtol=rtol, atol=0)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_of_codes_nobody_gave_out_stay_finite(self, dtype):
        z = torch.tensor([[1e3, -1e3], [1e30, 1.0]], dtype=dtype)
        assert lengthen(z, 0.5).isfinite().all()


class TestFit:
    def test_gives_ordinary_rows_codes_as_of_the_network(self, fitted):
        X = moons(600, 0)[0]
        network_codes = fitted.transform(X) + fitted._code_transform["origin"]
        lengths = np.linalg.norm(network_codes, axis=1)
        radius = fitted._code_transform["radius"]
        assert 0.7 < np.mean(lengths <= radius) < 0.9
        assert lengths.max() < 3 * radius

    def test_brings_far_rows_near_and_back(self, fitted):
        X = moons(50, 1)[0]
        for factor in (10, 1e3, 1e6):
            Z = fitted.transform(factor * X)
            bound = fitted._code_transform["radius"] * (3 + np.log(factor))
            assert np.abs(Z).max() < bound
            error = np.square(fitted.inverse_transform(Z) - factor * X).sum()
            pca = PCA(2).fit(moons(600, 0)[0])
            of_pca = pca.inverse_transform(pca.transform(factor * X)) - factor * X
            assert error < 1.5 * np.square(of_pca).sum()

    def test_keeps_the_order_of_distances_along_a_ray(self, fitted):
        ray = 10 ** np.linspace(1, 6, 20)[:, None] * moons(1, 1)[0]
        distance = pairwise_distances(fitted.transform(ray))[0]
        assert (np.diff(distance) > 0).all()

    def test_one_row_far_out_does_not_carry_a_linear_model_away(self):
        X, t = moons(600, 0)
        unseen, t_unseen = moons(400, 1)
        unseen[0, 3] += 300
        scores = [
            make_pipeline(reducer, RidgeCV()).fit(X, t).score(unseen, t_unseen)
            for reducer in (PCA(2), AutoEncoderTransformer(2, random_state=0))
        ]
        assert scores[0] < -5 and scores[1] > 0.2

    @pytest.mark.parametrize(
        "params",
        [
            {"init": "random", "early_stopping": False},
            {"ordered": True},
            {"latent": "gaussian"},
        ],
    )
    def test_leaves_lengths_of_other_codes(self, params):
        model = AutoEncoderTransformer(2, random_state=0, max_iter=5, **params)
        assert model.fit(moons(200, 0)[0])._code_transform["radius"] == np.inf

    def test_of_pca_begins_behind_the_farthest_training_row(self):
        X = np.random.default_rng(0).normal(size=(120, 6)) * np.arange(1, 7)
        model = AutoEncoderTransformer(3, random_state=0).fit(X)
        assert model.stop_reason_ == "pca"
        pca = PCA(3).fit(X)
        near, far = (model.transform(rows) * model.scale_[0] for rows in (X, 30 * X))
        assert_allclose(near, pca.transform(X), atol=1e-3)
        assert (abs(far) < 0.5 * abs(pca.transform(30 * X))).any(axis=1).mean() > 0.9
        far = model.inverse_transform(model.transform(30 * X))
        assert_allclose(far, pca.inverse_transform(pca.transform(30 * X)), atol=1e-3)

    @pytest.mark.parametrize("early_stopping", [True, False])
    def test_of_codes_without_a_length_stays(self, early_stopping):
        params = {"early_stopping": early_stopping, "max_iter": 2, "random_state": 0}
        model = AutoEncoderTransformer(2, **params).fit(np.ones((30, 5)))
        assert model._code_transform["radius"] == np.inf

    def test_stays_in_partial_fit(self, fitted):
        X = moons(600, 0)[0]
        model = clone(fitted).fit(X)
        before = model.transform(X)
        model.partial_fit(X)
        assert model._code_transform["radius"] == fitted._code_transform["radius"]
        assert np.abs(model.transform(X) - before).mean() < 0.3 * before.std()


def test_the_frame_of_a_width_changes_nothing():
    show, hide = CodeTransform.of(3).on(torch.device("cpu"), torch.float32)
    z = 1e9 * torch.randn(5, 3)
    assert torch.equal(show(z), z) and torch.equal(hide(z), z)
