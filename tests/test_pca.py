"""The start and the baseline against scikit-learn's PCA."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.decomposition import PCA

from skae._data.batches import Batches, Sample
from skae._data.scaling import Scaling
from skae._data.targets import no_values
from skae._fitting.dataset import Dataset
from skae._linear import pca as _linear
from skae._linear.pca import (
    code_variance,
    components_for,
    linear_start,
    pca_errors,
    principal_components,
    sample,
    unexplained,
)
from skae._parts.latents import Point


def make(X, rows, scaling=None):
    scaling = scaling or Scaling.fit(X, rows, False)
    return Batches(
        Dataset(X, no_values(X.shape[0])), rows, scaling, 16, torch.device("cpu")
    )


def errors(pca, batches):
    return pca_errors(pca, ((x, x) for x, _ in batches.in_order()))


@pytest.mark.parametrize("n_components", [1, 5, 12, 50])
def test_error_is_that_of_pca(n_components, X):
    scaling = Scaling.fit(X, np.arange(70), False)
    train, check = make(X, np.arange(70), scaling), make(X, np.arange(70, 100), scaling)
    x = scaling.apply(X)
    expected = PCA(min(n_components, 12)).fit(x[:70])
    residual = x[70:] - expected.inverse_transform(expected.transform(x[70:]))
    pca = principal_components(train, sample(train, 0), n_components, seed=0)
    assert errors(pca, check).mean() == pytest.approx((residual**2).mean(), abs=1e-6)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.999999])
def test_share_of_variance_takes_as_many_components_as_pca(share, X):
    batches = make(X, np.arange(100))
    assert components_for(share, batches, 0) == PCA(share).fit(X).n_components_


def test_large_data_are_sampled(X, monkeypatch):
    batches = make(np.repeat(X, 20, axis=0), np.arange(2000))
    some = sample(batches, 0)
    pca = principal_components(batches, some, 2, seed=0)
    assert some.x.shape == (2000, 12)
    monkeypatch.setattr(_linear, "_SAMPLE_BYTES", 4 * 12 * 500)
    batches.resident = None  # they would be streamed
    some = sample(batches, 0)
    sampled = principal_components(batches, some, 2, seed=0)
    assert some.x.shape == (500, 12)
    whole = errors(pca, batches).mean()
    assert errors(sampled, batches).mean() == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("n_components", [3, 12])
def test_all_rows_of_a_sparse_matrix_are_seen(standardize, n_components, monkeypatch):
    X = np.random.RandomState(0).poisson(np.linspace(0.1, 2, 12), size=(200, 12))
    X = 1e3 * X.astype(float)
    rows = np.arange(0, 200, 2)
    scaling = Scaling.fit(X, rows, standardize)
    dense, sparse = make(X, rows, scaling), make(csr_array(X), rows, scaling)
    some = sample(dense, 0)
    expected = principal_components(dense, some, n_components, 0)
    sparse.resident = None  # they would be streamed
    monkeypatch.setattr(_linear, "_SAMPLE_BYTES", 4 * 12 * 30)
    some = sample(sparse, 0)
    assert len(some.x) == 30
    pca = principal_components(sparse, some, n_components, 0)
    assert_allclose(errors(pca, dense), errors(expected, dense), rtol=1e-3, atol=1e-6)


def test_data_without_variance(recwarn):
    batches = make(np.ones((20, 3)), np.arange(20))
    some = sample(batches, 0)
    pca = principal_components(batches, some, 2, seed=0)
    assert (errors(pca, batches) == 0).all()
    assert (code_variance(some.x, pca.components_) == 1).all()
    assert not recwarn.list


@pytest.mark.parametrize("n_components", [3, 20])
def test_start_reconstructs_as_pca(n_components, X):
    batches = make(X, np.arange(100))
    some = sample(batches, 0)
    x = some.x
    pca = principal_components(batches, some, n_components, seed=0)
    rng = np.random.default_rng(0)
    start = linear_start(
        (pca.components_, pca.components_.T),
        x,
        n_components,
        np.ones(12),
        Point(),
        10.0,
        rng,
    )
    assert start.encoder.shape == (n_components, 12)
    expected = pca.inverse_transform(pca.transform(x))
    assert_allclose(x @ start.encoder.T @ start.decoder.T, expected, atol=1e-5)


def test_radii_reach_beyond_all_rows_and_codes(X):
    batches = make(X, np.arange(100))
    some = sample(batches, 0)
    x = some.x
    pca = principal_components(batches, some, 3, seed=0)
    start = linear_start(
        (pca.components_, pca.components_.T),
        x,
        3,
        np.ones(12),
        Point(),
        7.0,
        np.random.default_rng(0),
    )
    rows = np.linalg.norm(x, axis=1)
    assert start.row_trust_radius == pytest.approx(7 * rows.max())
    codes = np.linalg.norm(x @ start.encoder.T, axis=1)
    assert start.code_trust_radius == pytest.approx(7 * codes.max())


def test_variance_of_the_codes_is_never_far_below_the_largest(X):
    encoder = np.eye(12)[:3] * [[1.0], [10.0], [0.0]]
    variance = code_variance(X, encoder)
    assert variance[1] == pytest.approx(100 * X[:, 1].var())
    assert variance[2] == pytest.approx(variance[1] / 1000)


def test_what_is_left_is_what_pca_does_not_explain():
    x = np.random.default_rng(0).normal(size=(60, 12)) * np.arange(1, 13)
    x -= x.mean(axis=0)
    pca = PCA(3).fit(x)
    left = 1 - pca.explained_variance_ratio_.sum()
    turn = np.random.default_rng(0).normal(size=(3, 3))
    encoder = turn @ pca.components_
    assert unexplained(x, encoder) == pytest.approx(left, rel=0.1)
    far_out = x.copy()
    far_out[5] = 1e6 * encoder[0]  # all of the variance, but one row of sixty
    assert unexplained(far_out, encoder) == pytest.approx(left, rel=0.1)
    assert unexplained(x, np.eye(12)) == 1e-3
    assert unexplained(np.zeros((5, 12)), np.eye(12)[:3]) == 1


def test_one_row_far_out_leaves_the_other_axes_to_the_others(X):
    x = X.astype(np.float32)
    x[7] *= 1e5
    batches = SimpleNamespace(X=x, n_samples=len(x))
    some = Sample(x, None, None)
    found = principal_components(batches, some, 3, seed=0).components_
    expected = PCA(3).fit(x.astype(np.float64)).components_
    assert_allclose(abs(np.sum(found * expected, axis=1)), 1, atol=1e-6)
