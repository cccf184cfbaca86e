"""Sensitivity: the Jacobian of the encoder, against finite differences and PCA."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skae import AutoEncoderTransformer, Dense
from skae._inference import sensitivity as module

from .conftest import rows
from .test_explained_variance import linear_rows
from .variants import autoencoder

FEW = {"max_iter": 3, "early_stopping": False, "random_state": 0}


def differences(model, X, relative=1e-6):
    """Return the Jacobian of `transform` by central differences."""
    slopes = []
    for i in range(X.shape[1]):
        step = np.zeros(X.shape[1])
        step[i] = relative * X[:, i].std()
        slope = model.transform(X + step) - model.transform(X - step)
        slopes.append(slope / (2 * step[i]))
    return np.stack(slopes, axis=2)


def assert_is_slope(model, X, n_samples=5):
    slopes = differences(model, X)[:n_samples]
    jacobian = model.sensitivity(X[:n_samples], average=False)
    assert np.abs(slopes).max() > 0
    assert_allclose(jacobian, slopes, rtol=1e-4, atol=1e-6 * np.abs(slopes).max())


@pytest.mark.parametrize(
    "name",
    ["default", "random", "deep_tanh", "poisson", "ordered", "variational", "conv"]
    + ["modules", "standardized", "supervised", "layer_norm_and_dropout"],
)
def test_it_is_the_limit_of_differences(name, X):
    X = X + 100  # positive, as "poisson" has it
    y = np.arange(len(X)) % 3 if name == "supervised" else None
    model = autoencoder(name, max_iter=3).fit(X, y)
    assert_is_slope(model, X)


def test_of_whitened_codes(X):
    assert_is_slope(AutoEncoderTransformer(2, whiten=True, **FEW).fit(X), X)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_far_from_the_data_where_corrections_fade_and_codes_are_shortened(init, X):
    model = AutoEncoderTransformer(5, init=init, max_iter=5, random_state=0).fit(X)
    assert_is_slope(model, 1e4 * X)


def test_where_the_result_is_pca():
    X = linear_rows()
    model = AutoEncoderTransformer(3, random_state=0).fit(X)
    assert model.stop_reason_ == "pca"
    of_pca = PCA(3).fit(X).components_
    jacobian = model.sensitivity(X, average=False)
    assert_allclose(
        jacobian * model.scale_, np.broadcast_to(of_pca, jacobian.shape), atol=1e-5
    )
    assert_allclose(model.sensitivity(X), model.components_ / model.scale_, atol=1e-12)


def test_more_codes_than_features_are_differentiated_by_features(X, monkeypatch):
    X = X[:, :3]
    wide = Dense(layer_norm=True)
    model = AutoEncoderTransformer(7, network=wide, init="random", **FEW).fit(X)
    expected = model.sensitivity(X, average=False)
    assert_is_slope(model, X)
    monkeypatch.setattr(module, "_by_features", module._by_codes)
    assert_allclose(model.sensitivity(X, average=False), expected, atol=1e-12)


def test_the_mean_is_that_of_the_rows_in_any_chunks(X, monkeypatch):
    model = AutoEncoderTransformer(2, **FEW).fit(X)
    of_rows = model.sensitivity(X, average=False)
    assert of_rows.shape == (len(X), 2, X.shape[1])
    assert_allclose(model.sensitivity(X), of_rows.mean(axis=0), atol=1e-14)
    chunks = [slice(i, i + 7) for i in range(0, len(X), 7)]
    monkeypatch.setattr(module, "row_slices", lambda n_samples, n_values: chunks)
    assert_allclose(model.sensitivity(X, average=False), of_rows, atol=1e-14)
    assert_allclose(model.sensitivity(X), of_rows.mean(axis=0), atol=1e-14)


def test_a_constant_feature_moves_nothing(X):
    X[:, 4] = 3.0
    model = AutoEncoderTransformer(2, **FEW).fit(X)
    jacobian = model.sensitivity(X)
    assert (jacobian[:, 4] == 0).all()
    assert (np.delete(jacobian, 4, axis=1) != 0).all()


def test_sparse_rows_and_float32(X):
    X = np.where(X > 0, X, 0)
    model = AutoEncoderTransformer(2, **FEW).fit(X)
    expected = model.sensitivity(X)
    assert_array_equal(model.sensitivity(csr_matrix(X)), expected)
    of_float32 = model.sensitivity(X.astype(np.float32))
    assert of_float32.dtype == np.float32
    assert_allclose(of_float32, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_whatever_mode_the_caller_is_in(mode, X):
    expected = AutoEncoderTransformer(2, **FEW).fit(X).sensitivity(X)
    with mode():
        model = AutoEncoderTransformer(2, **FEW).fit(X)
        model.transform(X)  # builds what encodes
        assert_array_equal(model.sensitivity(X), expected)


def test_before_fit():
    with pytest.raises(NotFittedError):
        AutoEncoderTransformer().sensitivity(rows())
