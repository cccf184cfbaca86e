"""Probabilistic PCA of rows with gaps, against formulas and data that are known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale

from skae._linear import ppca as _ppca
from skae._linear.ppca import PPCA


def holes(X, share, seed=0):
    """Return rows with NaN in some entries, and which these are."""
    missing = np.random.default_rng(seed).random(X.shape) < share
    return np.where(missing, np.nan, X), missing


def normal_rows(n_rows, n_features, rank, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, rank)) @ rng.normal(size=(rank, n_features))
    return X + 10 * rng.normal(size=n_features)


@pytest.mark.parametrize("n_directions", [2, None])
def test_rows_of_low_rank_come_back(n_directions, monkeypatch):
    monkeypatch.setattr(_ppca, "_PRIOR_ROWS", 0.0)
    X = normal_rows(200, 8, 2)
    G, missing = holes(X, 0.3)
    missing[:, 0] = False  # so that each row tells something
    missing[:, 1] = False
    G = np.where(missing, np.nan, X)
    filled = PPCA.fit(G, missing, n_directions=n_directions, tol=1e-9).fill(G, missing)
    assert_allclose(filled, X, atol=1e-2 * X.std())


def test_covariance_without_gaps_is_pcas():
    X = scale(load_iris().data)
    ppca = PPCA.fit(X, np.zeros(X.shape, bool), n_directions=2)
    pca = PCA(2).fit(X)
    cosines = np.abs(np.sum(ppca.directions.T * pca.components_, axis=1))
    assert_allclose(cosines, 1)
    n = len(X)
    variance = ppca.noise / (1 - ppca.shrinkage)
    shrunk = lambda v: (n * v + _ppca._PRIOR_ROWS) / (n + _ppca._PRIOR_ROWS)  # noqa: E731
    assert_allclose(variance, shrunk(pca.explained_variance_ * (n - 1) / n))
    assert_allclose(ppca.noise, shrunk(pca.noise_variance_ * (n - 1) / n))


@pytest.mark.parametrize("n_directions", [1, 3, 5])
@pytest.mark.parametrize("n_missing", [1, 2, 4])
def test_gaps_are_filled_by_the_conditional_mean(n_directions, n_missing):
    X = scale(load_wine().data[:, :6]) @ np.diag([1, 2, 3, 4, 5, 6.0])
    ppca = PPCA.fit(X, np.zeros(X.shape, bool), n_directions=n_directions)
    variance = ppca.noise / (1 - ppca.shrinkage)
    signal = ppca.directions * (variance - ppca.noise) @ ppca.directions.T
    covariance = signal + ppca.noise * np.eye(6)
    covariance *= np.outer(ppca.unit, ppca.unit)
    missing = np.zeros(X.shape, bool)
    missing[:, :n_missing] = True
    missing[::2] = missing[::2, ::-1]
    filled = ppca.fill(np.where(missing, np.nan, X), missing)
    for x, row, gaps in zip(X, filled, missing, strict=True):
        known = covariance[np.ix_(~gaps, ~gaps)]
        weights = np.linalg.solve(known, x[~gaps] - ppca.mean[~gaps])
        expected = ppca.mean[gaps] + covariance[np.ix_(gaps, ~gaps)] @ weights
        expected = expected.clip(X.min(axis=0)[gaps], X.max(axis=0)[gaps])
        assert_allclose(row[gaps], expected, atol=1e-10)
        assert_array_equal(row[~gaps], x[~gaps])


def test_rows_with_one_pattern_are_filled_like_others():
    """They share a matrix; one by one, each has its own."""
    X = normal_rows(50, 6, 3)
    ppca = PPCA.fit(*holes(X, 0.2))
    missing = np.zeros(X.shape, bool)
    missing[:, 2:4] = True
    together = ppca.fill(X, missing)
    apart = [ppca.fill(X[i : i + 1], missing[i : i + 1])[0] for i in range(len(X))]
    assert_allclose(together, apart, rtol=1e-9)


def test_mean_and_spread_are_those_of_all_rows():
    """Rows with a small first feature lack the second: those observed are larger."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=5_000)
    X = np.column_stack([a, a + 0.5 * rng.normal(size=5_000)])
    missing = np.zeros(X.shape, bool)
    missing[:, 1] = a < 0
    ppca = PPCA.fit(np.where(missing, np.nan, X), missing, tol=1e-6)
    assert X[~missing[:, 1], 1].mean() > 0.7
    assert_allclose(ppca.mean, 0, atol=0.05)
    variance = ppca.noise / (1 - ppca.shrinkage)
    covariance = (ppca.directions * (variance - ppca.noise)) @ ppca.directions.T
    covariance += ppca.noise * np.eye(2)
    covariance *= np.outer(ppca.unit, ppca.unit)
    assert_allclose(covariance, [[1, 1], [1, 1.25]], atol=0.06)


def test_wide_rows_with_gaps():
    signal = normal_rows(150, 300, 3)
    rng = np.random.default_rng(1)
    noise = 0.1 * rng.normal(size=signal.shape)
    G, missing = holes(signal + noise, 0.3)
    filled = PPCA.fit(G, missing).fill(G, missing)
    error = np.mean(np.square(filled - signal)[missing])
    assert error < 0.02 < signal.var() / 50


