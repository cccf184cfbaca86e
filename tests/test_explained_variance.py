"""Explained: PCA's attributes, of a decoder that need not be linear."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_wine, make_swiss_roll
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoderTransformer, Mixture, Sparsity
from skae._inference.codec import Codec

FEW = {"max_iter": 3, "early_stopping": False, "random_state": 0}


def linear_rows(n_samples=120):
    X = np.random.RandomState(0).normal(size=(n_samples, 6)) * np.arange(1, 7)
    return X @ np.linalg.qr(np.random.RandomState(1).normal(size=(6, 6)))[0] + 5.0


@pytest.fixture(scope="module")
def pair():
    """Return an autoencoder whose result is PCA, and PCA."""
    X = linear_rows()
    model = AutoEncoderTransformer(3, random_state=0).fit(X)
    assert model.stop_reason_ == "pca"
    return model, PCA(3).fit(X), X


@pytest.mark.parametrize(
    "name",
    ["components_", "explained_variance_", "explained_variance_ratio_"]
    + ["singular_values_", "noise_variance_", "mean_", "n_components_", "n_samples_"],
)
def test_where_the_result_is_pca_so_are_its_attributes(name, pair):
    model, pca, _ = pair
    assert_allclose(getattr(model, name), getattr(pca, name), rtol=1e-4, atol=1e-5)


def test_covariance_and_precision_of_pca(pair):
    model, pca, X = pair
    assert_allclose(model.get_covariance(), pca.get_covariance(), rtol=1e-3, atol=1e-3)
    assert_allclose(model.get_precision(), pca.get_precision(), rtol=1e-3, atol=1e-3)
    assert np.trace(model.get_covariance()) == pytest.approx(
        X.var(axis=0, ddof=1).sum(), rel=1e-4
    )


def test_of_standardized_features_they_are_those_behind_a_scaler():
    X = linear_rows() * 10.0 ** np.arange(6)
    model = AutoEncoderTransformer(3, standardize=True, random_state=0).fit(X)
    assert model.stop_reason_ == "pca"
    pca = PCA(3).fit(StandardScaler().fit_transform(X))
    for name in ("components_", "explained_variance_", "explained_variance_ratio_"):
        assert_allclose(getattr(model, name), getattr(pca, name), rtol=1e-3, atol=1e-4)
    scale = model.scale_
    expected = pca.get_covariance() * np.outer(scale, scale)
    assert_allclose(model.get_covariance() / expected, 1, rtol=0.05)


def data(name):
    if name == "wine":
        return StandardScaler().fit_transform(load_wine().data)
    return make_swiss_roll(300, random_state=0)[0]


@pytest.mark.parametrize("name", ["wine", "swiss roll"])
@pytest.mark.parametrize(
    "params",
    [
        {"init": "random", "max_iter": 30},
        {"linearity": 0.0, "max_iter": 30},
        {"penalty": Sparsity(), "max_iter": 10},
        {"latent": "gaussian", "max_iter": 10},
        {"ordered": True, "max_iter": 10},
        {"supervision": 3.0, "max_iter": 10},
        {"whiten": True, "max_iter": 10, "standardize": True},
    ],
)
def test_shares_are_a_scree_plot(name, params, X):
    X = data(name)
    model = AutoEncoderTransformer(3, **FEW | params).fit(X, np.arange(len(X)) % 2)
    ratio = model.explained_variance_ratio_
    assert (ratio >= 0).all()
    assert (np.diff(ratio) <= 1e-12).all()
    assert ratio.sum() == pytest.approx(max(0, model.score(X)), abs=1e-9)
    assert np.isfinite(model.get_covariance()).all()
    model.partial_fit(X)
    assert (np.diff(model.explained_variance_ratio_) <= 1e-12).all()


def stream(parts):
    model = AutoEncoderTransformer(4, init="random", random_state=0)
    for part in parts:
        model.partial_fit(part)
    return model


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_shares_of_a_stream_are_of_all_its_rows(scale, digits):
    """Also where these are sorted, and the last rows are but a class."""
    X = scale * digits[0][np.argsort(digits[1], kind="stable")]
    model = stream(np.array_split(X, 8))
    total = model.explained_variance_.sum() / model.explained_variance_ratio_.sum()
    assert total == pytest.approx(X.var(axis=0, ddof=1).sum(), rel=1e-6)
    left = model.noise_variance_ * (64 - 4)
    assert model.explained_variance_.sum() + left == pytest.approx(total)
    assert total > 1.1 * X[-len(X) // 8 :].var(axis=0).sum()


def test_earlier_rows_of_a_stream_fade(digits, monkeypatch):
    module = "skae._inference.explained_variance"
    monkeypatch.setattr(f"{module}._REMEMBERED_ROWS", 200)
    monkeypatch.setattr(f"{module}._REMEMBERED_PARTS", 1)
    X = digits[0][:1000] + 1e-3 * np.random.RandomState(0).normal(size=(1000, 64))
    model = stream(np.array_split(X, 5))
    kept = model._memory["moments"]
    assert kept["n_samples"] == 400  # as many as the last part before it
    back = model.inverse_transform(model.transform(X[800:]))
    now = np.square(X[800:] - back).sum() / model.scale_[0] ** 2
    assert kept["left"] > now > 0.3 * kept["left"]


def test_few_rows_after_a_fit_change_no_shares(digits):
    model = AutoEncoderTransformer(4, random_state=0, max_iter=2).fit(digits[0][:200])
    before = model.explained_variance_ratio_
    for i in range(3):
        model.partial_fit(digits[0][200 + 20 * i :][:20])
        assert_array_equal(model.explained_variance_ratio_, before)
    model.partial_fit(digits[0][260:400])  # 200 by now
    assert model._memory["moments"]["n_samples"] == 200
    assert np.abs(model.explained_variance_ratio_ - before).max() > 0


def test_loadings_are_the_mean_slope_of_the_decoder(X):
    model = AutoEncoderTransformer(2, init="random", **FEW).fit(X)
    Z = model.transform(X)
    for j in range(2):
        step = 1e-3 * np.eye(2)[j]
        ahead, behind = (model.inverse_transform(Z + s) for s in (step, -step))
        expected = (ahead - behind).mean(axis=0) / 2e-3 / model.scale_
        assert_allclose(model.components_[j], expected, atol=1e-6)


def test_score_is_r2_score(X):
    model = AutoEncoderTransformer(2, **FEW).fit(X[:70])
    rows = X[70:] + 3.0
    back = model.inverse_transform(model.transform(rows))
    expected = r2_score(rows, back, multioutput="variance_weighted")
    assert model.score(rows) == pytest.approx(expected, rel=1e-9)
    assert model.score(rows.astype("f4")) == pytest.approx(expected, rel=1e-3)
    standardized = AutoEncoderTransformer(2, standardize=True, **FEW).fit(X[:70])
    back = standardized.inverse_transform(standardized.transform(rows))
    unit = standardized.scale_
    expected = r2_score(rows / unit, back / unit, multioutput="variance_weighted")
    assert standardized.score(rows) == pytest.approx(expected, rel=1e-9)


def test_score_of_rows_without_variance(X):
    model = AutoEncoderTransformer(2, **FEW).fit(X)
    error = np.square(X - model.inverse_transform(model.transform(X))).mean(axis=1)
    variance = X.var(axis=0).mean()
    assert model.score(X[:1]) == pytest.approx(1 - error[0] / variance, rel=1e-6)
    alike = np.repeat(X[:1], 7, axis=0) + 0.1
    assert model.score(alike) == pytest.approx(model.score(alike[:1]), rel=1e-6)


def test_baseline_is_the_score_of_pca_on_the_rows_to_validate_on(X):
    model = AutoEncoderTransformer(2, init="random", max_iter=3, random_state=0)
    model.fit(X[:70], X_val=X[70:])
    pca = PCA(2).fit(X[:70])
    back = pca.inverse_transform(pca.transform(X[70:]))
    expected = r2_score(X[70:], back, multioutput="variance_weighted")
    assert model.baseline_score_ == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("params", [{}, {"ordered": True}, {"latent": Mixture(2)}])
def test_whitened_codes_have_unit_variance(params, X):
    plain = AutoEncoderTransformer(2, **FEW, **params).fit(X)
    white = AutoEncoderTransformer(2, whiten=True, **FEW, **params).fit(X)
    Z = white.transform(X)
    assert_allclose(Z.std(axis=0, ddof=1), 1, rtol=1e-9)
    spread = plain.transform(X).std(axis=0, ddof=1)
    assert_allclose(Z * spread, plain.transform(X), rtol=1e-6, atol=1e-9)
    assert_allclose(white.inverse_transform(Z), plain.inverse_transform(Z * spread))
    assert_allclose(white.components_, plain.components_)
    assert white.score(X) == pytest.approx(plain.score(X))
    if params.get("latent"):
        assert white.sample(500, random_state=0).std() == pytest.approx(
            X.std(), rel=0.3
        )


def test_whitened_codes_of_a_stream_stay_comparable(X):
    model = AutoEncoderTransformer(2, whiten=True, random_state=0).partial_fit(X)
    assert_allclose(model.transform(X).std(axis=0, ddof=1), 1, rtol=1e-9)
    code_transform = model._code_transform
    model.partial_fit(X)
    assert_allclose(model._code_transform["scale"], code_transform["scale"])


def test_what_is_drawn_from_a_prior_is_not_whitened(X):
    with pytest.raises(ValueError, match="whiten=True is not for latent='gaussian'"):
        AutoEncoderTransformer(latent="gaussian", whiten=True).fit(X)


def test_a_script_that_reads_all_of_pca_runs(X):
    pca = PCA(2, whiten=True, random_state=0).fit(X)
    model = AutoEncoderTransformer(2, whiten=True, random_state=0, max_iter=2).fit(X)
    names = [n for n in dir(pca) if not n.startswith("_")]
    parameters = {"copy", "tol", "power_iteration_normalizer"}
    parameters |= {n for n in pca.get_params() if n not in model.get_params()}
    for name in set(names) - parameters:
        ours, theirs = getattr(model, name), getattr(pca, name)
        assert np.shape(ours) == np.shape(theirs), name
    Z = model.transform(X)
    assert model.get_covariance().shape == pca.get_covariance().shape
    assert model.get_precision().shape == pca.get_precision().shape
    assert model.inverse_transform(Z).shape == X.shape
    assert np.shape(model.score_samples(X)) == np.shape(pca.score_samples(X))
    assert np.isfinite(model.score(X))


def test_no_property_raises_or_computes(X, monkeypatch):
    """scikit-learn's HTML asks for each of them, twice."""
    model = AutoEncoderTransformer(2, **FEW)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "AutoEncoderTransformer" in model._repr_html_()
        model.fit(X)
        for work in ("encode", "decode", "squared_errors"):
            monkeypatch.setattr(Codec, work, None)
        for name in dir(type(model)):
            if isinstance(getattr(type(model), name), property):
                getattr(model, name)
        assert "AutoEncoderTransformer" in model._repr_html_()


def test_a_part_of_one_row_counts_as_one_row():
    X = load_digits().data[:300]
    model = AutoEncoderTransformer(4, random_state=0).partial_fit(X)
    before = model.explained_variance_ratio_.copy()
    assert model.partial_fit(X[:1]).n_samples_ == 301
    assert_allclose(model.explained_variance_ratio_, before, atol=0.01)
