"""Inference: chunks, the cache of modules, and what is left behind."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoEncoderTransformer
from skae._data import scaling
from skae._data.scaling import Scaling
from skae._inference import codec_cache
from skae._inference.codec_cache import cached_codec


@pytest.fixture
def model(X):
    return AutoEncoderTransformer(max_iter=2, early_stopping=False, random_state=0).fit(
        X
    )


def test_chunks_give_what_the_whole_gives(model, X, monkeypatch):
    Z, R = model.transform(X), model.inverse_transform(model.transform(X))
    error, score = model.reconstruction_error(X), model.score(X)
    monkeypatch.setattr(scaling.row_slices, "__defaults__", (8 * 64 * 7,))
    assert_allclose(model.transform(X), Z, rtol=1e-9)
    assert_allclose(model.inverse_transform(Z), R, rtol=1e-9)
    assert_allclose(model.reconstruction_error(X), error, rtol=1e-9)
    assert model.score(X) == pytest.approx(score)


@pytest.mark.parametrize("method", ["transform", "inverse_transform", "score_samples"])
def test_extra_memory_does_not_grow_with_rows(method):
    rng = np.random.RandomState(0)
    model = AutoEncoderTransformer(2, max_iter=1).fit(rng.normal(size=(100, 50)))

    def extra(n_samples):
        width = 2 if method == "inverse_transform" else 50
        values = np.zeros((n_samples, width))
        getattr(model, method)(values[:10])  # builds the module
        tracemalloc.start()
        result = getattr(model, method)(values)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak - result.nbytes

    assert extra(200_000) < extra(50_000) + 2**20


def test_transform_leaves_the_estimator_as_it_was(model, X):
    before = dict(vars(model))
    model.inverse_transform(model.transform(X))
    model.score(X)
    assert vars(model) == before


def test_module_is_built_once_a_fit(model, X, monkeypatch):
    built = []
    original = codec_cache.from_numpy
    monkeypatch.setattr(
        codec_cache, "from_numpy", lambda *of: built.append(1) or original(*of)
    )
    for _ in range(3):
        model.inverse_transform(model.transform(X))
    assert len(built) == 1
    first = model.transform(X)
    model.set_params(init="random").fit(X)
    assert np.abs(model.transform(X) - first).max() > 0


def test_module_goes_with_the_estimator(X):
    model = AutoEncoderTransformer(max_iter=1).fit(X)
    model.transform(X)
    module = weakref.ref(codec_cache._CODECS[model][1][np.dtype(float)].network)
    assert module() is not None
    del model
    gc.collect()
    assert module() is None


def test_fitted_state_does_not_depend_on_parameters_set_later(model, X):
    Z = model.transform(X)
    error = model.reconstruction_error(X)
    model.set_params(
        activation="tanh", n_components=5, loss="poisson", standardize=True
    )
    assert_array_equal(model.transform(X), Z)
    assert_array_equal(model.reconstruction_error(X), error)
    assert model.get_feature_names_out().shape == (2,)


@pytest.mark.parametrize(
    "view",
    [
        lambda X: X[::-1][::-1],
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: np.column_stack([X, X])[:, :12],
        lambda X: X.tolist(),
        lambda X: X.astype(object),
        lambda X: X.astype(">f8"),
    ],
    ids=["reversed", "Fortran", "strided", "columns", "list", "object", "big-endian"],
)
def test_layout_does_not_matter(view, model, X):
    again = AutoEncoderTransformer(
        max_iter=2, early_stopping=False, random_state=0
    ).fit(view(X))
    assert_allclose(again.transform(view(X)), model.transform(X), rtol=1e-9)


def test_float32_rows_of_a_tiny_scale_have_codes():
    X = 1e-50 * np.random.RandomState(0).normal(size=(50, 4))
    model = AutoEncoderTransformer(1, max_iter=1, random_state=0).fit(X)
    assert np.isfinite(model.transform(np.zeros((3, 4), np.float32))).all()


@pytest.mark.parametrize("mean", [0.0, 5.0, 100.0, 1e6, -1e30])
def test_float32_rows_are_scaled_as_in_float64(mean):
    X = (mean + np.random.RandomState(0).normal(size=(50, 4))).astype(np.float32)
    X[:, 1] = 3.0
    model = AutoEncoderTransformer(1, max_iter=1, random_state=0).fit(X)
    scaled = cached_codec(model, X.dtype, 50)._scaled(X, torch.empty(50, 4))
    expected = Scaling(**model._scaling).apply(X)
    np.testing.assert_allclose(scaled, expected, atol=1e-6, rtol=1e-6)
    X.flags.writeable = False
    assert np.isfinite(model.transform(X[:, ::-1][:, ::-1])).all()
