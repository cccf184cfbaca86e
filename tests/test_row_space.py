"""Row space: wide rows in few coordinates, and networks of them as of all features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from skae import AutoEncoderTransformer
from skae._fitting.row_space import expand, is_wide_and_small, row_space
from skae._nn.autoencoder import initialise
from skae._parts.networks import Architecture


def curved(n_samples, n_features, noise=0.0):
    """Rows on a curved sheet of two dimensions, float32, centred."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(n_samples, 2))
    X = np.tanh(factors @ rng.normal(size=(2, n_features)))
    X += noise * rng.normal(size=X.shape)
    return (X - X.mean(axis=0)).astype(np.float32)


def test_few_directions_hold_rows_of_few_directions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 300))
    basis = row_space(X.astype(np.float32), 2)
    assert basis.shape == (300, 5)
    assert_allclose(basis.T @ basis, np.eye(5), atol=1e-5)
    assert_allclose(X @ basis @ basis.T, X, atol=1e-3)


def test_directions_of_noise_are_left_out():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(100, 4)) @ rng.normal(size=(4, 1000))
    noisy = (signal + rng.normal(size=signal.shape)).astype(np.float32)
    assert row_space(noisy, 1).shape == (1000, 4)
    assert row_space(noisy, 3).shape == (1000, 9)  # three for each component


def test_rows_that_are_all_alike_span_nothing():
    X = np.ones((20, 300))
    model = AutoEncoderTransformer(30, max_iter=3, random_state=0).fit(X)
    np.testing.assert_array_equal(model.inverse_transform(model.transform(X)), X)


@pytest.mark.parametrize("init", ["pca", "random", "linear"])
def test_an_expanded_network_does_the_same(init):
    rng = np.random.default_rng(0)
    X = curved(30, 80)
    basis = row_space(X, 2)
    dense = ("Dense", {}), (8, 4), "tanh"
    of_axes = Architecture(basis.shape[1], 2, 2, *dense, init)
    network = of_axes.build().eval()
    if init != "linear":
        initialise(network, np.zeros(basis.shape[1]), rng)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.ndim:
                draw = rng.normal(size=tensor.shape) / 4
                tensor.copy_(torch.from_numpy(draw))
    wide = expand(network, replace(of_axes, n_features=80), basis, off_basis=0.0)
    with torch.no_grad():
        expected = network(torch.from_numpy(X @ basis)).numpy() @ basis.T
        assert_allclose(wide(torch.from_numpy(X)).numpy(), expected, atol=1e-4)


def test_who_has_a_row_space():
    assert is_wide_and_small(100, 101) and not is_wide_and_small(100, 100)
    assert not is_wide_and_small(100_000, 200_000)


def test_a_wide_fit_learns_what_is_curved():
    X = curved(240, 400, noise=0.05)
    model = AutoEncoderTransformer(2, max_iter=120, random_state=0).fit(X[:160])
    assert model.stop_reason_ != "pca"
    error = model.reconstruction_error(X[160:]).mean()
    linear = AutoEncoderTransformer(
        2, hidden_layer_sizes=(), init="random", max_iter=1, random_state=0
    ).fit(X[:160])
    assert linear.stop_reason_ == "pca"
    assert error < 0.8 * linear.reconstruction_error(X[160:]).mean()
    assert model._weights["encoder.linear"].shape == (2, 400)


def test_a_stream_does_not_stay_in_the_space_of_its_first_rows():
    X = curved(400, 150)
    model = AutoEncoderTransformer(2, random_state=0)
    for part in np.split(X, 4):
        model.partial_fit(part)
    first = model._weights["encoder.correction.0.weight"]
    assert np.linalg.matrix_rank(first) == min(first.shape)


@pytest.mark.parametrize("standardize", [False, True])
def test_sparse_rows_as_dense_ones(standardize):
    rng = np.random.default_rng(0)
    X = curved(60, 100) * (rng.random((60, 100)) < 0.5)
    X[:, 3] = 0  # constant
    model = AutoEncoderTransformer(
        2, max_iter=5, standardize=standardize, early_stopping=False, random_state=0
    )
    expected = model.fit(X).transform(X)
    assert_allclose(model.fit(csr_array(X)).transform(X), expected, atol=1e-4)


def test_rows_off_the_space_are_near_pcas(recwarn):
    X = curved(60, 200, noise=0.02)
    model = AutoEncoderTransformer(2, max_iter=100, random_state=0).fit(X)
    rng = np.random.default_rng(1)
    far = np.concatenate([30 * X, X + 30 * np.eye(60, 200)])
    far = np.concatenate([far, 10 * rng.normal(size=(20, 200))])
    axes = np.linalg.svd(X, full_matrices=False)[2][:2]
    linear_error = np.mean((far - far @ axes.T @ axes) ** 2)
    assert model.reconstruction_error(far).mean() < 1.5 * linear_error
