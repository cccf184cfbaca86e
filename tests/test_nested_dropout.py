"""Nested dropout: what is drawn, and that the first codes then do without the rest."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from skae import AutoEncoderTransformer
from skae._training.nested_dropout import cycled_code_mask, first_codes


def test_each_number_of_codes_is_drawn_as_often():
    kept = first_codes(torch.ones(8000, 2), 4, np.random.default_rng(0))
    assert set(map(tuple, kept.tolist())) == {
        (1, 0, 0, 0),
        (1, 1, 0, 0),
        (1, 1, 1, 0),
        (1, 1, 1, 1),
    }
    assert_allclose(kept.mean(dim=0), [1, 0.75, 0.5, 0.25], atol=0.02)


def test_evaluation_keeps_them_in_turn():
    expected = [[1, 0], [1, 1], [1, 0]]
    assert cycled_code_mask(torch.ones(3, 9), 2).tolist() == expected


@pytest.fixture(scope="module")
def split(digits):
    return digits[0][:1300], digits[0][1300:]


@pytest.fixture(scope="module")
def ordered(split):
    return AutoEncoderTransformer(6, ordered=True, random_state=0).fit(split[0])


def error(model, Z, X):
    return ((model.inverse_transform(Z) - X) ** 2).mean()


@pytest.mark.slow
def test_the_first_codes_are_better_than_as_many_of_pca(ordered, split):
    X, check = split
    Z = ordered.transform(check)
    errors = [error(ordered, Z[:, :j], check) for j in range(1, 7)]
    assert errors == sorted(errors, reverse=True)
    for j in range(1, 7):
        pca = PCA(j).fit(X)
        assert errors[j - 1] < error(pca, pca.transform(check), check)


@pytest.mark.slow
def test_without_order_the_first_codes_are_of_little_use(ordered, split):
    X, check = split
    model = AutoEncoderTransformer(6, random_state=0).fit(X)
    Z = model.transform(check)
    Z[:, 2:] = 0
    with_order = error(ordered, ordered.transform(check)[:, :2], check)
    assert with_order < 0.8 * error(model, Z, check)


@pytest.mark.slow
def test_missing_codes_are_zeros_and_too_many_are_refused(ordered, split):
    Z = ordered.transform(split[1])
    padded = np.hstack([Z[:, :2], np.zeros((len(Z), 4))])
    assert_allclose(
        ordered.inverse_transform(Z[:, :2]), ordered.inverse_transform(padded)
    )
    with pytest.raises(ValueError, match="X has 7 columns"):
        ordered.inverse_transform(np.hstack([Z, Z[:, :1]]))


@pytest.mark.slow
def test_explained_variance_falls_and_adds_up(ordered, split):
    ratio = ordered.explained_variance_ratio_
    assert ratio[0] > ratio[-1] > 0
    assert ratio.sum() == pytest.approx(ordered.score(split[0]), abs=0.03)
