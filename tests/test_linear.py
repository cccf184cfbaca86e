"""The baseline against scikit-learn's PCA."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from skae import _linear
from skae._data import Batches
from skae._linear import pca_error
from skae._scaling import Scaling


def make(X, rows, scaling=None):
    scaling = scaling or Scaling.fit(X, rows, False)
    return Batches(X, rows, scaling, 16, torch.device("cpu"))


def expected(x, check, n_components):
    pca = PCA(n_components).fit(x)
    residual = check - pca.inverse_transform(pca.transform(check))
    return (residual**2).mean()


@pytest.mark.parametrize("n_components", [1, 5, 12, 50])
def test_error_is_that_of_pca(n_components, X):
    scaling = Scaling.fit(X, np.arange(70), False)
    train, check = make(X, np.arange(70), scaling), make(X, np.arange(70, 100), scaling)
    x = scaling.apply(X)
    error = expected(x[:70], x[70:], min(n_components, 12))
    assert pca_error(train, check, n_components, 0) == pytest.approx(error, abs=1e-6)


def test_large_data_are_sampled(X, monkeypatch):
    X = np.repeat(X, 20, axis=0)
    batches = make(X, np.arange(len(X)))
    whole = pca_error(batches, batches, 2, seed=0)
    monkeypatch.setattr(_linear, "_SAMPLE_BYTES", 4 * 12 * 500)
    seen = []
    monkeypatch.setattr(_linear, "PCA", lambda *a, **k: SpiedPCA(seen, *a, **k))
    assert pca_error(batches, batches, 2, seed=0) == pytest.approx(whole, rel=0.05)
    assert seen == [500]


class SpiedPCA(PCA):
    def __init__(self, seen, n_components, random_state):
        super().__init__(n_components, random_state=random_state)
        self.seen = seen

    def fit(self, X):
        self.seen.append(len(X))
        return super().fit(X)


def test_data_without_variance(recwarn):
    X = np.ones((20, 3))
    batches = make(X, np.arange(20))
    assert pca_error(batches, batches, 2, seed=0) == 0
    assert not recwarn.list
