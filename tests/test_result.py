"""Result: what a fit says of itself, whether it is PCA or more."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import make_circles
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skae import AutoEncoderTransformer

NOISE = np.random.default_rng(0).normal(size=(60, 6))


def test_noise_is_pca_and_says_so():
    model = AutoEncoderTransformer(2, random_state=0, max_iter=5).fit(NOISE)
    assert model.result_ == "pca"
    pca = PCA(2).fit(NOISE)
    assert_allclose(
        model.inverse_transform(model.transform(NOISE)),
        pca.inverse_transform(pca.transform(NOISE)),
        atol=1e-6,
    )


def test_a_network_says_so_and_a_pickle_still_does():
    X = make_circles(100, factor=0.99, noise=0.01, random_state=0)[0]
    params = {"early_stopping": False, "init": "random", "max_iter": 3}
    model = AutoEncoderTransformer(1, random_state=0, **params).fit(X)
    assert model.result_ == "network"
    assert pickle.loads(pickle.dumps(model)).result_ == "network"


def test_a_stream_is_a_network():
    model = AutoEncoderTransformer(2, random_state=0).partial_fit(NOISE)
    assert model.result_ == "network"
    assert model.fit(NOISE).result_ == "pca"


def test_what_is_linear_and_knows_a_target_is_not_pca():
    y = np.random.default_rng(1).normal(size=60)
    params = {"supervision": 1.0, "max_iter": 2, "random_state": 0}
    model = AutoEncoderTransformer(2, **params).fit(NOISE, y)
    assert model.result_ == model.stop_reason_ == "linear"


def test_nothing_is_said_before_a_fit():
    with pytest.raises(NotFittedError):
        AutoEncoderTransformer().result_  # noqa: B018
    assert not hasattr(AutoEncoderTransformer(), "result_")


def test_a_parameter_that_is_newer_than_a_pickle_has_its_default():
    model = AutoEncoderTransformer(3, random_state=0, max_iter=5).fit(NOISE)
    state = model.__getstate__()
    del state["verbose"], state["whiten"]
    again = AutoEncoderTransformer.__new__(AutoEncoderTransformer)
    again.__setstate__(state)
    assert again.get_params() == model.get_params()
