"""Shared test data: small, with nonlinear structure."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_swiss_roll
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from threadpoolctl import threadpool_limits

from skae._fitting import config, pseudo_labels


@pytest.fixture(autouse=True)
def seeded():
    """Seed the global generators, so that a test does not depend on earlier ones."""
    torch.manual_seed(0)
    np.random.seed(0)


def rows():
    """Return a hundred rows of twelve features on a curved surface."""
    roll, _ = make_swiss_roll(100, random_state=0)
    mixing = np.random.RandomState(0).normal(size=(3, 12))
    return roll @ mixing


@pytest.fixture
def X():
    return rows()


@pytest.fixture(scope="session")
def digits():
    """Return images (1797, 64) with values in [0, 1], and their labels."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture
def two_threads():
    """Allow two threads on any machine. Other tests run with one thread."""
    with threadpool_limits(2):
        yield


@pytest.fixture
def brief(monkeypatch):
    """Train few steps where "auto" has the say: for what does not depend on more."""
    monkeypatch.setattr(config, "_STEPS", 100)


@pytest.fixture
def few_trees(monkeypatch):
    """Let teachers be of few trees: for all but what these know."""
    for trees in (ExtraTreesClassifier, ExtraTreesRegressor):
        monkeypatch.setattr(pseudo_labels, trees.__name__, partial(trees, 3))


def mixed_rows(n_rows=120, seed=0):
    """Return rows with all kinds of columns, generated from two factors."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n_rows))
    color = np.digitize(a + 0.3 * rng.normal(size=n_rows), [-0.5, 0.5])
    return np.column_stack(
        [
            1000 * a + 50,
            np.eye(3)[color],
            a + rng.normal(size=n_rows) > 0,
            b > 0.5,
            a * b,
            rng.poisson(np.exp(b)),
        ]
    )
