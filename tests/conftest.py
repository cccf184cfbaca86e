"""Data that the tests share. Small, and with structure that is not linear."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_swiss_roll
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True)
def seeded():
    """Seed what is global, so that a test does not depend on those before it."""
    torch.manual_seed(0)
    np.random.seed(0)


def rows():
    """Return a hundred rows of twelve features that no plane describes."""
    roll, _ = make_swiss_roll(100, random_state=0)
    mixing = np.random.RandomState(0).normal(size=(3, 12))
    return roll @ mixing


@pytest.fixture
def X():
    return rows()


@pytest.fixture(scope="session")
def digits():
    """Return pictures (1797, 64) with values in [0, 1], and their labels."""
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture
def two_threads():
    """Allow two threads, whatever the machine has: the tests run with one."""
    with threadpool_limits(2):
        yield