def test_both_forms_are_one(monkeypatch):
    """Wide rows are filled by conjugate gradients, narrow ones by a matrix each."""
    G, missing = holes(normal_rows(40, 12, 3) + 0.1, 0.4)
    X = G + np.random.default_rng(2).normal(size=G.shape)
    ppca = PPCA.fit(X, missing, n_directions=4)
    filled = ppca.fill(X, missing)
    monkeypatch.setattr(_ppca, "_NARROW", 5)
    assert_allclose(ppca.fill(X, missing), filled, rtol=1e-6)
    alone = [ppca.fill(X[[i]], missing[[i]])[0] for i in range(len(X))]
    assert_allclose(ppca.fill(X, missing), alone, rtol=1e-10)


def test_constant_features_stay_and_tell_nothing():
    X = normal_rows(60, 5, 2)
    X[:, 3] = 0.1
    G, missing = holes(X, 0.3)
    ppca = PPCA.fit(G, missing)
    filled = ppca.fill(G, missing)
    assert_array_equal(filled[:, 3], 0.1)
    others = np.delete(np.arange(5), 3)
    without = PPCA.fit(G[:, others], missing[:, others])
    assert_allclose(filled[:, others], without.fill(G[:, others], missing[:, others]))


def test_row_without_entries_is_the_mean():
    G, missing = holes(normal_rows(60, 5, 2), 0.2)
    G[7], missing[7] = np.nan, True
    ppca = PPCA.fit(G, missing)
    assert_array_equal(ppca.fill(G, missing)[7], ppca.mean)


@pytest.mark.parametrize("X", [np.ones((5, 3)), np.arange(5.0)[:, None]])
def test_nothing_to_tell(X):
    G, missing = holes(X, 0.3)
    missing[0] = False
    filled = PPCA.fit(X, missing).fill(G, missing)
    assert np.isfinite(filled[missing]).all()


def test_weights_are_repeated_rows():
    G, missing = holes(normal_rows(40, 5, 4), 0.3)
    weights = np.arange(40) % 3
    ppca = PPCA.fit(G, missing, weights=weights)
    repeated = PPCA.fit(np.repeat(G, weights, 0), np.repeat(missing, weights, 0))
    assert_allclose(ppca.fill(G, missing), repeated.fill(G, missing))


def test_units_of_features_do_not_matter():
    G, missing = holes(normal_rows(60, 5, 4), 0.3)
    units = np.array([1e-6, 1, 1e3, 1, 1e6])
    filled = PPCA.fit(G * units, missing).fill(G * units, missing)
    assert_allclose(filled / units, PPCA.fit(G, missing).fill(G, missing), rtol=1e-6)


def test_scaled_rows_are_filled_alike():
    G, missing = holes(normal_rows(60, 5, 4), 0.3)
    ppca = PPCA.fit(G, missing)
    mean, unit = ppca.mean + 1, np.array([1, 2, 3, 4, 5.0])
    of_scaled = ppca.of(np.arange(5), mean, unit)
    filled = of_scaled.fill((G - mean) / unit, missing) * unit + mean
    assert_allclose(filled, ppca.fill(G, missing))


def test_types_stay():
    G, missing = holes(normal_rows(60, 5, 4).astype(np.float32), 0.3)
    before = G.copy()
    filled = PPCA.fit(G, missing).fill(G, missing)
    assert filled.dtype == np.float32
    assert_array_equal(G, before)


def test_of_many_rows_some_are_fitted_and_all_are_bounds(monkeypatch):
    monkeypatch.setattr(_ppca, "_MOST_ROWS", 30)
    X = normal_rows(200, 3, 3)
    G, missing = holes(X, 0.2)
    ppca = PPCA.fit(G, missing)
    assert_array_equal(ppca.low, np.nanmin(G, axis=0))
    assert_array_equal(ppca.high, np.nanmax(G, axis=0))
    assert_array_equal(PPCA.fit(G, missing).directions, ppca.directions)


@pytest.mark.parametrize("n_directions", [1, 3])
@pytest.mark.parametrize("n_missing", [1, 2, 4])
def test_errors_have_the_conditional_covariance(n_directions, n_missing):
    X = scale(load_wine().data[:, :4]) @ np.diag([1, 2, 3, 4.0])
    ppca = PPCA.fit(X, np.zeros(X.shape, bool), n_directions=n_directions)
    variance = ppca.noise / (1 - ppca.shrinkage)
    covariance = ppca.directions * (variance - ppca.noise) @ ppca.directions.T
    covariance = (covariance + ppca.noise * np.eye(4)) * np.outer(ppca.unit, ppca.unit)
    gaps = np.arange(4) < n_missing
    errors = ppca.draw_errors(np.tile(gaps, (20_000, 1)), np.random.default_rng(0))
    known = np.linalg.pinv(covariance[np.ix_(~gaps, ~gaps)])
    across = covariance[np.ix_(gaps, ~gaps)]
    expected = covariance[np.ix_(gaps, gaps)] - across @ known @ across.T
    assert_allclose(np.cov(errors[:, gaps].T), expected.squeeze(), atol=0.4)
    assert_array_equal(errors[:, ~gaps], 0)
