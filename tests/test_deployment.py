"""Deployment: a result that is PCA is stored and run as PCA."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer

X = np.random.default_rng(0).normal(size=(60, 8)) * np.arange(1, 9)


@pytest.fixture(scope="module")
def fitted():
    model = AutoEncoderTransformer(3, random_state=0, max_iter=5).fit(X)
    assert model.stop_reason_ == "pca"
    return model


def test_no_network_is_kept(fitted):
    assert set(fitted._weights) == {
        f"{part}.{name}"
        for part, name in [
            ("encoder", "linear"),
            ("encoder", "offset"),
            ("encoder", "trust_radius"),
            ("decoder", "trust_radius"),
        ]
    }


def test_it_is_pca_of_rows_in_float32(fitted):
    pca = PCA(3).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    Z = fitted.transform(X)
    assert_allclose(fitted.inverse_transform(Z), expected, atol=1e-5)
    assert_allclose(abs(Z) * fitted.scale_[0], abs(pca.transform(X)), atol=1e-5)
    assert fitted.score(X) == pytest.approx(pca.explained_variance_ratio_.sum())


def test_its_pickle_is_as_small_as_that_of_pca():
    X = np.random.default_rng(0).normal(size=(40, 3000))
    model = AutoEncoderTransformer(10, random_state=0, max_iter=5).fit(X)
    assert model.stop_reason_ == "pca"
    sizes = [len(pickle.dumps(m)) for m in (model, PCA(10).fit(X))]
    assert sizes[0] <= 1.2 * sizes[1]
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(X), model.transform(X))


def test_components_that_were_not_found_decode_to_nothing():
    model = AutoEncoderTransformer(6, random_state=0).fit(X[:4])
    assert model.stop_reason_ == "pca"
    assert_allclose(model.inverse_transform(model.transform(X[:4])), X[:4], atol=1e-5)


@pytest.mark.parametrize("init", ["auto", "random"])
def test_a_training_goes_on_from_it(init, fitted):
    params = {"early_stopping": False, "max_iter": 60, "warm_start": True}
    model = pickle.loads(pickle.dumps(fitted)).set_params(init=init, **params)
    before = model.score(X)
    model.fit(X)
    if init == "auto":
        assert model.score(X) > before
    model.partial_fit(X)
    assert np.isfinite(model.transform(X)).all()
