"""Few rows: numpy's way gives what the general way gives, for every network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoEncoderTransformer, Conv, Dense
from skae._inference import codec as codecs
from skae._inference.codec_cache import cached_codec
from skae._nn.layers import ACTIVATIONS
from skae._parts.losses import LINKS

from .conftest import rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DTYPES = [np.float64, np.float32]
TOLERANCE = {np.float64: 1e-13, np.float32: 3e-6}


def _fit(**params):
    defaults = {"max_iter": 5, "early_stopping": False, "hidden_layer_sizes": (9, 7)}
    return AutoEncoderTransformer(3, random_state=0, **defaults | params).fit(DATA)


DATA = np.abs(rows()) / np.abs(rows()).max() * 0.98 + 0.01
DATA[:, 4] = 0.25  # constant
FITS = {
    "anchored": {"init": "pca"},
    "plain": {"init": "random"},
    "linear": {"init": "random", "hidden_layer_sizes": ()},
    "standardized": {"standardize": True},
    "whitened": {"whiten": True},
    "variational": {"latent": "gaussian"},
    "dropout": {"network": Dense(dropout=0.1)},
}


@pytest.fixture(scope="module", params=FITS)
def model(request):
    return _fit(**FITS[request.param])


def assert_near(found, expected, dtype):
    assert found is not None and found.dtype == dtype
    scale = np.abs(expected).max()
    assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_samples", [1, 3])
def test_the_same_as_of_many_rows(model, dtype, n_samples):
    codec = cached_codec(model, np.dtype(dtype), 1)
    X = DATA.astype(dtype)
    Z = codec.encode(X)
    R = codec.decode(Z)
    for i in range(0, 30, n_samples):
        assert_near(
            codec.few_rows.encode(X[i : i + n_samples]), Z[i : i + n_samples], dtype
        )
        assert_near(
            codec.few_rows.decode(Z[i : i + n_samples]), R[i : i + n_samples], dtype
        )
    assert_array_equal(codec.few_rows.decode(Z[:1])[0, 4], X[0, 4])


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(activation):
    model = _fit(activation=activation, init="random", max_iter=2)
    for dtype in DTYPES:
        codec = cached_codec(model, np.dtype(dtype), 1)
        X = DATA[:5].astype(dtype)
        assert_near(codec.few_rows.encode(X), codec.encode(X), dtype)


@pytest.mark.parametrize("link", sorted(LINKS))
def test_every_link(link):
    X = DATA / DATA.sum(axis=1, keepdims=True) if link == "softmax" else DATA
    loss = {"softmax": "kl_divergence", "exp": "poisson"}.get(link, "squared_error")
    params = {"output_activation": link, "loss": loss, "init": "random"}
    model = AutoEncoderTransformer(3, max_iter=2, early_stopping=False, **params)
    codec = cached_codec(model.fit(X), np.dtype(float), 1)
    Z = codec.encode(X[:5])
    assert_near(codec.few_rows.decode(Z), codec.decode(Z), np.float64)


def test_rows_far_out_go_the_general_way():
    model = _fit(init="pca")
    far = DATA[:2] * np.array([[1.0], [1e12]])
    Z = model.transform(far)
    few_rows = cached_codec(model, far.dtype, 2).few_rows
    assert few_rows.encode(far) is None
    assert few_rows.encode(far[:1]) is not None
    assert_allclose(Z[0], model.transform(far[:1])[0], rtol=1e-9)
    assert np.isfinite(Z).all() and np.isfinite(model.inverse_transform(Z)).all()


def test_codes_far_out_are_lengthened():
    model = _fit(init="pca")
    codec = cached_codec(model, np.dtype(float), 1)
    Z = codec.encode(DATA)
    longest = Z[[np.argmax(np.linalg.norm(Z, axis=1))]] * 2
    assert_near(codec.few_rows.decode(longest), codec.decode(longest), np.float64)
    assert codec.few_rows.decode(longest * 1e6) is None  # beyond what exp can hold


def test_many_rows_and_other_layers_go_the_general_way():
    few_rows = cached_codec(_fit(), np.dtype(float), 1).few_rows
    assert few_rows.encode(np.zeros((100_000, 12))) is None
    model = _fit(network=Conv(channels=(2,)), hidden_layer_sizes="auto")
    few_rows = cached_codec(model, np.dtype(float), 1).few_rows
    assert (
        few_rows.encode(DATA[:1]) is None and few_rows.decode(np.ones((1, 3))) is None
    )


def test_a_row_alone_asks_torch_for_nothing(monkeypatch):
    model = _fit()
    model.transform(DATA[:1])  # builds the codec

    def refuse(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(codecs.Codec, "encode", refuse)
    monkeypatch.setattr(codecs.Codec, "decode", refuse)
    assert model.inverse_transform(model.transform(DATA[:1])).shape == (1, 12)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
def test_a_row_is_left_as_it_is_and_shares_no_memory(method):
    model = _fit()
    given = DATA[:1].copy() if method == "transform" else np.ones((1, 3))
    before = given.copy()
    result = getattr(model, method)(given)
    assert_array_equal(given, before)
    result += 1
    assert_array_equal(getattr(model, method)(given) + 1, result)
