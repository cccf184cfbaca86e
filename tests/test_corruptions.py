"""Corruptions: their distribution, and networks that undo them."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoEncoderTransformer, GaussianNoise, Masking, SwapNoise
from skae._parts.corruptions import CORRUPTIONS, check_corruption


@pytest.fixture
def x():
    return torch.arange(1.0, 5001).reshape(1000, 5)


def draw(corruption, x, seed=0):
    before = x.clone()
    corrupted = corruption.corrupt(x, np.random.default_rng(seed))
    assert torch.equal(x, before)
    return corrupted


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_masking_hides_the_share(share, x):
    corrupted = draw(Masking(share), x)
    hidden = corrupted == 0
    assert torch.equal(corrupted[~hidden], x[~hidden])
    # Four standard deviations of each feature's count.
    tolerance = 4 * np.sqrt(share * (1 - share) / 1000)
    for of_feature in hidden.double().mean(dim=0):
        assert of_feature.item() == pytest.approx(share, abs=tolerance)


def test_noise_is_normal(x):
    noise = (draw(GaussianNoise(0.5), x.double()) - x).flatten()
    assert noise.mean().item() == pytest.approx(0, abs=4 * 0.5 / np.sqrt(5000))
    assert noise.std().item() == pytest.approx(0.5, rel=0.05)
    within = (noise.abs() < 0.5).double().mean().item()
    assert within == pytest.approx(0.6827, abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_swaps_come_from_other_rows_of_the_same_feature(share, x):
    corrupted = draw(SwapNoise(share), x)
    swapped = corrupted != x
    tolerance = 4 * np.sqrt(share * (1 - share) / 5000)
    # No entry comes from its own row, so that each swap shows.
    assert swapped.double().mean().item() == pytest.approx(share, abs=tolerance)
    for feature in range(5):
        assert set(corrupted[:, feature].tolist()) <= set(x[:, feature].tolist())
    sources = ((corrupted - 1) // 5)[swapped]
    if share == 1.0:  # each row is drawn about as often
        counts = np.bincount(sources.long().numpy(), minlength=1000)
        assert counts.mean() == 5
        assert counts.var() == pytest.approx(5, rel=0.2)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_draws_repeat_and_differ(name, x):
    corruption = check_corruption(name)
    first, second, again = (draw(corruption, x, seed) for seed in (0, 1, 0))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert draw(corruption, x[:1]).shape == (1, 5)
    assert not first.requires_grad


def denoiser(digits, corruption):
    model = AutoEncoderTransformer(16, corruption=corruption, random_state=0)
    return model.set_params(max_iter=60).fit(digits[0][:900])


@pytest.fixture(scope="module")
def plain(digits):
    return denoiser(digits, None)


@pytest.mark.slow
@pytest.mark.parametrize("corruption", [Masking(0.4), GaussianNoise(0.7), SwapNoise()])
def test_corrupted_rows_come_back_better_than_from_the_plain_network(
    corruption, plain, digits
):
    X, _ = digits
    train, test = X[:900], X[1400:]
    scale = np.sqrt(train.var(axis=0).mean())
    centred = torch.from_numpy((test - train.mean(axis=0)) / scale)
    corrupted = corruption.corrupt(centred, np.random.default_rng(1)).numpy()
    rows = corrupted * scale + train.mean(axis=0)
    errors = []
    for model in (denoiser(digits, corruption), plain):
        back = model.inverse_transform(model.transform(rows))
        errors.append(np.mean((back - test) ** 2))
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("corruption", [Masking(0), SwapNoise(0), GaussianNoise(0)])
def test_no_corruption_at_all_is_none(corruption, X):
    """In one step, after which the random numbers go separate ways."""
    plain = AutoEncoderTransformer(
        init="random", random_state=0, max_iter=1, batch_size=100, early_stopping=False
    )
    corrupted = clone(plain).set_params(corruption=corruption)
    assert_array_equal(corrupted.fit_transform(X), plain.fit_transform(X))


class Halving(BaseEstimator):
    """A corruption of someone's own."""

    def __init__(self, part=0.5):
        self.part = part

    def corrupt(self, x, rng):
        return x * (1 - self.part * rng.integers(0, 2))


def test_a_corruption_of_ones_own_in_a_grid_and_a_pickle(X):
    pipeline = make_pipeline(
        AutoEncoderTransformer(corruption=Halving(), random_state=0, max_iter=5)
    )
    name = "autoencodertransformer__corruption"
    grid = {f"{name}__part": [0.1, 0.9]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X)
    assert list(search.best_params_) == [f"{name}__part"]
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert_array_equal(again.transform(X), search.transform(X))


class InPlace(Halving):
    """One that writes where it reads."""

    def corrupt(self, x, rng):
        return x.mul_(1 - self.part * rng.integers(0, 2))


def test_a_corruption_may_work_in_place(X):
    codes = [
        AutoEncoderTransformer(
            corruption=corruption, init="random", random_state=0, max_iter=5
        ).fit_transform(X)
        for corruption in (Halving(), InPlace())
    ]
    assert_array_equal(*codes)


class Broken:
    def __init__(self, function):
        self.function = function

    def corrupt(self, x, rng):
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: None,
        lambda x: x.numpy(),
        lambda x: x.double(),
        lambda x: x[:, :2],
    ],
    ids=["None", "numpy", "float64", "other shape"],
)
def test_what_does_not_return_rows_is_named(function, X):
    model = AutoEncoderTransformer(corruption=Broken(function))
    with pytest.raises(TypeError, match="corruption=.* must return a tensor like"):
        model.fit(X)


@pytest.mark.parametrize(
    ("corruption", "error", "message"),
    [
        ("salt", ValueError, "'corruption' parameter .*'masking'"),
        (3, ValueError, "'corruption' parameter .* 'corrupt'"),
        (Masking, TypeError, "an object, not the class: Masking"),
        (Masking(2), ValueError, "'share' parameter of Masking .* Got 2"),
        (GaussianNoise(-1), ValueError, "'scale' parameter of GaussianNoise"),
    ],
)
def test_what_is_no_corruption_is_refused(corruption, error, message, X):
    with pytest.raises(error, match=message):
        AutoEncoderTransformer(corruption=corruption).fit(X)


def test_names_are_those_of_the_parts():
    assert repr(check_corruption("masking")) == "Masking()"
    assert check_corruption(SwapNoise(0.5)).share == 0.5
    assert Masking.__module__ == "skae"
