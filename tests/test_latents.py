"""Latents: against torch.distributions and probabilistic PCA, and what they draw."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.mixture import GaussianMixture
from torch.distributions import Normal, kl_divergence

from skae import AutoEncoderTransformer, Gaussian, Mixture
from skae._nn.layers import QuickGELU
from skae._parts.latents import LATENTS, draw_codes

_PRIOR = ("weights", "means", "covariances")


@pytest.fixture
def h():
    return torch.from_numpy(np.random.default_rng(0).normal(size=(7, 6)))


class TestGaussian:
    @pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
    def test_cost_is_torchs_divergence(self, beta, h):
        mean, log_variance = h[:, :3], h[:, 3:]
        q = Normal(mean, (0.5 * log_variance).exp())
        p = Normal(torch.zeros(()).double(), torch.ones(()).double())
        expected = beta * kl_divergence(q, p).sum(dim=1) / 11
        torch.testing.assert_close(
            Gaussian(beta).kl_divergence(h, n_features=11), expected
        )

    def test_draws_have_the_mean_and_the_variance(self, h):
        rng = np.random.default_rng(0)
        draws = torch.stack([Gaussian().draw(h, rng) for _ in range(20_000)])
        mean, deviation = h[:, :3], (0.5 * h[:, 3:]).exp()
        assert ((draws.mean(dim=0) - mean).abs() < 5 * deviation / 20_000**0.5).all()
        torch.testing.assert_close(draws.std(dim=0), deviation, rtol=0.03, atol=0)

    def test_variances_stay_finite(self):
        h = torch.tensor([[0.0, 1e6], [0.0, -1e6]])
        assert Gaussian().kl_divergence(h, 1).isfinite().all()
        assert Gaussian().draw(h, np.random.default_rng(0)).isfinite().all()

    @pytest.mark.parametrize(
        ("warm_up", "progress", "expected"),
        [(0.5, 0.0, 0.0), (0.5, 0.25, 0.5), (0.5, 0.9, 1.0), (0.0, 0.0, 1.0)],
    )
    def test_weight_rises(self, warm_up, progress, expected):
        assert Gaussian(warm_up=warm_up).kl_weight(progress) == expected

    def test_start_is_probabilistic_pca(self):
        """Tipping, Bishop (1999), equations 7 and 9, with the noise variance known."""
        rng = np.random.default_rng(0)
        X = rng.normal(size=(400, 6)) * [5, 3, 2, 1, 0.5, 0.3]
        model = AutoEncoderTransformer(3, latent=Gaussian(0.4), random_state=0, tol=1.0)
        model.set_params(max_iter=1, learning_rate_init=1e-12, early_stopping=False)
        model.fit(X)
        pca = PCA(3).fit(X / model.scale_)
        noise = 0.2
        explained = pca.explained_variance_ * 399 / 400
        W = pca.components_.T * np.sqrt(explained - noise)
        mean = np.linalg.solve(W.T @ W + noise * np.eye(3), W.T) @ (X / model.scale_).T
        Z = model.transform(X + model.mean_ - X.mean(axis=0))
        mean = mean.T - mean.T.mean(axis=0)
        assert_allclose(np.abs(Z - Z.mean(axis=0)), np.abs(mean), atol=1e-3)
        variance = noise / explained
        log_variance = model._weights["encoder.offset"][3:]
        assert_allclose(log_variance, np.log(variance), rtol=1e-3)
        assert_allclose(Z.var(axis=0) + variance, 1, rtol=1e-3)

    def test_start_has_the_least_cost_of_linear_ones(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(4000, 6)) * [3, 2, 1, 1, 1, 0.1]
        losses = {}
        for factor in (0.8, 1.0, 1.25):

            class Other(Gaussian):
                __module__ = "skae"

                def linear(self, encoder, decoder, variance, factor=factor):
                    mean, decoder, offset = super().linear(encoder, decoder, variance)
                    return factor * mean, decoder / factor, offset

            model = AutoEncoderTransformer(2, latent=Other(), random_state=0)
            model.set_params(early_stopping=False, max_iter=1, learning_rate_init=1e-12)
            losses[factor] = model.fit(X).loss_curve_[0]
        assert losses[1.0] < min(losses[0.8], losses[1.25])

    def test_components_of_less_variance_than_noise_are_not_used(self):
        X = np.random.default_rng(0).normal(size=(300, 4)) * [10, 1, 1, 1]
        model = AutoEncoderTransformer(3, latent=Gaussian(4.0), random_state=0).fit(X)
        assert model.stop_reason_ == "pca"
        Z = model.transform(X)
        assert Z.std(axis=0)[0] > 0.5
        assert_allclose(Z[:, 1:], 0, atol=1e-5)

    def test_transform_is_the_mean_and_does_not_vary(self, digits):
        model = AutoEncoderTransformer(4, latent="gaussian", random_state=0, max_iter=5)
        Z = model.fit_transform(digits[0])
        assert Z.shape == (1797, 4)
        assert_array_equal(Z, model.transform(digits[0]))

    @pytest.mark.slow
    def test_codes_are_near_the_prior(self, digits):
        model = AutoEncoderTransformer(4, latent="gaussian", random_state=0)
        Z = model.set_params(max_iter=60).fit_transform(digits[0][:900])
        assert_allclose(Z.mean(axis=0), 0, atol=0.2)
        assert_allclose(Z.std(axis=0), 1, atol=0.25)

    def test_loss_is_the_bound(self, digits):
        """Best loss is that of the kept weights, by a formula of its own."""
        X = digits[0]
        model = AutoEncoderTransformer(
            4,
            latent=Gaussian(warm_up=0.0),
            loss="log_loss",
            init="random",
            random_state=0,
            max_iter=30,
        ).fit(X[:1200], X_val=X[1200:])
        weights = {n: torch.tensor(w).double() for n, w in model._weights.items()}
        values = torch.from_numpy((X[1200:] - model.mean_) / model.scale_)
        hidden = ["0", "2"]
        for n in hidden:
            values = QuickGELU()(
                values @ weights[f"encoder.{n}.weight"].t()
                + weights[f"encoder.{n}.bias"]
            )
        h = values @ weights["encoder.4.weight"].t() + weights["encoder.4.bias"]
        q = Normal(h[:, :4], (0.5 * h[:, 4:]).exp())
        kl = kl_divergence(q, Normal(0.0, 1.0)).sum(dim=1)
        bits = []
        for _ in range(30):
            values = q.sample()
            for n in hidden:
                values = QuickGELU()(
                    values @ weights[f"decoder.{n}.weight"].t()
                    + weights[f"decoder.{n}.bias"]
                )
            output = (
                values @ weights["decoder.4.weight"].t() + weights["decoder.4.bias"]
            )
            bits.append(
                torch.nn.functional.binary_cross_entropy_with_logits(
                    output, torch.from_numpy(X[1200:]), reduction="none"
                ).sum(dim=1)
            )
        bound = (torch.stack(bits).mean(dim=0) + kl).mean().item() / 64
        assert model.best_loss_ == pytest.approx(bound, rel=0.01)


class TestSample:
    @pytest.mark.slow
    @pytest.mark.parametrize("latent", LATENTS)
    def test_rows_are_like_the_training_rows(self, latent, digits):
        X = digits[0][:900]
        model = AutoEncoderTransformer(8, latent=latent, random_state=0)
        rows = model.set_params(max_iter=60).fit(X).sample(2000, random_state=0)
        assert rows.shape == (2000, 64)
        assert rows.dtype == np.float64
        assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.12)
        # Nearer to pictures than noise of the same mean and variance.
        noise = np.random.default_rng(0).normal(
            X.mean(axis=0), X.std(axis=0), (500, 64)
        )
        nearest = pairwise_distances_argmin_min(rows[:500], X)[1].mean()
        assert nearest < 0.7 * pairwise_distances_argmin_min(noise, X)[1].mean()

    @pytest.mark.parametrize("latent", LATENTS)
    def test_seeds_repeat(self, latent, X):
        model = AutoEncoderTransformer(latent=latent, random_state=0, max_iter=3).fit(X)
        assert model.sample().shape == (1, 12)
        first, again, other = (model.sample(5, random_state=s) for s in (0, 0, 1))
        assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0

    def test_mixture_is_scikit_learns_on_the_codes(self, digits):
        model = AutoEncoderTransformer(3, latent=Mixture(5), random_state=0, max_iter=5)
        Z = model.fit_transform(digits[0])
        drawn = draw_codes(model._prior, 5000, np.random.RandomState(0))
        parts = zip(*(model._prior[name] for name in _PRIOR), strict=True)
        density = sum(w * multivariate_normal(m, c).pdf(Z) for w, m, c in parts)
        expected = GaussianMixture(5, n_init=3, random_state=0).fit(Z).score(Z)
        assert np.log(density).mean() == pytest.approx(expected, abs=0.05)
        assert_allclose(drawn.mean(axis=0), Z.mean(axis=0), atol=0.1 * Z.std())
        assert_allclose(np.cov(drawn.T), np.cov(Z.T), atol=0.1 * Z.var(axis=0).max())

    def test_mixture_changes_nothing_else(self, X):
        plain = AutoEncoderTransformer(random_state=0, max_iter=5)
        mixture = clone(plain).set_params(latent="mixture")
        assert_array_equal(plain.fit_transform(X), mixture.fit_transform(X))

    def test_points_have_no_density(self, X):
        model = AutoEncoderTransformer(max_iter=2, random_state=0).fit(X)
        with pytest.raises(ValueError, match="latent='gaussian', or .*'mixture'"):
            model.sample()

    @pytest.mark.parametrize("n_samples", [0, -3])
    def test_no_rows_at_all_are_refused(self, n_samples, X):
        model = AutoEncoderTransformer(latent="mixture", max_iter=2).fit(X)
        with pytest.raises(ValueError, match="n_samples"):
            model.sample(n_samples)

    @pytest.mark.parametrize("latent", LATENTS)
    def test_after_parts_of_the_data(self, latent, X):
        model = AutoEncoderTransformer(latent=latent, random_state=0)
        for rows in (X[:50], X[50:99], X[99:]):
            model.partial_fit(rows)
        assert np.isfinite(model.sample(3)).all()


@pytest.mark.parametrize(
    ("latent", "error", "message"),
    [
        ("normal", ValueError, "'latent' parameter .*'gaussian'"),
        (3, ValueError, "'latent' parameter"),
        (Gaussian, ValueError, "'latent' parameter"),
        (Gaussian(-1), ValueError, "'beta' parameter of Gaussian .* Got -1"),
        (Gaussian(warm_up=1.0), ValueError, "'warm_up' parameter of Gaussian"),
        (Mixture(0), ValueError, "'n_components' parameter of Mixture"),
    ],
)
def test_what_is_no_latent_is_refused(latent, error, message, X):
    with pytest.raises(error, match=message):
        AutoEncoderTransformer(latent=latent).fit(X)
