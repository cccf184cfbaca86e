"""Canonical form: what the codes look like, and what stays as it was."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer
from skae._fitting import finalists
from skae._inference.code_transform import CodeTransform


def make(**params):
    params = {"n_components": 4, "random_state": 0, "early_stopping": False} | params
    return AutoEncoderTransformer(**{"max_iter": 20} | params)


@pytest.mark.parametrize("init", ["pca", "random"])
class TestCodes:
    def test_are_centred_uncorrelated_and_sorted(self, init, digits):
        X = digits[0][:800]
        Z = make(init=init).fit_transform(X)
        variance = Z.var(axis=0)
        assert_allclose(Z.mean(axis=0), 0, atol=1e-5 * variance.max() ** 0.5)
        assert_allclose(np.cov(Z.T, ddof=0), np.diag(variance), atol=1e-4 * variance[0])
        assert (np.diff(variance) <= 0).all()

    def test_go_up_with_their_feature(self, init, digits):
        X = digits[0][:800]
        Z = make(init=init).fit_transform(X)
        loadings = Z.T @ (X - X.mean(axis=0))
        assert (loadings.max(axis=1) > -loadings.min(axis=1)).all()

    def test_reconstruct_as_before(self, init, digits, monkeypatch):
        X = digits[0][:800]
        expected = make(init=init)
        turned = expected.fit(X).inverse_transform(expected.transform(X))
        far = expected.inverse_transform(expected.transform(5 * X))
        monkeypatch.setattr(finalists, "canonicalise", lambda *_: CodeTransform.of(4))
        plain = make(init=init).fit(X)
        assert_allclose(turned, plain.inverse_transform(plain.transform(X)), atol=1e-5)
        assert_allclose(far, plain.inverse_transform(plain.transform(5 * X)), atol=1e-4)
        assert np.abs(plain.transform(X) - expected.transform(X)).max() > 0.01

    def test_are_those_that_a_warm_start_goes_on_from(self, init, digits):
        X = digits[0][:800]
        model = make(init=init, warm_start=True, learning_rate="constant", tol=0.5)
        model.set_params(n_iter_no_change=100)
        first = model.fit(X).score(X)
        loss = model.loss_curve_
        second = model.fit(X)
        assert second.loss_curve_[0] < loss[2]
        assert second.score(X) > first


def test_two_seeds_agree_on_the_first_axes(digits):
    X = digits[0][:800]
    first, second = (
        make(init="pca", random_state=seed).fit_transform(X) for seed in (0, 1)
    )
    correlation = [np.corrcoef(first[:, j], second[:, j])[0, 1] for j in range(2)]
    assert np.mean(correlation) > 0.9


def test_codes_of_pca_are_pcas_with_its_signs():
    X = np.random.RandomState(0).normal(size=(120, 6)) * np.arange(1, 7)
    model = AutoEncoderTransformer(3, random_state=0).fit(X)
    assert model.stop_reason_ == "pca"
    pca = PCA(3).fit(X)
    assert_allclose(model.transform(X) * model.scale_[0], pca.transform(X), atol=1e-3)
    assert_allclose(
        model.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-4
    )


@pytest.mark.parametrize("init", ["pca", "random"])
def test_data_without_variance(init):
    Z = make(init=init).fit_transform(np.ones((30, 5)))
    assert_allclose(Z, 0, atol=1e-6)
