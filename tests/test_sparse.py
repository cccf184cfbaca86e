"""Sparse matrices: the same answers as dense arrays, and never one of their size."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer

from .variants import VARIANTS, InDomain, autoencoder, target_of

KINDS = [sp.csr_matrix, sp.csr_array, sp.csc_array, sp.coo_array, sp.lil_matrix]


@pytest.fixture
def X():
    X = np.random.RandomState(0).poisson(0.3, size=(90, 11)).astype(np.float64)
    X[0] = 0.0  # an empty row
    return X


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "name", [n for n in VARIANTS if not isinstance(autoencoder(n), InDomain)]
)
def test_every_variant_gives_what_it_gives_for_arrays(name, X):
    y = target_of(name, X)
    dense = autoencoder(name).fit(X, y)
    sparse = autoencoder(name).fit(sp.csr_array(X), y)
    Z = dense.transform(X)
    assert_array_equal(sparse.transform(sp.csr_array(X)), Z)
    assert_array_equal(sparse.transform(X), Z)
    assert sparse.score(sp.csr_array(X)) == dense.score(X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_every_kind_of_matrix(kind, dtype, X):
    X = X.astype(dtype)
    model = AutoEncoderTransformer(max_iter=3, random_state=0)
    Z = model.fit_transform(kind(X))
    assert isinstance(Z, np.ndarray)
    assert Z.dtype == (np.float32 if dtype == "f4" else np.float64)
    assert_array_equal(Z, model.fit(X).transform(X))
    assert_array_equal(
        model.reconstruction_error(kind(X), per_feature=True),
        model.reconstruction_error(X, per_feature=True),
    )


@pytest.mark.parametrize("loss", ["log_loss", "poisson", "kl_divergence"])
def test_losses_check_their_data(loss, X):
    X[0] = 1.0
    if loss == "log_loss":
        X = X / X.max()
    if loss == "kl_divergence":
        X = X[X.sum(axis=1) > 0]
        X /= X.sum(axis=1, keepdims=True)
    model = AutoEncoderTransformer(loss=loss, max_iter=3, random_state=0)
    assert_array_equal(model.fit_transform(sp.csr_array(X)), model.fit_transform(X))
    for wrong in (-X, 3 * X if loss != "poisson" else -X):
        with pytest.raises(ValueError, match="Negative|needs"):
            model.fit(sp.csr_matrix(wrong))


def test_validation_rows_and_parts(X):
    model = AutoEncoderTransformer(max_iter=5, random_state=0)
    dense = model.fit(X[:60], X_val=X[60:]).validation_loss_curve_
    S = sp.csr_array(X)
    assert model.fit(S[:60], X_val=S[60:]).validation_loss_curve_ == dense
    parts = [AutoEncoderTransformer(random_state=0) for _ in range(2)]
    for rows in (slice(0, 40), slice(40, 90)):
        parts[0].partial_fit(X[rows])
        parts[1].partial_fit(S[rows])
    assert_array_equal(parts[0].transform(X), parts[1].transform(X))


def test_pictures_are_told_by_their_values(digits):
    X = digits[0][:500]
    model = AutoEncoderTransformer(max_iter=3, random_state=0)
    assert model.fit(X)._link == model.fit(sp.csr_array(X))._link


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value, X):
    X[3, 3] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        AutoEncoderTransformer().fit(sp.csr_array(X))


@pytest.mark.slow
def test_memory_is_that_of_batches():
    """600 x 80,000 numbers would take 384 MB, or 192 MB as float32."""
    X = sp.random(600, 80_000, density=1e-3, random_state=0, format="csr")
    model = AutoEncoderTransformer(
        2, hidden_layer_sizes=(8,), max_iter=1, random_state=0, init="random"
    )
    tracemalloc.start()
    model.set_params(early_stopping=False).fit(X).transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 180e6


def test_texts_in_a_pipeline():
    texts = ["the cat sat on the mat", "a dog ran in the park"] * 30
    texts += [f"{text} {i}" for i, text in enumerate(texts)]
    pipeline = make_pipeline(
        TfidfVectorizer(), AutoEncoderTransformer(2, random_state=0)
    ).fit(texts)
    Z = pipeline.transform(texts)
    X = pipeline[0].transform(texts)
    pca = PCA(2).fit(X.toarray())
    assert pipeline[1].score(X) > pca.explained_variance_ratio_.sum() - 1e-6
    assert np.abs(Z[0] - Z[1]).max() > 0
