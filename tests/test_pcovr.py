"""Principal covariates: known answers of the supervised linear start."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression

from skae._data.batches import Sample
from skae._linear.pcovr import linear_head, principal_covariates


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)) * [3, 2, 1, 1, 0.5, 0.5]
    x = (x - x.mean(axis=0)).astype(np.float32)
    y = x[:, 4] + 0.5 * x[:, 5]  # where PCA would not look
    return x, ((y - y.mean()) / y.std())[:, None]


def test_without_weight_it_is_pca(data):
    x, t = data
    encoder, decoder = principal_covariates(Sample(x, t, None), [1], 3, 0.0, seed=0)
    pca = PCA(3).fit(x)
    assert_allclose(np.abs(encoder), np.abs(pca.components_), atol=1e-5)
    assert_allclose(decoder @ encoder, pca.components_.T @ pca.components_, atol=1e-5)


def test_with_much_weight_the_first_code_is_the_regression(data):
    x, t = data
    encoder, _ = principal_covariates(Sample(x, t, None), [1], 1, 1e4, seed=0)
    predicted = LinearRegression().fit(x, t[:, 0]).predict(x)
    correlation = np.corrcoef(predicted, x @ encoder[0])[0, 1]
    assert abs(correlation) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0])
def test_no_other_linear_codes_have_less_of_both_errors(data, weight):
    """Against 200 other maps, those nearby and others; the regressions fit exactly."""
    x, t = data
    rng = np.random.default_rng(1)

    def loss(encoder):
        z = x @ encoder.T
        model = LinearRegression()
        unexplained = [((v - model.fit(z, v).predict(z)) ** 2).mean() for v in (x, t)]
        return unexplained[0] + weight * unexplained[1]

    encoder, decoder = principal_covariates(Sample(x, t, None), [1], 2, weight, seed=0)
    best = loss(encoder)
    for step in np.geomspace(1e-2, 10, 200):
        assert loss(encoder + step * rng.normal(size=encoder.shape)) > best
    # The decoder is the regression of the rows on their codes.
    expected = LinearRegression().fit(x @ encoder.T, x).coef_
    assert_allclose(decoder, expected, atol=1e-4)


def test_wide_rows_make_no_matrix_of_their_width():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3000)).astype(np.float32)
    tracemalloc.start()
    principal_covariates(Sample(x, rng.normal(size=(60, 1)), None), [1], 2, 1.0, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3000**2  # bytes


def test_what_is_unknown_is_left_out(data):
    x, t = data
    some = t.copy()
    some[100:] = np.nan
    few = principal_covariates(Sample(x[:100], t[:100], None), [1], 1, 1e6, seed=0)[0][
        0
    ]
    with_others = principal_covariates(Sample(x, some, None), [1], 1, 1e6, seed=0)[0][0]
    cosine = few @ with_others / np.linalg.norm(few) / np.linalg.norm(with_others)
    assert abs(cosine) == pytest.approx(1, abs=1e-3)


def test_noise_as_target_leaves_nearly_pca(data):
    x, _ = data
    noise = np.random.default_rng(5).normal(size=(len(x), 1))
    encoder, _ = principal_covariates(Sample(x, noise, None), [1], 2, 1.0, seed=0)
    pca = PCA(2).fit(x).components_
    inside = np.linalg.norm(encoder @ pca.T, axis=1) / np.linalg.norm(encoder, axis=1)
    assert (inside > 0.99).all()


def test_heads_are_scikit_learns_models(data):
    x, t = data
    coefficients, intercept = linear_head(x, t, None, "continuous", [1])
    expected = LinearRegression().fit(x, t[:, 0])
    assert_allclose(coefficients[0], expected.coef_, rtol=1e-4)
    assert_allclose(intercept, expected.intercept_, atol=1e-6)

    labels = np.digitize(t[:, 0], [-0.5, 0.5])
    for n_classes in (2, 3):
        y = np.minimum(labels, n_classes - 1)
        coefficients, intercept = linear_head(
            x, np.eye(n_classes)[y], None, "multiclass", [n_classes]
        )
        score = x @ coefficients.T + intercept
        p = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        expected = LogisticRegression().fit(x, y).predict_proba(x)
        assert_allclose(p, expected, atol=1e-3)

    coefficients, intercept = linear_head(x, t > 0, None, "multilabel", [1])
    p = 1 / (1 + np.exp(-(x @ coefficients[0] + intercept)))
    expected = LogisticRegression().fit(x, t[:, 0] > 0).predict_proba(x)[:, 1]
    assert_allclose(p, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["continuous", "multilabel", "multiclass"])
def test_heads_without_anything_to_learn_are_constant(kind):
    width = 3 if kind == "multiclass" else 1
    nothing = np.full((20, width), np.nan)
    coefficients, intercept = linear_head(
        np.ones((20, 2)), nothing, None, kind, [width]
    )
    assert coefficients.shape == (width, 2)
    assert (coefficients == 0).all()
    assert np.isfinite(intercept).all()
