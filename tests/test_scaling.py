"""Scaling: centre and scale in float64, constants exact, memory bounded."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skae import AutoEncoderTransformer
from skae._data.scaling import Scaling, row_slices


@pytest.fixture
def wide_ranging():
    rng = np.random.RandomState(0)
    return rng.normal(size=(50, 4)) * [1, 10, 100, 0] + [0, 1e6, -3, 7.1]


def test_one_scale_for_all_is_the_root_of_the_mean_variance(wide_ranging):
    scaling = Scaling.fit(wide_ranging, np.arange(50), standardize=False)
    assert_allclose(scaling.mean, wide_ranging.mean(axis=0))
    assert_allclose(scaling.scale, wide_ranging.var(axis=0).mean() ** 0.5)
    x = scaling.apply(wide_ranging)
    assert (x**2).mean() == pytest.approx(1)
    assert scaling.variance == pytest.approx(1)
    assert_allclose(scaling.undo(x), wide_ranging)


def test_standardized_features_weigh_the_same(wide_ranging):
    scaling = Scaling.fit(wide_ranging, np.arange(50), standardize=True)
    x = scaling.apply(wide_ranging)
    assert_allclose(x.std(axis=0), [1, 1, 1, 0], atol=1e-9)
    assert scaling.variance == pytest.approx(3 / 4)


def test_only_the_given_rows_count(wide_ranging):
    rows = np.array([3, 5, 8])
    scaling = Scaling.fit(wide_ranging, rows, standardize=True)
    assert_allclose(scaling.mean, wide_ranging[rows].mean(axis=0))


def test_many_chunks_give_what_one_gives(monkeypatch, wide_ranging):
    whole = Scaling.fit(wide_ranging, np.arange(50), standardize=True)
    monkeypatch.setattr("skae._data.scaling.row_slices.__defaults__", (4 * 8 * 7,))
    parts = Scaling.fit(wide_ranging, np.arange(50), standardize=True)
    assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    assert_allclose(parts.scale, whole.scale, rtol=1e-9)


def test_row_slices_cover_every_row_once():
    slices = row_slices(100, 3, chunk_bytes=8 * 3 * 7)
    covered = np.concatenate([np.arange(100)[part] for part in slices])
    assert_array_equal(covered, np.arange(100))
    assert max(part.stop - part.start for part in slices) == 7


def test_float32_rows_are_centred_in_float64():
    X = (np.random.RandomState(0).normal(size=(100, 3)) + 1e5).astype(np.float32)
    scaling = Scaling.fit(X, np.arange(100), standardize=True)
    assert_allclose(scaling.apply(X).mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.1, 1e12, 1e-12, -3e5])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson", "log_loss"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_feature_is_reconstructed_exactly(value, loss, dtype, X):
    if loss == "log_loss":
        value = min(abs(value), 1.0)
        X = X > 0
    if loss == "poisson":
        X, value = np.abs(X), abs(value)
    X = np.column_stack([X[:, :4], np.full(len(X), value)]).astype(dtype)
    model = AutoEncoderTransformer(loss=loss, max_iter=2, random_state=0).fit(X)
    R = model.inverse_transform(model.transform(X))
    assert_array_equal(R[:, 4], X[:, 4])


def test_constant_feature_that_moves_changes_no_code(X):
    X = np.column_stack([X, np.full(len(X), 3.0)])
    model = AutoEncoderTransformer(max_iter=2, random_state=0).fit(X)
    moved = X + np.eye(13)[12] * 0.5
    assert_array_equal(model.transform(moved), model.transform(X))
    assert_allclose(
        model.reconstruction_error(moved, per_feature=True)[:, 12], 0.25, rtol=1e-9
    )


@pytest.mark.parametrize("factor", [1e-100, 1e-12, 1e12, 1e100])
@pytest.mark.parametrize("standardize", [False, True])
def test_units_do_not_matter(factor, standardize, X):
    make = AutoEncoderTransformer(max_iter=3, standardize=standardize, random_state=0)
    expected = make.fit(X).score(X)
    assert make.fit(X * factor).score(X * factor) == pytest.approx(expected, rel=1e-4)


def test_overflow_is_an_error_that_names_the_feature():
    X = np.random.RandomState(0).normal(size=(20, 3)) * [1, 1e200, 1]
    with pytest.raises(ValueError, match=r"variance of feature 1 .*e\+200"):
        AutoEncoderTransformer().fit(X)
